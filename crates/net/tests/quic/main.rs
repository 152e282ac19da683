//! Does quinn run in the lab, through its own traits, to its end and repeatably?

mod ecn;
mod peer;

use narrows_lab::{DirectionCounters, End};
use narrows_net::Host;
use narrows_net::lab::{Lab, Link};
use peer::{Identity, bytes_of, endpoint_config, exchange_on_stream, serve_echo};
use quinn::Endpoint;
use std::time::Duration;

fn echo(server: &Host, identity: &Identity) -> Endpoint {
    let endpoint = server.quic_endpoint(443, endpoint_config(1), Some(identity.server())).unwrap();
    serve_echo(&endpoint);
    endpoint
}

/// Four streams at once over a link; when each ended, and what the link saw of both directions.
fn exchange(
    seed: u64,
    ipv6: bool,
    link: Link,
    bytes: usize,
    identity: &Identity,
) -> (Vec<Duration>, [DirectionCounters; 2]) {
    let mut lab = Lab::new(seed);
    if ipv6 {
        lab = lab.ipv6();
    }
    let (client, server) = (lab.host("client"), lab.host("server"));
    let line = lab.link("client", "server", link);
    lab.time_limit(Duration::from_secs(300));
    let mut ends = lab.run(async {
        let begin = tokio::time::Instant::now();
        let listening = echo(&server, identity);
        let endpoint = client.quic_endpoint(0, endpoint_config(2), None).unwrap();
        let to = (server.ip(), 443).into();
        let connection = endpoint.connect_with(identity.client(), to, "server").unwrap().await.unwrap();
        let streams: Vec<_> = (0..4)
            .map(|number| {
                let connection = connection.clone();
                tokio::spawn(async move {
                    exchange_on_stream(&connection, number, bytes).await;
                    begin.elapsed()
                })
            })
            .collect();
        let mut ends = Vec::new();
        for stream in streams {
            ends.push(stream.await.unwrap());
        }
        connection.close(0_u32.into(), b"");
        endpoint.wait_idle().await;
        drop((endpoint, listening));
        ends
    });
    ends.push(lab.elapsed());
    (ends, [End::First, End::Second].map(|end| lab.link_counters(line, end)))
}

fn bad() -> Link {
    Link::new().delay(Duration::from_millis(50)).loss(0.02).bits_per_second(10_000_000)
}

#[test]
fn streams_complete_over_a_lossy_link_of_100_ms_in_both_versions_of_ip() {
    let identity = Identity::new();
    for ipv6 in [false, true] {
        let (ends, counters) = exchange(7, ipv6, bad(), 200_000, &identity);
        let last = ends[..4].iter().max().unwrap();
        println!("ipv6 {ipv6}: streams end at {ends:?}, {counters:?}");
        // The handshake is a round trip, and the 0.8 MB take 0.64 s each way at the link's rate, at the same time.
        assert!(*last >= Duration::from_millis(740), "{last:?}");
        assert!(*last < Duration::from_secs(60), "{last:?}");
        assert!(counters.iter().all(|counters| counters.lost_randomly > 0), "nothing was lost: {counters:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_seed_is_another() {
    let identity = Identity::new();
    let reordering = || bad().reorder(0.02, Duration::from_millis(3)).duplicate(0.01);
    let first = exchange(7, false, reordering(), 100_000, &identity);
    for _ in 0..3 {
        assert_eq!(exchange(7, false, reordering(), 100_000, &identity), first);
    }
    assert_ne!(exchange(8, false, reordering(), 100_000, &identity), first);
}

#[test]
fn quinn_finds_the_mtu_of_the_path_and_nothing_is_cut() {
    let identity = Identity::new();
    let mut lab = Lab::new(3);
    let (client, server) = (lab.host("client"), lab.host("server"));
    lab.router("router");
    let delay = Duration::from_millis(5);
    lab.link("client", "router", Link::new().delay(delay));
    lab.link("router", "server", Link::new().delay(delay).mtu(1_400));
    lab.run(async {
        let _listening = echo(&server, &identity);
        let endpoint = client.quic_endpoint(0, endpoint_config(2), None).unwrap();
        let to = (server.ip(), 443).into();
        let connection = endpoint.connect_with(identity.client(), to, "server").unwrap().await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&bytes_of(0, 300_000)).await.unwrap();
        send.finish().unwrap();
        assert!(receive.read_to_end(300_000).await.unwrap() == bytes_of(0, 300_000));
        // What fits into 1400 bytes with IPv4's and UDP's headers is 1372; quinn's search ends within 20 bytes of it.
        let mtu = connection.stats().path.current_mtu;
        assert!((1_352..=1_372).contains(&mtu), "{mtu}");
    });
    assert_eq!(client.counters().get(narrows_stack::Counter::FragmentsOut), 0);
}
