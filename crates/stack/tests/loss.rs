//! What is lost is sent again: fast retransmit, timeouts, and any loss, reordering and duplication.

mod pair;

use bytes::Bytes;
use narrows_stack::{Event, Instant, Knobs, SendFlags, SocketError, SocketId};
use narrows_wire::{Packet, TcpFlags};
use pair::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

/// Loses the data packets of one side with the given ordinal numbers (the first is 0).
fn lose_data(side: usize, lost: &[usize], delay: Duration) -> Rule {
    let lost: BTreeSet<usize> = lost.iter().copied().collect();
    let mut count = 0;
    Box::new(move |from, packet| {
        let mut arrivals = vec![delay];
        if from == side && !packet.payload.is_empty() {
            if lost.contains(&count) {
                arrivals.clear();
            }
            count += 1;
        }
        arrivals
    })
}

/// Writes `bytes` and reads them at the other side; returns how long it took.
fn transfer(pair: &mut Pair, from: usize, sockets: [SocketId; 2], bytes: usize, limit: Duration) -> Duration {
    let begun = pair.now;
    let (mut written, mut got) = (0, 0);
    while got < bytes {
        if written < bytes {
            let data = Bytes::from(vec![1u8; bytes - written]);
            if let Ok(count) = pair.hosts[from].tcp_send(pair.now, sockets[from], data, SendFlags::default())
            {
                written += count;
            }
        }
        assert!(pair.step(begun + limit), "stuck after {got} of {bytes} bytes at {:?}", pair.now);
        got += pair.read(1 - from, sockets[1 - from]).len();
    }
    pair.now.since(begun)
}

#[test]
fn one_lost_segment_is_sent_again_after_three_segments_have_overtaken_it() {
    both(|ipv6| {
        for sack in [true, false] {
            let mut pair = Pair::new(ipv6, ms(10));
            let ours = Knobs { sack, ..knobs() };
            let sockets = pair.connect(ours.clone(), ours);
            pair.rule = Some(lose_data(CLIENT, &[2], ms(10)));
            let took = transfer(&mut pair, CLIENT, sockets, 14_000, ms(1000));
            assert!(took < ms(45), "sack {sack}: {took:?}");
            let info = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap();
            assert_eq!(info.total_retrans, 1);
            assert_eq!(info.snd_ssthresh, 12 * 717 / 1024);
        }
    });
}

#[test]
fn the_first_sack_block_covers_the_segment_that_came_last() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let sockets = pair.connect(knobs(), knobs());
        pair.rule = Some(lose_data(CLIENT, &[1, 3], ms(10)));
        pair.take_log();
        pair.write(CLIENT, sockets[CLIENT], 10_000);
        pair.run(ms(10));
        let acks: Vec<_> = pair.log.iter().filter(|seen| seen.from == SERVER).collect();
        let last = acks.last().unwrap().tcp();
        assert_eq!(last.options.sack.as_slice().len(), 2);
        let (first, second) = (last.options.sack.as_slice()[0], last.options.sack.as_slice()[1]);
        assert!(second.1.is_before(first.0));
    });
}

#[test]
fn a_lost_tail_is_sent_again_as_a_probe_and_then_after_the_retransmission_timeout() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(50));
        let sockets = pair.connect(knobs(), knobs());
        pair.rule = Some(lose_data(CLIENT, &[0, 1], ms(50)));
        let took = transfer(&mut pair, CLIENT, sockets, 100, ms(5000));
        // A probe in the place of the first timeout, a timeout as long after it, then half a round trip.
        assert_eq!(took, ms(300 + 300 + 50));
        let info = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap();
        assert_eq!(info.total_retrans, 2);
    });
}

#[test]
fn a_lost_syn_is_sent_again_after_a_second() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        pair.listen(knobs());
        let mut first = true;
        pair.rule =
            Some(Box::new(move |_, _| if std::mem::take(&mut first) { vec![] } else { vec![ms(10)] }));
        let socket = pair.open(knobs());
        pair.run(ms(3000));
        assert_eq!(pair.events[CLIENT], [Event::Connected(socket)]);
        let times: Vec<u64> = pair.log.iter().map(|seen| seen.at.as_nanos() / 1_000_000).collect();
        assert_eq!(times, [0, 1000, 1010, 1020]);
    });
}

