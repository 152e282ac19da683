//! Is a prediction what really happens? Plays a conversation in the lab, captures it, has the capture analysed and
//! predicted, and compares with the same conversation played with the knob really turned.

mod capture;

use capture::captured;
use narrows_lab::{Conversation, LinkConfig, PlayConfig, Playback, Side, Trigger, Turn, Write, play};
use narrows_stack::Knobs;
use narrows_trace::Connection;
use narrows_whatif::{Prediction, Turning, WhatIf, predict};
use std::time::Duration;

const fn us(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

fn piece(bytes: u32) -> Write {
    Write { bytes, gap: Duration::ZERO, gap_latest: Duration::ZERO }
}

/// `exchanges` requests of these pieces, each answered by those.
fn calls(exchanges: usize, request: &[u32], answer: &[u32], server_think: Duration) -> Conversation {
    let mut turns = Vec::new();
    let mut heard = [0_u64; 2];
    for n in 0..exchanges {
        let trigger = if n == 0 { Trigger::Connected } else { Trigger::Received(heard[0]) };
        let writes = request.iter().map(|&bytes| piece(bytes)).collect();
        turns.push(Turn { side: Side::Client, trigger, think: us(120), writes });
        heard[1] += request.iter().map(|&bytes| u64::from(bytes)).sum::<u64>();
        let writes = answer.iter().map(|&bytes| piece(bytes)).collect();
        turns.push(Turn {
            side: Side::Server,
            trigger: Trigger::Received(heard[1]),
            think: server_think,
            writes,
        });
        heard[0] += answer.iter().map(|&bytes| u64::from(bytes)).sum::<u64>();
    }
    Conversation { turns, close: Some((Side::Client, us(300))), cut: false }
}

fn played(
    conversation: &Conversation,
    client: &Knobs,
    server: &Knobs,
    round_trip: Duration,
    seed: u64,
) -> Playback {
    let link = LinkConfig::with_delay(round_trip / 2);
    let config =
        PlayConfig { record_packets: true, ..PlayConfig::new(seed, client.clone(), server.clone(), link) };
    let playback = play(conversation, &config).unwrap();
    assert_eq!(playback.outcome, narrows_lab::Outcome::Completed);
    playback
}

fn prediction<'a>(what_if: &'a WhatIf, turning: &str) -> &'a Prediction {
    let turning: Turning = turning.parse().unwrap();
    let same = |prediction: &&Prediction| prediction.turning == turning;
    what_if.predictions.iter().find(same).unwrap_or_else(|| panic!("no prediction for {turning:?}"))
}

/// The mean over some seeds: where the hosts' timer ticks fall is left to chance.
fn really(conversation: &Conversation, client: &Knobs, server: &Knobs, round_trip: Duration) -> Duration {
    const SEEDS: u32 = 9;
    let total: Duration = (0..SEEDS)
        .map(|seed| {
            played(conversation, client, server, round_trip, u64::from(seed) + 100).mean_exchange().unwrap()
        })
        .sum();
    total / SEEDS
}

fn assert_near(predicted: Duration, real: Duration, of: &str) {
    let off = predicted.as_secs_f64() / real.as_secs_f64() - 1.0;
    assert!(off.abs() < 0.04, "{of}: predicted {predicted:?}, really {real:?}");
}

