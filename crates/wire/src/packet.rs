//! One IP packet as a value: header, transport header, shared payload, offload metadata.

use crate::buffer::HeaderBuffer;
use crate::checksum::Checksum;
use crate::{Fragment, IcmpMessage, IpHeader, IpParsed, ParseError, Protocol, TcpHeader, UdpHeader};
use bytes::{Buf, Bytes};
use std::net::{IpAddr, SocketAddr};

/// What an IP packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment's header.
    Tcp(TcpHeader),
    /// A UDP datagram's header.
    Udp(UdpHeader),
    /// An ICMP message.
    Icmp(IcmpMessage),
    /// A fragment, or a protocol narrows does not know: everything is in the payload.
    Opaque,
}

impl Transport {
    /// Source and destination port, where the protocol has ports.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self {
            Transport::Tcp(header) => Some((header.source_port, header.destination_port)),
            Transport::Udp(header) => Some((header.source_port, header.destination_port)),
            Transport::Icmp(_) | Transport::Opaque => None,
        }
    }

    /// Bytes of the transport header on the wire.
    #[must_use]
    pub fn header_len(&self) -> usize {
        match self {
            Transport::Tcp(header) => header.header_len(),
            Transport::Udp(_) => UdpHeader::BYTES,
            Transport::Icmp(_) => IcmpMessage::BYTES,
            Transport::Opaque => 0,
        }
    }
}

/// What a device has done, or is asked to do, in the sender's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Checksums have been verified by the device, or are left to it.
    pub checksum: ChecksumState,
    /// Payload bytes per segment where the packet is a large segment still to be cut (GSO) or already merged
    /// (GRO); `None` for an ordinary packet.
    pub segment_bytes: Option<u16>,
}

/// Who vouches for the checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumState {
    /// Software: computed on emit, verified on parse.
    #[default]
    Full,
    /// The device computes or has verified it. On emit the transport's field holds the pseudo header's sum, from which
    /// a device completes it.
    Device,
}

/// One IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IP header.
    pub ip: IpHeader,
    /// Transport header.
    pub transport: Transport,
    /// What follows the transport header; shared, never copied on the way.
    pub payload: Bytes,
    /// Offload metadata.
    pub offload: Offload,
}

/// Hop limit of packets made by the constructors; Linux's default.
const HOP_LIMIT: u8 = 64;

impl Packet {
    /// A TCP segment with hop limit 64, traffic class 0 and DF.
    #[must_use]
    pub fn tcp(source: IpAddr, destination: IpAddr, header: TcpHeader, payload: Bytes) -> Packet {
        Packet::new(source, destination, Protocol::Tcp, Transport::Tcp(header), payload)
    }

    /// A UDP datagram with hop limit 64, traffic class 0 and DF.
    #[must_use]
    pub fn udp(source: IpAddr, destination: IpAddr, header: UdpHeader, payload: Bytes) -> Packet {
        Packet::new(source, destination, Protocol::Udp, Transport::Udp(header), payload)
    }

    /// An ICMP message of the addresses' version with hop limit 64, traffic class 0 and DF.
    #[must_use]
    pub fn icmp(source: IpAddr, destination: IpAddr, message: IcmpMessage, payload: Bytes) -> Packet {
        let protocol = if source.is_ipv4() { Protocol::Icmp } else { Protocol::Icmpv6 };
        Packet::new(source, destination, protocol, Transport::Icmp(message), payload)
    }

    fn new(
        source: IpAddr,
        destination: IpAddr,
        protocol: Protocol,
        transport: Transport,
        payload: Bytes,
    ) -> Packet {
        let fragment = Fragment { dont_fragment: true, ..Fragment::default() };
        let ip = IpHeader { source, destination, protocol, hop_limit: HOP_LIMIT, traffic_class: 0, fragment };
        Packet { ip, transport, payload, offload: Offload::default() }
    }

