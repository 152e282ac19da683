//! Datagrams arrive whole or not at all, at the right socket; what does not fit goes in pieces or is refused as IP_MTU_DISCOVER says;
//! what the network reports reaches the socket, and what somebody invents does not (RFC 768, RFC 8085, RFC 5927).

mod pair;

use bytes::Bytes;
use narrows_stack::icmp::error_about;
use narrows_stack::knob::PmtuDiscovery;
use narrows_stack::tcp::ecn::Codepoint;
use narrows_stack::{
    Counter, Host, HostConfig, Instant, Interface, InterfaceId, Knobs, UdpError, UdpEvent, UdpSend,
    UdpSocketId,
};
use narrows_wire::{IcmpMessage, Packet, Protocol, Transport, UdpHeader};
use pair::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const PORT: u16 = 5_000;

fn wildcard(ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// A socket on the server's `PORT` and one on any port of the client, connected to it.
fn sockets(pair: &mut Pair, mode: PmtuDiscovery) -> [UdpSocketId; 2] {
    let ipv6 = pair.addresses[0].is_ipv6();
    let knobs = Knobs { pmtu_discovery: mode, ..knobs() };
    let there = SocketAddr::new(pair.addresses[SERVER], PORT);
    let server = pair.hosts[SERVER].udp_bind(there, &knobs).unwrap();
    let client = pair.hosts[CLIENT].udp_bind(SocketAddr::new(wildcard(ipv6), 0), &knobs).unwrap();
    pair.hosts[CLIENT].udp_connect(client, there).unwrap();
    [client, server]
}

fn text(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

fn send(pair: &mut Pair, socket: UdpSocketId, payload_bytes: usize) -> Result<(), UdpError> {
    let sent = pair.hosts[CLIENT].udp_send(pair.now, socket, text(payload_bytes));
    pair.flush();
    sent
}

/// The payload with which a packet has `packet_bytes`.
fn payload_of(ipv6: bool, packet_bytes: usize) -> usize {
    packet_bytes - 8 - if ipv6 { 40 } else { 20 }
}

fn counted(pair: &Pair, side: usize, counter: Counter) -> u64 {
    pair.hosts[side].counters().get(counter)
}

fn udp_events(pair: &mut Pair, side: usize) -> Vec<UdpEvent> {
    std::iter::from_fn(|| pair.hosts[side].poll_udp_event()).collect()
}

#[test]
fn a_datagram_arrives_with_its_sender_and_can_be_answered() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = sockets(&mut pair, PmtuDiscovery::Want);
        for bytes in [0, 1, 1_000] {
            send(&mut pair, client, bytes).unwrap();
        }
        pair.run(ms(15));
        assert_eq!(
            udp_events(&mut pair, SERVER),
            [UdpEvent::Readable(server)],
            "one edge for three datagrams"
        );
        let mut from = None;
        for bytes in [0, 1, 1_000] {
            let datagram = pair.hosts[SERVER].udp_recv_from(server).unwrap();
            assert_eq!(datagram.payload, text(bytes));
            assert_eq!(datagram.to, SocketAddr::new(pair.addresses[SERVER], PORT));
            from = Some(datagram.from);
        }
        assert_eq!(pair.hosts[SERVER].udp_recv_from(server), Err(UdpError::WouldBlock));
        let from = from.unwrap();
        assert_eq!(from.ip(), pair.addresses[CLIENT]);
        assert!((32_768..=60_999).contains(&from.port()));
        pair.hosts[SERVER].udp_send_to(pair.now, server, from, Bytes::from_static(b"yes")).unwrap();
        pair.run(ms(15));
        assert_eq!(pair.hosts[CLIENT].udp_recv_from(client).unwrap().payload, "yes");
        // A closed socket hears nothing, and its port is free again.
        pair.hosts[SERVER].udp_close(server).unwrap();
        assert_eq!(pair.hosts[SERVER].udp_close(server), Err(UdpError::UnknownSocket));
        assert_eq!(pair.hosts[SERVER].udp_recv_from(server), Err(UdpError::UnknownSocket));
        let there = SocketAddr::new(pair.addresses[SERVER], PORT);
        assert_ne!(pair.hosts[SERVER].udp_bind(there, &knobs()).unwrap(), server);
    });
}

