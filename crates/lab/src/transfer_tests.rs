use super::*;
use crate::link::{DirectionConfig, Loss};
use proptest::prelude::*;

fn config(seed: u64, bytes: u64, link: LinkConfig) -> TransferConfig {
    TransferConfig {
        seed,
        ip_version: IpVersion::V4,
        sender: Knobs::default(),
        receiver: Knobs::default(),
        link,
        bytes,
        time_limit: Duration::from_secs(36_000),
        hash: true,
    }
}

fn road(loss: f64) -> DirectionConfig {
    DirectionConfig {
        rate_bits_per_second: Some(50_000_000),
        delay: Duration::from_millis(5),
        loss: if loss > 0.0 { Loss::Random(loss) } else { Loss::None },
        ..DirectionConfig::default()
    }
}

#[test]
fn a_transfer_fills_the_link() {
    let run = transfer(&config(1, 20_000_000, LinkConfig::symmetric(road(0.0)))).expect("a world");
    assert!(run.complete && run.intact, "{run:?}");
    // 20 MB of 1448 of 1500 bytes at 50 Mb/s: 3.315 s, and slow start.
    let seconds = run.duration.as_secs_f64();
    assert!((3.315..3.6).contains(&seconds), "{seconds} s");
}

#[test]
fn the_same_seed_gives_the_same_packets_and_another_seed_others() {
    let hash = |seed| {
        let run = transfer(&config(seed, 300_000, LinkConfig::symmetric(road(0.02)))).expect("a world");
        assert!(run.complete && run.intact, "{run:?}");
        run.packet_hash
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_host_more_changes_nothing_for_the_others() {
    let run = |more: bool| {
        let mut builder = World::builder(5);
        let a = builder.host("a", Knobs::default());
        let b = builder.host("b", Knobs::default());
        let link = builder.link("path", a, b, LinkConfig::symmetric(road(0.03)));
        let address = builder.address(b).expect("a host");
        builder.app(a, BulkSender::new(SocketAddr::new(address, 9), 100_000));
        builder.app(b, BulkReceiver::new(9));
        if more {
            let c = builder.host("c", Knobs::default());
            let r = builder.router("r");
            builder.link("other", c, r, LinkConfig::symmetric(road(0.5)));
            builder.app(c, BulkSender::new(SocketAddr::new(address, 9), 100_000));
        }
        let mut world = builder.build().expect("a world");
        let hash = world.add_recorder(PacketHash::default());
        world.tap(hash, link, End::First);
        world.run_until_idle(Instant::from_millis(100_000));
        world.recorder::<PacketHash>(hash).map(PacketHash::value)
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn routers_on_the_way_forward_in_both_directions() {
    let mut builder = World::builder(5);
    let hosts = ["a", "b", "c"].map(|name| builder.host(name, Knobs::default()));
    let routers = ["r", "s"].map(|name| builder.router(name));
    builder.link("a-r", hosts[0], routers[0], LinkConfig::with_delay(Duration::from_millis(1)));
    builder.link("r-s", routers[0], routers[1], LinkConfig::symmetric(road(0.0)));
    builder.link("s-b", routers[1], hosts[1], LinkConfig::with_delay(Duration::from_millis(1)));
    builder.link("s-c", routers[1], hosts[2], LinkConfig::with_delay(Duration::from_millis(1)));
    // Two ways out of `c`: it needs routes of its own.
    builder.link("c-r", hosts[2], routers[0], LinkConfig::with_delay(Duration::from_millis(1)));
    let [to_b, to_c] = [1, 2].map(|to| builder.address(hosts[to]).expect("a host"));
    builder.app(hosts[0], BulkSender::new(SocketAddr::new(to_b, 9), 200_000));
    builder.app(hosts[1], BulkSender::new(SocketAddr::new(to_c, 9), 200_000));
    let sinks = [hosts[1], hosts[2]].map(|host| builder.app(host, BulkReceiver::new(9)));
    let mut world = builder.build().expect("a world");
    world.run_until_idle(Instant::from_millis(100_000));
    for sink in sinks {
        let streams = world.app::<BulkReceiver>(sink).expect("the receiver").streams();
        assert!(streams.len() == 1 && streams[0].ended && streams[0].intact, "{streams:?}");
        assert_eq!(streams[0].bytes, 200_000);
    }
    assert!(world.node_counters(routers[0]).sent_packets > 200);
}

#[test]
fn nobody_listening_is_a_refused_connection() {
    let mut builder = World::builder(5);
    let (a, b) = (builder.host("a", Knobs::default()), builder.host("b", Knobs::default()));
    builder.link("path", a, b, LinkConfig::with_delay(Duration::from_millis(1)));
    let address = builder.address(b).expect("a host");
    let app = builder.app(a, BulkSender::new(SocketAddr::new(address, 9), 1));
    let mut world = builder.build().expect("a world");
    assert_eq!(world.run_until_idle(Instant::from_millis(1_000)), crate::Stop::Idle);
    let error = world.app::<BulkSender>(app).and_then(BulkSender::error);
    assert_eq!(error, Some(SocketError::Refused));
}

fn any_direction() -> impl Strategy<Value = DirectionConfig> {
    (
        (0.0..0.25f64, 0.0..0.4f64, 0.0..0.3f64),
        proptest::option::of(200_000u64..500_000_000),
        (0u64..40_000, 0u64..5_000, 0u64..20_000),
        3_000u64..200_000,
        300u32..9_000,
    )
        .prop_map(|((loss, reorder, duplicate), rate, (delay, jitter, by), queue_bytes, mtu)| {
            DirectionConfig {
                mtu,
                rate_bits_per_second: rate,
                delay: Duration::from_micros(delay),
                jitter: Duration::from_micros(jitter),
                queue_bytes: queue_bytes.max(2 * u64::from(mtu)),
                loss: Loss::Random(loss),
                reorder,
                reorder_by: Duration::from_micros(by),
                duplicate,
                ..DirectionConfig::default()
            }
        })
}

proptest! {
    /// Whatever links lose, hold up and double: what was written is what is read.
    #[test]
    fn any_link_delivers_exactly_the_bytes(
        seed: u64, bytes in 0u64..150_000, forward in any_direction(), backward in any_direction()
    ) {
        // Both interfaces must be able to receive what the other may send.
        let mut backward = backward;
        backward.mtu = forward.mtu;
        let run = transfer(&config(seed, bytes, LinkConfig { forward, backward, over_network: false })).expect("a world");
        prop_assert!(run.intact || run.bytes == 0, "{run:?}");
        // With all that loss the handshake alone may fail.
        let never_connected = run.bytes == 0 && run.error == Some(SocketError::TimedOut);
        prop_assert!(run.complete || never_connected, "{run:?}");
    }
}
