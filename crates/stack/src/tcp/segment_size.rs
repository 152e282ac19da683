//! How large may a segment be? The interface, the route, the peer, the path and the search for a larger size each have a say.

use super::connection::{Connection, Context};
use super::mtu_probe::{BLACK_HOLE_AFTER, MtuProbe, MtuProbing, ProbeDecision, SearchConfig, Situation};
use super::options::{Mss, TIMESTAMPS_BYTES};
use super::recovery;
use super::recovery::scoreboard::DUPLICATE_THRESHOLD;
use super::recovery::size::Smaller;
use crate::counters::Counter;
use crate::knob::PmtuDiscovery;
use crate::path::Path;
use crate::{Instant, Knobs};
use narrows_wire::{Packet, Seq};

/// The MSS to announce: what the interface takes, whatever is known about the path (a peer's way to here is another), or what the route
/// says in its place (Linux's RTAX_ADVMSS); never more than the socket asks for.
pub(super) fn announced_mss(interface_mtu: u32, ipv6: bool, knobs: &Knobs) -> Mss {
    let set = |knob: u32| u16::try_from(knob).ok().filter(|mss| *mss > 0).map(Mss::new);
    let by_route = set(knobs.advmss).unwrap_or_else(|| Mss::for_mtu(interface_mtu, ipv6));
    set(knobs.mss).map_or(by_route, |limit| by_route.min(limit))
}

/// An MTU that was changed while the connection lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextRoute {
    interface_mtu: u32,
    path: Path,
    /// It counts as soon as the burst is over.
    pub(super) looked_up: bool,
}

impl Connection {
    /// The largest packet that may leave, bytes.
    pub(super) fn largest_packet(&self) -> u32 {
        let known = match self.knobs.pmtu_discovery {
            PmtuDiscovery::Want | PmtuDiscovery::Do => self.path.mtu,
            PmtuDiscovery::Dont | PmtuDiscovery::Probe | PmtuDiscovery::Interface | PmtuDiscovery::Omit => {
                self.interface_mtu
            }
        };
        self.mtu_probe.limit().map_or(known, |limit| known.min(limit))
    }

    /// Whether routers may not cut our packets.
    pub(super) fn dont_fragment(&self) -> bool {
        match self.knobs.pmtu_discovery {
            _ if self.is_ipv6() => true,
            PmtuDiscovery::Want => !self.path.fragment,
            PmtuDiscovery::Do | PmtuDiscovery::Probe => true,
            PmtuDiscovery::Dont | PmtuDiscovery::Interface | PmtuDiscovery::Omit => false,
        }
    }

    /// Bytes of the headers of a full segment: IP, TCP and the options that all segments carry.
    pub(super) fn header_bytes(&self) -> u32 {
        let ip = if self.is_ipv6() { 40 } else { 20 };
        ip + 20 + if self.negotiated.timestamps { TIMESTAMPS_BYTES } else { 0 }
    }

    /// Knowledge about the path that is too old counts no more, and segments may be larger again.
    pub(super) fn check_path(&mut self, now: Instant) {
        if self.path.is_forgotten(now) {
            self.path = Path::of_interface(self.interface_mtu);
        }
    }

    /// The sequence number is of something in flight (RFC 5927 §4.1): an off-path attacker would have to guess it.
    pub(crate) fn is_in_flight(&self, seq: Seq) -> bool {
        self.snd.una.is_at_or_before(seq) && seq.is_at_or_before(self.snd.nxt)
    }

    /// What is known about the way to the peer, and whether reports may change it.
    pub(crate) fn path(&self) -> Option<Path> {
        let deaf = matches!(
            self.knobs.pmtu_discovery,
            PmtuDiscovery::Dont | PmtuDiscovery::Probe | PmtuDiscovery::Interface | PmtuDiscovery::Omit
        );
        (!deaf).then_some(self.path)
    }

    /// The way to the peer has become narrower: what is larger and in flight is lost, and goes again at once.
    pub(crate) fn on_path(&mut self, context: &mut Context<'_>, path: Path) {
        if self.path().is_none() || path.mtu > self.interface_mtu {
            return;
        }
        self.path = path;
        self.mtu_probe.on_path(path.mtu);
        self.look_up_floor();
        if self.state.is_synchronized() {
            self.resend_oversized(context);
        }
    }

    /// The interface, or (`by_route`) the route to the peer, has another MTU from now on, and `path` is what is known of the way. A route
    /// is looked up when a packet leaves, so that one still has the size of before, unless that is too large now: then the host tells
    /// itself so. The interface is asked each time. Segments have another size from the next call, ACK or timer on (Linux's
    /// tcp_current_mss).
    pub(crate) fn on_mtu_changed(&mut self, interface_mtu: u32, path: Path, by_route: bool) {
        let looked_up = !by_route || path.mtu < self.path.mtu;
        self.next_route = Some(Box::new(NextRoute { interface_mtu, path, looked_up }));
    }

    /// Between bursts: the MTU of a route that was looked up since counts.
    pub(super) fn follow_route(&mut self) {
        if let Some(next) = self.next_route.take_if(|next| next.looked_up) {
            self.interface_mtu = next.interface_mtu;
            self.path = next.path;
            self.mtu_probe.on_path(next.path.mtu);
            self.look_up_floor();
        }
    }

    /// The least segment size counts as it is now. Linux asks for it where the MTU changes (tcp_sync_mss), and not in between.
    fn look_up_floor(&mut self) {
        self.mss_floor = Mss::floor(&self.knobs).bytes();
    }

