//! What does `narrows explain` do? Reads each file, has predicted what is shown, prints it, and judges how it ended.

use crate::args::ExplainArguments;
use crate::exit::Outcome;
use crate::page::{self, Look, Request};
use crate::progress::Progress;
use crate::report::{Damage, Examined, FileReport, OtherCapture, ranking};
use crate::{json, turning};
use narrows_trace::{Connection, DatagramFlow, both_ends};
use narrows_whatif::{DatagramWhatIf, TurnError, Turning, WhatIf, scenario_of};
use std::io::{self, Write};
use std::path::Path;

/// Why there is nothing at all to show of a file.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// The file, what happened, and what to do.
    pub message: String,
    /// What that means for the exit status.
    pub outcome: Outcome,
}

/// Reads a file and finds its connections.
type Read<'a> = dyn Fn(&Path) -> Result<FileReport, Unreadable> + 'a;
/// Replays a connection and turns the knobs that fit its findings, and these.
type Predict<'a> = dyn Fn(&Connection, &[Turning]) -> Result<WhatIf, TurnError> + 'a;

/// Replays a flow of datagrams with other sizes: one that fits, and these.
type PredictDatagrams<'a> = dyn Fn(&DatagramFlow, &[Turning]) -> Result<Vec<DatagramWhatIf>, TurnError> + 'a;

/// What does the work: `trace` and `whatif`, or values made by hand in tests.
pub struct Workshop<'a> {
    /// Reads a file.
    pub read: &'a Read<'a>,
    /// Predicts.
    pub predict: &'a Predict<'a>,
    /// Predicts for datagrams.
    pub predict_datagrams: &'a PredictDatagrams<'a>,
}

/// Explains each file in turn: results to `out`, errors and notes to `notes`.
///
/// # Errors
/// Those of `out`, except that a reader who has gone away is no error.
pub fn run(
    arguments: &ExplainArguments,
    look: Look,
    workshop: &Workshop<'_>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::Quiet;
    let mut printed = false;
    let mut earlier = Vec::new();
    for file in &arguments.files {
        let (text, of_this) = one(arguments, look, workshop, file, &mut earlier, notes);
        outcome = outcome.max(of_this);
        if text.is_empty() {
            continue;
        }
        let separator = if printed && !arguments.json { "\n" } else { "" };
        match write!(out, "{separator}{text}").and_then(|()| out.flush()) {
            Ok(()) => printed = true,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error),
        }
    }
    Ok(outcome)
}

fn one(
    arguments: &ExplainArguments,
    look: Look,
    workshop: &Workshop<'_>,
    file: &Path,
    earlier: &mut Vec<(String, Vec<Connection>)>,
    notes: &mut dyn Write,
) -> (String, Outcome) {
    let mut report = match (workshop.read)(file) {
        Ok(report) => report,
        Err(unreadable) => {
            note(notes, look, &unreadable.message);
            let text = if arguments.json { json_of_unreadable(file, &unreadable) } else { String::new() };
            return (text, unreadable.outcome);
        }
    };
    if arguments.files.len() > 1 {
        compare(arguments, &mut report, earlier);
    }
    let mut outcome = Outcome::Quiet;
    if let Some(damage) = &report.damage {
        note(notes, look, &damage.message);
        outcome = Outcome::Unusable;
    }
    if let Some(problem) = missing_connection(arguments, &report) {
        note(notes, look, &problem);
        outcome = Outcome::Unusable;
    }
    let considered =
        |examined: &Examined| arguments.connection.is_none_or(|number| examined.connection.number == number);
    if report
        .connections
        .iter()
        .filter(|examined| considered(examined))
        .any(|examined| arguments.fail_on.is_reached_by(&examined.connection))
    {
        outcome = outcome.max(Outcome::Findings);
    }
    // Where there are no datagrams, their size is refused as any knob that a connection does not have.
    let has_flows = !report.datagram_flows.is_empty() && arguments.connection.is_none();
    let of_datagrams = |turning: &&Turning| has_flows && turning.knob == "datagram_size";
    let (sizes, turnings): (Vec<&Turning>, Vec<&Turning>) = arguments.turn.iter().partition(of_datagrams);
    let [sizes, turnings] = [sizes, turnings].map(|some| some.into_iter().cloned().collect::<Vec<_>>());
    outcome = outcome.max(predict(arguments, &turnings, look, workshop, &mut report, notes));
    if has_flows {
        outcome = outcome.max(predict_datagrams(&sizes, look, workshop, &mut report, notes));
    }
    if let Some(out) = &arguments.scenario {
        outcome = outcome.max(write_scenario(arguments, look, &report, out, notes));
    }
    let text = if arguments.json {
        match json::render(&report, arguments.connection) {
            Ok(line) => line + "\n",
            Err(error) => {
                note(notes, look, &format!("{}: {error}", report.name));
                outcome = Outcome::Unusable;
                String::new()
            }
        }
    } else {
        let request = Request { connection: arguments.connection, evidence: arguments.evidence };
        page::render(&report, request, look)
    };
    (text, outcome)
}

