//! A connection that was packed away in between does what it would have done otherwise, packet for packet (and is, field for field, what
//! it was: whoever packs one with debug assertions looks whether it comes back the same); and many that are
//! silent take little memory.

mod pair;

use narrows_stack::Knobs;
use narrows_stack::knob::edits;
use pair::*;
use proptest::prelude::*;
use std::time::Duration;

/// Something that an application does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Write { side: usize, bytes: usize },
    Read { side: usize },
    Nothing { milliseconds: u64 },
    Set { side: usize, nodelay: bool },
    Shutdown { side: usize },
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        5 => (0..2usize, prop_oneof![1..200usize, 1..60_000usize])
            .prop_map(|(side, bytes)| Deed::Write { side, bytes }),
        3 => (0..2usize).prop_map(|side| Deed::Read { side }),
        5 => prop_oneof![0..60u64, 0..3_000u64, 0..800_000u64]
            .prop_map(|milliseconds| Deed::Nothing { milliseconds }),
        1 => (0..2usize, any::<bool>()).prop_map(|(side, nodelay)| Deed::Set { side, nodelay }),
        1 => (0..2usize).prop_map(|side| Deed::Shutdown { side }),
    ]
}

/// Everything that can be seen of a conversation over a link that loses so many of 32 packets.
fn conversation(
    ipv6: bool,
    knobs: &[Knobs; 2],
    deeds: &[Deed],
    loss: u64,
    rest: Option<Duration>,
) -> Vec<String> {
    let mut pair = Pair::new(ipv6, ms(10));
    for host in &mut pair.hosts {
        match rest {
            Some(silence) => host.set_awake(0, silence),
            None => host.set_awake(usize::MAX, Duration::ZERO),
        }
    }
    let sockets = pair.connect(knobs[0].clone(), knobs[1].clone());
    let mut random = loss;
    pair.rule = Some(Box::new(move |_, _| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if random >> 59 < loss { Vec::new() } else { vec![ms(10) + Duration::from_micros(random >> 58)] }
    }));
    let mut seen = Vec::new();
    for deed in deeds {
        match *deed {
            Deed::Write { side, bytes } => {
                let data = vec![0x5a; bytes].into();
                let result = pair.hosts[side].tcp_send(pair.now, sockets[side], data, Default::default());
                seen.push(format!("{result:?}"));
                pair.flush();
            }
            Deed::Read { side } => seen.push(format!("{}", pair.read(side, sockets[side]).len())),
            Deed::Nothing { milliseconds } => pair.run(ms(milliseconds)),
            Deed::Set { side, nodelay } => {
                let value = nodelay.to_string();
                let result = pair.hosts[side].tcp_set(pair.now, sockets[side], "nodelay", &value);
                seen.push(format!("{result:?}"));
                pair.flush();
            }
            Deed::Shutdown { side } => {
                seen.push(format!("{:?}", pair.hosts[side].tcp_shutdown(pair.now, sockets[side])));
                pair.flush();
            }
        }
        for side in [CLIENT, SERVER] {
            seen.push(format!("{:?}", pair.hosts[side].tcp_info_at(pair.now, sockets[side])));
            seen.push(format!("{:?}", pair.hosts[side].tcp_status(sockets[side])));
            seen.push(format!("{:?}", pair.hosts[side].tcp_knobs(sockets[side])));
            seen.push(format!("{:?}", pair.hosts[side].tcp_addresses(sockets[side])));
            seen.push(format!("{:?}", pair.hosts[side].poll_timeout()));
        }
    }
    pair.run(Duration::from_secs(200));
    seen.extend(pair.log.iter().map(|packet| format!("{packet:?}")));
    seen.extend(pair.events.iter().flatten().map(|event| format!("{event:?}")));
    seen.extend(pair.hosts.iter().map(|host| format!("{:?}", host.counters())));
    seen
}

fn knobs_with(settings: &[(&str, &str)]) -> Knobs {
    let mut knobs = knobs();
    for (name, value) in settings {
        knobs.set(name, value).unwrap_or_else(|error| panic!("{error} {:?}", edits(name, value)));
    }
    knobs
}

