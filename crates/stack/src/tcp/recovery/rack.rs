//! Which segments have been overtaken in time, and are therefore lost? (RFC 8985 §6, RACK, as Linux does it.)
//!
//! A segment is lost when one that was sent later has arrived and a round trip plus the reordering window have passed since it
//! left. This holds for retransmissions too, which counting duplicate ACKs cannot see.

use crate::Instant;
use narrows_wire::Seq;
use std::time::Duration;

/// Recoveries for which a reordering window that DSACKs have widened is kept (RFC 8985 §6.2 step 4).
const PERSIST: u8 = 16;

/// What is to be thought of a segment in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was sent after the newest segment that has arrived: nothing can be said.
    NotOvertaken,
    /// It has been overtaken, and a round trip plus the reordering window have passed.
    Lost,
    /// It has been overtaken, and is lost if it has not arrived after this time.
    Wait(Duration),
}

/// How far reordering may go before it counts as loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Smallest round trip of the connection.
    pub minimum: Option<Duration>,
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// A loss is being repaired already, or as many segments as the duplicate threshold are SACKed.
    pub evidence: bool,
}

/// The newest delivery, and the reordering window.
#[derive(Clone, Debug)]
pub struct Rack {
    /// When the newest segment that has arrived was sent, and where it ends.
    newest: Option<(Instant, Seq)>,
    /// The round trip of the segment delivered last.
    rtt: Duration,
    /// Something was delivered since the last look.
    advanced: bool,
    reordering_seen: bool,
    /// The window, in quarters of the smallest round trip.
    steps: u32,
    persist: u8,
    /// A DSACK came since the last adjustment.
    duplicate_seen: bool,
    /// The window is adjusted at most once per round trip: not before this byte is acknowledged.
    adjusted_until: Option<Seq>,
}

crate::pack::pack!(Rack {
    newest,
    rtt,
    advanced,
    reordering_seen,
    steps,
    persist,
    duplicate_seen,
    adjusted_until,
});

impl Default for Rack {
    fn default() -> Rack {
        Rack {
            newest: None,
            rtt: Duration::ZERO,
            advanced: false,
            reordering_seen: false,
            steps: 1,
            persist: 0,
            duplicate_seen: false,
            adjusted_until: None,
        }
    }
}

impl Rack {
    /// A segment that was sent at `sent` and ends at `end` has arrived. `repeated`: it was sent more than once, so an ACK sooner
    /// than the smallest round trip must be for an earlier copy (RFC 8985 §6.2 step 2). Its round trip, if it counts.
    pub fn on_delivered(
        &mut self,
        now: Instant,
        sent: Instant,
        end: Seq,
        repeated: bool,
        minimum: Option<Duration>,
    ) -> Option<Duration> {
        let rtt = now.since(sent);
        if repeated && minimum.is_some_and(|minimum| rtt < minimum) {
            return None;
        }
        self.advanced = true;
        self.rtt = rtt;
        if self.newest.is_none_or(|newest| is_later((sent, end), newest)) {
            self.newest = Some((sent, end));
        }
        Some(rtt)
    }

    /// The ACK whose SACK blocks have been looked at acknowledges others in order, too, whose last one took `rtt`: that counts, as Linux
    /// looks at SACK blocks first. After an ACK that was long in coming, what lies just behind it gets so much patience.
    pub fn on_in_order_too(&mut self, rtt: Option<Duration>) {
        self.rtt = rtt.unwrap_or(self.rtt);
    }

    /// Segments have overtaken one another on the path.
    pub fn on_reordering(&mut self) {
        self.reordering_seen = true;
    }

    /// The peer reported a segment received twice: a retransmission was not needed.
    pub fn on_duplicate(&mut self) {
        self.duplicate_seen = true;
    }

    /// Widens the reordering window after DSACKs, once per round trip (RFC 8985 §6.2 step 4).
    pub fn adjust(&mut self, una: Seq, snd_nxt: Seq) {
        if self.adjusted_until.is_some_and(|until| una.is_before(until)) {
            self.duplicate_seen = false;
            return;
        }
        self.adjusted_until = None;
        if std::mem::take(&mut self.duplicate_seen) {
            self.steps = (self.steps + 1).min(255);
            self.persist = PERSIST;
            self.adjusted_until = Some(snd_nxt);
        } else if self.persist == 0 {
            self.steps = 1;
        }
    }

