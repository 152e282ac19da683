//! Which interface, which socket? The surface of a host.
//!
//! Connections live in a table whose rows are found by hash, and their timers in one queue: nothing that happens to one
//! packet costs more because other connections exist. What is known about paths is in `path.rs`, what the network reports in
//! `icmp.rs`.

mod address;
mod cookies;
mod datagrams;
mod linger;
mod martian;
mod network;
mod receive;
mod requests;
mod rest;
mod sockets;
mod table;

use crate::counters::{Counter, Counters};
use crate::icmp::ErrorLimit;
use crate::ip::reassembly::Reassembler;
use crate::knob::SharedKnobs;
use crate::path::PathCache;
use crate::random::{Random, Secret};
use crate::socket::demux::{Demux, FourTuple};
use crate::tcp::challenge::ChallengeBudget;
use crate::tcp::connection::Connection;
use crate::tcp::ecn::Codepoint;
use crate::tcp::listen::Listener;
use crate::tcp::listen::request::Request;
use crate::tcp::listen::syn_cookies::CookieJar;
use crate::tcp::rest::Resting;
use crate::tcp::time_wait::TimeWait;
use crate::timer_queue::TimerQueue;
use crate::udp::{SendMemory, UdpTable};
use crate::{Instant, Knobs};
use narrows_wire::{Packet, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A host's ICMP errors per second, all receivers together (Linux's icmp_msgs_per_sec).
const ERRORS_PER_SECOND: u32 = 1_000;

/// An interface of a host, in the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u32);

crate::pack::pack!(InterfaceId { 0 });

/// A TCP connection of a host. Never reused within a host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// A listening TCP socket of a host. Never reused within a host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u64);

/// A packet to be sent.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Through which interface.
    pub interface: InterfaceId,
    /// The packet; with `offload.segment_bytes` set it is a large segment still to be cut.
    pub packet: Packet,
    /// A datagram's share of its socket's send buffer: to be kept until the device has sent the packet, as far as that takes time.
    pub memory: Option<Arc<SendMemory>>,
}

impl Transmit {
    /// A packet that no send buffer accounts for here.
    pub(crate) fn new(interface: InterfaceId, packet: Packet) -> Transmit {
        Transmit { interface, packet, memory: None }
    }
}

/// What has happened on a socket. Readable and writable are edge-triggered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection is established (active side, or simultaneous open).
    Connected(SocketId),
    /// A connection waits to be accepted.
    Acceptable(ListenerId),
    /// New data, or the peer's FIN, can be read.
    Readable(SocketId),
    /// There is room to write again after a short write.
    Writable(SocketId),
    /// The connection is gone; `Some` when it did not end in good order.
    Closed(SocketId, Option<SocketError>),
    /// What [`Host::tcp_close_lingering`] waited for has come, or its time is up.
    Lingered {
        /// The socket that was closed; it is nobody's any more.
        socket: SocketId,
        /// The peer has acknowledged everything, FIN included.
        complete: bool,
    },
}

/// Why a call on a socket failed, or why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// No such socket.
    #[error("no such socket")]
    UnknownSocket,
    /// Not possible in the connection's state.
    #[error("the connection is not in a state that allows this")]
    InvalidState,
    /// Nothing to read or no room to write at the moment.
    #[error("would block")]
    WouldBlock,
    /// The address is already in use.
    #[error("address already in use")]
    AddressInUse,
    /// No route to the destination.
    #[error("no route to the destination")]
    Unreachable,
    /// The peer refused the connection.
    #[error("connection refused")]
    Refused,
    /// The peer reset the connection.
    #[error("connection reset by peer")]
    Reset,
    /// The peer did not answer in time.
    #[error("connection timed out")]
    TimedOut,
    /// No such knob, or not such a value for it.
    #[error("no such knob, or not a value that it takes")]
    InvalidKnob,
    /// Written after shutdown, or to a connection the peer has closed.
    #[error("broken pipe")]
    BrokenPipe,
}

crate::pack::choices!(SocketError {
    UnknownSocket,
    InvalidState,
    WouldBlock,
    AddressInUse,
    Unreachable,
    Refused,
    Reset,
    TimedOut,
    InvalidKnob,
    BrokenPipe,
});

/// Flags of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// MSG_MORE: more follows at once; hold a last partial segment.
    pub more: bool,
    /// MSG_EOR: a record ends here; no segment holds bytes of two records.
    pub end_of_record: bool,
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Addresses of this host on the interface.
    pub addresses: Vec<IpAddr>,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// Whether the device cuts large segments itself (TSO/GSO); then [`Transmit`] may carry them whole.
    pub segmentation_offload: bool,
}

/// What makes a host.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Defaults of all sockets.
    pub knobs: Knobs,
    /// Seed of everything random in the host: initial sequence numbers, ports, timestamp offsets.
    pub seed: u64,
    /// Where in a timer tick the origin of time falls, nanoseconds (Linux timers run on ticks of 1/HZ).
    pub tick_phase_ns: u64,
}

