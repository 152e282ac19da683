//! Conversations and accounts of plays whose every write is known, captured at the client, in the middle and
//! at the server.

use crate::Connection;
use crate::testing::{Play, analysed, sum};
use narrows_lab::Side::{self, Client, Server};
use narrows_lab::Trigger;
use std::time::Duration;

const ROUND_TRIP: u64 = 10_000;
/// What the places of a capture may differ by: the play's hosts take some microseconds for what the legs'
/// minima take for nothing.
const TOLERANCE: Duration = Duration::from_micros(20);

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn near(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) <= TOLERANCE
}

type Heard = (Side, Trigger, Duration, Vec<(u32, Duration, Duration)>);

fn heard(connection: &Connection) -> Vec<Heard> {
    let turns = connection.conversation.turns.iter();
    turns
        .map(|t| {
            let writes = t.writes.iter().map(|w| (w.bytes, w.gap, w.gap_latest)).collect();
            (t.side, t.trigger, t.think, writes)
        })
        .collect()
}

fn expect(connection: &Connection, expected: &[Heard]) {
    let heard = heard(connection);
    assert_eq!(heard.len(), expected.len(), "{:?}: {heard:#?}", connection.vantage);
    for (got, want) in heard.iter().zip(expected) {
        let same = got.0 == want.0
            && got.1 == want.1
            && near(got.2, want.2)
            && got.3.len() == want.3.len()
            && got.3.iter().zip(&want.3).all(|(g, w)| g.0 == w.0 && near(g.1, w.1) && near(g.2, w.2));
        assert!(same, "{:?}: {got:?} instead of {want:?}", connection.vantage);
    }
    assert_eq!(sum(connection), connection.duration);
}

fn once(bytes: u32) -> Vec<(u32, Duration, Duration)> {
    vec![(bytes, Duration::ZERO, Duration::ZERO)]
}

#[test]
fn requests_and_answers_with_their_thinking() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100).say(Server, 17_500, 300).say(Client, 23_000, 50).say(Server, 28_040, 700);
    play.ack(Client, 33_050);
    for connection in play.everywhere() {
        let expected = [
            (Client, Trigger::Connected, micros(500), once(100)),
            (Server, Trigger::Received(100), micros(2_000), once(300)),
            (Client, Trigger::Received(300), micros(500), once(50)),
            (Server, Trigger::Received(150), micros(40), once(700)),
        ];
        expect(&connection, &expected);
        assert_eq!(connection.exchanges, 2);
        assert!(near(connection.mean_exchange.unwrap(), micros((12_000 + 10_040) / 2)));
        assert!(near(connection.account.client_thinking, micros(1_000)), "{:?}", connection.account);
        assert!(near(connection.account.server_thinking, micros(2_040)), "{:?}", connection.account);
    }
}

#[test]
fn a_server_that_speaks_first_thinks_from_the_end_of_the_handshake_on() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Server, 15_700, 200).say(Client, 21_200, 50).ack(Server, 26_210);
    for connection in play.everywhere() {
        let expected = [
            (Server, Trigger::Connected, micros(700), once(200)),
            (Client, Trigger::Received(200), micros(500), once(50)),
        ];
        expect(&connection, &expected);
        assert!(near(connection.account.server_thinking, micros(700)), "{:?}", connection.account);
    }
}

#[test]
fn several_writes_of_one_message() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100).say(Client, 10_540, 60).say(Client, 12_540, 30);
    play.say(Server, 17_600, 10);
    for connection in play.everywhere() {
        let writes = vec![
            (100, Duration::ZERO, Duration::ZERO),
            (60, micros(40), micros(40)),
            (30, micros(2_000), micros(2_000)),
        ];
        let expected = [
            (Client, Trigger::Connected, micros(500), writes),
            (Server, Trigger::Received(190), micros(60), once(10)),
        ];
        expect(&connection, &expected);
    }
}

#[test]
fn news_without_being_asked() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100).say(Server, 15_600, 20);
    play.ack(Client, 20_610).say(Server, 515_600, 20).ack(Client, 520_610);
    for connection in play.everywhere() {
        let expected = [
            (Client, Trigger::Connected, micros(500), once(100)),
            (Server, Trigger::Received(100), micros(100), once(20)),
            (Server, Trigger::Own, micros(500_000), once(20)),
        ];
        expect(&connection, &expected);
        assert!(
            near(connection.account.server_thinking, micros(500_100 - ROUND_TRIP / 2))
                || connection.account.server_thinking >= micros(490_000)
        );
    }
}

