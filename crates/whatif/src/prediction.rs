//! What comes out: the replay as found, and one prediction per turned knob.

use crate::Afterwards;
use narrows_lab::Side;
use std::time::Duration;

/// Above this model error nothing is predicted.
pub const MODEL_ERROR_LIMIT: f64 = 0.10;

/// Which side's knob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnobSide {
    /// The side that opened the connection.
    Client,
    /// The side that accepted it.
    Server,
    /// Both sides at once.
    Both,
    /// Something between them.
    Path,
}

impl KnobSide {
    /// `client`, `server`, `both` or `path`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            KnobSide::Client => "client",
            KnobSide::Server => "server",
            KnobSide::Both => "both",
            KnobSide::Path => "path",
        }
    }
}

impl From<Side> for KnobSide {
    fn from(side: Side) -> KnobSide {
        match side {
            Side::Client => KnobSide::Client,
            Side::Server => KnobSide::Server,
        }
    }
}

/// A knob turned: `client.nodelay=true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turning {
    /// The knob's name in the table (`narrows_stack::knob`).
    pub knob: String,
    /// Whose.
    pub side: KnobSide,
    /// To what, in the words of the table.
    pub value: String,
    /// How, where there is more than one way (`socket`, `route`).
    pub by: Option<String>,
}

/// A time as captured or replayed, and what it would become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// As captured.
    pub before: Duration,
    /// With the knob turned.
    pub after: Duration,
    /// The lowest it may become.
    pub low: Duration,
    /// The highest it may become.
    pub high: Duration,
}

/// What turning one knob would give.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The knob turned.
    pub turning: Turning,
    /// For the connection's duration.
    pub duration: Estimate,
    /// For the mean exchange, where the conversation has exchanges.
    pub exchange: Option<Estimate>,
    /// Packets in both directions: before, after.
    pub packets: (u64, u64),
    /// It takes at least as long: the capture ended before all was said, and only what it has is in the prediction.
    pub at_least: bool,
}

/// How the connection comes out when it is replayed as found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replay {
    /// Duration in the capture and in the replay.
    pub duration: (Duration, Duration),
    /// Mean exchange in the capture and in the replay.
    pub exchange: Option<(Duration, Duration)>,
    /// The larger of the two relative differences, signed: positive when the replay is slower.
    pub error: f64,
}

/// Everything that is predicted for one connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WhatIf {
    /// The replay as found; `None` when the world could not be built.
    pub replay: Option<Replay>,
    /// One per turned knob, in the order of worth.
    pub predictions: Vec<Prediction>,
    /// What was lost after the stall of a black hole, besides the stall.
    pub afterwards: Option<Afterwards>,
    /// Why nothing is predicted, in one sentence.
    pub refused: Option<String>,
}
