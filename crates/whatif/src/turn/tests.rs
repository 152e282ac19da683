use super::*;
use crate::KnobSide;

fn piece(bytes: u32, gap_ms: u64) -> Write {
    let gap = Duration::from_millis(gap_ms);
    Write { bytes, gap, gap_latest: gap }
}

fn turn(side: Side, trigger: Trigger, think_ms: u64, writes: Vec<Write>) -> narrows_lab::Turn {
    narrows_lab::Turn { side, trigger, think: Duration::from_millis(think_ms), writes }
}

#[test]
fn a_turning_is_read_from_side_knob_and_value() {
    let turning: Turning = "client.nodelay=true".parse().unwrap();
    assert_eq!(
        (turning.side, turning.knob.as_str(), turning.value.as_str()),
        (KnobSide::Client, "nodelay", "true")
    );
    assert_eq!(turning.by, None);
}

#[test]
fn quickack_says_by_which_means() {
    for (text, by) in [
        ("server.quickack=true:socket", Some("socket")),
        ("server.quickack=socket", Some("socket")),
        ("server.quickack=route", Some("route")),
        ("server.quickack=true", None),
    ] {
        let turning: Turning = text.parse().unwrap();
        assert_eq!((turning.value.as_str(), turning.by.as_deref()), ("true", by), "{text}");
    }
}

#[test]
fn wrong_turnings_say_what_is_wrong() {
    for (text, said) in [
        ("nodelay=true", "SIDE.KNOB=VALUE"),
        ("client.nodelay", "SIDE.KNOB=VALUE"),
        ("nobody.nodelay=true", "SIDE.KNOB=VALUE"),
        ("client.nodelayy=true", "did you mean nodelay"),
        ("client.nodelay=maybe", "true or false"),
        ("client.quickack=true:magic", "expected off, route, socket"),
        ("client.nodelay=true:socket", "only one way"),
    ] {
        let error = text.parse::<Turning>().unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn one_write_leaves_when_its_last_piece_is_ready() {
    let mut conversation = Conversation {
        turns: vec![turn(
            Side::Client,
            Trigger::Connected,
            0,
            vec![piece(12, 0), piece(100, 2), piece(80, 3)],
        )],
        ..Conversation::default()
    };
    coalesce_writes(&mut conversation, Side::Client);
    assert_eq!(conversation.turns[0].writes, [piece(192, 5)]);
}

#[test]
fn a_long_pause_between_two_writes_is_not_bridged() {
    let mut conversation = Conversation {
        turns: vec![turn(Side::Client, Trigger::Connected, 0, vec![piece(12, 0), piece(100, 50)])],
        ..Conversation::default()
    };
    coalesce_writes(&mut conversation, Side::Client);
    assert_eq!(conversation.turns[0].writes.len(), 2);
}

#[test]
fn the_other_sides_writes_stay_as_they_are() {
    let before = vec![turn(Side::Server, Trigger::Connected, 0, vec![piece(12, 0), piece(100, 0)])];
    let mut conversation = Conversation { turns: before.clone(), ..Conversation::default() };
    coalesce_writes(&mut conversation, Side::Client);
    assert_eq!(conversation.turns, before);
}

#[test]
fn thinking_is_set_where_a_side_answers_and_not_where_it_speaks_of_itself() {
    let mut conversation = Conversation {
        turns: vec![
            turn(Side::Client, Trigger::Connected, 1, vec![piece(10, 0)]),
            turn(Side::Server, Trigger::Received(10), 120, vec![piece(10, 0)]),
            turn(Side::Server, Trigger::Own, 500, vec![piece(10, 0)]),
            turn(Side::Server, Trigger::Received(20), 123, vec![piece(10, 0)]),
        ],
        ..Conversation::default()
    };
    set_think(&mut conversation, Side::Server, Duration::from_millis(10));
    let thinking: Vec<u128> = conversation.turns.iter().map(|turn| turn.think.as_millis()).collect();
    assert_eq!(thinking, [1, 10, 500, 13]);
}
