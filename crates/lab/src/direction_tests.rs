use super::*;
use crate::link::{CoDelConfig, Loss};
use bytes::Bytes;
use narrows_wire::UdpHeader;
use proptest::prelude::*;
use std::net::IpAddr;

/// A datagram of this many bytes in all, with its number in its ports.
fn packet(number: u16, bytes: u32) -> Packet {
    let header = UdpHeader { source_port: number, destination_port: 9 };
    let payload = Bytes::from(vec![0; bytes as usize - 28]);
    Packet::udp(IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]), header, payload)
}

fn number(packet: &Packet) -> u16 {
    packet.source_socket().expect("a datagram").port()
}

/// Offers packets at these times (ns) and with these bytes; who arrives when (ns).
fn run(config: DirectionConfig, seed: u64, offers: &[(u64, u32)]) -> (Vec<(u16, u64)>, DirectionCounters) {
    let mut direction = Direction::new(config, seed, "link/test/forward");
    let mut sequence = 0;
    let mut arrivals = Vec::new();
    let mut happen_until = |direction: &mut Direction, sequence: &mut u64, time: Instant| {
        while direction.next_event().is_some_and(|key| key.time < time) {
            if let Some(arrived) = direction.happen(sequence) {
                arrivals.push((number(&arrived.packet), arrived.key.time.as_nanos()));
            }
        }
    };
    for (number, &(time, bytes)) in offers.iter().enumerate() {
        let time = Instant::from_nanos(time);
        happen_until(&mut direction, &mut sequence, time);
        direction.offer(time, packet(number as u16, bytes), &mut sequence);
    }
    happen_until(&mut direction, &mut sequence, Instant::FAR_FUTURE);
    (arrivals, direction.counters)
}

#[test]
fn rate_and_delay_are_exact_to_the_nanosecond() {
    let config = DirectionConfig {
        rate_bits_per_second: Some(100_000_000),
        delay: Duration::from_millis(10),
        ..DirectionConfig::default()
    };
    // 1500 bytes at 100 Mb/s: 120 µs; 40 bytes: 3.2 µs.
    let (arrivals, counters) = run(config, 1, &[(0, 1_500), (0, 40), (1_000_000, 1_500)]);
    assert_eq!(arrivals, [(0, 10_120_000), (1, 10_123_200), (2, 11_120_000)]);
    assert_eq!((counters.delivered_packets, counters.delivered_bytes), (3, 3_040));
    assert_eq!(counters.largest_queue_bytes, 40);
}

#[test]
fn transmission_times_are_rounded_up_and_count_the_frame() {
    let config = DirectionConfig {
        rate_bits_per_second: Some(3_000_000_000),
        frame_overhead_bytes: 38,
        ..DirectionConfig::default()
    };
    // (62 + 38) * 8 / 3 ns = 266.67 ns.
    assert_eq!(run(config, 1, &[(5, 62)]).0, [(0, 272)]);
}

#[test]
fn a_link_without_rate_has_no_queue() {
    let config =
        DirectionConfig { delay: Duration::from_nanos(7), queue_bytes: 0, ..DirectionConfig::default() };
    let (arrivals, counters) = run(config, 1, &[(0, 1_500), (0, 1_500), (3, 1_500)]);
    assert_eq!(arrivals, [(0, 7), (1, 7), (2, 10)]);
    assert_eq!(counters.largest_queue_bytes, 0);
}

#[test]
fn a_full_queue_drops_what_comes_last_and_has_room_again_when_transmission_begins() {
    let config = DirectionConfig {
        rate_bits_per_second: Some(8_000_000), // a byte per microsecond
        queue_bytes: 2_000,
        ..DirectionConfig::default()
    };
    let offers = [(0, 1_000), (0, 1_000), (0, 1_000), (0, 28), (999_999, 28), (1_000_000, 1_000)];
    let (arrivals, counters) = run(config, 1, &offers);
    assert_eq!(arrivals, [(0, 1_000_000), (1, 2_000_000), (2, 3_000_000), (5, 4_000_000)]);
    assert_eq!(counters.dropped_queue_full, 2);
    assert_eq!(counters.largest_queue_bytes, 2_000);
}

