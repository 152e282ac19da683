//! What may an application ask of a UDP socket, and where do datagrams and errors about them go? The calls, and what arrives.

use super::address::EPHEMERAL_PORTS;
use super::{Host, InterfaceId, Transmit};
use crate::counters::Counter;
use crate::icmp::Quoted;
use crate::ip::fragment::{At, cut};
use crate::knob::PmtuDiscovery;
use crate::path::{Path, TooBig};
use crate::tcp::ecn::Codepoint;
use crate::udp::send_memory::{of_call, truesize};
use crate::udp::{
    Datagram, MOST_SEGMENTS, Peer, SendMemory, UdpError, UdpEvent, UdpSend, UdpSocketId, datagrams, meaning,
};
use crate::{Instant, Knobs};
use bytes::Bytes;
use narrows_wire::{ChecksumState, IcmpMessage, IpHeader, Offload, Packet, UdpHeader};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The largest payload that the length fields allow: IPv4's total length (RFC 791), UDP's length (RFC 768).
const LARGEST_IPV4: usize = 65_535 - 20 - UdpHeader::BYTES;
const LARGEST_IPV6: usize = 65_535 - UdpHeader::BYTES;

/// How a socket's datagram goes.
#[derive(Clone, Copy, Debug)]
struct Way {
    socket: UdpSocketId,
    interface: InterfaceId,
    path: Path,
    mode: PmtuDiscovery,
}

impl Host {
    /// A UDP socket on `local` (unspecified address: all addresses of the host; port 0: any free port). Of the knobs `pmtu_discovery`,
    /// `rcvbuf` and `sndbuf` count.
    ///
    /// # Errors
    /// [`UdpError::AddressInUse`], [`UdpError::Unreachable`] for an address that this host does not have.
    pub fn udp_bind(&mut self, local: SocketAddr, knobs: &Knobs) -> Result<UdpSocketId, UdpError> {
        if !local.ip().is_unspecified() && !self.is_local(local.ip()) {
            return Err(UdpError::Unreachable);
        }
        let mut local = local;
        if local.port() == 0 {
            local.set_port(self.free_udp_port(local.ip()).ok_or(UdpError::AddressInUse)?);
        }
        if self.udp.collides(local) {
            return Err(UdpError::AddressInUse);
        }
        Ok(self.udp.add(local, knobs))
    }

    /// A free port from an unforeseeable start on (RFC 6056 §3.3.1).
    fn free_udp_port(&mut self, address: IpAddr) -> Option<u16> {
        let count = u32::from(EPHEMERAL_PORTS.end() - EPHEMERAL_PORTS.start()) + 1;
        let start = self.random.below(count);
        (0..count)
            .map(|step| EPHEMERAL_PORTS.start() + ((start + step) % count) as u16)
            .find(|port| !self.udp.collides(SocketAddr::new(address, *port)))
    }