/// Finds the connections that captures given earlier have, too, tells this capture's what both show, and keeps them as they were
/// for those that come later.
fn compare(
    arguments: &ExplainArguments,
    report: &mut FileReport,
    earlier: &mut Vec<(String, Vec<Connection>)>,
) {
    let alone: Vec<Connection> =
        report.connections.iter().map(|examined| examined.connection.clone()).collect();
    let here: Vec<&Connection> = alone.iter().collect();
    let wanted = |number| arguments.connection.is_none_or(|only| only == number);
    report.other_captures = earlier
        .iter()
        .map(|(name, there)| {
            let mut connections = both_ends(&there.iter().collect::<Vec<_>>(), &here);
            connections.retain(|ends| wanted(ends.numbers[1]));
            OtherCapture { name: name.clone(), connections }
        })
        .filter(|other| !other.connections.is_empty())
        .collect();
    for examined in &mut report.connections {
        let number = examined.connection.number;
        let pairs = report.other_captures.iter().flat_map(|other| &other.connections);
        if let Some(ends) = pairs.into_iter().find(|ends| ends.numbers[1] == number) {
            ends.tell(1, &mut examined.connection);
        }
    }
    earlier.push((report.name.clone(), alone));
}

/// Replays the connections that have findings and are shown, or for which it was asked.
fn predict(
    arguments: &ExplainArguments,
    turnings: &[Turning],
    look: Look,
    workshop: &Workshop<'_>,
    report: &mut FileReport,
    notes: &mut dyn Write,
) -> Outcome {
    let connections: Vec<&Connection> =
        report.connections.iter().map(|examined| &examined.connection).collect();
    let request = Request { connection: arguments.connection, evidence: None };
    let asked = arguments.connection.is_some() || !turnings.is_empty();
    let shown = page::in_full(&connections, request);
    let wanted: Vec<usize> = (0..connections.len())
        .filter(|index| shown.contains(index) || (arguments.json && arguments.connection.is_none()))
        .filter(|&index| asked || !connections[index].findings.is_empty())
        .collect();
    if wanted.is_empty() && !turnings.is_empty() && !connections.is_empty() {
        let turnings: Vec<String> = turnings.iter().map(turning::spell).collect();
        let text = format!(
            "{}: nothing to turn {} for: choose a connection with --connection N",
            report.name,
            turnings.join(", ")
        );
        note(notes, look, &text);
    }
    let mut progress = Progress::steps("replaying", wanted.len() as u64);
    for (done, index) in (1..).zip(wanted) {
        let examined = &mut report.connections[index];
        match (workshop.predict)(&examined.connection, turnings) {
            Ok(what_if) => examined.what_if = Some(what_if),
            Err(error) => {
                note(notes, look, &format!("--turn: {error}"));
                return Outcome::Unusable;
            }
        }
        progress.set(done);
    }
    Outcome::Quiet
}