fn some_knobs() -> impl Strategy<Value = Knobs> {
    let settings = |choices: &'static [&'static [(&'static str, &'static str)]]| {
        proptest::sample::select(choices.to_vec())
    };
    let control = settings(&[
        &[],
        &[],
        &[("congestion_control", "reno")],
        &[("congestion_control", "bbr")],
        &[("hystart", "rfc9406")],
        &[("pacing", "true")],
    ]);
    let options = settings(&[
        &[],
        &[],
        &[("sack", "false")],
        &[("timestamps", "false")],
        &[("recovery", "rfc6675"), ("ecn", "on")],
    ]);
    let more = settings(&[
        &[],
        &[("hz", "250")],
        &[("ack_policy", "delayed")],
        &[("quickack", "socket"), ("nodelay", "true")],
        &[("mtu_probing", "search"), ("adaptive_mss", "true")],
        &[("keepalive", "true"), ("keepalive_time", "5s"), ("rcvbuf", "20000")],
    ]);
    (control, options, more)
        .prop_map(|(control, options, more)| knobs_with(&[control, options, more].concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_connection_that_rests_whenever_it_can_does_the_same(
        ipv6 in any::<bool>(),
        knobs in [some_knobs(), some_knobs()],
        deeds in proptest::collection::vec(deed(), 1..25),
        loss in 0..4u64,
        silence in 0..30u64,
    ) {
        let awake = conversation(ipv6, &knobs, &deeds, loss, None);
        let rested = conversation(ipv6, &knobs, &deeds, loss, Some(ms(silence)));
        for (number, (rested, awake)) in rested.iter().zip(&awake).enumerate() {
            prop_assert_eq!(rested, awake, "number {}", number);
        }
        prop_assert_eq!(rested.len(), awake.len());
    }
}

/// After a question and an answer on each of them.
#[test]
fn a_silent_connection_takes_less_than_a_kilobyte() {
    const CONNECTIONS: usize = 1_000;
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let before = [CLIENT, SERVER].map(|side| pair.hosts[side].memory_bytes());
        let listener = pair.listen(knobs());
        let mut sockets = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = pair.open(knobs());
            pair.run(ms(5));
            let server = pair.hosts[SERVER].tcp_accept(listener).expect("a connection to accept");
            for (side, socket) in [(CLIENT, client), (SERVER, server)] {
                pair.write(side, socket, 100);
                pair.run(ms(2));
            }
            pair.read(CLIENT, client);
            pair.read(SERVER, server);
            sockets.push([client, server]);
        }
        pair.run(Duration::from_secs(1));
        pair.keep_log = false;
        // Others come to rest while one of them speaks.
        for _ in 0..CONNECTIONS {
            pair.write(CLIENT, sockets[0][CLIENT], 100);
            pair.run(ms(50));
            pair.read(SERVER, sockets[0][SERVER]);
        }
        for side in [CLIENT, SERVER] {
            let each = (pair.hosts[side].memory_bytes() - before[side]) / CONNECTIONS as u64;
            assert!(each < 1_024, "{each} bytes");
            // Each is as it was, and works.
            for both in sockets.iter().step_by(7) {
                let info = pair.hosts[side].tcp_info(both[side]).expect("a socket");
                assert_eq!((info.state.name(), info.unacked), ("ESTABLISHED", 0));
                pair.write(side, both[side], 1_000);
                pair.run(ms(50));
                assert_eq!(pair.read(1 - side, both[1 - side]).len(), 1_000);
            }
        }
    });
}

/// A listener that closes resets those that wait to be accepted, also when they rest, and leaves the others alone.
#[test]
fn a_listener_closes_on_connections_that_rest() {
    let mut pair = Pair::new(false, ms(1));
    pair.hosts[SERVER].set_awake(0, Duration::ZERO);
    let listener = pair.listen(knobs());
    let clients: Vec<_> = (0..5).map(|_| pair.open(knobs())).collect();
    pair.run(ms(10));
    let accepted = pair.hosts[SERVER].tcp_accept(listener).expect("a connection to accept");
    pair.run(Duration::from_secs(1));
    pair.hosts[SERVER].tcp_close_listener(pair.now, listener).expect("the listener");
    pair.run(ms(10));
    let states =
        clients.iter().map(|client| pair.hosts[CLIENT].tcp_info(*client).map(|info| info.state.name()));
    assert_eq!(states.filter(|state| *state == Ok("CLOSED")).count(), 4);
    assert!(pair.hosts[SERVER].tcp_info(accepted).is_ok_and(|info| info.state.name() == "ESTABLISHED"));
}
