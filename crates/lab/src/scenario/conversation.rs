//! How does a conversation stand in a file? Its turns one by one, in the scenario or in a file of its own.

use super::read::{ReadFile, not_toml};
use super::table::{Item, Result, Section, Source};
use super::units::duration_text;
use crate::conversation::{Conversation, Side, Trigger, Turn, Write};
use std::fmt::Write as _;
use std::time::Duration;
use toml::de::DeTable;

const TURN: &str = "a turn, as { side = \"client\", after = \"connected\", writes = [12, 180] }";
const AFTER: &str = "connected, own, closed, or { received = BYTES }";
const SIDES: [&str; 2] = ["client", "server"];

/// Reads the conversation of a workload: from its own `turns`, or from the file that `conversation` names.
pub(super) fn read_conversation(section: &Section<'_>, read_file: ReadFile<'_>) -> Result<Conversation> {
    let Some(item) = section.get("conversation") else { return read_turns(section) };
    let file = item.text("the name of a file with `turns`")?;
    let text = read_file(file)
        .map_err(|why| item.error(format!("cannot read `{}`: {why}", file.escape_default())))?;
    let source = Source { file, text: &text };
    let table = DeTable::parse(&text).map_err(|error| not_toml(source, &error))?;
    let section = Section::new(source, table.get_ref(), 0..0, "");
    let conversation = read_turns(&section)?;
    section.finish()?;
    Ok(conversation)
}

fn read_turns(section: &Section<'_>) -> Result<Conversation> {
    let turns = section
        .need("turns", &format!("a list of turns, each {TURN}, or `conversation` with a file's name"))?;
    let turns: Vec<Turn> = turns.list("a list of turns")?.iter().map(read_turn).collect::<Result<_>>()?;
    let mut bytes = [0u64; 2];
    for turn in &turns {
        let said = &mut bytes[turn.side.index()];
        *said = said.saturating_add(turn.bytes());
    }
    let close = section.read("close", |item| {
        let inner = item.section("who closes first, as { side = \"client\", pause = \"0ms\" }")?;
        let side = side(&inner)?;
        let pause = inner.read("pause", Item::duration)?.unwrap_or(Duration::ZERO);
        inner.finish()?;
        Ok((side, pause))
    })?;
    let cut = section.read("cut", Item::boolean)?.unwrap_or(false);
    let conversation = Conversation { turns, close, cut };
    for (number, turn) in conversation.turns.iter().enumerate() {
        if let Trigger::Received(needed) = turn.trigger
            && needed > bytes[turn.side.peer().index()]
        {
            let said = bytes[turn.side.peer().index()];
            let message = format!(
                "turn {number} waits for {needed} bytes, but the {} says only {said} in all",
                turn.side.peer().name()
            );
            return Err(section.error(message));
        }
    }
    Ok(conversation)
}

fn side(section: &Section<'_>) -> Result<Side> {
    Ok(match section.need("side", "client or server")?.word(&SIDES)? {
        0 => Side::Client,
        _ => Side::Server,
    })
}

fn read_turn(item: &Item<'_>) -> Result<Turn> {
    let section = item.section(TURN)?;
    let trigger = section.need("after", AFTER)?;
    let trigger = if trigger.is_table() {
        let inner = trigger.section(AFTER)?;
        let bytes = inner.need("received", "the bytes that this side has to have read in all")?.size()?;
        inner.finish()?;
        Trigger::Received(bytes)
    } else {
        match trigger.word(&["connected", "own", "closed"]).map_err(|_| trigger.expected(AFTER))? {
            0 => Trigger::Connected,
            1 => Trigger::Own,
            _ => Trigger::Closed,
        }
    };
    let writes = section.need("writes", "a list of writes, as [12, { bytes = 180, gap = \"1ms\" }]")?;
    let turn = Turn {
        side: side(&section)?,
        trigger,
        think: section.read("think", Item::duration)?.unwrap_or(Duration::ZERO),
        writes: writes.list("a list of writes")?.iter().map(read_write).collect::<Result<_>>()?,
    };
    section.finish()?;
    Ok(turn)
}

fn read_write(item: &Item<'_>) -> Result<Write> {
    let most = u64::from(u32::MAX);
    if !item.is_table() {
        let bytes = item.size_within(0..=most)? as u32;
        return Ok(Write { bytes, gap: Duration::ZERO, gap_latest: Duration::ZERO });
    }
    let section = item.section("")?;
    let gap = section.read("gap", Item::duration)?.unwrap_or(Duration::ZERO);
    let write = Write {
        bytes: section.need("bytes", "the bytes of the write")?.size_within(0..=most)? as u32,
        gap,
        gap_latest: section.read("gap_latest", Item::duration)?.unwrap_or(gap),
    };
    section.finish()?;
    Ok(write)
}

/// Writes the keys of a conversation, one turn per line.
pub(super) fn write_conversation(out: &mut String, conversation: &Conversation) {
    out.push_str("turns = [\n");
    for turn in &conversation.turns {
        let after = match turn.trigger {
            Trigger::Connected => "\"connected\"".to_owned(),
            Trigger::Own => "\"own\"".to_owned(),
            Trigger::Closed => "\"closed\"".to_owned(),
            Trigger::Received(bytes) => format!("{{ received = {bytes} }}"),
        };
        let think = if turn.think.is_zero() {
            String::new()
        } else {
            format!("think = \"{}\", ", duration_text(turn.think))
        };
        let writes: Vec<String> = turn.writes.iter().map(write_text).collect();
        let side = turn.side.name();
        let _ = writeln!(
            out,
            "    {{ side = \"{side}\", after = {after}, {think}writes = [{}] }},",
            writes.join(", ")
        );
    }
    out.push_str("]\n");
    if let Some((side, pause)) = conversation.close {
        let _ =
            writeln!(out, "close = {{ side = \"{}\", pause = \"{}\" }}", side.name(), duration_text(pause));
    }
    if conversation.cut {
        out.push_str("cut = true\n");
    }
}

fn write_text(write: &Write) -> String {
    let Write { bytes, gap, gap_latest } = write;
    if gap.is_zero() && gap_latest.is_zero() {
        return bytes.to_string();
    }
    let latest = if gap_latest == gap {
        String::new()
    } else {
        format!(", gap_latest = \"{}\"", duration_text(*gap_latest))
    };
    format!("{{ bytes = {bytes}, gap = \"{}\"{latest} }}", duration_text(*gap))
}
