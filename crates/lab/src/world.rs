//! What happens, in which order, in a world of hosts and links?
//!
//! One queue of events ordered by (time, sequence number). Nothing reads a clock, nothing is iterated in an order that
//! a hash decides: the same builder calls with the same seed give the same packets, byte for byte.

use crate::app::{App, AppEvent, HostCore, Io};
use crate::direction::Direction;
use crate::middlebox::Middlebox;
use crate::recorder::{Heading, Passage, Recorder};
use crate::router::{Forwarding, Router};
use crate::schedule::{Key, Schedule};
use narrows_stack::ip::fragment::{At, cut};
use narrows_stack::{Event, Instant, InterfaceId, UdpEvent};
use narrows_wire::Packet;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

mod builder;
mod host_times;
mod inspect;
mod outside;
mod tunnels;

pub use builder::{BuildError, HostOptions, IpVersion, WorldBuilder};
pub use host_times::HostTimes;
use host_times::Told;
pub use outside::{Left, OutsideHost, OutsideInterface};
use tunnels::{Roads, TunnelRoad};

/// A host or a router of a world, in the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A link of a world, in the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// An application of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId {
    /// On which host.
    pub host: NodeId,
    index: u32,
}

/// A recorder of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecorderId(u32);

/// One of the two ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// At the node named first.
    First,
    /// At the node named second.
    Second,
}

/// Why a run has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing is left that could ever happen.
    Idle,
    /// The time given is reached.
    TimeLimit,
}

/// What has happened at one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounters {
    /// Packets that arrived.
    pub received_packets: u64,
    /// Packets sent, or forwarded by a router.
    pub sent_packets: u64,
    /// A host: events told to applications.
    pub app_events: u64,
    /// A host: events of sockets that no application owns (not accepted yet, or already given up).
    pub events_without_owner: u64,
    /// A host: packets for an interface without a link.
    pub dropped_no_link: u64,
    /// A host: timers that asked for a time that had passed and were run a nanosecond later.
    pub late_timers: u64,
    /// A router: dropped, no route to the destination.
    pub dropped_no_route: u64,
    /// A middlebox: dropped on purpose, or nobody inside was meant.
    pub dropped_by_middlebox: u64,
    /// A router: dropped, the hop limit was used up.
    pub dropped_hop_limit: u64,
    /// A router: dropped because they did not fit the next link.
    pub dropped_too_big: u64,
    /// A router: packets that it cut, and the pieces that they became.
    pub fragmented: [u64; 2],
    /// A router: ICMP errors sent …
    pub icmp_sent: u64,
    /// … and not sent because of its limit.
    pub icmp_limited: u64,
}

/// Where the two directions of a link lead, and who listens there.
#[derive(Debug)]
struct Road {
    direction: Direction,
    tunnel: Option<Box<TunnelRoad>>,
    to: NodeId,
    to_interface: InterfaceId,
    on_send: Vec<(RecorderId, u32)>,
    on_arrival: Vec<(RecorderId, u32)>,
}

impl Road {
    /// The largest packet of this one's kind that the road takes; in a tunnel DF decides, too.
    fn mtu_for(&self, now: Instant, packet: &Packet) -> u32 {
        match &self.tunnel {
            Some(road) => road.tunnel.mtu_for(now, packet),
            None => self.direction.config.mtu,
        }
    }
}

struct HostNode {
    core: HostCore,
    apps: Vec<Box<dyn App>>,
    waiting: host_times::Waiting,
}

enum NodeKind {
    // Boxed: a host is many times the size of a router.
    Host(Box<HostNode>),
    Router(Box<Router>),
    Middlebox {
        routes: HashMap<IpAddr, usize>,
        middlebox: Box<Middlebox>,
    },
    /// A host whose stack is elsewhere.
    Outside {
        address: IpAddr,
    },
}

struct Node {
    name: String,
    kind: NodeKind,
    /// The road that leaves by each interface.
    roads: Vec<usize>,
    counters: NodeCounters,
}

/// Hosts and links in virtual time. Made with [`World::builder`].
pub struct World {
    now: Instant,
    sequence: u64,
    events: u64,
    started: bool,
    /// Two per link: forward, backward. Their number is also their source in the schedule; nodes' timers follow.
    roads: Vec<Road>,
    nodes: Vec<Node>,
    /// The roads that are tunnels over the network, by the node where they come out.
    tunnel_exits: Vec<Vec<usize>>,
    schedule: Schedule,
    recorders: Vec<Option<Box<dyn Recorder>>>,
    /// What has arrived at hosts whose stack is elsewhere.
    left: VecDeque<Left>,
    /// What a router is about to send; empty between events.
    forwarded: Vec<(usize, Packet)>,
}