#[test]
fn an_exact_address_beats_the_wildcard_and_a_connected_socket_hears_its_peer_only() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [client, exact] = sockets(&mut pair, PmtuDiscovery::Want);
        let any = SocketAddr::new(wildcard(ipv6), PORT);
        let host = &mut pair.hosts[SERVER];
        let all = host.udp_bind(any, &knobs()).unwrap();
        assert_eq!(host.udp_bind(any, &knobs()), Err(UdpError::AddressInUse));
        let other_any = SocketAddr::new(wildcard(!ipv6), PORT);
        assert_eq!(host.udp_bind(other_any, &knobs()), Err(UdpError::AddressInUse), "IPv6's receives IPv4");
        let exact_again = host.udp_local_address(exact).unwrap();
        assert_eq!(host.udp_bind(exact_again, &knobs()), Err(UdpError::AddressInUse));
        let elsewhere = SocketAddr::new(pair.addresses[CLIENT], 7);
        assert_eq!(pair.hosts[SERVER].udp_bind(elsewhere, &knobs()), Err(UdpError::Unreachable));

        send(&mut pair, client, 10).unwrap();
        pair.run(ms(2));
        assert!(pair.hosts[SERVER].udp_recv_from(exact).is_ok());
        assert_eq!(pair.hosts[SERVER].udp_recv_from(all), Err(UdpError::WouldBlock));
        // Connected to somebody else, the exact one leaves the client to the wildcard.
        pair.hosts[SERVER].udp_connect(exact, elsewhere).unwrap();
        send(&mut pair, client, 10).unwrap();
        pair.run(ms(2));
        assert_eq!(pair.hosts[SERVER].udp_recv_from(exact), Err(UdpError::WouldBlock));
        assert!(pair.hosts[SERVER].udp_recv_from(all).is_ok());
    });
}

#[test]
fn where_no_datagram_can_go_the_call_says_so() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [_, server] = sockets(&mut pair, PmtuDiscovery::Want);
        let host = &mut pair.hosts[SERVER];
        let mut to = |address: IpAddr, port: u16| {
            host.udp_send_to(pair.now, server, SocketAddr::new(address, port), Bytes::new())
        };
        assert_eq!(to(pair.addresses[CLIENT], 0), Err(UdpError::InvalidDestination));
        assert_eq!(to(wildcard(ipv6), 9), Err(UdpError::InvalidDestination));
        assert_eq!(to(Ipv4Addr::BROADCAST.into(), 9), Err(UdpError::InvalidDestination));
        let other: IpAddr = if ipv6 { [10, 0, 0, 1].into() } else { "fd00::1".parse().unwrap() };
        assert_eq!(to(other, 9), Err(UdpError::InvalidDestination));
        assert_eq!(host.udp_send(pair.now, server, Bytes::new()), Err(UdpError::NotConnected));
        let (largest, packet) = if ipv6 { (65_527, 65_575) } else { (65_507, 65_535) };
        let there = SocketAddr::new(pair.addresses[CLIENT], 9);
        assert_eq!(
            host.udp_send_to(pair.now, server, there, text(largest + 1)),
            Err(UdpError::MessageTooLong { mtu: packet })
        );
        assert_eq!(host.udp_send_to(pair.now, server, there, text(largest)), Ok(()));
    });
}

#[test]
fn what_is_larger_than_the_link_goes_in_pieces_and_arrives_whole() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = sockets(&mut pair, PmtuDiscovery::Want);
        let largest = if ipv6 { 65_527 } else { 65_507 };
        for (bytes, pieces) in [(1_400, 1), (4_000, 3), (8_000, 6), (largest, if ipv6 { 46 } else { 45 })] {
            pair.take_log();
            send(&mut pair, client, bytes).unwrap();
            pair.run(ms(15));
            assert_eq!(pair.log.len(), pieces, "{bytes} bytes");
            assert!(pair.log.iter().all(|seen| seen.packet.len() <= 1_500));
            assert_eq!(pair.hosts[SERVER].udp_recv_from(server).unwrap().payload, text(bytes));
        }
        assert_eq!(counted(&pair, CLIENT, Counter::DatagramsOut), 4);
        assert_eq!(counted(&pair, SERVER, Counter::Reassembled), 3);
        let pieces = counted(&pair, CLIENT, Counter::FragmentsOut);
        assert_eq!(pieces, counted(&pair, SERVER, Counter::FragmentsIn));
    });
}

