//! Who wrote what, when, after what? Builds the conversation turn by turn.

use narrows_lab::{Conversation, Side, Trigger, Turn, Write};
use std::time::Duration;

/// Turns and writes kept per connection. What comes after is counted in everything else, but not part of the
/// conversation.
const MAX_TURNS: usize = 4096;
const MAX_WRITES: u32 = 16_384;

/// A duration of nanoseconds that may have come out negative where two clocks meet.
pub(crate) fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

/// The conversation while it is being heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    conversation: Conversation,
    current: [Option<usize>; 2],
    writes: u32,
    /// Gaps between writes that nothing held back: count and sum in nanoseconds.
    free_gaps: [(u32, i64); 2],
}

impl Script {
    /// `side` begins to speak.
    pub(crate) fn begin(&mut self, side: Side, trigger: Trigger, think: i64, bytes: u64, late: i64) {
        if self.conversation.cut || self.conversation.turns.len() == MAX_TURNS || self.writes >= MAX_WRITES {
            self.conversation.cut = true;
            return;
        }
        self.current[side.index()] = Some(self.conversation.turns.len());
        let mut writes = Vec::with_capacity(1);
        push(&mut writes, bytes, 0, late);
        self.writes += 1;
        self.conversation.turns.push(Turn { side, trigger, think: duration(think), writes });
    }

    /// `side` writes again within its turn, `gap` after its last write, or as late as `latest`.
    pub(crate) fn write(&mut self, side: Side, bytes: u64, gap: i64, latest: i64) {
        if self.conversation.cut || self.writes >= MAX_WRITES {
            self.conversation.cut = true;
            return;
        }
        if let Some(turn) = self.turn(side) {
            push(&mut turn.writes, bytes, gap, latest);
            self.writes += 1;
        }
    }

    /// More bytes of `side`'s last write.
    pub(crate) fn extend(&mut self, side: Side, bytes: u64) {
        if self.conversation.cut {
            return;
        }
        let Some(turn) = self.turn(side) else { return };
        match turn.writes.last_mut() {
            Some(write) if u64::from(write.bytes) + bytes <= u64::from(u32::MAX) => {
                write.bytes += bytes as u32
            }
            _ => push(&mut turn.writes, bytes, 0, 0),
        }
    }

    /// Remembers how long `side` takes between two writes where nothing holds them back.
    pub(crate) fn free_gap(&mut self, side: Side, gap: i64) {
        let (count, sum) = &mut self.free_gaps[side.index()];
        *count = count.saturating_add(1);
        *sum = sum.saturating_add(gap);
    }

    /// The best guess for a gap that is not to be seen: the usual one, where there is one.
    pub(crate) fn usual_gap(&self, side: Side) -> i64 {
        let (count, sum) = self.free_gaps[side.index()];
        sum.checked_div(i64::from(count)).unwrap_or(0)
    }

    /// True when `side` has said something.
    pub(crate) fn has_spoken(&self, side: Side) -> bool {
        self.current[side.index()].is_some()
    }

    /// `side` closes `after` both have finished.
    pub(crate) fn close(&mut self, side: Side, after: i64) {
        if self.conversation.close.is_none() {
            self.conversation.close = Some((side, duration(after)));
        }
    }

    /// What was said.
    pub(crate) fn finish(mut self) -> Conversation {
        for turn in &mut self.conversation.turns {
            turn.writes.shrink_to_fit();
        }
        self.conversation.turns.shrink_to_fit();
        self.conversation
    }

    fn turn(&mut self, side: Side) -> Option<&mut Turn> {
        self.current[side.index()].and_then(|n| self.conversation.turns.get_mut(n))
    }
}

fn push(writes: &mut Vec<Write>, bytes: u64, gap: i64, latest: i64) {
    let gap = duration(gap);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    writes.push(Write { bytes, gap, gap_latest: duration(latest).max(gap) });
}