/// Replays the flows of datagrams that have findings and are shown, or all that go in pieces when a size was asked for.
fn predict_datagrams(
    sizes: &[Turning],
    look: Look,
    workshop: &Workshop<'_>,
    report: &mut FileReport,
    notes: &mut dyn Write,
) -> Outcome {
    let mut predicted = Vec::new();
    let worth = |flow: &&DatagramFlow| !sizes.is_empty() || !flow.findings.is_empty();
    for flow in report.datagram_flows.iter().filter(worth).take(page::FLOWS_SHOWN) {
        match (workshop.predict_datagrams)(flow, sizes) {
            Ok(what_ifs) => predicted.extend(what_ifs.into_iter().map(|what_if| (flow.number, what_if))),
            Err(error) => {
                note(notes, look, &format!("--turn: {error}"));
                return Outcome::Unusable;
            }
        }
    }
    if predicted.is_empty() && !sizes.is_empty() {
        let text = format!("{}: no datagrams in pieces to turn datagram_size for", report.name);
        note(notes, look, &text);
    }
    report.datagram_what_ifs = predicted;
    Outcome::Quiet
}

/// Writes the model of the connection that was asked for, or is shown first, as a scenario of the lab.
fn write_scenario(
    arguments: &ExplainArguments,
    look: Look,
    report: &FileReport,
    out: &Path,
    notes: &mut dyn Write,
) -> Outcome {
    let connections: Vec<&Connection> =
        report.connections.iter().map(|examined| &examined.connection).collect();
    let chosen = ranking(&connections)
        .into_iter()
        .map(|index| connections[index])
        .find(|connection| arguments.connection.is_none_or(|number| connection.number == number));
    let Some(connection) = chosen else {
        note(notes, look, &format!("{}: no connection to write to {}", report.name, out.display()));
        return Outcome::Unusable;
    };
    let name = out.file_stem().map_or_else(|| "captured".into(), |stem| stem.to_string_lossy());
    let (number, path, out) = (connection.number, out, out.display());
    let scenario = match scenario_of(connection, &name) {
        Ok((scenario, _)) => scenario,
        Err(why) => {
            note(notes, look, &format!("{}: connection {number} not written to {out}: {why}", report.name));
            return Outcome::Unusable;
        }
    };
    match std::fs::write(path, scenario.to_toml()) {
        Ok(()) => {
            note(notes, look, &format!("connection {number} is in {out} now: narrows lab run {out}"));
            Outcome::Quiet
        }
        Err(error) => {
            note(notes, look, &format!("{out}: {error}"));
            Outcome::Unusable
        }
    }
}

fn missing_connection(arguments: &ExplainArguments, report: &FileReport) -> Option<String> {
    let number = arguments.connection?;
    if report.connections.iter().any(|examined| examined.connection.number == number) {
        return None;
    }
    let numbers = match report.connections.last() {
        Some(last) => format!("they are numbered up to {}", last.connection.number),
        None => "there is none".to_owned(),
    };
    Some(format!("{}: no TCP connection {number}, {numbers}", report.name))
}

fn json_of_unreadable(file: &Path, unreadable: &Unreadable) -> String {
    let report = FileReport {
        name: file.display().to_string(),
        damage: Some(Damage { offset_bytes: None, message: unreadable.message.clone() }),
        ..FileReport::default()
    };
    json::render(&report, None).map(|line| line + "\n").unwrap_or_default()
}

