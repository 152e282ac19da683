//! Connections that are given up while their peers keep them alive: what do they cost the host, and what becomes of the next?

mod pair;

use narrows_stack::{Counter, Event, Host, HostConfig, Interface, Knobs, SocketError, SocketId};
use pair::*;
use std::time::Duration;

/// A pair whose hosts have the limits given.
fn limited(ipv6: bool, max_orphans: u32, max_tw_buckets: u32) -> Pair {
    let mut pair = Pair::new(ipv6, ms(10));
    for side in [CLIENT, SERVER] {
        let mut knobs = knobs();
        knobs.system.max_orphans = max_orphans;
        knobs.system.max_tw_buckets = max_tw_buckets;
        let mut host = Host::new(HostConfig { knobs, seed: 1 + side as u64, tick_phase_ns: 0 });
        let addresses = vec![pair.addresses[side]];
        host.add_interface(Interface { addresses, mtu: 1500, segmentation_offload: false });
        pair.hosts[side] = host;
    }
    pair
}

/// As many connections, both ends of each.
fn connections(pair: &mut Pair, number: usize) -> Vec<[SocketId; 2]> {
    let listener = pair.listen(Knobs::default());
    (0..number)
        .map(|_| {
            let client = pair.open(knobs());
            pair.run(ms(50));
            [client, pair.hosts[SERVER].tcp_accept(listener).expect("a connection to accept")]
        })
        .collect()
}

fn count(pair: &Pair, side: usize, counter: Counter) -> u64 {
    pair.hosts[side].counters().get(counter)
}

#[test]
fn orphans_beyond_the_limit_are_reset_and_the_others_end_in_order() {
    both(|ipv6| {
        let mut pair = limited(ipv6, 4, 100);
        let pairs = connections(&mut pair, 10);
        for [_, server] in &pairs {
            // The peer never closes: each rests in FIN-WAIT-2.
            pair.hosts[SERVER].tcp_close(pair.now, *server).unwrap();
            pair.run(ms(50));
        }
        assert_eq!(count(&pair, SERVER, Counter::OrphansOverflow), 6);
        let reset = pairs
            .iter()
            .filter(|[client, _]| {
                pair.events[CLIENT].contains(&Event::Closed(*client, Some(SocketError::Reset)))
            })
            .count();
        assert_eq!(reset, 6);
        // The four have their minute, and there is room again.
        pair.run(Duration::from_secs(61));
        assert_eq!(count(&pair, SERVER, Counter::OrphanTimedOut), 4);
        let client = pair.open(knobs());
        pair.run(ms(50));
        let accepted = pair.events[SERVER].iter().rev().find_map(|event| match event {
            Event::Acceptable(listener) => Some(*listener),
            _ => None,
        });
        let server = pair.hosts[SERVER].tcp_accept(accepted.unwrap()).expect("a connection");
        pair.hosts[SERVER].tcp_close(pair.now, server).unwrap();
        pair.run(ms(50));
        assert_eq!(count(&pair, SERVER, Counter::OrphansOverflow), 6);
        assert_eq!(pair.hosts[CLIENT].tcp_info(client).unwrap().state.name(), "CLOSE-WAIT");
    });
}

#[test]
fn connections_that_end_at_once_are_no_orphans() {
    both(|ipv6| {
        let mut pair = limited(ipv6, 1, 100);
        for [client, server] in connections(&mut pair, 8) {
            pair.hosts[CLIENT].tcp_close(pair.now, client).unwrap();
            pair.run(ms(50));
            pair.hosts[SERVER].tcp_close(pair.now, server).unwrap();
            pair.run(ms(50));
        }
        for side in [CLIENT, SERVER] {
            assert_eq!(count(&pair, side, Counter::OrphansOverflow), 0);
        }
    });
}

#[test]
fn time_wait_beyond_the_limit_is_left_out_and_has_room_again_after_a_minute() {
    both(|ipv6| {
        let mut pair = limited(ipv6, 100, 4);
        let close = |pair: &mut Pair, ends: &[[SocketId; 2]]| {
            for [client, server] in ends {
                pair.hosts[CLIENT].tcp_close(pair.now, *client).unwrap();
                pair.run(ms(50));
                pair.hosts[SERVER].tcp_close(pair.now, *server).unwrap();
                pair.run(ms(50));
            }
        };
        let ends = connections(&mut pair, 14);
        close(&mut pair, &ends[..10]);
        assert_eq!(count(&pair, CLIENT, Counter::TimeWaitOverflow), 6);
        pair.run(Duration::from_secs(61));
        close(&mut pair, &ends[10..]);
        assert_eq!(count(&pair, CLIENT, Counter::TimeWaitOverflow), 6);
        assert_eq!(count(&pair, CLIENT, Counter::ResetsIn), 0);
        // Nothing is left of any of them.
        pair.run(Duration::from_secs(61));
        assert_eq!(pair.hosts[CLIENT].poll_timeout(), None);
    });
}
