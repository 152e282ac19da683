//! Does a larger segment get through? Is this a black hole? (RFC 4821, as Linux does it.)
//!
//! A binary search between a size that is known to pass and the largest that both ends would take, with real segments as probes.
//! Sizes here are those of whole IP packets, bytes. What is sent, lost and acknowledged, the connection reports.

use crate::Instant;
use narrows_wire::Seq;
use std::ops::Range;
use std::time::Duration;

/// Knob `mtu_probing` (net.ipv4.tcp_mtu_probing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtuProbing {
    /// `0`: never.
    #[default]
    Off,
    /// `1`: once timeouts have made a black hole likely.
    BlackHole,
    /// `2`: from the beginning.
    Always,
    /// `search`: as soon as only small segments pass, which is tested at the first doubt. Ours; no system has it.
    Search,
}

impl MtuProbing {
    /// All values, in the order of the words.
    pub const ALL: [MtuProbing; 4] =
        [MtuProbing::Off, MtuProbing::BlackHole, MtuProbing::Always, MtuProbing::Search];

    /// The word in the table of knobs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MtuProbing::Off => "0",
            MtuProbing::BlackHole => "1",
            MtuProbing::Always => "2",
            MtuProbing::Search => "search",
        }
    }
}

/// Timeouts in a row that make a black hole likely, as the time that they take with the smallest timeout (Linux's tcp_retries1 of 3
/// doublings of 200 ms: 3 s after the first retransmission).
pub const BLACK_HOLE_AFTER: Duration = Duration::from_secs(3);

/// Other conditions for a probe: congestion window, segments; and how many segments must follow it, so that its loss is noticed
/// without a timeout.
const LEAST_WINDOW: u32 = 11;
/// The same with [`MtuProbing::Search`], which is on only where segments are smaller than they might be: enough for the probe and what
/// must follow it.
const LEAST_WINDOW_SEARCHING: u32 = 6;

/// What a connection knows when it asks whether to probe.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// The time.
    pub now: Instant,
    /// Nothing is lost or out of order, here or at the peer.
    pub calm: bool,
    /// Congestion window, segments.
    pub window: u32,
    /// Segments in flight.
    pub in_flight: u32,
    /// Payload bytes written and not sent.
    pub unsent: u64,
    /// What the peer's window has room for, bytes.
    pub usable: u32,
    /// The peer's whole window, bytes.
    pub peer_window: u32,
    /// Present segment size, payload bytes.
    pub mss: u32,
    /// A larger packet cannot leave this host, bytes.
    pub interface_mtu: u32,
    /// What the headers of a full segment take, bytes.
    pub header_bytes: u32,
    /// Reordering seen on the path, segments.
    pub reordering: u32,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeDecision {
    /// Not now; data may leave as usual.
    None,
    /// As soon as there is room for it; nothing else leaves before.
    Wait,
    /// A segment with this much payload now.
    Send {
        /// Payload, bytes.
        bytes: u32,
    },
}

/// The search of one connection.
#[derive(Clone, Debug)]
pub struct MtuProbe {
    enabled: bool,
    /// A packet size that is taken to pass.
    base: u32,
    least_window: u32,
    low: u32,
    high: u32,
    /// The largest packet that the peer takes.
    largest: u32,
    /// Segments are bounded to packets of this size; `None`: the search has not yet had a say.
    limit: Option<u32>,
    /// The probe in flight: the packet's size and its bytes.
    probe: Option<(u32, Range<Seq>)>,
    /// When the search began, or began anew.
    since: Instant,
    interval: Duration,
    threshold: u32,
}

crate::pack::pack!(MtuProbe {
    enabled,
    base,
    least_window,
    low,
    high,
    largest,
    limit,
    probe,
    since,
    interval,
    threshold,
});

/// How a search is done.
#[derive(Clone, Copy, Debug)]
pub struct SearchConfig {
    /// Whether and when.
    pub probing: MtuProbing,
    /// A packet size that is taken to pass, bytes.
    pub base: u32,
    /// The largest packet that the peer takes, whatever the path, bytes.
    pub largest: u32,
    /// After this the search begins anew (net.ipv4.tcp_probe_interval).
    pub interval: Duration,
    /// What is narrower than this is found (net.ipv4.tcp_probe_threshold), bytes.
    pub threshold: u32,
    /// This side has opened the connection. Linux bounds only such a sender from its first segment on.
    pub opened: bool,
}

impl MtuProbe {
    /// The handshake is over.
    #[must_use]
    pub fn new(now: Instant, config: &SearchConfig) -> MtuProbe {
        let enabled = config.probing == MtuProbing::Always;
        MtuProbe {
            enabled,
            base: config.base,
            least_window: match config.probing {
                MtuProbing::Search => LEAST_WINDOW_SEARCHING,
                MtuProbing::Off | MtuProbing::BlackHole | MtuProbing::Always => LEAST_WINDOW,
            },
            low: config.base,
            high: config.largest,
            largest: config.largest,
            limit: (enabled && config.opened).then_some(config.base),
            probe: None,
            since: now,
            interval: config.interval,
            threshold: config.threshold,
        }
    }

