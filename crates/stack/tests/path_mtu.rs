//! A narrower path is found by what routers report, or by probing where they are silent (RFC 1191, 8201, 4821), and nobody who
//! cannot see a connection can make it slower (RFC 5927).

mod pair;

use bytes::Bytes;
use narrows_stack::icmp::error_about;
use narrows_stack::knob::{MtuProbing, PmtuDiscovery};
use narrows_stack::{Counter, Instant, InterfaceId, Knobs, SendFlags, SocketId};
use narrows_wire::{IcmpMessage, Packet, Seq, TcpFlags, TcpHeader, TcpOptions, Transport};
use pair::*;
use std::time::Duration;

/// The server sends `bytes` to the client; how long until all of it was read.
fn download(pair: &mut Pair, sockets: [SocketId; 2], bytes: usize, limit: Duration) -> Option<Duration> {
    transfer(pair, sockets, SERVER, bytes, limit)
}

/// The same from either side.
fn transfer(
    pair: &mut Pair,
    sockets: [SocketId; 2],
    from: usize,
    bytes: usize,
    limit: Duration,
) -> Option<Duration> {
    let begun = pair.now;
    let (mut written, mut got) = (0, 0);
    while got < bytes {
        while written < bytes {
            let data = Bytes::from(vec![1u8; (bytes - written).min(60_000)]);
            match pair.hosts[from].tcp_send(pair.now, sockets[from], data, SendFlags::default()) {
                Ok(taken) => written += taken,
                Err(_) => break,
            }
        }
        if !pair.step(begun + limit) {
            return None;
        }
        got += pair.read(1 - from, sockets[1 - from]).len();
    }
    Some(pair.now.since(begun))
}

fn counted(pair: &Pair, counter: Counter) -> u64 {
    pair.hosts[SERVER].counters().get(counter)
}

fn info(pair: &Pair, sockets: [SocketId; 2]) -> narrows_stack::TcpInfo {
    pair.hosts[SERVER].tcp_info(sockets[SERVER]).unwrap()
}

#[test]
fn a_report_lowers_the_segment_size_and_costs_a_round_trip_and_no_window() {
    both(|ipv6| {
        let wide = {
            let mut pair = Pair::new(ipv6, ms(10));
            let sockets = pair.connect(knobs(), knobs());
            download(&mut pair, sockets, 300_000, ms(5_000)).unwrap()
        };
        let mut pair = Pair::new(ipv6, ms(10));
        pair.narrow = Some((1_450, true));
        let sockets = pair.connect(knobs(), knobs());
        let took = download(&mut pair, sockets, 300_000, ms(5_000)).unwrap();
        let lost = took.saturating_sub(wide);
        assert!(lost >= ms(20) && lost <= ms(45), "{lost:?}");
        let info = info(&pair, sockets);
        assert_eq!(info.pmtu, 1_450);
        assert_eq!(info.snd_mss, 1_450 - if ipv6 { 72 } else { 52 });
        assert_eq!(counted(&pair, Counter::PathMtuLowered), 1);
        assert_eq!(counted(&pair, Counter::PathMtuNotLowered), 9, "one for each other segment of the flight");
        assert_eq!(counted(&pair, Counter::ResentForSize), 1);
        assert_eq!(counted(&pair, Counter::Timeouts), 0);
        // Five groups of two full segments become five times three (as Linux: 15 for 10).
        assert_eq!(info.total_retrans, 15);
        assert!(info.snd_cwnd > 10);
    });
}

