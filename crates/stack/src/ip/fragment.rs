//! In which pieces does a packet go that is larger than the link? (RFC 791 §3.2, RFC 8200 §4.5.)

use narrows_wire::{Packet, Transport};

/// Who cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The host that sends the packet; the only place for IPv6.
    Sender,
    /// A router on the way.
    Router,
}

/// Why a packet is not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCut {
    /// IPv4 with DF, or IPv6 on a router.
    #[error("the packet may not be cut here")]
    NotAllowed,
    /// The link is so narrow that a header and 8 bytes do not fit.
    #[error("the link has no room for a header and 8 bytes")]
    TooNarrow,
}

/// The pieces of `packet` for a link of `mtu` bytes, in order; the packet itself where it fits. All but the last are as large as
/// fits, in multiples of 8 bytes, as Linux cuts them. A piece can be cut again. The payload of all pieces shares one copy.
///
/// # Errors
/// [`NotCut`].
pub fn cut(packet: &Packet, mtu: u32, at: At) -> Result<Vec<Packet>, NotCut> {
    let mtu = mtu as usize;
    if packet.len() <= mtu {
        return Ok(vec![packet.clone()]);
    }
    let ipv6 = packet.ip.source.is_ipv6();
    let allowed = match at {
        At::Router => !ipv6 && !packet.ip.fragment.dont_fragment,
        At::Sender => ipv6 || !packet.ip.fragment.dont_fragment,
    };
    if !allowed {
        return Err(NotCut::NotAllowed);
    }
    let header = if ipv6 { 48 } else { 20 };
    let room = mtu.saturating_sub(header) / 8 * 8;
    if room == 0 {
        return Err(NotCut::TooNarrow);
    }
    let mut bytes = Vec::with_capacity(packet.len());
    packet.emit(&mut bytes);
    let content = bytes::Bytes::from(bytes).slice(packet.ip.header_len()..);
    let whole = packet.ip.fragment;
    let mut pieces = Vec::with_capacity(content.len().div_ceil(room));
    for begin in (0..content.len()).step_by(room) {
        let end = (begin + room).min(content.len());
        let last = end == content.len();
        let mut ip = packet.ip.clone();
        ip.fragment.offset_bytes = whole.offset_bytes.saturating_add(begin as u16);
        ip.fragment.more = !last || whole.more;
        let payload = content.slice(begin..end);
        pieces.push(Packet { ip, transport: Transport::Opaque, payload, offload: Default::default() });
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use narrows_wire::UdpHeader;
    use std::net::IpAddr;

    fn datagram(ipv6: bool, payload: usize, dont_fragment: bool) -> Packet {
        let [from, to]: [IpAddr; 2] = if ipv6 {
            ["fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()]
        } else {
            [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]
        };
        let header = UdpHeader { source_port: 9, destination_port: 9 };
        let mut packet = Packet::udp(from, to, header, Bytes::from(vec![7; payload]));
        packet.ip.fragment.dont_fragment = dont_fragment || ipv6;
        packet.ip.fragment.identification = 77;
        packet
    }

    fn places(pieces: &[Packet]) -> Vec<(usize, u16, bool)> {
        pieces.iter().map(|p| (p.len(), p.ip.fragment.offset_bytes, p.ip.fragment.more)).collect()
    }

    #[test]
    fn a_datagram_of_8000_bytes_goes_in_six_pieces_over_ethernet() {
        let pieces = cut(&datagram(false, 8_000, false), 1_500, At::Sender).unwrap();
        let expected = [
            (1_500, 0, true),
            (1_500, 1_480, true),
            (1_500, 2_960, true),
            (1_500, 4_440, true),
            (1_500, 5_920, true),
            (20 + 8_008 - 7_400, 7_400, false),
        ];
        assert_eq!(places(&pieces), expected);
        let pieces = cut(&datagram(true, 8_000, true), 1_500, At::Sender).unwrap();
        assert_eq!(pieces[0].len(), 48 + 1_448);
        assert!(pieces.iter().all(|piece| piece.ip.fragment.identification == 77));
    }

    #[test]
    fn a_piece_is_cut_again_and_keeps_its_place() {
        let pieces = cut(&datagram(false, 2_000, false), 1_500, At::Sender).unwrap();
        let again = cut(&pieces[0], 1_000, At::Router).unwrap();
        assert_eq!(places(&again), [(996, 0, true), (524, 976, true)]);
        let last = cut(&pieces[1], 300, At::Router).unwrap();
        assert_eq!(places(&last), [(300, 1_480, true), (268, 1_760, false)]);
    }

    #[test]
    fn routers_cut_neither_what_forbids_it_nor_ipv6() {
        assert_eq!(cut(&datagram(false, 2_000, true), 1_500, At::Router), Err(NotCut::NotAllowed));
        assert_eq!(cut(&datagram(false, 2_000, true), 1_500, At::Sender), Err(NotCut::NotAllowed));
        assert_eq!(cut(&datagram(true, 2_000, true), 1_500, At::Router), Err(NotCut::NotAllowed));
        assert_eq!(cut(&datagram(false, 2_000, false), 27, At::Router), Err(NotCut::TooNarrow));
        assert_eq!(cut(&datagram(false, 100, true), 1_500, At::Router).unwrap().len(), 1);
    }
}
