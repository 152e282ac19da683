//! Does what the lab plays come back out of its captures: the conversation, the exchanges, and the time that
//! Nagle costs?

use narrows_lab::Side::{Client, Server};
use narrows_lab::{
    Conversation, DirectionConfig, LinkConfig, PlayConfig, Playback, Side, Trigger, Turn, Write, play,
};
use narrows_stack::knob::QuickAck;
use narrows_stack::profile::Profile;
use narrows_stack::{Instant, Knobs};
use narrows_trace::{Analyzer, AnalyzerOptions, Cause, Connection, Segment};
use narrows_wire::{OptionOrder, Transport};
use std::time::Duration;

const EXCHANGES: u64 = 20;

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// Requests and answers of these writes, 15 µs apart, with some thinking on both sides.
fn conversation(requests: &[u32], answers: &[u32]) -> Conversation {
    let writes = |sizes: &[u32]| -> Vec<Write> {
        let gap = |n: usize| micros(if n == 0 { 0 } else { 15 });
        sizes.iter().enumerate().map(|(n, &bytes)| Write { bytes, gap: gap(n), gap_latest: gap(n) }).collect()
    };
    let total = |sizes: &[u32]| -> u64 { sizes.iter().map(|&bytes| u64::from(bytes)).sum() };
    let mut turns = Vec::new();
    for n in 0..EXCHANGES {
        let trigger = if n == 0 { Trigger::Connected } else { Trigger::Received(n * total(answers)) };
        turns.push(Turn { side: Client, trigger, think: micros(90 + n * 7 % 50), writes: writes(requests) });
        let trigger = Trigger::Received((n + 1) * total(requests));
        turns.push(Turn { side: Server, trigger, think: micros(200 + n * 13 % 90), writes: writes(answers) });
    }
    Conversation { turns, close: Some((Client, micros(100))), cut: false }
}

fn played(conversation: &Conversation, round_trip: u64, knobs: &Knobs) -> Playback {
    let road = DirectionConfig { delay: micros(round_trip / 2), ..DirectionConfig::default() };
    let mut config = PlayConfig::new(7, knobs.clone(), knobs.clone(), LinkConfig::symmetric(road));
    config.record_packets = true;
    play(conversation, &config).unwrap()
}

fn captured(playback: &Playback, at: Side) -> Connection {
    let mut analyzer = Analyzer::new(AnalyzerOptions::default());
    for (n, (time, played)) in playback.packets_at(at).into_iter().enumerate() {
        let Transport::Tcp(tcp) = &played.packet.transport else { continue };
        analyzer.push(&Segment {
            number: n as u64 + 1,
            time: Instant::from_nanos(1_700_000_000_000_000_000 + time.as_nanos()),
            source: (played.packet.ip.source, tcp.source_port).into(),
            destination: (played.packet.ip.destination, tcp.destination_port).into(),
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            payload_bytes: played.packet.payload.len() as u32,
            options: tcp.options.clone(),
            option_order: OptionOrder::default(),
            hop_limit: played.packet.ip.hop_limit,
            packet_bytes: played.packet.len() as u32,
            pieces: 1,
            outer: None,
        });
    }
    let mut connections = analyzer.finish().connections;
    assert_eq!(connections.len(), 1);
    connections.remove(0)
}

/// Calls `check` for many conversations over many round trips, with the systems' knobs.
fn each(mut check: impl FnMut(&str, &Conversation, u64, &Knobs)) {
    let quick = Knobs { quickack: QuickAck::Route, ..Knobs::default() };
    let systems = [("linux", Knobs::default()), ("quickack", quick), ("freebsd", Profile::freebsd().knobs)];
    let talks: [(&[u32], &[u32]); 6] = [
        (&[12, 180], &[64]),
        (&[300], &[98, 400]),
        (&[80], &[120, 3_000]),
        (&[80], &[120, 8_000]),
        (&[40, 170], &[600, 20_000]),
        (&[200], &[5_000]),
    ];
    for round_trip in [500, 1_000, 7_000, 30_000, 150_000] {
        for (requests, answers) in talks {
            for (system, knobs) in &systems {
                let name = format!("{requests:?} {answers:?} over {round_trip} µs, {system}");
                check(&name, &conversation(requests, answers), round_trip, knobs);
            }
        }
    }
}

#[test]
fn the_time_lost_is_what_nodelay_would_save() {
    each(|name, conversation, round_trip, knobs| {
        let held = played(conversation, round_trip, knobs);
        let free = played(conversation, round_trip, &Knobs { nodelay: true, ..knobs.clone() });
        for side in [Client, Server] {
            let saved = held.duration_at(side).unwrap().saturating_sub(free.duration_at(side).unwrap());
            let connection = captured(&held, side);
            let lost: Duration = connection.findings.iter().map(|finding| finding.lost).sum();
            let tolerance = saved / 10 + micros(round_trip);
            assert!(lost.abs_diff(saved) <= tolerance, "{name}, {side:?}: {lost:?} of {saved:?}");
            let account = connection.account.delayed_ack + connection.account.nagle;
            assert!(account.abs_diff(saved) <= tolerance, "{name}, {side:?}: {account:?} of {saved:?}");
        }
    });
}

#[test]
fn nothing_is_named_where_nothing_is_held() {
    each(|name, conversation, round_trip, knobs| {
        let free = played(conversation, round_trip, &Knobs { nodelay: true, ..knobs.clone() });
        for side in [Client, Server] {
            let found: Vec<Cause> = captured(&free, side).findings.iter().map(|f| f.cause).collect();
            assert_eq!(found, [], "{name}, {side:?}");
        }
    });
}

#[test]
fn conversations_come_back() {
    each(|name, conversation, round_trip, knobs| {
        let free = played(conversation, round_trip, &Knobs { nodelay: true, ..knobs.clone() });
        for side in [Client, Server] {
            let connection = captured(&free, side);
            let heard = &connection.conversation;
            assert_eq!(heard.turns.len(), conversation.turns.len(), "{name}, {side:?}");
            for (got, said) in heard.turns.iter().zip(&conversation.turns) {
                assert_eq!(
                    (got.side, got.trigger, got.bytes()),
                    (said.side, said.trigger, said.bytes()),
                    "{name}"
                );
                assert!(
                    got.think.abs_diff(said.think) < micros(20),
                    "{name}, {side:?}: {got:?} for {said:?}"
                );
            }
            let mean = free.mean_exchange().unwrap();
            let heard = connection.mean_exchange.unwrap();
            assert!(heard.abs_diff(mean) < mean / 50, "{name}, {side:?}: {heard:?} for {mean:?}");
        }
    });
}
