//! The `narrows` command: arguments in, tables, JSON and pages out.

fn main() {}
