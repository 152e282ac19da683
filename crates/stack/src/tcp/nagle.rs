//! May a small segment leave now? (RFC 896; RFC 9293 §3.7.4, §3.8.6.2.1; Minshall's variant as Linux has it.)

use narrows_wire::Seq;

/// Which small segments wait for an acknowledgment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NaglePolicy {
    /// None: as with TCP_NODELAY.
    Off,
    /// While anything is unacknowledged (RFC 896).
    Rfc896,
    /// While a *small* segment is unacknowledged (Minshall; Linux).
    #[default]
    Minshall,
}

crate::pack::choices!(NaglePolicy { Off, Rfc896, Minshall });

/// May the segment leave?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NagleDecision {
    /// It may.
    Send,
    /// It has to wait, and why.
    Hold(HoldReason),
}

/// Why a segment is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldReason {
    /// Nagle: data sent earlier is unacknowledged.
    Nagle,
    /// TCP_CORK is set.
    Cork,
    /// The write carried MSG_MORE.
    More,
    /// The peer's window has no room for it, or only for a silly part of it (RFC 9293 §3.8.6.2.1).
    Window,
    /// The congestion window is full.
    CongestionWindow,
    /// It is not yet its time: windows leave spread over the round trip.
    Pacing,
    /// The device takes nothing at present.
    Device,
    /// The next ACK is near and will make room for a larger group of segments.
    LargerGroup,
    /// A probe for a larger segment size goes first, and there is no room for it yet.
    MtuProbe,
}

crate::pack::choices!(HoldReason {
    Nagle,
    Cork,
    More,
    Window,
    CongestionWindow,
    Pacing,
    Device,
    LargerGroup,
    MtuProbe,
});

impl HoldReason {
    /// The name used in reports and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HoldReason::Nagle => "nagle",
            HoldReason::Cork => "cork",
            HoldReason::More => "more",
            HoldReason::Window => "window",
            HoldReason::CongestionWindow => "congestion_window",
            HoldReason::Pacing => "pacing",
            HoldReason::Device => "device",
            HoldReason::LargerGroup => "larger_group",
            HoldReason::MtuProbe => "mtu_probe",
        }
    }
}

/// The segment that could be sent next, and what surrounds it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Payload, bytes (at most `mss`).
    pub len: u32,
    /// Effective MSS: payload bytes of a full segment after options and path MTU.
    pub mss: u32,
    /// It carries the FIN.
    pub fin: bool,
    /// Nothing written follows it. A segment with more data behind it is never held by Nagle, however short it is.
    pub last: bool,
    /// The question is asked by a write that carried MSG_MORE. When an ACK asks, this is `false`: any ACK releases
    /// what MSG_MORE held.
    pub more: bool,
    /// The oldest unacknowledged byte.
    pub snd_una: Seq,
    /// The next byte to be sent for the first time.
    pub snd_nxt: Seq,
}

/// Nagle's memory of one connection.
#[derive(Clone, Debug)]
pub struct Nagle {
    policy: NaglePolicy,
    nodelay: bool,
    cork: bool,
    /// End of the last small segment sent.
    small_end: Option<Seq>,
    /// Setting TCP_NODELAY lets go what is queued, even under TCP_CORK, until something new is written.
    push: bool,
}

crate::pack::pack!(Nagle { policy, nodelay, cork, small_end, push });

impl Nagle {
    /// A connection that has sent nothing yet.
    #[must_use]
    pub fn new(policy: NaglePolicy, nodelay: bool, cork: bool) -> Nagle {
        Nagle { policy, nodelay, cork, small_end: None, push: false }
    }

    /// TCP_NODELAY. After setting it the caller tries to send.
    pub fn set_nodelay(&mut self, nodelay: bool) {
        self.nodelay = nodelay;
        self.push = nodelay;
    }

    /// TCP_CORK. After clearing it the caller tries to send.
    pub fn set_cork(&mut self, cork: bool) {
        self.cork = cork;
        if !cork && self.nodelay {
            self.push = true;
        }
    }

    /// The policy, for sockets that change it.
    pub fn set_policy(&mut self, policy: NaglePolicy) {
        self.policy = policy;
    }

    /// The application has written: ends the release that setting TCP_NODELAY gave.
    pub fn on_write(&mut self) {
        self.push = false;
    }

    /// New data of `len` bytes ending at `end` was sent, in segments of `mss` (a large segment still to be cut counts as
    /// small when its tail is).
    pub fn on_sent(&mut self, len: u32, mss: u32, end: Seq) {
        if !len.is_multiple_of(mss) {
            self.small_end = Some(end);
        }
    }

    /// May this segment leave now?
    #[must_use]
    pub fn check(&self, segment: &Candidate) -> NagleDecision {
        if !segment.last || self.push || segment.fin || segment.len >= segment.mss {
            return NagleDecision::Send;
        }
        if self.cork {
            return NagleDecision::Hold(HoldReason::Cork);
        }
        if segment.more {
            return NagleDecision::Hold(HoldReason::More);
        }
        let unacknowledged = segment.snd_una.is_before(segment.snd_nxt);
        let waits = !self.nodelay
            && unacknowledged
            && match self.policy {
                NaglePolicy::Off => false,
                NaglePolicy::Rfc896 => true,
                NaglePolicy::Minshall => self.small_end.is_some_and(|end| {
                    segment.snd_una.is_before(end) && end.is_at_or_before(segment.snd_nxt)
                }),
            };
        if waits { NagleDecision::Hold(HoldReason::Nagle) } else { NagleDecision::Send }
    }
}

