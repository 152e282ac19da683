//! Two hosts talk: handshake, data, Nagle and delayed ACK, close.

mod pair;

use narrows_stack::tcp::ack::AckReason;
use narrows_stack::tcp::nagle::HoldReason;
use narrows_stack::{Event, Knobs, SocketError};
use narrows_wire::TcpFlags;
use pair::*;

#[test]
fn a_handshake_takes_three_segments_and_one_round_trip() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, _] = pair.connect(knobs(), knobs());
        assert_eq!(pair.lines(), ["0.0 > S 0", "10.0 < S. 0", "20.0 > . 0"]);
        assert_eq!(pair.events[CLIENT], [Event::Connected(client)]);
        let syn = pair.log[0].tcp();
        assert_eq!(syn.options.mss, Some(if ipv6 { 1440 } else { 1460 }));
        assert_eq!(syn.options.window_scale, Some(10));
        assert!(syn.options.sack_permitted && syn.options.timestamps.is_some());
        assert_eq!(syn.window, if ipv6 { 64_800 } else { 64_240 });
        assert_eq!(pair.log[1].tcp().window, if ipv6 { 64_260 } else { 65_160 });
        let info = pair.hosts[CLIENT].tcp_info(client).unwrap();
        assert_eq!(info.rtt_ns, 20_000_000);
        assert_eq!(info.snd_mss, if ipv6 { 1428 } else { 1448 });
    });
}

#[test]
fn a_request_and_its_answer_arrive_byte_for_byte() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(5));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.write(CLIENT, client, 100);
        pair.run(ms(6));
        assert_eq!(pair.read(SERVER, server), vec![0x5a; 100]);
        pair.write(SERVER, server, 20_000);
        pair.run(ms(100));
        assert_eq!(pair.read(CLIENT, client), vec![0x5a; 20_000]);
    });
}

#[test]
fn two_small_writes_meet_nagle_and_the_delayed_ack() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let linux = Knobs { hz: 250, ..Knobs::default() };
        let [client, server] = pair.connect(linux.clone(), linux);
        for round in 0..3 {
            pair.take_log();
            let begun = pair.now;
            pair.write(CLIENT, client, 10);
            pair.write(CLIENT, client, 20);
            let mut got = 0;
            while got < 30 {
                assert!(pair.step(begun + ms(500)));
                got += pair.read(SERVER, server).len();
            }
            let took = pair.now.since(begun);
            pair.write(SERVER, server, 5);
            pair.run(ms(20));
            pair.read(CLIENT, client);
            if round == 0 {
                assert!(took < ms(5), "quick ACK in the first round: {took:?}");
            } else {
                assert!((ms(42)..=ms(50)).contains(&took), "round {round}: {took:?}");
            }
        }
        let writer = pair.hosts[CLIENT].tcp_info(client).unwrap().reasons;
        assert_eq!(writer.held(HoldReason::Nagle).count, 3);
        assert!(writer.held(HoldReason::Nagle).time > ms(80));
        let reader = pair.hosts[SERVER].tcp_info(server).unwrap().reasons;
        // Two in the first round; later the timer leaves interactive mode, and the second write gets one.
        assert_eq!(reader.acks(AckReason::Quick), 4);
        assert_eq!(reader.acks(AckReason::DelayedTimer), 2);
    });
}

#[test]
fn nodelay_lets_both_writes_leave_at_once() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [client, _] = pair.connect(Knobs { nodelay: true, ..knobs() }, knobs());
        pair.take_log();
        pair.write(CLIENT, client, 10);
        pair.write(CLIENT, client, 20);
        let sent: Vec<usize> = pair.log.iter().map(|seen| seen.packet.payload.len()).collect();
        assert_eq!(sent, [10, 20]);
        assert!(pair.log.iter().all(|seen| seen.tcp().flags.contains(TcpFlags::PSH)));
    });
}

