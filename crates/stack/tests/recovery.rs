//! Losses are found by time, the end of a flight is probed, and what was a mistake is taken back (RFC 8985, 5682, 3522, 3708).

mod pair;

use bytes::Bytes;
use narrows_stack::knob::LossDetection;
use narrows_stack::{Counter, Knobs, SendFlags, SocketId, TcpInfo};
use pair::*;
use std::time::Duration;

/// Delays the data packets of the client by what `extra` says for their ordinal numbers; `None`: lost.
fn data_of_client(delay: Duration, mut extra: impl FnMut(usize) -> Option<Duration> + 'static) -> Rule {
    let mut count = 0;
    Box::new(move |from, packet| {
        if from != CLIENT || packet.payload.is_empty() {
            return vec![delay];
        }
        count += 1;
        extra(count - 1).map(|extra| delay + extra).into_iter().collect()
    })
}

/// Writes `bytes` at the client and reads them at the server; how long that took, and the client's inside afterwards.
fn transfer(pair: &mut Pair, sockets: [SocketId; 2], bytes: usize) -> (Duration, TcpInfo) {
    let begun = pair.now;
    let data = Bytes::from(vec![1u8; bytes]);
    assert_eq!(pair.hosts[CLIENT].tcp_send(pair.now, sockets[CLIENT], data, SendFlags::default()), Ok(bytes));
    let mut got = 0;
    while got < bytes {
        assert!(pair.step(begun + ms(5000)), "stuck after {got} of {bytes} bytes");
        got += pair.read(SERVER, sockets[SERVER]).len();
    }
    let took = pair.now.since(begun);
    pair.run(ms(500));
    (took, pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap())
}

/// A transfer of `segments` full segments with a round trip of 40 ms, on both IP versions.
fn each_version(
    client: &Knobs,
    segments: usize,
    rule: impl Fn() -> Rule,
    check: impl Fn(Duration, TcpInfo, &Pair),
) {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(20));
        let server = Knobs { sack: client.sack, timestamps: client.timestamps, ..knobs() };
        let sockets = pair.connect(Knobs { sndbuf: 1_000_000, ..client.clone() }, server);
        pair.rule = Some(rule());
        let mss = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap().snd_mss as usize;
        let (took, info) = transfer(&mut pair, sockets, segments * mss);
        check(took, info, &pair);
    });
}

fn counted(pair: &Pair, counter: Counter) -> u64 {
    pair.hosts[CLIENT].counters().get(counter)
}

fn lost(numbers: &'static [usize]) -> impl Fn() -> Rule {
    move || data_of_client(ms(20), move |n| (!numbers.contains(&n)).then_some(Duration::ZERO))
}

#[test]
fn a_lost_end_of_a_flight_is_probed_after_two_round_trips() {
    each_version(&knobs(), 8, lost(&[6, 7]), |took, info, pair| {
        // The ACK of the rest, two round trips, the probe and its SACK, a quarter of a round trip, the other one.
        assert!((ms(40 + 82 + 40 + 20)..ms(40 + 82 + 40 + 20 + 20)).contains(&took), "{took:?}");
        assert_eq!((counted(pair, Counter::LossProbes), counted(pair, Counter::Timeouts)), (1, 0));
        assert_eq!(info.total_retrans, 2);
    });
    let counting = Knobs { recovery: LossDetection::Rfc6675, ..knobs() };
    each_version(&counting, 8, lost(&[6, 7]), |took, _, pair| {
        assert!(took > ms(240), "{took:?}");
        assert_eq!((counted(pair, Counter::LossProbes), counted(pair, Counter::Timeouts)), (0, 1));
    });
}

#[test]
fn a_probe_that_repairs_the_only_loss_still_cuts_the_window() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(20));
        let sockets = pair.connect(knobs(), knobs());
        pair.rule = Some(lost(&[9])());
        let mss = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap().snd_mss as usize;
        let (_, info) = transfer(&mut pair, sockets, 10 * mss);
        assert_eq!((counted(&pair, Counter::LossProbes), counted(&pair, Counter::Timeouts)), (1, 0));
        assert!(info.snd_ssthresh > 1000, "no later ACK has told that there was a loss");
        let (_, info) = transfer(&mut pair, sockets, 1448);
        assert!(info.snd_ssthresh < 100, "{}", info.snd_ssthresh);
    });
}

#[test]
fn a_probe_sends_new_data_when_there_is_some() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(20));
        let sockets = pair.connect(Knobs { initcwnd: 4, ..knobs() }, knobs());
        pair.rule = Some(lost(&[0, 1, 2, 3])());
        let (_, info) = transfer(&mut pair, sockets, 6 * 1448);
        assert_eq!(counted(&pair, Counter::Timeouts), 0);
        // The probe was the fifth segment; its SACK tells that the four before it are lost.
        assert_eq!((counted(&pair, Counter::LossProbes), info.total_retrans), (1, 4));
    });
}