    pub(super) fn resend_oversized(&mut self, context: &mut Context<'_>) {
        let smaller = self.smaller(context.now);
        if self.snd.recovery.on_smaller_path(smaller, &mut self.snd.congestion) {
            context.counters.count(Counter::ResentForSize);
            self.timers.stop(super::timer::Timer::LossProbe);
        }
    }

    /// The present segment size, for what has to be cut again.
    pub(super) fn smaller(&self, now: Instant) -> Smaller {
        Smaller {
            now,
            snd_nxt: self.snd.nxt,
            mss: self.effective_mss(),
            fin_end: self.snd.fin_sent.then_some(self.snd.nxt),
        }
    }

    /// The handshake is over: the search has its bounds.
    pub(super) fn begin_mtu_probing(&mut self, now: Instant) {
        let header_bytes = self.header_bytes();
        let ip_and_tcp = if self.is_ipv6() { 60 } else { 40 };
        let peer = u32::from(self.negotiated.peer_mss.bytes()) + ip_and_tcp;
        self.mtu_probe = MtuProbe::new(
            now,
            &SearchConfig {
                probing: self.knobs.mtu_probing,
                base: self.knobs.base_mss + header_bytes,
                largest: peer,
                interval: self.knobs.probe_interval,
                threshold: self.knobs.probe_threshold,
                opened: !self.passive,
            },
        );
    }

    /// A retransmission timeout: if it is one of many, large segments may be vanishing (Linux's tcp_mtu_probing).
    pub(super) fn suspect_black_hole(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        if self.is_black_hole_at_timeout() {
            self.leave_black_hole(context);
            return;
        }
        let long =
            self.snd.recovery.first_repeated().is_some_and(|first| now.since(first) >= BLACK_HOLE_AFTER);
        if self.knobs.mtu_probing == MtuProbing::Off || self.stats.retransmits < 2 || !long {
            return;
        }
        context.counters.count(Counter::MtuBlackHoles);
        let header_bytes = self.header_bytes();
        let floor = self.knobs.system.mtu_probe_floor.max(Mss::floor(&self.knobs).bytes().into());
        let half =
            (self.mtu_probe.low().saturating_sub(header_bytes) / 2).min(self.knobs.base_mss).max(floor);
        self.mtu_probe.on_black_hole(now, half + header_bytes);
        self.look_up_floor();
    }

    pub(super) fn mtu_probe_decision(&mut self, now: Instant) -> ProbeDecision {
        let scoreboard = self.snd.recovery.scoreboard();
        let calm =
            self.snd.recovery.state() == recovery::State::Open && !self.rcv.assembler.has_sack_blocks();
        let situation = Situation {
            now,
            calm: calm && self.state.is_synchronized(),
            window: self.snd.congestion.window(),
            in_flight: scoreboard.in_flight(),
            unsent: self.snd.unsent(),
            usable: self.usable_window(),
            peer_window: self.snd.window.bytes,
            mss: self.effective_mss(),
            interface_mtu: self.next_route.as_ref().map_or(self.interface_mtu, |next| next.interface_mtu),
            header_bytes: self.header_bytes(),
            reordering: match self.knobs.mtu_probing {
                // Losses are found by time (RFC 8985): far reordering seen once does not stop the search.
                MtuProbing::Search => self.snd.recovery.reordering().min(DUPLICATE_THRESHOLD),
                MtuProbing::Off | MtuProbing::BlackHole | MtuProbing::Always => {
                    self.snd.recovery.reordering()
                }
            },
        };
        self.mtu_probe.decide(&situation)
    }

    pub(super) fn send_mtu_probe(&mut self, context: &mut Context<'_>, bytes: u32) -> Packet {
        let now = context.now;
        context.counters.count(Counter::MtuProbes);
        self.before_new_data(now);
        self.snd.group_start = Some(self.snd.nxt);
        let range = self.snd.nxt..self.snd.nxt + bytes;
        let forgiven = self.knobs.mtu_probing == MtuProbing::Search;
        self.snd.recovery.on_size_probe_sent(range.clone(), self.header_bytes(), forgiven);
        self.mtu_probe.on_sent(bytes + self.header_bytes(), range);
        // The probe counts twice in the window (as Linux has it), so that nothing is gained by probing.
        let window = self.snd.congestion.window();
        self.snd.congestion.set_window(window.saturating_sub(1));
        self.send_data(now, bytes, bytes, false)
    }

    /// Has the probe got through, or was it lost for its size?
    pub(super) fn judge_mtu_probe(&mut self, context: &mut Context<'_>) {
        if self.mtu_probe.in_flight().is_none() {
            return;
        }
        if self.snd.recovery.take_lost_size_probe() {
            context.counters.count(Counter::MtuProbesLost);
            self.mtu_probe.on_lost();
            let window = self.snd.congestion.window();
            self.snd.congestion.set_window(window + 1);
            self.resend_oversized(context);
            return;
        }
        if self.mtu_probe.on_acknowledged(self.snd.una, self.path.mtu) {
            context.counters.count(Counter::MtuProbesAcknowledged);
        }
    }

    /// Something is being sent again: what becomes of a probe says nothing any more.
    pub(super) fn forget_mtu_probe(&mut self) {
        if self.mtu_probe.in_flight().is_some() {
            self.mtu_probe.on_inconclusive();
            self.snd.recovery.forget_size_probe();
        }
    }
}
