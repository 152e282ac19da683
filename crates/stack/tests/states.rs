//! The states and checks of RFC 9293, 5961 and 7323, each seen from outside.

mod pair;

use bytes::Bytes;
use narrows_stack::{Counter, Event, Instant, Knobs, SendFlags, SocketError, SocketId};
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, Timestamps};
use pair::*;
use std::net::SocketAddr;
use std::time::Duration;

fn without_timestamps() -> Knobs {
    Knobs { timestamps: false, ..knobs() }
}

/// The last packet that a side has sent.
fn last_from(pair: &Pair, side: usize) -> TcpHeader {
    pair.log.iter().rev().find(|seen| seen.from == side).expect("a packet").tcp().clone()
}

/// A packet as the client would send it, changed by `change`.
fn forged(pair: &Pair, change: impl FnOnce(&mut TcpHeader), payload: &'static [u8]) -> Packet {
    let last =
        pair.log.iter().rev().find(|seen| seen.from == CLIENT && !seen.tcp().flags.contains(TcpFlags::SYN));
    let mut header = last.expect("a packet of the client").tcp().clone();
    header.flags = TcpFlags::ACK;
    change(&mut header);
    Packet::tcp(pair.addresses[CLIENT], pair.addresses[SERVER], header, Bytes::from_static(payload))
}

fn state(pair: &Pair, side: usize, socket: SocketId) -> &'static str {
    pair.hosts[side].tcp_info(socket).map_or("gone", |info| info.state.name())
}

fn count(pair: &Pair, side: usize, counter: Counter) -> u64 {
    pair.hosts[side].counters().get(counter)
}

#[test]
fn both_sides_may_open_at_once() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [a, b] = [CLIENT, SERVER].map(|side| SocketAddr::new(pair.addresses[side], 4000));
        let client = pair.hosts[CLIENT].tcp_connect(pair.now, b, Some(a), knobs()).unwrap();
        let server = pair.hosts[SERVER].tcp_connect(pair.now, a, Some(b), knobs()).unwrap();
        pair.run(ms(100));
        assert_eq!(state(&pair, CLIENT, client), "ESTABLISHED");
        assert_eq!(state(&pair, SERVER, server), "ESTABLISHED");
        assert_eq!(pair.events[CLIENT], [Event::Connected(client)]);
        assert_eq!(pair.events[SERVER], [Event::Connected(server)]);
        pair.write(CLIENT, client, 3000);
        pair.write(SERVER, server, 3000);
        pair.run(ms(100));
        assert_eq!(pair.read(SERVER, server).len(), 3000);
        assert_eq!(pair.read(CLIENT, client).len(), 3000);
    });
}

#[test]
fn both_sides_may_close_at_once_and_both_rest_in_time_wait() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.hosts[CLIENT].tcp_shutdown(pair.now, client).unwrap();
        pair.hosts[SERVER].tcp_shutdown(pair.now, server).unwrap();
        pair.run(ms(15));
        assert_eq!(state(&pair, CLIENT, client), "CLOSING");
        pair.run(ms(100));
        for (side, socket) in [(CLIENT, client), (SERVER, server)] {
            assert_eq!(count(&pair, side, Counter::TimeWait), 1);
            assert!(pair.events[side].contains(&Event::Closed(socket, None)));
        }
    });
}

#[test]
fn a_listener_answers_a_new_connection_of_the_same_ports_during_time_wait() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let listener = pair.listen(knobs());
        let local = SocketAddr::new(pair.addresses[CLIENT], 40_000);
        let remote = pair.server_address();
        for round in 0..2 {
            let client = pair.hosts[CLIENT].tcp_connect(pair.now, remote, Some(local), knobs()).unwrap();
            pair.run(ms(10));
            let server = pair.hosts[SERVER].tcp_accept(listener).unwrap_or_else(|| panic!("round {round}"));
            pair.hosts[SERVER].tcp_close(pair.now, server).unwrap();
            pair.run(ms(10));
            pair.hosts[CLIENT].tcp_close(pair.now, client).unwrap();
            pair.run(ms(10));
        }
        assert_eq!(count(&pair, SERVER, Counter::TimeWaitReused), 1);
    });
}

