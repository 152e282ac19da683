//! What is there to see in a world? Counters, stacks, applications, and taps on its links.

use super::{AppId, End, LinkId, NodeCounters, NodeId, NodeKind, RecorderId, World, road_from};
use crate::app::App;
use crate::link::DirectionCounters;
use crate::recorder::Recorder;
use narrows_stack::Host;
use narrows_wire::Packet;
use std::any::Any;
use std::net::IpAddr;

impl World {
    /// Sends a packet into a link as if the node at that end had sent it.
    pub fn inject(&mut self, link: LinkId, end: End, packet: Packet) {
        self.start();
        self.send(road_from(link, end), packet);
    }

    /// From now on the link takes packets of so many bytes from that end: a path that changes. Routers know it at once; what hosts have
    /// for their interface stays.
    pub fn set_mtu(&mut self, link: LinkId, end: End, mtu: u32) {
        if let Some(road) = self.roads.get_mut(road_from(link, end)) {
            road.direction.config.mtu = mtu;
        }
    }

    /// A node's name.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        self.nodes.get(node.0 as usize).map_or("", |node| &node.name)
    }

    /// The stack of a host; `None` for a router.
    #[must_use]
    pub fn host(&self, host: NodeId) -> Option<&Host> {
        match &self.nodes.get(host.0 as usize)?.kind {
            NodeKind::Host(host) => Some(&host.core.stack),
            NodeKind::Router(_) | NodeKind::Middlebox { .. } | NodeKind::Outside { .. } => None,
        }
    }

    /// The address of a host; `None` for a router.
    #[must_use]
    pub fn address(&self, host: NodeId) -> Option<IpAddr> {
        match &self.nodes.get(host.0 as usize)?.kind {
            NodeKind::Host(host) => Some(host.core.address),
            NodeKind::Outside { address } => Some(*address),
            NodeKind::Router(_) | NodeKind::Middlebox { .. } => None,
        }
    }

    /// What has happened at a node.
    #[must_use]
    pub fn node_counters(&self, node: NodeId) -> NodeCounters {
        self.nodes.get(node.0 as usize).map(|node| node.counters).unwrap_or_default()
    }

    /// What has happened on a link to the packets sent from that end.
    #[must_use]
    pub fn link_counters(&self, link: LinkId, from: End) -> DirectionCounters {
        self.roads.get(road_from(link, from)).map(|road| road.direction.counters).unwrap_or_default()
    }

    /// An application, when it is of the type `T`.
    #[must_use]
    pub fn app<T: App>(&self, app: AppId) -> Option<&T> {
        match &self.nodes.get(app.host.0 as usize)?.kind {
            NodeKind::Host(host) => {
                let app: &dyn Any = &**host.apps.get(app.index as usize)?;
                app.downcast_ref()
            }
            NodeKind::Router(_) | NodeKind::Middlebox { .. } | NodeKind::Outside { .. } => None,
        }
    }

    /// Adds something that watches packets, for [`World::tap`].
    pub fn add_recorder(&mut self, recorder: impl Recorder) -> RecorderId {
        self.recorders.push(Some(Box::new(recorder)));
        RecorderId(self.recorders.len() as u32 - 1)
    }

    /// Lets a recorder watch one end of a link.
    pub fn tap(&mut self, recorder: RecorderId, link: LinkId, end: End) {
        let outgoing = road_from(link, end);
        let incoming = outgoing ^ 1;
        if outgoing >= self.roads.len() {
            return;
        }
        let Some(Some(watcher)) = self.recorders.get_mut(recorder.0 as usize) else { return };
        let tap = watcher.add_tap(&self.nodes[self.roads[incoming].to.0 as usize].name);
        self.roads[outgoing].on_send.push((recorder, tap));
        self.roads[incoming].on_arrival.push((recorder, tap));
    }

    /// Lets a recorder watch both ends of all links.
    pub fn tap_everywhere(&mut self, recorder: RecorderId) {
        for link in 0..self.roads.len() / 2 {
            self.tap(recorder, LinkId(link as u32), End::First);
            self.tap(recorder, LinkId(link as u32), End::Second);
        }
    }

    /// The recorders, in the order of adding.
    pub fn recorders(&self) -> impl Iterator<Item = RecorderId> + use<> {
        (0..self.recorders.len() as u32).map(RecorderId)
    }

    /// A recorder, when it is of the type `T`.
    #[must_use]
    pub fn recorder<T: Recorder>(&self, recorder: RecorderId) -> Option<&T> {
        let recorder: &dyn Any = &**self.recorders.get(recorder.0 as usize)?.as_ref()?;
        recorder.downcast_ref()
    }

    /// Takes a recorder out of the world, when it is of the type `T`; its taps are dead from then on.
    pub fn take_recorder<T: Recorder>(&mut self, recorder: RecorderId) -> Option<T> {
        self.recorder::<T>(recorder)?;
        let taken: Box<dyn Any> = self.recorders.get_mut(recorder.0 as usize)?.take()?;
        taken.downcast().ok().map(|taken| *taken)
    }
}
