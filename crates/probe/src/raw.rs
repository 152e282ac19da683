//! How are probes sent with raw sockets? Whole packets of our own: nothing that the kernel remembers of the path matters to
//! them, and what routers say about UDP and TCP ones is not remembered either, because no socket of the kernel's has sent them.
//!
//! (About an echo request the kernel does remember "too big" whoever sent it: `icmp_err` and `icmpv6_err` of Linux.)

use crate::line::{
    FIRST_PORT, Heard, Line, Method, Outgoing, Quoted, QuotedSyn, SynAck, judge, payload, quoted,
};
use crate::segment::{Segments, quoted_syn, syn};
use crate::socket::{Discovery, receive, set_discovery, tell_fragments};
use crate::target::ip_header_bytes;
use bytes::Bytes;
use narrows_wire::{IcmpMessage, IpHeader, Packet, Protocol, Seq, TcpFlags, TcpHeader, UdpHeader};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};

/// `IPPROTO_RAW`: the packet has its own IP header.
const WHOLE_PACKETS: i32 = 255;
/// Room for the largest packet.
const BUFFER_BYTES: usize = 65_536;

/// Raw sockets to one peer.
pub(crate) struct RawLine {
    out: Socket,
    icmp: Socket,
    tcp: Socket,
    /// Holds the UDP source port, and hears nothing.
    _port: UdpSocket,
    source: IpAddr,
    peer: SocketAddr,
    udp_port: u16,
    identifier: u16,
    buffer: Vec<u8>,
    syn_acks: Vec<SynAck>,
    segments: Option<Segments>,
    /// Holds the TCP source port of what belongs to no connection.
    _tcp_holder: Socket,
    tcp_port: u16,
    /// Where the sequence numbers of such segments begin.
    base: Seq,
    quoted_syns: Vec<QuotedSyn>,
}

impl RawLine {
    /// Opens the sockets; without the right to do so, `PermissionDenied`.
    pub fn open(source: IpAddr, peer: SocketAddr) -> io::Result<RawLine> {
        let ipv4 = peer.is_ipv4();
        let domain = if ipv4 { Domain::IPV4 } else { Domain::IPV6 };
        let raw = |protocol: SocketProtocol| Socket::new(domain, Type::RAW, Some(protocol));
        let out = raw(SocketProtocol::from(WHOLE_PACKETS))?;
        let icmp = raw(if ipv4 { SocketProtocol::ICMPV4 } else { SocketProtocol::ICMPV6 })?;
        let tcp = raw(SocketProtocol::TCP)?;
        tcp.connect(&SocketAddr::new(peer.ip(), 0).into())?;
        for socket in [&out, &icmp, &tcp] {
            socket.set_nonblocking(true)?;
            set_discovery(socket, ipv4, Discovery::Deaf)?;
        }
        // Everything about a round of probes fits, also on a host with much other traffic.
        let _ = icmp.set_recv_buffer_size(1 << 20);
        tell_fragments(&icmp, ipv4);
        let port = UdpSocket::bind(SocketAddr::new(source, 0))?;
        set_discovery(&port, ipv4, Discovery::Deaf)?;
        let udp_port = port.local_addr()?.port();
        let holder = Socket::new(domain, Type::STREAM, Some(SocketProtocol::TCP))?;
        holder.bind(&SocketAddr::new(source, 0).into())?;
        let tcp_port = holder.local_addr()?.as_socket().map_or(0, |address| address.port());
        Ok(RawLine {
            out,
            icmp,
            tcp,
            _port: port,
            source,
            peer,
            udp_port,
            identifier: udp_port,
            buffer: vec![0; BUFFER_BYTES],
            syn_acks: Vec::new(),
            segments: None,
            _tcp_holder: holder,
            tcp_port,
            base: Seq(u32::from(udp_port) << 16 | u32::from(tcp_port)),
            quoted_syns: Vec::new(),
        })
    }

    fn packet(&mut self, probe: &Outgoing) -> io::Result<Packet> {
        let peer = self.peer.ip();
        let ip = ip_header_bytes(peer);
        let room = |header: u32| {
            let bytes = probe.size.checked_sub(ip + header).ok_or(io::ErrorKind::InvalidInput)?;
            Ok::<usize, io::Error>(bytes as usize)
        };
        let mut packet = match probe.method {
            Method::Echo => {
                let message =
                    IcmpMessage::EchoRequest { identifier: self.identifier, sequence: probe.number };
                Packet::icmp(self.source, peer, message, payload(room(8)?))
            }
            Method::Udp => {
                let header = UdpHeader {
                    source_port: self.udp_port,
                    destination_port: FIRST_PORT.wrapping_add(probe.number),
                };
                Packet::udp(self.source, peer, header, payload(room(8)?))
            }
            Method::Tcp => {
                let segments = self.segments.as_mut().ok_or(io::ErrorKind::NotConnected)?;
                let data = payload(room(segments.header_bytes())?);
                let header = segments.header(probe.number, data.len() as u32);
                Packet::tcp(self.source, peer, header, data)
            }
        };
        packet.ip.hop_limit = probe.hop_limit;
        Ok(packet)
    }