#[test]
fn a_lost_last_ack_is_repeated_out_of_time_wait() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.hosts[CLIENT].tcp_close(pair.now, client).unwrap();
        pair.run(ms(15));
        pair.hosts[SERVER].tcp_close(pair.now, server).unwrap();
        let mut lost = false;
        pair.rule = Some(Box::new(move |from, _| {
            if from == CLIENT && !std::mem::replace(&mut lost, true) { vec![] } else { vec![ms(10)] }
        }));
        pair.run(ms(1000));
        assert_eq!(pair.hosts[SERVER].poll_timeout(), None, "the server is done");
        assert_eq!(last_from(&pair, CLIENT).flags, TcpFlags::ACK);
    });
}

#[test]
fn a_reset_in_the_window_is_challenged_and_only_an_exact_one_is_believed() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [_, server] = pair.connect(knobs(), knobs());
        let reset = |offset: u32| {
            move |header: &mut TcpHeader| {
                header.seq += offset;
                header.flags = TcpFlags::RST;
            }
        };
        let packet = forged(&pair, reset(100), b"");
        pair.inject(SERVER, packet);
        pair.run(ms(0));
        assert_eq!(state(&pair, SERVER, server), "ESTABLISHED");
        assert_eq!(count(&pair, SERVER, Counter::ChallengeAcks), 1);
        let packet = forged(&pair, reset(0u32.wrapping_sub(1)), b"");
        pair.inject(SERVER, packet);
        pair.run(ms(10));
        assert_eq!(state(&pair, SERVER, server), "ESTABLISHED");
        let packet = forged(&pair, reset(0), b"");
        pair.inject(SERVER, packet);
        pair.run(ms(0));
        assert_eq!(pair.events[SERVER].last(), Some(&Event::Closed(server, Some(SocketError::Reset))));
        assert_eq!(pair.hosts[SERVER].tcp_recv(pair.now, server, 10), Err(SocketError::Reset));
    });
}

#[test]
fn a_syn_in_an_open_connection_is_challenged_and_challenges_are_limited() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [_, server] = pair.connect(knobs(), knobs());
        for _ in 0..5 {
            let packet = forged(&pair, |header| header.flags = TcpFlags::SYN, b"");
            pair.inject(SERVER, packet);
            pair.run(ms(0));
        }
        assert_eq!(count(&pair, SERVER, Counter::ChallengeAcks), 1);
        assert_eq!(count(&pair, SERVER, Counter::ChallengeAcksLimited), 4);
        assert_eq!(state(&pair, SERVER, server), "ESTABLISHED");
    });
}

#[test]
fn an_ack_of_what_was_never_sent_is_dropped() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [_, server] = pair.connect(knobs(), knobs());
        let packet = forged(&pair, |header| header.ack += 1000, b"data");
        pair.inject(SERVER, packet);
        pair.run(ms(0));
        assert_eq!(count(&pair, SERVER, Counter::BadAck), 1);
        assert_eq!(pair.hosts[SERVER].tcp_recv(pair.now, server, 10), Err(SocketError::WouldBlock));
    });
}