impl World {
    /// Begins to describe a world; everything random in it follows from the seed.
    #[must_use]
    pub fn builder(seed: u64) -> WorldBuilder {
        WorldBuilder::new(seed)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many events have happened.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Lets the next event happen; its time, or `None` when nothing is left to happen.
    pub fn step(&mut self) -> Option<Instant> {
        self.start();
        let (key, source) = self.schedule.peek()?;
        self.happen(key, source);
        Some(self.now)
    }

    /// Lets everything happen that happens up to and including `time`.
    pub fn run_until(&mut self, time: Instant) -> Stop {
        let stop = self.run_until_idle(time);
        self.now = self.now.max(time);
        stop
    }

    /// Lets everything happen until nothing is left, or until what comes next comes after `limit`.
    pub fn run_until_idle(&mut self, limit: Instant) -> Stop {
        self.start();
        while let Some((key, source)) = self.schedule.peek() {
            if key.time > limit {
                return Stop::TimeLimit;
            }
            self.happen(key, source);
        }
        Stop::Idle
    }

    fn happen(&mut self, key: Key, source: usize) {
        self.now = self.now.max(key.time);
        self.events += 1;
        if source < self.roads.len() {
            self.arrive(source);
        } else {
            self.expire(source - self.roads.len());
        }
    }

    fn start(&mut self) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        for node in 0..self.nodes.len() {
            let apps = match &self.nodes[node].kind {
                NodeKind::Host(host) => host.apps.len(),
                NodeKind::Router(_) | NodeKind::Middlebox { .. } | NodeKind::Outside { .. } => 0,
            };
            for app in 0..apps {
                self.tell(node, app as u32, AppEvent::Start);
            }
            self.settle(node);
            self.reschedule(node, false);
        }
    }

    /// A packet reaches the end of a road.
    fn arrive(&mut self, source: usize) {
        let road = &mut self.roads[source];
        let arrived = road.direction.happen(&mut self.sequence);
        self.schedule.set(source, road.direction.next_event());
        let Some(arrived) = arrived else { return };
        let number = arrived.number;
        let packet = match self.roads[source].tunnel.is_some() {
            true => self.out_of_own_tunnel(source, arrived.packet),
            false => Some(arrived.packet),
        };
        let Some(packet) = packet else { return };
        let road = &self.roads[source];
        if !road.on_arrival.is_empty() {
            let passage = Passage { time: self.now, heading: Heading::In, number, packet: &packet };
            show(&mut self.recorders, &road.on_arrival, &passage);
        }
        let to = road.to.0 as usize;
        let packet = match self.tunnel_exits[to].is_empty() {
            true => Some(packet),
            false => self.through_tunnels(to, packet),
        };
        if let Some(packet) = packet {
            self.receive(source, packet);
        }
    }

    /// A node gets what has come by a road.
    fn receive(&mut self, source: usize, packet: Packet) {
        let road = &self.roads[source];
        let (to, interface) = (road.to.0 as usize, road.to_interface);
        let node = &mut self.nodes[to];
        node.counters.received_packets += 1;
        match &mut node.kind {
            NodeKind::Host(host) => {
                if let Some(packet) = host.waiting.on_packet(self.now, interface, packet) {
                    host.core.stack.handle_packet(self.now, interface, packet);
                    self.settle(to);
                }
                self.reschedule(to, false);
            }
            NodeKind::Outside { .. } => {
                let host = NodeId(to as u32);
                self.left.push_back(Left { host, interface, time: self.now, packet });
            }
            NodeKind::Middlebox { routes, middlebox } => {
                let Some(mut packet) = middlebox.gather(self.now, packet) else { return };
                let outside = middlebox.outside_road();
                if !middlebox.enter(&mut packet, outside.is_some_and(|road| road == source ^ 1)) {
                    node.counters.dropped_by_middlebox += 1;
                } else if let Some(&road) = routes.get(&packet.ip.destination) {
                    let mtu = [source, road].map(|road| self.roads[road].mtu_for(self.now, &packet));
                    if middlebox.leave(&mut packet, outside == Some(road), mtu[0].min(mtu[1])) {
                        let pieces = cut(&packet, mtu[1], At::Router).unwrap_or_default();
                        node.counters.dropped_too_big += u64::from(pieces.is_empty());
                        node.counters.sent_packets += pieces.len() as u64;
                        for piece in pieces {
                            self.send(road, piece);
                        }
                    } else {
                        node.counters.dropped_by_middlebox += 1;
                    }
                } else {
                    node.counters.dropped_no_route += 1;
                }
            }
            NodeKind::Router(router) => {
                let roads = &self.roads;
                let mtu = |road: usize, packet: &Packet| roads[road].mtu_for(self.now, packet);
                let forwarding = Forwarding { now: self.now, back: source ^ 1, mtu: &mtu };
                let mut leaving = std::mem::take(&mut self.forwarded);
                router.forward(&forwarding, packet, &mut node.counters, &mut leaving);
                for (road, packet) in leaving.drain(..) {
                    self.send(road, packet);
                }
                // The buffer goes back, so that forwarding allocates nothing.
                self.forwarded = leaving;
                self.reschedule_router(to);
            }
        }
    }

