//! From whom, to whom, and in how many pieces? IPv4 (RFC 791) and IPv6 (RFC 8200) headers as one value.

use crate::ParseError;
use crate::buffer::{HeaderBuffer, pair};
use crate::checksum::Checksum;
use crate::error::expect;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The protocol above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// ICMP for IPv4.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP for IPv6.
    Icmpv6,
    /// Any other protocol number.
    Other(u8),
}

impl Protocol {
    /// The protocol with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Protocol {
        match number {
            1 => Protocol::Icmp,
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            58 => Protocol::Icmpv6,
            other => Protocol::Other(other),
        }
    }

    /// The protocol's number (IANA registry "Protocol Numbers").
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Icmp => 1,
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Icmpv6 => 58,
            Protocol::Other(number) => number,
        }
    }
}

/// Where a packet stands in its datagram (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Identification; 16 bits in IPv4. In IPv6 only meaningful when `offset_bytes > 0 || more`.
    pub identification: u32,
    /// IPv4's DF; always true for IPv6.
    pub dont_fragment: bool,
    /// More fragments follow.
    pub more: bool,
    /// Offset of this piece, in bytes (a multiple of 8).
    pub offset_bytes: u16,
}

impl Fragment {
    /// True when the packet is only a piece of a datagram.
    #[must_use]
    pub fn is_piece(&self) -> bool {
        self.more || self.offset_bytes != 0
    }
}

/// An IP header of either version; the version is that of the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Sender.
    pub source: IpAddr,
    /// Receiver; the same version as `source`.
    pub destination: IpAddr,
    /// What the payload is.
    pub protocol: Protocol,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN (the IPv4 TOS byte, the IPv6 traffic class).
    pub traffic_class: u8,
    /// Fragmentation.
    pub fragment: Fragment,
}

/// An IP header as it was read, and how far it and its packet reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpParsed {
    /// The header.
    pub header: IpHeader,
    /// Where the payload begins, bytes from the packet's start: behind IPv4 options and IPv6 extension headers.
    pub header_bytes: usize,
    /// Length of the packet with its header, bytes, whether or not they are all there.
    pub packet_bytes: usize,
    /// The length field was 0, as in large segments captured before the device cuts them; `packet_bytes` is then the caller's.
    pub length_missing: bool,
}

/// IPv6 extension headers that only stand between the header and what matters here.
mod extension {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const NO_NEXT_HEADER: u8 = 59;
    pub const DESTINATION_OPTIONS: u8 = 60;
}

impl IpHeader {
    /// Reads the header of the packet in `bytes`. `wire_bytes` is the packet's length if its own length field is 0.
    ///
    /// The checksum is not looked at.
    ///
    /// # Errors
    /// [`ParseError`] when the header is cut, is not IP, or contradicts itself.
    #[inline(always)]
    pub fn parse(bytes: &[u8], wire_bytes: usize) -> Result<IpParsed, ParseError> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => parse_v4(bytes, wire_bytes),
            Some(6) => parse_v6(bytes, wire_bytes),
            Some(version) => Err(ParseError::Version { version }),
            None => Err(ParseError::Truncated { expected: "an IP header", offset: 0, end: 0 }),
        }
    }

    /// Bytes that [`crate::Packet::emit`] writes for this header: 20 or 40, and 8 more for an IPv6 fragment.
    #[must_use]
    pub fn header_len(&self) -> usize {
        match (self.source, self.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) => 20,
            _ if self.fragment.is_piece() => 48,
            _ => 40,
        }
    }

    /// Writes the header for `payload_bytes` of `protocol`. A length that has no room in its field is written as 0, as Linux does
    /// for the large segments that a device is to cut.
    pub(crate) fn put(&self, protocol: u8, payload_bytes: usize, out: &mut HeaderBuffer) {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.put_v4(source, destination, protocol, payload_bytes, out);
            }
            (source, destination) => {
                self.put_v6(mapped(source), mapped(destination), protocol, payload_bytes, out)
            }
        }
    }

    fn put_v4(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        payload_bytes: usize,
        out: &mut HeaderBuffer,
    ) {
        let length = u16::try_from(20 + payload_bytes).unwrap_or(0);
        let place = u16::from(self.fragment.dont_fragment) << 14
            | u16::from(self.fragment.more) << 13
            | (self.fragment.offset_bytes >> 3);
        let (source, destination) = (u32::from(source), u32::from(destination));
        let mut words = [
            pair(u16::from_be_bytes([0x45, self.traffic_class]), length),
            pair(self.fragment.identification as u16, place),
            u32::from_be_bytes([self.hop_limit, protocol, 0, 0]),
            source,
            destination,
        ];
        let mut sum = Checksum::new();
        sum.add_words(words.iter().copied().map(u64::from).sum());
        words[2] |= u32::from(sum.finish());
        out.put(words);
    }

    fn put_v6(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        protocol: u8,
        payload_bytes: usize,
        out: &mut HeaderBuffer,
    ) {
        let piece = self.fragment.is_piece();
        let length = u16::try_from(payload_bytes + if piece { 8 } else { 0 }).unwrap_or(0);
        let next = if piece { extension::FRAGMENT } else { protocol };
        out.put([
            0x6000_0000 | u32::from(self.traffic_class) << 20,
            pair(length, u16::from_be_bytes([next, self.hop_limit])),
        ]);
        out.put(words_of(source));
        out.put(words_of(destination));
        if piece {
            let place = self.fragment.offset_bytes & !7 | u16::from(self.fragment.more);
            out.put([pair(u16::from_be_bytes([protocol, 0]), place), self.fragment.identification]);
        }
    }
}

