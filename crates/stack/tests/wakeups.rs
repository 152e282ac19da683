//! A host that is left alone says nothing before `poll_timeout`, and what it does then is worth waking up for: it sends, tells, or
//! at least waits for a later time. So a driver that sleeps until then neither misses anything nor spins.

mod pair;

use bytes::Bytes;
use narrows_stack::{Host, Instant, Knobs};
use narrows_wire::Packet;
use pair::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Default)]
struct Wakeups {
    all: usize,
    /// Nothing was sent and nothing told.
    empty: usize,
}

/// Just before its time the host has nothing to do; at its time it has, or it waits for a later one.
fn wake(
    host: &mut Host,
    due: Instant,
    wakeups: &mut Wakeups,
) -> Result<Vec<narrows_stack::Transmit>, TestCaseError> {
    let before = due - Duration::from_nanos(1);
    host.handle_timeout(before);
    prop_assert!(host.poll_transmit(before).is_none(), "something to send before its time");
    prop_assert!(host.poll_event().is_none(), "something to tell before its time");
    prop_assert_eq!(host.poll_timeout(), Some(due));
    host.handle_timeout(due);
    let sent: Vec<_> = std::iter::from_fn(|| host.poll_transmit(due)).collect();
    let told = std::iter::from_fn(|| host.poll_event()).count();
    prop_assert!(host.poll_timeout().is_none_or(|next| next > due), "due again at once");
    wakeups.all += 1;
    wakeups.empty += usize::from(sent.is_empty() && told == 0);
    Ok(sent)
}

/// Two hosts that talk over a link which loses `loss` of 16 packets; each wake-up is looked at.
fn talk(
    knobs: Knobs,
    writes: &[(usize, usize, u64)],
    loss: u64,
    seed: u64,
) -> Result<Wakeups, TestCaseError> {
    let mut pair = Pair::new(false, ms(10));
    let sockets = pair.connect(knobs.clone(), knobs);
    let mut wakeups = Wakeups::default();
    let mut random = seed;
    let mut flying: std::collections::BTreeMap<(Instant, u64), (usize, narrows_wire::Packet)> =
        Default::default();
    let mut number = 0;
    let mut fly = |flying: &mut BTreeMap<_, _>, from: usize, packet: Packet, at: Instant| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if random >> 60 >= loss {
            number += 1;
            flying.insert((at + ms(10), number), (1 - from, packet));
        }
    };
    let mut writes = writes.iter().peekable();
    let mut next_write = pair.now;
    let mut closed = false;
    let end = pair.now + Duration::from_secs(4_000);
    while pair.now < end {
        let mut sent: Vec<(usize, narrows_stack::Transmit)> = Vec::new();
        for side in [CLIENT, SERVER] {
            sent.extend(
                std::iter::from_fn(|| pair.hosts[side].poll_transmit(pair.now)).map(|packet| (side, packet)),
            );
            while pair.hosts[side].poll_event().is_some() {}
        }
        for (side, transmit) in sent {
            fly(&mut flying, side, transmit.packet, pair.now);
        }
        let due = [pair.hosts[CLIENT].poll_timeout(), pair.hosts[SERVER].poll_timeout()];
        let arrival = flying.keys().next().map(|(at, _)| *at);
        let write = writes.peek().map(|_| next_write);
        let Some(next) = [arrival, due[0], due[1], write].into_iter().flatten().min() else { break };
        prop_assert!(next >= pair.now, "a time in the past");
        pair.now = next;
        if write == Some(next)
            && let Some((side, bytes, wait)) = writes.next()
        {
            let data = Bytes::from(vec![1; *bytes]);
            let _ = pair.hosts[*side].tcp_send(next, sockets[*side], data, Default::default());
            while pair.hosts[1 - side]
                .tcp_recv(next, sockets[1 - side], 1 << 20)
                .is_ok_and(|data| !data.is_empty())
            {}
            next_write = next + ms(*wait);
        } else if arrival == Some(next)
            && let Some((_, (to, packet))) = flying.pop_first()
        {
            pair.hosts[to].handle_packet(next, narrows_stack::InterfaceId(0), packet);
        } else if let Some(side) = [CLIENT, SERVER].into_iter().find(|side| due[*side] == Some(next)) {
            for transmit in wake(&mut pair.hosts[side], next, &mut wakeups)? {
                fly(&mut flying, side, transmit.packet, next);
            }
        }
        if writes.peek().is_none() && !closed && flying.is_empty() {
            closed = true;
            for side in [CLIENT, SERVER] {
                let _ = pair.hosts[side].tcp_close(pair.now, sockets[side]);
            }
        }
    }
    prop_assert!(pair.hosts.iter_mut().all(|host| host.poll_timeout().is_none()), "something waits for ever");
    Ok(wakeups)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_host_wakes_when_there_is_something_to_do_and_not_before(
        writes in proptest::collection::vec((0usize..2, 1usize..30_000, 0u64..700), 1..30),
        loss in 0u64..4,
        seed in any::<u64>(),
        hz in prop_oneof![Just(0u32), Just(250), Just(1000)],
        sack in any::<bool>(),
        nodelay in any::<bool>(),
        cork in any::<bool>(),
        keepalive in any::<bool>(),
    ) {
        let ours = Knobs {
            hz,
            sack,
            nodelay,
            cork,
            keepalive,
            keepalive_time: Duration::from_secs(1),
            keepalive_interval: Duration::from_secs(1),
            ..Knobs::default()
        };
        let wakeups = talk(ours, &writes, loss, seed)?;
        // Empty ones: a keep-alive timer that came too early because it is not moved with each segment, an orphan's
        // or a TIME-WAIT's end, a loss timer whose segment was acknowledged.
        prop_assert!(wakeups.empty <= 20 + wakeups.all, "{wakeups:?}");
    }
}

#[test]
fn an_idle_connection_does_not_wake_its_host() {
    let mut pair = Pair::new(false, ms(10));
    let [client, server] = pair.connect(knobs(), knobs());
    pair.write(CLIENT, client, 5_000);
    pair.run(ms(1_000));
    pair.read(SERVER, server);
    pair.run(ms(1_000));
    assert_eq!(pair.hosts[CLIENT].poll_timeout(), None);
    assert_eq!(pair.hosts[SERVER].poll_timeout(), None);
}
