//! Black holes and what only looks like them, each captured at the client, behind the narrow link, and at the server.

use crate::testing::{Play, sum};
use crate::{Cause, Confidence, Connection, PathMtu};
use narrows_lab::Side::{self, Client, Server};
use std::time::Duration;

const ROUND_TRIP: u64 = 20_000;
const MSS: u64 = 1460;

fn causes(connection: &Connection) -> Vec<(Cause, Side)> {
    connection.findings.iter().map(|finding| (finding.cause, finding.side)).collect()
}

/// `side` has said something small; then ten full segments vanish, and the first one again after each timeout.
fn into_the_hole(side: Side) -> (Play, u64) {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 20_100, 77).say(Server, 30_400, 298).ack(Client, 40_500);
    let begins = if side == Client { 40_600 } else { 30_500 };
    let base = play.said(side);
    play.say(side, begins, 99).ack(side.peer(), begins + 50_000);
    for n in 0..10 {
        play.piece(side, begins + 50, base + 99 + n * MSS, 1460).lost();
    }
    for at in [250_000, 700_000, 1_600_000] {
        play.piece(side, at, base + 99, 1460).lost();
    }
    (play, base + 99)
}

/// The sender tries 1024 bytes, and sends the rest of each original behind it.
fn with_probing(side: Side) -> Play {
    let (mut play, base) = into_the_hole(side);
    let mut at = 3_400_000;
    for n in 0..10 {
        play.piece(side, at, base + n * MSS, 1024);
        at += ROUND_TRIP;
        play.piece(side, at, base + n * MSS + 1024, 436).ack(side.peer(), at + 10_010);
        at += ROUND_TRIP;
    }
    play.close(side, at).close(side.peer(), at + 10_100);
    play
}

#[test]
fn a_hole_that_the_sender_gets_around_is_seen_from_everywhere() {
    for side in [Client, Server] {
        for connection in with_probing(side).everywhere() {
            let expected = [(Cause::PathMtuBlackHole, side), (Cause::MtuProbingRecovers, side)];
            assert_eq!(causes(&connection), expected, "{:?}", connection.vantage);
            let hole = &connection.findings[0];
            assert_eq!(hole.path_mtu, Some(PathMtu { least: 1064, most: 1499 }), "{:?}", connection.vantage);
            let lost = Duration::from_micros(3_360_000);
            assert!(hole.lost.abs_diff(lost) < lost / 40, "{:?} {:?}", connection.vantage, hole.lost);
            assert!(hole.confidence >= Confidence::Medium);
            assert!(connection.account.recovery >= lost * 9 / 10, "{:?}", connection.account);
            assert_eq!(sum(&connection), connection.duration);
        }
    }
}

#[test]
fn a_hole_that_swallows_everything_is_seen_from_both_ends() {
    for side in [Client, Server] {
        let (mut play, _) = into_the_hole(side);
        // The receiver gives up, and the sender's answer says how far it had come.
        play.close(side.peer(), 12_000_000).ack(side, 12_010_100);
        for connection in play.everywhere() {
            assert_eq!(causes(&connection), [(Cause::PathMtuBlackHole, side)], "{:?}", connection.vantage);
            let hole = &connection.findings[0];
            assert_eq!(hole.path_mtu.unwrap().most, 1499);
            assert!((100..600).contains(&hole.path_mtu.unwrap().least));
            assert_eq!(hole.confidence, Confidence::Medium);
            assert!(hole.lost > Duration::from_secs(11), "{:?} {:?}", connection.vantage, hole.lost);
            assert!(connection.account.server_thinking < Duration::from_secs(1), "{:?}", connection.account);
        }
    }
}

#[test]
fn a_loss_of_full_segments_that_are_sent_again_is_none() {
    let (mut play, base) = into_the_hole(Client);
    for n in 0..10 {
        play.piece(Client, 1_700_000 + n, base + n * MSS, 1460);
    }
    play.ack(Server, 1_720_000);
    for connection in play.everywhere() {
        assert_eq!(causes(&connection), [], "{:?}", connection.vantage);
    }
}

#[test]
fn a_peer_that_never_answers_is_none() {
    let mut play = Play::open(ROUND_TRIP);
    for at in [20_100, 250_000, 700_000, 1_600_000] {
        play.piece(Client, at, 0, 400).lost();
    }
    for connection in play.everywhere() {
        assert_eq!(causes(&connection), [], "{:?}", connection.vantage);
    }
}

#[test]
fn an_answer_that_only_the_capture_missed_is_none() {
    let mut play = Play::open(20_000);
    play.say(Client, 20_500, 500).say(Server, 31_000, 2902).close(Server, 10_031_000);
    play.ack(Client, 10_041_050).close(Client, 10_041_100).ack(Server, 10_051_150);
    let mut segments = play.captured(0);
    segments.retain(|segment| segment.payload_bytes != 2902);
    let connection = &crate::testing::analysed(&segments)[0];
    assert_eq!(causes(connection), []);
    assert_eq!(connection.side(Server).missed_bytes, 2902);
}
