//! Which datagram belongs to which UDP socket, how many may wait, and what does a socket learn of the network? (RFC 768, RFC 8085.)
//!
//! The calls are methods of [`crate::Host`] in `host/datagrams.rs`; here are the sockets themselves and the table that finds them.

pub(crate) mod send_memory;

pub use send_memory::SendMemory;

use crate::host::Transmit;
use crate::icmp::Quoted;
use crate::ip::ident::Identifications;
use crate::knob::{Knobs, PmtuDiscovery};
use crate::socket::demux::{packed, wildcard_of};
use crate::tcp::ecn::Codepoint;
use bytes::Bytes;
use narrows_wire::{IcmpMessage, Packet, Transport};
use send_memory::SendBuffer;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// A socket's receive and send buffer where the knobs `rcvbuf` and `sndbuf` are `auto`, bytes (Linux's net.core.rmem_default,
/// net.core.wmem_default): UDP's buffers are not tuned by the system.
pub const DEFAULT_BUFFER: u64 = 212_992;
/// What a waiting datagram costs besides its bytes, so that empty ones are bounded, too (about Linux's truesize of a small one).
pub const DATAGRAM_COST: u64 = 768;
/// A socket remembers so many of the datagrams that it has sent, to tell true ICMP errors from forged ones (RFC 5927 §4.1).
const REMEMBERED: usize = 256;

/// A UDP socket of a host. Never reused within a host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UdpSocketId(pub u64);

/// What has happened on a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpEvent {
    /// A datagram can be read where there was none before.
    Readable(UdpSocketId),
    /// The network has reported an error; the next call on the socket returns it.
    Error(UdpSocketId),
}

/// Why a call on a UDP socket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdpError {
    /// No such socket.
    #[error("no such socket")]
    UnknownSocket,
    /// Nothing to read, or no room to send at the moment.
    #[error("would block")]
    WouldBlock,
    /// The address is already in use.
    #[error("address already in use")]
    AddressInUse,
    /// No datagram can go to that address from this socket: port 0, no single host, or the other version of IP.
    #[error("no datagram can be sent to that address from this socket")]
    InvalidDestination,
    /// Sent without an address on a socket that is not connected.
    #[error("the socket is not connected: give the destination, or connect it first")]
    NotConnected,
    /// No route to the destination, no such address here, or the network reports that there is no way.
    #[error("no route to the destination")]
    Unreachable,
    /// No such knob, not a value that it takes, or one that is not of a UDP socket.
    #[error(
        "no such knob of a UDP socket, or not a value that it takes: `pmtu_discovery`, `rcvbuf`, `sndbuf`"
    )]
    InvalidKnob,
    /// More datagrams in one call than [`MOST_SEGMENTS`], or datagrams of no bytes.
    #[error("one call sends at most {MOST_SEGMENTS} datagrams, each of at least a byte")]
    InvalidSegments,
    /// Nobody listens on the peer's port (ICMP "port unreachable").
    #[error("connection refused")]
    Refused,
    /// A datagram that goes in pieces takes more than twice the send buffer (ENOBUFS).
    #[error("no buffer space: the datagram's pieces take more than twice the send buffer (`sndbuf`)")]
    NoBufferSpace,
    /// The datagram does not fit and may not be cut.
    #[error("message too long: the largest packet that can go there has {mtu} bytes")]
    MessageTooLong {
        /// The largest IP packet that can go to the destination, headers included, bytes.
        mtu: u32,
    },
}

/// A datagram that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// To which address and port of this host.
    pub to: SocketAddr,
    /// The ECN field of its packet; of a datagram that came in pieces, that of one of them.
    pub ecn: Codepoint,
    /// What it carries.
    pub payload: Bytes,
}

/// How a datagram is sent, beyond where to: what sendmsg's control messages say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpSend {
    /// The ECN field of its packet (IP_TOS, IPV6_TCLASS).
    pub ecn: Codepoint,
    /// The payload is several datagrams of so many bytes, one behind the other, of which the last may be shorter (UDP_SEGMENT).
    pub segment_bytes: Option<u16>,
    /// The address of this host that it comes from, where the socket is bound to none (IP_PKTINFO).
    pub source: Option<IpAddr>,
}

/// At most so many datagrams in one call (Linux's UDP_MAX_SEGMENTS).
pub const MOST_SEGMENTS: usize = 128;

/// The other end of a connected socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) remote: SocketAddr,
    /// The address of this host that is used with it.
    pub(crate) source: IpAddr,
}

/// A datagram that was sent, as an ICMP error quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    to: SocketAddr,
    udp_length: u16,
    udp_checksum: u16,
}

#[derive(Debug)]
pub(crate) struct UdpSocket {
    pub(crate) local: SocketAddr,
    pub(crate) peer: Option<Peer>,
    pub(crate) pmtu_discovery: PmtuDiscovery,
    receive_buffer: u64,
    send_buffer: SendBuffer,
    queue: VecDeque<Datagram>,
    queued: u64,
    pub(crate) dropped: u64,
    error: Option<UdpError>,
    sent: VecDeque<Sent>,
}

