//! Do segments overtake each other on this path, and what of that was taken for loss? (RFC 8985 §6.2 step 4, RFC 2883, RFC 3522.)

use super::scoreboard::Acked;
use super::{Ack, REORDERING_MAX, Recovery, State};
use crate::Instant;
use crate::tcp::congestion::Congestion;
use narrows_wire::Seq;
use std::time::Duration;

impl Recovery {
    pub(super) fn note_reordering(&mut self, ack: &Ack<'_>, acked: &Acked) {
        if let Some(late) = acked.overtaken.filter(|_| self.sack) {
            self.remember_reordering(late, ack);
        }
    }

    /// What begins at `late` has come after what was sent behind it.
    pub(super) fn remember_reordering(&mut self, late: Seq, ack: &Ack<'_>) {
        let front = self.scoreboard.highest_sacked().unwrap_or(ack.una);
        if !late.is_before(front) {
            return;
        }
        let distance = (front - late).div_ceil(ack.mss.max(1));
        self.reordering = self.reordering.max(distance.min(REORDERING_MAX));
        self.reordering_events = self.reordering_events.saturating_add(1);
        self.rack.on_reordering();
    }

    /// The peer has received something twice; true when it was the probe.
    pub(super) fn note_duplicate(&mut self, ack: &Ack<'_>, acked: &mut Acked) -> bool {
        let Some(range) = ack.sacks.first().filter(|_| acked.dsack) else { return false };
        let bytes = range.end - range.start;
        let segments = bytes.div_ceil(ack.mss.max(1)).max(1);
        self.duplicates = self.duplicates.saturating_add(segments);
        if self.duplicates > self.resent {
            // The network has doubled it: that says nothing about what was sent again.
            acked.dsack = false;
            return false;
        }
        self.undo.on_duplicate(range, ack.mss);
        let probe = bytes <= ack.mss && self.probe.repeated_until() == Some(range.end);
        if self.reordering_events > 0 && !probe {
            self.rack.on_duplicate();
        }
        // Even a needless repetition has been delivered.
        acked.delivered += segments;
        self.scoreboard.delivery_mut().count_delivered(segments);
        probe
    }

    /// The reordering window has passed: what has not arrived by now is lost. True when something is.
    pub fn on_reordering_timeout(
        &mut self,
        now: Instant,
        una: Seq,
        snd_nxt: Seq,
        minimum: Option<Duration>,
        srtt: Option<Duration>,
        congestion: &mut Congestion,
    ) -> bool {
        let window = self.rack.window(&self.patience(minimum, srtt));
        let found = self.scoreboard.mark_overtaken_in_time(&self.rack, now, window);
        self.look_again = found.wait;
        if found.newly == 0 {
            return false;
        }
        if self.state != State::Recovery {
            if self.is_size_probe_lost(una, true) {
                return true;
            }
            self.enter_recovery(una, snd_nxt, congestion);
            self.reduce(1, false, true, congestion);
        }
        true
    }
}
