//! Captures as people have them: cut, one-sided, out of order, with ports used again.

use super::Segment;
use crate::testing::{Play, analysed, sum};
use crate::{Analyzer, AnalyzerOptions, Vantage};
use narrows_lab::Side::{Client, Server};
use narrows_stack::Instant;
use narrows_wire::{OptionOrder, Seq, TcpFlags, TcpOptions, Timestamps};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

fn rpc(n: u64) -> Play {
    let mut play = Play::open(10_000);
    for i in 0..n {
        play.say(Client, 10_500 + i * 11_000, 100).say(Server, 15_600 + i * 11_000, 300);
    }
    let end = 10_500 + n * 11_000;
    play.close(Client, end).close(Server, end + 5_050).ack(Client, end + 10_060);
    play
}

#[test]
fn the_vantage_shows_in_the_legs() {
    let [client, middle, server] = rpc(5).everywhere();
    assert_eq!(client.vantage, Vantage::Client);
    assert_eq!(middle.vantage, Vantage::Middle);
    assert_eq!(server.vantage, Vantage::Server);
    for connection in [client, middle, server] {
        let path = connection.round_trip.path.unwrap();
        assert!(path.abs_diff(Duration::from_millis(10)) < Duration::from_micros(30), "{path:?}");
    }
}

#[test]
fn a_port_used_again_is_a_new_connection() {
    let first = rpc(3).captured(0);
    let mut both = first.clone();
    let later = first.last().unwrap().time + Duration::from_millis(500);
    for segment in &first {
        let mut again = segment.clone();
        again.number += first.len() as u64;
        again.time = later + segment.time.since(first[0].time);
        again.seq += 1_000_000;
        again.ack += 1_000_000;
        both.push(again);
    }
    let connections = analysed(&both);
    assert_eq!(connections.len(), 2);
    assert_eq!((connections[0].number, connections[1].number), (1, 2));
    assert_eq!(connections[1].first_packet, first.len() as u64 + 1);
    assert_eq!(connections[0].conversation, connections[1].conversation);
}

#[test]
fn a_capture_may_begin_in_the_middle() {
    for away in [0, 5_000] {
        let segments = rpc(8).captured(away).split_off(7);
        let connection = &analysed(&segments)[0];
        assert_eq!((connection.client.port(), connection.server.port()), (40_000, 443));
        assert!(!connection.handshake_seen);
        assert_eq!(sum(connection), connection.duration);
        assert!(connection.limits.iter().any(|limit| limit.contains("handshake")));
        let said: u64 = connection.sides.iter().map(|side| side.payload_bytes).sum();
        let all: u64 = segments.iter().map(|s| u64::from(s.payload_bytes)).sum();
        assert_eq!(said, all);
    }
}

#[test]
fn one_direction_alone_is_said_so() {
    let segments: Vec<Segment> =
        rpc(8).captured(0).into_iter().filter(|segment| segment.source.port() == 40_000).collect();
    let connection = &analysed(&segments)[0];
    assert_eq!(connection.findings, []);
    assert_eq!(connection.round_trip.path, None);
    assert!(connection.limits.iter().any(|limit| limit.contains("one direction")));
    // The FIN that nobody saw counts as a byte.
    assert_eq!(connection.side(Server).missed_bytes, 8 * 300 + 1);
    assert_eq!(sum(connection), connection.duration);
}

#[test]
fn packets_the_capture_missed_are_no_losses() {
    let mut segments = rpc(8).captured(0);
    let dropped = segments.iter().rposition(|s| s.payload_bytes == 300).unwrap() - 4;
    assert_eq!(segments.remove(dropped).payload_bytes, 300);
    let connection = &analysed(&segments)[0];
    let server = connection.side(Server);
    assert_eq!((server.missed_bytes, server.retransmissions, server.payload_bytes), (300, 0, 7 * 300));
    assert_eq!(connection.conversation.bytes_of(Server), 8 * 300);
}

#[test]
fn what_was_captured_twice_counts_once() {
    let twice: Vec<Segment> = rpc(8).captured(0).into_iter().flat_map(|s| [s.clone(), s]).collect();
    let connection = &analysed(&twice)[0];
    assert_eq!(connection.side(Client).retransmissions, 0);
    assert_eq!(connection.side(Server).retransmissions, 0);
    assert_eq!(connection.conversation, analysed(&rpc(8).captured(0))[0].conversation);
}