#[test]
fn the_next_connection_knows_the_path_but_still_announces_the_interface() {
    let mut pair = Pair::new(false, ms(10));
    pair.narrow = Some((1_400, true));
    let first = pair.connect(knobs(), knobs());
    download(&mut pair, first, 50_000, ms(5_000)).unwrap();
    pair.take_log();
    // Backwards this time: the server opens towards the client.
    let address = std::net::SocketAddr::new(pair.addresses[CLIENT], 81);
    let listener = pair.hosts[CLIENT].tcp_listen(address, 4, knobs()).unwrap();
    let socket = pair.hosts[SERVER].tcp_connect(pair.now, address, None, knobs()).unwrap();
    pair.run(ms(100));
    let accepted = pair.hosts[CLIENT].tcp_accept(listener).unwrap();
    let syn =
        pair.log.iter().find(|seen| seen.from == SERVER && seen.tcp().flags.contains(TcpFlags::SYN)).unwrap();
    assert_eq!(syn.tcp().options.mss, Some(1_460));
    download(&mut pair, [accepted, socket], 50_000, ms(5_000)).unwrap();
    assert_eq!(counted(&pair, Counter::PathMtuLowered), 1);
    assert_eq!(info(&pair, [accepted, socket]).total_retrans, 0);
}

#[test]
fn every_connection_of_the_path_is_told_and_resends_at_once() {
    let mut pair = Pair::new(false, ms(10));
    let listener = pair.listen(knobs());
    let clients = [pair.open(knobs()), pair.open(knobs())];
    pair.run(ms(60));
    let servers = [(); 2].map(|()| pair.hosts[SERVER].tcp_accept(listener).unwrap());
    pair.narrow = Some((1_300, true));
    // The second connection's segments arrive at the router a moment later than the report about the first one's.
    let data = || Bytes::from(vec![1u8; 5 * 1_448]);
    pair.hosts[SERVER].tcp_send(pair.now, servers[0], data(), SendFlags::default()).unwrap();
    pair.hosts[SERVER].tcp_send(pair.now, servers[1], data(), SendFlags::default()).unwrap();
    pair.run(ms(40));
    for (client, server) in clients.into_iter().zip(servers) {
        assert_eq!(pair.read(CLIENT, client).len() + pair.read(CLIENT, client).len(), 5 * 1_448);
        assert_eq!(pair.hosts[SERVER].tcp_info(server).unwrap().snd_mss, 1_248);
    }
    assert_eq!(counted(&pair, Counter::PathMtuLowered), 1);
    assert_eq!(counted(&pair, Counter::ResentForSize), 2);
    assert_eq!(counted(&pair, Counter::Timeouts), 0);
}

#[test]
fn after_ten_minutes_larger_segments_are_tried_again() {
    let mut pair = Pair::new(false, ms(10));
    pair.narrow = Some((1_400, true));
    let sockets = pair.connect(knobs(), knobs());
    download(&mut pair, sockets, 50_000, ms(5_000)).unwrap();
    pair.narrow = None;
    pair.run(Duration::from_secs(590));
    pair.take_log();
    download(&mut pair, sockets, 50_000, ms(5_000)).unwrap();
    assert_eq!(pair.log.iter().map(|seen| seen.packet.len()).max(), Some(1_400));
    pair.run(Duration::from_secs(20));
    download(&mut pair, sockets, 50_000, ms(5_000)).unwrap();
    assert_eq!(pair.log.iter().map(|seen| seen.packet.len()).max(), Some(1_500));
    assert_eq!(info(&pair, sockets).pmtu, 1_500);
}

#[test]
fn a_path_below_the_floor_is_left_to_fragmentation() {
    let mut pair = Pair::new(false, ms(10));
    pair.narrow = Some((300, true));
    let sockets = pair.connect(knobs(), knobs());
    let data = Bytes::from(vec![1u8; 1_448]);
    pair.hosts[SERVER].tcp_send(pair.now, sockets[SERVER], data, SendFlags::default()).unwrap();
    pair.run(ms(25));
    let last = pair.log.last().unwrap();
    assert!(last.packet.len() > 300 && last.packet.len() <= 552);
    assert!(!last.packet.ip.fragment.dont_fragment);
    assert_eq!(info(&pair, sockets).pmtu, 552);
}

