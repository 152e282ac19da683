//! Which segments are lost, judging by when they were sent? (RFC 8985 §6, with Linux's choices.)
//!
//! A segment sent before one that has arrived since, and not heard of for a round trip and a little more, is lost. The little more
//! is nothing until the path has been seen to reorder, a part of the round trip afterwards.

use super::scoreboard::Scoreboard;
use crate::Instant;
use narrows_wire::Seq;
use std::time::Duration;

/// Recoveries after which a widened window for reordering shrinks again (RFC 8985 §6.2 step 4).
const PERSISTENCE: u8 = 16;

/// What is known about the newest segment that has arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rack {
    /// When it was sent and where it ends.
    newest: Option<(Instant, Seq)>,
    /// Its round trip.
    rtt: Duration,
    /// Something has arrived since losses were last looked for.
    advanced: bool,
    /// Quarters of the smallest round trip that reordered segments may be late.
    steps: u32,
    persist: u8,
    /// Widened already for what was sent before this byte.
    widened_until: Option<Seq>,
}

/// What the search for losses has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Segments newly held for lost.
    pub lost: u32,
    /// How long until the next one will be.
    pub wait: Option<Duration>,
}

impl Rack {
    /// Nothing has arrived yet.
    #[must_use]
    pub fn new() -> Rack {
        Rack { steps: 1, ..Rack::default() }
    }

    /// A segment is newly known to have arrived. `resent`: it had been sent again, and the round trip may be that of the
    /// first copy, so that one that is too short is not believed.
    pub fn on_delivered(
        &mut self,
        now: Instant,
        sent: Instant,
        end: Seq,
        resent: bool,
        minimum: Option<Duration>,
    ) {
        let rtt = now.since(sent);
        if resent && minimum.is_some_and(|minimum| rtt < minimum) {
            return;
        }
        self.advanced = true;
        self.rtt = rtt;
        if self.newest.is_none_or(|newest| sent_after((sent, end), newest)) {
            self.newest = Some((sent, end));
        }
    }

    /// The peer has received something twice: what was sent again was only late (RFC 8985 §6.2 step 4).
    pub fn on_duplicate(&mut self, una: Seq, snd_nxt: Seq) {
        if self.widened_until.is_none_or(|until| until.is_at_or_before(una)) {
            self.steps = (self.steps + 1).min(255);
            self.persist = PERSISTENCE;
            self.widened_until = Some(snd_nxt);
        }
    }

    /// A recovery is over.
    pub fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.steps = 1;
        }
    }

    /// How late a reordered segment may be; `certain`: there is no doubt that something was lost.
    #[must_use]
    pub fn window(&self, certain: bool, minimum: Option<Duration>, srtt: Option<Duration>) -> Duration {
        if certain {
            return Duration::ZERO;
        }
        let part = minimum.unwrap_or(Duration::ZERO) / 4 * self.steps;
        part.min(srtt.unwrap_or(Duration::ZERO))
    }

    /// Whether something has arrived since this was last asked.
    pub fn take_advanced(&mut self) -> bool {
        std::mem::take(&mut self.advanced)
    }

    /// A segment sent at `sent` is not late yet by `window`; then how long until it is.
    fn patience(&self, now: Instant, sent: Instant, window: Duration) -> Option<Duration> {
        (self.rtt + window).checked_sub(now.since(sent)).filter(|left| !left.is_zero())
    }
}

/// Was `a` sent after `b`? What left at one instant left in the order of sequence numbers.
fn sent_after(a: (Instant, Seq), b: (Instant, Seq)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && b.1.is_before(a.1))
}

impl Scoreboard {
    /// Marks lost what is late. Costs what is marked, what is waited for, and what was sent again since.
    pub fn mark_late(&mut self, rack: &Rack, now: Instant, window: Duration) -> Found {
        let mut found = Found::default();
        let Some(newest) = rack.newest else { return found };
        let mut wait = Duration::ZERO;
        let from = self.loss_edge.map_or(0, |done| self.index_of(done));
        let mut edge = None;
        let mut first_lost = None;
        for entry in self.entries.range_mut(from..) {
            if entry.sacked || entry.lost || entry.ever_retransmitted {
                continue;
            }
            if !sent_after(newest, (entry.sent, entry.end)) {
                edge = edge.or(Some(entry.start));
                break;
            }
            if let Some(left) = rack.patience(now, entry.sent, window) {
                edge = edge.or(Some(entry.start));
                wait = wait.max(left);
                continue;
            }
            entry.lost = true;
            found.lost += 1;
            first_lost = first_lost.or(Some(entry.start));
        }
        self.lost += found.lost;
        self.loss_edge = edge.or(self.entries.back().map(|entry| entry.end));
        let mut at = 0;
        while let Some(&(start, sent)) = self.resent.get(at) {
            let index = self.index_of(start);
            let entry = self.entries.get_mut(index).filter(|entry| entry.start == start);
            let Some(entry) = entry.filter(|entry| entry.retransmitted && entry.sent == sent) else {
                // Acknowledged, or sent again later, in the meantime.
                if at == 0 {
                    self.resent.pop_front();
                } else {
                    at += 1;
                }
                continue;
            };
            if !sent_after(newest, (entry.sent, entry.end)) {
                break;
            }
            at += 1;
            if let Some(left) = rack.patience(now, entry.sent, window) {
                wait = wait.max(left);
                continue;
            }
            entry.retransmitted = false;
            self.retransmitted -= 1;
            found.lost += 1;
            self.lost += u32::from(!entry.lost);
            entry.lost = true;
            first_lost = Some(first_lost.map_or(entry.start, |first: Seq| first.earliest(entry.start)));
        }
        if let (Some(first), Some(next)) = (first_lost, &mut self.next_retransmission) {
            *next = next.earliest(first);
        }
        found.wait = (!wait.is_zero()).then_some(wait);
        found
    }

