//! How is the knob turned on a real system? What one types, from the table of knobs.

use super::look::{DIM, columns, left};
use super::paper::Paper;
use crate::turning;
use crate::units;
use narrows_stack::knob::{self, FixLines};
use narrows_whatif::{Prediction, Turning, WhatIf};
use std::collections::BTreeSet;

/// A fix of at most so many lines is shown even when it is not the best one's.
const SHORT: usize = 3;
/// A knob that takes less than this share off is not recommended.
const WORTH_IT: f64 = 0.05;

/// What to type for the knobs that gain: in full for the best one and wherever it is short; for the others, where it is
/// to be found. `shown` are the turnings that the page has already.
pub fn write(paper: &mut Paper, what_if: &WhatIf, shown: &mut BTreeSet<String>) {
    let mut elsewhere: Vec<&str> = Vec::new();
    let gaining = what_if.predictions.iter().filter(|prediction| gains(prediction));
    let known = gaining
        .map(|prediction| {
            (&prediction.turning, of(&prediction.turning.knob, &table_value(&prediction.turning)))
        })
        .filter(|(_, fixes)| !fixes.is_empty());
    for (index, (turning, fixes)) in known.enumerate() {
        let value = table_value(turning);
        let lines: usize = fixes.iter().map(|fix| fix.lines.len()).sum();
        if index > 0 && lines > SHORT {
            if !elsewhere.contains(&turning.knob.as_str()) {
                elsewhere.push(&turning.knob);
            }
        } else if shown.insert(format!("{}={value}", turning.knob)) {
            paper.blank();
            paper.heading(&format!("How to turn {}", turning::spell(turning)));
            list(paper, &fixes);
        } else {
            paper.blank();
            paper.heading(&format!("How to turn {}: as above", turning::spell(turning)));
        }
    }
    if !elsewhere.is_empty() {
        let commands: Vec<String> = elsewhere.iter().map(|knob| format!("narrows knobs {knob}")).collect();
        paper.blank();
        paper.paragraph("", "", &format!("How to turn the others: {}", commands.join(", ")), DIM);
    }
}

/// The systems and languages, and beside each what one types there.
pub fn list(paper: &mut Paper, fixes: &[FixLines]) {
    let longest = fixes.iter().map(|fix| columns(fix.system)).max().unwrap_or(0);
    for fix in fixes {
        one(paper, fix, longest);
    }
}

fn gains(prediction: &Prediction) -> bool {
    let saved = |before: std::time::Duration, after| units::share(before.saturating_sub(after), before);
    saved(prediction.duration.before, prediction.duration.after) >= WORTH_IT
        || prediction.exchange.is_some_and(|exchange| saved(exchange.before, exchange.after) >= WORTH_IT)
}

/// The ways that give the knob this value, as one types them.
pub fn of(name: &str, value: &str) -> Vec<FixLines> {
    knob::find(name).and_then(|knob| knob.fixes_for(value).ok()).unwrap_or_default()
}

/// The value in the words of the table, where a knob with several ways has the way as its value.
fn table_value(turning: &Turning) -> String {
    turning.by.as_ref().unwrap_or(&turning.value).clone()
}

/// Code is not wrapped: it is there to be copied.
fn one(paper: &mut Paper, fix: &FixLines, longest: usize) {
    let lines: Vec<String> = fix.lines.iter().map(|line| paper.look.spell(line)).collect();
    let room = paper.look.width().saturating_sub(2 + longest + 2);
    if lines.iter().all(|line| columns(line) <= room) {
        for (index, line) in lines.iter().enumerate() {
            let label = left(if index == 0 { fix.system } else { "" }, longest);
            paper.line(format_args!("  {DIM}{label}{DIM:#}  {line}"));
        }
    } else {
        paper.line(format_args!("  {DIM}{}{DIM:#}", fix.system));
        for line in lines {
            paper.line(format_args!("    {line}"));
        }
    }
}