    /// Nothing is known and nothing searched, before the handshake is over.
    #[must_use]
    pub fn off(now: Instant) -> MtuProbe {
        let config = SearchConfig {
            probing: MtuProbing::Off,
            base: 0,
            largest: 0,
            interval: Duration::MAX,
            threshold: 0,
            opened: false,
        };
        MtuProbe::new(now, &config)
    }

    /// The largest packet that may be sent, as far as the search is concerned, bytes.
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// A probe is in flight: where it begins and ends.
    #[must_use]
    pub fn in_flight(&self) -> Option<&Range<Seq>> {
        self.probe.as_ref().map(|(_, range)| range)
    }

    /// The path's MTU counts as `mtu` from now on. Only then is the search bounded by it: it begins with what the peer takes, whatever
    /// the path (Linux's tcp_mtup_init and tcp_sync_mss).
    pub fn on_path(&mut self, mtu: u32) {
        self.high = self.high.min(mtu);
        self.apply();
    }

    /// So many timeouts in a row look like a black hole: the first time the search begins at its base, then at half of where it was.
    /// `halved` is the packet size for half the payload, floors observed.
    pub fn on_black_hole(&mut self, now: Instant, halved: u32) {
        if self.enabled {
            self.low = halved;
        } else {
            self.enabled = true;
            self.since = now;
        }
        self.apply();
    }

    /// Large packets vanish and those of the base's size do not: the search begins there, or begins there again when the path has
    /// become narrower.
    pub fn on_only_small_pass(&mut self, now: Instant) {
        self.enabled = true;
        self.since = now;
        self.low = self.base;
        self.high = self.high.max(self.base);
        self.apply();
    }

    fn apply(&mut self) {
        if self.enabled {
            self.limit = Some(self.low);
        }
    }

    /// The size known to pass, bytes.
    #[must_use]
    pub fn low(&self) -> u32 {
        self.low
    }

    /// Shall a probe leave now?
    pub fn decide(&mut self, now: &Situation) -> ProbeDecision {
        if !self.enabled || self.probe.is_some() || !now.calm || now.window < self.least_window {
            return ProbeDecision::None;
        }
        let width = self.high.saturating_sub(self.low);
        if self.high < self.low || width < self.threshold {
            self.begin_anew(now);
            return ProbeDecision::None;
        }
        let packet = self.low + width / 2;
        let bytes = packet.saturating_sub(now.header_bytes);
        let needed = bytes.saturating_add((now.reordering + 1).saturating_mul(now.mss));
        if now.unsent < u64::from(needed) || now.peer_window < needed {
            return ProbeDecision::None;
        }
        if now.usable < needed {
            return ProbeDecision::Wait;
        }
        if now.in_flight + 2 > now.window {
            return if now.in_flight == 0 { ProbeDecision::None } else { ProbeDecision::Wait };
        }
        if packet > now.interface_mtu {
            // The host itself says that this is too big, and nothing leaves.
            self.high = now.interface_mtu;
            return ProbeDecision::None;
        }
        ProbeDecision::Send { bytes }
    }

    /// The path may have become wider since.
    fn begin_anew(&mut self, now: &Situation) {
        if now.now.since(self.since) >= self.interval {
            self.since = now.now;
            self.low = now.mss + now.header_bytes;
            self.high = self.largest;
        }
    }

    /// A probe has left in a packet of `packet_bytes`.
    pub fn on_sent(&mut self, packet_bytes: u32, range: Range<Seq>) {
        self.probe = Some((packet_bytes, range));
    }

    /// SND.UNA has moved; true if the probe got through. `path_mtu` is what counts as the path's.
    pub fn on_acknowledged(&mut self, una: Seq, path_mtu: u32) -> bool {
        let Some((bytes, _)) = self.probe.take_if(|(_, range)| range.end.is_at_or_before(una)) else {
            return false;
        };
        self.low = bytes;
        self.on_path(path_mtu);
        true
    }

    /// The probe was lost, and nothing else: its size is too large.
    pub fn on_lost(&mut self) {
        if let Some((bytes, _)) = self.probe.take() {
            self.high = bytes - 1;
        }
    }