#[test]
fn with_one_piece_lost_the_datagram_is_lost_and_the_sender_hears_that_time_is_over() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = sockets(&mut pair, PmtuDiscovery::Want);
        let last = |packet: &Packet| packet.ip.fragment.offset_bytes > 0 && !packet.ip.fragment.more;
        pair.rule = Some(Box::new(move |_, packet| if last(packet) { vec![] } else { vec![ms(10)] }));
        send(&mut pair, client, 4_000).unwrap();
        pair.run(Duration::from_secs(61));
        assert_eq!(pair.hosts[SERVER].udp_recv_from(server), Err(UdpError::WouldBlock));
        assert_eq!(counted(&pair, SERVER, Counter::ReassemblyTimeouts), 1);
        assert_eq!(counted(&pair, SERVER, Counter::IcmpErrorsOut), 1);
        assert_eq!(counted(&pair, CLIENT, Counter::IcmpIn), 1);
        // A loss is no reason to fail.
        assert_eq!(pair.hosts[CLIENT].udp_recv_from(client), Err(UdpError::WouldBlock));
    });
}

#[test]
fn a_closed_port_refuses_and_only_a_connected_socket_is_told() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, _] = sockets(&mut pair, PmtuDiscovery::Want);
        let closed = SocketAddr::new(pair.addresses[SERVER], 9);
        pair.hosts[CLIENT].udp_connect(client, closed).unwrap();
        send(&mut pair, client, 10).unwrap();
        send(&mut pair, client, 5_000).unwrap();
        pair.run(ms(25));
        assert_eq!(counted(&pair, SERVER, Counter::DatagramsNoSocket), 2);
        assert_eq!(udp_events(&mut pair, CLIENT), [UdpEvent::Error(client)]);
        assert_eq!(send(&mut pair, client, 10), Err(UdpError::Refused));
        assert_eq!(send(&mut pair, client, 10), Ok(()), "told once");
        let unconnected = pair.hosts[CLIENT].udp_bind(SocketAddr::new(wildcard(ipv6), 0), &knobs()).unwrap();
        pair.hosts[CLIENT].udp_send_to(pair.now, unconnected, closed, Bytes::new()).unwrap();
        pair.run(ms(25));
        assert_eq!(pair.hosts[CLIENT].udp_recv_from(unconnected), Err(UdpError::WouldBlock));
        assert_eq!(counted(&pair, CLIENT, Counter::IcmpNotBelieved), 0);
        assert_eq!(pair.hosts[CLIENT].udp_recv_from(client), Err(UdpError::Refused));
    });
}

#[test]
fn refusals_are_limited_and_packets_to_others_are_not_refused() {
    let mut pair = Pair::new(false, ms(1));
    let [from, to] = pair.addresses;
    let header = UdpHeader { source_port: 1, destination_port: 9 };
    for _ in 0..5_000 {
        let packet = Packet::udp(from, to, header, Bytes::new());
        pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), packet);
    }
    let answers = std::iter::from_fn(|| pair.hosts[SERVER].poll_transmit(pair.now)).count();
    assert_eq!(answers, 1_000);
    assert_eq!(counted(&pair, SERVER, Counter::IcmpErrorsLimited), 4_000);
    let astray = Packet::udp(from, [10, 0, 0, 77].into(), header, Bytes::new());
    pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), astray);
    assert_eq!(counted(&pair, SERVER, Counter::WrongDestination), 1);
}