#[test]
fn a_black_hole_stops_a_connection_for_seconds_with_probing_and_for_good_without() {
    both(|ipv6| {
        for (probing, times) in [
            (MtuProbing::Off, None),
            (MtuProbing::BlackHole, Some(3_000..6_000)),
            (MtuProbing::Always, Some(3_000..6_000)),
        ] {
            let mut pair = Pair::new(ipv6, ms(10));
            pair.narrow = Some((1_400, false));
            let server = Knobs { mtu_probing: probing, ..knobs() };
            let sockets = pair.connect(knobs(), server);
            let took = download(&mut pair, sockets, 300_000, ms(20_000)).map(|took| took.as_millis());
            assert_eq!(took.is_some(), times.is_some(), "{probing:?}");
            if let (Some(took), Some(times)) = (took, times) {
                assert!(times.contains(&took), "{probing:?}: {took} ms");
                assert_eq!(counted(&pair, Counter::MtuBlackHoles), 1);
                let mss = info(&pair, sockets).snd_mss;
                let headers = if ipv6 { 72 } else { 52 };
                assert!(mss > 1_000 && mss + headers <= 1_400, "{mss}");
            }
        }
    });
}

#[test]
fn a_sender_that_opened_and_always_probes_has_no_stall_and_finds_the_size() {
    let mut pair = Pair::new(false, ms(10));
    pair.narrow = Some((1_400, false));
    let sockets = pair.connect(Knobs { mtu_probing: MtuProbing::Always, ..knobs() }, knobs());
    let swapped = [sockets[SERVER], sockets[CLIENT]];
    let first = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap();
    assert_eq!(first.snd_mss, 1_024);
    let (bytes, begun) = (1_000_000, pair.now);
    let (mut written, mut got) = (0, 0);
    while got < bytes {
        while written < bytes {
            let data = Bytes::from(vec![1u8; (bytes - written).min(60_000)]);
            match pair.hosts[CLIENT].tcp_send(pair.now, swapped[1], data, SendFlags::default()) {
                Ok(taken) => written += taken,
                Err(_) => break,
            }
        }
        assert!(pair.step(begun + ms(5_000)), "stuck");
        got += pair.read(SERVER, swapped[0]).len();
    }
    assert!(pair.now.since(begun) < ms(400), "{:?}", pair.now.since(begun));
    let counters = pair.hosts[CLIENT].counters();
    assert_eq!(counters.get(Counter::Timeouts), 0);
    assert!(counters.get(Counter::MtuProbesLost) >= 1 && counters.get(Counter::MtuProbesAcknowledged) >= 2);
    let info = pair.hosts[CLIENT].tcp_info(sockets[CLIENT]).unwrap();
    // A lost probe is congestion where only the reordering timer finds it, and then it says nothing, as with Linux.
    let by_timer = counters.get(Counter::FastRetransmits);
    assert_eq!(info.snd_ssthresh > 1_000_000, by_timer == 0);
    let judged = counters.get(Counter::MtuProbesLost) + counters.get(Counter::MtuProbesAcknowledged);
    assert!((judged..=judged + by_timer).contains(&counters.get(Counter::MtuProbes)));
    assert!((1_392..=1_400).contains(&(info.snd_mss + 52)), "{}", info.snd_mss);
}

/// A sender that opened and probes from the start, with so much written that the first segment is a probe: the packets that leave at
/// once, and the sender's socket.
fn first_probe(offload: bool) -> (Pair, SocketId, Vec<Packet>) {
    let mut pair = Pair::with(false, ms(10), 1_500, offload, 1);
    let always = Knobs { mtu_probing: MtuProbing::Always, initcwnd: 12, ..knobs() };
    let socket = pair.connect(always, knobs())[CLIENT];
    pair.run(ms(500));
    pair.keep_log = true;
    pair.take_log();
    pair.write(CLIENT, socket, 12_000);
    pair.flush();
    let sent = pair.take_log().into_iter().filter(|seen| seen.from == CLIENT).map(|seen| seen.packet);
    let sent = sent.collect();
    (pair, socket, sent)
}