/// A row of the host's table of connections.
#[derive(Debug)]
enum Slot {
    Free,
    Request(Box<Request>),
    Connection(Box<Connection>),
    Resting(Box<Resting>),
    TimeWait(Box<TimeWait>),
}

/// A destination and the interface that leads there.
#[derive(Clone, Copy, Debug)]
struct Route {
    network: IpAddr,
    prefix_len: u8,
    interface: InterfaceId,
}

/// One host: interfaces, addresses, routes, sockets.
#[derive(Debug)]
pub struct Host {
    config: HostConfig,
    interfaces: Vec<Interface>,
    /// Which of them take nothing at present.
    full: Vec<bool>,
    /// Longest prefix first.
    routes: Vec<Route>,
    slots: Vec<Slot>,
    /// How often each slot has been used: the upper half of a [`SocketId`].
    generations: Vec<u32>,
    free: Vec<usize>,
    /// Connections in `slots` that nobody owns.
    orphans: usize,
    /// Those who wait for the end of what they have closed, and until when.
    lingering: BTreeMap<SocketId, Instant>,
    awake: rest::Awake,
    /// Knobs that sockets have in common.
    shared_knobs: SharedKnobs,
    /// How many of `slots` are in TIME-WAIT.
    time_waits: usize,
    listeners: Vec<Option<Listener>>,
    demux: Demux,
    timers: TimerQueue,
    /// Slots that may have something to send, in the order in which they got it.
    ready: VecDeque<usize>,
    is_ready: Vec<bool>,
    replies: VecDeque<Transmit>,
    events: VecDeque<Event>,
    random: Random,
    secret: Secret,
    cookies: CookieJar,
    next_port: u32,
    counters: Counters,
    challenges: ChallengeBudget,
    paths: PathCache,
    reassembler: Reassembler,
    error_limit: ErrorLimit,
    udp: UdpTable,
    /// The ECN field of the packet that arrived last.
    arriving: Codepoint,
}

impl Host {
    /// A host without interfaces.
    #[must_use]
    pub fn new(config: HostConfig) -> Host {
        let mut random = Random::new(config.seed);
        let secret = random.next_u64();
        let next_port = random.next_u32();
        Host {
            config,
            interfaces: Vec::new(),
            full: Vec::new(),
            routes: Vec::new(),
            slots: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
            orphans: 0,
            lingering: BTreeMap::new(),
            awake: rest::Awake::default(),
            shared_knobs: SharedKnobs::default(),
            time_waits: 0,
            listeners: Vec::new(),
            demux: Demux::new(secret),
            timers: TimerQueue::default(),
            ready: VecDeque::new(),
            is_ready: Vec::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            arriving: Codepoint::NotEct,
            random,
            secret: Secret::new(secret),
            cookies: CookieJar::new(secret),
            udp: UdpTable::new(secret),
            next_port,
            counters: Counters::default(),
            challenges: ChallengeBudget::default(),
            paths: PathCache::default(),
            reassembler: Reassembler::default(),
            error_limit: ErrorLimit::new(ERRORS_PER_SECOND),
        }
    }

    /// Adds an interface; destinations without a more specific route leave by the first one.
    pub fn add_interface(&mut self, interface: Interface) -> InterfaceId {
        self.interfaces.push(interface);
        self.full.push(false);
        InterfaceId(self.interfaces.len() as u32 - 1)
    }

    /// The interface's device takes nothing (`full`), or takes packets again. What TCP would send stays unsent and is tried again
    /// half a second later, as Linux does when its queue refuses a packet; bare ACKs and resets are lost.
    pub fn set_device_full(&mut self, interface: InterfaceId, full: bool) {
        if let Some(entry) = self.full.get_mut(interface.0 as usize) {
            *entry = full;
        }
        for slot in &mut self.slots {
            if let Slot::Connection(connection) = slot
                && connection.interface == interface
            {
                connection.device_full = full;
            }
        }
    }

    fn is_full(&self, interface: InterfaceId) -> bool {
        self.full.get(interface.0 as usize).copied().unwrap_or(false)
    }

    /// Adds a route: packets for `network/prefix_len` leave by `interface`.
    pub fn add_route(&mut self, network: IpAddr, prefix_len: u8, interface: InterfaceId) {
        self.routes.push(Route { network, prefix_len, interface });
        self.routes.sort_by_key(|route| std::cmp::Reverse(route.prefix_len));
    }

    /// The defaults of all sockets.
    #[must_use]
    pub fn knobs(&self) -> &Knobs {
        &self.config.knobs
    }

