//! Many packets from many addresses: what does a flood cost, and does the honest client get through?

mod raw;

use bytes::Bytes;
use narrows_stack::knob::SynCookies;
use narrows_stack::{Counter, InterfaceId, Knobs, SocketId};
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, TcpOptions};
use raw::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A SYN of a client that does not exist.
fn flood_syn(raw: &Raw, numbers: &mut Numbers) -> Packet {
    let from = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 | numbers.next() as u32 & 0x00ff_ffff));
    let header = TcpHeader {
        source_port: numbers.next() as u16 | 1,
        seq: Seq(numbers.next() as u32),
        ..raw.header(TcpFlags::SYN, usual())
    };
    Packet::tcp(from, HOST, header, Bytes::new())
}

/// A host that remembers what it answers, or drops it.
fn without_cookies() -> Knobs {
    Knobs { syn_cookies: SynCookies::Never, ..knobs() }
}

fn count(raw: &Raw, counter: Counter) -> u64 {
    raw.host.counters().get(counter)
}

#[test]
fn a_syn_flood_takes_a_bounded_amount_of_memory() {
    let mut raw = Raw::listening(without_cookies(), 128);
    let mut numbers = Numbers(1);
    let empty = raw.host.memory_bytes();
    let mut answers = 0;
    for n in 0..50_000 {
        let packet = flood_syn(&raw, &mut numbers);
        answers += raw.deliver(packet).len();
        if n % 500 == 0 {
            answers += raw.advance(ms(10)).len();
        }
    }
    assert!(count(&raw, Counter::SynDroppedHalfOpen) > 49_000);
    let each = (raw.host.memory_bytes() - empty) / 129;
    assert!(each < 512, "{each} bytes for a handshake that nobody completes");
    assert!(answers < 400, "{answers} packets in answer");
    // All of them are given up in the end, and nothing is left.
    raw.advance(Duration::from_secs(120));
    let left = raw.host.memory_bytes() - empty;
    assert!(left < 129 * 300, "{left} bytes: empty rows and an empty queue");
    assert_eq!(raw.host.poll_timeout(), None);
}

/// While the flood goes on: half of the queue is kept for the young, so that a client that tries again finds room.
#[test]
fn an_honest_client_gets_through_a_syn_flood() {
    let mut raw = Raw::listening(without_cookies(), 64);
    let mut numbers = Numbers(2);
    let mut tries = 0;
    for tenth in 0..600 {
        // Forty in a second are enough to fill the queue for good if old ones were given their minute.
        for _ in 0..4 {
            let packet = flood_syn(&raw, &mut numbers);
            raw.deliver(packet);
        }
        if tenth > 200 && tenth % 10 == 0 {
            tries += 1;
            if !raw.say(TcpFlags::SYN, usual(), b"").is_empty() {
                break;
            }
        }
        raw.advance(ms(100));
    }
    assert!(tries < 20, "{tries} tries, one in a second");
    assert!(count(&raw, Counter::SynDroppedHalfOpen) > 0, "the flood did fill the queue");
}

/// With cookies the queue fills all the same, and does not matter: each client is answered at its first try.
#[test]
fn an_honest_client_is_answered_at_once_beside_a_hundred_thousand_forged_syns() {
    let mut raw = Raw::listening(knobs(), 128);
    let mut numbers = Numbers(6);
    let empty = raw.host.memory_bytes();
    let mut most = 0;
    let mut served = 0;
    for n in 1..=100_000u32 {
        let packet = flood_syn(&raw, &mut numbers);
        assert!(raw.deliver(packet).len() <= 1, "an answer is no longer than the question");
        if n % 1_000 == 0 {
            most = most.max(raw.host.memory_bytes() - empty);
            raw.remote.set_port(10_000 + (n / 1_000) as u16);
            raw.seq = Seq(numbers.next() as u32);
            let socket = raw.open(usual());
            assert!(count(&raw, Counter::SynCookiesSent) > 800);
            raw.data(b"honest");
            assert_eq!(raw.read(socket), b"honest");
            raw.host.tcp_abort(raw.now, socket).expect("a connection");
            raw.drain();
            served += 1;
        }
    }
    assert_eq!(served, 100);
    // 129 handshakes that are remembered, and the queue in which their SYN-ACKs once waited to be repeated.
    let bound = 129 * 1024 + 8_192;
    assert!(most < bound, "{most} bytes");
    assert_eq!(count(&raw, Counter::SynDroppedHalfOpen), 0);
    // ACKs that guess find nothing: each costs one RST.
    for _ in 0..1_000 {
        let mut packet = flood_syn(&raw, &mut numbers);
        if let narrows_wire::Transport::Tcp(header) = &mut packet.transport {
            header.flags = ACK;
            header.ack = Seq(numbers.next() as u32);
        }
        let answer = raw.deliver(packet);
        assert!(answer[0].tcp().flags.contains(TcpFlags::RST));
    }
    assert_eq!(count(&raw, Counter::SynCookiesFailed), 1_000);
    let left = raw.host.memory_bytes() - empty;
    assert!(left < bound, "{left} bytes");
    assert!(raw.host.tcp_accept(raw.listener).is_none());
}