/// The silly window rule of the sender: may `len` bytes go into `usable` bytes of the peer's window? A full segment,
/// everything that is queued, or half of the largest window the peer has ever offered (RFC 9293 §3.8.6.2.1).
#[must_use]
pub fn fits_window(len: u32, mss: u32, queued: u32, usable: u32, max_window: u32) -> bool {
    let sendable = len.min(usable);
    sendable > 0 && (sendable >= mss || sendable >= queued || sendable >= max_window / 2)
}

/// A segment size that lets at least two segments fit into the largest window the peer has ever offered, as
/// Linux bounds it: a peer with a tiny buffer would otherwise be sent one segment per round trip.
#[must_use]
pub fn bound_to_half_window(mss: u32, max_window: u32) -> u32 {
    let cutoff = if max_window > 536 { max_window / 2 } else { max_window };
    if cutoff > 0 && mss > cutoff { cutoff.max(48) } else { mss }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NagleDecision::{Hold, Send};

    const MSS: u32 = 1448;

    fn candidate(len: u32, una: u32, nxt: u32) -> Candidate {
        Candidate { len, mss: MSS, fin: false, last: true, more: false, snd_una: Seq(una), snd_nxt: Seq(nxt) }
    }

    #[test]
    fn the_second_small_write_waits_for_the_first() {
        let mut nagle = Nagle::new(NaglePolicy::Minshall, false, false);
        assert_eq!(nagle.check(&candidate(12, 1, 1)), Send);
        nagle.on_sent(12, MSS, Seq(13));
        assert_eq!(nagle.check(&candidate(180, 1, 13)), Hold(HoldReason::Nagle));
        assert_eq!(nagle.check(&candidate(180, 13, 13)), Send);
    }

    #[test]
    fn after_full_segments_minshall_sends_the_tail_and_rfc_896_holds_it() {
        for (policy, expected) in [
            (NaglePolicy::Minshall, Send),
            (NaglePolicy::Rfc896, Hold(HoldReason::Nagle)),
            (NaglePolicy::Off, Send),
        ] {
            let mut nagle = Nagle::new(policy, false, false);
            nagle.on_sent(2 * MSS, MSS, Seq(1 + 2 * MSS));
            assert_eq!(nagle.check(&candidate(100, 1, 1 + 2 * MSS)), expected, "{policy:?}");
        }
    }

    #[test]
    fn a_large_segment_with_a_small_tail_counts_as_small() {
        let mut nagle = Nagle::new(NaglePolicy::Minshall, false, false);
        nagle.on_sent(2 * MSS + 1, MSS, Seq(2 + 2 * MSS));
        assert_eq!(nagle.check(&candidate(100, 1 + MSS, 2 + 2 * MSS)), Hold(HoldReason::Nagle));
    }

    #[test]
    fn a_full_segment_a_fin_and_a_segment_with_data_behind_it_never_wait() {
        let mut nagle = Nagle::new(NaglePolicy::Minshall, false, true);
        nagle.on_sent(12, MSS, Seq(13));
        assert_eq!(nagle.check(&candidate(MSS, 1, 13)), Send);
        assert_eq!(nagle.check(&Candidate { fin: true, ..candidate(5, 1, 13) }), Send);
        assert_eq!(nagle.check(&Candidate { last: false, ..candidate(5, 1, 13) }), Send);
    }

    #[test]
    fn cork_and_more_hold_a_partial_segment_even_when_nothing_is_in_flight() {
        let mut nagle = Nagle::new(NaglePolicy::Minshall, true, true);
        assert_eq!(nagle.check(&candidate(5, 1, 1)), Hold(HoldReason::Cork));
        nagle.set_cork(false);
        assert_eq!(nagle.check(&candidate(5, 1, 1)), Send);
        nagle.on_write();
        assert_eq!(nagle.check(&Candidate { more: true, ..candidate(5, 1, 1) }), Hold(HoldReason::More));
    }

    #[test]
    fn setting_nodelay_lets_go_what_is_corked_until_the_next_write() {
        let mut nagle = Nagle::new(NaglePolicy::Minshall, false, true);
        assert_eq!(nagle.check(&candidate(5, 1, 1)), Hold(HoldReason::Cork));
        nagle.set_nodelay(true);
        assert_eq!(nagle.check(&candidate(5, 1, 1)), Send);
        nagle.on_write();
        assert_eq!(nagle.check(&candidate(5, 1, 1)), Hold(HoldReason::Cork));
    }

    #[test]
    fn a_silly_part_of_the_window_is_not_used() {
        assert!(!fits_window(MSS, MSS, 10_000, 100, 65_535));
        assert!(fits_window(MSS, MSS, 10_000, MSS, 65_535));
        assert!(fits_window(80, MSS, 80, 100, 65_535));
        assert!(fits_window(MSS, MSS, 10_000, 500, 1_000));
        assert!(!fits_window(MSS, MSS, 10_000, 0, 1));
        assert_eq!(bound_to_half_window(1448, 2000), 1000);
        assert_eq!(bound_to_half_window(1448, 65_535), 1448);
        assert_eq!(bound_to_half_window(1448, 10), 48);
    }
}
