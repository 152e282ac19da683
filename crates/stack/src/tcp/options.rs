//! What was negotiated, and what do the timestamps say? MSS, window scale, SACK permitted, timestamps.

use super::window::WindowScale;
use crate::{Instant, Knobs};
use narrows_wire::{Seq, TcpOptions, Timestamps};
use std::time::Duration;

/// A maximum segment size as in the option: payload plus TCP options (RFC 6691).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mss(u16);

crate::pack::pack!(Mss { 0 });

impl Mss {
    /// The smallest that is believed: a peer that says less would make us send tiny segments (Linux's tcp_min_snd_mss).
    pub const MINIMUM: Mss = Mss(48);

    /// The least segment that is sent by these settings, TCP options included: against CVE-2019-11479, where a tiny MSS of the peer
    /// makes segments cost more than they carry.
    #[must_use]
    pub fn floor(knobs: &Knobs) -> Mss {
        Mss::new(u16::try_from(knobs.system.min_snd_mss).unwrap_or(u16::MAX))
    }

    /// `bytes`, or the minimum if it is smaller.
    #[must_use]
    pub fn new(bytes: u16) -> Mss {
        Mss(bytes).max(Mss::MINIMUM)
    }

    /// What to assume of a peer that does not say (RFC 9293 §3.7.1, MUST-15).
    #[must_use]
    pub fn default_for(ipv6: bool) -> Mss {
        Mss(if ipv6 { 1220 } else { 536 })
    }

    /// What fits into packets of `mtu` bytes without IP options.
    #[must_use]
    pub fn for_mtu(mtu: u32, ipv6: bool) -> Mss {
        let headers = if ipv6 { 60 } else { 40 };
        Mss::new(u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX))
    }

    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> u16 {
        self.0
    }
}

/// Room that the timestamps option takes in every segment: 10 bytes and two of padding (RFC 7323 appendix A).
pub(crate) const TIMESTAMPS_BYTES: u32 = 12;

/// Room that `blocks` SACK blocks take, padding included.
pub(crate) fn sack_bytes(blocks: usize) -> u32 {
    if blocks == 0 { 0 } else { 4 + 8 * blocks as u32 }
}

/// What this side is ready for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) mss: Mss,
    pub(crate) window_scale: Option<WindowScale>,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
}

crate::pack::pack!(Offer { mss, window_scale, sack, timestamps });

/// What both sides agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Negotiated {
    /// What the peer accepts.
    pub(crate) peer_mss: Mss,
    /// The shift of the windows the peer sends; `None`: no scaling in either direction.
    pub(crate) peer_scale: Option<WindowScale>,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
}

crate::pack::pack!(Negotiated { peer_mss, peer_scale, sack, timestamps });

impl Offer {
    /// What our offer and the options of the peer's SYN (or SYN-ACK) come to.
    pub(crate) fn negotiate(&self, peer: &TcpOptions, ipv6: bool) -> Negotiated {
        Negotiated {
            peer_mss: peer.mss.map_or(Mss::default_for(ipv6), Mss::new),
            peer_scale: self.window_scale.and(peer.window_scale).map(WindowScale::new),
            sack: self.sack && peer.sack_permitted,
            timestamps: self.timestamps && peer.timestamps.is_some(),
        }
    }

    /// The offer for a SYN-ACK: what the SYN did not offer is left out.
    pub(crate) fn restricted_to(&self, negotiated: &Negotiated) -> Offer {
        Offer {
            mss: self.mss,
            window_scale: self.window_scale.filter(|_| negotiated.peer_scale.is_some()),
            sack: negotiated.sack,
            timestamps: negotiated.timestamps,
        }
    }

    /// The options of a SYN or SYN-ACK.
    pub(crate) fn options(&self, timestamps: Timestamps) -> TcpOptions {
        TcpOptions {
            mss: Some(self.mss.bytes()),
            window_scale: self.window_scale.map(WindowScale::shift),
            sack_permitted: self.sack,
            timestamps: self.timestamps.then_some(timestamps),
            ..TcpOptions::default()
        }
    }
}

/// After so long without a segment the remembered timestamp says nothing any more (RFC 7323 §5.5).
const TIMESTAMP_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);

/// The timestamps of one connection: our clock, and what is to be echoed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampState {
    /// Random, so that the value does not tell how long the host has been up (RFC 7323 §5.4).
    offset: u32,
    /// TS.Recent, with the time of its arrival.
    recent: Option<(u32, Instant)>,
}

crate::pack::pack!(TimestampState { offset, recent });

impl TimestampState {
    pub(crate) fn new(offset: u32) -> TimestampState {
        TimestampState { offset, recent: None }
    }

    /// TSval: milliseconds, as Linux.
    pub(crate) fn value(&self, now: Instant) -> u32 {
        ((now.as_nanos() / 1_000_000) as u32).wrapping_add(self.offset)
    }