impl UdpSocket {
    fn new(local: SocketAddr, knobs: &Knobs) -> UdpSocket {
        UdpSocket {
            local,
            peer: None,
            pmtu_discovery: knobs.pmtu_discovery,
            receive_buffer: or_default(knobs.rcvbuf),
            send_buffer: SendBuffer::new(send_buffer(knobs)),
            queue: VecDeque::new(),
            queued: 0,
            dropped: 0,
            error: None,
            sent: VecDeque::new(),
        }
    }

    /// Turns one of the knobs that a UDP socket has.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), UdpError> {
        let mut knobs = Knobs::default();
        knobs.set(name, value).map_err(|_| UdpError::InvalidKnob)?;
        match name {
            "pmtu_discovery" => self.pmtu_discovery = knobs.pmtu_discovery,
            "rcvbuf" => self.receive_buffer = or_default(knobs.rcvbuf),
            "sndbuf" => self.send_buffer.size = send_buffer(&knobs),
            _ => return Err(UdpError::InvalidKnob),
        }
        Ok(())
    }

    /// Whether a datagram from `from` to this host's `to` is for this socket: a connected one hears its peer only.
    fn hears(&self, from: SocketAddr, to: IpAddr) -> bool {
        self.peer.is_none_or(|peer| peer.remote == from && peer.source == to)
    }

    /// Keeps a datagram until it is read; false when the queue is full. Full is more than the buffer, as with Linux: one always fits.
    pub(crate) fn keep(&mut self, datagram: Datagram) -> bool {
        if self.queued > self.receive_buffer {
            self.dropped += 1;
            return false;
        }
        self.queued += cost(&datagram);
        self.queue.push_back(datagram);
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn take(&mut self) -> Option<Datagram> {
        let datagram = self.queue.pop_front()?;
        self.queued -= cost(&datagram);
        Some(datagram)
    }

    pub(crate) fn peek(&self) -> Option<&Datagram> {
        self.queue.front()
    }

    /// Whether a datagram may be sent.
    pub(crate) fn has_room_to_send(&self) -> bool {
        self.send_buffer.has_room()
    }

    /// Whether those who wait to send are woken.
    pub(crate) fn is_writable(&self) -> bool {
        self.send_buffer.is_writable()
    }

    /// Whether the pieces of a datagram, of which the first has room, may take so many bytes together.
    pub(crate) fn has_room_for_pieces(&self, bytes: u64) -> bool {
        self.send_buffer.has_room_for_pieces(bytes)
    }

    /// Takes so much of the send buffer, until what is returned is dropped.
    pub(crate) fn take_memory(&self, bytes: u64) -> Arc<SendMemory> {
        self.send_buffer.take(bytes)
    }

    /// The error that waits to be told, once.
    pub(crate) fn take_error(&mut self) -> Result<(), UdpError> {
        self.error.take().map_or(Ok(()), Err)
    }

    pub(crate) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// Remembers an error; true when it is news.
    pub(crate) fn set_error(&mut self, error: UdpError) -> bool {
        self.error.replace(error).is_none()
    }

    /// Remembers what goes out, for the errors that may come back.
    pub(crate) fn remember(&mut self, packet: &Packet) {
        let Some(to) = packet.destination_socket() else { return };
        let mut headers = Vec::with_capacity(48);
        packet.emit_headers(&mut headers);
        let Some([.., a, b, c, d]) = headers.last_chunk::<4>() else { return };
        let (udp_length, udp_checksum) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { to, udp_length, udp_checksum });
    }

    /// Whether an ICMP error quotes a datagram that this socket has lately sent.
    pub(crate) fn has_sent(&self, quoted: &Quoted) -> bool {
        let asked =
            Sent { to: quoted.destination, udp_length: quoted.udp_length, udp_checksum: quoted.udp_checksum };
        self.sent.contains(&asked)
    }

    fn memory_bytes(&self) -> u64 {
        let rows = self.queue.capacity() * size_of::<Datagram>() + self.sent.capacity() * size_of::<Sent>();
        let payload: usize = self.queue.iter().map(|datagram| datagram.payload.len()).sum();
        (size_of::<UdpSocket>() + rows + payload) as u64
    }
}

fn or_default(bytes: u64) -> u64 {
    if bytes == 0 { DEFAULT_BUFFER } else { bytes }
}

/// SO_SNDBUF, doubled as Linux does.
fn send_buffer(knobs: &Knobs) -> u64 {
    if knobs.sndbuf == 0 { DEFAULT_BUFFER } else { knobs.send_buffer().into() }
}

fn cost(datagram: &Datagram) -> u64 {
    DATAGRAM_COST + datagram.payload.len() as u64
}