#[test]
fn packets_larger_than_the_mtu_are_dropped_and_counted() {
    let config = DirectionConfig { mtu: 1_280, ..DirectionConfig::default() };
    let (arrivals, counters) = run(config, 1, &[(0, 1_281), (0, 1_280)]);
    assert_eq!(arrivals, [(1, 0)]);
    assert_eq!(counters.dropped_too_large, 1);
}

#[test]
fn listed_packets_are_lost_after_taking_their_share_of_the_rate() {
    let config = DirectionConfig {
        rate_bits_per_second: Some(8_000_000),
        lose: vec![2, 0],
        ..DirectionConfig::default()
    };
    let (arrivals, counters) = run(config, 1, &[(0, 100), (0, 100), (0, 100), (0, 100)]);
    assert_eq!(arrivals, [(1, 200_000), (3, 400_000)]);
    assert_eq!(counters.lost_as_listed, 2);
}

#[test]
fn reordered_packets_are_overtaken_and_duplicates_arrive_twice() {
    let offers: Vec<(u64, u32)> = (0..1_000).map(|i| (i * 1_000, 100)).collect();
    let config = DirectionConfig {
        reorder: 0.1,
        reorder_by: Duration::from_nanos(1_500),
        duplicate: 0.05,
        ..DirectionConfig::default()
    };
    let (arrivals, counters) = run(config, 3, &offers);
    let overtaken = arrivals.windows(2).filter(|pair| pair[1].0 < pair[0].0).count() as u64;
    let doubled = arrivals.len() as u64 - 1_000;
    assert!((60..140).contains(&counters.reordered), "{counters:?}");
    assert!(overtaken > 0 && overtaken <= 2 * counters.reordered);
    assert_eq!(doubled, counters.duplicated);
    assert!((25..75).contains(&doubled), "{doubled}");
    assert!(arrivals.windows(2).all(|pair| pair[0].1 <= pair[1].1), "arrivals are in order of time");
}

