//! The `narrows` command: arguments in, tables, JSON and pages out; no knowledge of its own.

mod args;
mod exit;
mod explain;
mod json;
mod manual;
mod page;
mod progress;
mod report;
#[cfg(test)]
mod sample;
mod terminal;
mod threshold;
mod turning;
mod units;

fn main() {}
