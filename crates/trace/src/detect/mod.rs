//! What is wrong with this connection? One file per question.

pub(crate) mod between;
pub(crate) mod black_hole;
pub(crate) mod clamped;
pub(crate) mod discovery;
pub(crate) mod fragments;
pub(crate) mod jumbo;
pub(crate) mod nagle;
pub(crate) mod small_segments;
pub(crate) mod think;
mod wording;

/// Packet numbers kept per finding.
pub(crate) const MAX_EVIDENCE: usize = 300;
