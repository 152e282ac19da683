use super::*;
use crate::ip::fragment::{At, cut};
use proptest::prelude::*;

fn datagram(ipv6: bool, from: u8, identification: u32, payload: usize) -> Packet {
    let [from, to]: [IpAddr; 2] = if ipv6 {
        [format!("fd00::{from:x}").parse().unwrap(), "fd00::ff".parse().unwrap()]
    } else {
        [[10, 0, 0, from].into(), [10, 0, 0, 255].into()]
    };
    let header = UdpHeader { source_port: 9, destination_port: 9 };
    let payload: Vec<u8> = (0..payload).map(|n| (n / 8) as u8).collect();
    let mut packet = Packet::udp(from, to, header, payload.into());
    packet.ip.fragment.dont_fragment = ipv6;
    packet.ip.fragment.identification = identification;
    packet
}

fn pieces(packet: &Packet, mtu: u32) -> Vec<Packet> {
    cut(packet, mtu, At::Sender).unwrap()
}

fn complete(outcome: Outcome) -> Packet {
    match outcome {
        Outcome::Complete(packet) => *packet,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pieces_meet_again_in_any_order_and_twice_the_same_is_ignored() {
    for ipv6 in [false, true] {
        let whole = datagram(ipv6, 1, 5, 5_000);
        let mut parts = pieces(&whole, 1_500);
        parts.reverse();
        let mut reassembler = Reassembler::default();
        let last = parts.pop().unwrap();
        for part in &parts {
            assert_eq!(reassembler.insert(Instant::ZERO, part.clone()), Outcome::Kept);
            assert_eq!(reassembler.insert(Instant::ZERO, part.clone()), Outcome::Duplicate);
        }
        let back = complete(reassembler.insert(Instant::ZERO, last));
        assert_eq!((&back.transport, &back.payload), (&whole.transport, &whole.payload));
        assert_eq!((reassembler.memory(), reassembler.deadline()), (0, None));
    }
}

#[test]
fn an_overlap_spoils_the_datagram_and_what_else_comes_of_it_until_its_time_is_over() {
    let whole = datagram(false, 1, 5, 3_000);
    let parts = pieces(&whole, 1_500);
    let mut reassembler = Reassembler::default();
    reassembler.insert(Instant::ZERO, parts[0].clone());
    let mut overlapping = parts[1].clone();
    overlapping.ip.fragment.offset_bytes -= 8;
    assert_eq!(reassembler.insert(Instant::ZERO, overlapping), Outcome::Spoiled);
    for part in &parts {
        assert_eq!(reassembler.insert(Instant::from_millis(1), part.clone()), Outcome::Spoiled);
    }
    assert_eq!(reassembler.memory(), PIECE_COST);
    let over = Instant::ZERO + PATIENCE_IPV4;
    assert_eq!(reassembler.deadline(), Some(over));
    assert_eq!(reassembler.expire(over), [None], "nobody is told about what was spoiled");
    let outcomes: Vec<Outcome> = parts.into_iter().map(|part| reassembler.insert(over, part)).collect();
    assert!(matches!(outcomes.last(), Some(Outcome::Complete(_))));
}

#[test]
fn two_ends_or_a_piece_beyond_the_end_spoil_it_too() {
    let parts = pieces(&datagram(false, 1, 5, 4_000), 1_500);
    let mut reassembler = Reassembler::default();
    reassembler.insert(Instant::ZERO, parts[2].clone());
    let mut beyond = parts[1].clone();
    beyond.ip.fragment.offset_bytes = 6_000;
    assert_eq!(reassembler.insert(Instant::ZERO, beyond), Outcome::Spoiled);
    let mut reassembler = Reassembler::default();
    reassembler.insert(Instant::ZERO, parts[1].clone());
    let mut end = parts[0].clone();
    end.ip.fragment.more = false;
    assert_eq!(reassembler.insert(Instant::ZERO, end), Outcome::Spoiled);
}

#[test]
fn the_time_runs_from_the_first_piece_and_the_sender_hears_of_it_if_piece_0_came() {
    for (ipv6, patience) in [(false, PATIENCE_IPV4), (true, PATIENCE_IPV6)] {
        let parts = pieces(&datagram(ipv6, 1, 5, 4_000), 1_500);
        let mut reassembler = Reassembler::default();
        reassembler.insert(Instant::ZERO, parts[1].clone());
        reassembler.insert(Instant::from_millis(29_000), parts[0].clone());
        assert_eq!(reassembler.deadline(), Some(Instant::ZERO + patience));
        assert!(reassembler.expire(Instant::ZERO + patience - Duration::from_nanos(1)).is_empty());
        assert_eq!(reassembler.expire(Instant::ZERO + patience), [Some(parts[0].clone())]);
        reassembler.insert(Instant::ZERO, parts[1].clone());
        assert_eq!(reassembler.expire(Instant::from_millis(100_000)), [None]);
        assert_eq!(reassembler.memory(), 0);
    }
}

#[test]
fn what_cannot_be_right_is_not_kept() {
    let parts = pieces(&datagram(false, 1, 5, 4_000), 1_500);
    let mut reassembler = Reassembler::default();
    let mut odd = parts[0].clone();
    odd.payload = odd.payload.slice(..1_003);
    let mut empty = parts[1].clone();
    empty.payload = Bytes::new();
    let mut far = parts[1].clone();
    far.ip.fragment.offset_bytes = 65_528;
    let mut tiny = parts[0].clone();
    tiny.ip.protocol = Protocol::Tcp;
    tiny.payload = tiny.payload.slice(..16);
    let mut rewriting = parts[1].clone();
    rewriting.ip.protocol = Protocol::Tcp;
    rewriting.ip.fragment.offset_bytes = 8;
    for piece in [odd, empty, far, tiny, rewriting] {
        assert_eq!(reassembler.insert(Instant::ZERO, piece), Outcome::Malformed);
    }
    assert_eq!(reassembler.incomplete.len(), 0);
}

#[test]
fn a_flood_from_one_sender_is_bounded_and_leaves_others_alone() {
    let mut reassembler = Reassembler::default();
    let honest = pieces(&datagram(false, 1, 1, 4_000), 1_500);
    reassembler.insert(Instant::ZERO, honest[0].clone());
    for identification in 0..60_000 {
        let flood = pieces(&datagram(false, 2, identification, 1_480), 1_500).remove(0);
        assert_eq!(reassembler.insert(Instant::ZERO, flood), Outcome::Kept);
        assert!(reassembler.memory() <= MEMORY_PER_SOURCE + 2 * 1_700);
    }
    assert!(reassembler.evicted() > 50_000);
    reassembler.insert(Instant::ZERO, honest[1].clone());
    assert!(matches!(reassembler.insert(Instant::ZERO, honest[2].clone()), Outcome::Complete(_)));
}

#[test]
fn a_flood_from_many_senders_is_bounded_too() {
    let mut reassembler = Reassembler::default();
    for number in 0..200_000u32 {
        let mut flood = pieces(&datagram(false, 1, 7, 1_480), 1_500).remove(0);
        flood.ip.source = IpAddr::from(number.to_be_bytes());
        flood.payload = flood.payload.slice(..8);
        reassembler.insert(Instant::ZERO, flood);
        assert!(reassembler.memory() <= MEMORY + 300);
    }
    assert_eq!(reassembler.order.len(), reassembler.incomplete.len());
    assert_eq!(reassembler.sources.len(), reassembler.incomplete.len());
    reassembler.expire(Instant::ZERO + PATIENCE_IPV4);
    assert!(reassembler.sources.is_empty() && reassembler.age_of_source.is_empty());
}

#[test]
fn an_identification_that_comes_again_much_later_means_another_datagram() {
    let first = pieces(&datagram(false, 1, 5, 2_000), 1_500);
    let mut reassembler = Reassembler::default();
    reassembler.insert(Instant::ZERO, first[0].clone());
    for identification in 100..200 {
        let parts = pieces(&datagram(false, 1, identification, 2_000), 1_500);
        assert!(matches!(
            parts.into_iter().map(|part| reassembler.insert(Instant::ZERO, part)).last(),
            Some(Outcome::Complete(_))
        ));
    }
    assert_eq!(reassembler.insert(Instant::ZERO, first[1].clone()), Outcome::Kept);
    assert!(matches!(reassembler.insert(Instant::ZERO, first[0].clone()), Outcome::Complete(_)));
}

proptest! {
    #[test]
    fn any_cutting_and_any_order_gives_back_what_was_sent(
        ipv6: bool,
        payload in 1_500usize..20_000,
        mtus in proptest::collection::vec(100u32..3_000, 1..4),
        keys in proptest::collection::vec(any::<u32>(), 400),
    ) {
        let whole = datagram(ipv6, 1, 9, payload);
        let mut parts = vec![whole.clone()];
        for mtu in mtus {
            let at = if ipv6 { mtu.max(1_280) } else { mtu };
            if !ipv6 || parts.len() == 1 {
                parts = parts.iter().flat_map(|part| cut(part, at, At::Sender).unwrap()).collect();
            }
        }
        let mut order: Vec<(u32, Packet)> =
            parts.into_iter().enumerate().map(|(n, part)| (keys[n % keys.len()], part)).collect();
        order.sort_by_key(|(key, _)| *key);
        let mut reassembler = Reassembler::default();
        let mut back = None;
        for (_, part) in order {
            if !part.ip.fragment.is_piece() {
                back = Some(part);
                continue;
            }
            match reassembler.insert(Instant::ZERO, part) {
                Outcome::Complete(packet) => back = Some(*packet),
                outcome => prop_assert_eq!(outcome, Outcome::Kept),
            }
        }
        let back = back.expect("all pieces came");
        prop_assert_eq!(&back.payload, &whole.payload);
        prop_assert_eq!(&back.transport, &whole.transport);
    }
}