    /// What the host has done and dropped.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A packet has arrived.
    pub fn handle_packet(&mut self, now: Instant, from: InterfaceId, packet: Packet) {
        if self.is_martian(from, &packet.ip) {
            self.counters.count(Counter::Martian);
            return;
        }
        let Some(packet) = self.whole(now, packet) else { return };
        let header = match &packet.transport {
            Transport::Tcp(header) => header,
            Transport::Icmp(message) => return self.handle_icmp(now, from, *message, &packet),
            Transport::Udp(header) => return self.handle_udp(now, *header, &packet),
            Transport::Opaque => {
                self.counters.count(Counter::NotForUs);
                return;
            }
        };
        let segments = match packet.offload.segment_bytes {
            Some(size) if size > 0 => packet.payload.len().div_ceil(usize::from(size)).max(1) as u64,
            _ => 1,
        };
        self.counters.add(Counter::SegmentsIn, segments);
        if header.options.signed {
            // A signature that nobody agreed on is no honest peer's (RFC 2385 §2; tcp_inbound_hash).
            self.counters.count(Counter::SignatureUnexpected);
            return;
        }
        let tuple = FourTuple {
            local: SocketAddr::new(packet.ip.destination, header.destination_port),
            remote: SocketAddr::new(packet.ip.source, header.source_port),
        };
        self.arriving = Codepoint::of(packet.ip.traffic_class);
        match self.demux.connection(&tuple) {
            Some(slot) if matches!(self.slots[slot], Slot::Connection(_) | Slot::Resting(_)) => {
                self.for_connection(now, slot, header, packet.payload, packet.offload);
            }
            Some(slot) if matches!(self.slots[slot], Slot::Request(_)) => {
                self.for_request(now, slot, header, packet.payload, packet.offload);
            }
            Some(slot) => self.for_time_wait(now, slot, from, header, packet.payload.len()),
            None => {
                if !self.opens_by_cookie(now, from, tuple, header, &packet.payload, packet.offload) {
                    self.for_listener(now, from, tuple, header, packet.payload.len(), None);
                }
            }
        }
    }

    /// The next packet to send, if any. Call until `None` after every other call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        while let Some(transmit) = self.replies.pop_front() {
            if self.is_full(transmit.interface) {
                self.counters.count(Counter::DeviceFull);
                continue;
            }
            self.counters.count(Counter::SegmentsOut);
            return Some(transmit);
        }
        while let Some(transmit) = self.udp.pop() {
            if self.is_full(transmit.interface) {
                self.counters.count(Counter::DeviceFull);
                continue;
            }
            return Some(transmit);
        }
        while let Some(&slot) = self.ready.front() {
            if let Some((connection, mut context)) = self.connection(now, slot) {
                let interface = connection.interface;
                if let Some(packet) = connection.poll_transmit(&mut context) {
                    if self.is_full(interface) {
                        self.counters.count(Counter::DeviceFull);
                        continue;
                    }
                    let segments = match packet.offload.segment_bytes {
                        Some(size) => packet.payload.len().div_ceil(usize::from(size).max(1)) as u64,
                        None => 1,
                    };
                    self.counters.add(Counter::SegmentsOut, segments);
                    return Some(Transmit::new(interface, packet));
                }
                if let Some(deadline) = connection.deadline() {
                    self.timers.note(slot, deadline);
                }
            }
            self.ready.pop_front();
            self.is_ready[slot] = false;
            self.settle(now, slot);
        }
        self.let_some_rest(now);
        None
    }

    /// When [`Host::handle_timeout`] has to be called next. Packets that wait to be polled come first: call
    /// [`Host::poll_transmit`] until `None` before.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let others = [self.reassembler.deadline(), self.lingering_deadline()];
        others.into_iter().flatten().chain(self.next_of_connections()).min()
    }

    fn next_of_connections(&mut self) -> Option<Instant> {
        loop {
            let (noted, slot) = self.timers.first()?;
            match self.deadline(slot) {
                Some(deadline) if deadline <= noted => return Some(noted),
                deadline => self.timers.correct_first(deadline),
            }
        }
    }

    pub(super) fn deadline(&self, slot: usize) -> Option<Instant> {
        match &self.slots[slot] {
            Slot::Free => None,
            Slot::Request(request) => Some(request.due),
            Slot::Connection(connection) => connection.deadline(),
            Slot::Resting(resting) => resting.deadline(),
            Slot::TimeWait(wait) => Some(wait.until),
        }
    }

    /// Time has passed; runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.give_up_pieces(now);
        self.give_up_lingering(now);
        while let Some(due) = self.next_of_connections()
            && due <= now
        {
            let Some((_, slot)) = self.timers.first() else { return };
            if let Some((connection, mut context)) = self.connection(now, slot) {
                connection.handle_timeout(&mut context);
                self.after(slot);
            } else if !self.repeat_syn_ack(now, slot) {
                self.release(slot);
            }
        }
    }

    /// The next event, if any.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
