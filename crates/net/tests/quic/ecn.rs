//! Does explicit congestion notification work from end to end through quinn: ECT(0) out, marks back, less sent; and nothing of it where the
//! network bleaches it (RFC 9000 §13.4)?

use super::echo;
use super::peer::{Identity, endpoint_config, exchange_on_stream};
use narrows_lab::{DirectionCounters, End};
use narrows_net::lab::{Lab, Link};
use quinn::ConnectionStats;
use std::time::Duration;

/// Bytes each way in one exchange: several times what the connection begins with.
const BYTES: usize = 2_000_000;

fn line() -> Link {
    Link::new().delay(Duration::from_millis(20)).bits_per_second(20_000_000)
}

/// What the client knows, and what the link between them saw from the client and from the server, after each of two exchanges on one connection.
fn two_exchanges(link: Link, identity: &Identity) -> [(ConnectionStats, [DirectionCounters; 2]); 2] {
    let mut lab = Lab::new(5);
    let (client, server) = (lab.host("client"), lab.host("server"));
    // The queue is a router's: in their own the hosts' send buffers would keep it short.
    for name in ["router", "gateway"] {
        lab.router(name);
    }
    let line = lab.link("router", "gateway", link);
    lab.link("client", "router", Link::new());
    lab.link("gateway", "server", Link::new());
    let (listening, endpoint, connection) = lab.run(async {
        let listening = echo(&server, identity);
        let endpoint = client.quic_endpoint(0, endpoint_config(2), None).unwrap();
        let to = (server.ip(), 443).into();
        let connection = endpoint.connect_with(identity.client(), to, "server").unwrap().await.unwrap();
        (listening, endpoint, connection)
    });
    let seen = [0, 1].map(|number| {
        lab.run(exchange_on_stream(&connection, number, BYTES));
        (connection.stats(), [End::First, End::Second].map(|end| lab.link_counters(line, end)))
    });
    lab.run(async { drop((connection, endpoint, listening)) });
    seen
}

#[test]
fn a_marking_queue_slows_quinn_down_without_losing_anything() {
    let identity = Identity::new();
    let [_, (marked, counters)] = two_exchanges(line().mark_above(30_000), &identity);
    for direction in &counters {
        assert!(direction.marked > 0, "both ends send ECT: {direction:?}");
        assert_eq!(direction.dropped_queue_full, 0, "{direction:?}");
    }
    // Nothing is lost, so that only the server's counts of CE can have told the client.
    assert_eq!(marked.path.lost_packets, 0);
    assert!(marked.path.congestion_events > 0);
    // The same line and queue without marks: nothing tells the sender, and more waits.
    let [_, (silent, without)] = two_exchanges(line(), &identity);
    assert_eq!((silent.path.congestion_events, without[0].marked), (0, 0));
    let [largest, alone] = [&counters, &without].map(|counters| counters[0].largest_queue_bytes);
    assert!(largest * 2 < alone, "{largest} bytes waited with marks, {alone} without");
}

#[test]
fn quinn_notices_that_ecn_is_bleached_and_sends_no_more_of_it() {
    let identity = Identity::new();
    for link in [line().bleach_ecn(), line().mark_above(30_000).bleach_ecn()] {
        let [(_, first), (_, second)] = two_exchanges(link, &identity);
        for (before, after) in first.iter().zip(&second) {
            assert!(before.bleached > 0, "it was tried: {before:?}");
            assert!(before.bleached < before.offered_packets / 10, "and given up: {before:?}");
            assert!(after.offered_packets > before.offered_packets + 1_000);
            assert_eq!(after.bleached, before.bleached, "for good");
            assert_eq!(after.marked, before.marked);
        }
    }
}
