use super::*;
use narrows_lab::{Trigger, Turn, Write};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn held(think: Duration, hold: Duration) -> Turn {
    Turn {
        side: Side::Client,
        trigger: Trigger::Connected,
        think,
        writes: vec![
            Write { bytes: 12, gap: Duration::ZERO, gap_latest: Duration::ZERO },
            Write { bytes: 180, gap: Duration::ZERO, gap_latest: hold },
        ],
    }
}

#[test]
fn the_shortest_hold_of_a_message_shape_bounds_the_hidden_pause() {
    let turns = vec![held(ms(30), ms(44)), held(ms(30), ms(7)), held(ms(30), ms(43))];
    let mut conversation = Conversation { turns, ..Conversation::default() };
    bound_hidden_gaps(&mut conversation, ms(20));
    assert!(conversation.turns.iter().all(|turn| turn.writes[1].gap_latest == ms(7)));
}

#[test]
fn a_quick_application_pauses_no_longer_than_a_round_trip_within_a_message() {
    let turns = vec![held(ms(0), ms(44)), held(ms(0), ms(43))];
    let mut conversation = Conversation { turns, ..Conversation::default() };
    bound_hidden_gaps(&mut conversation, ms(20));
    assert!(conversation.turns.iter().all(|turn| turn.writes[1].gap_latest == ms(20)));
}

#[test]
fn a_pause_that_the_capture_shows_stays() {
    let mut shown = held(ms(0), ms(5));
    shown.writes[1].gap = ms(5);
    let mut conversation =
        Conversation { turns: vec![shown.clone(), held(ms(0), ms(44))], ..Conversation::default() };
    bound_hidden_gaps(&mut conversation, ms(20));
    assert_eq!(conversation.turns[0], shown);
}