#[test]
fn what_is_predicted_for_a_stalling_client_happens() {
    let (linux, mut nodelay, mut quickack) = (Knobs::default(), Knobs::default(), Knobs::default());
    nodelay.set("nodelay", "true").unwrap();
    quickack.set("quickack", "route").unwrap();
    for round_trip in [us(400), us(3_000), us(25_000), us(90_000)] {
        let conversation = calls(30, &[14, 160], &[90], us(80));
        let one_write = calls(30, &[174], &[90], us(80));
        for vantage in [Side::Client, Side::Server] {
            let connection = captured(&played(&conversation, &linux, &linux, round_trip, 1), vantage);
            let what_if = predict(&connection, &[]).unwrap();
            let place = format!("round trip {round_trip:?}, captured at the {}", vantage.name());
            let error = what_if.replay.unwrap_or_else(|| panic!("{place}: {:?}", what_if.refused)).error;
            assert!(error.abs() < 0.05, "{place}: model error {error}");
            let after = |turning: &str| prediction(&what_if, turning).exchange.unwrap().after;
            assert_near(
                after("client.nodelay=true"),
                really(&conversation, &nodelay, &linux, round_trip),
                &format!("{place}: nodelay"),
            );
            assert_near(
                after("server.quickack=route"),
                really(&conversation, &linux, &quickack, round_trip),
                &format!("{place}: quickack"),
            );
            assert_near(
                after("client.coalesce_writes=true"),
                really(&one_write, &linux, &linux, round_trip),
                &format!("{place}: one write"),
            );
        }
    }
}

#[test]
fn what_is_predicted_for_a_stalling_server_happens() {
    let (linux, mut nodelay) = (Knobs::default(), Knobs::default());
    nodelay.set("nodelay", "true").unwrap();
    for (round_trip, answer) in [(us(12_000), [110, 700]), (us(45_000), [110, 2_900])] {
        let conversation = calls(25, &[80], &answer, us(500));
        for vantage in [Side::Client, Side::Server] {
            let connection = captured(&played(&conversation, &linux, &linux, round_trip, 2), vantage);
            let what_if = predict(&connection, &[]).unwrap();
            assert_near(
                prediction(&what_if, "server.nodelay=true").exchange.unwrap().after,
                really(&conversation, &linux, &nodelay, round_trip),
                &format!("{answer:?} over {round_trip:?}, captured at the {}", vantage.name()),
            );
        }
    }
}

#[test]
fn a_peer_with_another_systems_ack_timer_is_modelled_by_what_is_seen_of_it() {
    let (linux, mut nodelay, mut other) = (Knobs::default(), Knobs::default(), Knobs::default());
    nodelay.set("nodelay", "true").unwrap();
    for (knob, value) in [("ack_policy", "delayed"), ("ack_delay_max", "200"), ("hz", "0")] {
        other.set(knob, value).unwrap();
    }
    let conversation = calls(20, &[14, 160], &[90], us(80));
    let connection = captured(&played(&conversation, &linux, &other, us(15_000), 5), Side::Client);
    let what_if = predict(&connection, &[]).unwrap();
    let error = what_if.replay.unwrap().error;
    assert!(error.abs() < 0.03, "model error {error}");
    assert_near(
        prediction(&what_if, "client.nodelay=true").exchange.unwrap().after,
        really(&conversation, &nodelay, &other, us(15_000)),
        "nodelay against a timer of 200 ms",
    );
    let at_once = prediction(&what_if, "server.quickack=route").exchange.unwrap().after;
    assert!(at_once < 3 * us(15_000), "a round trip for each piece, not {at_once:?}");
}

#[test]
fn a_healthy_connection_has_no_finding_and_turning_nodelay_there_gives_nothing() {
    let mut nodelay = Knobs::default();
    nodelay.set("nodelay", "true").unwrap();
    let conversation = calls(30, &[14, 160], &[90], us(80));
    let connection = captured(&played(&conversation, &nodelay, &nodelay, us(20_000), 3), Side::Client);
    assert_eq!(connection.findings, []);
    let asked: Turning = "server.nodelay=true".parse().unwrap();
    let what_if = predict(&connection, &[asked]).unwrap();
    let exchange = prediction(&what_if, "server.nodelay=true").exchange.unwrap();
    assert_near(exchange.after, exchange.before, "nothing to gain");
}

#[test]
fn what_cannot_be_turned_in_a_replay_is_refused() {
    let linux = Knobs::default();
    let conversation = calls(5, &[100], &[90], us(80));
    let connection = captured(&played(&conversation, &linux, &linux, us(20_000), 4), Side::Client);
    let asked: Turning = "path.nodelay=true".parse().unwrap();
    let error = predict(&connection, &[asked]).unwrap_err();
    assert!(error.to_string().contains("path"), "{error}");
}
