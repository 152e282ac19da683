use super::*;
use crate::{DirectionConfig, LinkConfig, PacketHash};
use bytes::Bytes;
use narrows_wire::UdpHeader;

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