fn words_of(address: Ipv6Addr) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h] = address.segments();
    [pair(a, b), pair(c, d), pair(e, f), pair(g, h)]
}

/// Both addresses of a header are of one version; if ever not, the packet goes out as IPv6 (RFC 4291 §2.5.5.2).
fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[inline(always)]
fn parse_v4(bytes: &[u8], wire_bytes: usize) -> Result<IpParsed, ParseError> {
    let fixed: &[u8; 20] = expect(bytes, 0, 0, "an IPv4 header of 20 bytes")?;
    let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let header_bytes = usize::from(fixed[0] & 0xf) * 4;
    let length_missing = word(2) == 0;
    let packet_bytes = if length_missing { wire_bytes } else { usize::from(word(2)) };
    if header_bytes < 20 {
        let field = "IPv4 header length";
        return Err(ParseError::Length { field, offset: 0, value: header_bytes, least: 20, most: 60 });
    }
    if packet_bytes < header_bytes {
        let field = "IPv4 total length";
        return Err(ParseError::Length {
            field,
            offset: 2,
            value: packet_bytes,
            least: header_bytes,
            most: 65535,
        });
    }
    if bytes.len() < header_bytes {
        return Err(ParseError::Truncated { expected: "the IPv4 options", offset: 20, end: bytes.len() });
    }
    let place = word(6);
    let [.., a, b, c, d, e, f, g, h] = *fixed;
    let header = IpHeader {
        source: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        destination: IpAddr::V4(Ipv4Addr::new(e, f, g, h)),
        protocol: Protocol::from_number(fixed[9]),
        hop_limit: fixed[8],
        traffic_class: fixed[1],
        fragment: Fragment {
            identification: u32::from(word(4)),
            dont_fragment: place & 0x4000 != 0,
            more: place & 0x2000 != 0,
            offset_bytes: (place & 0x1fff) << 3,
        },
    };
    Ok(IpParsed { header, header_bytes, packet_bytes, length_missing })
}

#[inline]
fn parse_v6(bytes: &[u8], wire_bytes: usize) -> Result<IpParsed, ParseError> {
    let fixed: &[u8; 40] = expect(bytes, 0, 0, "an IPv6 header of 40 bytes")?;
    let payload_bytes = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    // A jumbogram (RFC 2675), or a large segment captured before the device cuts it; a packet that ends here says so (59).
    let length_missing = payload_bytes == 0 && fixed[6] != extension::NO_NEXT_HEADER;
    let packet_bytes = if length_missing { wire_bytes.max(40) } else { 40 + payload_bytes };
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&fixed[at..at + 16]);
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let mut header = IpHeader {
        source: address(8),
        destination: address(24),
        protocol: Protocol::from_number(fixed[6]),
        hop_limit: fixed[7],
        traffic_class: (u16::from_be_bytes([fixed[0], fixed[1]]) >> 4) as u8,
        fragment: Fragment { dont_fragment: true, ..Fragment::default() },
    };
    let header_bytes = if matches!(header.protocol, Protocol::Other(_)) {
        skip_extensions(bytes, packet_bytes, &mut header)?
    } else {
        40
    };
    Ok(IpParsed { header, header_bytes, packet_bytes, length_missing })
}

/// Walks over the extension headers (RFC 8200 §4) to the first protocol that is none, or to a piece of a datagram, whose content
/// cannot be read before it is whole. Each is at least 8 bytes long, so the packet's length bounds the walk.
fn skip_extensions(bytes: &[u8], packet_bytes: usize, header: &mut IpHeader) -> Result<usize, ParseError> {
    let mut at = 40;
    let mut next = header.protocol.number();
    loop {
        let length_unit = match next {
            extension::HOP_BY_HOP | extension::ROUTING | extension::DESTINATION_OPTIONS => 8,
            extension::AUTHENTICATION => 4,
            extension::FRAGMENT => 0,
            _ => break,
        };
        let begin: &[u8; 8] = expect(bytes, at, 0, "an IPv6 extension header of at least 8 bytes")?;
        // The unit is 8 bytes beyond the first 8; in the authentication header 4 bytes beyond the first 8 (RFC 4302 §2.2).
        let length = 8 + length_unit * usize::from(begin[1]);
        if at + length > packet_bytes {
            let (field, most) = ("IPv6 extension header length", packet_bytes.saturating_sub(at));
            return Err(ParseError::Length { field, offset: at + 1, value: length, least: 8, most });
        }
        if next == extension::FRAGMENT {
            let place = u16::from_be_bytes([begin[2], begin[3]]);
            header.fragment.more = place & 1 != 0;
            header.fragment.offset_bytes = place & !7;
            header.fragment.identification = u32::from_be_bytes([begin[4], begin[5], begin[6], begin[7]]);
        }
        at += length;
        next = begin[0];
        if header.fragment.is_piece() {
            break;
        }
    }
    if at > bytes.len() {
        return Err(ParseError::Truncated {
            expected: "what follows the IPv6 extension headers",
            offset: at,
            end: bytes.len(),
        });
    }
    header.protocol = Protocol::from_number(next);
    Ok(at)
}

#[cfg(test)]
#[path = "ip_tests.rs"]
mod tests;
