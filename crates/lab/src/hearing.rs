//! Which of the peer's turns is being read, and which have been read to their end?

use crate::conversation::{Conversation, Side, Turn};
use crate::player::PlayerLog;
use narrows_stack::Instant;
use std::sync::Arc;

/// One side's place in what the peer says: the same for an application of the lab and a program on real sockets.
#[derive(Debug)]
pub struct Hearing {
    /// Who speaks.
    speaker: Side,
    conversation: Arc<Conversation>,
    read_bytes: u64,
    /// The turn that is being read, and where it ends in the stream.
    turn: usize,
    turn_end: u64,
}

impl Hearing {
    /// `side` has read nothing yet.
    #[must_use]
    pub fn new(side: Side, conversation: Arc<Conversation>) -> Hearing {
        let mut hearing = Hearing { speaker: side.peer(), conversation, read_bytes: 0, turn: 0, turn_end: 0 };
        hearing.go_to_turn(0);
        hearing
    }

    /// How much has been read in all.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The turn that is being read, or waited for; `None` when there is none left.
    #[must_use]
    pub fn turn(&self) -> Option<&Turn> {
        self.conversation.turns.get(self.turn)
    }

    /// `bytes` more have been read; notes which turns have begun to be read, and which have been read to their end.
    pub fn read(&mut self, now: Instant, bytes: usize, log: &mut PlayerLog) {
        self.read_bytes += bytes as u64;
        log.last_read = Some(now);
        while let Some(length) = self.turn().map(Turn::bytes) {
            if self.read_bytes <= self.turn_end - length {
                return;
            }
            let entry = log.read[self.turn].get_or_insert((now, None));
            if self.read_bytes < self.turn_end {
                return;
            }
            entry.1 = Some(now);
            self.go_to_turn(self.turn + 1);
        }
    }

    /// Goes to the next turn from there on that says anything at all.
    fn go_to_turn(&mut self, from: usize) {
        self.turn = self.conversation.next_turn_of(self.speaker, from);
        while self.turn().is_some_and(|turn| turn.bytes() == 0) {
            self.turn = self.conversation.next_turn_of(self.speaker, self.turn + 1);
        }
        self.turn_end += self.turn().map_or(0, Turn::bytes);
    }
}