    /// Something else was lost, too, or the probe is being sent again in pieces: it says nothing.
    pub fn on_inconclusive(&mut self) {
        self.probe = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: SearchConfig = SearchConfig {
        probing: MtuProbing::Always,
        base: 1_076,
        largest: 1_500,
        interval: Duration::from_secs(600),
        threshold: 8,
        opened: true,
    };

    const FREE: Situation = Situation {
        now: Instant::ZERO,
        calm: true,
        window: 20,
        in_flight: 5,
        unsent: 100_000,
        usable: 100_000,
        peer_window: 100_000,
        mss: 1_024,
        interface_mtu: 1_500,
        header_bytes: 52,
        reordering: 3,
    };

    /// Probes a path of this MTU until nothing more is to be found; the sizes tried.
    fn search(probe: &mut MtuProbe, mtu: u32) -> Vec<u32> {
        let mut tried = Vec::new();
        while let ProbeDecision::Send { bytes } = probe.decide(&FREE) {
            let packet = bytes + FREE.header_bytes;
            tried.push(packet);
            probe.on_sent(packet, Seq(0)..Seq(bytes));
            assert_eq!(probe.decide(&FREE), ProbeDecision::None, "one at a time");
            if packet <= mtu {
                assert!(probe.on_acknowledged(Seq(bytes), 1_500));
                assert_eq!(probe.limit(), Some(packet));
            } else {
                probe.on_lost();
            }
        }
        tried
    }

    #[test]
    fn the_search_halves_what_is_left_until_it_is_narrower_than_the_threshold() {
        for mtu in [1_076, 1_280, 1_400, 1_420, 1_492, 1_500] {
            let mut probe = MtuProbe::new(Instant::ZERO, &CONFIG);
            let tried = search(&mut probe, mtu);
            assert_eq!(tried[0], 1_288);
            assert!(tried.len() <= 6, "{tried:?}");
            let found = probe.limit().unwrap();
            assert!(found <= mtu && mtu - found < 9, "{mtu}: {found}");
        }
    }

    #[test]
    fn only_a_sender_that_has_opened_the_connection_begins_small() {
        let opened = MtuProbe::new(Instant::ZERO, &CONFIG);
        assert_eq!(opened.limit(), Some(1_076));
        let mut accepted = MtuProbe::new(Instant::ZERO, &SearchConfig { opened: false, ..CONFIG });
        assert_eq!(accepted.limit(), None);
        let ProbeDecision::Send { bytes } = accepted.decide(&FREE) else { panic!("no probe") };
        accepted.on_sent(bytes + 52, Seq(0)..Seq(bytes));
        accepted.on_acknowledged(Seq(bytes), 1_500);
        assert_eq!(accepted.limit(), Some(1_288));
    }

    #[test]
    fn a_black_hole_begins_the_search_at_the_base_and_then_at_half() {
        let mut probe =
            MtuProbe::new(Instant::ZERO, &SearchConfig { probing: MtuProbing::BlackHole, ..CONFIG });
        assert_eq!(probe.limit(), None);
        assert_eq!(probe.decide(&FREE), ProbeDecision::None);
        probe.on_black_hole(Instant::ZERO, 564);
        assert_eq!(probe.limit(), Some(1_076));
        probe.on_black_hole(Instant::ZERO, 564);
        assert_eq!(probe.limit(), Some(564));
    }

    #[test]
    fn nothing_is_probed_without_enough_data_behind_it_or_while_something_is_missing() {
        let mut probe = MtuProbe::new(Instant::ZERO, &CONFIG);
        let needed = 1_236 + 4 * 1_024;
        for situation in [
            Situation { calm: false, ..FREE },
            Situation { window: 10, ..FREE },
            Situation { unsent: needed - 1, ..FREE },
            Situation { peer_window: needed as u32 - 1, ..FREE },
            Situation { window: 11, in_flight: 0, unsent: needed - 1, ..FREE },
        ] {
            assert_eq!(probe.decide(&situation), ProbeDecision::None, "{situation:?}");
        }
        let wait = [Situation { usable: needed as u32 - 1, ..FREE }, Situation { in_flight: 19, ..FREE }];
        for situation in wait {
            assert_eq!(probe.decide(&situation), ProbeDecision::Wait, "{situation:?}");
        }
        assert_eq!(probe.decide(&Situation { unsent: needed, ..FREE }), ProbeDecision::Send { bytes: 1_236 });
    }

    #[test]
    fn after_the_interval_the_search_begins_anew_because_the_path_may_be_wider() {
        let mut probe = MtuProbe::new(Instant::ZERO, &CONFIG);
        search(&mut probe, 1_400);
        let found = probe.limit().unwrap();
        let later = Instant::ZERO + Duration::from_secs(600);
        let situation = Situation { now: later, mss: found - 52, ..FREE };
        assert_eq!(
            probe.decide(&Situation { now: later - Duration::from_nanos(1), ..situation }),
            ProbeDecision::None
        );
        assert_eq!(probe.decide(&situation), ProbeDecision::None);
        assert_eq!(search(&mut probe, 1_500).len(), 4);
        assert!(probe.limit().unwrap() > 1_492);
    }

    #[test]
    fn a_probe_that_says_nothing_leaves_the_search_as_it_was() {
        let mut probe = MtuProbe::new(Instant::ZERO, &CONFIG);
        probe.on_sent(1_288, Seq(0)..Seq(1_236));
        probe.on_inconclusive();
        assert!(!probe.on_acknowledged(Seq(5_000), 1_500));
        assert_eq!(probe.decide(&FREE), ProbeDecision::Send { bytes: 1_236 });
    }
}