    /// A timer of a host, or of one of its applications, expires.
    fn expire(&mut self, node: usize) {
        let now = self.now;
        while let Node { kind: NodeKind::Router(router), counters, .. } = &mut self.nodes[node]
            && let Some((road, message)) = router.take(now)
        {
            counters.sent_packets += 1;
            self.send(road, message);
        }
        self.reschedule_router(node);
        while let NodeKind::Host(host) = &mut self.nodes[node].kind
            && let Some((interface, packet)) = host.waiting.take_packet(now)
        {
            host.core.stack.handle_packet(now, interface, packet);
            self.settle(node);
        }
        let NodeKind::Host(host) = &mut self.nodes[node].kind else { return };
        let timed_out = host.core.stack.poll_timeout().is_some_and(|time| time <= now);
        if timed_out {
            host.core.stack.handle_timeout(now);
            // What the stack has to say comes before what applications do at the same moment.
            self.settle(node);
        }
        while let NodeKind::Host(host) = &mut self.nodes[node].kind
            && let Some(event) = host.waiting.take_event(now)
        {
            self.pass_on(node, event);
        }
        // Timers that are set meanwhile have their turn in the next event, even when they are for now.
        let mut last_sequence = None;
        while let NodeKind::Host(host) = &mut self.nodes[node].kind
            && let Some(&Reverse(timer)) = host.core.timers.peek()
            && timer.time <= now
            && timer.sequence < *last_sequence.get_or_insert(host.core.timer_sequence)
        {
            host.core.timers.pop();
            self.tell(node, timer.app, AppEvent::Timer(timer.token));
        }
        self.settle(node);
        self.reschedule(node, timed_out);
    }

    /// Lets all that follows from what has just happened to a host happen: packets leave, applications are told.
    ///
    /// Packets first: a kernel has answered a segment before the application that waits for it runs. What applications
    /// then cause has left by the time that they return, see [`Io`].
    fn settle(&mut self, node: usize) {
        let now = self.now;
        let Node { kind: NodeKind::Host(host), roads, counters, .. } = &mut self.nodes[node] else { return };
        let mut sending = Roads {
            roads: &mut self.roads,
            recorders: &mut self.recorders,
            schedule: &mut self.schedule,
            now,
            sequence: &mut self.sequence,
        };
        while let Some(transmit) = host.core.stack.poll_transmit(now) {
            let Some(&road) = roads.get(transmit.interface.0 as usize) else {
                counters.dropped_no_link += 1;
                continue;
            };
            counters.sent_packets += 1;
            sending.send(road, transmit.packet);
        }
        while let NodeKind::Host(host) = &mut self.nodes[node].kind
            && let Some(event) = next_event(&mut host.core.stack)
        {
            if let Some(event) = host.waiting.on_event(now, event) {
                self.pass_on(node, event);
            }
        }
    }

    /// Tells a socket's event to the application that owns the socket.
    fn pass_on(&mut self, node: usize, event: Told) {
        let NodeKind::Host(host) = &mut self.nodes[node].kind else { return };
        let sockets = &host.core.socket_owner;
        let datagrams = &host.core.udp_owner;
        let (owner, event) = match event {
            Told::Tcp(Event::Connected(socket)) => (sockets.get(&socket.0), AppEvent::Connected(socket)),
            Told::Tcp(Event::Acceptable(listener)) => {
                (host.core.listener_owner.get(&listener.0), AppEvent::Acceptable(listener))
            }
            Told::Tcp(Event::Readable(socket)) => (sockets.get(&socket.0), AppEvent::Readable(socket)),
            Told::Tcp(Event::Writable(socket)) => (sockets.get(&socket.0), AppEvent::Writable(socket)),
            Told::Tcp(Event::Closed(socket, why)) => (sockets.get(&socket.0), AppEvent::Closed(socket, why)),
            // No application of the lab waits for the end of what it has closed.
            Told::Tcp(Event::Lingered { .. }) => return,
            Told::Udp(UdpEvent::Readable(socket)) => (datagrams.get(&socket.0), AppEvent::Datagrams(socket)),
            Told::Udp(UdpEvent::Error(socket)) => (datagrams.get(&socket.0), AppEvent::DatagramError(socket)),
        };
        let Some(&owner) = owner else {
            self.nodes[node].counters.events_without_owner += 1;
            return;
        };
        if let AppEvent::Closed(socket, _) = event {
            host.core.socket_owner.remove(&socket.0);
        }
        self.tell(node, owner, event);
    }

