//! Which interface, which socket? The surface of a host.
#![allow(unused_variables)]

use crate::{Instant, Knobs};
use bytes::Bytes;
use narrows_wire::Packet;
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

/// A connection's inner values, with the names of Linux's TCP_INFO where there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpInfo {
    /// Smoothed round trip time, nanoseconds.
    pub rtt_ns: u64,
}

/// One host: interfaces, addresses, routes, sockets.
#[derive(Debug)]
pub struct Host {}

impl Host {
    /// A host without interfaces.
    #[must_use]
    pub fn new(config: HostConfig) -> Host {
        todo!()
    }

    /// Adds an interface; destinations without a more specific route leave by the first one.
    pub fn add_interface(&mut self, interface: Interface) -> InterfaceId {
        todo!()
    }

    /// Adds a route: packets for `network/prefix_len` leave by `interface`.
    pub fn add_route(&mut self, network: IpAddr, prefix_len: u8, interface: InterfaceId) {
        todo!()
    }

    /// A packet has arrived.
    pub fn handle_packet(&mut self, now: Instant, from: InterfaceId, packet: Packet) {
        todo!()
    }

    /// The next packet to send, if any. Call until `None` after every other call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        todo!()
    }

    /// When [`Host::handle_timeout`] has to be called next.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        todo!()
    }

    /// Time has passed; runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// The next event, if any.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
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
        todo!()
    }

    /// Takes an established connection off the listener's accept queue.
    pub fn tcp_accept(&mut self, listener: ListenerId) -> Option<SocketId> {
        todo!()
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
        todo!()
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
        todo!()
    }

    /// One read of at most `max` bytes; empty at the end of the stream. Reading may send an ACK or a window update.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] when there is nothing yet.
    pub fn tcp_recv(&mut self, now: Instant, socket: SocketId, max: usize) -> Result<Bytes, SocketError> {
        todo!()
    }

    /// Sends FIN after all that has been written (half close).
    ///
    /// # Errors
    /// [`SocketError::InvalidState`].
    pub fn tcp_shutdown(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        todo!()
    }

    /// Gives the socket up: FIN, or RST when data was left unread (RFC 9293 §3.6). Its id is invalid afterwards.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_close(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        todo!()
    }

    /// Resets the connection. Its id is invalid afterwards.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_abort(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        todo!()
    }

    /// Sets one knob of a socket by its name in the table, as setsockopt does (`quickack` is a one-shot there).
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`], or the knob's own error.
    pub fn tcp_set(
        &mut self,
        now: Instant,
        socket: SocketId,
        knob: &str,
        value: &str,
    ) -> Result<(), SocketError> {
        todo!()
    }

    /// The connection's inner values.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_info(&self, socket: SocketId) -> Result<TcpInfo, SocketError> {
        todo!()
    }
}