#[test]
fn a_probe_is_one_segment_also_where_the_device_cuts() {
    for offload in [false, true] {
        let (pair, _, sent) = first_probe(offload);
        assert_eq!(pair.hosts[CLIENT].counters().get(Counter::MtuProbes), 1);
        // Half between what 1024 bytes of payload need (1076) and the interface's 1500.
        assert_eq!((sent[0].len(), sent[0].offload.segment_bytes), (1_288, None), "offload: {offload}");
        let others = sent[1..].iter().map(|packet| packet.offload.segment_bytes.is_some());
        assert_eq!(others.into_iter().any(|large| large), offload, "the others are what the device may cut");
    }
}

#[test]
fn a_probe_that_got_through_keeps_the_window_s_bytes() {
    let (mut pair, socket, sent) = first_probe(false);
    let window = |pair: &Pair| u64::from(pair.hosts[CLIENT].tcp_info(socket).unwrap().snd_cwnd);
    let before = window(&pair);
    while pair.hosts[CLIENT].counters().get(Counter::MtuProbesAcknowledged) == 0 {
        let limit = pair.now + ms(1_000);
        assert!(pair.step(limit), "the probe was not acknowledged");
    }
    // Packets were of 1076 bytes until then. In slow start the acknowledgement, of all that was sent, then adds to what is left.
    let kept = before * 1_076 / sent[0].len() as u64;
    assert_eq!(window(&pair), kept + sent.len() as u64, "from {before}");
}

#[test]
fn discovery_modes_decide_about_df_and_about_reports() {
    for (mode, df, reports) in [
        (PmtuDiscovery::Want, true, true),
        (PmtuDiscovery::Dont, false, false),
        (PmtuDiscovery::Do, true, true),
        (PmtuDiscovery::Probe, true, false),
        (PmtuDiscovery::Interface, false, false),
        (PmtuDiscovery::Omit, false, false),
    ] {
        let mut pair = Pair::new(false, ms(10));
        pair.narrow = Some((1_400, true));
        let sockets = pair.connect(knobs(), Knobs { pmtu_discovery: mode, ..knobs() });
        let data = Bytes::from(vec![1u8; 5_000]);
        pair.hosts[SERVER].tcp_send(pair.now, sockets[SERVER], data, SendFlags::default()).unwrap();
        pair.run(ms(50));
        let sent = pair.log.iter().filter(|seen| seen.from == SERVER && !seen.packet.payload.is_empty());
        assert!(sent.clone().all(|seen| seen.packet.ip.fragment.dont_fragment == df), "{mode:?}");
        assert_eq!(counted(&pair, Counter::PathMtuLowered), u64::from(reports), "{mode:?}");
    }
}

/// A report about a segment that nobody has sent, as somebody makes it up who cannot see the connection.
fn forged(pair: &Pair, seq: Seq, port: u16, mtu: u32) -> Packet {
    let header = TcpHeader {
        source_port: 80,
        destination_port: port,
        seq,
        ack: Seq(0),
        flags: TcpFlags::ACK,
        window: 0,
        urgent: 0,
        options: TcpOptions::default(),
    };
    let quoted =
        Packet::tcp(pair.addresses[SERVER], pair.addresses[CLIENT], header, Bytes::from(vec![0; 1_400]));
    let router =
        if pair.addresses[0].is_ipv4() { [10, 0, 0, 66].into() } else { "fd00::66".parse().unwrap() };
    error_about(&quoted, IcmpMessage::PacketTooBig { mtu }, router)
}