#[test]
fn a_segment_with_an_old_timestamp_is_dropped_and_answered() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.run(ms(50));
        pair.write(CLIENT, client, 10);
        pair.run(ms(5));
        let packet = forged(
            &pair,
            |header| {
                header.seq += 10;
                let Timestamps { value, echo } = header.options.timestamps.unwrap();
                header.options.timestamps = Some(Timestamps { value: value.wrapping_sub(40), echo });
            },
            b"old",
        );
        pair.inject(SERVER, packet);
        pair.run(ms(0));
        assert_eq!(count(&pair, SERVER, Counter::Paws), 1);
        assert_eq!(pair.read(SERVER, server).len(), 10);
    });
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let small = Knobs { rcvbuf: 5_000, ..knobs() };
        let [client, server] = pair.connect(knobs(), small);
        let written = pair.write(CLIENT, client, 12_000);
        pair.run(ms(5_000));
        assert!(count(&pair, CLIENT, Counter::WindowProbes) >= 3);
        assert_eq!(last_from(&pair, SERVER).window, 0);
        assert_eq!(pair.hosts[CLIENT].tcp_info(client).unwrap().total_retrans, 0);
        // The window update is lost: only the next probe finds out.
        let mut first = true;
        pair.rule =
            Some(Box::new(
                move |from, _| {
                    if from == SERVER && std::mem::take(&mut first) { vec![] } else { vec![ms(10)] }
                },
            ));
        let mut got = pair.read(SERVER, server).len();
        for _ in 0..100 {
            pair.run(ms(200));
            got += pair.read(SERVER, server).len();
        }
        assert_eq!(got, written);
    });
}

#[test]
fn a_reader_that_drains_a_closed_window_says_so_at_once() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let small = Knobs { rcvbuf: 5_000, ..knobs() };
        let [client, server] = pair.connect(knobs(), small);
        pair.write(CLIENT, client, 12_000);
        pair.run(ms(300));
        pair.take_log();
        pair.read(SERVER, server);
        assert_eq!(pair.log.len(), 1);
        assert!(pair.log[0].tcp().window > 0);
    });
}

#[test]
fn a_silent_peer_is_probed_when_keep_alive_is_on_and_given_up_when_it_is_gone() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let asking = Knobs {
            keepalive: true,
            keepalive_time: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(2),
            keepalive_probes: 3,
            ..knobs()
        };
        let [client, _] = pair.connect(asking, knobs());
        pair.run(ms(35_000));
        assert_eq!(count(&pair, CLIENT, Counter::KeepAliveProbes), 3);
        assert_eq!(state(&pair, CLIENT, client), "ESTABLISHED");
        pair.rule = Some(Box::new(|_, _| vec![]));
        pair.run(ms(30_000));
        let closed = Event::Closed(client, Some(SocketError::TimedOut));
        assert_eq!(pair.events[CLIENT].last(), Some(&closed));
        assert_eq!(count(&pair, CLIENT, Counter::KeepAliveProbes), 6);
    });
}

#[test]
fn closing_with_unread_data_sends_a_reset() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.write(CLIENT, client, 100);
        pair.run(ms(11));
        pair.hosts[SERVER].tcp_close(pair.now, server).unwrap();
        pair.run(ms(100));
        assert!(last_from(&pair, SERVER).flags.contains(TcpFlags::RST));
        assert_eq!(pair.events[CLIENT].last(), Some(&Event::Closed(client, Some(SocketError::Reset))));
    });
}

#[test]
fn data_for_a_closed_socket_is_answered_with_a_reset() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.hosts[SERVER].tcp_close(pair.now, server).unwrap();
        pair.run(ms(50));
        pair.write(CLIENT, client, 100);
        pair.run(ms(50));
        assert_eq!(count(&pair, SERVER, Counter::DataAfterClose), 1);
        let closed = Event::Closed(client, Some(SocketError::BrokenPipe));
        assert_eq!(pair.events[CLIENT].last(), Some(&closed));
    });
}

#[test]
fn what_came_before_a_reset_can_still_be_read() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.write(CLIENT, client, 100);
        pair.hosts[CLIENT].tcp_abort(pair.now, client).unwrap();
        pair.run(ms(50));
        assert_eq!(pair.read(SERVER, server).len(), 100);
        assert_eq!(pair.hosts[SERVER].tcp_recv(pair.now, server, 10), Err(SocketError::Reset));
    });
}

