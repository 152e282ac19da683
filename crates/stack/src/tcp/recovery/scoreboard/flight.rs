//! What is in flight? The counts of the queue of sent segments, with Linux's names, and its ends.

use super::{Entry, Scoreboard};
use crate::Instant;
use narrows_wire::Seq;
use std::ops::Range;

/// Segments in flight above some length ([`Scoreboard::longer_than`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longer {
    /// SACKed.
    pub arrived: u32,
    /// Not SACKed.
    pub missing: u32,
}

impl Scoreboard {
    /// The newest segment in flight.
    #[must_use]
    pub fn last(&self) -> Option<Range<Seq>> {
        self.entries.back().map(|entry| entry.start..entry.end)
    }

    /// Where the highest SACKed segment ends.
    #[must_use]
    pub fn highest_sacked(&self) -> Option<Seq> {
        self.sacked_runs.last().map(|run| run.end)
    }

    /// The oldest segment in flight.
    #[must_use]
    pub fn first(&self) -> Option<Range<Seq>> {
        self.entries.front().map(|entry| entry.start..entry.end)
    }

    /// When the oldest segment in flight was last sent.
    #[must_use]
    pub fn first_sent(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.sent)
    }

    /// The receiver claims to hold the oldest segment by SACK but does not acknowledge it: it has reneged.
    #[must_use]
    pub fn has_reneged(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.sacked)
    }

    /// About how many segments were sent last at `limit` or before (exactly where none was sent again).
    #[must_use]
    pub fn sent_until(&self, limit: Instant) -> u32 {
        u32::try_from(self.entries.partition_point(|entry| entry.sent <= limit)).unwrap_or(u32::MAX)
    }

    /// Memory beside the struct itself, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let lists = self.entries.capacity() * size_of::<Entry>()
            + self.sacked_runs.capacity() * size_of::<Range<Seq>>()
            + self.repeated.capacity() * size_of::<(Instant, Seq)>();
        lists as u64
    }

    /// How many segments in flight are longer than `bytes`, and have arrived or not. Takes as long as the flight.
    #[must_use]
    pub fn longer_than(&self, bytes: u32) -> Longer {
        let mut longer = Longer::default();
        for entry in self.entries.iter().filter(|entry| entry.end - entry.start > bytes) {
            longer.arrived += u32::from(entry.sacked);
            longer.missing += u32::from(!entry.sacked);
        }
        longer
    }

    /// The oldest segment was sent again to test its size, which does not make it lost: it counts once in flight.
    pub fn on_size_tested(&mut self, now: Instant) {
        let departure = self.delivery.on_sent(now, false);
        if let Some(entry) = self.entries.front_mut() {
            entry.ever_retransmitted = true;
            entry.sent = now;
            entry.departure = departure;
            self.repeated.push_back((now, entry.start));
        }
    }

    /// Nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Nothing is in flight, and no list remembers anything that was.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.entries.is_empty() && self.sacked_runs.is_empty() && self.repeated.is_empty()
    }

    /// Segments sent and not acknowledged cumulatively (tcpi_unacked).
    #[must_use]
    pub fn unacked(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Of those, SACKed, or implied by duplicate ACKs where there is no SACK (tcpi_sacked).
    #[must_use]
    pub fn sacked(&self) -> u32 {
        self.sacked + self.duplicates
    }

    /// Of those, thought lost (tcpi_lost).
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Of those, sent again and neither SACKed nor lost again (tcpi_retrans).
    #[must_use]
    pub fn retransmitted(&self) -> u32 {
        self.retransmitted
    }

    /// Segments on the way, as well as can be known (`pipe` of RFC 6675).
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        (self.unacked() + self.retransmitted).saturating_sub(self.sacked() + self.lost)
    }
}