#[test]
fn somebody_who_cannot_see_the_connection_cannot_make_its_segments_smaller() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let sockets = pair.connect(knobs(), knobs());
        let port = pair.hosts[CLIENT].tcp_addresses(sockets[CLIENT]).unwrap().0.port();
        let syn_ack = pair.log.iter().find(|seen| seen.from == SERVER).unwrap().tcp().seq;
        let data = Bytes::from(vec![1u8; 20_000]);
        pair.hosts[SERVER].tcp_send(pair.now, sockets[SERVER], data, SendFlags::default()).unwrap();
        pair.flush();
        let before = info(&pair, sockets);
        assert!(before.unacked > 0);
        // The right ports and any sequence number that is not in flight; the wrong port and the right number.
        for step in 1..2_000u32 {
            let packet = forged(&pair, syn_ack + 30_000 + step * 2_000_000, port, 552);
            pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), packet);
        }
        let packet = forged(&pair, syn_ack + 1, port.wrapping_add(1), 552);
        pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), packet);
        let after = info(&pair, sockets);
        assert_eq!(
            (after.snd_mss, after.snd_cwnd, after.pmtu),
            (before.snd_mss, before.snd_cwnd, before.pmtu)
        );
        assert_eq!(counted(&pair, Counter::IcmpNotBelieved), 2_000);
        // Who sees it can, but not below the floor.
        let packet = forged(&pair, syn_ack + 1, port, 68);
        pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), packet);
        assert_eq!(info(&pair, sockets).pmtu, if ipv6 { 1_280 } else { 552 });
        assert!(pair.hosts[SERVER].poll_timeout().is_some());
    });
}

#[test]
fn an_error_ends_an_attempt_to_connect_and_nothing_else() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let socket = pair.open(knobs());
        pair.flush();
        let syn = pair.log[0].packet.clone();
        let router = if ipv6 { "fd00::66".parse().unwrap() } else { [10, 0, 0, 66].into() };
        let port_unreachable = IcmpMessage::Unreachable { code: if ipv6 { 4 } else { 3 } };
        let error = error_about(&syn, port_unreachable, router);
        pair.hosts[CLIENT].handle_packet(pair.now, InterfaceId(0), error);
        pair.flush();
        let closed = narrows_stack::Event::Closed(socket, Some(narrows_stack::SocketError::Refused));
        assert_eq!(pair.events[CLIENT], [closed]);

        let mut pair = Pair::new(ipv6, ms(10));
        let sockets = pair.connect(knobs(), knobs());
        pair.write(SERVER, sockets[SERVER], 3_000);
        let segment = pair.log.last().unwrap().packet.clone();
        for message in [port_unreachable, IcmpMessage::TimeExceeded { code: 0 }] {
            let error = error_about(&segment, message, router);
            pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), error);
        }
        assert_eq!(counted(&pair, Counter::IcmpSoftErrors), 2);
        pair.run(ms(100));
        assert_eq!(pair.read(CLIENT, sockets[CLIENT]).len(), 3_000);
    });
}

#[test]
fn a_router_that_does_not_say_its_mtu_is_got_past_by_the_usual_sizes() {
    let mut pair = Pair::new(false, ms(10));
    let sockets = pair.connect(knobs(), knobs());
    // Every packet above 1000 bytes is dropped and answered with MTU 0, as routers did before RFC 1191.
    pair.rule = Some(Box::new(|_, packet| if packet.len() > 1_000 { Vec::new() } else { vec![ms(10)] }));
    let data = Bytes::from(vec![1u8; 5_000]);
    pair.hosts[SERVER].tcp_send(pair.now, sockets[SERVER], data, SendFlags::default()).unwrap();
    let mut answered = 0;
    for _ in 0..2_000 {
        while answered < pair.log.len() {
            let packet = pair.log[answered].packet.clone();
            answered += 1;
            if packet.len() > 1_000 {
                let report =
                    error_about(&packet, IcmpMessage::PacketTooBig { mtu: 0 }, [10, 0, 0, 66].into());
                assert!(matches!(report.transport, Transport::Icmp(_)));
                pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), report);
            }
        }
        if !pair.step(Instant::from_millis(5_000)) {
            break;
        }
    }
    assert_eq!(pair.read(CLIENT, sockets[CLIENT]).len(), 5_000);
    assert_eq!(info(&pair, sockets).pmtu, 552);
    assert_eq!(counted(&pair, Counter::Timeouts), 0);
}

/// A path that swallows packets above `mtu`, from the first or once the server has sent `after` packets with data.
fn hole(mtu: usize, after: usize, delay: Duration) -> Rule {
    let mut seen = 0;
    Box::new(move |_, packet| {
        seen += usize::from(!packet.payload.is_empty());
        if packet.len() > mtu && seen > after { Vec::new() } else { vec![delay] }
    })
}