#[test]
fn a_lost_syn_ack_is_sent_again_with_the_same_initial_sequence_number() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        pair.listen(knobs());
        let mut first = true;
        pair.rule =
            Some(Box::new(
                move |from, _| {
                    if from == SERVER && std::mem::take(&mut first) { vec![] } else { vec![ms(10)] }
                },
            ));
        let socket = pair.open(knobs());
        pair.run(ms(3000));
        assert_eq!(pair.events[CLIENT], [Event::Connected(socket)]);
        let answers: BTreeSet<u32> =
            pair.log.iter().filter(|seen| seen.from == SERVER).map(|seen| seen.tcp().seq.0).collect();
        assert_eq!(answers.len(), 1);
    });
}

#[test]
fn an_unanswered_connection_attempt_times_out_after_as_long_as_doubling_takes() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        pair.rule = Some(Box::new(|_, _| vec![]));
        let socket = pair.open(Knobs { syn_retries: 1, ..knobs() });
        pair.run(ms(2_900));
        assert_eq!(pair.events[CLIENT], []);
        pair.run(ms(200));
        assert_eq!(pair.events[CLIENT], [Event::Closed(socket, Some(SocketError::TimedOut))]);
    });
}

#[test]
fn a_dead_peer_ends_the_connection_after_about_a_quarter_of_an_hour() {
    let mut pair = Pair::new(false, ms(10));
    let sockets = pair.connect(knobs(), knobs());
    pair.rule = Some(Box::new(|_, _| vec![]));
    pair.write(CLIENT, sockets[CLIENT], 10);
    pair.run(Duration::from_secs(2000));
    let closed = Event::Closed(sockets[CLIENT], Some(SocketError::TimedOut));
    assert_eq!(pair.events[CLIENT].last(), Some(&closed));
    let last = pair.log.last().unwrap().at.as_secs_f64();
    assert!((700.0..1000.0).contains(&last), "{last}");
}

#[test]
fn a_bulk_transfer_with_one_percent_loss_keeps_going() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(20));
        let sockets = pair.connect(knobs(), knobs());
        let mut state = 12_345u64;
        pair.keep_log = false;
        pair.rule = Some(Box::new(move |_, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if (state >> 33).is_multiple_of(100) { vec![] } else { vec![ms(20)] }
        }));
        let took = transfer(&mut pair, CLIENT, sockets, 5_000_000, Duration::from_secs(120));
        assert!(took < Duration::from_secs(20), "{took:?}");
        let info = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap();
        assert!(info.total_retrans >= 20 && info.total_retrans < 120, "{}", info.total_retrans);
    });
}

#[test]
fn a_long_fat_path_is_filled_because_the_receive_buffer_grows() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(50));
        let sockets = pair.connect(knobs(), knobs());
        pair.keep_log = false;
        transfer(&mut pair, CLIENT, sockets, 20_000_000, Duration::from_secs(60));
        let took = transfer(&mut pair, CLIENT, sockets, 20_000_000, Duration::from_secs(60));
        assert!(took < Duration::from_secs(3), "{took:?}");
        let info = pair.hosts[SERVER].tcp_info(sockets[SERVER]).unwrap();
        assert!(info.rcv_buffer > 4_000_000, "{info:?}");
    });
}

/// What a link may do to each packet, drawn from a list that repeats.
#[derive(Clone, Debug)]
enum Fate {
    Pass,
    Lose,
    Late(u64),
    Twice(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Pass),
        1 => Just(Fate::Lose),
        1 => (1u64..60).prop_map(Fate::Late),
        1 => (0u64..60).prop_map(Fate::Twice),
    ]
}

/// Not more than two of five lost: beyond that a connection may rightly give up, and its timeouts grow to minutes.
fn fates() -> impl Strategy<Value = Vec<Fate>> {
    proptest::collection::vec(fate(), 7..60).prop_filter("too many lost", |fates| {
        fates.iter().filter(|fate| matches!(fate, Fate::Lose)).count() * 5 <= fates.len() * 2
    })
}

fn unreliable(fates: Vec<Fate>) -> Rule {
    let mut index = 0;
    Box::new(move |_, _| {
        let fate = fates[index % fates.len()].clone();
        index += 1;
        match fate {
            Fate::Pass => vec![ms(10)],
            Fate::Lose => vec![],
            Fate::Late(extra) => vec![ms(10 + extra)],
            Fate::Twice(extra) => vec![ms(10), ms(10 + extra)],
        }
    })
}

