//! Which interface, which socket? The surface of a host.
//!
//! Connections live in a table whose rows are found by hash, and their timers in one queue: nothing that happens to one
//! packet costs more because other connections exist. The rooms for UDP (`udp.rs`), ICMP (`icmp.rs`) and what is
//! known about paths (`path.rs`) are beside this file.

use crate::counters::{Counter, Counters};
use crate::random::{Random, mix};
use crate::socket::demux::{Demux, FourTuple};
use crate::tcp::challenge::ChallengeBudget;
use crate::tcp::connection::{Connection, Context, Owner, State};
use crate::tcp::listen::Listener;
use crate::tcp::listen::accept_queue::AcceptQueue;
use crate::tcp::time_wait::{TimeWait, TimeWaitAction};
use crate::tcp::{Begin, TcpInfo};
use crate::timer_queue::TimerQueue;
use crate::{Instant, Knobs};
use bytes::Bytes;
use narrows_wire::{Offload, Packet, Seq, TcpFlags, TcpHeader, TcpOptions, Transport};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// An interface of a host, in the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u32);

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

/// Flags of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// MSG_MORE: more follows at once; hold a last partial segment.
    pub more: bool,
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
    Connection(Box<Connection>),
    TimeWait(Box<TimeWait>),
}

/// A destination and the interface that leads there.
#[derive(Clone, Copy, Debug)]
struct Route {
    network: IpAddr,
    prefix_len: u8,
    interface: InterfaceId,
}