#[test]
fn turning_one_chance_on_leaves_the_others_alone() {
    let offers: Vec<(u64, u32)> = (0..500).map(|i| (i * 1_000_000, 100)).collect();
    let lossy = DirectionConfig { loss: Loss::Random(0.05), ..DirectionConfig::default() };
    let numbers = |config| -> Vec<u16> {
        let mut numbers: Vec<u16> = run(config, 3, &offers).0.into_iter().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let before = numbers(lossy.clone());
    assert!(before.len() < 500 && before.len() > 440);
    let more = DirectionConfig {
        duplicate: 0.3,
        reorder: 0.2,
        reorder_by: Duration::from_millis(3),
        jitter: Duration::from_millis(5),
        ..lossy
    };
    assert_eq!(before, numbers(more));
}

#[test]
fn codel_is_a_plain_queue_until_it_has_been_standing_for_too_long() {
    let config = DirectionConfig {
        rate_bits_per_second: Some(8_000_000), // a byte per microsecond
        delay: Duration::from_millis(1),
        queue_bytes: 1_000_000,
        ..DirectionConfig::default()
    };
    let codel = DirectionConfig { queue: Queue::CoDel(CoDelConfig::default()), ..config.clone() };
    // Twice the rate for a moment, then for a second.
    let offers = |count: u64| -> Vec<(u64, u32)> { (0..count).map(|i| (i * 500_000, 1_000)).collect() };
    let short = offers(100);
    assert_eq!(run(config.clone(), 1, &short).0, run(codel.clone(), 1, &short).0);
    let long = offers(1_200);
    let (drop_tail, codel) = (run(config, 1, &long).1, run(codel, 1, &long).1);
    assert_eq!((drop_tail.dropped_by_codel, drop_tail.delivered_packets), (0, 1_200));
    assert!(codel.dropped_by_codel > 5, "{codel:?}");
    assert_eq!(codel.dropped_by_codel + codel.delivered_packets, 1_200);
    assert!(codel.largest_queue_bytes < drop_tail.largest_queue_bytes);
}

proptest! {
    #[test]
    fn jitter_stays_within_its_bound_and_keeps_the_order(
        seed: u64, jitter in 0u64..5_000, gaps in proptest::collection::vec(0u64..3_000, 1..50)
    ) {
        let mut time = 0;
        let offers: Vec<(u64, u32)> = gaps.iter().map(|gap| { time += gap; (time, 100) }).collect();
        let config = DirectionConfig {
            delay: Duration::from_nanos(1_000),
            jitter: Duration::from_nanos(jitter),
            ..DirectionConfig::default()
        };
        let (arrivals, _) = run(config, seed, &offers);
        prop_assert_eq!(arrivals.len(), offers.len());
        for (place, (number, arrival)) in arrivals.iter().enumerate() {
            prop_assert_eq!(place, usize::from(*number));
            let sent = offers[place].0;
            prop_assert!(*arrival >= sent + 1_000 && *arrival <= sent + 1_000 + jitter);
        }
    }

    #[test]
    fn every_packet_is_accounted_for(
        seed: u64,
        loss in 0.0f64..0.5,
        duplicate in 0.0f64..0.5,
        queue_bytes in 0u64..5_000,
        rate in proptest::option::of(1u64..1_000_000_000),
        codel: bool,
        lose in proptest::collection::vec(0u64..60, 0..10),
        offers in proptest::collection::vec((0u64..1_000_000, 28u32..2_000), 1..60),
    ) {
        let mut offers = offers;
        offers.sort_unstable();
        let codel_config = CoDelConfig { target: Duration::from_micros(5), interval: Duration::from_micros(50), ecn: false };
        let queue = if codel { Queue::CoDel(codel_config) } else { Queue::DropTail };
        let config = DirectionConfig {
            rate_bits_per_second: rate, queue_bytes, queue, loss: Loss::Random(loss), duplicate, lose,
            ..DirectionConfig::default()
        };
        let (arrivals, c) = run(config, seed, &offers);
        let gone = c.dropped_too_large + c.dropped_queue_full + c.lost_randomly + c.lost_to_bit_errors + c.lost_as_listed + c.dropped_by_codel;
        prop_assert_eq!(c.offered_packets, offers.len() as u64);
        prop_assert_eq!(c.delivered_packets, c.offered_packets - gone + c.duplicated);
        prop_assert_eq!(c.delivered_packets, arrivals.len() as u64);
        prop_assert!(c.largest_queue_bytes <= queue_bytes);
    }
}

#[test]
fn bit_errors_lose_the_more_the_larger_a_packet_is_with_its_frame() {
    let count = 20_000u64;
    for (bytes, frame_overhead_bytes) in [(100, 0), (1_400, 0), (1_400, 38)] {
        let config =
            DirectionConfig { bit_error_rate: 1e-5, frame_overhead_bytes, ..DirectionConfig::default() };
        let offers: Vec<(u64, u32)> = (0..count).map(|i| (i * 1_000_000, bytes)).collect();
        let (arrivals, counters) = run(config, 3, &offers);
        let travels = bytes + frame_overhead_bytes;
        let expected = 1.0 - (1.0 - 1e-5f64).powi(8 * travels as i32);
        let lost = counters.lost_to_bit_errors as f64 / count as f64;
        let deviation = (expected * (1.0 - expected) / count as f64).sqrt();
        assert!((lost - expected).abs() < 4.0 * deviation, "{bytes}: {lost} for {expected}");
        assert_eq!(arrivals.len() as u64 + counters.lost_to_bit_errors, count);
    }
}
