//! What becomes a finding, seen from the capture at either end.

use super::*;
use crate::testing::{Play, analysed};
use crate::{Segment, both_ends};

/// An upload, captured at both ends, with the packets that arrive changed by `on_the_way`.
fn captured(play: &Play, on_the_way: impl Fn(&mut Vec<Segment>)) -> [Connection; 2] {
    let near = play.connection(0);
    let mut far = play.captured(10_000);
    on_the_way(&mut far);
    [near, analysed(&far).remove(0)]
}

fn upload() -> Play {
    let mut play = Play::open(20_000);
    for n in 0..100 {
        play.piece(Side::Client, 20_100 + 200 * n, n * 1300, 1300).ack(Side::Server, 30_200 + 200 * n);
    }
    play.say(Side::Server, 60_000, 100).ack(Side::Client, 70_100);
    play
}

/// The findings of each capture, told by both.
fn told(captures: &[Connection; 2]) -> [Vec<Finding>; 2] {
    let ends = both_ends(&[&captures[0]], &[&captures[1]]).remove(0);
    [0, 1].map(|place: usize| {
        let mut connection = captures[place].clone();
        ends.tell(place, &mut connection);
        connection.findings
    })
}

fn is_client(segment: &Segment) -> bool {
    segment.source.port() == 40_000
}

#[test]
fn a_clamp_costs_its_headers_and_binds_the_other_side() {
    let mut captures = captured(&upload(), |segments| {
        for segment in segments.iter_mut().filter(|segment| !is_client(segment)) {
            segment.options.mss = segment.options.mss.map(|_| 1460);
        }
    });
    // The server's SYN-ACK left with 1460 and comes to the client with 1300.
    let options = captures[0].sides[1].syn_options.as_mut().expect("a SYN-ACK");
    options.mss = Some(1300);
    for capture in &mut captures {
        capture.rate_bits_per_second = [Some(1_000_000); 2];
    }
    for (place, findings) in told(&captures).into_iter().enumerate() {
        let clamped: Vec<_> = findings.iter().filter(|f| f.cause == Cause::MssClamped).collect();
        assert_eq!(clamped.len(), 1, "{findings:?}");
        assert_eq!((clamped[0].side, clamped[0].confidence), (Side::Client, Confidence::High));
        assert_eq!(clamped[0].path_mtu, Some(PathMtu { least: 1340, most: 1340 }));
        assert_eq!(clamped[0].evidence, [2], "the SYN-ACK in capture {place}");
        // 100 packets instead of 90, with 40 bytes of headers each at 1 Mbit/s.
        assert!(
            clamped[0].lost.abs_diff(Duration::from_micros(3_200)) < Duration::from_micros(10),
            "{clamped:?}"
        );
    }
}

#[test]
fn a_removed_option_is_told_with_what_follows_and_is_out_of_effect() {
    let captures = captured(&upload(), |segments| {
        for segment in segments.iter_mut().filter(|segment| is_client(segment)) {
            segment.options.sack_permitted = false;
        }
    });
    let ends = both_ends(&[&captures[0]], &[&captures[1]]).remove(0);
    let mut near = captures[0].clone();
    assert!(near.sides[0].syn_options.as_ref().is_some_and(|options| options.sack_permitted));
    ends.tell(0, &mut near);
    let finding = near.findings.iter().find(|f| f.cause == Cause::SynOptionRemoved).expect("a finding");
    assert_eq!((finding.side, finding.evidence.as_slice()), (Side::Client, &[1][..]));
    assert!(finding.why.contains("left here with SACK-permitted and arrived without"), "{}", finding.why);
    assert!(near.sides[0].syn_options.as_ref().is_some_and(|options| !options.sack_permitted));
}

#[test]
fn a_loss_is_told_from_a_gap_of_the_capture() {
    let mut play = upload();
    let at = play.said(Side::Client);
    play.piece(Side::Client, 80_000, at, 1300).lost().piece(Side::Client, 300_000, at, 1300);
    play.ack(Side::Server, 310_100);
    let gap = |segments: &mut Vec<Segment>| {
        let mut data = 0;
        segments.retain(|segment| {
            data += u32::from(is_client(segment) && segment.payload_bytes > 0);
            !(is_client(segment) && segment.payload_bytes > 0 && (20..23).contains(&data))
        });
    };
    let lost = |captures: &[Connection; 2]| {
        told(captures).map(|findings| {
            findings.into_iter().find(|f| f.cause == Cause::LostOnTheWay).map(|f| (f.count, f.confidence))
        })
    };
    assert_eq!(lost(&captured(&play, |_| {})), [Some((1, Confidence::High)); 2]);
    assert_eq!(
        lost(&captured(&play, gap)),
        [Some((1, Confidence::Medium)); 2],
        "three more are not captured"
    );
    assert_eq!(lost(&captured(&upload(), gap)), [None, None]);
    // A capture that ended sooner has lost nothing.
    assert_eq!(lost(&captured(&upload(), |segments| segments.truncate(120))), [None, None]);
}