/// What an ICMP error about a datagram means to a connected socket: `None` for what may pass (RFC 1122 §4.1.3.3 leaves it to the
/// application; Linux tells only what its tables call fatal, icmp_err_convert and icmpv6_err_convert).
pub(crate) fn meaning(message: IcmpMessage, ipv6: bool) -> Option<UdpError> {
    let IcmpMessage::Unreachable { code } = message else { return None };
    match (ipv6, code) {
        (false, 3) | (true, 4) => Some(UdpError::Refused),
        (false, 0 | 1 | 5 | 11 | 12) | (true, 0 | 2 | 3) => None,
        _ => Some(UdpError::Unreachable),
    }
}

/// The UDP sockets of a host.
#[derive(Debug)]
pub(crate) struct UdpTable {
    sockets: BTreeMap<UdpSocketId, UdpSocket>,
    bound: BTreeMap<(u128, u16), UdpSocketId>,
    next: u64,
    pub(crate) identifications: Identifications,
    outgoing: VecDeque<Transmit>,
    pub(crate) events: VecDeque<UdpEvent>,
}

impl UdpTable {
    pub(crate) fn new(secret: u64) -> UdpTable {
        UdpTable {
            sockets: BTreeMap::new(),
            bound: BTreeMap::new(),
            next: 0,
            identifications: Identifications::new(secret),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// True when a socket on `local` would collide with one that is there: the same address, or the two wildcards, as the IPv6 one
    /// receives IPv4 too (RFC 3493 §3.7).
    pub(crate) fn collides(&self, local: SocketAddr) -> bool {
        let taken = |address: IpAddr| self.bound.contains_key(&(packed(address), local.port()));
        taken(local.ip())
            || local.ip().is_unspecified()
                && (taken(Ipv4Addr::UNSPECIFIED.into()) || taken(Ipv6Addr::UNSPECIFIED.into()))
    }

    pub(crate) fn add(&mut self, local: SocketAddr, knobs: &Knobs) -> UdpSocketId {
        let id = UdpSocketId(self.next);
        self.next += 1;
        self.bound.insert((packed(local.ip()), local.port()), id);
        self.sockets.insert(id, UdpSocket::new(local, knobs));
        id
    }

    pub(crate) fn remove(&mut self, id: UdpSocketId) -> Result<(), UdpError> {
        let socket = self.sockets.remove(&id).ok_or(UdpError::UnknownSocket)?;
        self.bound.remove(&(packed(socket.local.ip()), socket.local.port()));
        self.events
            .retain(|event| !matches!(event, UdpEvent::Readable(of) | UdpEvent::Error(of) if *of == id));
        Ok(())
    }

    pub(crate) fn socket(&self, id: UdpSocketId) -> Result<&UdpSocket, UdpError> {
        self.sockets.get(&id).ok_or(UdpError::UnknownSocket)
    }

    pub(crate) fn socket_mut(&mut self, id: UdpSocketId) -> Result<&mut UdpSocket, UdpError> {
        self.sockets.get_mut(&id).ok_or(UdpError::UnknownSocket)
    }

    /// The socket for a datagram: an exact address beats the wildcard of its family, and that beats the IPv6 wildcard.
    pub(crate) fn find(&self, from: SocketAddr, to: SocketAddr) -> Option<UdpSocketId> {
        [to.ip(), wildcard_of(to.ip()), IpAddr::V6(Ipv6Addr::UNSPECIFIED)].into_iter().find_map(|address| {
            let id = *self.bound.get(&(packed(address), to.port()))?;
            self.sockets.get(&id)?.hears(from, to.ip()).then_some(id)
        })
    }

    /// Hands a packet over for sending.
    pub(crate) fn push(&mut self, transmit: Transmit) {
        self.outgoing.push_back(transmit);
    }

    /// The next packet to send.
    pub(crate) fn pop(&mut self) -> Option<Transmit> {
        self.outgoing.pop_front()
    }

    /// Memory of all sockets and of what waits to be sent and told, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let sockets: u64 = self.sockets.values().map(UdpSocket::memory_bytes).sum();
        let waiting: usize = self.outgoing.iter().map(|transmit| transmit.packet.payload.len()).sum();
        let rows =
            self.outgoing.capacity() * size_of::<Transmit>() + self.events.capacity() * size_of::<UdpEvent>();
        sockets + (waiting + rows) as u64
    }
}

/// The datagrams that a packet carries: several where a device has merged them (UDP GRO).
pub(crate) fn datagrams(packet: &Packet) -> Vec<Bytes> {
    debug_assert!(matches!(packet.transport, Transport::Udp(_)));
    match packet.offload.segment_bytes {
        Some(size) if size > 0 && packet.payload.len() > usize::from(size) => (0..packet.payload.len())
            .step_by(usize::from(size))
            .map(|at| packet.payload.slice(at..(at + usize::from(size)).min(packet.payload.len())))
            .collect(),
        _ => vec![packet.payload.clone()],
    }
}
