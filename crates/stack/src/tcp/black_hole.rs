//! Do only large segments vanish? Knob `mtu_probing = search`.
//!
//! Linux waits for seconds of timeouts before it takes silence for a black hole. Here the first probe of the flight's end (RFC 8985
//! §7.3) is followed by the first bytes of the oldest segment in a packet of `base_mss`: when that alone is acknowledged, sizes are
//! searched for from there (RFC 4821). One segment that arrives although it is large ends the suspicion: congestion takes segments of
//! any size. Where no such probe is sent, retransmission timeouts do the same, a small packet and large ones in turns.

use super::connection::{Connection, Context};
use super::mtu_probe::MtuProbing;
use super::recovery::scoreboard::Acked;
use crate::counters::Counter;
use narrows_wire::{Packet, Seq};

/// Large packets that must have vanished, with none arriving: two in a row are lost on a path that loses a few percent of them now
/// and then, three hardly ever.
const ENOUGH: u32 = 3;
/// The same on a path that has let large packets through: it would have to have changed.
const ENOUGH_AFTER_LARGE: u32 = 5;

/// What speaks for a black hole.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspicion {
    /// A small packet in place of a large one is in flight.
    test: Option<SizeTest>,
    /// Large packets that have vanished since one arrived, those in flight not counted.
    vanished: u32,
    /// Since then a small one has arrived.
    small_passed: bool,
    /// Large packets have arrived, if not lately.
    large_passed: bool,
}

crate::pack::pack!(Suspicion { test, vanished, small_passed, large_passed });

impl Suspicion {
    fn enough(&self) -> u32 {
        if self.large_passed { ENOUGH_AFTER_LARGE } else { ENOUGH }
    }

    /// A large packet has arrived.
    fn end(&mut self) {
        *self = Suspicion { large_passed: true, ..Suspicion::default() };
    }
}

#[derive(Clone, Copy, Debug)]
struct SizeTest {
    /// Where it ends.
    end: Seq,
    /// Large packets that had left before it and were not answered.
    missing: u32,
    /// One of them left at the same time: a path that was down for all sizes a moment ago explains nothing.
    beside_large: bool,
}

crate::pack::pack!(SizeTest { end, missing, beside_large });

impl Connection {
    fn searches(&self) -> bool {
        self.knobs.mtu_probing == MtuProbing::Search
    }

    /// Longer than this, and the FIN, is large.
    fn small_payload(&self) -> u32 {
        self.knobs.base_mss.min(self.effective_mss())
    }

    /// The segments in flight that may be too large, if the oldest is one and none like them has arrived.
    fn suspects(&self) -> Option<u32> {
        if !self.searches() {
            return None;
        }
        let small = self.small_payload() + 1;
        let board = self.snd.recovery.scoreboard();
        let oldest = board.first()?;
        let flight = board.longer_than(small);
        (oldest.end - oldest.start > small && flight.arrived == 0).then_some(flight.missing)
    }

    /// A probe of the flight's end leaves, `repeated` when it is a segment sent before: shall a small packet follow it?
    pub(super) fn follow_with_size_test(&mut self, repeated: bool) {
        let Some(missing) = self.suspects().filter(|_| self.snd.recovery.scoreboard().sacked() == 0) else {
            return;
        };
        let missing = missing + u32::from(repeated);
        // A lone segment is repeated by its probe, and a timeout is soon enough for what is rare.
        self.due.size_test = missing + self.suspicion.vanished >= self.suspicion.enough();
        if self.due.size_test {
            self.suspicion.test = Some(SizeTest { end: self.snd.una, missing, beside_large: true });
        }
    }

    /// The oldest segment's first bytes, in a packet that passes everywhere.
    pub(super) fn send_size_test(&mut self, context: &mut Context<'_>) -> Option<Packet> {
        self.due.size_test = false;
        let test = self.suspicion.test.take()?;
        let start = self.snd.una;
        if self.device_full || self.suspects().is_none() || test.end != start {
            return None;
        }
        let now = context.now;
        let bytes = self.small_payload();
        self.suspicion.test = Some(SizeTest { end: start + bytes, ..test });
        self.forget_mtu_probe();
        self.snd.recovery.split(start, bytes);
        self.pace(now, bytes);
        self.snd.recovery.on_size_tested(now);
        self.stats.total_retransmits += 1;
        self.stats.bytes_retransmitted += u64::from(bytes);
        context.counters.count(Counter::Retransmitted);
        Some(self.data_packet(now, start, bytes, bytes, false))
    }

    /// A retransmission timeout. True when large packets vanish and small ones do not.
    pub(super) fn is_black_hole_at_timeout(&mut self) -> bool {
        self.suspicion.test = None;
        let Some(missing) = self.suspects() else { return false };
        let repeated = self.snd.recovery.first_repeated().is_some();
        let small_passed = self.suspicion.small_passed || self.snd.recovery.scoreboard().sacked() > 0;
        let vanished = self.suspicion.vanished + missing + u32::from(repeated);
        if small_passed && repeated && vanished >= self.suspicion.enough() {
            return true;
        }
        if vanished >= 2 {
            let end = self.snd.una + self.small_payload();
            let missing = missing + u32::from(repeated);
            self.suspicion.test = Some(SizeTest { end, missing, beside_large: false });
        }
        false
    }

    /// After a timeout: what goes again first is small if a test is due.
    pub(super) fn cut_for_size_test(&mut self) {
        if let Some(test) = self.suspicion.test {
            self.snd.recovery.split(self.snd.una, test.end - self.snd.una);
        }
    }

    /// The segment that ends at `end` is sent to test its size, which must stay as it is.
    pub(super) fn is_size_test(&self, end: Seq) -> bool {
        self.suspicion.test.is_some_and(|test| test.end == end)
    }

    /// What does an ACK say about sizes?
    pub(super) fn judge_size(&mut self, context: &mut Context<'_>, acked: &Acked) {
        if self.searches() {
            self.judge_size_test(context, acked);
        }
        self.judge_mtu_probe(context);
        self.adapt_size_to_loss();
    }

    fn judge_size_test(&mut self, context: &mut Context<'_>, acked: &Acked) {
        if acked.longest > self.small_payload() + 1 {
            self.suspicion.end();
            return;
        }
        let una = self.snd.una;
        let Some(test) = self.suspicion.test.take_if(|test| test.end.is_at_or_before(una)) else { return };
        if test.end != una {
            // What follows it has only ever left in a large packet.
            self.suspicion.end();
            return;
        }
        self.suspicion.small_passed = true;
        self.suspicion.vanished = self.suspicion.vanished.saturating_add(test.missing);
        if test.beside_large && self.suspicion.vanished >= self.suspicion.enough() {
            self.leave_black_hole(context);
            self.snd.recovery.on_size_test_passed();
            self.resend_oversized(context);
        }
    }

    /// Large segments vanish: from now on they are small, and larger ones are tried.
    pub(super) fn leave_black_hole(&mut self, context: &mut Context<'_>) {
        context.counters.count(Counter::MtuBlackHoles);
        self.suspicion = Suspicion::default();
        self.forget_mtu_probe();
        self.mtu_probe.on_only_small_pass(context.now);
    }
}