#[test]
fn old_handshakes_are_given_up_early_only_where_the_queue_is_crowded() {
    let repetitions = |others: usize| {
        let mut raw = Raw::listening(knobs(), 16);
        let mut numbers = Numbers(3);
        raw.say(TcpFlags::SYN, usual(), b"");
        for _ in 0..others {
            let packet = flood_syn(&raw, &mut numbers);
            raw.deliver(packet);
        }
        raw.advance(Duration::from_secs(130))
            .iter()
            .filter(|sent| {
                sent.tcp().destination_port == raw.remote.port() && sent.packet.ip.destination == PEER
            })
            .count()
    };
    assert_eq!(repetitions(3), 5);
    assert_eq!(repetitions(12), 2);
}

#[test]
fn a_repeated_syn_gets_the_same_syn_ack_twice_a_second_at_most() {
    let mut raw = Raw::listening(knobs(), 16);
    let first = raw.say(TcpFlags::SYN, usual(), b"");
    let mut answers = Vec::new();
    for _ in 0..100 {
        raw.advance(ms(5));
        answers.extend(raw.say(TcpFlags::SYN, usual(), b""));
    }
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].tcp().seq, first[0].tcp().seq);
    assert_eq!(answers[0].tcp().options.mss, first[0].tcp().options.mss);
}

#[test]
fn no_connection_exists_before_the_third_segment() {
    let mut raw = Raw::listening(knobs(), 16);
    let syn_ack = raw.say(TcpFlags::SYN, usual(), b"");
    let half_open = raw.host.memory_bytes();
    raw.seq += 1;
    // Wrong acknowledgments are answered with RST, and the handshake can still be completed.
    for wrong in [0, 2, 1 << 20] {
        raw.ack = syn_ack[0].tcp().seq + wrong;
        let answer = raw.say(ACK, TcpOptions::default(), b"guess");
        assert!(answer[0].tcp().flags.contains(TcpFlags::RST));
        assert_eq!(answer[0].tcp().seq, raw.ack);
    }
    assert!(raw.host.tcp_accept(raw.listener).is_none());
    assert!(raw.host.memory_bytes() <= half_open + 1024);
    raw.ack = syn_ack[0].tcp().seq + 1;
    raw.data(b"hello");
    let socket = raw.host.tcp_accept(raw.listener).expect("a connection");
    assert_eq!(raw.read(socket), b"hello");
}

#[test]
fn a_reset_with_the_right_number_ends_a_handshake_and_another_does_not() {
    let mut raw = Raw::listening(without_cookies(), 0);
    raw.say(TcpFlags::SYN, usual(), b"");
    let mut reset = raw.header(TcpFlags::RST, TcpOptions::default());
    reset.seq = raw.seq + 100;
    raw.inject(reset.clone(), b"");
    reset.seq = raw.seq + 1;
    let mut other = flood_syn(&raw, &mut Numbers(4));
    assert!(raw.deliver(other.clone()).is_empty(), "a backlog of nothing holds one");
    raw.inject(reset, b"");
    other.ip.source = PEER;
    assert_eq!(raw.deliver(other).len(), 1);
}

#[test]
fn a_full_accept_queue_holds_one_more_than_the_backlog_and_the_handshakes_wait() {
    let mut raw = Raw::listening(knobs(), 2);
    let empty = raw.host.memory_bytes();
    for port in 0..200 {
        raw.remote.set_port(5000 + port);
        raw.seq = Seq(10_000);
        let Some(answer) = raw.say(TcpFlags::SYN, usual(), b"").first().map(|sent| sent.tcp().clone()) else {
            continue;
        };
        raw.seq += 1;
        raw.ack = answer.seq + 1;
        raw.say(ACK, TcpOptions::default(), &[7; 1000]);
    }
    assert!(count(&raw, Counter::SynDroppedQueueFull) > 190);
    assert!(raw.host.memory_bytes() - empty < 30_000, "{}", raw.host.memory_bytes() - empty);
    let accepted: Vec<SocketId> = std::iter::from_fn(|| raw.host.tcp_accept(raw.listener)).collect();
    assert_eq!(accepted.len(), 3);
}

#[test]
fn closing_the_listener_forgets_half_open_connections_and_their_third_segment_is_refused() {
    let mut raw = Raw::listening(knobs(), 16);
    let answer = raw.say(TcpFlags::SYN, usual(), b"")[0].tcp().clone();
    raw.host.tcp_close_listener(raw.now, raw.listener).expect("a listener");
    assert!(raw.drain().is_empty(), "a half-open connection vanishes without a word");
    raw.seq += 1;
    raw.ack = answer.seq + 1;
    let refusal = raw.say(ACK, TcpOptions::default(), b"");
    assert!(refusal[0].tcp().flags.contains(TcpFlags::RST));
    assert_eq!(refusal[0].tcp().seq, raw.ack);
    assert_eq!(raw.host.poll_timeout(), None);
}

