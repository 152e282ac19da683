//! How does a packet get onto a road, and what if that is a tunnel? Entrances and exits at the nodes where they are.

use super::{End, LinkId, NodeKind, Road, World, road_from, show};
use crate::recorder::{Heading, Passage, Recorder};
use crate::schedule::Schedule;
use crate::tunnel::TunnelDirection;
use narrows_stack::Instant;
use narrows_stack::icmp::error_about;
use narrows_wire::{IcmpMessage, Packet};
use std::net::IpAddr;

/// A road that is a tunnel.
#[derive(Debug)]
pub(super) struct TunnelRoad {
    pub tunnel: TunnelDirection,
    /// The first of the roads that its packets travel by; `None`: its own.
    pub carrier: Option<usize>,
    /// The entrance is a host's own device: it tells the host what does not fit.
    pub at_host: bool,
    /// What the entrance's messages come from, of the inner packets' version.
    pub speaks_as: IpAddr,
}

/// What sending needs of a world, beside its nodes.
pub(super) struct Roads<'a> {
    pub roads: &'a mut [Road],
    pub recorders: &'a mut [Option<Box<dyn Recorder>>],
    pub schedule: &'a mut Schedule,
    pub now: Instant,
    pub sequence: &'a mut u64,
}

impl Roads<'_> {
    /// A packet leaves by a road; in a tunnel its outer packets do.
    pub fn send(&mut self, number: usize, packet: Packet) {
        let road = &mut self.roads[number];
        if !road.on_send.is_empty() {
            let offered = road.direction.next_number();
            let passage = Passage { time: self.now, heading: Heading::Out, number: offered, packet: &packet };
            show(self.recorders, &road.on_send, &passage);
        }
        let Some(TunnelRoad { tunnel, carrier, at_host, speaks_as }) = road.tunnel.as_deref_mut() else {
            return self.offer(number, packet);
        };
        let (carrier, at_host, speaks_as) = (*carrier, *at_host, *speaks_as);
        let counters = &mut road.direction.counters;
        if carrier.is_some() {
            counters.offered_packets += 1;
            counters.offered_bytes += packet.len() as u64;
        }
        match tunnel.enter(self.now, packet) {
            Ok(outer) => {
                if outer.len() > 1 {
                    counters.outer_fragmented += 1;
                    counters.outer_fragments += outer.len() as u64;
                }
                for piece in outer {
                    match carrier {
                        Some(carrier) => self.send(carrier, piece),
                        None => self.offer(number, piece),
                    }
                }
            }
            Err(refused) => {
                counters.dropped_too_large += 1;
                if let Some(inner) = refused.answerable.filter(|_| at_host) {
                    let message = IcmpMessage::PacketTooBig { mtu: refused.mtu };
                    self.tell(number ^ 1, error_about(&inner, message, speaks_as));
                }
            }
        }
    }

    fn offer(&mut self, number: usize, packet: Packet) {
        self.roads[number].direction.offer(self.now, packet, self.sequence);
        self.reschedule(number);
    }

    /// The end of a road hears something that has not travelled.
    fn tell(&mut self, number: usize, packet: Packet) {
        self.roads[number].direction.tell(self.now, packet, self.sequence);
        self.reschedule(number);
    }

    fn reschedule(&mut self, number: usize) {
        let next = self.roads[number].direction.next_event();
        if self.schedule.get(number) != next {
            self.schedule.set(number, next);
        }
    }
}

impl World {
    pub(super) fn sending(&mut self) -> Roads<'_> {
        Roads {
            roads: &mut self.roads,
            recorders: &mut self.recorders,
            schedule: &mut self.schedule,
            now: self.now,
            sequence: &mut self.sequence,
        }
    }

    /// What has come by a road that is a tunnel over itself: the inner packet, once it is whole.
    pub(super) fn out_of_own_tunnel(&mut self, road: usize, packet: Packet) -> Option<Packet> {
        match self.roads[road].tunnel.as_deref_mut() {
            Some(TunnelRoad { tunnel, carrier: None, .. }) if tunnel.is_for_exit(&packet) => {
                tunnel.leave(self.now, packet)
            }
            _ => Some(packet),
        }
    }

    /// A packet has come to a node: if it concerns a tunnel over the network that ends there, that takes it; otherwise it comes back.
    pub(super) fn through_tunnels(&mut self, node: usize, packet: Packet) -> Option<Packet> {
        for at in 0..self.tunnel_exits[node].len() {
            let exit = self.tunnel_exits[node][at];
            let now = self.now;
            if let Some(road) = self.roads[exit].tunnel.as_deref_mut()
                && road.tunnel.is_for_exit(&packet)
            {
                if let Some(inner) = road.tunnel.leave(now, packet) {
                    self.emerge(exit, inner);
                }
                return None;
            }
            // The way in is the other direction of the same link.
            if let Some(road) = self.roads[exit ^ 1].tunnel.as_deref_mut()
                && let Some(relayed) = road.tunnel.on_too_big(now, &packet, road.speaks_as)
            {
                if let Some(relayed) = relayed {
                    self.relay(node, exit, relayed);
                }
                return None;
            }
        }
        Some(packet)
    }

    /// An inner packet comes out of a tunnel over the network.
    fn emerge(&mut self, exit: usize, inner: Packet) {
        let road = &mut self.roads[exit];
        let counters = &mut road.direction.counters;
        counters.delivered_packets += 1;
        counters.delivered_bytes += inner.len() as u64;
        if !road.on_arrival.is_empty() {
            let number = counters.delivered_packets - 1;
            let passage = Passage { time: self.now, heading: Heading::In, number, packet: &inner };
            show(&mut self.recorders, &road.on_arrival, &passage);
        }
        self.receive(exit, inner);
    }

    /// The entrance at a node tells an inner packet's sender what a router outside has told the entrance.
    fn relay(&mut self, node: usize, exit: usize, message: Packet) {
        let at = &mut self.nodes[node];
        let road = match &mut at.kind {
            NodeKind::Router(router) => router.relay(self.now, &message, &mut at.counters),
            NodeKind::Host(_) | NodeKind::Outside { .. } => {
                return self.sending().tell(exit, message);
            }
            // What stands between says nothing.
            NodeKind::Middlebox { .. } => None,
        };
        if let Some(road) = road {
            self.sending().send(road, message);
        }
    }

    /// The address of a tunnel's entrance outside, for those who look at captures; `None` where the link is no tunnel.
    #[must_use]
    pub fn tunnel_address(&self, link: LinkId, end: End) -> Option<IpAddr> {
        let road = self.roads.get(road_from(link, end))?;
        road.tunnel.as_ref().map(|road| road.tunnel.entrance())
    }

    /// The first of the links that the packets of a tunnel over the network travel by from that end; `None` for other links.
    #[must_use]
    pub fn tunnel_carrier(&self, link: LinkId, end: End) -> Option<LinkId> {
        let carrier = self.roads.get(road_from(link, end))?.tunnel.as_ref()?.carrier?;
        Some(LinkId(carrier as u32 / 2))
    }
}

#[cfg(test)]
#[path = "tunnels_tests.rs"]
mod tests;
