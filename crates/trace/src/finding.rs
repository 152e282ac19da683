//! What is a finding? A cause seen in evidence.

use narrows_lab::Side;
use std::time::Duration;

/// What makes a connection slow. The names are those of the JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// `nagle-delayed-ack`: a small segment was held by Nagle until the peer's delayed ACK came.
    NagleDelayedAck,
    /// `nagle-without-delayed-ack`: a small segment was held by Nagle for a round trip, the ACK came at once.
    NagleWithoutDelayedAck,
    /// `server-think-time`: the server's application took its time.
    ServerThinkTime,
}

impl Cause {
    /// The cause's name in JSON and in captures' truth files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::NagleDelayedAck => "nagle-delayed-ack",
            Cause::NagleWithoutDelayedAck => "nagle-without-delayed-ack",
            Cause::ServerThinkTime => "server-think-time",
        }
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The capture hides what would prove it.
    Low,
    /// Seen, but with gaps in the evidence.
    Medium,
    /// Every step was seen.
    High,
}

/// A cause seen in evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What.
    pub cause: Cause,
    /// Which side does it: for Nagle the side that writes, for thinking the side that thinks.
    pub side: Side,
    /// How often.
    pub count: u32,
    /// Time lost in all.
    pub lost: Duration,
    /// Packet numbers that show it, one per occurrence (the packet that was held), at most some hundred.
    pub evidence: Vec<u64>,
    /// How sure.
    pub confidence: Confidence,
    /// The reason in one sentence with the measured numbers.
    pub why: String,
}