#[test]
fn times_may_go_back() {
    let mut segments = rpc(8).captured(0);
    let n = segments.len() / 2;
    for (i, segment) in segments.iter_mut().enumerate() {
        let back = Duration::from_micros((i as u64 * 7) % 11)
            + if i >= n { Duration::from_secs(3600) } else { Duration::ZERO };
        segment.time = segment.time - back;
    }
    let connection = &analysed(&segments)[0];
    assert_eq!(sum(connection), connection.duration);
    assert!(connection.duration < Duration::from_secs(1));
    assert!(connection.limits.iter().any(|limit| limit.contains("clock")));
}

#[test]
fn the_number_of_connections_is_bounded() {
    let mut analyzer = Analyzer::new(AnalyzerOptions { max_connections: 2, ..AnalyzerOptions::default() });
    for port in 0..5 {
        for mut segment in rpc(1).captured(0) {
            for address in [&mut segment.source, &mut segment.destination] {
                if address.port() != 443 {
                    address.set_port(40_000 + port);
                }
            }
            analyzer.push(&segment);
        }
    }
    let each = rpc(1).captured(0).len() as u64;
    let analysis = analyzer.finish();
    assert_eq!((analysis.connections.len(), analysis.segments), (2, 2 * each));
    assert_eq!(analysis.segments_left_out, 3 * each);
}

#[test]
fn long_silent_connections_are_given_up_when_there_are_many() {
    let mut analyzer = Analyzer::new(AnalyzerOptions::default());
    let syn = rpc(1).captured(0).remove(0);
    for n in 0..60_000u32 {
        let mut syn = syn.clone();
        syn.number = u64::from(n) + 1;
        syn.time += Duration::from_millis(u64::from(n) * 10);
        syn.source.set_ip(std::net::Ipv4Addr::from(0x0b00_0000 + n).into());
        analyzer.push(&syn);
    }
    assert!(analyzer.open_connections() < 25_000, "{}", analyzer.open_connections());
    assert_eq!(analyzer.finish().connections.len(), 60_000);
}

fn any_segment() -> impl Strategy<Value = Segment> {
    let near = prop_oneof![0u32..4000, any::<u32>()];
    let sack = proptest::collection::vec((0u32..4000, 0u32..4000), 0..3);
    let numbers = (near.clone(), near, any::<u16>(), prop_oneof![Just(0), 1u32..3000, any::<u32>()]);
    (any::<bool>(), 0u64..80_000_000, any::<u8>(), numbers, sack, any::<Option<(u8, u8)>>()).prop_map(
        |(forth, time, flags, (seq, ack, window, payload_bytes), sack, stamps)| {
            let ends = [SocketAddr::from(([10, 0, 0, 1], 40_000)), SocketAddr::from(([10, 0, 0, 2], 443))];
            let mut options = TcpOptions {
                mss: flags.is_multiple_of(3).then_some(window),
                window_scale: flags.is_multiple_of(5).then_some(flags),
                timestamps: stamps.map(|(v, e)| Timestamps { value: v.into(), echo: e.into() }),
                ..TcpOptions::default()
            };
            for (left, right) in sack {
                options.sack.push(Seq(left), Seq(right));
            }
            Segment {
                number: 0,
                time: Instant::from_nanos(time),
                source: ends[usize::from(forth)],
                destination: ends[usize::from(!forth)],
                seq: Seq(seq),
                ack: Seq(ack),
                flags: TcpFlags(flags),
                window,
                payload_bytes,
                options,
                option_order: OptionOrder::default(),
                hop_limit: flags,
                packet_bytes: payload_bytes.saturating_add(u32::from(window)),
                pieces: u16::from(flags) % 4,
                outer: None,
            }
        },
    )
}

proptest! {
    /// Whatever the segments: no panic, and every account adds up. Times wander, and are not even in order.
    #[test]
    fn any_segments_give_accounts_that_add_up(
        mut segments in proptest::collection::vec(any_segment(), 0..120),
        ordered: bool,
    ) {
        if ordered {
            segments.sort_by_key(|segment| segment.time);
        }
        for (n, segment) in segments.iter_mut().enumerate() {
            segment.number = n as u64 + 1;
        }
        for connection in analysed(&segments) {
            prop_assert_eq!(sum(&connection), connection.duration);
            prop_assert!(connection.conversation.turns.iter().all(|turn| !turn.writes.is_empty()));
        }
    }
}