/// What the modes do on a path whose second link takes 1400 bytes, once the router has said so.
#[test]
fn the_modes_of_path_mtu_discovery_are_linux_s() {
    both(|ipv6| {
        for mode in PmtuDiscovery::ALL {
            let mut pair = Pair::new(ipv6, ms(10));
            pair.narrow = Some((1_400, true));
            let [client, server] = sockets(&mut pair, mode);
            let full = payload_of(ipv6, 1_500);
            send(&mut pair, client, full).unwrap();
            let df = ipv6 || matches!(mode, PmtuDiscovery::Want | PmtuDiscovery::Do | PmtuDiscovery::Probe);
            assert_eq!(pair.log[0].packet.ip.fragment.dont_fragment, df, "{mode:?}");
            pair.run(ms(40));
            let told = matches!(mode, PmtuDiscovery::Want | PmtuDiscovery::Do | PmtuDiscovery::Probe);
            let error = if told { UdpError::MessageTooLong { mtu: 1_400 } } else { UdpError::WouldBlock };
            assert_eq!(pair.hosts[CLIENT].udp_recv_from(client), Err(error), "{mode:?}");
            let there = SocketAddr::new(pair.addresses[SERVER], PORT);
            let counts = !matches!(mode, PmtuDiscovery::Interface | PmtuDiscovery::Omit);
            let known = pair.hosts[CLIENT].udp_path_mtu(pair.now, client, there).unwrap();
            assert_eq!(known, if counts { 1_400 } else { 1_500 }, "{mode:?}");

            pair.take_log();
            let again = send(&mut pair, client, full);
            let largest = pair.log.iter().map(|seen| seen.packet.len()).max();
            match mode {
                PmtuDiscovery::Do => assert_eq!(again, Err(UdpError::MessageTooLong { mtu: 1_400 })),
                PmtuDiscovery::Want | PmtuDiscovery::Dont => {
                    assert_eq!((again, pair.log.len()), (Ok(()), 2), "{mode:?}");
                    assert!(pair.log.iter().all(|seen| seen.packet.ip.fragment.dont_fragment == ipv6));
                    pair.run(ms(15));
                    assert_eq!(pair.hosts[SERVER].udp_recv_from(server).unwrap().payload, text(full));
                }
                PmtuDiscovery::Probe | PmtuDiscovery::Interface | PmtuDiscovery::Omit => {
                    assert_eq!((again, largest), (Ok(()), Some(1_500)), "{mode:?}");
                }
            }
            pair.run(ms(40));
            let _ = pair.hosts[CLIENT].udp_recv_from(client);
            pair.take_log();
            let beyond = send(&mut pair, client, full + 1);
            match mode {
                PmtuDiscovery::Do => assert_eq!(beyond, Err(UdpError::MessageTooLong { mtu: 1_400 })),
                PmtuDiscovery::Probe | PmtuDiscovery::Interface => {
                    assert_eq!(beyond, Err(UdpError::MessageTooLong { mtu: 1_500 }), "{mode:?}");
                }
                _ => assert_eq!((beyond, pair.log.len()), (Ok(()), 2), "{mode:?}"),
            }
            // What fits goes with every mode.
            send(&mut pair, client, payload_of(ipv6, 1_400)).unwrap();
            pair.run(ms(15));
            assert!(pair.hosts[SERVER].udp_recv_from(server).is_ok(), "{mode:?}");
        }
    });
}

#[test]
fn tcp_and_datagrams_share_what_is_known_of_a_path() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [_, server] = pair.connect(knobs(), knobs());
        pair.narrow = Some((1_400, true));
        let local = SocketAddr::new(pair.addresses[SERVER], PORT);
        let socket = pair.hosts[SERVER].udp_bind(local, &knobs()).unwrap();
        let there = SocketAddr::new(pair.addresses[CLIENT], 9);
        let full = text(payload_of(ipv6, 1_500));
        pair.hosts[SERVER].udp_send_to(pair.now, socket, there, full).unwrap();
        pair.run(ms(40));
        assert_eq!(pair.hosts[SERVER].tcp_info(server).unwrap().pmtu, 1_400);
    });
}

#[test]
fn an_error_about_what_was_never_sent_changes_nothing() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, _] = sockets(&mut pair, PmtuDiscovery::Want);
        send(&mut pair, client, 1_000).unwrap();
        let sent = pair.log[0].packet.clone();
        let liar: IpAddr = if ipv6 { "fd00::99".parse().unwrap() } else { [10, 0, 0, 99].into() };
        // The outsider guesses both ports and the length, and not the content.
        let mut guess = sent.clone();
        guess.payload = Bytes::from(vec![0; 1_000]);
        let unreachable = IcmpMessage::Unreachable { code: if ipv6 { 4 } else { 3 } };
        for message in [unreachable, IcmpMessage::PacketTooBig { mtu: 600 }] {
            pair.inject(CLIENT, error_about(&guess, message, liar));
        }
        // A report that is none: the packet was not larger than what the link is said to take.
        pair.inject(CLIENT, error_about(&sent, IcmpMessage::PacketTooBig { mtu: 1_400 }, liar));
        pair.run(ms(5));
        assert_eq!(counted(&pair, CLIENT, Counter::IcmpNotBelieved), 3);
        assert_eq!(counted(&pair, CLIENT, Counter::PathMtuLowered), 0);
        assert_eq!(pair.hosts[CLIENT].udp_recv_from(client), Err(UdpError::WouldBlock));
        // The same about what was sent is believed.
        pair.inject(CLIENT, error_about(&sent, unreachable, liar));
        pair.run(ms(1));
        assert_eq!(pair.hosts[CLIENT].udp_recv_from(client), Err(UdpError::Refused));
    });
}