#[test]
fn an_orphan_in_fin_wait_2_is_given_up_after_a_minute() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, _] = pair.connect(knobs(), knobs());
        pair.hosts[CLIENT].tcp_close(pair.now, client).unwrap();
        pair.run(Duration::from_secs(59));
        assert_eq!(count(&pair, CLIENT, Counter::OrphanTimedOut), 0);
        pair.run(Duration::from_secs(2));
        assert_eq!(count(&pair, CLIENT, Counter::OrphanTimedOut), 1);
        assert_eq!(pair.hosts[CLIENT].poll_timeout(), None);
    });
}

#[test]
fn a_full_accept_queue_drops_the_syn_and_it_succeeds_after_a_second() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let address = pair.server_address();
        let listener = pair.hosts[SERVER].tcp_listen(address, 1, knobs()).unwrap();
        for _ in 0..2 {
            pair.open(knobs());
            pair.run(ms(100));
        }
        let third = pair.open(knobs());
        pair.run(ms(500));
        assert_eq!(count(&pair, SERVER, Counter::SynDroppedQueueFull), 1);
        assert_eq!(state(&pair, CLIENT, third), "SYN-SENT");
        assert!(pair.hosts[SERVER].tcp_accept(listener).is_some());
        pair.run(ms(1000));
        assert_eq!(state(&pair, CLIENT, third), "ESTABLISHED");
    });
}

#[test]
fn closing_a_listener_resets_what_was_not_accepted_and_leaves_the_rest() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let listener = pair.listen(knobs());
        let first = pair.open(knobs());
        pair.run(ms(50));
        let accepted = pair.hosts[SERVER].tcp_accept(listener).unwrap();
        let second = pair.open(knobs());
        pair.run(ms(50));
        pair.hosts[SERVER].tcp_close_listener(pair.now, listener).unwrap();
        pair.run(ms(50));
        assert_eq!(state(&pair, CLIENT, first), "ESTABLISHED");
        assert_eq!(state(&pair, SERVER, accepted), "ESTABLISHED");
        assert_eq!(pair.events[CLIENT].last(), Some(&Event::Closed(second, Some(SocketError::Reset))));
    });
}

#[test]
fn a_peer_without_options_gets_small_segments_and_unscaled_windows() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let plain = Knobs { sack: false, timestamps: false, window_scaling: false, ..knobs() };
        let [client, server] = pair.connect(plain, knobs());
        let info = pair.hosts[SERVER].tcp_info(server).unwrap();
        assert_eq!((info.snd_wscale, info.rcv_wscale), (0, 0));
        assert_eq!(pair.log[1].tcp().options.timestamps, None);
        assert!(!pair.log[1].tcp().options.sack_permitted);
        let written = pair.write(CLIENT, client, 50_000);
        pair.run(ms(300));
        assert_eq!(pair.read(SERVER, server).len(), written);
    });
}

#[test]
fn a_segment_that_ends_beyond_the_window_is_taken_only_while_nothing_is_unread() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let tight = Knobs { rcvbuf: 1_152, timestamps: false, ..knobs() };
        let [_, server] = pair.connect(without_timestamps(), tight);
        let window = last_from(&pair, SERVER).window;
        assert_eq!(window, 1_152);
        let packet = forged(&pair, |_| {}, &[7; 1400]);
        pair.inject(SERVER, packet);
        pair.run(ms(1));
        let packet = forged(&pair, |header| header.seq += 1400, &[7; 1400]);
        pair.inject(SERVER, packet);
        pair.run(ms(1));
        assert_eq!(pair.hosts[SERVER].counters().get(Counter::BeyondWindow), 1);
        assert_eq!(pair.read(SERVER, server).len(), 1_400);
    });
}

#[test]
fn a_segment_before_the_stream_begins_does_no_harm() {
    let mut pair = Pair::new(false, ms(1));
    let [_, server] = pair.connect(without_timestamps(), knobs());
    for back in [1u32, 2, 1000, 1 << 30, 1 << 31] {
        let packet = forged(&pair, |header| header.seq = Seq(header.seq.0.wrapping_sub(back)), b"xyz");
        pair.inject(SERVER, packet);
        pair.run(ms(1));
    }
    assert_eq!(pair.read(SERVER, server).len(), 2, "two bytes of the first segment lie in the window");
    assert_eq!(state(&pair, SERVER, server), "ESTABLISHED");
}

