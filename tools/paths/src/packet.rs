//! What does a router do to a packet's bytes? Hop limits, fragments, ICMP messages, and a clamp's MSS.

use bytes::Bytes;
use narrows_wire::{Checksum, IcmpMessage, IpHeader, Packet, Protocol, TcpFlags, Transport};
use std::net::IpAddr;

/// Takes one from the hop limit; false when none is left.
pub fn age(packet: &mut [u8]) -> bool {
    let ipv4 = packet[0] >> 4 == 4;
    let at = if ipv4 { 8 } else { 7 };
    if packet[at] <= 1 {
        return false;
    }
    packet[at] -= 1;
    if ipv4 {
        sum_header(packet);
    }
    true
}

/// Writes an IPv4 header's checksum.
fn sum_header(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let mut sum = Checksum::new();
    sum.add(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.finish().to_be_bytes());
}

/// An IPv4 packet that routers may fragment.
pub fn may_fragment(packet: &[u8]) -> bool {
    packet[0] >> 4 == 4 && packet[6] & 0x40 == 0
}

/// The pieces that an IPv4 packet without options becomes on a link of this MTU (RFC 791 §2.3).
pub fn fragment(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let data = &packet[20..];
    let step = (mtu - 20) / 8 * 8;
    let place = u16::from_be_bytes([packet[6], packet[7]]);
    let begun = place & 0x1fff;
    let pieces = data.chunks(step);
    let last = pieces.len() - 1;
    pieces
        .enumerate()
        .map(|(index, piece)| {
            let mut bytes = packet[..20].to_vec();
            bytes[2..4].copy_from_slice(&(20 + piece.len() as u16).to_be_bytes());
            let more = if index < last { 0x2000 } else { place & 0x2000 };
            let offset = begun + (index * step / 8) as u16;
            bytes[6..8].copy_from_slice(&(more | offset).to_be_bytes());
            sum_header(&mut bytes);
            bytes.extend_from_slice(piece);
            bytes
        })
        .collect()
}

/// An ICMP message about a packet, as a router sends it; none about ICMP errors and later fragments (RFC 1812 §4.3.2.7).
pub fn complaint(router: IpAddr, message: IcmpMessage, about: &[u8]) -> Option<Vec<u8>> {
    let parsed = IpHeader::parse(about, about.len()).ok()?;
    if parsed.header.fragment.offset_bytes != 0 {
        return None;
    }
    let rest = &about[parsed.header_bytes..];
    let kind = *rest.first()?;
    match parsed.header.protocol {
        Protocol::Icmp if !matches!(kind, 0 | 8) => return None,
        Protocol::Icmpv6 if kind < 128 => return None,
        _ => {}
    }
    // RFC 1812 §4.3.2.3: as much as fits 576 bytes; RFC 4443 §2.4: 1280.
    let most = if router.is_ipv4() { 576 - 28 } else { 1280 - 48 };
    let body = Bytes::copy_from_slice(&about[..about.len().min(most)]);
    let mut packet = Packet::icmp(router, parsed.header.source, message, body);
    packet.ip.fragment.dont_fragment = router.is_ipv6();
    let mut out = Vec::new();
    packet.emit(&mut out);
    Some(out)
}

/// Lowers the MSS option of a SYN to this.
pub fn clamp(packet: &mut Vec<u8>, mss: u16) {
    let Ok(mut parsed) = Packet::parse(Bytes::copy_from_slice(packet)) else { return };
    let Transport::Tcp(header) = &mut parsed.transport else { return };
    if !header.flags.contains(TcpFlags::SYN) || header.options.mss.is_none_or(|asked| asked <= mss) {
        return;
    }
    header.options.mss = Some(mss);
    packet.clear();
    parsed.emit(packet);
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_wire::{TcpHeader, TcpOptions};

    fn segment(bytes: usize) -> Vec<u8> {
        let header = TcpHeader {
            source_port: 1,
            destination_port: 2,
            seq: narrows_wire::Seq(3),
            ack: narrows_wire::Seq(4),
            flags: TcpFlags::SYN,
            window: 5,
            urgent: 0,
            options: TcpOptions { mss: Some(1460), ..TcpOptions::default() },
        };
        let payload = Bytes::from(vec![7; bytes]);
        let mut packet = Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, payload);
        packet.ip.fragment.dont_fragment = false;
        let mut out = Vec::new();
        packet.emit(&mut out);
        out
    }

    #[test]
    fn fragments_fit_and_add_up() {
        let packet = segment(1400);
        let pieces = fragment(&packet, 600);
        assert!(pieces.iter().all(|piece| piece.len() <= 600) && pieces.len() == 3);
        let data: usize = pieces.iter().map(|piece| piece.len() - 20).sum();
        assert_eq!(data, packet.len() - 20);
        let first = IpHeader::parse(&pieces[0], 0).unwrap().header.fragment;
        let last = IpHeader::parse(&pieces[2], 0).unwrap().header.fragment;
        assert!(first.more && !last.more && usize::from(last.offset_bytes) == 2 * 576);
    }

    #[test]
    fn a_clamp_lowers_and_never_raises() {
        for (limit, expected) in [(1360, 1360), (1500, 1460)] {
            let mut packet = segment(0);
            clamp(&mut packet, limit);
            let parsed = Packet::parse(packet.into()).unwrap();
            let Transport::Tcp(header) = parsed.transport else { panic!("TCP") };
            assert_eq!(header.options.mss, Some(expected));
        }
    }

    #[test]
    fn a_hop_is_counted_and_the_packet_stays_valid() {
        let mut packet = segment(10);
        assert!(age(&mut packet));
        assert_eq!(Packet::parse(packet.clone().into()).unwrap().ip.hop_limit, 63);
        packet[8] = 1;
        assert!(!age(&mut packet));
    }
}