    fn tell(&mut self, node: usize, app: u32, event: AppEvent) {
        let Node { kind: NodeKind::Host(host), counters, .. } = &mut self.nodes[node] else { return };
        let HostNode { core, apps, .. } = &mut **host;
        counters.app_events += 1;
        apps[app as usize].on_event(&mut Io { now: self.now, app, core }, event);
        self.send_outbox(node);
    }

    fn send_outbox(&mut self, node: usize) {
        let Node { kind: NodeKind::Host(host), roads, counters, .. } = &mut self.nodes[node] else { return };
        if host.core.outbox.is_empty() {
            return;
        }
        let mut outbox = std::mem::take(&mut host.core.outbox);
        let mut sending = Roads {
            roads: &mut self.roads,
            recorders: &mut self.recorders,
            schedule: &mut self.schedule,
            now: self.now,
            sequence: &mut self.sequence,
        };
        for transmit in outbox.drain(..) {
            let Some(&road) = roads.get(transmit.interface.0 as usize) else {
                counters.dropped_no_link += 1;
                continue;
            };
            counters.sent_packets += 1;
            sending.send(road, transmit.packet);
        }
        // The buffer goes back, so that sending allocates nothing.
        host.core.outbox = outbox;
    }

    fn send(&mut self, road: usize, packet: Packet) {
        if road < self.roads.len() {
            self.sending().send(road, packet);
        }
    }

    /// Enters into the schedule when a router's next late message leaves.
    fn reschedule_router(&mut self, node: usize) {
        let NodeKind::Router(router) = &self.nodes[node].kind else { return };
        let source = self.roads.len() + node;
        let next = router.next();
        if self.schedule.get(source).map(|key| key.time) != next {
            self.schedule.set(source, next.map(|time| Key { time, sequence: self.sequence }));
            self.sequence += 1;
        }
    }

    /// Enters into the schedule when a host's next timer expires.
    fn reschedule(&mut self, node: usize, after_timeout: bool) {
        let Node { kind: NodeKind::Host(host), counters, .. } = &mut self.nodes[node] else { return };
        let mut stack = host.core.stack.poll_timeout();
        if let Some(time) = stack
            && time <= self.now
            && after_timeout
        {
            // A stack that asks for the past again would stop the world's time.
            counters.late_timers += 1;
            stack = Some(self.now + Duration::from_nanos(1));
        }
        let app = host.core.timers.peek().map(|Reverse(timer)| timer.time);
        let next = [stack, app, host.waiting.next()].into_iter().flatten().min();
        let source = self.roads.len() + node;
        let next = next.filter(|&time| time < Instant::FAR_FUTURE).map(|time| time.max(self.now));
        if self.schedule.get(source).map(|key| key.time) != next {
            let key = next.map(|time| Key { time, sequence: self.sequence });
            self.sequence += 1;
            self.schedule.set(source, key);
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        f.debug_struct("World")
            .field("now", &self.now)
            .field("events", &self.events)
            .field("nodes", &names)
            .field("links", &(self.roads.len() / 2))
            .finish_non_exhaustive()
    }
}

/// What the stack has to tell next.
fn next_event(stack: &mut narrows_stack::Host) -> Option<Told> {
    let tcp = stack.poll_event().map(Told::Tcp);
    tcp.or_else(|| stack.poll_udp_event().map(Told::Udp))
}

/// The road that leaves from an end of a link.
fn road_from(link: LinkId, end: End) -> usize {
    link.0 as usize * 2 + usize::from(end == End::Second)
}

fn show(recorders: &mut [Option<Box<dyn Recorder>>], taps: &[(RecorderId, u32)], passage: &Passage<'_>) {
    for &(recorder, tap) in taps {
        if let Some(Some(recorder)) = recorders.get_mut(recorder.0 as usize) {
            recorder.record(tap, passage);
        }
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
