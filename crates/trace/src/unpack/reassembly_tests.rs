use super::*;
use narrows_wire::{Fragment, IpHeader, Transport};
use proptest::prelude::*;

fn piece(identification: u32, offset_bytes: u16, bytes: u32, more: bool) -> (Headers, Vec<u8>) {
    let ip = IpHeader {
        source: IpAddr::from([10, 0, 0, 1]),
        destination: IpAddr::from([10, 0, 0, 2]),
        protocol: Protocol::Udp,
        hop_limit: 64,
        traffic_class: 0,
        fragment: Fragment { identification, dont_fragment: false, more, offset_bytes },
    };
    let headers = Headers {
        ip,
        transport: Transport::Opaque,
        packet_bytes: 20 + bytes,
        payload_offset: 20,
        payload_bytes: bytes,
        payload_captured: bytes.min(44),
        length_missing: false,
        options_cut: false,
        options_damaged: false,
        option_order: narrows_wire::OptionOrder::default(),
    };
    let mut packet = vec![0; 20];
    packet.extend([0xa0, 0, 0x17, 0x70, 0x1f, 0x48, 0, 0]);
    packet.resize(20 + headers.payload_captured.max(8) as usize, 0);
    (headers, packet)
}

fn take(
    reassembly: &mut Reassembly,
    id: u32,
    (offset, bytes, more): (u16, u32, bool),
    at: u64,
) -> Option<Unpacked> {
    let (headers, packet) = piece(id, offset, bytes, more);
    reassembly.take(&headers, &packet, 1, Instant::from_nanos(at))
}

#[test]
fn pieces_in_any_order_make_the_datagram() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let pieces = [(0, 1480, true), (1480, 1480, true), (2960, 100, false)];
        let mut reassembly = Reassembly::default();
        assert!(take(&mut reassembly, 7, pieces[order[0]], 1).is_none());
        // The same again changes nothing.
        assert!(take(&mut reassembly, 7, pieces[order[0]], 1).is_none());
        assert!(take(&mut reassembly, 7, pieces[order[1]], 2).is_none());
        let whole = take(&mut reassembly, 7, pieces[order[2]], 3).unwrap();
        assert_eq!((whole.pieces, whole.headers.packet_bytes), (3, 20 + 3060));
        assert!(matches!(whole.headers.transport, Transport::Udp(udp) if udp.destination_port == 6000));
        reassembly.finish();
        assert!(reassembly.next_incomplete().is_none());
    }
}

#[test]
fn what_misses_a_piece_is_given_up_and_said() {
    let mut reassembly = Reassembly::default();
    take(&mut reassembly, 7, (0, 1480, true), 1);
    take(&mut reassembly, 7, (2960, 1480, false), 2);
    take(&mut reassembly, 8, (1480, 1480, true), 31_000_000_000);
    let lost = reassembly.next_incomplete().unwrap();
    assert_eq!((lost.pieces, lost.of, lost.ports), (2, Some(3), Some((40_960, 6000))));
    assert!(reassembly.next_incomplete().is_none());
    reassembly.finish();
    assert_eq!(reassembly.next_incomplete().unwrap().ports, None);
}

#[test]
fn overlapping_pieces_are_given_up_whole() {
    let mut reassembly = Reassembly::default();
    take(&mut reassembly, 7, (0, 1480, true), 1);
    assert!(take(&mut reassembly, 7, (1472, 1480, false), 1).is_none());
    assert!(take(&mut reassembly, 7, (1480, 1480, false), 1).is_none());
    reassembly.finish();
    assert!(reassembly.next_incomplete().unwrap().overlapping);
}

#[test]
fn a_flood_stays_within_bounds() {
    let mut reassembly = Reassembly::default();
    for id in 0..20_000 {
        take(&mut reassembly, id, (8, 1480, true), u64::from(id));
    }
    assert!(reassembly.pending.len() <= MAX_PENDING);
    assert!(reassembly.order.len() <= MAX_PENDING + 1);
    assert!(reassembly.incomplete.len() <= MAX_PENDING);
}

proptest! {
    #[test]
    fn any_pieces_do_no_harm(pieces in proptest::collection::vec((0u32..4, any::<u16>(), any::<u32>(), any::<bool>()), 0..200)) {
        let mut reassembly = Reassembly::default();
        for (n, (id, offset, bytes, more)) in pieces.into_iter().enumerate() {
            let _ = take(&mut reassembly, id, (offset & !7, bytes % 70_000, more), n as u64 * 400_000_000);
        }
        reassembly.finish();
        while let Some(lost) = reassembly.next_incomplete() {
            prop_assert!(lost.of.is_none_or(|of| of >= lost.pieces));
        }
        prop_assert!(reassembly.pending.is_empty());
    }
}