    /// The address that the socket is bound to; once it is connected, the address that it uses with its peer (getsockname).
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`].
    pub fn udp_local_address(&self, socket: UdpSocketId) -> Result<SocketAddr, UdpError> {
        let socket = self.udp.socket(socket)?;
        Ok(socket.peer.map_or(socket.local, |peer| SocketAddr::new(peer.source, socket.local.port())))
    }

    /// Whom the socket is connected to (getpeername).
    ///
    /// # Errors
    /// [`UdpError::NotConnected`], [`UdpError::UnknownSocket`].
    pub fn udp_peer_address(&self, socket: UdpSocketId) -> Result<SocketAddr, UdpError> {
        self.udp.socket(socket)?.peer.map(|peer| peer.remote).ok_or(UdpError::NotConnected)
    }

    /// Whether [`Host::udp_recv_from`] would return something: a datagram, or an error that the network has reported.
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`].
    pub fn udp_is_readable(&self, socket: UdpSocketId) -> Result<bool, UdpError> {
        self.udp.socket(socket).map(|socket| !socket.is_empty() || socket.has_error())
    }

    /// Datagrams that were dropped because the socket's receive queue was full.
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`].
    pub fn udp_drops(&self, socket: UdpSocketId) -> Result<u64, UdpError> {
        self.udp.socket(socket).map(|socket| socket.dropped)
    }

    /// From now on the socket sends to `remote`, hears only that, and is told of errors. Calling it again changes the peer.
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`], [`UdpError::InvalidDestination`], [`UdpError::Unreachable`].
    pub fn udp_connect(&mut self, socket: UdpSocketId, remote: SocketAddr) -> Result<(), UdpError> {
        let remote = canonical(remote);
        let (_, source) = self.udp_route(socket, remote)?;
        self.udp.socket_mut(socket)?.peer = Some(Peer { remote, source });
        Ok(())
    }

    /// Sends a datagram to the socket's peer.
    ///
    /// # Errors
    /// [`UdpError::NotConnected`], and as [`Host::udp_send_to`].
    pub fn udp_send(&mut self, now: Instant, socket: UdpSocketId, payload: Bytes) -> Result<(), UdpError> {
        let peer = self.udp.socket(socket)?.peer.ok_or(UdpError::NotConnected)?;
        self.udp_send_to(now, socket, peer.remote, payload)
    }

    /// Sends a datagram. What is larger than the path goes in pieces, or is refused where `pmtu_discovery` wants that: with `do` what is
    /// larger than the path, with `probe` and `interface` what is larger than the interface's MTU.
    ///
    /// # Errors
    /// As [`Host::udp_send_with`].
    pub fn udp_send_to(
        &mut self,
        now: Instant,
        socket: UdpSocketId,
        to: SocketAddr,
        payload: Bytes,
    ) -> Result<(), UdpError> {
        self.udp_send_with(now, socket, to, payload, UdpSend::default())
    }

    /// As [`Host::udp_send_to`], with an ECN field, a source address, or several datagrams in one call. Several are never cut: each has to
    /// fit the path (as with Linux's UDP_SEGMENT). Where the device cuts them, an error that the network reports about one of them is
    /// believed only if it quotes all.
    ///
    /// # Errors
    /// An error that the network has reported since the last call, [`UdpError::MessageTooLong`], [`UdpError::WouldBlock`] when the send
    /// buffer (`sndbuf`) is full of what has not left ([`Transmit::memory`]), [`UdpError::NoBufferSpace`], [`UdpError::InvalidDestination`], [`UdpError::InvalidSegments`], [`UdpError::Unreachable`],
    /// [`UdpError::UnknownSocket`].
    pub fn udp_send_with(
        &mut self,
        now: Instant,
        socket: UdpSocketId,
        to: SocketAddr,
        payload: Bytes,
        how: UdpSend,
    ) -> Result<(), UdpError> {
        let to = canonical(to);
        let entry = self.udp.socket_mut(socket)?;
        entry.take_error()?;
        if !entry.has_room_to_send() {
            return Err(UdpError::WouldBlock);
        }
        let (local, mode) = (entry.local, entry.pmtu_discovery);
        let (interface, route_source) = self.udp_route(socket, to)?;
        let source = match how.source.map(|source| source.to_canonical()) {
            Some(source) if !self.is_local(source) || source.is_ipv4() != to.is_ipv4() => {
                return Err(UdpError::Unreachable);
            }
            Some(source) if local.ip().is_unspecified() => source,
            _ => route_source,
        };
        let (largest, packet_limit) =
            if to.is_ipv4() { (LARGEST_IPV4, 65_535) } else { (LARGEST_IPV6, 65_535 + 40) };
        if payload.len() > largest {
            return Err(UdpError::MessageTooLong { mtu: packet_limit });
        }
        let mut path = self.path_to(now, interface, to.ip());
        if ignores_reports(mode) {
            path = Path::of_interface(self.mtu_of(interface));
        }
        let header = UdpHeader { source_port: local.port(), destination_port: to.port() };
        let whole = |payload: Bytes| {
            let mut packet = Packet::udp(source, to.ip(), header, payload);
            packet.ip.traffic_class = how.ecn.bits();
            packet
        };
        let way = Way { socket, interface, path, mode };
        let size = match how.segment_bytes.map(usize::from) {
            Some(0) => return Err(UdpError::InvalidSegments),
            Some(size) if size < payload.len() => size,
            _ => return self.send_datagram(way, whole(payload)),
        };
        // One call is one piece of memory until its last datagram has left, whoever cuts it (as Linux's GSO).
        let memory = self.udp.socket(socket)?.take_memory(of_call(payload.len() as u64));
        let count = payload.len().div_ceil(size);
        if count > MOST_SEGMENTS {
            return Err(UdpError::InvalidSegments);
        }
        if whole(payload.slice(..size)).len() > path.mtu as usize {
            return Err(UdpError::MessageTooLong { mtu: path.mtu });
        }
        if self.segments_in_device(interface) {
            let mut packet = whole(payload);
            packet.offload = Offload { checksum: ChecksumState::Device, segment_bytes: how.segment_bytes };
            self.counters.add(Counter::DatagramsOut, count as u64 - 1);
            return self.push_datagram(way, packet, memory);
        }
        for at in (0..payload.len()).step_by(size) {
            let piece = payload.slice(at..(at + size).min(payload.len()));
            self.push_datagram(way, whole(piece), Arc::clone(&memory))?;
        }
        Ok(())
    }

    fn segments_in_device(&self, interface: InterfaceId) -> bool {
        self.interfaces.get(interface.0 as usize).is_some_and(|interface| interface.segmentation_offload)
    }

    /// Sends one datagram, in pieces if it has to and may.
    fn send_datagram(&mut self, way: Way, packet: Packet) -> Result<(), UdpError> {
        let Way { socket, interface, path: Path { mtu, .. }, mode } = way;
        if packet.len() <= mtu as usize {
            let memory = self.udp.socket(socket)?.take_memory(truesize(&packet));
            return self.push_datagram(way, packet, memory);
        }
        if !may_be_cut(mode) {
            return Err(UdpError::MessageTooLong { mtu });
        }
        let packet = self.with_fragment_fields(way, packet, false);
        let pieces = cut(&packet, mtu, At::Sender).map_err(|_| UdpError::MessageTooLong { mtu })?;
        let entry = self.udp.socket_mut(socket)?;
        if !entry.has_room_for_pieces(pieces.iter().skip(1).map(truesize).sum()) {
            return Err(UdpError::NoBufferSpace);
        }
        entry.remember(&packet);
        let taken: Vec<_> = pieces.iter().map(|piece| entry.take_memory(truesize(piece))).collect();
        self.counters.count(Counter::DatagramsOut);
        self.counters.add(Counter::FragmentsOut, pieces.len() as u64);
        for (packet, memory) in pieces.into_iter().zip(taken) {
            self.udp.push(Transmit { interface, packet, memory: Some(memory) });
        }
        Ok(())
    }

    /// Sends what fits.
    fn push_datagram(&mut self, way: Way, packet: Packet, memory: Arc<SendMemory>) -> Result<(), UdpError> {
        let Way { socket, interface, .. } = way;
        let packet = self.with_fragment_fields(way, packet, true);
        self.udp.socket_mut(socket)?.remember(&packet);
        self.counters.count(Counter::DatagramsOut);
        self.udp.push(Transmit { interface, packet, memory: Some(memory) });
        Ok(())
    }

    fn with_fragment_fields(&mut self, way: Way, mut packet: Packet, fits: bool) -> Packet {
        let IpHeader { source, destination, protocol, .. } = packet.ip;
        if destination.is_ipv4() {
            packet.ip.fragment.dont_fragment = match way.mode {
                PmtuDiscovery::Do | PmtuDiscovery::Probe => true,
                PmtuDiscovery::Want => fits && !way.path.fragment,
                PmtuDiscovery::Dont | PmtuDiscovery::Interface | PmtuDiscovery::Omit => false,
            };
        }
        // Only what may be cut needs an identification (RFC 6864 §4.1).
        if !fits || !packet.ip.fragment.dont_fragment {
            let identification = self.udp.identifications.next(source, destination, protocol.number());
            packet.ip.fragment.identification =
                if destination.is_ipv4() { identification & 0xffff } else { identification };
        }
        packet
    }

    /// Turns a knob of the socket: `pmtu_discovery`, `rcvbuf`, `sndbuf`.
    ///
    /// # Errors
    /// [`UdpError::InvalidKnob`], [`UdpError::UnknownSocket`].
    pub fn udp_set(&mut self, socket: UdpSocketId, name: &str, value: &str) -> Result<(), UdpError> {
        self.udp.socket_mut(socket)?.set(name, value)
    }

    /// How the path MTU counts for the socket.
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`].
    pub fn udp_pmtu_discovery(&self, socket: UdpSocketId) -> Result<PmtuDiscovery, UdpError> {
        self.udp.socket(socket).map(|socket| socket.pmtu_discovery)
    }

    /// Whether who waits to send has to wait no longer, as poll(2) says it: no more than half of the send buffer is taken, or there is an
    /// error to tell.
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`].
    pub fn udp_is_writable(&self, socket: UdpSocketId) -> Result<bool, UdpError> {
        self.udp.socket(socket).map(|socket| socket.is_writable() || socket.has_error())
    }

    /// The next datagram as it waits, if there is one and no error is to be told before it.
    #[must_use]
    pub fn udp_next(&self, socket: UdpSocketId) -> Option<&Datagram> {
        self.udp.socket(socket).ok().filter(|socket| !socket.has_error())?.peek()
    }

    /// As [`Host::udp_recv_from`]; the datagram stays (MSG_PEEK).
    ///
    /// # Errors
    /// As [`Host::udp_recv_from`].
    pub fn udp_peek_from(&mut self, socket: UdpSocketId) -> Result<Datagram, UdpError> {
        let entry = self.udp.socket_mut(socket)?;
        entry.take_error()?;
        entry.peek().cloned().ok_or(UdpError::WouldBlock)
    }

    /// The next datagram that has arrived.
    ///
    /// # Errors
    /// An error that the network has reported since the last call, [`UdpError::WouldBlock`] when there is nothing to read,
    /// [`UdpError::UnknownSocket`].
    pub fn udp_recv_from(&mut self, socket: UdpSocketId) -> Result<Datagram, UdpError> {
        let entry = self.udp.socket_mut(socket)?;
        entry.take_error()?;
        entry.take().ok_or(UdpError::WouldBlock)
    }

    /// Closes the socket. What waits to be read is gone; what was sent still goes.
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`].
    pub fn udp_close(&mut self, socket: UdpSocketId) -> Result<(), UdpError> {
        self.udp.remove(socket)
    }

    /// The largest IP packet that goes to `to` as far as is known, bytes (IP_MTU).
    ///
    /// # Errors
    /// [`UdpError::UnknownSocket`], [`UdpError::InvalidDestination`], [`UdpError::Unreachable`].
    pub fn udp_path_mtu(&self, now: Instant, socket: UdpSocketId, to: SocketAddr) -> Result<u32, UdpError> {
        let to = canonical(to);
        let (interface, _) = self.udp_route(socket, to)?;
        Ok(self.path_to(now, interface, to.ip()).mtu)
    }

    /// The next event of a UDP socket, if any.
    pub fn poll_udp_event(&mut self) -> Option<UdpEvent> {
        self.udp.events.pop_front()
    }

    fn mtu_of(&self, interface: InterfaceId) -> u32 {
        self.interfaces.get(interface.0 as usize).map_or(1500, |interface| interface.mtu)
    }

    fn path_to(&self, now: Instant, interface: InterfaceId, destination: IpAddr) -> Path {
        self.paths.get(now, destination, self.mtu_of(interface))
    }

    /// The interface towards `to`, and the address that this socket uses there.
    fn udp_route(&self, socket: UdpSocketId, to: SocketAddr) -> Result<(InterfaceId, IpAddr), UdpError> {
        let entry = self.udp.socket(socket)?;
        let broadcast = matches!(to.ip(), IpAddr::V4(v4) if v4.is_broadcast());
        let bound = entry.local.ip();
        // The IPv6 wildcard speaks IPv4 too (RFC 3493 §3.7).
        let other_version = bound.is_ipv4() != to.is_ipv4() && !(bound.is_ipv6() && bound.is_unspecified());
        if to.port() == 0 || to.ip().is_unspecified() || broadcast || other_version {
            return Err(UdpError::InvalidDestination);
        }
        let (interface, preferred) = self.route(to.ip()).ok_or(UdpError::Unreachable)?;
        Ok((interface, if bound.is_unspecified() { preferred } else { bound }))
    }

    /// A UDP datagram has arrived.
    pub(super) fn handle_udp(&mut self, now: Instant, header: UdpHeader, packet: &Packet) {
        if !self.is_local(packet.ip.destination) {
            self.counters.count(Counter::WrongDestination);
            return;
        }
        let from = SocketAddr::new(packet.ip.source, header.source_port);
        let to = SocketAddr::new(packet.ip.destination, header.destination_port);
        let Some(id) = self.udp.find(from, to) else {
            self.counters.count(Counter::DatagramsNoSocket);
            let code = if to.is_ipv4() { 3 } else { 4 };
            self.send_error(now, packet, IcmpMessage::Unreachable { code });
            return;
        };
        let ecn = Codepoint::of(packet.ip.traffic_class);
        for payload in datagrams(packet) {
            let Ok(socket) = self.udp.socket_mut(id) else { return };
            let was_empty = socket.is_empty();
            if !socket.keep(Datagram { from, to, ecn, payload }) {
                self.counters.count(Counter::DatagramsQueueFull);
                continue;
            }
            self.counters.count(Counter::DatagramsIn);
            if was_empty {
                self.udp.events.push_back(UdpEvent::Readable(id));
            }
        }
    }

    /// The network reports an error about a datagram of ours; false when it cannot be one: no socket there has lately sent what it quotes.
    pub(super) fn handle_udp_error(&mut self, now: Instant, message: IcmpMessage, quoted: &Quoted) -> bool {
        let Some(id) = self.udp.find(quoted.destination, quoted.source) else { return false };
        let Ok(socket) = self.udp.socket(id) else { return false };
        if !socket.has_sent(quoted) {
            return false;
        }
        let (mode, connected) = (socket.pmtu_discovery, socket.peer.is_some());
        let error = if let IcmpMessage::PacketTooBig { mtu } = message {
            if mtu >= quoted.packet_bytes {
                return false;
            }
            if matches!(mode, PmtuDiscovery::Interface | PmtuDiscovery::Omit) {
                return true;
            }
            let destination = quoted.destination.ip();
            let Some((interface, _)) = self.route(destination) else { return false };
            let current = self.path_to(now, interface, destination);
            self.lower_path(now, destination, current, TooBig { mtu, packet_bytes: quoted.packet_bytes });
            let mtu = self.path_to(now, interface, destination).mtu;
            (mode != PmtuDiscovery::Dont).then_some(UdpError::MessageTooLong { mtu })
        } else {
            meaning(message, quoted.source.is_ipv6())
        };
        // Only a connected socket is told: the others could not say whom it concerns (RFC 1122 §4.1.3.3; Linux without IP_RECVERR).
        if let Some(error) = error.filter(|_| connected)
            && self.udp.socket_mut(id).is_ok_and(|socket| socket.set_error(error))
        {
            self.udp.events.push_back(UdpEvent::Error(id));
        }
        true
    }
}

/// IPv4 addresses in IPv6's form are IPv4 addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether what the network has reported does not count for sending (Linux's ip_sk_use_pmtu).
fn ignores_reports(mode: PmtuDiscovery) -> bool {
    matches!(mode, PmtuDiscovery::Probe | PmtuDiscovery::Interface | PmtuDiscovery::Omit)
}

/// Whether a datagram that does not fit goes in pieces (Linux's ip_sk_ignore_df).
fn may_be_cut(mode: PmtuDiscovery) -> bool {
    matches!(mode, PmtuDiscovery::Want | PmtuDiscovery::Dont | PmtuDiscovery::Omit)
}
