//! Which sizes arrive in this direction, as the acknowledgments show at or before the place where larger ones vanish?
//!
//! Only packets larger than the largest that is known to have arrived are looked at, so that a connection in order costs
//! a comparison per packet.

use super::{LEAST_MTU, Vanishing};

/// Packets on their way that are larger than what has arrived; more than a first flight.
const MAX_TRIES: usize = 96;
/// Vanished packets that are kept, the others are counted.
const MAX_VANISHED: usize = 96;
/// A packet without an acknowledgment for as long as this has not arrived: less than the smallest retransmission
/// timeout (200 ms on Linux), more than a delayed ACK.
const UNANSWERED_NS: u64 = 180_000_000;

#[derive(Clone, Copy, Debug)]
struct Try {
    bytes: u32,
    start: u64,
    end: u64,
    time: u64,
    number: u32,
    /// Size of the last packet that carried some of the same bytes again.
    again: Option<u32>,
    /// It carried bytes that had been sent before.
    repeats: bool,
}

/// The packets of one direction, by size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passage {
    /// The largest packet known to have arrived, bytes; before the first acknowledgment the SYN's.
    passed: u32,
    answered: bool,
    tries: Vec<Try>,
    vanished: Vec<Try>,
    uncounted: u32,
    /// Nothing from this offset on has arrived since something larger than `passed` was sent again: when that was first
    /// sent.
    stalled: Option<(u64, u64)>,
    /// When it went on, and with packets of which size.
    went_on: Option<(u64, u32)>,
    last_sent: (u64, u32),
}

impl Passage {
    /// A SYN of this size left.
    pub(crate) fn opened(&mut self, bytes: u32) {
        if !self.answered {
            self.passed = self.passed.max(bytes);
        }
    }

    /// The largest packet that is known to have arrived, bytes.
    pub(crate) fn passed(&self) -> u32 {
        if self.answered { self.passed } else { 0 }
    }

    /// A packet of `bytes` left with payload `start..end`; `again`: the payload had been sent before.
    pub(crate) fn sent(&mut self, start: u64, end: u64, bytes: u32, time: u64, number: u32, again: bool) {
        self.last_sent = (start, bytes);
        if again {
            let mut first: Option<(u64, u64)> = None;
            for earlier in self.tries.iter_mut().filter(|t| t.start < end && start < t.end) {
                earlier.again = Some(bytes);
                first = first.or(Some((earlier.start, earlier.time)));
            }
            if self.stalled.is_none() {
                self.stalled = first;
                self.went_on = None;
            }
        }
        if bytes <= self.passed {
            return;
        }
        if self.tries.len() == MAX_TRIES {
            self.uncounted = self.uncounted.saturating_add(1);
            return;
        }
        self.tries.push(Try { bytes, start, end, time, number, again: None, repeats: again });
    }

    /// Everything before `offset` has arrived.
    pub(crate) fn acknowledged(&mut self, offset: u64, time: u64) {
        self.answered = true;
        if self.tries.is_empty() && self.stalled.is_none() {
            return;
        }
        self.arrived(|t| t.end <= offset);
        if let Some((start, _)) = self.stalled
            && offset > start
        {
            if self.vanished.is_empty() && self.tries.is_empty() {
                // It was an ordinary loss: packets of this size arrive.
                (self.stalled, self.uncounted, self.went_on) = (None, 0, None);
            } else if self.went_on.is_none() {
                self.went_on = Some((time, self.last_sent.1));
            }
        }
    }

    /// Of what has not arrived as a whole, `start..end` has (RFC 2018).
    pub(crate) fn acknowledged_beyond(&mut self, start: u64, end: u64) {
        if !self.tries.is_empty() {
            self.arrived(|t| start <= t.start && t.end <= end);
        }
    }

    /// The payload of these has arrived.
    fn arrived(&mut self, payload: impl Fn(&Try) -> bool) {
        let mut passed = self.passed;
        let mut vanished = std::mem::take(&mut self.vanished);
        self.tries.retain(|t| {
            if !payload(t) {
                return true;
            }
            // What was not sent again, or again as large, has arrived; otherwise what arrived was the smaller one.
            if t.again.is_none_or(|bytes| bytes >= t.bytes) {
                passed = passed.max(t.bytes);
            } else if vanished.len() < MAX_VANISHED {
                vanished.push(*t);
            }
            false
        });
        vanished.retain(|t| t.bytes > passed);
        self.tries.retain(|t| t.bytes > passed);
        self.vanished = vanished;
        self.passed = passed;
    }