#[test]
fn a_search_gets_out_of_a_black_hole_in_a_few_round_trips_and_finds_the_size() {
    both(|ipv6| {
        for (mtu, after, from) in [1_300, 1_400, 1_420, 1_492]
            .into_iter()
            .flat_map(|mtu| [(mtu, 0), (mtu, 200)])
            .flat_map(|(mtu, after)| [(mtu, after, SERVER), (mtu, after, CLIENT)])
        {
            let mut pair = Pair::new(ipv6, ms(10));
            pair.rule = Some(hole(mtu, after, ms(10)));
            let searching = || Knobs { mtu_probing: MtuProbing::Search, ..knobs() };
            let sockets = pair.connect(searching(), searching());
            let took = transfer(&mut pair, sockets, from, 2_000_000, ms(20_000)).expect("it ends");
            let case = format!("{mtu} after {after} from {from}: {took:?}");
            for _ in 0..20 {
                transfer(&mut pair, sockets, from, 300_000, ms(20_000)).expect("it ends");
            }
            let counted = |counter| pair.hosts[from].counters().get(counter);
            assert_eq!(counted(Counter::Timeouts), 0, "{case}");
            assert_eq!(counted(Counter::MtuBlackHoles), 1, "{case}");
            let info = pair.hosts[from].tcp_info(sockets[from]).unwrap();
            let packet = info.snd_mss as usize + if ipv6 { 72 } else { 52 };
            assert!(packet <= mtu && mtu - packet < 9, "{case}: {packet}");
            // Two round trips until the probe, one for its answer.
            let stall = longest_stall(&pair, from, mtu, after);
            assert!(stall <= ms(65), "{case}: {stall:?}");
            assert!(info.snd_ssthresh > 1_000_000, "a black hole is no congestion");
        }
    });
}

/// The longest time in which the sender sent nothing that passes the hole that begins after so many packets, though it had data.
fn longest_stall(pair: &Pair, from: usize, mtu: usize, after: usize) -> Duration {
    let data = pair.log.iter().filter(|seen| seen.from == from && !seen.packet.payload.is_empty());
    let begun = data.clone().next().map(|seen| seen.at);
    let passed = data.enumerate().filter(|(n, seen)| *n < after || seen.packet.len() <= mtu);
    let times: Vec<Instant> = begun.into_iter().chain(passed.map(|(_, seen)| seen.at)).collect();
    times.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap()
}

#[test]
fn without_sack_a_search_needs_two_timeouts() {
    let mut pair = Pair::new(false, ms(10));
    pair.rule = Some(hole(1_400, 0, ms(10)));
    let server = Knobs { mtu_probing: MtuProbing::Search, sack: false, ..knobs() };
    let sockets = pair.connect(knobs(), server);
    let took = download(&mut pair, sockets, 1_000_000, ms(20_000)).expect("it ends");
    assert_eq!(counted(&pair, Counter::MtuBlackHoles), 1);
    assert!(took < ms(1_800), "{took:?}");
    let packet = info(&pair, sockets).snd_mss + 52;
    assert!(packet <= 1_400 && packet > 1_391, "{packet}");
}

#[test]
fn an_answer_of_a_few_segments_ends_soon_too() {
    for bytes in [1_448, 1_500, 2 * 1_448, 5_000, 5 * 1_448] {
        let mut pair = Pair::new(false, ms(10));
        pair.rule = Some(hole(1_400, 0, ms(10)));
        let sockets = pair.connect(knobs(), Knobs { mtu_probing: MtuProbing::Search, ..knobs() });
        for _ in 0..3 {
            let took = download(&mut pair, sockets, bytes, ms(20_000)).expect("it ends");
            assert!(took < ms(1_000), "{bytes}: {took:?}");
        }
        assert_eq!(counted(&pair, Counter::MtuBlackHoles), 1, "{bytes}");
        let took = download(&mut pair, sockets, bytes, ms(20_000)).expect("it ends");
        assert!(took < ms(100), "{bytes}: {took:?}");
    }
}

