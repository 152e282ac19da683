//! How does the window grow before the path's limit is known, and has it been used at all? (RFC 5681 §3.1, RFC 3465,
//! RFC 7661.)

use crate::Instant;
use narrows_wire::Seq;
use std::time::Duration;

/// One segment more per segment acknowledged, up to the threshold: an ACK for many segments grows the window by as
/// many (byte counting), so delayed ACKs do not slow the start. Returns the new window and the segments left over for
/// congestion avoidance.
#[must_use]
pub fn grow(window: u32, threshold: u32, acked: u32) -> (u32, u32) {
    let grown = window.saturating_add(acked).min(threshold.max(window));
    (grown, acked - (grown - window))
}

/// Has the window been the limit? A window that was not used says nothing about the path, and must not grow.
#[derive(Clone, Debug)]
pub struct Usage {
    limited: bool,
    most_in_flight: u32,
    /// The observation is about the data before this byte.
    until: Seq,
    /// When the network was last fed with all it may have.
    fed: Instant,
    used_since: u32,
}

crate::pack::pack!(Usage { limited, most_in_flight, until, fed, used_since });

impl Usage {
    pub(super) fn new(now: Instant) -> Usage {
        Usage { limited: false, most_in_flight: 0, until: Seq(0), fed: now, used_since: 0 }
    }

    pub(super) fn on_sent(&mut self, snd_una: Seq, snd_nxt: Seq, in_flight: u32, limited: bool) {
        let window_passed = self.until.is_at_or_before(snd_una);
        if window_passed || limited || (!self.limited && in_flight > self.most_in_flight) {
            self.limited = limited;
            self.most_in_flight = in_flight;
            self.until = snd_nxt;
        }
    }

    /// In slow start half of the window in use is enough: the other half is what the ACKs are about to add.
    pub(super) fn is_limited(&self, window: u32, slow_start: bool) -> bool {
        self.limited || (slow_start && window < self.most_in_flight.saturating_mul(2))
    }

    pub(super) fn network_is_fed(&mut self, now: Instant) {
        self.fed = now;
        self.used_since = 0;
    }

    /// The most that was in flight, when the window has not been used up for a retransmission timeout.
    pub(super) fn starved_for(&mut self, now: Instant, in_flight: u32, rto: Duration) -> Option<u32> {
        self.used_since = self.used_since.max(in_flight);
        if now.since(self.fed) < rto {
            return None;
        }
        self.fed = now;
        Some(std::mem::take(&mut self.used_since))
    }

    pub(super) fn restart(&mut self, now: Instant) {
        self.fed = now;
        self.used_since = 0;
    }
}
