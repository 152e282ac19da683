//! What travels in this tunnel? GRE (RFC 2784, 2890), VXLAN (RFC 7348), Geneve (RFC 8926), IP in IP (RFC 2003, 4213) are
//! opened; WireGuard, OpenVPN and ESP (RFC 4303, 3948) are encrypted and only named.

use super::Unpacked;
use narrows_wire::{Headers, Protocol, Transport, link};

/// What carries packets within packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    /// GRE.
    Gre,
    /// VXLAN.
    Vxlan,
    /// Geneve.
    Geneve,
    /// IPv4 or IPv6 directly in IPv4 or IPv6.
    IpInIp,
    /// WireGuard: encrypted.
    WireGuard,
    /// OpenVPN over UDP: encrypted.
    OpenVpn,
    /// IPsec's ESP, also in UDP: encrypted.
    Esp,
}

impl TunnelKind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TunnelKind::Gre => "GRE",
            TunnelKind::Vxlan => "VXLAN",
            TunnelKind::Geneve => "Geneve",
            TunnelKind::IpInIp => "IP in IP",
            TunnelKind::WireGuard => "WireGuard",
            TunnelKind::OpenVpn => "OpenVPN",
            TunnelKind::Esp => "ESP",
        }
    }
}

/// What is outside of a packet that was captured in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Which tunnel.
    pub kind: TunnelKind,
    /// Bytes around the inner packet.
    pub overhead: u32,
    /// In how many fragments the outer packet came.
    pub pieces: u16,
    /// The outer packet, or the largest of its fragments, bytes.
    pub largest_piece: u32,
}

const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
const WIREGUARD_PORT: u16 = 51_820;
const OPENVPN_PORT: u16 = 1194;
const ESP_IN_UDP_PORT: u16 = 4500;
const GRE: u8 = 47;
const ESP: u8 = 50;
const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

/// The tunnel whose packet this is, by its outer headers.
pub(crate) fn kind(headers: &Headers, bytes: &[u8]) -> Option<TunnelKind> {
    let carried = headers.payload(bytes);
    match (&headers.transport, headers.ip.protocol) {
        (Transport::Udp(udp), _) => match udp.destination_port {
            VXLAN_PORT if carried.first().is_some_and(|flags| flags & 0x08 != 0) => Some(TunnelKind::Vxlan),
            GENEVE_PORT if carried.first().is_some_and(|version| version >> 6 == 0) => {
                Some(TunnelKind::Geneve)
            }
            _ => {
                let either = |port| udp.source_port == port || udp.destination_port == port;
                // Message type 1 to 4 and three bytes of zero.
                let wireguard = matches!(carried.get(..4), Some([1..=4, 0, 0, 0]));
                if either(WIREGUARD_PORT) && wireguard {
                    Some(TunnelKind::WireGuard)
                } else if either(OPENVPN_PORT) && is_openvpn(headers.payload_bytes, carried) {
                    Some(TunnelKind::OpenVpn)
                } else {
                    // Four bytes of zero would be IKE.
                    let esp = either(ESP_IN_UDP_PORT) && carried.get(..4).is_some_and(|spi| spi != [0; 4]);
                    esp.then_some(TunnelKind::Esp)
                }
            }
        },
        (Transport::Opaque, Protocol::Other(GRE)) => Some(TunnelKind::Gre),
        (Transport::Opaque, Protocol::Other(ESP)) => Some(TunnelKind::Esp),
        (Transport::Opaque, Protocol::Other(IPV4_IN_IP | IPV6_IN_IP)) => Some(TunnelKind::IpInIp),
        _ => None,
    }
}

/// A packet of OpenVPN's, as its wire protocol has them (draft-openvpn-wire-protocol §4): 5 bits say what it is, 3 which key it is of.
/// The first packets are of key 0; all but data have a session's 8 bytes behind that, and an acknowledgment's length.
fn is_openvpn(payload_bytes: u32, carried: &[u8]) -> bool {
    let Some(first) = carried.first() else { return false };
    let (kind, key) = (first >> 3, first & 0b111);
    match kind {
        // Hard resets of client and server.
        7 | 8 | 10 => key == 0 && payload_bytes >= 14,
        // A soft reset, control, acknowledgment.
        3..=5 => payload_bytes >= 14,
        // Data, without and with the peer's number: a packet number and a tag at the least.
        6 | 9 => payload_bytes >= 21,
        _ => false,
    }
}

/// The packet inside, where the tunnel is one that can be looked into.
pub(crate) fn inside(kind: TunnelKind, headers: &Headers, bytes: &[u8]) -> Option<Unpacked> {
    let carried = headers.payload(bytes);
    let on_wire = headers.payload_bytes as usize;
    let (packet, skipped) = match kind {
        TunnelKind::IpInIp => (carried, 0),
        TunnelKind::Vxlan => ethernet(carried, 8)?,
        TunnelKind::Geneve => {
            let options = usize::from(carried.first()? & 0x3f) * 4;
            match ethertype(carried, 2)? {
                TRANSPARENT_ETHERNET => ethernet(carried, 8 + options)?,
                0x0800 | 0x86dd => (carried.get(8 + options..)?, 8 + options),
                _ => return None,
            }
        }
        TunnelKind::Gre => {
            let flags = *carried.first()?;
            // Checksum, key and sequence number take 4 bytes each; any other flag is of the obsolete RFC 1701.
            if flags & 0x4f != 0 {
                return None;
            }
            let words = u32::from(flags & 0x80 != 0) + (flags >> 4 & 0x3).count_ones();
            let at = 4 + 4 * words as usize;
            match ethertype(carried, 2)? {
                TRANSPARENT_ETHERNET => ethernet(carried, at)?,
                0x0800 | 0x86dd => (carried.get(at..)?, at),
                _ => return None,
            }
        }
        TunnelKind::WireGuard | TunnelKind::OpenVpn | TunnelKind::Esp => return None,
    };
    let headers = Headers::parse(packet, on_wire.checked_sub(skipped)?).ok()?;
    Some(Unpacked { headers, bytes: packet.to_vec(), pieces: 1 })
}

fn ethertype(carried: &[u8], at: usize) -> Option<u16> {
    carried.get(at..)?.first_chunk().map(|&pair| u16::from_be_bytes(pair))
}

/// The packet in the Ethernet frame that begins `at`, and what stands before it.
fn ethernet(carried: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let packet = link::strip(link::ETHERNET, carried.get(at..)?).ok()?;
    Some((packet, carried.len() - packet.len()))
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
