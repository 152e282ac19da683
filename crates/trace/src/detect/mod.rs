//! What is wrong with this connection? One file per question.

pub(crate) mod nagle;
pub(crate) mod think;

/// Packet numbers kept per finding.
pub(crate) const MAX_EVIDENCE: usize = 300;
