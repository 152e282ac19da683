//! What does an application on a host look like? A sans-I/O trait: events in, calls out, no waiting.

use crate::random::Random;
use bytes::Bytes;
use narrows_stack::{
    Datagram, Host, Instant, Knobs, ListenerId, SendFlags, SocketError, SocketId, TcpInfo, Transmit,
    UdpError, UdpSocketId,
};
use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, SocketAddr};

/// An application on a host of a [`World`](crate::World).
///
/// It is called with an event, makes what calls it likes through [`Io`], and returns; to wait is to set a timer and
/// return. Calls take no virtual time. Everything it does must follow from its own values and the events.
///
/// A server that sends back whatever it reads:
///
/// ```
/// use narrows_lab::{App, AppEvent, Io};
///
/// struct Echo;
///
/// impl App for Echo {
///     fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
///         match event {
///             AppEvent::Start => io.listen(7).map(drop).unwrap_or_default(),
///             AppEvent::Acceptable(listener) => {
///                 while let Some(socket) = io.accept(listener) {
///                     self.on_event(io, AppEvent::Readable(socket));
///                 }
///             }
///             AppEvent::Readable(socket) => {
///                 while let Ok(data) = io.recv(socket, 65_536) {
///                     if data.is_empty() {
///                         let _ = io.close(socket);
///                         return;
///                     }
///                     // What finds no room is lost here; an application that minds waits for `Writable`.
///                     let _ = io.send(socket, data);
///                 }
///             }
///             _ => {}
///         }
///     }
/// }
/// # use narrows_lab::{Conversation, LinkConfig, Player, PlayerOptions, Side, Trigger, Turn, World, Write};
/// # use std::{net::SocketAddr, sync::Arc, time::Duration};
/// # let mut builder = World::builder(1);
/// # let client = builder.host("client", Default::default());
/// # let server = builder.host("server", Default::default());
/// # builder.link("path", client, server, LinkConfig::with_delay(Duration::from_millis(1)));
/// # builder.app(server, Echo);
/// # let write = || vec![Write { bytes: 100, gap: Duration::ZERO, gap_latest: Duration::ZERO }];
/// # let turn = |side, trigger| Turn { side, trigger, think: Duration::ZERO, writes: write() };
/// # let turns = vec![turn(Side::Client, Trigger::Connected), turn(Side::Server, Trigger::Received(100))];
/// # let talk = Arc::new(Conversation { turns, close: Some((Side::Client, Duration::ZERO)), cut: false });
/// # let address = SocketAddr::new(builder.address(server).unwrap(), 7);
/// # let app = builder.app(client, Player::new(Side::Client, talk, PlayerOptions::default(), address));
/// # let mut world = builder.build()?;
/// # world.run_until_idle(narrows_stack::Instant::from_millis(10_000));
/// # assert!(world.app::<Player>(app).unwrap().log().finished);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait App: Any + Send {
    /// Something has happened.
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent);
}

/// What an application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppEvent {
    /// The world begins.
    Start,
    /// A timer set with [`Io::set_timer`] has expired; the token given there.
    Timer(u64),
    /// The connection that this application opened is established.
    Connected(SocketId),
    /// A connection waits to be accepted ([`Io::accept`]).
    Acceptable(ListenerId),
    /// New data, or the end of the stream, can be read. Edge-triggered: read until it would block.
    Readable(SocketId),
    /// There is room to write again after a short write.
    Writable(SocketId),
    /// The connection is gone; `Some` when it did not end in good order.
    Closed(SocketId, Option<SocketError>),
    /// Datagrams can be read from a UDP socket. Edge-triggered: read until it would block.
    Datagrams(UdpSocketId),
    /// The network has reported an error to a UDP socket; the next call on it returns it.
    DatagramError(UdpSocketId),
}

/// A timer of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AppTimer {
    pub time: Instant,
    pub sequence: u64,
    pub app: u32,
    pub token: u64,
}

/// A host without its applications: what their calls work on.
#[derive(Debug)]
pub(crate) struct HostCore {
    pub stack: Host,
    pub address: IpAddr,
    pub knobs: Knobs,
    pub random: Random,
    pub outbox: Vec<Transmit>,
    pub timers: BinaryHeap<Reverse<AppTimer>>,
    pub timer_sequence: u64,
    /// Whose connection it is. Only ever looked up, never iterated.
    pub socket_owner: HashMap<u64, u32, BuildHasherDefault<NumberHasher>>,
    pub listener_owner: HashMap<u64, u32, BuildHasherDefault<NumberHasher>>,
    pub udp_owner: HashMap<u64, u32, BuildHasherDefault<NumberHasher>>,
}