#[test]
fn a_search_takes_congestion_for_congestion() {
    let run = |probing, percent: u64, seed: u64, bytes| {
        let mut pair = Pair::with(false, ms(10), 1_500, false, seed);
        pair.keep_log = false;
        let sockets = pair.connect(knobs(), Knobs { mtu_probing: probing, ..knobs() });
        let mut state = seed;
        pair.rule = Some(Box::new(move |_, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (state >> 33) % 100 < percent { Vec::new() } else { vec![ms(10)] }
        }));
        let took = download(&mut pair, sockets, bytes, ms(200_000)).expect("it ends");
        (took, counted(&pair, Counter::MtuBlackHoles), info(&pair, sockets).snd_mss)
    };
    for percent in [0, 1, 2, 5] {
        let mut times = [Duration::ZERO; 2];
        for seed in 0..20 {
            for (sum, probing) in times.iter_mut().zip([MtuProbing::Off, MtuProbing::Search]) {
                let (took, holes, mss) = run(probing, percent, seed, 500_000);
                assert_eq!((holes, mss), (0, 1_448), "{percent} % lost, seed {seed}");
                *sum += took;
            }
        }
        let [without, with] = times.map(|time| time.as_secs_f64());
        assert!(with < without * 1.03, "{percent} % lost: {without} s without, {with} s with");
    }
}

#[test]
fn a_path_that_is_down_for_a_while_is_no_black_hole() {
    for length in [30, 60, 100, 300, 700, 1_000] {
        let mut pair = Pair::new(false, ms(10));
        let sockets = pair.connect(knobs(), Knobs { mtu_probing: MtuProbing::Search, ..knobs() });
        let now = std::rc::Rc::new(std::cell::Cell::new(pair.now));
        let (clock, down) = (now.clone(), pair.now + ms(50));
        pair.rule = Some(Box::new(move |_, _| {
            let is_down = clock.get() >= down && clock.get() < down + ms(length);
            if is_down { Vec::new() } else { vec![ms(10)] }
        }));
        let mut got = 0;
        while got < 400_000 {
            let data = Bytes::from(vec![1u8; 60_000]);
            let _ = pair.hosts[SERVER].tcp_send(pair.now, sockets[SERVER], data, SendFlags::default());
            now.set(pair.next().expect("a timer at least"));
            assert!(pair.step(pair.now + ms(9_000)), "{length} ms: {got}");
            got += pair.read(CLIENT, sockets[CLIENT]).len();
        }
        assert_eq!(counted(&pair, Counter::MtuBlackHoles), 0, "{length} ms");
        assert_eq!(info(&pair, sockets).snd_mss, 1_448, "{length} ms");
    }
}

#[test]
fn an_mtu_that_changes_while_a_connection_lives_counts_from_the_next_burst_on() {
    for by_route in [true, false] {
        for ipv6 in [false, true] {
            let mut pair = Pair::new(ipv6, ms(10));
            let socket = pair.connect(knobs(), knobs())[CLIENT];
            pair.run(ms(500));
            let mut sizes = |mtu: u32| {
                let (now, host) = (pair.now, &mut pair.hosts[CLIENT]);
                if by_route {
                    host.set_route_mtu(now, InterfaceId(0), mtu);
                } else {
                    host.set_interface_mtu(now, InterfaceId(0), mtu);
                }
                [(); 2].map(|()| {
                    pair.keep_log = true;
                    pair.take_log();
                    pair.write(CLIENT, socket, 6_000);
                    pair.run(ms(500));
                    let log = pair.take_log();
                    log.iter().filter(|seen| seen.from == CLIENT).map(|seen| seen.packet.len()).max()
                })
            };
            assert_eq!(sizes(1_300), [Some(1_300), Some(1_300)], "{by_route}");
            // The peer takes as much as before.
            let second = if by_route { 1_300 } else { 1_500 };
            assert_eq!(sizes(1_500), [Some(second), Some(1_500)], "{by_route}");
        }
    }
}