/// A note on stderr; if even that fails there is nobody left to tell.
fn note(notes: &mut dyn Write, look: Look, text: &str) {
    let _ = writeln!(notes, "narrows: {}", look.spell(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Arguments;
    use crate::sample;
    use clap::Parser;
    use narrows_whatif::KnobSide;
    use std::cell::RefCell;

    /// Runs with hand-made files: what is on stdout, on stderr, the outcome, and which connections were replayed.
    fn run_with(arguments: &[&str]) -> (String, String, Outcome, Vec<u32>) {
        let arguments =
            Arguments::try_parse_from(["narrows"].iter().chain(arguments)).expect("valid arguments").explain;
        let replayed = RefCell::new(Vec::new());
        let read = |file: &Path| match file.to_str().expect("a plain name") {
            "nagle" => Ok(sample::file(vec![sample::nagle()])),
            "healthy" => Ok(sample::file(vec![sample::healthy()])),
            "application" => Ok(sample::file(vec![sample::application()])),
            "mixed" => {
                let mut connections = vec![sample::healthy()];
                connections.extend((0..5).map(|_| sample::nagle()));
                Ok(sample::file(connections))
            }
            "damaged" => Ok(sample::damaged()),
            "denied" => Err(Unreadable { message: "denied".to_owned(), outcome: Outcome::NotPermitted }),
            name => Err(Unreadable { message: format!("{name}: gone"), outcome: Outcome::Unusable }),
        };
        let predict = |connection: &Connection, turnings: &[Turning]| {
            replayed.borrow_mut().push(connection.number);
            match turnings.iter().find(|turning| turning.side == KnobSide::Path) {
                Some(turning) => {
                    Err(TurnError::NotInReplay { knob: turning.knob.clone(), why: "it is the path's" })
                }
                None => Ok(sample::nagle().what_if.expect("a replay")),
            }
        };
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let outcome = run(
            &arguments,
            Look::new(80, true),
            &Workshop { read: &read, predict: &predict, predict_datagrams: &|_, _| Ok(Vec::new()) },
            &mut out,
            &mut notes,
        )
        .expect("memory can be written");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(out), text(notes), outcome, replayed.into_inner())
    }

    #[test]
    fn outcomes() {
        for (arguments, outcome) in [
            (&["healthy"][..], Outcome::Quiet),
            (&["nagle"], Outcome::Findings),
            (&["nagle", "--fail-on", "never"], Outcome::Quiet),
            (&["nagle", "--fail-on", "80%"], Outcome::Quiet),
            (&["application"], Outcome::Findings),
            (&["damaged"], Outcome::Unusable),
            (&["missing"], Outcome::Unusable),
            (&["denied"], Outcome::NotPermitted),
            (&["healthy", "nagle", "healthy"], Outcome::Findings),
            (&["nagle", "missing", "healthy"], Outcome::Unusable),
            (&["mixed", "--connection", "1"], Outcome::Quiet),
            (&["mixed", "--connection", "2"], Outcome::Findings),
            (&["mixed", "--connection", "9"], Outcome::Unusable),
            (&["nagle", "--turn", "path.nodelay=true"], Outcome::Unusable),
        ] {
            assert_eq!(run_with(arguments).2, outcome, "{arguments:?}");
        }
    }

    #[test]
    fn a_damaged_file_gives_its_findings_and_an_error_with_the_offset() {
        let (out, notes, ..) = run_with(&["damaged"]);
        assert!(out.contains("Nagle held"));
        assert!(notes.contains("byte 40960"), "{notes}");
    }

    #[test]
    fn every_file_gets_its_page_or_its_line() {
        let (out, notes, ..) = run_with(&["nagle", "missing", "healthy"]);
        assert_eq!(out.matches("slow.pcapng:").count(), 2);
        assert_eq!(notes, "narrows: missing: gone\n");
        let (out, ..) = run_with(&["nagle", "missing", "healthy", "--json"]);
        let errors: Vec<bool> = out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["error"].is_object())
            .collect();
        assert_eq!(errors, [false, true, false]);
    }

    #[test]
    fn only_what_is_shown_is_replayed() {
        assert_eq!(run_with(&["healthy"]).3, [0u32; 0]);
        assert_eq!(run_with(&["application"]).3, [1]);
        assert_eq!(run_with(&["mixed"]).3, [2, 3, 4]);
        assert_eq!(run_with(&["mixed", "--json"]).3, [2, 3, 4, 5, 6]);
        assert_eq!(run_with(&["mixed", "--connection", "1"]).3, [1]);
        assert_eq!(run_with(&["mixed", "--connection", "6", "--json"]).3, [6]);
        assert_eq!(run_with(&["healthy", "--turn", "client.nodelay=true"]).3, [1]);
    }

    #[test]
    fn a_reader_who_has_gone_is_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let arguments = Arguments::try_parse_from(["narrows", "a", "b"]).expect("valid").explain;
        let reads = RefCell::new(0);
        let read = |_: &Path| {
            *reads.borrow_mut() += 1;
            Ok(sample::file(vec![sample::healthy()]))
        };
        let predict = |_: &Connection, _: &[Turning]| Ok(WhatIf::default());
        let workshop = Workshop { read: &read, predict: &predict, predict_datagrams: &|_, _| Ok(Vec::new()) };
        let outcome = run(&arguments, Look::new(80, true), &workshop, &mut Gone, &mut io::sink());
        assert_eq!(outcome.expect("no error"), Outcome::Quiet);
        assert_eq!(reads.into_inner(), 1);
    }
}