#[test]
fn the_receive_queue_is_bounded_and_drops_are_counted() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let knobs = Knobs { rcvbuf: 10_000, ..knobs() };
        let there = SocketAddr::new(pair.addresses[SERVER], PORT);
        let server = pair.hosts[SERVER].udp_bind(there, &knobs).unwrap();
        let client = pair.hosts[CLIENT].udp_bind(SocketAddr::new(wildcard(ipv6), 0), &knobs).unwrap();
        pair.hosts[CLIENT].udp_connect(client, there).unwrap();
        for _ in 0..100 {
            send(&mut pair, client, 500).unwrap();
        }
        pair.run(ms(2));
        // Each costs 500 + 768 bytes, and one is taken while the queue is not beyond its size.
        let kept = 10_000 / (500 + 768) + 1;
        assert_eq!(pair.hosts[SERVER].udp_drops(server), Ok(100 - kept));
        assert_eq!(counted(&pair, SERVER, Counter::DatagramsQueueFull), 100 - kept);
        let read = std::iter::from_fn(|| pair.hosts[SERVER].udp_recv_from(server).ok()).count();
        assert_eq!(read as u64, kept);
        send(&mut pair, client, 500).unwrap();
        pair.run(ms(2));
        assert!(pair.hosts[SERVER].udp_recv_from(server).is_ok(), "room again");
        // Nothing costs nothing: empty ones are bounded, too.
        for _ in 0..10_000 {
            send(&mut pair, client, 0).unwrap();
        }
        pair.run(ms(2));
        let read = std::iter::from_fn(|| pair.hosts[SERVER].udp_recv_from(server).ok()).count();
        assert_eq!(read, 10_000 / 768 + 1);
    });
}

#[test]
fn a_sender_that_nobody_polls_waits() {
    let mut pair = Pair::new(false, ms(1));
    let [client, _] = sockets(&mut pair, PmtuDiscovery::Want);
    let sent =
        (0..1_000).take_while(|_| pair.hosts[CLIENT].udp_send(pair.now, client, text(1_000)).is_ok()).count();
    // As on Linux: 92 times 2,304 bytes are less than 212,992, and the one that begins then still fits.
    assert_eq!(sent, 93);
    assert_eq!(pair.hosts[CLIENT].udp_send(pair.now, client, text(1)), Err(UdpError::WouldBlock));
    pair.hosts[CLIENT].set_device_full(InterfaceId(0), true);
    pair.flush();
    assert_eq!(counted(&pair, CLIENT, Counter::DeviceFull), sent as u64, "a full device loses datagrams");
    pair.hosts[CLIENT].set_device_full(InterfaceId(0), false);
    assert_eq!(send(&mut pair, client, 1), Ok(()));
}

#[test]
fn a_datagram_takes_room_until_its_driver_lets_it_go_and_half_of_the_buffer_wakes_the_sender() {
    let mut pair = Pair::new(false, ms(1));
    let [client, _] = sockets(&mut pair, PmtuDiscovery::Want);
    let (now, host) = (pair.now, &mut pair.hosts[CLIENT]);
    while host.udp_send(now, client, text(1_400)).is_ok() {}
    let mut device: Vec<_> = std::iter::from_fn(|| host.poll_transmit(now)).collect();
    assert_eq!(device.len(), 93);
    // With the driver they are not gone.
    assert_eq!(host.udp_send(now, client, text(1)), Err(UdpError::WouldBlock));
    device.truncate(47);
    assert_eq!(host.udp_is_writable(client), Ok(false), "47 times 2,304 are more than half of 212,992");
    device.truncate(46);
    assert_eq!(host.udp_is_writable(client), Ok(true));
    // A socket may be gone before its packets.
    host.udp_close(client).unwrap();
    drop(device);
}

