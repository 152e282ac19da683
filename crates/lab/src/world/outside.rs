//! How does a host's stack live elsewhere? Packets that leave the world at a host, and packets that enter it there.
//!
//! A real system (or any other stack) takes a host's place: what arrives at the host is handed out with
//! [`World::take_left`], what it sends is handed in with [`World::enter`]. Links, routers, middleboxes and recorders
//! stay what they are, so that real programs and the stack of this repository meet the very same network.

use super::{
    End, HostNode, LinkId, NodeId, NodeKind, World,
    builder::{interface_mtu, next_road_towards, tunnels_first},
};
use narrows_stack::{Instant, InterfaceId, Knobs};
use narrows_wire::Packet;
use std::net::IpAddr;

/// A host whose stack is elsewhere.
#[derive(Clone, Debug)]
pub struct OutsideHost {
    /// Which node it is.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its address, the same on all interfaces.
    pub address: IpAddr,
    /// The knobs that its stack shall have.
    pub knobs: Knobs,
    /// Its interfaces, in the order of their [`InterfaceId`].
    pub interfaces: Vec<OutsideInterface>,
    /// By which interface each other host is reached.
    pub routes: Vec<(IpAddr, InterfaceId)>,
}

/// One interface of an [`OutsideHost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideInterface {
    /// The link that begins there.
    pub link: LinkId,
    /// At which end of it.
    pub end: End,
    /// Largest IP packet that it sends, bytes.
    pub mtu: u32,
}

/// A packet that has arrived at a host whose stack is elsewhere.
#[derive(Clone, Debug)]
pub struct Left {
    /// At which host.
    pub host: NodeId,
    /// By which of its interfaces.
    pub interface: InterfaceId,
    /// When it arrived.
    pub time: Instant,
    /// The packet.
    pub packet: Packet,
}

impl World {
    /// The hosts, in the order of adding.
    #[must_use]
    pub fn hosts(&self) -> Vec<NodeId> {
        let is_host = |node: &NodeId| self.address(*node).is_some();
        (0..self.nodes.len() as u32).map(NodeId).filter(is_host).collect()
    }

    /// Takes a host's stack and applications out of the world; from then on its packets come from [`World::enter`] and
    /// go to [`World::take_left`]. `None` for a router, and for a host that is open already.
    pub fn open_host(&mut self, host: NodeId) -> Option<OutsideHost> {
        let all: Vec<(NodeId, IpAddr)> =
            self.hosts().into_iter().filter_map(|node| Some((node, self.address(node)?))).collect();
        let leaving: Vec<Vec<usize>> = self.nodes.iter().map(|node| node.roads.clone()).collect();
        let ways = tunnels_first(&self.roads, &leaving);
        let number = host.0 as usize;
        let node = self.nodes.get_mut(number)?;
        let NodeKind::Host(inside) = &node.kind else { return None };
        let HostNode { core, .. } = &**inside;
        let (address, knobs, mtu_knob) = (core.address, core.knobs.clone(), core.knobs.mtu);
        let interfaces = node.roads.iter().map(|&road| OutsideInterface {
            link: LinkId(road as u32 / 2),
            end: if road % 2 == 0 { End::First } else { End::Second },
            mtu: interface_mtu(mtu_knob, &self.roads[road].direction.config, address.is_ipv6()),
        });
        let routes = all.iter().filter(|(other, _)| *other != host).filter_map(|(other, address)| {
            let next = next_road_towards(other.0 as usize, &self.roads, &ways)[number]?;
            let at = leaving[number].iter().position(|&road| road == next)?;
            Some((*address, InterfaceId(at as u32)))
        });
        let open = OutsideHost {
            node: host,
            name: node.name.clone(),
            address,
            knobs,
            interfaces: interfaces.collect(),
            routes: routes.collect(),
        };
        node.kind = NodeKind::Outside { address };
        let source = self.roads.len() + number;
        self.schedule.set(source, None);
        Some(open)
    }

