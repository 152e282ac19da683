//! Where does a packet go next, and what happens when it does not fit there? A router at work.

use crate::middlebox::clamp;
use crate::scenario::{ClampMss, RouterSpec, TooBig};
use crate::world::NodeCounters;
use narrows_stack::Instant;
use narrows_stack::icmp::{ErrorLimit, error_about, may_be_answered};
use narrows_stack::ip::fragment::{At, cut};
use narrows_wire::{IcmpMessage, Packet};
use std::collections::HashMap;
use std::net::IpAddr;

/// A router: a table of routes, and what it does with packets that are too big.
#[derive(Clone, Debug)]
pub struct Router {
    address: IpAddr,
    too_big: TooBig,
    limit: Option<ErrorLimit>,
    clamp_mss: Option<ClampMss>,
    /// Only ever looked up, never iterated.
    routes: HashMap<IpAddr, usize>,
}

/// What a router has to know about its surroundings.
pub(crate) struct Forwarding<'a> {
    pub now: Instant,
    /// The road by which answers to the sender leave.
    pub back: usize,
    /// The largest packet that a road takes, for IPv6 or IPv4.
    pub mtu: &'a dyn Fn(usize, bool) -> u32,
}

impl Router {
    /// A router whose own messages come from `address`.
    #[must_use]
    pub fn new(spec: &RouterSpec, address: IpAddr, routes: HashMap<IpAddr, usize>) -> Router {
        let limit = spec.icmp_per_second.map(ErrorLimit::new);
        Router { address, too_big: spec.too_big, limit, clamp_mss: spec.clamp_mss, routes }
    }

    /// A packet has come; what leaves, and by which roads, is added to `leaving`.
    pub(crate) fn forward(
        &mut self,
        at: &Forwarding<'_>,
        mut packet: Packet,
        counters: &mut NodeCounters,
        leaving: &mut Vec<(usize, Packet)>,
    ) {
        let before = leaving.len();
        let ipv6 = packet.ip.source.is_ipv6();
        if packet.ip.hop_limit <= 1 {
            counters.dropped_hop_limit += 1;
            leaving.extend(self.answer(at, &packet, IcmpMessage::TimeExceeded { code: 0 }, counters));
            return;
        }
        let Some(&road) = self.routes.get(&packet.ip.destination) else {
            counters.dropped_no_route += 1;
            leaving.extend(self.answer(at, &packet, IcmpMessage::Unreachable { code: 0 }, counters));
            return;
        };
        packet.ip.hop_limit -= 1;
        let mtu = (at.mtu)(road, ipv6);
        clamp(self.clamp_mss, &mut packet, mtu.min((at.mtu)(at.back, ipv6)));
        if packet.len() <= mtu as usize {
            leaving.push((road, packet));
        } else if self.too_big == TooBig::Fragment
            && let Ok(pieces) = cut(&packet, mtu, At::Router)
        {
            counters.fragmented[0] += 1;
            counters.fragmented[1] += pieces.len() as u64;
            leaving.extend(pieces.into_iter().map(|piece| (road, piece)));
        } else {
            counters.dropped_too_big += 1;
            packet.ip.hop_limit += 1;
            leaving.extend(self.answer(at, &packet, IcmpMessage::PacketTooBig { mtu }, counters));
        }
        counters.sent_packets += (leaving.len() - before) as u64;
    }

    /// Tells the sender what has become of its packet, if this router does that and may.
    fn answer(
        &mut self,
        at: &Forwarding<'_>,
        packet: &Packet,
        message: IcmpMessage,
        counters: &mut NodeCounters,
    ) -> Option<(usize, Packet)> {
        if self.too_big == TooBig::Silent || !may_be_answered(packet) {
            return None;
        }
        if self.limit.as_mut().is_some_and(|limit| !limit.take(at.now)) {
            counters.icmp_limited += 1;
            return None;
        }
        counters.icmp_sent += 1;
        Some((at.back, error_about(packet, message, self.address)))
    }
}
