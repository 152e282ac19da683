use super::*;
use crate::{DirectionConfig, LinkConfig, PacketHash};
use bytes::Bytes;
use narrows_stack::Knobs;
use narrows_wire::UdpHeader;
use std::net::SocketAddr;
use std::sync::Arc;

fn datagram(hop_limit: u8, destination: [u8; 4]) -> Packet {
    let header = UdpHeader { source_port: 1, destination_port: 2 };
    let source = IpAddr::from([10, 0, 0, 99]);
    let mut packet = Packet::udp(source, IpAddr::from(destination), header, Bytes::from_static(b"abc"));
    packet.ip.hop_limit = hop_limit;
    packet
}

#[test]
fn descriptions_that_make_no_sense_are_refused_by_name() {
    let build = |describe: fn(&mut WorldBuilder)| {
        let mut builder = World::builder(1);
        describe(&mut builder);
        builder.build().err().map(|error| error.to_string())
    };
    assert_eq!(build(|_| ()), None);
    let same = build(|b| {
        b.router("a");
        b.router("a");
    });
    assert!(same.is_some_and(|error| error.contains("`a`")));
    let loops = build(|b| {
        let a = b.router("a");
        b.link("x", a, a, LinkConfig::default());
    });
    assert!(loops.is_some_and(|error| error.contains("`x`")));
    let stranger = build(|b| {
        let a = b.router("a");
        b.link("x", a, NodeId(7), LinkConfig::default());
    });
    assert!(stranger.is_some_and(|error| error.contains("`x`")));
    let wrong = build(|b| {
        let (a, c) = (b.router("a"), b.router("c"));
        let backward = DirectionConfig { duplicate: 1.5, ..DirectionConfig::default() };
        b.link("x", a, c, LinkConfig { backward, ..LinkConfig::default() });
    });
    assert_eq!(
        wrong.as_deref(),
        Some("link `x`, backward: wrong `duplicate`: expected a probability from 0 to 1")
    );
    let small = build(|b| {
        b.ip_version(IpVersion::V6);
        let (a, c) = (b.router("a"), b.router("c"));
        let config = DirectionConfig { mtu: 1_279, ..DirectionConfig::default() };
        b.link("x", a, c, LinkConfig::symmetric(config));
    });
    assert!(small.is_some_and(|error| error.contains("`mtu`")));
}

#[test]
fn a_router_without_a_route_counts_what_it_drops() {
    let mut builder = World::builder(1);
    let (a, b) = (builder.router("a"), builder.router("b"));
    let link = builder.link("x", a, b, LinkConfig::with_delay(Duration::from_micros(3)));
    let mut world = builder.build().expect("a world");
    let hash = world.add_recorder(PacketHash::default());
    world.tap_everywhere(hash);
    world.inject(link, End::First, datagram(1, [10, 0, 0, 1]));
    world.inject(link, End::Second, datagram(9, [10, 0, 0, 1]));
    assert_eq!(world.run_until_idle(Instant::from_nanos(2_999)), Stop::TimeLimit);
    // Each tells the other, which has no route to the sender either, and does not answer an answer.
    assert_eq!(world.run_until_idle(Instant::from_nanos(6_000)), Stop::Idle);
    assert_eq!(world.now(), Instant::from_micros(6));
    assert_eq!(world.node_counters(b).dropped_hop_limit, 1);
    assert_eq!((world.node_counters(a).dropped_no_route, world.node_counters(b).dropped_no_route), (2, 1));
    assert_eq!((world.node_counters(a).icmp_sent, world.node_counters(b).icmp_sent), (1, 1));
    assert_eq!(world.recorder::<PacketHash>(hash).map(PacketHash::packets), Some(8));
    assert_eq!(world.run_until(Instant::from_micros(10)), Stop::Idle);
    assert_eq!(world.now(), Instant::from_micros(10));
    assert!(world.take_recorder::<PacketHash>(hash).is_some());
    assert!(world.recorder::<PacketHash>(hash).is_none());
}

#[test]
fn a_host_takes_the_time_that_it_has_over_packets_and_until_its_programs_run() {
    use crate::{Conversation, Player, PlayerOptions, Side, Trigger, Turn, Write};
    let finish = |times: HostTimes| {
        let mut builder = World::builder(1);
        let [client, server] = ["client", "server"]
            .map(|name| builder.host_with(name, HostOptions { times, ..HostOptions::new(Knobs::default()) }));
        builder.link("path", client, server, LinkConfig::with_delay(Duration::from_millis(1)));
        let writes = vec![Write { bytes: 100, gap: Duration::ZERO, gap_latest: Duration::ZERO }];
        let turn = |side, trigger| Turn { side, trigger, think: Duration::ZERO, writes: writes.clone() };
        let turns = vec![turn(Side::Client, Trigger::Connected), turn(Side::Server, Trigger::Received(100))];
        let talk = Arc::new(Conversation { turns, close: None, cut: false });
        let address = SocketAddr::new(builder.address(server).expect("an address"), 80);
        let apps = [(Side::Client, client), (Side::Server, server)].map(|(side, host)| {
            builder.app(host, Player::new(side, talk.clone(), PlayerOptions::default(), address))
        });
        let mut world = builder.build().expect("a world");
        world.run_until_idle(Instant::from_millis(1_000));
        world.app::<Player>(apps[0]).expect("a player").log().last_read.expect("an answer")
    };
    assert_eq!(finish(HostTimes::default()), Instant::from_millis(4));
    let times = HostTimes { processing: Duration::from_micros(5), wakeup: Duration::from_micros(20) };
    // Four packets in a row: SYN-ACK and answer wake the client's program; the server's, woken by the end of the handshake
    // 20 µs before, finds the request when it runs.
    assert_eq!(finish(times), Instant::from_nanos(4_000_000 + 4 * 5_000 + 2 * 20_000));
}
