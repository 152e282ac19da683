//! How do probes get out, and what comes back? What the raw and the unprivileged way have in common.

use bytes::Bytes;
use narrows_wire::{IcmpMessage, IpHeader, Protocol, Seq};
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

/// What a probe is, and so who answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// A segment of an open connection that the peer has already (all below RCV.NXT): it acknowledges it at once, and drops it
    /// (RFC 9293 §3.10.7.4). Where the port is closed, a segment of no connection: the peer resets it (§3.10.7.1). The answer is
    /// small, so this measures one direction. Needs a raw socket.
    Tcp,
    /// An ICMP echo request: the reply is as large as the request, so this measures both directions at once.
    Echo,
    /// A datagram to a port where nobody listens: the peer answers with ICMP "port unreachable", which is small.
    Udp,
}

impl Method {
    /// `TCP`, `ICMP echo` or `UDP`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Tcp => "TCP",
            Method::Echo => "ICMP echo",
            Method::Udp => "UDP",
        }
    }

    /// Whether the answer is as large as the probe.
    #[must_use]
    pub fn answer_is_large(self) -> bool {
        self == Method::Echo
    }
}

/// A probe to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub method: Method,
    /// Tells probes apart; from 1, growing.
    pub number: u16,
    /// Bytes of the IP packet.
    pub size: u32,
    pub hop_limit: u8,
}

/// Something about a probe that has come back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    /// The peer itself has answered: the probe has arrived whole.
    Answer {
        method: Method,
        number: u16,
        /// Bytes of the largest fragment of the answer, if it came in fragments.
        largest_fragment: Option<u32>,
        /// The answer may be fragmented on its way (IPv4 without DF); `None` where that cannot be seen.
        may_fragment: Option<bool>,
    },
    /// "Fragmentation needed" or "packet too big".
    TooBig { method: Method, number: u16, mtu: u32, from: IpAddr },
    /// The hop limit ran out there.
    TimeExceeded { method: Method, number: u16, from: IpAddr },
    /// Somebody on the way refuses it for another reason.
    Unreachable { method: Method, number: u16, code: u8, from: IpAddr },
}

impl Heard {
    pub fn method_and_number(&self) -> (Method, u16) {
        match *self {
            Heard::Answer { method, number, .. }
            | Heard::TooBig { method, number, .. }
            | Heard::TimeExceeded { method, number, .. }
            | Heard::Unreachable { method, number, .. } => (method, number),
        }
    }
}

/// What the peer's SYN-ACK says, as it arrived here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SynAck {
    pub local_port: u16,
    pub peer_port: u16,
    pub mss: Option<u16>,
    pub sack_permitted: bool,
    /// The peer's TSval, and ours that it echoes.
    pub timestamps: Option<(u32, u32)>,
    /// The peer's initial sequence number.
    pub seq: Seq,
    /// Ours, plus one.
    pub ack: Seq,
}

/// A SYN of ours as a router quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotedSyn {
    /// The hop limit it left with.
    pub hop_limit: u8,
    pub router: IpAddr,
    /// Its MSS option there; `None` where the quote ends before.
    pub mss: Option<u16>,
}

/// A way to send probes.
pub(crate) trait Line {
    /// Whether probes of this kind can be sent.
    fn offers(&self, method: Method) -> bool;
    /// Sends a probe.
    fn send(&mut self, probe: &Outgoing) -> io::Result<()>;
    /// Takes everything that has come, without waiting.
    fn hear(&mut self, heard: &mut Vec<Heard>);
    /// What to wait for.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;
    /// The SYN-ACK of a connection from this local port, where it can be seen.
    fn syn_ack(&self, local_port: u16) -> Option<SynAck>;
    /// Probes of [`Method::Tcp`] belong to this connection from now on.
    fn use_connection(&mut self, syn_ack: SynAck);
    /// Probes of [`Method::Tcp`] go to this port from now on, where nobody listens.
    fn use_closed_port(&mut self, port: u16);
    /// Sends a SYN that shall not arrive, so that a router quotes it; false where that is not possible.
    fn send_syn(&mut self, port: u16, hop_limit: u8, mss: u16) -> io::Result<bool>;
    /// What routers have quoted of such SYNs.
    fn quoted_syns(&self) -> &[QuotedSyn];
}

/// The first UDP port of the probes, as traceroute's: nobody is expected to listen there.
pub(crate) const FIRST_PORT: u16 = 33_434;

/// Says to whoever looks into the packets what they are.
pub(crate) const GREETING: &[u8] = b"narrows path MTU probe ";

/// The payload of a probe.
pub(crate) fn payload(bytes: usize) -> Bytes {
    GREETING.iter().copied().cycle().take(bytes).collect()
}

/// The probe that an ICMP message quotes, if it is one of ours.
pub(crate) struct Quoted {
    pub protocol: Protocol,
    pub destination: IpAddr,
    /// The first eight bytes behind the IP header.
    pub transport: [u8; 8],
    /// Where these begin.
    pub at: usize,
    /// How many bytes the packet had behind the IP header.
    pub behind: usize,
}

/// Reads what an ICMP message quotes (RFC 792: the IP header and 8 bytes at least).
pub(crate) fn quoted(body: &[u8]) -> Option<Quoted> {
    let parsed = IpHeader::parse(body, body.len()).ok()?;
    let transport = *body.get(parsed.header_bytes..)?.first_chunk::<8>()?;
    Some(Quoted {
        protocol: parsed.header.protocol,
        destination: parsed.header.destination,
        transport,
        at: parsed.header_bytes,
        behind: parsed.packet_bytes.checked_sub(parsed.header_bytes)?,
    })
}

/// What an ICMP message about a probe says.
pub(crate) fn judge(
    message: IcmpMessage,
    from: IpAddr,
    peer: IpAddr,
    method: Method,
    number: u16,
) -> Option<Heard> {
    match message {
        IcmpMessage::PacketTooBig { mtu } => Some(Heard::TooBig { method, number, mtu, from }),
        IcmpMessage::TimeExceeded { code: 0 } => Some(Heard::TimeExceeded { method, number, from }),
        // Whatever the peer itself refuses has arrived there.
        IcmpMessage::Unreachable { .. } if from == peer => {
            Some(Heard::Answer { method, number, largest_fragment: None, may_fragment: None })
        }
        IcmpMessage::Unreachable { code } => Some(Heard::Unreachable { method, number, code, from }),
        _ => None,
    }
}
