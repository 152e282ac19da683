//! What did the network tell us, and may we believe it? (RFC 792, RFC 4443; RFC 5927.)
//!
//! Also what is told to others: which packets may be answered by an error at all, and with what.

use crate::Instant;
use bytes::Bytes;
use narrows_wire::{IcmpMessage, IpHeader, Packet, Protocol, Seq, Transport};
use std::net::{IpAddr, SocketAddr};

/// The packet that an ICMP error is about, as far as the error quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Who sent it: for an error that is meant for us, this host.
    pub source: SocketAddr,
    /// For whom it was.
    pub destination: SocketAddr,
    /// What it carried.
    pub protocol: Protocol,
    /// Length of the whole packet, bytes.
    pub packet_bytes: u32,
    /// TCP's sequence number; 0 for other protocols.
    pub seq: Seq,
    /// UDP's length field, bytes; 0 for other protocols.
    pub udp_length: u16,
    /// UDP's checksum field; 0 for other protocols.
    pub udp_checksum: u16,
}

impl Quoted {
    /// Reads the body of an ICMP error: an IP header and at least 8 bytes of what follows (RFC 792). `None` when that is not there,
    /// or is a later fragment, which has no ports.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Quoted> {
        let parsed = IpHeader::parse(body, body.len()).ok()?;
        let ip = parsed.header;
        if ip.fragment.offset_bytes != 0 {
            return None;
        }
        let transport: &[u8; 8] = body.get(parsed.header_bytes..)?.first_chunk()?;
        let [a, b, c, d, e, f, g, h] = *transport;
        let ports = match ip.protocol {
            Protocol::Tcp | Protocol::Udp => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_) => (0, 0),
        };
        let udp = ip.protocol == Protocol::Udp;
        Some(Quoted {
            source: SocketAddr::new(ip.source, ports.0),
            destination: SocketAddr::new(ip.destination, ports.1),
            protocol: ip.protocol,
            packet_bytes: u32::try_from(parsed.packet_bytes).unwrap_or(u32::MAX),
            seq: if ip.protocol == Protocol::Tcp { Seq(u32::from_be_bytes([e, f, g, h])) } else { Seq(0) },
            udp_length: if udp { u16::from_be_bytes([e, f]) } else { 0 },
            udp_checksum: if udp { u16::from_be_bytes([g, h]) } else { 0 },
        })
    }
}

/// An ICMP packet is at most this long when it reports an error: what every IPv4 host takes (RFC 1812 §4.3.2.3) …
const LONGEST_IPV4: usize = 576;
/// … and what every IPv6 link carries (RFC 4443 §2.4 (c)).
const LONGEST_IPV6: usize = 1_280;

/// May this packet be answered by an ICMP error? Not an error itself, not a later fragment, nothing to or from many or nobody
/// (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)).
#[must_use]
pub fn may_be_answered(packet: &Packet) -> bool {
    let one = |address: IpAddr| {
        let many = match address {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        };
        !many && !address.is_unspecified()
    };
    // A packet too big for IPv6 is reported to the sender whoever it was for (RFC 4443 §2.4 (e.3)); nobody here sends to many.
    let is_error = match &packet.transport {
        Transport::Icmp(message) => message.quotes_a_packet() || matches!(message, IcmpMessage::Other { .. }),
        _ => false,
    };
    !is_error && packet.ip.fragment.offset_bytes == 0 && one(packet.ip.source) && one(packet.ip.destination)
}

/// The error `message` about `packet`, from `from` to its sender, with as much of it as fits.
#[must_use]
pub fn error_about(packet: &Packet, message: IcmpMessage, from: IpAddr) -> Packet {
    let mut quoted = Vec::new();
    packet.emit(&mut quoted);
    let (header, longest) = if from.is_ipv4() { (20, LONGEST_IPV4) } else { (40, LONGEST_IPV6) };
    quoted.truncate(longest - header - IcmpMessage::BYTES);
    let mut answer = Packet::icmp(from, packet.ip.source, message, Bytes::from(quoted));
    answer.ip.fragment.dont_fragment = packet.ip.source.is_ipv6();
    answer
}

/// How many errors may be sent (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)): so many per second, and as many at once after a quiet second.
#[derive(Clone, Copy, Debug)]
pub struct ErrorLimit {
    per_second: u32,
    /// Nanoseconds' worth of errors in hand.
    credit_ns: u64,
    since: Instant,
}

const SECOND_NS: u64 = 1_000_000_000;