    /// The option for a segment that leaves now.
    pub(crate) fn option(&self, now: Instant) -> Timestamps {
        Timestamps { value: self.value(now), echo: self.recent.map_or(0, |(value, _)| value) }
    }

    /// The time since we sent the value that is echoed; in whole milliseconds.
    pub(crate) fn elapsed_since(&self, echo: u32, now: Instant) -> Option<Duration> {
        let elapsed = self.value(now).wrapping_sub(echo);
        (echo != 0 && elapsed < 1 << 31).then(|| Duration::from_millis(u64::from(elapsed)))
    }

    /// Until when the value that is echoed was the one sent: the end of its millisecond.
    pub(crate) fn current_until(&self, echo: u32, now: Instant) -> Option<Instant> {
        let elapsed = self.elapsed_since(echo, now)?;
        let millisecond = now.as_nanos() / 1_000_000;
        let sent = millisecond.checked_sub(elapsed.as_millis() as u64)?;
        Some(Instant::from_millis(sent + 1))
    }

    /// PAWS: true when the value is older than what has been seen (RFC 7323 §5.3).
    pub(crate) fn is_old(&self, value: u32, now: Instant) -> bool {
        self.age(value, now) > 0
    }

    /// By how much the value is older than what has been seen: milliseconds, or whatever the peer's clock counts.
    pub(crate) fn age(&self, value: u32, now: Instant) -> u32 {
        match self.recent {
            Some((recent, at)) if now.since(at) < TIMESTAMP_LIFETIME => {
                (recent.wrapping_sub(value) as i32).max(0) as u32
            }
            _ => 0,
        }
    }

    /// Remembers a value to be echoed: only from a segment that covers what was last acknowledged (RFC 7323 §4.3), so
    /// that delayed ACKs and gaps are counted into the peer's measurement.
    pub(crate) fn remember(&mut self, value: u32, seq: Seq, last_ack_sent: Seq, now: Instant) {
        if seq.is_at_or_before(last_ack_sent) && !self.is_old(value, now) {
            self.recent = Some((value, now));
        }
    }

    /// The remembered value.
    pub(crate) fn recent(&self) -> Option<u32> {
        self.recent.map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer { mss: Mss(1460), window_scale: None, sack: true, timestamps: true };

    #[test]
    fn a_peer_without_an_mss_option_gets_the_default_and_a_tiny_one_the_floor() {
        let silent = TcpOptions::default();
        assert_eq!(OFFER.negotiate(&silent, false).peer_mss.bytes(), 536);
        assert_eq!(OFFER.negotiate(&silent, true).peer_mss.bytes(), 1220);
        let tiny = TcpOptions { mss: Some(1), ..TcpOptions::default() };
        assert_eq!(OFFER.negotiate(&tiny, false).peer_mss.bytes(), 48);
    }

    #[test]
    fn a_syn_ack_offers_only_what_the_syn_offered() {
        let syn = TcpOptions { mss: Some(1400), sack_permitted: true, ..TcpOptions::default() };
        let negotiated = OFFER.negotiate(&syn, false);
        let answer = OFFER.restricted_to(&negotiated).options(Timestamps { value: 1, echo: 2 });
        assert_eq!(answer.mss, Some(1460));
        assert!(answer.sack_permitted);
        assert_eq!((answer.window_scale, answer.timestamps), (None, None));
    }

    #[test]
    fn an_old_timestamp_is_refused_for_24_days() {
        let mut state = TimestampState::new(5);
        state.remember(1000, Seq(1), Seq(1), Instant::ZERO);
        assert!(state.is_old(999, Instant::from_millis(10)));
        assert!(!state.is_old(1000, Instant::from_millis(10)));
        assert!(!state.is_old(999, Instant::ZERO + TIMESTAMP_LIFETIME));
    }

    #[test]
    fn a_segment_beyond_the_last_ack_does_not_change_what_is_echoed() {
        let mut state = TimestampState::new(5);
        state.remember(1000, Seq(1), Seq(1), Instant::ZERO);
        state.remember(1007, Seq(2), Seq(1), Instant::ZERO);
        assert_eq!(state.option(Instant::ZERO).echo, 1000);
        state.remember(1007, Seq(1), Seq(1), Instant::ZERO);
        assert_eq!(state.option(Instant::ZERO).echo, 1007);
    }

    #[test]
    fn the_time_since_a_value_survives_the_wrap_of_the_clock() {
        let state = TimestampState::new(u32::MAX - 5);
        let sent = state.value(Instant::from_millis(3));
        let elapsed = state.elapsed_since(sent, Instant::from_millis(20));
        assert_eq!(elapsed, Some(Duration::from_millis(17)));
    }
}
