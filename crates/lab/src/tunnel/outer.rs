//! What does a packet look like in a tunnel, byte for byte?
//!
//! Nothing is encrypted: what WireGuard and ESP would encrypt stands there as it is, and their tags are zeros. Sizes, headers and
//! counters are those of the real thing.

use super::Tunnel;
use bytes::{BufMut, Bytes, BytesMut};
use narrows_wire::{Fragment, IpHeader, Packet, Protocol, Transport, UdpHeader};
use std::net::IpAddr;

const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const ESP: u8 = 50;
/// Ports of the IANA registry, and the one that WireGuard's tools have in their examples.
const VXLAN_PORT: u16 = 4_789;
const GENEVE_PORT: u16 = 6_081;
const WIREGUARD_PORT: u16 = 51_820;
/// Any; both ends of a tunnel have the same.
const NETWORK_IDENTIFIER: u32 = 1;
const SECURITY_PARAMETERS_INDEX: u32 = 0x1000;
const ETHERNET_BYTES: usize = 14;
const TAG_BYTES: usize = 16;
const WIREGUARD_TRANSPORT_DATA: u32 = 4;
/// Linux's default for the headers that it makes.
const HOP_LIMIT: u8 = 64;

/// What the outer packet around an inner one has of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapping {
    pub kind: Tunnel,
    /// Outer addresses: of the entrance, of the exit.
    pub ends: [IpAddr; 2],
    pub dont_fragment: bool,
    /// IPv4's identification, and the number of the packet where the tunnel counts.
    pub number: u32,
    /// The MTU of the tunnel's device: WireGuard's padding ends there.
    pub inside_mtu: u32,
}

/// The packet with everything around it.
pub(super) fn wrap(inner: &Packet, with: &Wrapping) -> Packet {
    let mut bytes = BytesMut::with_capacity(inner.len() + 64);
    let ipv6_inside = inner.ip.source.is_ipv6();
    let next_header = if ipv6_inside { IPV6_IN_IP } else { IPV4_IN_IP };
    let inner_bytes = emitted(inner);
    let udp = |source_port, destination_port| {
        (Protocol::Udp, Transport::Udp(UdpHeader { source_port, destination_port }))
    };
    let (protocol, transport) = match with.kind {
        Tunnel::Ipip | Tunnel::Sit => (Protocol::Other(next_header), Transport::Opaque),
        Tunnel::Gre => {
            bytes.put_u16(0);
            bytes.put_u16(ethertype(ipv6_inside));
            (Protocol::Other(GRE), Transport::Opaque)
        }
        Tunnel::Vxlan => {
            // The flag I: the identifier is valid (RFC 7348 §5).
            bytes.put_u32(0x0800_0000);
            bytes.put_u32(NETWORK_IDENTIFIER << 8);
            put_ethernet(&mut bytes, with.ends, ipv6_inside);
            udp(flow_port(inner), VXLAN_PORT)
        }
        Tunnel::Geneve => {
            // Version 0, no options, and what follows is Ethernet (RFC 8926 §3.4).
            bytes.put_u32(0x6558);
            bytes.put_u32(NETWORK_IDENTIFIER << 8);
            put_ethernet(&mut bytes, with.ends, ipv6_inside);
            udp(flow_port(inner), GENEVE_PORT)
        }
        Tunnel::WireGuard => {
            bytes.put_u32_le(WIREGUARD_TRANSPORT_DATA);
            bytes.put_u32_le(NETWORK_IDENTIFIER);
            bytes.put_u64_le(u64::from(with.number));
            udp(WIREGUARD_PORT, WIREGUARD_PORT)
        }
        Tunnel::Esp => {
            bytes.put_u32(SECURITY_PARAMETERS_INDEX);
            bytes.put_u32(with.number);
            bytes.put_u64(u64::from(with.number));
            (Protocol::Other(ESP), Transport::Opaque)
        }
    };
    bytes.extend_from_slice(&inner_bytes);
    put_trailer(&mut bytes, with, inner_bytes.len(), next_header);
    let ip = IpHeader {
        source: with.ends[0],
        destination: with.ends[1],
        protocol,
        hop_limit: HOP_LIMIT,
        // DSCP and ECN are the inner packet's (RFC 6040 §4.1, normal mode).
        traffic_class: inner.ip.traffic_class,
        fragment: Fragment {
            identification: if with.ends[0].is_ipv4() { with.number & 0xffff } else { with.number },
            dont_fragment: with.dont_fragment || with.ends[0].is_ipv6(),
            ..Fragment::default()
        },
    };
    Packet { ip, transport, payload: bytes.freeze(), offload: Default::default() }
}