#[test]
fn a_held_write_keeps_its_doubt() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 20).ack(Server, 56_500).say(Client, 61_520, 80).say(Server, 66_620, 10);
    for connection in play.everywhere() {
        let writes = vec![(20, Duration::ZERO, Duration::ZERO), (80, Duration::ZERO, micros(51_020))];
        let expected = [
            (Client, Trigger::Connected, micros(500), writes),
            (Server, Trigger::Received(100), micros(100), once(10)),
        ];
        expect(&connection, &expected);
        assert!(near(connection.account.delayed_ack, micros(51_020)));
    }
}

#[test]
fn a_long_answer_is_one_write() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100);
    for n in 0..10 {
        play.full(Server, 15_700 + n * 10);
    }
    for n in 0..5 {
        play.ack(Client, 20_710 + n * 20).full(Server, 25_720 + n * 20).full(Server, 25_730 + n * 20);
    }
    play.say(Server, 25_830, 400);
    for connection in play.everywhere() {
        let expected = [
            (Client, Trigger::Connected, micros(500), once(100)),
            (Server, Trigger::Received(100), micros(200), once(20 * 1460 + 400)),
        ];
        expect(&connection, &expected);
        assert!(near(connection.account.transmission, micros(10_130)), "{:?}", connection.account);
    }
}

#[test]
fn a_lost_request_is_recovery_and_not_thinking() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100).again(Client, 220_500, 100).say(Server, 225_800, 40);
    let connection = play.connection(0);
    assert!(near(connection.account.recovery, micros(210_000)), "{:?}", connection.account);
    assert!(near(connection.account.server_thinking, micros(300)), "{:?}", connection.account);
    let summary = connection.side(Client);
    assert_eq!((summary.retransmissions, summary.timeouts, summary.payload_bytes), (1, 1, 100));
    assert_eq!(sum(&connection), connection.duration);
}

#[test]
fn who_closes_and_when() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100)
        .say(Server, 15_600, 20)
        .close(Client, 22_600)
        .close(Server, 27_650)
        .ack(Client, 32_660);
    for connection in play.everywhere() {
        let (side, after) = connection.conversation.close.unwrap();
        assert_eq!(side, Client);
        assert!(near(after, micros(2_000)), "{after:?}");
        assert!(connection.side(Client).fin && connection.side(Server).fin);
    }
}

/// A keep-alive of `side` that comes up empty-handed: nothing but an acknowledgment of what was known.
fn keep_alive(play: &mut Play, side: Side, at: u64) {
    play.ack(side, at).ack(side.peer(), at + ROUND_TRIP / 2 + 10);
}

#[test]
fn a_connection_kept_open_waits_for_whose_turn_it_is() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100).say(Server, 17_500, 300).ack(Client, 22_600);
    let mut asked = play.clone();
    asked.say(Client, 30_000, 40).ack(Server, 35_050);
    keep_alive(&mut play, Client, 45_000_000);
    keep_alive(&mut asked, Client, 45_000_000);
    let within = |time: Duration| time.abs_diff(Duration::from_secs(45)) < Duration::from_millis(60);
    for connection in play.everywhere() {
        assert!(within(connection.account.client_thinking), "{:?}", connection.account);
        assert!(connection.account.unexplained < micros(50), "{:?}", connection.account);
        assert_eq!(sum(&connection), connection.duration);
    }
    for connection in asked.everywhere() {
        assert!(within(connection.account.server_thinking), "unanswered: {:?}", connection.account);
    }
}

#[test]
fn what_is_under_way_at_the_end_is_nobodys_turn() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 10_500, 100).say(Server, 17_500, 300).say(Server, 17_510, 300).lost();
    play.ack(Client, 22_600);
    keep_alive(&mut play, Client, 9_000_000);
    let connection = play.connection(ROUND_TRIP / 2);
    assert!(connection.account.unexplained > Duration::from_secs(8), "{:?}", connection.account);
}

#[test]
fn a_capture_that_begins_with_keep_alives() {
    let mut play = Play::open(ROUND_TRIP);
    keep_alive(&mut play, Client, 1_000_000);
    play.say(Server, 21_000_000, 300).ack(Client, 21_005_050);
    let midstream = &play.captured(0)[3..];
    let connection = &analysed(midstream)[0];
    assert!(!connection.handshake_seen);
    let silent = connection.account.server_thinking;
    assert!(silent > Duration::from_millis(19_900), "{:?}", connection.account);
    assert_eq!(sum(connection), connection.duration);
}

#[test]
fn what_began_before_the_capture_is_no_time_that_the_server_thought() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Server, 20_000, 300).ack(Client, 25_050);
    let mut at = 30_000;
    for _ in 0..5 {
        play.say(Client, at, 50).ack(Server, at + 5_050).say(Server, at + 65_000, 300);
        at += 80_000;
    }
    play.ack(Client, at);
    let connection = &analysed(&play.captured(0)[3..])[0];
    let thought: Vec<u32> = connection.findings.iter().map(|finding| finding.count).collect();
    assert_eq!(thought, [5], "{:?}", connection.account);
}
