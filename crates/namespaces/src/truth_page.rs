//! How do the pages about the lab's truth write a comparison? The words and cells that all of them have.

use crate::compare::{Comparison, Row, with_spread};
use std::fmt::Write as _;

/// What a row begins with: the title, and whether real packets came late.
pub(crate) fn titled(comparison: &Comparison) -> String {
    let late = if comparison.late_repetitions > 0 { " (the machine was busy)" } else { "" };
    format!("{}{late}", comparison.title)
}

/// By how much ours differs from Linux's, in bold where that is not `near` enough.
pub(crate) fn difference(row: &Row, near: bool) -> String {
    let text = row.difference().map_or_else(|| "–".to_owned(), |part| format!("{:+.1} %", part * 100.0));
    if near { text } else { format!("**{text}**") }
}

/// The same with the interval in which it lies with 95 % probability, where that can be said.
pub(crate) fn difference_within(row: &Row, near: bool) -> String {
    let signed = |part: f64| format!("{:+.1}", part * 100.0);
    let interval = row.interval().map(|(least, most)| format!(" ({} to {})", signed(least), signed(most)));
    format!("{}{}", difference(row, near), interval.unwrap_or_default())
}

/// The difference of the medians is no chance of the seeds: zero lies outside of its interval.
pub(crate) fn is_no_chance(row: &Row) -> bool {
    row.interval().is_some_and(|(least, most)| least > 0.0 || most < 0.0)
}

/// Two cells: ours, in bold where its median is outside of the spread of Linux's runs, and Linux's.
pub(crate) fn counted(page: &mut String, row: &Row) {
    spread_out(page, row, |number| format!("{number:.0}"));
}

/// The same of what is no whole number.
pub(crate) fn spread_out(page: &mut String, row: &Row, number: impl Fn(f64) -> String + Copy) {
    let ours = with_spread(&row.ours, number);
    let ours = if row.is_within_spread() { ours } else { format!("**{ours}**") };
    let _ = write!(page, " {ours} | {} |", with_spread(&row.linux, number));
}

/// Seconds as milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.0}", seconds * 1e3)
}
