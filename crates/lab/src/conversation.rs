//! What do the applications say to each other, and when? The workload that a capture becomes.

use std::time::Duration;

/// One of the two ends of a connection: the one that opened it, or the one that accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The end that opened the connection.
    Client,
    /// The end that accepted it.
    Server,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn peer(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// 0 for the client, 1 for the server: an index into pairs.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Side::Client => 0,
            Side::Server => 1,
        }
    }

    /// `client` or `server`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// What two applications say to each other on one connection.
///
/// The turns are in the order of the capture. Each side works through its own turns in order: a turn begins
/// `think` after both its trigger has come and the side's previous turn has been written completely.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// The turns of both sides.
    pub turns: Vec<Turn>,
    /// Which side closes first after its last turn, and how long after both have finished; `None`: neither.
    pub close: Option<(Side, Duration)>,
    /// More was said after the last turn than is kept here.
    pub cut: bool,
}

/// One side speaks: a message, or several writes in a row without waiting for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub side: Side,
    /// What has to have happened before.
    pub trigger: Trigger,
    /// How long the application takes after the trigger.
    pub think: Duration,
    /// The writes, each one call.
    pub writes: Vec<Write>,
}

impl Turn {
    /// Bytes of all writes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.writes.iter().map(|w| u64::from(w.bytes)).sum()
    }
}

/// What a turn waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The connection is established (as this side sees it).
    Connected,
    /// This side has read this many bytes in all since the conversation's beginning.
    Received(u64),
    /// Nothing but the side's own previous turn: a pause of its own.
    Own,
}

/// One write call.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Bytes written.
    pub bytes: u32,
    /// Time after the turn's previous write (for the first: after the turn began; normally zero).
    pub gap: Duration,
    /// The latest that `gap` can have been: larger than `gap` where the sender held the bytes back and the capture does
    /// not show when they were written.
    pub gap_latest: Duration,
}