#[test]
fn datagrams_that_a_device_has_merged_arrive_one_by_one() {
    let mut pair = Pair::new(false, ms(1));
    let [_, server] = sockets(&mut pair, PmtuDiscovery::Want);
    let header = UdpHeader { source_port: 7, destination_port: PORT };
    let mut packet = Packet::udp(pair.addresses[CLIENT], pair.addresses[SERVER], header, text(2_500));
    packet.offload.segment_bytes = Some(1_000);
    pair.inject(SERVER, packet);
    pair.run(ms(1));
    let sizes: Vec<usize> = std::iter::from_fn(|| pair.hosts[SERVER].udp_recv_from(server).ok())
        .map(|datagram| datagram.payload.len())
        .collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
}

/// A packet of somebody's making.
#[derive(Clone, Debug)]
struct Forged {
    ports: [u16; 2],
    payload: usize,
    segment_bytes: Option<u16>,
    fragment: Option<(u16, bool, u8)>,
    error: Option<(u8, u8, u32)>,
    quote_sent: bool,
    cut: usize,
}

fn forged() -> impl Strategy<Value = Forged> {
    let port = || prop_oneof![Just(0u16), Just(PORT), any::<u16>()];
    (
        [port(), port()],
        prop_oneof![0usize..2_000, Just(65_507usize)],
        proptest::option::of(any::<u16>()),
        proptest::option::of((0u16..=8_191, any::<bool>(), 0u8..4)),
        proptest::option::of((0u8..4, any::<u8>(), prop_oneof![0u32..2_000, any::<u32>()])),
        any::<bool>(),
        0usize..100,
    )
        .prop_map(|(ports, payload, segment_bytes, fragment, error, quote_sent, cut)| Forged {
            ports,
            payload,
            segment_bytes,
            fragment,
            error,
            quote_sent,
            cut,
        })
}

fn forge(pair: &Pair, forged: &Forged) -> Packet {
    let [to, from] = pair.addresses;
    let header = UdpHeader { source_port: forged.ports[0], destination_port: forged.ports[1] };
    let mut packet = Packet::udp(from, to, header, text(forged.payload));
    packet.offload.segment_bytes = forged.segment_bytes;
    if let Some((kind, code, mtu)) = forged.error {
        let message = match kind {
            0 => IcmpMessage::PacketTooBig { mtu },
            1 => IcmpMessage::Unreachable { code },
            2 => IcmpMessage::TimeExceeded { code },
            _ => IcmpMessage::Other { kind: code, code, rest: [0; 4] },
        };
        let about = pair.log.iter().rev().find(|seen| seen.from == CLIENT).filter(|_| forged.quote_sent);
        let mut about = about.map_or_else(|| packet.clone(), |seen| seen.packet.clone());
        about.offload = Default::default();
        let mut error = error_about(&about, message, from);
        error.ip.destination = to;
        error.payload = error.payload.slice(..error.payload.len().saturating_sub(forged.cut));
        return error;
    }
    if let Some((offset, more, identification)) = forged.fragment {
        packet.ip.fragment.offset_bytes = offset.saturating_mul(8);
        packet.ip.fragment.more = more;
        packet.ip.fragment.identification = identification.into();
        packet.ip.protocol = Protocol::Udp;
        if packet.ip.fragment.is_piece() {
            packet.transport = Transport::Opaque;
        }
    }
    packet
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn forged_datagrams_neither_panic_nor_take_memory(
        ipv6 in any::<bool>(),
        forgeries in proptest::collection::vec(forged(), 1..60),
    ) {
        let mut pair = Pair::new(ipv6, ms(1));
        let [client, _] = sockets(&mut pair, PmtuDiscovery::Want);
        let fixed = SocketAddr::new(pair.addresses[CLIENT], PORT);
        pair.hosts[CLIENT].udp_bind(fixed, &Knobs { rcvbuf: 50_000, ..knobs() }).unwrap();
        for (round, forgery) in forgeries.iter().enumerate() {
            let _ = send(&mut pair, client, 300 * (round % 20));
            let packet = forge(&pair, forgery);
            pair.inject(CLIENT, packet);
            pair.run(ms(1));
        }
        let memory = pair.hosts[CLIENT].memory_bytes();
        prop_assert!(memory < 400_000, "{memory}");
        // Sixty datagrams of at most five pieces, and a refusal at most for each forgery and each datagram in it.
        prop_assert!(pair.log.len() < 1_000, "{} packets", pair.log.len());
        let there = SocketAddr::new(pair.addresses[SERVER], PORT);
        let known = pair.hosts[CLIENT].udp_path_mtu(pair.now, client, there).unwrap();
        let floor = if ipv6 { 1_280 } else { 552 };
        prop_assert!(known >= floor, "{}", known);
    }
}