    /// A host whose stack is elsewhere sends a packet, at `time` or, if the world is later already, now. What happens
    /// in the world until then happens first. When the host's device will have sent it; `None` when it has not taken it.
    pub fn enter(
        &mut self,
        time: Instant,
        host: NodeId,
        interface: InterfaceId,
        packet: Packet,
    ) -> Option<Instant> {
        self.run_until(time);
        let node = self.nodes.get_mut(host.0 as usize)?;
        let Some(&road) = node.roads.get(interface.0 as usize) else {
            node.counters.dropped_no_link += 1;
            return None;
        };
        node.counters.sent_packets += 1;
        let refused = |world: &World| {
            let counters = &world.roads[road].direction.counters;
            counters.dropped_queue_full + counters.dropped_too_large
        };
        let before = refused(self);
        self.send(road, packet);
        (refused(self) == before).then(|| self.roads[road].direction.drained_at().max(self.now))
    }

    /// The next packet that has arrived at a host whose stack is elsewhere.
    pub fn take_left(&mut self) -> Option<Left> {
        self.left.pop_front()
    }

    /// When the next event happens.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        self.schedule.peek().map(|(key, _)| key.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::{BulkReceiver, BulkSender};
    use crate::{DirectionConfig, LinkConfig};
    use narrows_stack::{Host, HostConfig, Interface};
    use std::net::SocketAddr;
    use std::time::Duration;

    fn road() -> LinkConfig {
        LinkConfig::symmetric(DirectionConfig {
            rate_bits_per_second: Some(8_000_000),
            delay: Duration::from_millis(10),
            ..DirectionConfig::default()
        })
    }

    #[test]
    fn a_stack_elsewhere_gets_through_the_same_links_and_routers() {
        let mut builder = World::builder(1);
        let client = builder.host("client", Knobs::default());
        let router = builder.router("router");
        let server = builder.host("server", Knobs::default());
        builder.link("near", client, router, road());
        builder.link("far", router, server, road());
        let address = builder.address(server).unwrap();
        builder.app(client, BulkSender::new(SocketAddr::new(address, 80), 50_000));
        let sink = builder.app(server, BulkReceiver::new(80));
        let mut world = builder.build().unwrap();
        let open = world.open_host(client).unwrap();
        assert!(world.open_host(client).is_none());
        assert!(world.open_host(router).is_none());
        assert_eq!(world.hosts(), [client, server]);
        assert_eq!(open.routes, [(address, InterfaceId(0))]);
        assert_eq!(open.interfaces, [OutsideInterface { link: LinkId(0), end: End::First, mtu: 1500 }]);

        let mut stack = Host::new(HostConfig { knobs: open.knobs, seed: 7, tick_phase_ns: 0 });
        let interface = stack.add_interface(Interface {
            addresses: vec![open.address],
            mtu: 1500,
            segmentation_offload: false,
        });
        let mut now = Instant::ZERO;
        let remote = SocketAddr::new(address, 80);
        let socket = stack.tcp_connect(now, remote, None, stack.knobs().clone()).unwrap();
        let mut written = 0;
        while world.app::<BulkReceiver>(sink).unwrap().streams().iter().all(|s| s.bytes < 3_000) {
            while let Some(transmit) = stack.poll_transmit(now) {
                world.enter(now, client, interface, transmit.packet);
            }
            let next = world.next_event().into_iter().chain(stack.poll_timeout()).min().unwrap();
            now = now.max(next);
            assert!(now < Instant::from_millis(5_000));
            world.run_until(now);
            while let Some(left) = world.take_left() {
                assert_eq!((left.host, left.time), (client, now));
                stack.handle_packet(now, left.interface, left.packet);
            }
            stack.handle_timeout(now);
            if written == 0 && stack.poll_event().is_some() {
                let block = crate::pattern::Pattern::new().at(0, 3_000);
                written = stack.tcp_send(now, socket, block, Default::default()).unwrap();
            }
        }
        assert!(world.app::<BulkReceiver>(sink).unwrap().streams()[0].intact);
        assert!(now > Instant::from_millis(60), "a round trip and a half over 20 ms each way");
    }
}