    fn emit(&self, packet: &Packet) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(packet.len());
        packet.emit(&mut bytes);
        let mut to = self.peer;
        to.set_port(0);
        self.out.send_to(&bytes, &to.into()).map(|_| ())
    }

    /// What an ICMP packet says about our probes.
    fn understand_icmp(
        &mut self,
        message: IcmpMessage,
        body: &[u8],
        from: IpAddr,
        largest_fragment: Option<u32>,
        may_fragment: Option<bool>,
    ) -> Option<Heard> {
        let peer = self.peer.ip();
        if let IcmpMessage::EchoReply { identifier, sequence } = message {
            let ours = identifier == self.identifier && from == peer;
            let number = sequence;
            return ours.then_some(Heard::Answer {
                method: Method::Echo,
                number,
                largest_fragment,
                may_fragment,
            });
        }
        if !message.quotes_a_packet() {
            return None;
        }
        let Quoted { protocol, destination, transport, at, behind } = quoted(body)?;
        if destination != peer {
            return None;
        }
        if protocol == Protocol::Tcp
            && matches!(message, IcmpMessage::TimeExceeded { .. })
            && let Some(syn) =
                body.get(at..).and_then(|quote| quoted_syn(quote, self.tcp_port, self.base, from))
        {
            self.quoted_syns.push(syn);
            return None;
        }
        let word = |at: usize| u16::from_be_bytes([transport[at], transport[at + 1]]);
        let (method, number) = match protocol {
            Protocol::Udp if word(0) == self.udp_port => (Method::Udp, word(2).wrapping_sub(FIRST_PORT)),
            Protocol::Icmp | Protocol::Icmpv6 if word(4) == self.identifier => (Method::Echo, word(6)),
            Protocol::Tcp => (Method::Tcp, self.segments.as_ref()?.quoted(transport, behind)?),
            _ => return None,
        };
        judge(message, from, peer, method, number)
    }

    fn hear_icmp(&mut self, heard: &mut Vec<Heard>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(received) = receive(&self.icmp, &mut buffer, false) {
            let bytes = &buffer[..received.bytes];
            let (at, from, may_fragment) = if self.peer.is_ipv4() {
                let Ok(parsed) = IpHeader::parse(bytes, bytes.len()) else { continue };
                let may = !parsed.header.fragment.dont_fragment;
                (parsed.header_bytes, parsed.header.source, Some(may))
            } else {
                let Some(from) = received.peer else { continue };
                (0, from.ip(), None)
            };
            let protocol = if self.peer.is_ipv4() { Protocol::Icmp } else { Protocol::Icmpv6 };
            let Some(rest) = bytes.get(at..) else { continue };
            let Ok(message) = IcmpMessage::parse(protocol, rest, at) else { continue };
            let body = rest.get(IcmpMessage::BYTES..).unwrap_or_default();
            heard.extend(self.understand_icmp(message, body, from, received.largest_fragment, may_fragment));
        }
        self.buffer = buffer;
    }

    fn hear_tcp(&mut self, heard: &mut Vec<Heard>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(received) = receive(&self.tcp, &mut buffer, false) {
            let bytes = &buffer[..received.bytes];
            let at = if self.peer.is_ipv4() {
                match IpHeader::parse(bytes, bytes.len()) {
                    Ok(parsed) => parsed.header_bytes,
                    Err(_) => continue,
                }
            } else {
                0
            };
            let Some(Ok(parsed)) = bytes.get(at..).map(|rest| TcpHeader::parse(rest, at)) else { continue };
            heard.extend(self.understand_tcp(&parsed.header));
        }
        self.buffer = buffer;
    }

    fn understand_tcp(&mut self, header: &TcpHeader) -> Option<Heard> {
        if header.flags.contains(TcpFlags::SYN | TcpFlags::ACK) {
            self.syn_acks.push(SynAck {
                local_port: header.destination_port,
                peer_port: header.source_port,
                mss: header.options.mss,
                sack_permitted: header.options.sack_permitted,
                timestamps: header.options.timestamps.map(|stamps| (stamps.value, stamps.echo)),
                seq: header.seq,
                ack: header.ack,
            });
            return None;
        }
        let number = self.segments.as_mut()?.answered(header)?;
        Some(Heard::Answer { method: Method::Tcp, number, largest_fragment: None, may_fragment: None })
    }
}

impl Line for RawLine {
    fn offers(&self, method: Method) -> bool {
        method != Method::Tcp || self.segments.as_ref().is_some_and(Segments::usable)
    }

    fn send(&mut self, probe: &Outgoing) -> io::Result<()> {
        let packet = self.packet(probe)?;
        self.emit(&packet)
    }

    fn hear(&mut self, heard: &mut Vec<Heard>) {
        self.hear_tcp(heard);
        self.hear_icmp(heard);
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.icmp.as_fd(), self.tcp.as_fd()]
    }

    fn syn_ack(&self, local_port: u16) -> Option<SynAck> {
        self.syn_acks.iter().find(|syn_ack| syn_ack.local_port == local_port).copied()
    }

    fn use_connection(&mut self, syn_ack: SynAck) {
        let mut segments = Segments::open(syn_ack);
        // The handshake's last ACK once more: if the kernel's was lost, the peer has no connection yet, and answers no probe.
        let again = segments.header(0, 0);
        let _ = self.emit(&Packet::tcp(self.source, self.peer.ip(), again, Bytes::new()));
        self.segments = Some(segments);
    }

    fn use_closed_port(&mut self, peer_port: u16) {
        let (local_port, base) = (self.tcp_port, self.base);
        self.segments = Some(Segments::Closed { local_port, peer_port, base });
    }

    fn send_syn(&mut self, port: u16, hop_limit: u8, mss: u16) -> io::Result<bool> {
        let header = syn(self.tcp_port, port, self.base, hop_limit, mss);
        let mut packet = Packet::tcp(self.source, self.peer.ip(), header, Bytes::new());
        packet.ip.hop_limit = hop_limit;
        self.emit(&packet)?;
        Ok(true)
    }

    fn quoted_syns(&self) -> &[QuotedSyn] {
        &self.quoted_syns
    }
}