/// Hashes the numbers that a stack gives its sockets; nobody outside can choose them.
#[derive(Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl HostCore {
    /// Takes all packets that may leave now.
    pub fn flush(&mut self, now: Instant) {
        while let Some(transmit) = self.stack.poll_transmit(now) {
            self.outbox.push(transmit);
        }
    }
}

/// The calls that an application can make.
///
/// As on a real host, each call does its work at once: two writes in a row are two chances to send, and what the
/// first of them sends is on the link before the second is made.
#[derive(Debug)]
pub struct Io<'a> {
    pub(crate) now: Instant,
    pub(crate) app: u32,
    pub(crate) core: &'a mut HostCore,
}

impl Io<'_> {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The host's own address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.core.address
    }

    /// The host's knobs: a starting point for those of a socket.
    #[must_use]
    pub fn knobs(&self) -> &Knobs {
        &self.core.knobs
    }

    /// A number from the host's stream of chance.
    pub fn random_u64(&mut self) -> u64 {
        self.core.random.next_u64()
    }

    /// Asks for [`AppEvent::Timer`] with this token at `time` (at once when that has passed). Timers with the same
    /// time come in the order of setting; they cannot be taken back, only be ignored.
    pub fn set_timer(&mut self, time: Instant, token: u64) {
        let sequence = self.core.timer_sequence;
        self.core.timer_sequence += 1;
        let timer = AppTimer { time: time.max(self.now), sequence, app: self.app, token };
        self.core.timers.push(Reverse(timer));
    }

    /// Listens on a port of all addresses with the host's knobs.
    ///
    /// # Errors
    /// [`SocketError::AddressInUse`].
    pub fn listen(&mut self, port: u16) -> Result<ListenerId, SocketError> {
        let unspecified = match self.core.address {
            IpAddr::V4(_) => IpAddr::from([0u8; 4]),
            IpAddr::V6(_) => IpAddr::from([0u8; 16]),
        };
        let knobs = self.core.knobs.clone();
        self.listen_on(SocketAddr::new(unspecified, port), 4_096, knobs)
    }

    /// Listens on an address with a backlog and knobs of its own.
    ///
    /// # Errors
    /// [`SocketError::AddressInUse`].
    pub fn listen_on(
        &mut self,
        local: SocketAddr,
        backlog: u32,
        knobs: Knobs,
    ) -> Result<ListenerId, SocketError> {
        let listener = self.core.stack.tcp_listen(local, backlog, knobs)?;
        self.core.listener_owner.insert(listener.0, self.app);
        self.core.flush(self.now);
        Ok(listener)
    }

    /// Takes an established connection off a listener's queue.
    pub fn accept(&mut self, listener: ListenerId) -> Option<SocketId> {
        let socket = self.core.stack.tcp_accept(listener)?;
        self.core.socket_owner.insert(socket.0, self.app);
        self.core.flush(self.now);
        Some(socket)
    }

    /// Opens a connection with the host's knobs; [`AppEvent::Connected`] or [`AppEvent::Closed`] follows.
    ///
    /// # Errors
    /// [`SocketError::Unreachable`], [`SocketError::AddressInUse`].
    pub fn connect(&mut self, remote: SocketAddr) -> Result<SocketId, SocketError> {
        let knobs = self.core.knobs.clone();
        self.connect_with(remote, None, knobs)
    }

    /// Opens a connection from a local address (or any) with knobs of its own.
    ///
    /// # Errors
    /// [`SocketError::Unreachable`], [`SocketError::AddressInUse`].
    pub fn connect_with(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        knobs: Knobs,
    ) -> Result<SocketId, SocketError> {
        let socket = self.core.stack.tcp_connect(self.now, remote, local, knobs)?;
        self.core.socket_owner.insert(socket.0, self.app);
        self.core.flush(self.now);
        Ok(socket)
    }

    /// One write: takes as much as there is room for and returns how many bytes that was.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] (then [`AppEvent::Writable`] follows), [`SocketError::BrokenPipe`], …
    pub fn send(&mut self, socket: SocketId, data: Bytes) -> Result<usize, SocketError> {
        self.send_with(socket, data, SendFlags::default())
    }

    /// One write with flags.
    ///
    /// # Errors
    /// As [`Io::send`].
    pub fn send_with(
        &mut self,
        socket: SocketId,
        data: Bytes,
        flags: SendFlags,
    ) -> Result<usize, SocketError> {
        let written = self.core.stack.tcp_send(self.now, socket, data, flags);
        self.core.flush(self.now);
        written
    }

    /// One read of at most `max` bytes; empty at the end of the stream.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] when there is nothing yet.
    pub fn recv(&mut self, socket: SocketId, max: usize) -> Result<Bytes, SocketError> {
        let read = self.core.stack.tcp_recv(self.now, socket, max);
        if read.is_ok() {
            self.core.flush(self.now);
        }
        read
    }

    /// Says that nothing more will be written (half close).
    ///
    /// # Errors
    /// [`SocketError::InvalidState`].
    pub fn shutdown(&mut self, socket: SocketId) -> Result<(), SocketError> {
        let done = self.core.stack.tcp_shutdown(self.now, socket);
        self.core.flush(self.now);
        done
    }

    /// Gives the socket up in good order. No further events come for it.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn close(&mut self, socket: SocketId) -> Result<(), SocketError> {
        let done = self.core.stack.tcp_close(self.now, socket);
        self.core.socket_owner.remove(&socket.0);
        self.core.flush(self.now);
        done
    }

    /// Resets the connection. No further events come for it.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn abort(&mut self, socket: SocketId) -> Result<(), SocketError> {
        let done = self.core.stack.tcp_abort(self.now, socket);
        self.core.socket_owner.remove(&socket.0);
        self.core.flush(self.now);
        done
    }

    /// Sets one knob of a socket, as setsockopt does.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`], or the knob's own error.
    pub fn set(&mut self, socket: SocketId, knob: &str, value: &str) -> Result<(), SocketError> {
        let done = self.core.stack.tcp_set(self.now, socket, knob, value);
        self.core.flush(self.now);
        done
    }

    /// The connection's inner values.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn info(&self, socket: SocketId) -> Result<TcpInfo, SocketError> {
        self.core.stack.tcp_info(socket)
    }

    /// A UDP socket on a port of all addresses (0: any free one) with the host's knobs.
    ///
    /// # Errors
    /// [`UdpError::AddressInUse`].
    pub fn udp_bind(&mut self, port: u16) -> Result<UdpSocketId, UdpError> {
        let unspecified = match self.core.address {
            IpAddr::V4(_) => IpAddr::from([0u8; 4]),
            IpAddr::V6(_) => IpAddr::from([0u8; 16]),
        };
        let socket = self.core.stack.udp_bind(SocketAddr::new(unspecified, port), &self.core.knobs)?;
        self.core.udp_owner.insert(socket.0, self.app);
        Ok(socket)
    }

    /// Gives a UDP socket its peer.
    ///
    /// # Errors
    /// As [`Host::udp_connect`].
    pub fn udp_connect(&mut self, socket: UdpSocketId, remote: SocketAddr) -> Result<(), UdpError> {
        self.core.stack.udp_connect(socket, remote)
    }

    /// Sends a datagram to the socket's peer.
    ///
    /// # Errors
    /// As [`Host::udp_send`].
    pub fn udp_send(&mut self, socket: UdpSocketId, payload: Bytes) -> Result<(), UdpError> {
        let sent = self.core.stack.udp_send(self.now, socket, payload);
        self.core.flush(self.now);
        sent
    }

    /// Sends a datagram to any address.
    ///
    /// # Errors
    /// As [`Host::udp_send_to`].
    pub fn udp_send_to(
        &mut self,
        socket: UdpSocketId,
        to: SocketAddr,
        payload: Bytes,
    ) -> Result<(), UdpError> {
        let sent = self.core.stack.udp_send_to(self.now, socket, to, payload);
        self.core.flush(self.now);
        sent
    }

    /// The next datagram that has arrived.
    ///
    /// # Errors
    /// [`UdpError::WouldBlock`] when there is none yet, or what the network has reported.
    pub fn udp_recv(&mut self, socket: UdpSocketId) -> Result<Datagram, UdpError> {
        self.core.stack.udp_recv_from(socket)
    }

    /// Closes a UDP socket. No further events come for it.
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`].
    pub fn udp_close(&mut self, socket: UdpSocketId) -> Result<(), UdpError> {
        self.core.udp_owner.remove(&socket.0);
        self.core.stack.udp_close(socket)
    }
}