#[test]
fn several_datagrams_in_one_call_leave_alike_whether_the_device_cuts_them_or_not() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(10));
        let [client, server] = sockets(&mut pair, PmtuDiscovery::Probe);
        let to = SocketAddr::new(pair.addresses[SERVER], PORT);
        let how = UdpSend { ecn: Codepoint::Ect0, segment_bytes: Some(1_000), ..UdpSend::default() };
        pair.hosts[CLIENT].udp_send_with(pair.now, client, to, text(2_500), how).unwrap();
        pair.flush();
        pair.run(ms(20));
        for range in [0..1_000, 1_000..2_000, 2_000..2_500] {
            let datagram = pair.hosts[SERVER].udp_recv_from(server).unwrap();
            assert_eq!((datagram.ecn, datagram.payload), (Codepoint::Ect0, text(2_500).slice(range)));
        }
        assert_eq!(counted(&pair, CLIENT, Counter::DatagramsOut), 3);
        let mtu = 1_500;
        let too_large = UdpSend { segment_bytes: Some(payload_of(ipv6, mtu + 1) as u16), ..how };
        let sent = pair.hosts[CLIENT].udp_send_with(pair.now, client, to, text(3_000), too_large);
        assert_eq!(sent, Err(UdpError::MessageTooLong { mtu: mtu as u32 }));
        for (bytes, segment_bytes) in [(129, 1), (10, 0)] {
            let wrong = UdpSend { segment_bytes: Some(segment_bytes), ..how };
            let sent = pair.hosts[CLIENT].udp_send_with(pair.now, client, to, text(bytes), wrong);
            assert_eq!(sent, Err(UdpError::InvalidSegments));
        }
    });
    let device = Interface { addresses: vec![[10, 0, 0, 1].into()], mtu: 1_500, segmentation_offload: true };
    let mut host = Host::new(HostConfig { knobs: knobs(), seed: 1, tick_phase_ns: 0 });
    host.add_interface(device);
    let socket = host.udp_bind(([10, 0, 0, 1], 5).into(), &knobs()).unwrap();
    let how = UdpSend { segment_bytes: Some(1_000), ..UdpSend::default() };
    let to = ([10, 0, 0, 2], 6).into();
    host.udp_send_with(Instant::ZERO, socket, to, text(2_500), how).unwrap();
    let packet = host.poll_transmit(Instant::ZERO).unwrap().packet;
    assert_eq!((packet.payload.len(), packet.offload.segment_bytes), (2_500, Some(1_000)));
    assert!(host.poll_transmit(Instant::ZERO).is_none());
    assert_eq!(host.counters().get(Counter::DatagramsOut), 3);
}

#[test]
fn a_datagram_comes_from_the_address_that_was_asked_for_if_it_is_the_hosts() {
    let addresses = vec![[10, 0, 0, 1].into(), [10, 0, 0, 9].into()];
    let mut host = Host::new(HostConfig { knobs: knobs(), seed: 1, tick_phase_ns: 0 });
    host.add_interface(Interface { addresses, mtu: 1_500, segmentation_offload: false });
    let socket = host.udp_bind((Ipv4Addr::UNSPECIFIED, 5).into(), &knobs()).unwrap();
    let to = ([10, 0, 0, 2], 6).into();
    let mut send = |source: [u8; 4]| {
        let how = UdpSend { source: Some(source.into()), ..UdpSend::default() };
        host.udp_send_with(Instant::ZERO, socket, to, text(3), how)?;
        Ok(host.poll_transmit(Instant::ZERO).map(|transmit| transmit.packet.ip.source))
    };
    assert_eq!(send([10, 0, 0, 9]), Ok(Some([10, 0, 0, 9].into())));
    assert_eq!(send([10, 0, 0, 8]), Err(UdpError::Unreachable));
}