impl ErrorLimit {
    /// A sender that may send at once.
    #[must_use]
    pub fn new(per_second: u32) -> ErrorLimit {
        ErrorLimit { per_second, credit_ns: SECOND_NS, since: Instant::ZERO }
    }

    /// May one more be sent? It counts as sent.
    pub fn take(&mut self, now: Instant) -> bool {
        let Some(price) = SECOND_NS.checked_div(u64::from(self.per_second)) else { return false };
        let passed = u64::try_from(now.since(self.since).as_nanos()).unwrap_or(u64::MAX);
        self.since = now;
        self.credit_ns = self.credit_ns.saturating_add(passed).min(SECOND_NS);
        let allowed = self.credit_ns >= price;
        if allowed {
            self.credit_ns -= price;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_wire::{TcpFlags, TcpHeader, TcpOptions, UdpHeader};

    fn segment(ipv6: bool, payload: usize) -> Packet {
        let addresses: [IpAddr; 2] = if ipv6 {
            ["fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()]
        } else {
            [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]
        };
        let header = TcpHeader {
            source_port: 40_000,
            destination_port: 80,
            seq: Seq(7_000),
            ack: Seq(1),
            flags: TcpFlags::ACK,
            window: 1,
            urgent: 0,
            options: TcpOptions::default(),
        };
        Packet::tcp(addresses[0], addresses[1], header, Bytes::from(vec![1; payload]))
    }

    #[test]
    fn an_error_quotes_what_its_reader_needs_and_no_more_than_fits() {
        for (ipv6, longest) in [(false, LONGEST_IPV4), (true, LONGEST_IPV6)] {
            let packet = segment(ipv6, 1_400);
            let from = if ipv6 { "fd00::9".parse().unwrap() } else { IpAddr::from([10, 0, 0, 9]) };
            let error = error_about(&packet, IcmpMessage::PacketTooBig { mtu: 1_300 }, from);
            assert_eq!(error.len(), longest);
            assert_eq!((error.ip.source, error.ip.destination), (from, packet.ip.source));
            let mut bytes = Vec::new();
            error.emit(&mut bytes);
            let read = Packet::parse(bytes.into()).unwrap();
            assert_eq!(read.transport, Transport::Icmp(IcmpMessage::PacketTooBig { mtu: 1_300 }));
            let quoted = Quoted::parse(&read.payload).unwrap();
            assert_eq!(quoted.source, packet.source_socket().unwrap());
            assert_eq!(quoted.destination, packet.destination_socket().unwrap());
            assert_eq!((quoted.packet_bytes as usize, quoted.seq), (packet.len(), Seq(7_000)));
        }
    }

    #[test]
    fn eight_bytes_behind_the_header_are_enough_and_seven_are_not() {
        let mut bytes = Vec::new();
        segment(false, 100).emit(&mut bytes);
        assert!(Quoted::parse(&bytes[..28]).is_some());
        assert!(Quoted::parse(&bytes[..27]).is_none());
        bytes[7] = 1;
        assert!(Quoted::parse(&bytes).is_none(), "a later fragment");
    }

    #[test]
    fn errors_later_fragments_and_packets_to_many_are_not_answered() {
        let packet = segment(false, 100);
        assert!(may_be_answered(&packet));
        assert!(!may_be_answered(&error_about(
            &packet,
            IcmpMessage::Unreachable { code: 3 },
            [10, 0, 0, 9].into()
        )));
        let mut later = packet.clone();
        later.ip.fragment.offset_bytes = 8;
        assert!(!may_be_answered(&later));
        let header = UdpHeader { source_port: 1, destination_port: 2 };
        let many = Packet::udp([10, 0, 0, 1].into(), [224, 0, 0, 1].into(), header, Bytes::new());
        assert!(!may_be_answered(&many));
        let ping = IcmpMessage::EchoRequest { identifier: 1, sequence: 1 };
        assert!(may_be_answered(&Packet::icmp(
            [10, 0, 0, 1].into(),
            [10, 0, 0, 2].into(),
            ping,
            Bytes::new()
        )));
    }

    #[test]
    fn errors_are_limited_to_a_second_s_worth_at_once_and_the_rate_afterwards() {
        let mut limit = ErrorLimit::new(10);
        let at = |milliseconds| Instant::from_millis(milliseconds);
        assert_eq!((0..100).filter(|_| limit.take(at(0))).count(), 10);
        assert!(!limit.take(at(99)));
        assert!(limit.take(at(100)));
        assert_eq!((0..5_000).filter(|n| limit.take(at(200 + n))).count(), 50);
        assert!(!ErrorLimit::new(0).take(at(10)));
    }
}
