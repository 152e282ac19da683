//! From captured segments to connections.

mod connect;
pub(crate) mod direction;
pub(crate) mod event;
mod flow;
mod segment;
pub(crate) mod sizes;
mod table;

pub use segment::Segment;
pub use table::{Analysis, Analyzer, AnalyzerOptions};

#[cfg(test)]
mod tests;
