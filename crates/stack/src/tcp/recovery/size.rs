//! What was lost for its size alone? Segments that a narrower path has swallowed, and probes for a larger one, are no sign of
//! congestion: they go again in smaller pieces and the congestion window stays (RFC 1191 §6.5, RFC 4821 §7.4).

use super::{Recovery, State};
use crate::Instant;
use crate::tcp::congestion::Congestion;
use narrows_wire::Seq;
use std::ops::Range;

/// Where the flight ends, and how large its segments may be from now on.
#[derive(Clone, Copy, Debug)]
pub struct Smaller {
    /// The time.
    pub now: Instant,
    /// SND.NXT.
    pub snd_nxt: Seq,
    /// The new segment size, bytes.
    pub mss: u32,
    /// Where the FIN ends, if it has been sent.
    pub fin_end: Option<Seq>,
}

/// A probe for a larger segment size in flight.
#[derive(Clone, Debug)]
pub(super) struct SizeProbe {
    range: Range<Seq>,
    /// What its headers take, bytes.
    header_bytes: u32,
    /// It is the only one of its size: that it is missing says nothing about congestion, whatever finds it out.
    forgiven: bool,
    /// An ACK has shown that it is lost.
    lost: bool,
}

crate::pack::pack!(SizeProbe { range, header_bytes, forgiven, lost });

impl Recovery {
    /// When the first repetition left since all was last well.
    #[must_use]
    pub fn first_repeated(&self) -> Option<Instant> {
        self.undo.first_retransmission()
    }

    /// The path takes only smaller segments: larger ones that are in flight are lost and go again at once. True when there are any.
    pub fn on_smaller_path(&mut self, smaller: Smaller, congestion: &mut Congestion) -> bool {
        if self.scoreboard.mark_oversized(smaller.mss, smaller.fin_end) == 0 {
            return false;
        }
        self.scoreboard.recut_lost(smaller.mss, smaller.fin_end);
        if self.state != State::Loss {
            self.state = State::Loss;
            self.end = smaller.snd_nxt;
            congestion.on_lost_for_size(smaller.now, smaller.snd_nxt);
            self.undo.take();
            self.probe.forget();
            self.frto.give_up();
        }
        self.prefer_new = false;
        self.look_again = None;
        true
    }

    /// What is lost and waits is cut again to the new size.
    pub fn recut(&mut self, smaller: Smaller) {
        self.scoreboard.recut_lost(smaller.mss, smaller.fin_end);
    }

    /// A segment that is about to be sent again is larger than `bytes`: the rest of it is one of its own.
    pub fn split(&mut self, start: Seq, bytes: u32) {
        self.scoreboard.split(start, bytes);
    }

    /// A segment that is about to be sent again has room for more: what left alone behind it is joined to it, as far as `bytes` of
    /// payload and `end` allow. Returns it as it is now.
    pub fn join(&mut self, start: Seq, bytes: u32, end: Seq, fin_end: Option<Seq>) -> Option<Range<Seq>> {
        self.scoreboard.join(start, bytes, end, fin_end)
    }

    /// The first part of the oldest segment was sent again, to find out whether its size is why it is not answered.
    pub fn on_size_tested(&mut self, now: Instant) {
        self.resent = self.resent.saturating_add(1);
        self.scoreboard.on_size_tested(now);
    }

    /// That part has arrived and the rest, which left in one large packet with it, has not.
    pub fn on_size_test_passed(&mut self) {
        self.scoreboard.mark_first_lost();
    }

    /// A probe for a larger size is in flight ([`Recovery::take_lost_size_probe`]). `forgiven`: when the reordering timer finds that
    /// it is lost, that is no congestion either. Linux forgives it only when an ACK shows it (tcp_fastretrans_alert): its timer begins
    /// a recovery like any other (tcp_rack_reo_timeout), and the probe says nothing.
    pub fn on_size_probe_sent(&mut self, range: Range<Seq>, header_bytes: u32, forgiven: bool) {
        self.size_probe = Some(SizeProbe { range, header_bytes, forgiven, lost: false });
    }

    /// The probe's fate is known, or does not matter any more.
    pub fn forget_size_probe(&mut self) {
        self.size_probe = None;
    }

    /// The probe for a larger size was overtaken, and nothing else before it is missing: it was lost for its size, and no recovery
    /// was begun.
    pub fn take_lost_size_probe(&mut self) -> bool {
        self.size_probe.take_if(|probe| probe.lost).is_some()
    }

    /// The probe has arrived: segments have its size from now on, and as many bytes are in flight. What the ACK lets the window grow by
    /// comes on top (Linux does this in tcp_clean_rtx_queue).
    pub(super) fn take_passed_size_probe(&mut self, una: Seq, mss: u32, congestion: &mut Congestion) {
        let passed = |probe: &mut SizeProbe| !probe.lost && probe.range.end.is_at_or_before(una);
        if let Some(SizeProbe { range, header_bytes, .. }) = self.size_probe.take_if(passed) {
            congestion.on_larger_segments(mss + header_bytes, range.end - range.start + header_bytes);
        }
    }

    /// Losses were found while all was well until now, by the timer or an ACK. Is the probe for a larger size what is missing at the
    /// left edge? Then that is all there is to it.
    pub(super) fn is_size_probe_lost(&mut self, una: Seq, by_timer: bool) -> bool {
        let calm = matches!(self.state, State::Open | State::Disorder);
        match &mut self.size_probe {
            Some(probe) if calm && probe.range.start == una && (probe.forgiven || !by_timer) => {
                probe.lost = true;
                true
            }
            _ => false,
        }
    }
}