    /// What has vanished for its size, when the last packet of the connection was at `end`.
    pub(crate) fn vanishing(&self, end: u64) -> Option<Vanishing> {
        let (_, from) = self.stalled?;
        let unanswered = |t: &&Try| t.again.is_some() || end.saturating_sub(t.time) >= UNANSWERED_NS;
        let pending = self.tries.iter().filter(unanswered).filter(|_| self.answered);
        let last = self.tries.last();
        let all: Vec<&Try> = self
            .vanished
            .iter()
            .chain(pending)
            // The last packet of a capture may have no answer only because the capture ends there.
            .chain(last.filter(|t| t.repeats && end.saturating_sub(t.time) < UNANSWERED_NS))
            .filter(|t| t.bytes > LEAST_MTU)
            .collect();
        let vanished = all.iter().map(|t| t.bytes).min()?;
        let mut numbers: Vec<u32> = all.iter().map(|t| t.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let count = (numbers.len() as u32).saturating_add(self.uncounted);
        Some(Vanishing {
            passed: self.passed(),
            vanished,
            count,
            largest: all.iter().filter(|t| Some(t.bytes) == all.iter().map(|t| t.bytes).max()).count() as u32,
            repeated: all.iter().filter(|t| t.repeats).count() as u32,
            from,
            until: self.went_on.map(|(time, _)| time),
            restarted_with: self.went_on.map(|(_, bytes)| bytes),
            numbers,
            never_came: 0,
            from_behind: false,
            timed_out: false,
            after_own: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn flight(passage: &mut Passage, from: u64, time: u64) {
        for n in 0..4 {
            let start = from + n * 1448;
            passage.sent(start, start + 1448, 1500, time, n as u32 + 1, false);
        }
    }

    #[test]
    fn what_is_acknowledged_has_passed() {
        let mut passage = Passage::default();
        passage.opened(60);
        passage.acknowledged(0, 10 * MS);
        assert_eq!(passage.passed(), 60);
        flight(&mut passage, 0, 11 * MS);
        passage.acknowledged(2896, 30 * MS);
        assert_eq!(passage.passed(), 1500);
        assert_eq!(passage.vanishing(1000 * MS), None);
    }

    #[test]
    fn a_loss_repaired_in_the_same_size_is_no_matter_of_size() {
        let mut passage = Passage::default();
        passage.acknowledged(0, 10 * MS);
        flight(&mut passage, 0, 11 * MS);
        passage.sent(0, 1448, 1500, 250 * MS, 9, true);
        passage.acknowledged(1448, 270 * MS);
        assert_eq!((passage.passed(), passage.vanishing(1000 * MS)), (1500, None));
    }

    #[test]
    fn full_segments_that_only_arrive_cut_smaller_have_vanished() {
        let mut passage = Passage::default();
        passage.opened(60);
        passage.acknowledged(0, 10 * MS);
        flight(&mut passage, 0, 11 * MS);
        for (n, time) in [(5, 250), (6, 700), (7, 1600)] {
            passage.sent(0, 1448, 1500, time * MS, n, true);
        }
        passage.sent(0, 1024, 1076, 3400 * MS, 8, true);
        passage.acknowledged(1024, 3420 * MS);
        passage.sent(1024, 1448, 476, 3421 * MS, 9, true);
        passage.acknowledged(1448, 3440 * MS);
        for n in 1..4 {
            passage.sent(n * 1448, n * 1448 + 1024, 1076, 3441 * MS, 9, true);
            passage.sent(n * 1448 + 1024, (n + 1) * 1448, 476, 3442 * MS, 9, true);
        }
        // A probe of a size in between is lost, and one is not.
        passage.sent(5792, 7128, 1388, 3500 * MS, 10, false);
        passage.acknowledged(7128, 3520 * MS);
        let found = passage.vanishing(4000 * MS).unwrap();
        assert_eq!((found.passed, found.vanished, found.count, found.repeated), (1388, 1500, 7, 3));
        assert_eq!((found.from, found.until, found.restarted_with), (11 * MS, Some(3420 * MS), Some(1076)));
    }

    #[test]
    fn what_is_acknowledged_beyond_a_gap_has_passed() {
        let mut passage = Passage::default();
        passage.opened(60);
        passage.acknowledged(0, 10 * MS);
        for n in 0..3 {
            passage.sent(n * 1448, (n + 1) * 1448, 1500, 11 * MS, n as u32 + 1, false);
        }
        passage.sent(4344, 5000, 708, 11 * MS, 4, false);
        passage.acknowledged_beyond(4344, 5000);
        passage.sent(0, 1448, 1500, 250 * MS, 5, true);
        passage.sent(0, 1448, 1500, 700 * MS, 6, true);
        let found = passage.vanishing(3000 * MS).unwrap();
        assert_eq!((found.passed, found.vanished, found.count), (708, 1500, 5));
        // A full one beyond the gap: it was loss.
        passage.sent(5000, 6448, 1500, 800 * MS, 7, false);
        passage.acknowledged_beyond(4344, 6448);
        assert_eq!(passage.vanishing(3000 * MS), None);
    }

    #[test]
    fn what_is_never_acknowledged_has_vanished_when_smaller_packets_were() {
        let mut passage = Passage::default();
        passage.opened(60);
        passage.acknowledged(0, 10 * MS);
        passage.sent(0, 99, 151, 11 * MS, 1, false);
        for n in 0..3 {
            passage.sent(99 + n * 1448, 1547 + n * 1448, 1500, 12 * MS, n as u32 + 2, false);
        }
        passage.acknowledged(99, 60 * MS);
        passage.sent(99, 1547, 1500, 250 * MS, 5, true);
        passage.sent(99, 1547, 1500, 700 * MS, 6, true);
        let found = passage.vanishing(700 * MS).unwrap();
        assert_eq!((found.passed, found.vanished, found.count, found.until), (151, 1500, 5, None));
    }
}