    /// Length of the whole IP packet, bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ip.header_len() + self.transport.header_len() + self.payload.len()
    }

    /// Always false: a packet has at least its header. (Here because a type with `len` is expected to have it.)
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Address and port of the sender, if the transport has ports.
    #[must_use]
    pub fn source_socket(&self) -> Option<SocketAddr> {
        self.transport.ports().map(|(source, _)| SocketAddr::new(self.ip.source, source))
    }

    /// Address and port of the receiver, if the transport has ports.
    #[must_use]
    pub fn destination_socket(&self) -> Option<SocketAddr> {
        self.transport.ports().map(|(_, destination)| SocketAddr::new(self.ip.destination, destination))
    }

    /// Reads a whole packet and verifies its checksums. Bytes behind its end (a frame's padding) are ignored; IPv4 options and IPv6
    /// extension headers are skipped. The payload shares `bytes`.
    ///
    /// # Errors
    /// [`ParseError`]: cut, contradicting itself, or a checksum that does not match.
    pub fn parse(bytes: Bytes) -> Result<Packet, ParseError> {
        Packet::parse_with(bytes, ChecksumState::Full)
    }

    /// As [`Packet::parse`]; with [`ChecksumState::Device`] no checksum is looked at.
    ///
    /// # Errors
    /// [`ParseError`], as [`Packet::parse`].
    pub fn parse_with(bytes: Bytes, checksum: ChecksumState) -> Result<Packet, ParseError> {
        let IpParsed { header: ip, header_bytes: at, packet_bytes: end, .. } =
            IpHeader::parse(&bytes, bytes.len())?;
        let verify = checksum == ChecksumState::Full;
        if verify && ip.source.is_ipv4() {
            // The header's own length, options included; that many bytes are there (IpHeader::parse).
            let mut sum = Checksum::new();
            sum.add(&bytes[..at]);
            check(sum, "IPv4 header", 10)?;
        }
        if end > bytes.len() {
            return Err(ParseError::Truncated {
                expected: "the rest of the packet, as long as its IP header says",
                offset: bytes.len(),
                end: bytes.len(),
            });
        }
        let rest = bytes.get(at..end).unwrap_or_default();
        let (transport, header_bytes, payload_end) = read_transport(&ip, rest, at)?;
        if verify {
            verify_transport(&ip, &transport, &rest[..payload_end], at)?;
        }
        let mut payload = bytes;
        payload.truncate(at + payload_end);
        payload.advance(at + header_bytes);
        Ok(Packet { ip, transport, payload, offload: Offload { checksum, segment_bytes: None } })
    }

    /// The packet with all that follows its IP header unread, for those who only carry it on: what [`Packet::parse`] does not take (an
    /// option that nobody knows, a checksum that does not fit) comes out as it went in. `None` where even that is not so: no IP header,
    /// options or extension headers in it, or another length than it says.
    #[must_use]
    pub fn unread(bytes: Bytes) -> Option<Packet> {
        let parsed = IpHeader::parse(&bytes, bytes.len()).ok()?;
        let ip = parsed.header;
        if parsed.packet_bytes != bytes.len() || parsed.header_bytes != ip.header_len() {
            return None;
        }
        let payload = bytes.slice(parsed.header_bytes..);
        Some(Packet { ip, transport: Transport::Opaque, payload, offload: Offload::default() })
    }

    /// Appends the packet's bytes, checksums included (see [`ChecksumState::Device`]). A length that has no room in its field is
    /// written as 0, as large segments before the device look in captures.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        self.emit_headers(out);
        out.extend_from_slice(&self.payload);
    }

    /// Appends what comes before the payload, for those who hand headers and payload on without joining them (writev). Checksums cover
    /// the payload.
    pub fn emit_headers(&self, out: &mut Vec<u8>) {
        let (protocol, checksum_at) = match &self.transport {
            Transport::Tcp(_) => (Protocol::Tcp, Some(16)),
            Transport::Udp(_) => (Protocol::Udp, Some(6)),
            Transport::Icmp(_) if self.ip.header_len() == 20 => (Protocol::Icmp, Some(2)),
            Transport::Icmp(_) => (Protocol::Icmpv6, Some(2)),
            Transport::Opaque => (self.ip.protocol, None),
        };
        let number = protocol.number();
        let transport_bytes = self.transport.header_len() + self.payload.len();
        let mut headers = HeaderBuffer::new();
        self.ip.put(number, transport_bytes, &mut headers);
        let begin = headers.len();
        headers.take_sum();
        match &self.transport {
            Transport::Tcp(header) => header.put(&mut headers),
            Transport::Udp(header) => header.put(self.payload.len(), &mut headers),
            Transport::Icmp(message) => message.put(protocol == Protocol::Icmpv6, &mut headers),
            Transport::Opaque => {}
        }
        if let Some(checksum_at) = checksum_at {
            let mut sum = if protocol == Protocol::Icmp {
                Checksum::new()
            } else {
                Checksum::pseudo_header(self.ip.source, self.ip.destination, number, transport_bytes)
            };
            let value = if self.offload.checksum == ChecksumState::Device && protocol != Protocol::Icmp {
                sum.partial()
            } else {
                sum.add_words(headers.take_sum());
                sum.add(&self.payload);
                match sum.finish() {
                    // 0 would mean "none" (RFC 768).
                    0 if protocol == Protocol::Udp => 0xffff,
                    value => value,
                }
            };
            headers.set_u16(begin + checksum_at, value);
        }
        out.extend_from_slice(headers.as_slice());
    }
}