#[test]
fn an_ack_later_than_two_round_trips_provokes_a_probe_and_a_dsack_and_nothing_else() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(5));
        let sockets = pair.connect(Knobs { nodelay: true, ..knobs() }, knobs());
        // The server answers, so that it delays its ACKs.
        pair.write(CLIENT, sockets[CLIENT], 10);
        pair.run(ms(6));
        pair.read(SERVER, sockets[SERVER]);
        pair.write(SERVER, sockets[SERVER], 10);
        pair.run(ms(100));
        let before = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap();
        pair.take_log();
        pair.write(CLIENT, sockets[CLIENT], 10);
        pair.write(CLIENT, sockets[CLIENT], 10);
        pair.run(ms(300));
        let info = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap();
        assert_eq!(info.total_retrans, 1);
        assert_eq!((info.snd_cwnd, info.snd_ssthresh), (before.snd_cwnd, before.snd_ssthresh));
        let dsack = pair.log.iter().filter(|seen| seen.from == SERVER).any(|seen| {
            let header = seen.tcp();
            header.options.sack.as_slice().first().is_some_and(|(_, end)| end.is_at_or_before(header.ack))
        });
        assert!(dsack);
    });
}

/// Loses the second full segment twice.
fn lose_the_second_twice() -> Rule {
    let (mut first, mut lost) = (None, 0);
    Box::new(move |from, packet| {
        if from == CLIENT && !packet.payload.is_empty() {
            let seq = tcp(packet).seq;
            let second = *first.get_or_insert(seq) + packet.payload.len() as u32;
            if seq == second && lost < 2 {
                lost += 1;
                return vec![];
            }
        }
        vec![ms(20)]
    })
}

#[test]
fn a_retransmission_that_is_lost_again_costs_no_timeout() {
    each_version(&knobs(), 60, lose_the_second_twice, |_, info, pair| {
        assert_eq!((counted(pair, Counter::Timeouts), info.total_retrans), (0, 2));
    });
    let counting = Knobs { recovery: LossDetection::Rfc6675, ..knobs() };
    each_version(&counting, 60, lose_the_second_twice, |_, _, pair| {
        assert_eq!(counted(pair, Counter::Timeouts), 1);
    });
}

#[test]
fn a_segment_overtaken_by_two_is_given_a_quarter_of_a_round_trip() {
    let late =
        |extra| move || data_of_client(ms(20), move |n| Some(if n == 7 { extra } else { Duration::ZERO }));
    each_version(&knobs(), 10, late(ms(9)), |_, info, _| assert_eq!(info.total_retrans, 0));
    each_version(&knobs(), 10, late(ms(15)), |_, info, _| assert_eq!(info.total_retrans, 1));
}

#[test]
fn after_reordering_was_seen_three_overtakers_are_no_proof_of_a_loss() {
    let rule = || data_of_client(ms(20), |n| Some(if n == 1 || n == 21 { ms(8) } else { Duration::ZERO }));
    each_version(&knobs(), 40, rule, |_, info, _| {
        // The first time it was taken for a loss, the second time not; and the mistake was taken back.
        assert_eq!(info.total_retrans, 1);
        assert!(info.snd_ssthresh > 1000, "{}", info.snd_ssthresh);
    });
}

#[test]
fn a_window_cut_by_mistake_is_restored_by_timestamps_or_by_dsack() {
    let rule = || data_of_client(ms(20), |n| Some(if n == 1 { ms(12) } else { Duration::ZERO }));
    for timestamps in [true, false] {
        for recovery in [LossDetection::RackTlp, LossDetection::Rfc6675] {
            let client = Knobs { timestamps, recovery, ..knobs() };
            each_version(&client, 30, rule, |_, info, _| {
                assert_eq!(info.total_retrans, 1);
                assert!(
                    info.snd_cwnd >= 20 && info.snd_ssthresh > 1000,
                    "{} {}",
                    info.snd_cwnd,
                    info.snd_ssthresh
                );
            });
        }
    }
}

/// The second flight arrives a quarter of a second late, in order, just after the timeout.
fn pause() -> Rule {
    let mut sent = 0;
    Box::new(move |from, packet| {
        if from != CLIENT || packet.payload.is_empty() {
            return vec![ms(20)];
        }
        sent += 1;
        vec![if (11..=30).contains(&sent) { ms(250) } else { ms(20) }]
    })
}

#[test]
fn a_timeout_that_was_only_a_pause_of_the_path_is_taken_back() {
    for (timestamps, sack) in [(true, true), (false, true), (true, false)] {
        let client = Knobs { timestamps, sack, recovery: LossDetection::Rfc6675, ..knobs() };
        each_version(&client, 60, pause, |_, info, pair| {
            assert!(counted(pair, Counter::Timeouts) >= 1);
            assert!(info.snd_ssthresh > 1000, "timestamps {timestamps} sack {sack}: {}", info.snd_ssthresh);
            assert!(info.total_retrans <= 4, "timestamps {timestamps} sack {sack}: {}", info.total_retrans);
        });
    }
}