#[test]
fn a_large_segment_goes_whole_to_a_device_that_cuts_it() {
    both(|ipv6| {
        let mut pair = Pair::with(ipv6, ms(1), 1500, true, 3);
        let [client, server] = pair.connect(knobs(), knobs());
        pair.take_log();
        pair.write(CLIENT, client, 14_000);
        let first = &pair.log[0];
        let mss = if ipv6 { 1428 } else { 1448 };
        assert_eq!(first.packet.offload.segment_bytes, Some(mss));
        assert_eq!(first.packet.payload.len(), usize::from(mss) * 5);
        assert!(first.tcp().flags.contains(TcpFlags::PSH));
        pair.run(ms(100));
        assert_eq!(pair.read(SERVER, server).len(), 14_000);
        let info = pair.hosts[CLIENT].tcp_info(client).unwrap();
        assert_eq!(info.data_segs_out, 10);
    });
}

#[test]
fn a_write_that_does_not_fit_says_how_much_did_and_when_there_is_room() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(Knobs { sndbuf: 10_000, ..knobs() }, knobs());
        let written = pair.write(CLIENT, client, 50_000);
        // The value is doubled, and a buffer of half the peer's window is filled although it does not fit (as on Linux).
        assert!((20_000..50_000).contains(&written), "{written}");
        let again = pair.hosts[CLIENT].tcp_send(pair.now, client, "x".into(), SendFlags::default());
        assert_eq!(again, Err(SocketError::WouldBlock));
        pair.run(ms(100));
        assert_eq!(pair.read(SERVER, server).len(), written);
        assert_eq!(pair.events[CLIENT].last(), Some(&Event::Writable(client)));
    });
}

#[test]
fn a_silence_longer_than_the_timeout_restarts_the_window() {
    both(|ipv6| {
        for (restart, expected) in [(true, 10), (false, 20)] {
            let mut pair = Pair::new(ipv6, ms(10));
            let ours = Knobs { slow_start_after_idle: restart, ..knobs() };
            let [client, server] = pair.connect(ours, knobs());
            let mss = pair.hosts[CLIENT].tcp_info(client).unwrap().snd_mss as usize;
            pair.write(CLIENT, client, 10 * mss);
            pair.run(ms(200));
            pair.read(SERVER, server);
            assert_eq!(pair.hosts[CLIENT].tcp_info(client).unwrap().snd_cwnd, 20);
            pair.run(ms(3_000));
            pair.take_log();
            pair.write(CLIENT, client, 20 * mss);
            assert_eq!(pair.log.len(), expected, "restart {restart}");
        }
    });
}

#[test]
fn timers_and_ids_of_many_connections_do_not_mix() {
    let mut pair = Pair::new(false, ms(1));
    let listener = pair.listen(knobs());
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let sockets: Vec<SocketId> = (0..10).map(|_| pair.open(knobs())).collect();
        pair.run(ms(10));
        for socket in sockets {
            assert!(ids.insert(socket), "an id came twice");
            pair.hosts[CLIENT].tcp_abort(pair.now, socket).unwrap();
        }
        pair.run(ms(10));
        while let Some(accepted) = pair.hosts[SERVER].tcp_accept(listener) {
            assert_eq!(pair.hosts[SERVER].tcp_recv(pair.now, accepted, 1), Err(SocketError::Reset));
            pair.hosts[SERVER].tcp_close(pair.now, accepted).unwrap();
        }
    }
    assert_eq!(pair.hosts[CLIENT].poll_timeout(), None::<Instant>);
    assert_eq!(pair.hosts[SERVER].poll_timeout(), None::<Instant>);
}
