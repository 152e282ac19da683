//! Thinking servers and servers that wait for something else.

use crate::testing::Play;
use crate::{Cause, Connection};
use narrows_lab::Side::{Client, Server};
use std::time::Duration;

const ROUND_TRIP: u64 = 20_000;

/// Requests answered after these times, each the next one's cue.
fn answers(thinks: &[u64], pause: u64) -> Play {
    let mut play = Play::open(ROUND_TRIP);
    let mut now = 20_100;
    for think in thinks {
        play.say(Client, now, 200).ack(Server, now + ROUND_TRIP / 2 + 10);
        play.say(Server, now + ROUND_TRIP / 2 + think, 900);
        now += ROUND_TRIP + think + pause;
    }
    play
}

fn named(connection: &Connection) -> bool {
    connection.findings.iter().any(|finding| finding.cause == Cause::ServerThinkTime)
}

#[test]
fn regular_work_is_named() {
    let thinks: Vec<u64> = (0..12).map(|n| 80_000 + (n * 977) % 5_000).collect();
    for connection in answers(&thinks, 200).everywhere() {
        assert!(named(&connection), "{:?}", connection.vantage);
        let finding = &connection.findings[0];
        assert_eq!((finding.side, finding.count), (Server, 12));
        let lost = Duration::from_micros(thinks.iter().sum());
        assert!(finding.lost.abs_diff(lost) < lost / 50, "{finding:?}");
    }
}

#[test]
fn little_work_is_not() {
    for connection in answers(&[5_000; 12], 200).everywhere() {
        assert!(!named(&connection));
    }
}

#[test]
fn work_that_is_a_small_share_is_not() {
    for connection in answers(&[30_000; 12], 900_000).everywhere() {
        assert!(!named(&connection));
    }
}

#[test]
fn waiting_for_news_is_not() {
    let news: Vec<u64> = (0..12).map(|n| 30_000 + (n * 611_953) % 900_000).collect();
    for connection in answers(&news, 200).everywhere() {
        assert!(!named(&connection));
    }
    for connection in answers(&[2_110_000; 12], 200).everywhere() {
        assert!(!named(&connection));
    }
}

#[test]
fn unasked_news_is_not() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 20_100, 100);
    for n in 1..20 {
        play.say(Server, 30_100 + n * 120_000, 200).ack(Client, 40_200 + n * 120_000);
    }
    for connection in play.everywhere() {
        assert!(!named(&connection));
    }
}