#[test]
fn segments_for_no_socket_leave_nothing_behind_and_resets_are_not_answered() {
    let mut raw = Raw::listening(knobs(), 16);
    let empty = raw.host.memory_bytes();
    let mut numbers = Numbers(5);
    let mut answers = 0;
    for _ in 0..20_000 {
        let mut packet = flood_syn(&raw, &mut numbers);
        if let narrows_wire::Transport::Tcp(header) = &mut packet.transport {
            header.flags = TcpFlags(numbers.next() as u8 & !TcpFlags::SYN.0);
            header.destination_port = numbers.next() as u16;
            let answered = !header.flags.contains(TcpFlags::RST);
            let answer = raw.deliver(packet);
            assert_eq!(answer.len(), usize::from(answered));
            assert!(answer.iter().all(|sent| sent.tcp().flags.contains(TcpFlags::RST) && sent.bytes() == 0));
            answers += answer.len();
        }
    }
    assert!(answers > 5_000);
    assert!(raw.host.memory_bytes() <= empty + 4096);
}

/// The exact numbers of a refusal (RFC 9293 §3.10.7.1).
#[test]
fn a_refusal_takes_its_numbers_from_the_segment() {
    let mut raw = Raw::listening(knobs(), 16);
    raw.local.set_port(81);
    raw.ack = Seq(777);
    let with_ack = raw.say(ACK, TcpOptions::default(), b"abc")[0].tcp().clone();
    assert_eq!((with_ack.flags, with_ack.seq, with_ack.ack), (TcpFlags::RST, Seq(777), Seq(0)));
    let without = raw.say(TcpFlags::SYN | TcpFlags::FIN, TcpOptions::default(), b"abc")[0].tcp().clone();
    assert_eq!((without.flags, without.seq, without.ack), (TcpFlags::RST | ACK, Seq(0), raw.seq + 5));
}

/// Nobody may come from these addresses, least of all from the host's own (the "land" attack).
#[test]
fn packets_from_impossible_addresses_are_dropped_without_a_word() {
    let mut raw = Raw::listening(knobs(), 16);
    let impossible = ["10.0.0.1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"];
    for (n, source) in impossible.iter().enumerate() {
        for flags in [TcpFlags::SYN, ACK] {
            let mut header = raw.header(flags, usual());
            header.source_port = 80;
            let packet = Packet::tcp(source.parse().unwrap(), HOST, header, Bytes::new());
            assert!(raw.deliver(packet).is_empty(), "{source}");
        }
        assert_eq!(count(&raw, Counter::Martian), 2 * (n as u64 + 1));
    }
    for destination in ["127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.9"] {
        let packet =
            Packet::tcp(PEER, destination.parse().unwrap(), raw.header(TcpFlags::SYN, usual()), Bytes::new());
        assert!(raw.deliver(packet).is_empty(), "{destination}");
    }
}

/// An IPv4 address in IPv6's clothes must not reach an IPv4 connection.
#[test]
fn mapped_addresses_on_the_wire_are_dropped() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        other => other,
    };
    let header = raw.header(ACK, TcpOptions::default());
    let far: IpAddr = "fd00::2".parse().unwrap();
    for from in [mapped(PEER), far] {
        let packet = Packet::tcp(from, mapped(HOST), header.clone(), Bytes::from_static(b"in disguise"));
        assert!(raw.deliver(packet).is_empty());
        assert!(raw.read(socket).is_empty());
    }
    let loopback = Packet::tcp(
        "::1".parse().unwrap(),
        "fd00::1".parse().unwrap(),
        raw.header(ACK, usual()),
        Bytes::new(),
    );
    raw.host.handle_packet(raw.now, InterfaceId(0), loopback);
    assert_eq!(count(&raw, Counter::Martian), 3);
}

#[test]
fn a_host_with_the_loopback_address_hears_itself() {
    let mut host = host(3);
    let address: IpAddr = "127.0.0.1".parse().unwrap();
    let interface = host.add_interface(narrows_stack::Interface {
        addresses: vec![address],
        mtu: 65_535,
        segmentation_offload: false,
    });
    host.add_route(address, 8, interface);
    let server = SocketAddr::new(address, 80);
    let listener = host.tcp_listen(server, 4, knobs()).unwrap();
    let now = narrows_stack::Instant::ZERO;
    let client = host.tcp_connect(now, server, None, knobs()).unwrap();
    while let Some(transmit) = host.poll_transmit(now) {
        assert_eq!(transmit.interface, interface);
        host.handle_packet(now, interface, transmit.packet);
    }
    assert!(host.tcp_accept(listener).is_some());
    assert_eq!(host.tcp_info(client).unwrap().state.name(), "ESTABLISHED");
}