    /// A recovery is over and nothing suggests that it was not needed.
    pub fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
    }

    /// A recovery was undone because of DSACKs.
    pub fn on_undone_by_duplicates(&mut self) {
        self.persist = (self.persist + 1).min(PERSIST);
    }

    /// The next ACK has to look at all segments again.
    pub fn look_again(&mut self) {
        self.advanced = self.newest.is_some();
    }

    /// Whether something was delivered since the last look.
    pub fn take_advanced(&mut self) -> bool {
        std::mem::take(&mut self.advanced)
    }

    /// The reordering window: nothing while there was never any reordering and the evidence is good, else a quarter of the
    /// smallest round trip per step, at most a round trip.
    #[must_use]
    pub fn window(&self, patience: &Patience) -> Duration {
        if !self.reordering_seen && patience.evidence {
            return Duration::ZERO;
        }
        let quarter = patience.minimum.unwrap_or(Duration::ZERO) / 4;
        quarter.saturating_mul(self.steps).min(patience.srtt.unwrap_or(Duration::ZERO))
    }

    /// What is to be thought of a segment that was last sent at `sent` and ends at `end`.
    #[must_use]
    pub fn judge(&self, now: Instant, sent: Instant, end: Seq, window: Duration) -> Verdict {
        match self.newest {
            Some(newest) if is_later(newest, (sent, end)) => {
                let patience = self.rtt + window;
                match patience.checked_sub(now.since(sent)) {
                    None | Some(Duration::ZERO) => Verdict::Lost,
                    Some(left) => Verdict::Wait(left),
                }
            }
            _ => Verdict::NotOvertaken,
        }
    }

    /// After a timeout: a segment sent less than a round trip ago may still arrive.
    #[must_use]
    pub fn is_recent(&self, now: Instant, sent: Instant) -> bool {
        now.since(sent) < self.rtt
    }
}

/// Was the first segment sent after the second? Segments of one moment were sent in the order of their sequence numbers.
fn is_later(a: (Instant, Seq), b: (Instant, Seq)) -> bool {
    a.0 > b.0 || a.0 == b.0 && b.1.is_before(a.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_millis(milliseconds)
    }

    const CALM: Patience = Patience {
        minimum: Some(Duration::from_millis(100)),
        srtt: Some(Duration::from_millis(100)),
        evidence: false,
    };

    #[test]
    fn without_reordering_and_with_evidence_a_segment_is_lost_when_a_later_one_arrives() {
        let mut rack = Rack::default();
        rack.on_delivered(at(100), at(0), Seq(2000), false, None);
        let window = rack.window(&Patience { evidence: true, ..CALM });
        assert_eq!(window, Duration::ZERO);
        assert_eq!(rack.judge(at(100), at(0), Seq(1000), window), Verdict::Lost);
        assert_eq!(rack.judge(at(100), at(0), Seq(3000), window), Verdict::NotOvertaken);
    }

    #[test]
    fn with_little_evidence_a_quarter_of_the_smallest_round_trip_is_waited() {
        let mut rack = Rack::default();
        rack.on_delivered(at(100), at(0), Seq(2000), false, None);
        let window = rack.window(&CALM);
        assert_eq!(rack.judge(at(100), at(0), Seq(1000), window), Verdict::Wait(ms(25)));
        assert_eq!(rack.judge(at(125), at(0), Seq(1000), window), Verdict::Lost);
    }

    #[test]
    fn a_lost_retransmission_is_noticed_when_something_sent_after_it_arrives() {
        let mut rack = Rack::default();
        rack.on_delivered(at(250), at(150), Seq(9000), false, None);
        assert_eq!(rack.judge(at(250), at(120), Seq(1000), Duration::ZERO), Verdict::Lost);
        assert_eq!(rack.judge(at(250), at(160), Seq(1000), Duration::ZERO), Verdict::NotOvertaken);
    }

    #[test]
    fn an_ack_sooner_than_the_smallest_round_trip_is_for_the_earlier_copy() {
        let mut rack = Rack::default();
        rack.on_delivered(at(130), at(120), Seq(1000), true, Some(ms(100)));
        assert!(!rack.take_advanced());
        assert_eq!(rack.judge(at(130), at(0), Seq(500), Duration::ZERO), Verdict::NotOvertaken);
    }

    #[test]
    fn each_round_trip_with_a_dsack_widens_the_window_up_to_the_smoothed_round_trip() {
        let mut rack = Rack::default();
        rack.on_reordering();
        for (round, expected) in [(1u32, 50), (2, 75), (3, 100), (4, 100)] {
            rack.on_duplicate();
            rack.adjust(Seq(round * 1000), Seq((round + 1) * 1000));
            // A second one in the same round trip changes nothing.
            rack.on_duplicate();
            rack.adjust(Seq(round * 1000 + 1), Seq((round + 1) * 1000 + 1));
            assert_eq!(rack.window(&CALM), ms(expected));
        }
        for _ in 0..PERSIST {
            rack.on_recovered();
        }
        rack.adjust(Seq(9000), Seq(9000));
        assert_eq!(rack.window(&CALM), ms(25));
    }
}