#[test]
fn msg_more_holds_a_partial_segment_until_the_next_write() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [client, _] = pair.connect(Knobs { nodelay: true, ..knobs() }, knobs());
        pair.take_log();
        pair.write_more(CLIENT, client, 10);
        assert!(pair.log.is_empty());
        pair.write(CLIENT, client, 20);
        assert_eq!(pair.log.len(), 1);
        assert_eq!(pair.log[0].packet.payload.len(), 30);
    });
}

#[test]
fn a_cork_lets_a_partial_segment_go_after_200_ms() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [client, server] = pair.connect(Knobs { cork: true, ..knobs() }, knobs());
        let begun = pair.now;
        pair.write(CLIENT, client, 10);
        while pair.read(SERVER, server).is_empty() {
            assert!(pair.step(begun + ms(500)));
        }
        let took = pair.now.since(begun);
        assert!((ms(200)..ms(210)).contains(&took), "{took:?}");
    });
}

#[test]
fn clearing_the_cork_lets_the_partial_segment_go_at_once() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [client, _] = pair.connect(Knobs { cork: true, ..knobs() }, knobs());
        pair.take_log();
        pair.write(CLIENT, client, 10);
        assert!(pair.log.is_empty());
        let now = pair.now;
        pair.hosts[CLIENT].tcp_set(now, client, "cork", "false").unwrap();
        pair.flush();
        assert_eq!(pair.log.len(), 1);
    });
}

#[test]
fn the_side_that_closes_first_rests_in_time_wait() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(knobs(), knobs());
        pair.take_log();
        let now = pair.now;
        pair.hosts[CLIENT].tcp_close(now, client).unwrap();
        pair.run(ms(15));
        assert_eq!(pair.hosts[SERVER].tcp_recv(pair.now, server, 100), Ok(bytes::Bytes::new()));
        let now = pair.now;
        pair.hosts[SERVER].tcp_close(now, server).unwrap();
        pair.run(ms(100));
        let flags: Vec<String> =
            pair.lines().iter().map(|line| line.split(' ').skip(1).take(2).collect()).collect();
        assert_eq!(flags, [">F.", "<.", "<F.", ">."]);
        assert_eq!(pair.hosts[SERVER].tcp_info(server), Err(SocketError::UnknownSocket));
        let until = pair.hosts[CLIENT].poll_timeout().expect("TIME-WAIT");
        let left = until.since(pair.now);
        assert!(left > ms(59_000) && left <= ms(60_000), "{left:?}");
        pair.run(ms(61_000));
        assert_eq!(pair.hosts[CLIENT].poll_timeout(), None);
        assert_eq!(pair.hosts[SERVER].poll_timeout(), None);
    });
}

#[test]
fn a_half_closed_connection_still_carries_data_the_other_way() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = pair.connect(knobs(), knobs());
        let now = pair.now;
        pair.hosts[CLIENT].tcp_shutdown(now, client).unwrap();
        pair.run(ms(100));
        pair.write(SERVER, server, 5000);
        pair.run(ms(100));
        assert_eq!(pair.read(CLIENT, client).len(), 5000);
        let now = pair.now;
        assert_eq!(
            pair.hosts[CLIENT].tcp_send(now, client, "x".into(), Default::default()),
            Err(SocketError::BrokenPipe)
        );
        pair.hosts[SERVER].tcp_close(now, server).unwrap();
        pair.run(ms(100));
        assert_eq!(pair.hosts[CLIENT].tcp_recv(pair.now, client, 10), Ok(bytes::Bytes::new()));
        assert!(pair.events[CLIENT].contains(&Event::Closed(client, None)));
    });
}

#[test]
fn a_connection_to_a_port_without_listener_is_refused() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let socket = pair.open(knobs());
        pair.run(ms(100));
        assert_eq!(pair.events[CLIENT], [Event::Closed(socket, Some(SocketError::Refused))]);
        let reset = pair.log[1].tcp();
        assert_eq!(reset.flags, TcpFlags::RST | TcpFlags::ACK);
        assert_eq!(reset.ack, pair.log[0].tcp().seq + 1);
    });
}