/// Both sides write everything in pieces of the given sizes, close, and read all. Returns what each has read, and
/// every packet.
fn exchange(
    ipv6: bool,
    ours: Knobs,
    fates: Vec<Fate>,
    pieces: &[usize],
) -> ([Vec<u8>; 2], Vec<(Instant, Packet)>) {
    let mut pair = Pair::with(ipv6, ms(10), 600, false, 7);
    pair.rule = Some(unreliable(fates));
    let listener = pair.listen(ours.clone());
    let client = pair.open(ours);
    let limit = Instant::ZERO + Duration::from_secs(86_400);
    let mut sockets = [Some(client), None];
    let mut streams: [Vec<Bytes>; 2] = [0u8, 128].map(|salt| {
        let piece = |(n, size): (usize, &usize)| {
            Bytes::from((0..*size).map(|at| salt ^ (at as u8).wrapping_add(n as u8)).collect::<Vec<u8>>())
        };
        pieces.iter().enumerate().map(piece).rev().collect()
    });
    let mut read = [Vec::new(), Vec::new()];
    let (mut ended, mut shut) = ([false; 2], [false; 2]);
    while !(ended[0] && ended[1]) {
        if sockets[SERVER].is_none() {
            sockets[SERVER] = pair.hosts[SERVER].tcp_accept(listener);
        }
        for side in [CLIENT, SERVER] {
            let Some(socket) = sockets[side] else { continue };
            while let Some(mut piece) = streams[side].pop() {
                match pair.hosts[side].tcp_send(pair.now, socket, piece.clone(), SendFlags::default()) {
                    Ok(count) if count == piece.len() => {}
                    Ok(count) => {
                        let _ = piece.split_to(count);
                        streams[side].push(piece);
                        break;
                    }
                    Err(SocketError::WouldBlock) => {
                        streams[side].push(piece);
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            if streams[side].is_empty() && !shut[side] {
                shut[side] = true;
                pair.hosts[side].tcp_shutdown(pair.now, socket).unwrap();
            }
            while let Ok(bytes) = pair.hosts[side].tcp_recv(pair.now, socket, 1000) {
                if bytes.is_empty() {
                    ended[side] = true;
                    break;
                }
                read[side].extend_from_slice(&bytes);
            }
        }
        assert!(pair.step(limit), "hangs at {:?}: {:?}", pair.now, sockets.map(|s| s.is_some()));
    }
    (read, pair.log.iter().map(|seen| (seen.at, seen.packet.clone())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_the_link_does_each_side_reads_exactly_what_the_other_wrote(
        ipv6 in any::<bool>(),
        sack in any::<bool>(),
        timestamps in any::<bool>(),
        nodelay in any::<bool>(),
        rcvbuf in prop_oneof![Just(0u64), Just(3_000), Just(20_000)],
        fates in fates(),
        pieces in proptest::collection::vec(1usize..6_000, 1..12),
    ) {
        let ours = Knobs { sack, timestamps, nodelay, rcvbuf, ..Knobs::default() };
        let (read, packets) = exchange(ipv6, ours.clone(), fates.clone(), &pieces);
        for (side, salt) in [(SERVER, 0u8), (CLIENT, 128)] {
            let wrote: Vec<u8> = pieces
                .iter()
                .enumerate()
                .rev()
                .map(|(n, size)| (0..*size).map(move |at| salt ^ (at as u8).wrapping_add(n as u8)))
                .rev()
                .flatten()
                .collect();
            prop_assert!(read[side] == wrote, "side {} read {} of {}", side, read[side].len(), wrote.len());
        }
        let (_, again) = exchange(ipv6, ours, fates, &pieces);
        prop_assert!(packets == again, "the same seed gave other packets");
    }
}

#[test]
fn rst_and_syn_are_never_sent_without_reason() {
    let pieces = [1000; 20];
    let (_, packets) = exchange(false, Knobs::default(), vec![Fate::Pass], &pieces);
    let odd = packets.iter().filter(|(_, packet)| tcp(packet).flags.contains(TcpFlags::RST)).count();
    assert_eq!(odd, 0);
    let syns = packets.iter().filter(|(_, packet)| tcp(packet).flags.contains(TcpFlags::SYN)).count();
    assert_eq!(syns, 2);
}
