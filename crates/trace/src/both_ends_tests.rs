//! Is the same connection found in two captures, and what happened in between?

use super::*;
use crate::Segment;
use crate::testing::{Play, analysed};
use std::net::SocketAddr;

/// The captures at both ends of a connection with losses, the later one changed by `on_the_way`.
fn captures(on_the_way: impl Fn(&mut Segment)) -> [Connection; 2] {
    let mut play = Play::open(20_000);
    play.say(Side::Client, 20_020, 100).say(Side::Server, 31_000, 2_000).ack(Side::Client, 41_100);
    play.say(Side::Client, 41_200, 300).lost();
    play.again(Side::Client, 300_000, 300).say(Side::Server, 311_000, 50).ack(Side::Client, 321_100);
    let near = play.connection(0);
    let mut far = play.captured(10_000);
    far.iter_mut().for_each(on_the_way);
    [near, analysed(&far).remove(0)]
}

fn ends(captures: &[Connection; 2]) -> Vec<BothEnds> {
    both_ends(&[&captures[0]], &[&captures[1]])
}

fn translate(segment: &mut Segment) {
    let inside = SocketAddr::from(([10, 0, 0, 1], 40_000));
    let outside = SocketAddr::from(([198, 51, 100, 7], 32_768));
    for address in [&mut segment.source, &mut segment.destination] {
        if *address == inside {
            *address = outside;
        }
    }
}

#[test]
fn a_rewritten_mss_and_a_lost_packet_are_seen_whichever_capture_comes_first() {
    let clamp = |segment: &mut Segment| {
        if segment.source.port() == 40_000 {
            segment.options.mss = segment.options.mss.map(|mss| mss.min(1380));
            segment.options.sack_permitted = false;
        }
    };
    let captures = captures(clamp);
    let found = ends(&captures);
    assert_eq!((found.len(), found[0].nearer_to_client), (1, 0));
    let rewritten =
        [Rewritten::Mss { left: 1460, arrived: 1380 }, Rewritten::Removed(SynOption::SackPermitted)];
    assert_eq!(found[0].ways[0].rewritten, rewritten);
    let (left, arrived) = found[0].ways[0].packets.unwrap();
    assert_eq!(left - arrived, 1);
    assert_eq!(found[0].ways[0].never_arrived_bytes, 0, "it was sent again");
    assert!(found[0].ways[1].is_clean(), "{:?}", found[0].ways[1]);
    let turned = both_ends(&[&captures[1]], &[&captures[0]]);
    assert_eq!((turned[0].nearer_to_client, &turned[0].ways), (1, &found[0].ways));
}

#[test]
fn a_translated_connection_is_the_same() {
    let found = ends(&captures(translate));
    let translated = found[0].ways[0].translated.unwrap();
    assert_eq!((translated.0.port(), translated.1.port()), (40_000, 32_768));
    assert_eq!(found[0].ways[1].translated, None);
}

#[test]
fn rewritten_sequence_numbers_leave_the_lengths_of_the_messages() {
    let captures = captures(|segment| {
        translate(segment);
        match segment.source.port() {
            443 => segment.ack += 7_000_000,
            _ => segment.seq += 7_000_000,
        }
    });
    assert_ne!(captures[0].sides[0].initial_seq, captures[1].sides[0].initial_seq);
    assert_eq!(ends(&captures).len(), 1);
    let twin = captures[1].clone();
    let twins = [&captures[1], &Connection { number: 2, ..twin }];
    assert_eq!(both_ends(&[&captures[0]], &twins), [], "two are as like");
}

#[test]
fn another_connection_is_another() {
    let captures = captures(translate);
    let mut other = Play::open(20_000);
    other.say(Side::Client, 20_020, 100);
    let mut segments = other.captured(10_000);
    segments.iter_mut().for_each(|segment| segment.seq += 5);
    assert_eq!(both_ends(&[&captures[0]], &[&analysed(&segments)[0]]), []);
    assert_eq!(ends(&[captures[0].clone(), captures[0].clone()]), [], "one place seen twice");
}