/// The inner packet of a whole outer one.
pub(super) fn unwrap(kind: Tunnel, outer: &Packet) -> Option<Packet> {
    let begin = headers_before_inner(kind);
    let inner = outer.payload.slice(begin.min(outer.payload.len())..);
    // Behind its end there is padding, and a tag.
    let end = IpHeader::parse(&inner, inner.len()).ok()?.packet_bytes;
    let inner = inner.slice(..end.min(inner.len()));
    let mut inner = Packet::parse(inner.clone()).ok().or_else(|| Packet::unread(inner))?;
    // A queue on the way has marked the outer header: the mark goes on inside (RFC 6040 §4.2).
    let congested = outer.ip.traffic_class & 3 == 3;
    match inner.ip.traffic_class & 3 {
        0 if congested => return None,
        1 | 2 if congested => inner.ip.traffic_class |= 3,
        _ => {}
    }
    Some(inner)
}

/// Whether this is a packet of such a tunnel between these ends, or a piece of one.
pub(super) fn is_of(kind: Tunnel, ends: [IpAddr; 2], ip: &IpHeader) -> bool {
    let protocol = match kind {
        Tunnel::Gre => ip.protocol == Protocol::Other(GRE),
        Tunnel::Esp => ip.protocol == Protocol::Other(ESP),
        Tunnel::Ipip | Tunnel::Sit => {
            matches!(ip.protocol, Protocol::Other(IPV4_IN_IP | IPV6_IN_IP))
        }
        Tunnel::Vxlan | Tunnel::Geneve | Tunnel::WireGuard => ip.protocol == Protocol::Udp,
    };
    protocol && ip.source == ends[0] && ip.destination == ends[1]
}

/// Where the inner packet begins in what follows the outer packet's transport header.
fn headers_before_inner(kind: Tunnel) -> usize {
    match kind {
        Tunnel::Ipip | Tunnel::Sit => 0,
        Tunnel::Gre => 4,
        Tunnel::Vxlan | Tunnel::Geneve => 8 + ETHERNET_BYTES,
        Tunnel::WireGuard | Tunnel::Esp => 16,
    }
}

/// What of the inner packet an ICMP error about an outer one quotes; nothing where a real entrance could not read it.
pub(super) fn quoted_inside(kind: Tunnel, behind_outer_ip: &[u8]) -> Option<&[u8]> {
    let transport = match kind {
        Tunnel::WireGuard | Tunnel::Esp => return None,
        Tunnel::Vxlan | Tunnel::Geneve => UdpHeader::BYTES,
        Tunnel::Gre | Tunnel::Ipip | Tunnel::Sit => 0,
    };
    behind_outer_ip.get(transport + headers_before_inner(kind)..)
}

fn emitted(packet: &Packet) -> Bytes {
    let mut bytes = Vec::with_capacity(packet.len());
    packet.emit(&mut bytes);
    bytes.into()
}

fn ethertype(ipv6: bool) -> u16 {
    if ipv6 { 0x86dd } else { 0x0800 }
}

fn put_ethernet(bytes: &mut BytesMut, [entrance, exit]: [IpAddr; 2], ipv6: bool) {
    bytes.extend_from_slice(&hardware_address(exit));
    bytes.extend_from_slice(&hardware_address(entrance));
    bytes.put_u16(ethertype(ipv6));
}

/// The address of a tunnel's device in its inner Ethernet: locally administered, and the last four bytes of its outer IP address.
pub(crate) fn hardware_address(end: IpAddr) -> [u8; 6] {
    let [a, b, c, d] = match end {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => (u128::from(v6) as u32).to_be_bytes(),
    };
    [2, 0, a, b, c, d]
}

/// A port by which routers can tell flows apart, of the range that RFC 7348 §5 wants.
fn flow_port(inner: &Packet) -> u16 {
    let (from, to) = inner.transport.ports().unwrap_or_default();
    49_152 | (from ^ to.rotate_left(7)) & 0x3fff
}

/// Padding, ESP's trailer (RFC 4303 §2.4), and the tag.
fn put_trailer(bytes: &mut BytesMut, with: &Wrapping, inner_bytes: usize, next_header: u8) {
    match with.kind {
        Tunnel::WireGuard => {
            let padded = inner_bytes.next_multiple_of(16).min(with.inside_mtu as usize);
            bytes.put_bytes(0, padded.saturating_sub(inner_bytes));
        }
        Tunnel::Esp => {
            let padding = (inner_bytes + 2).next_multiple_of(4) - (inner_bytes + 2);
            bytes.extend_from_slice(&[1, 2, 3][..padding]);
            bytes.extend_from_slice(&[padding as u8, next_header]);
        }
        _ => return,
    }
    bytes.put_bytes(0, TAG_BYTES);
}
