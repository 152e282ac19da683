//! What does the table look like as a page to read?

use super::{Fix, KNOBS, Knob};
use crate::profile::{NAMES, Profile};
use std::fmt::Write;

/// The table as Markdown: `docs/knobs.md`.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Knobs\n\n\
         Every setting that narrows can turn, by its only name. Printed from the table in `crates/stack/src/knob/table.rs`:\n\
         `cargo run -p narrows-stack --example knobs > docs/knobs.md`.\n\n",
    );
    let _ = writeln!(page, "| knob | scope | values | {} |", NAMES.join(" | "));
    let _ = writeln!(page, "|---|---|---|{}", "---|".repeat(NAMES.len()));
    for knob in KNOBS {
        let _ =
            write!(page, "| [{0}](#{0}) | {1} | {2} |", knob.name, knob.scope.name(), knob.kind.expected());
        for name in NAMES {
            let value = Profile::by_name(name).and_then(|profile| profile.knobs.get(knob.name));
            let _ = write!(page, " {} |", value.as_deref().unwrap_or("–"));
        }
        page.push('\n');
    }
    for knob in KNOBS {
        section(&mut page, knob);
    }
    page
}

fn section(page: &mut String, knob: &Knob) {
    let mut sentence: Vec<char> = knob.trades.chars().collect();
    if let Some(first) = sentence.first_mut() {
        *first = first.to_ascii_uppercase();
    }
    let _ = writeln!(page, "\n## {}\n\n{}.", knob.name, sentence.into_iter().collect::<String>());
    for fix in knob.fixes {
        let value = if fix.value == Fix::ANY { String::new() } else { format!(", `{}`", fix.value) };
        let _ = writeln!(page, "\n{}{value}:\n", fix.system);
        for line in fix.lines {
            let _ = writeln!(page, "    {line}");
        }
    }
}