/// The transport header, its length, and where the payload ends in `rest` (an UDP datagram may be shorter than its packet).
fn read_transport(ip: &IpHeader, rest: &[u8], at: usize) -> Result<(Transport, usize, usize), ParseError> {
    let end = rest.len();
    if ip.fragment.is_piece() {
        return Ok((Transport::Opaque, 0, end));
    }
    match ip.protocol {
        Protocol::Tcp => {
            let tcp = TcpHeader::parse(rest, at)?;
            if tcp.options_cut {
                let (field, value) = ("TCP data offset", tcp.header_bytes);
                return Err(ParseError::Length { field, offset: at + 12, value, least: 20, most: end });
            }
            Ok((Transport::Tcp(tcp.header), tcp.header_bytes, end))
        }
        Protocol::Udp => {
            let udp = UdpHeader::parse(rest, at)?;
            if udp.length > end {
                let (field, value) = ("UDP length", udp.length);
                return Err(ParseError::Length { field, offset: at + 4, value, least: 8, most: end });
            }
            let end = if udp.length == 0 { end } else { udp.length };
            Ok((Transport::Udp(udp.header), UdpHeader::BYTES, end))
        }
        protocol @ (Protocol::Icmp | Protocol::Icmpv6) => {
            let message = IcmpMessage::parse(protocol, rest, at)?;
            Ok((Transport::Icmp(message), IcmpMessage::BYTES, end))
        }
        Protocol::Other(_) => Ok((Transport::Opaque, 0, end)),
    }
}

fn verify_transport(ip: &IpHeader, transport: &Transport, rest: &[u8], at: usize) -> Result<(), ParseError> {
    let (of, offset) = match transport {
        Transport::Tcp(_) => ("TCP", 16),
        // No checksum; in IPv6 that is an error (RFC 8200 §8.1).
        Transport::Udp(_) if rest[6..8] == [0, 0] && ip.source.is_ipv4() => return Ok(()),
        Transport::Udp(_) if rest[6..8] == [0, 0] => {
            return Err(ParseError::Checksum { of: "UDP", offset: at + 6 });
        }
        Transport::Udp(_) => ("UDP", 6),
        Transport::Icmp(_) => ("ICMP", 2),
        Transport::Opaque => return Ok(()),
    };
    let mut sum = match ip.protocol {
        Protocol::Icmp => Checksum::new(),
        protocol => Checksum::pseudo_header(ip.source, ip.destination, protocol.number(), rest.len()),
    };
    sum.add(rest);
    check(sum, of, at + offset)
}

fn check(sum: Checksum, of: &'static str, offset: usize) -> Result<(), ParseError> {
    if sum.finish() == 0 { Ok(()) } else { Err(ParseError::Checksum { of, offset }) }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
