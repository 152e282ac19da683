//! Held segments and what only looks like them, each captured at the client, in the middle and at the server.

use crate::testing::Play;
use crate::{Cause, Confidence, Connection};
use narrows_lab::Side::{Client, Server};
use std::time::Duration;

const ROUND_TRIP: u64 = 10_000;

/// `n` requests in two small writes; the server acknowledges the first part after `delay`, and the client
/// lets the second go when that arrives, or, with `nodelay`, at once.
fn two_writes(n: u64, delay: u64, nodelay: bool) -> Play {
    let mut play = Play::open(ROUND_TRIP);
    let mut now = 10_100;
    for _ in 0..n {
        play.say(Client, now, 20);
        let mut second = now + 15;
        if !nodelay {
            play.ack(Server, now + ROUND_TRIP / 2 + delay);
            second = now + ROUND_TRIP + delay + 20;
        }
        play.say(Client, second, 100);
        play.say(Server, second + ROUND_TRIP / 2 + 300, 400);
        now = second + ROUND_TRIP + 300 + 150;
    }
    play
}

fn causes(connection: &Connection) -> Vec<Cause> {
    connection.findings.iter().map(|finding| finding.cause).collect()
}

#[test]
fn a_delayed_ack_lets_the_second_write_go() {
    for connection in two_writes(12, 41_000, false).everywhere() {
        assert_eq!(causes(&connection), [Cause::NagleDelayedAck], "{:?}", connection.vantage);
        let finding = &connection.findings[0];
        assert_eq!((finding.side, finding.count), (Client, 12));
        let lost = Duration::from_micros(12 * (ROUND_TRIP + 41_020));
        assert!(finding.lost.abs_diff(lost) < lost / 100, "{:?} {:?}", connection.vantage, finding);
        assert_eq!(finding.evidence.len(), 12);
        assert_eq!(connection.account.delayed_ack, finding.lost);
        assert_eq!(finding.confidence, Confidence::High);
        assert!(finding.why.starts_with("12x: the client wrote a small segment"), "{}", finding.why);
    }
}

#[test]
fn an_ack_at_once_costs_a_round_trip() {
    for connection in two_writes(12, 10, false).everywhere() {
        assert_eq!(causes(&connection), [Cause::NagleWithoutDelayedAck], "{:?}", connection.vantage);
        let lost = connection.findings[0].lost;
        assert!(lost.abs_diff(Duration::from_millis(120)) < Duration::from_millis(2), "{lost:?}");
        assert_eq!(connection.account.nagle, lost);
    }
}

#[test]
fn without_nagle_nothing_is_held() {
    for connection in two_writes(12, 41_000, true).everywhere() {
        assert_eq!(causes(&connection), []);
        assert_eq!(connection.account.delayed_ack + connection.account.nagle, Duration::ZERO);
    }
}

#[test]
fn one_or_two_are_no_pattern() {
    for connection in two_writes(2, 41_000, false).everywhere() {
        assert_eq!(causes(&connection), []);
        assert!(connection.account.delayed_ack > Duration::from_millis(100));
    }
}

/// An answer of a small header and a body: its full segments leave at once and are acknowledged by the
/// second, only its last part waits.
#[test]
fn the_last_part_of_a_long_answer_waits_for_the_header() {
    let mut play = Play::open(ROUND_TRIP);
    let mut now = 10_100;
    for _ in 0..10 {
        play.say(Client, now, 80);
        let answer = now + ROUND_TRIP / 2 + 200;
        play.say(Server, answer, 120);
        for n in 1..=4 {
            play.full(Server, answer + 10 * n);
        }
        play.ack(Client, answer + ROUND_TRIP / 2 + 15).ack(Client, answer + ROUND_TRIP / 2 + 35);
        play.say(Server, answer + ROUND_TRIP + 30, 700);
        now = answer + 3 * ROUND_TRIP / 2 + 200;
    }
    for connection in play.everywhere() {
        assert_eq!(causes(&connection), [Cause::NagleWithoutDelayedAck], "{:?}", connection.vantage);
        assert_eq!((connection.findings[0].side, connection.findings[0].count), (Server, 10));
        let answer = &connection.conversation.turns[1];
        let writes: Vec<u32> = answer.writes.iter().map(|write| write.bytes).collect();
        assert_eq!(writes, [120, 4 * 1460 + 700]);
    }
}

/// With RFC 896 the last part waits although no other small segment is in flight.
#[test]
fn one_write_can_wait_for_its_own_full_segment() {
    let mut play = Play::open(ROUND_TRIP);
    let mut now = 10_100;
    for _ in 0..10 {
        play.full(Client, now);
        play.ack(Server, now + ROUND_TRIP / 2 + 100_000);
        let rest = now + ROUND_TRIP + 100_010;
        play.say(Client, rest, 300);
        play.say(Server, rest + ROUND_TRIP / 2 + 300, 40);
        now = rest + ROUND_TRIP + 500;
    }
    for connection in play.everywhere() {
        assert_eq!(causes(&connection), [Cause::NagleDelayedAck], "{:?}", connection.vantage);
        assert_eq!(connection.conversation.turns[0].writes.len(), 1);
    }
}

/// Telegrams at the application's own pace, one of which leaves by chance just after an acknowledgment came.
#[test]
fn the_applications_own_pace_is_not_nagle() {
    let mut play = Play::open(ROUND_TRIP);
    for n in 0..60 {
        let now = 10_100 + n * 50_500;
        play.say(Client, now, 50).ack(Server, now + ROUND_TRIP / 2 + 40_000 + (n * 37) % 4000);
    }
    for connection in play.everywhere() {
        assert_eq!(causes(&connection), [], "{:?}", connection.vantage);
    }
}

/// A bulk transfer whose receiver delays ACKs, in short writes that end in small segments.
#[test]
fn a_bulk_transfer_has_nothing_to_hold() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_100, 80);
    let mut now = 15_400;
    for round in 0..12 {
        for n in 0..10 {
            play.full(Server, now + n * 12);
        }
        for n in 0..5 {
            play.ack(Client, now + 5_040 + n * 24);
        }
        now += ROUND_TRIP + 60 + round;
    }
    play.say(Server, now, 900).ack(Client, now + 45_000);
    for connection in play.everywhere() {
        assert_eq!(causes(&connection), [], "{:?}", connection.vantage);
        assert_eq!(connection.account.nagle, Duration::ZERO);
    }
}