    /// The retransmission timer has expired: lost is what has not been SACKED and is late even for a path that reorders; what was
    /// sent only just now may still arrive. The first one is lost in any case.
    pub fn mark_expired(&mut self, rack: &Rack, now: Instant, window: Duration) {
        self.lost = 0;
        self.retransmitted = 0;
        self.set_duplicates(0);
        self.resent.clear();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let recent =
                index > 0 && rack.newest.is_some() && rack.patience(now, entry.sent, window).is_some();
            if recent && entry.retransmitted {
                self.retransmitted += 1;
            } else {
                entry.retransmitted = false;
            }
            entry.lost = !entry.sacked && (!recent || entry.lost);
            self.lost += u32::from(entry.lost);
        }
        self.next_retransmission = None;
        self.loss_edge = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Ten segments of 1000 bytes sent at 0; the block `sacked` arrives at `at`.
    fn board(sacked: std::ops::Range<u32>, at: u64) -> (Scoreboard, Rack) {
        let (mut board, mut rack) = (Scoreboard::new(), Rack::new());
        board.on_sent(Seq(0)..Seq(10_000), 1000, Instant::ZERO, false);
        let block = Seq(sacked.start)..Seq(sacked.end);
        board.on_ack(Seq(0), std::slice::from_ref(&block), Instant::from_millis(at), &mut rack, None);
        (board, rack)
    }

    #[test]
    fn what_was_sent_before_the_newest_arrival_is_lost_when_a_round_trip_has_passed() {
        let (mut board, rack) = board(7000..8000, 100);
        let found = board.mark_late(&rack, Instant::from_millis(100), Duration::ZERO);
        assert_eq!(found, Found { lost: 7, wait: None });
        assert_eq!(board.lost(), 7);
    }

    #[test]
    fn a_path_that_may_reorder_is_given_a_quarter_of_the_round_trip() {
        let (mut board, rack) = board(7000..8000, 100);
        let window = rack.window(false, Some(ms(100)), Some(ms(100)));
        assert_eq!(window, ms(25));
        let found = board.mark_late(&rack, Instant::from_millis(100), window);
        assert_eq!(found, Found { lost: 0, wait: Some(ms(25)) });
        assert_eq!(board.mark_late(&rack, Instant::from_millis(125), window).lost, 7);
    }

    #[test]
    fn a_retransmission_is_lost_too_when_later_ones_arrive() {
        let (mut board, mut rack) = board(3000..4000, 100);
        board.mark_late(&rack, Instant::from_millis(100), Duration::ZERO);
        board.on_retransmitted(Seq(0)..Seq(1000), Instant::from_millis(100));
        board.on_retransmitted(Seq(1000)..Seq(2000), Instant::from_millis(101));
        let block = Seq(1000)..Seq(2000);
        board.on_ack(Seq(0), std::slice::from_ref(&block), Instant::from_millis(201), &mut rack, None);
        let found = board.mark_late(&rack, Instant::from_millis(201), Duration::ZERO);
        // The retransmission, and all that was sent before it and is still missing.
        assert_eq!(found.lost, 7);
        assert_eq!(board.next_lost(), Some(Seq(0)..Seq(1000)));
    }

    #[test]
    fn duplicates_widen_the_window_once_per_round_and_recoveries_narrow_it() {
        let mut rack = Rack::new();
        rack.on_duplicate(Seq(0), Seq(100));
        rack.on_duplicate(Seq(50), Seq(150));
        assert_eq!(rack.window(false, Some(ms(100)), Some(ms(1000))), ms(50));
        for _ in 0..PERSISTENCE {
            rack.on_recovered();
        }
        assert_eq!(rack.window(false, Some(ms(100)), Some(ms(1000))), ms(25));
        assert_eq!(rack.window(true, Some(ms(100)), Some(ms(1000))), Duration::ZERO);
    }
}