/// Ports for connections that do not ask for one (Linux's ip_local_port_range).
const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// One host: interfaces, addresses, routes, sockets.
#[derive(Debug)]
pub struct Host {
    config: HostConfig,
    interfaces: Vec<Interface>,
    /// Longest prefix first.
    routes: Vec<Route>,
    slots: Vec<Slot>,
    /// How often each slot has been used: the upper half of a [`SocketId`].
    generations: Vec<u32>,
    free: Vec<usize>,
    listeners: Vec<Option<Listener>>,
    demux: Demux,
    timers: TimerQueue,
    /// Slots that may have something to send, in the order in which they got it.
    ready: VecDeque<usize>,
    is_ready: Vec<bool>,
    replies: VecDeque<Transmit>,
    events: VecDeque<Event>,
    random: Random,
    secret: u64,
    next_port: u32,
    counters: Counters,
    challenges: ChallengeBudget,
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
            routes: Vec::new(),
            slots: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
            listeners: Vec::new(),
            demux: Demux::new(secret),
            timers: TimerQueue::default(),
            ready: VecDeque::new(),
            is_ready: Vec::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            random,
            secret,
            next_port,
            counters: Counters::default(),
            challenges: ChallengeBudget::default(),
        }
    }

    /// Adds an interface; destinations without a more specific route leave by the first one.
    pub fn add_interface(&mut self, interface: Interface) -> InterfaceId {
        self.interfaces.push(interface);
        InterfaceId(self.interfaces.len() as u32 - 1)
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
        let Transport::Tcp(header) = &packet.transport else {
            self.counters.count(Counter::NotForUs);
            return;
        };
        let segments = match packet.offload.segment_bytes {
            Some(size) if size > 0 => packet.payload.len().div_ceil(usize::from(size)).max(1) as u64,
            _ => 1,
        };
        self.counters.add(Counter::SegmentsIn, segments);
        let tuple = FourTuple {
            local: SocketAddr::new(packet.ip.destination, header.destination_port),
            remote: SocketAddr::new(packet.ip.source, header.source_port),
        };
        match self.demux.connection(&tuple) {
            Some(slot) if matches!(self.slots[slot], Slot::Connection(_)) => {
                self.to_connection(now, slot, header, packet.payload, packet.offload);
            }
            Some(slot) => self.to_time_wait(now, slot, from, header, packet.payload.len()),
            None => self.to_listener(now, from, tuple, header, packet.payload.len(), None),
        }
    }

    fn to_connection(
        &mut self,
        now: Instant,
        slot: usize,
        header: &TcpHeader,
        payload: Bytes,
        offload: Offload,
    ) {
        let Some((connection, _)) = self.connection(now, slot) else { return };
        let (before, owner, id) = (connection.state, connection.owner, connection.id);
        let opening = before == State::SynReceived;
        if opening
            && let Owner::Listener(listener) = owner
            && header.flags.contains(TcpFlags::ACK)
            && !header.flags.contains(TcpFlags::RST)
            && self.listener(listener).is_none_or(|listener| listener.queue.is_full())
        {
            // The client believes that it is connected; it will hear our SYN-ACK again.
            self.counters.count(Counter::AckDroppedQueueFull);
            return;
        }
        let Some((connection, mut context)) = self.connection(now, slot) else { return };
        connection.handle_segment(&mut context, header, payload, offload);
        let opened = opening && !matches!(connection.state, State::SynReceived | State::Closed);
        if opened
            && let Owner::Listener(listener) = owner
            && let Some(entry) = self.listener_mut(listener)
        {
            entry.queue.push(id);
            self.events.push_back(Event::Acceptable(listener));
        }
        self.after(slot, opening && !opened);
    }

    fn to_time_wait(
        &mut self,
        now: Instant,
        slot: usize,
        from: InterfaceId,
        header: &TcpHeader,
        payload_bytes: usize,
    ) {
        let Slot::TimeWait(wait) = &mut self.slots[slot] else { return };
        match wait.on_segment(now, header, payload_bytes) {
            TimeWaitAction::Drop => {}
            TimeWaitAction::Acknowledge => {
                let timestamps = wait.timestamps.map(|state| state.option(now));
                let options = TcpOptions { timestamps, ..TcpOptions::default() };
                let (tuple, interface) = (wait.tuple, wait.interface);
                let (seq, ack, window) = (wait.snd_nxt, wait.rcv_nxt, wait.window);
                self.reply(interface, &tuple, seq, ack, TcpFlags::ACK, window, options);
            }
            TimeWaitAction::End => {
                self.counters.count(Counter::TimeWaitKilled);
                self.release(slot);
            }
            TimeWaitAction::NewConnection { initial_seq } => {
                let tuple = wait.tuple;
                if self.demux.listener(tuple.local).is_some() {
                    self.counters.count(Counter::TimeWaitReused);
                    self.release(slot);
                }
                self.to_listener(now, from, tuple, header, payload_bytes, Some(initial_seq));
            }
        }
    }

    /// A segment of no connection: a SYN for a listener, or RST in answer (RFC 9293 §3.10.7.1, §3.10.7.2).
    fn to_listener(
        &mut self,
        now: Instant,
        from: InterfaceId,
        tuple: FourTuple,
        header: &TcpHeader,
        payload_bytes: usize,
        initial_seq: Option<Seq>,
    ) {
        if !self.is_local(tuple.local.ip()) {
            self.counters.count(Counter::WrongDestination);
            return;
        }
        let flags = header.flags;
        let opens =
            flags.contains(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN);
        let index = self.demux.listener(tuple.local).filter(|_| opens);
        let Some(listener) = index.and_then(|index| self.listeners.get(index)?.as_ref()) else {
            self.refuse(from, &tuple, header, payload_bytes);
            return;
        };
        if listener.queue.is_full() {
            self.counters.count(Counter::SynDroppedQueueFull);
            return;
        }
        let (owner, knobs) = (Owner::Listener(listener.id), listener.knobs.clone());
        self.counters.count(Counter::PassiveOpens);
        let slot = self.allocate();
        let begin = self.begin(now, slot, tuple, from, owner, knobs, initial_seq);
        let connection = Connection::answer(now, begin, header);
        self.demux.add_connection(&tuple, slot);
        self.slots[slot] = Slot::Connection(Box::new(connection));
        self.after(slot, false);
    }

    fn refuse(&mut self, from: InterfaceId, tuple: &FourTuple, header: &TcpHeader, payload_bytes: usize) {
        self.counters.count(Counter::NoSocket);
        let flags = header.flags;
        if flags.contains(TcpFlags::RST) {
            return;
        }
        self.counters.count(Counter::ResetsOut);
        if flags.contains(TcpFlags::ACK) {
            self.reply(from, tuple, header.ack, Seq(0), TcpFlags::RST, 0, TcpOptions::default());
            return;
        }
        let occupied = payload_bytes as u32
            + u32::from(flags.contains(TcpFlags::SYN))
            + u32::from(flags.contains(TcpFlags::FIN));
        let flags = TcpFlags::RST | TcpFlags::ACK;
        self.reply(from, tuple, Seq(0), header.seq + occupied, flags, 0, TcpOptions::default());
    }

    /// A segment that no connection sends.
    #[allow(clippy::too_many_arguments)]
    fn reply(
        &mut self,
        interface: InterfaceId,
        tuple: &FourTuple,
        seq: Seq,
        ack: Seq,
        flags: TcpFlags,
        window: u16,
        options: TcpOptions,
    ) {
        let header = TcpHeader {
            source_port: tuple.local.port(),
            destination_port: tuple.remote.port(),
            seq,
            ack,
            flags,
            window,
            urgent: 0,
            options,
        };
        let packet = Packet::tcp(tuple.local.ip(), tuple.remote.ip(), header, Bytes::new());
        self.replies.push_back(Transmit { interface, packet });
    }

    /// The next packet to send, if any. Call until `None` after every other call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if let Some(transmit) = self.replies.pop_front() {
            self.counters.count(Counter::SegmentsOut);
            return Some(transmit);
        }
        while let Some(&slot) = self.ready.front() {
            if let Some((connection, mut context)) = self.connection(now, slot) {
                let interface = connection.interface;
                if let Some(packet) = connection.poll_transmit(&mut context) {
                    let segments = match packet.offload.segment_bytes {
                        Some(size) => packet.payload.len().div_ceil(usize::from(size).max(1)) as u64,
                        None => 1,
                    };
                    self.counters.add(Counter::SegmentsOut, segments);
                    return Some(Transmit { interface, packet });
                }
                if let Some(deadline) = connection.deadline() {
                    self.timers.note(slot, deadline);
                }
            }
            self.ready.pop_front();
            self.is_ready[slot] = false;
        }
        None
    }

    /// When [`Host::handle_timeout`] has to be called next. Packets that wait to be polled come first: call
    /// [`Host::poll_transmit`] until `None` before.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        loop {
            let (noted, slot) = self.timers.first()?;
            match self.deadline(slot) {
                Some(deadline) if deadline <= noted => return Some(noted),
                deadline => self.timers.correct_first(deadline),
            }
        }
    }

    fn deadline(&self, slot: usize) -> Option<Instant> {
        match &self.slots[slot] {
            Slot::Free => None,
            Slot::Connection(connection) => connection.deadline(),
            Slot::TimeWait(wait) => Some(wait.until),
        }
    }

    /// Time has passed; runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.poll_timeout()
            && due <= now
        {
            let Some((_, slot)) = self.timers.first() else { return };
            if let Some((connection, mut context)) = self.connection(now, slot) {
                let opening = connection.state == State::SynReceived;
                connection.handle_timeout(&mut context);
                self.after(slot, opening);
            } else {
                self.release(slot);
            }
        }
    }

    /// The next event, if any.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Listens on `local` (unspecified address: all addresses of the host; port 0: any free port).
    ///
    /// # Errors
    /// [`SocketError::AddressInUse`].
    pub fn tcp_listen(
        &mut self,
        local: SocketAddr,
        backlog: u32,
        knobs: Knobs,
    ) -> Result<ListenerId, SocketError> {
        let mut local = local;
        if local.port() == 0 {
            let free = EPHEMERAL_PORTS
                .map(|port| SocketAddr::new(local.ip(), port))
                .find(|candidate| !self.demux.listener_collides(*candidate));
            local = free.ok_or(SocketError::AddressInUse)?;
        }
        if self.demux.listener_collides(local) {
            return Err(SocketError::AddressInUse);
        }
        if !local.ip().is_unspecified() && !self.is_local(local.ip()) {
            return Err(SocketError::Unreachable);
        }
        let id = ListenerId(self.listeners.len() as u64);
        self.demux.add_listener(local, self.listeners.len());
        self.listeners.push(Some(Listener { id, local, knobs, queue: AcceptQueue::new(backlog) }));
        Ok(id)
    }

    /// Where the listener listens.
    #[must_use]
    pub fn tcp_listener_address(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.listener(listener).map(|listener| listener.local)
    }

    /// Stops listening. Connections that were not accepted are reset; accepted ones live on.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_close_listener(&mut self, now: Instant, listener: ListenerId) -> Result<(), SocketError> {
        let index = usize::try_from(listener.0).unwrap_or(usize::MAX);
        let gone = self.listeners.get_mut(index).and_then(Option::take);
        let local = gone.ok_or(SocketError::UnknownSocket)?.local;
        self.demux.remove_listener(local);
        for slot in 0..self.slots.len() {
            if let Some((connection, mut context)) = self.connection(now, slot)
                && connection.owner == Owner::Listener(listener)
            {
                connection.owner = Owner::Nobody;
                connection.abort(&mut context, None);
                self.after(slot, false);
            }
        }
        Ok(())
    }

    /// Takes an established connection off the listener's accept queue.
    pub fn tcp_accept(&mut self, listener: ListenerId) -> Option<SocketId> {
        loop {
            let id = self.listener_mut(listener)?.queue.pop()?;
            // The time does not matter here: nothing is sent.
            if let Some((connection, mut context)) = self.connection(Instant::ZERO, slot_of(id))
                && connection.id == id
            {
                connection.accepted(&mut context);
                return Some(id);
            }
        }
    }

    /// Begins to connect; [`Event::Connected`] or [`Event::Closed`] follows.
    ///
    /// # Errors
    /// [`SocketError::Unreachable`], [`SocketError::AddressInUse`].
    pub fn tcp_connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        knobs: Knobs,
    ) -> Result<SocketId, SocketError> {
        let (interface, source) = self.route(remote.ip()).ok_or(SocketError::Unreachable)?;
        let address = match local.map(|local| local.ip()) {
            Some(address) if !address.is_unspecified() => {
                if address.is_ipv4() != remote.is_ipv4() || !self.is_local(address) {
                    return Err(SocketError::Unreachable);
                }
                address
            }
            _ => source,
        };
        let port = match local.map_or(0, |local| local.port()) {
            0 => self.ephemeral_port(address, remote).ok_or(SocketError::AddressInUse)?,
            port => port,
        };
        let tuple = FourTuple { local: SocketAddr::new(address, port), remote };
        if self.demux.connection(&tuple).is_some() {
            return Err(SocketError::AddressInUse);
        }
        self.counters.count(Counter::ActiveOpens);
        let slot = self.allocate();
        let begin = self.begin(now, slot, tuple, interface, Owner::Application, knobs, None);
        let id = begin.id;
        self.demux.add_connection(&tuple, slot);
        self.slots[slot] = Slot::Connection(Box::new(Connection::connect(now, begin)));
        self.after(slot, false);
        Ok(id)
    }

    /// One write: takes as much of `data` as there is room for and returns how much. Its end is a write boundary
    /// (PSH, Nagle's small segment).
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] (then [`Event::Writable`] follows), [`SocketError::BrokenPipe`], …
    pub fn tcp_send(
        &mut self,
        now: Instant,
        socket: SocketId,
        data: Bytes,
        flags: SendFlags,
    ) -> Result<usize, SocketError> {
        self.call(now, socket, |connection, context| connection.write(context, data, flags))?
    }

    /// One read of at most `max` bytes, and at most of what one segment brought, so that nothing is copied: read on
    /// until [`SocketError::WouldBlock`]. Empty at the end of the stream. Reading may send an ACK or a window update.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] when there is nothing yet.
    pub fn tcp_recv(&mut self, now: Instant, socket: SocketId, max: usize) -> Result<Bytes, SocketError> {
        self.call(now, socket, |connection, context| connection.read(context, max))?
    }

    /// Sends FIN after all that has been written (half close).
    ///
    /// # Errors
    /// [`SocketError::InvalidState`].
    pub fn tcp_shutdown(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        self.call(now, socket, |connection, _| connection.shutdown())?
    }

    /// Gives the socket up: FIN, or RST when data was left unread (RFC 9293 §3.6). Its id is invalid afterwards.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_close(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        self.call(now, socket, |connection, context| connection.close(context))
    }

    /// Resets the connection. Its id is invalid afterwards.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_abort(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        self.call(now, socket, |connection, context| {
            connection.owner = Owner::Nobody;
            connection.abort(context, None);
        })
    }

    /// Sets one knob of a socket by its name in the table, as setsockopt does (`quickack` is a one-shot there).
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`], [`SocketError::InvalidKnob`].
    pub fn tcp_set(
        &mut self,
        now: Instant,
        socket: SocketId,
        knob: &str,
        value: &str,
    ) -> Result<(), SocketError> {
        self.call(now, socket, |connection, context| connection.set(context, knob, value))?
    }

    /// The connection's inner values.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_info(&self, socket: SocketId) -> Result<TcpInfo, SocketError> {
        self.owned(socket).map(Connection::info)
    }

    /// The connection's two ends: this host's, and the peer's.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_addresses(&self, socket: SocketId) -> Result<(SocketAddr, SocketAddr), SocketError> {
        self.owned(socket).map(|connection| (connection.tuple.local, connection.tuple.remote))
    }

    fn owned(&self, socket: SocketId) -> Result<&Connection, SocketError> {
        match self.slots.get(slot_of(socket)) {
            Some(Slot::Connection(connection))
                if connection.id == socket && connection.owner == Owner::Application =>
            {
                Ok(connection)
            }
            _ => Err(SocketError::UnknownSocket),
        }
    }

    /// A call of the application on one of its sockets.
    fn call<T>(
        &mut self,
        now: Instant,
        socket: SocketId,
        call: impl FnOnce(&mut Connection, &mut Context<'_>) -> T,
    ) -> Result<T, SocketError> {
        self.owned(socket)?;
        let slot = slot_of(socket);
        let (connection, mut context) = self.connection(now, slot).ok_or(SocketError::UnknownSocket)?;
        let result = call(connection, &mut context);
        self.after(slot, false);
        Ok(result)
    }

    /// A connection together with what it may use of the host.
    fn connection(&mut self, now: Instant, slot: usize) -> Option<(&mut Connection, Context<'_>)> {
        let Some(Slot::Connection(connection)) = self.slots.get_mut(slot) else { return None };
        let context = Context {
            now,
            random: &mut self.random,
            counters: &mut self.counters,
            challenges: &mut self.challenges,
            events: &mut self.events,
            replies: &mut self.replies,
        };
        Some((connection, context))
    }

    /// Something has happened to a connection: it may have something to send, wait for another time, or be over.
    /// `forget`: when it is over, nobody will ask for it.
    fn after(&mut self, slot: usize, forget: bool) {
        let Slot::Connection(connection) = &mut self.slots[slot] else { return };
        if connection.state != State::Closed {
            if let Some(deadline) = connection.deadline() {
                self.timers.note(slot, deadline);
            }
            if !self.is_ready[slot] {
                self.is_ready[slot] = true;
                self.ready.push_back(slot);
            }
            return;
        }
        let wait = connection.take_time_wait();
        let unowned = connection.owner == Owner::Nobody;
        let unaccepted = forget && matches!(connection.owner, Owner::Listener(_));
        let tuple = connection.tuple;
        self.demux.remove_connection(&tuple, slot);
        self.timers.remove(slot);
        if unowned || unaccepted {
            self.release(slot);
        }
        if let Some(wait) = wait {
            let slot = self.allocate();
            self.timers.note(slot, wait.until);
            self.demux.add_connection(&wait.tuple, slot);
            self.slots[slot] = Slot::TimeWait(Box::new(wait));
        }
    }

    fn allocate(&mut self) -> usize {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        self.slots.push(Slot::Free);
        self.generations.push(0);
        self.is_ready.push(false);
        self.slots.len() - 1
    }

    fn release(&mut self, slot: usize) {
        let tuple = match &self.slots[slot] {
            Slot::Free => return,
            Slot::Connection(connection) => connection.tuple,
            Slot::TimeWait(wait) => wait.tuple,
        };
        self.demux.remove_connection(&tuple, slot);
        self.timers.remove(slot);
        self.slots[slot] = Slot::Free;
        // A slot that has been used four thousand million times retires: ids are never used twice.
        if let Some(generation) = self.generations[slot].checked_add(1) {
            self.generations[slot] = generation;
            self.free.push(slot);
        }
    }

    fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    fn listener_mut(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.listeners.get_mut(usize::try_from(id.0).ok()?)?.as_mut()
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.addresses.contains(&address))
    }

    /// The interface towards `destination` and the address to use there.
    fn route(&self, destination: IpAddr) -> Option<(InterfaceId, IpAddr)> {
        let chosen = self
            .routes
            .iter()
            .find(|route| covers(route.network, route.prefix_len, destination))
            .map_or(InterfaceId(0), |route| route.interface);
        let same_family = |address: &&IpAddr| address.is_ipv4() == destination.is_ipv4();
        let interface = self.interfaces.get(chosen.0 as usize)?;
        interface.addresses.iter().find(same_family).map(|address| (chosen, *address))
    }

    /// What a new connection needs.
    #[allow(clippy::too_many_arguments)]
    fn begin(
        &mut self,
        now: Instant,
        slot: usize,
        tuple: FourTuple,
        interface: InterfaceId,
        owner: Owner,
        knobs: Knobs,
        initial_seq: Option<Seq>,
    ) -> Begin {
        let device = self.interfaces.get(interface.0 as usize);
        let keyed = self.keyed(&tuple);
        // A clock of 64 ns and a secret per pair of ends: later connections of the same ends begin later (RFC 6528).
        let clock = (now.as_nanos() >> 6) as u32;
        Begin {
            id: SocketId(u64::from(self.generations[slot]) << 32 | slot as u64),
            tuple,
            interface,
            path_mtu: device.map_or(1500, |device| device.mtu),
            offload: device.is_some_and(|device| device.segmentation_offload),
            owner,
            knobs,
            tick_phase_ns: self.config.tick_phase_ns,
            iss: initial_seq.unwrap_or(Seq(clock.wrapping_add(keyed as u32))),
            timestamp_offset: (keyed >> 32) as u32,
        }
    }

    /// A value that depends on the two ends and the host's secret.
    fn keyed(&self, tuple: &FourTuple) -> u64 {
        let end = |address: &SocketAddr| {
            let bits = match address.ip() {
                IpAddr::V4(v4) => u128::from(v4.to_bits()),
                IpAddr::V6(v6) => v6.to_bits(),
            };
            mix(bits as u64 ^ mix((bits >> 64) as u64 ^ u64::from(address.port())))
        };
        mix(self.secret ^ mix(end(&tuple.local) ^ mix(end(&tuple.remote))))
    }

    /// A port that is free towards `remote`: it begins where the secret says for that destination and goes on from
    /// there (RFC 6056 §3.3.3).
    fn ephemeral_port(&mut self, address: IpAddr, remote: SocketAddr) -> Option<u16> {
        let count = u32::from(EPHEMERAL_PORTS.end() - EPHEMERAL_PORTS.start()) + 1;
        let offset = self.keyed(&FourTuple { local: SocketAddr::new(address, 0), remote }) as u32;
        for _ in 0..count {
            let step = offset.wrapping_add(self.next_port) % count;
            self.next_port = self.next_port.wrapping_add(1);
            let port = EPHEMERAL_PORTS.start() + step as u16;
            let local = SocketAddr::new(address, port);
            let free = self.demux.connection(&FourTuple { local, remote }).is_none();
            if free && self.demux.listener(local).is_none() {
                return Some(port);
            }
        }
        None
    }
}

fn slot_of(socket: SocketId) -> usize {
    (socket.0 & 0xffff_ffff) as usize
}

/// True when `network/prefix_len` covers `address`.
fn covers(network: IpAddr, prefix_len: u8, address: IpAddr) -> bool {
    let shared = |a: u128, b: u128, width: u32| {
        let ignored = width.saturating_sub(u32::from(prefix_len));
        ignored >= width || (a ^ b) >> ignored == 0
    };
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => shared(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => shared(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}
