//! What do the applications say to each other, and when? The workload that a capture becomes.

use std::ops::Range;
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

impl Conversation {
    /// The exchanges: a turn of the client (or several in a row), with the turns of the server that follow it until the
    /// client speaks again.
    ///
    /// An exchange lasts from the client's first write of its request to the moment at which the client has read the
    /// last byte of the answer. What the server says unasked at the beginning, and what the client says at the end
    /// without being answered, belongs to no exchange.
    #[must_use]
    pub fn exchanges(&self) -> Vec<ExchangeTurns> {
        let mut exchanges = Vec::new();
        let mut at = 0;
        while at < self.turns.len() {
            let request_turns = self.run_of(Side::Client, at);
            let answer_turns = self.run_of(Side::Server, request_turns.end);
            at = answer_turns.end;
            if !request_turns.is_empty() && !answer_turns.is_empty() {
                exchanges.push(ExchangeTurns { request_turns, answer_turns });
            }
        }
        exchanges
    }

    /// The turns from `begin` on that are all of one side.
    fn run_of(&self, side: Side, begin: usize) -> Range<usize> {
        let length = self.turns[begin..].iter().take_while(|turn| turn.side == side).count();
        begin..begin + length
    }

    /// The first turn of `side` at index `from` or behind; the number of turns when there is none.
    #[must_use]
    pub fn next_turn_of(&self, side: Side, from: usize) -> usize {
        let later = self.turns.get(from..).unwrap_or_default();
        later.iter().position(|turn| turn.side == side).map_or(self.turns.len(), |at| from + at)
    }

    /// Bytes that one side says in all.
    #[must_use]
    pub fn bytes_of(&self, side: Side) -> u64 {
        self.turns.iter().filter(|turn| turn.side == side).map(Turn::bytes).sum()
    }
}

/// One exchange of a conversation, as indices of its turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeTurns {
    /// The client's turns that ask.
    pub request_turns: Range<usize>,
    /// The server's turns that answer.
    pub answer_turns: Range<usize>,
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
    /// The peer has closed its end: this side has read the end of the stream.
    Closed,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(side: Side) -> Turn {
        let write = Write { bytes: 1, gap: Duration::ZERO, gap_latest: Duration::ZERO };
        Turn { side, trigger: Trigger::Own, think: Duration::ZERO, writes: vec![write] }
    }

    fn conversation(sides: &str) -> Conversation {
        let side = |letter| if letter == 'c' { Side::Client } else { Side::Server };
        Conversation { turns: sides.chars().map(|letter| turn(side(letter))).collect(), ..Default::default() }
    }

    fn exchanges(sides: &str) -> Vec<(Range<usize>, Range<usize>)> {
        conversation(sides).exchanges().into_iter().map(|e| (e.request_turns, e.answer_turns)).collect()
    }

    #[test]
    fn an_exchange_is_a_request_with_all_of_its_answer() {
        assert_eq!(exchanges("cscs"), [(0..1, 1..2), (2..3, 3..4)]);
        assert_eq!(exchanges("ccsss"), [(0..2, 2..5)]);
    }

    #[test]
    fn greetings_and_unanswered_last_words_are_no_exchange() {
        assert_eq!(exchanges("scs"), [(1..2, 2..3)]);
        assert_eq!(exchanges("csc"), [(0..1, 1..2)]);
        assert_eq!(exchanges("ss"), []);
        assert_eq!(exchanges("c"), []);
        assert_eq!(exchanges(""), []);
    }

    #[test]
    fn bytes_are_counted_by_side() {
        let conversation = conversation("cssc");
        assert_eq!(conversation.bytes_of(Side::Client), 2);
        assert_eq!(conversation.bytes_of(Side::Server), 2);
    }
}
