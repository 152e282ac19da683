//! Where does a packet go next, and what happens when it does not fit there? A router at work.

use crate::middlebox::clamp;
use crate::scenario::{ClampMss, RouterSpec, TooBig};
use crate::world::NodeCounters;
use narrows_stack::Instant;
use narrows_stack::icmp::{ErrorLimit, error_about, may_be_answered};
use narrows_stack::ip::fragment::{At, cut};
use narrows_wire::{IcmpMessage, Packet};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// A router: a table of routes, and what it does with packets that are too big.
#[derive(Clone, Debug)]
pub struct Router {
    /// For what it says of packets of each version: IPv4, IPv6.
    addresses: [IpAddr; 2],
    too_big: TooBig,
    limit: Option<ErrorLimit>,
    delay: Duration,
    /// What it is about to say, by which road and when.
    late: VecDeque<(Instant, usize, Packet)>,
    clamp_mss: Option<ClampMss>,
    /// Only ever looked up, never iterated.
    routes: HashMap<IpAddr, usize>,
}

/// What a router has to know about its surroundings.
pub(crate) struct Forwarding<'a> {
    pub now: Instant,
    /// The road by which answers to the sender leave.
    pub back: usize,
    /// The largest packet of this one's kind that a road takes.
    pub mtu: &'a dyn Fn(usize, &Packet) -> u32,
}

impl Router {
    /// A router whose own messages come from these addresses, of IPv4 and IPv6.
    #[must_use]
    pub fn new(spec: &RouterSpec, addresses: [IpAddr; 2], routes: HashMap<IpAddr, usize>) -> Router {
        let limit = spec.icmp_per_second.map(ErrorLimit::new);
        Router {
            addresses,
            too_big: spec.too_big,
            limit,
            delay: spec.icmp_delay,
            late: VecDeque::new(),
            clamp_mss: spec.clamp_mss,
            routes,
        }
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
        let mtu = (at.mtu)(road, &packet);
        let back = (at.mtu)(at.back, &packet);
        clamp(self.clamp_mss, &mut packet, mtu.min(back));
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

    /// When the next of its late messages leaves.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.late.front().map(|(time, ..)| *time)
    }

    /// A late message whose time has come, and its road.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(usize, Packet)> {
        self.next().filter(|&time| time <= now)?;
        self.late.pop_front().map(|(_, road, message)| (road, message))
    }

    /// Tells the sender what has become of its packet, if this router does that and may: what leaves at once.
    fn answer(
        &mut self,
        at: &Forwarding<'_>,
        packet: &Packet,
        message: IcmpMessage,
        counters: &mut NodeCounters,
    ) -> Option<(usize, Packet)> {
        if !may_be_answered(packet) || !self.may_speak(at.now, counters) {
            return None;
        }
        let own = self.addresses[usize::from(packet.ip.source.is_ipv6())];
        let answer = error_about(packet, message, own);
        if self.delay.is_zero() {
            return Some((at.back, answer));
        }
        self.late.push_back((at.now + self.delay, at.back, answer));
        None
    }

    /// A tunnel's entrance here has something to tell an inner packet's sender: the road by which that leaves, if this router says
    /// such things and may.
    pub(crate) fn relay(
        &mut self,
        now: Instant,
        message: &Packet,
        counters: &mut NodeCounters,
    ) -> Option<usize> {
        let road = self.routes.get(&message.ip.destination).copied()?;
        self.may_speak(now, counters).then_some(road)
    }

    fn may_speak(&mut self, now: Instant, counters: &mut NodeCounters) -> bool {
        if self.too_big == TooBig::Silent {
            return false;
        }
        let allowed = self.limit.as_mut().is_none_or(|limit| limit.take(now));
        *(if allowed { &mut counters.icmp_sent } else { &mut counters.icmp_limited }) += 1;
        allowed
    }
}
