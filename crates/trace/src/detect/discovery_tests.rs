use crate::testing::{Play, analysed};
use crate::{Analyzer, AnalyzerOptions, Cause, Confidence, Connection, PathMtu, TooBig};
use narrows_lab::Side::{Client, Server};
use narrows_wire::Seq;
use std::time::Duration;

const ROUND_TRIP: u64 = 20_000;
const MSS: u64 = 1460;

/// The server's first flight is too large for a link of 1400 bytes, and comes again in smaller pieces.
fn adapted() -> Play {
    cut_anew(1360)
}

/// A first flight that is lost, and that comes again in pieces of so many bytes.
fn cut_anew(piece: u64) -> Play {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 20_100, 77).ack(Server, 30_110);
    for n in 0..4 {
        play.piece(Server, 30_400, n * MSS, 1460).lost();
    }
    for n in 0..4 {
        for from in (0..MSS).step_by(piece as usize) {
            play.piece(Server, 36_000 + n, n * MSS + from, piece.min(MSS - from) as u32);
        }
    }
    play.ack(Client, 46_100).close(Server, 60_000).close(Client, 70_100);
    play
}

fn only(connection: &Connection) -> &crate::Finding {
    assert_eq!(connection.findings.len(), 1, "{:?} {:?}", connection.vantage, connection.findings);
    &connection.findings[0]
}

#[test]
fn behind_the_narrow_link_the_pieces_show_it() {
    let connection = adapted().connection(0);
    let found = only(&connection);
    assert_eq!((found.cause, found.side), (Cause::PathMtuDiscovery, Server));
    assert_eq!(found.path_mtu, Some(PathMtu { least: 1400, most: 1400 }));
    assert!(found.lost <= Duration::from_micros(ROUND_TRIP + 1000), "{:?}", found.lost);
}

#[test]
fn no_icmp_that_nobody_saw_makes_packets_tiny() {
    let before = |piece: u64| cut_anew(piece).connection(ROUND_TRIP / 2);
    assert_eq!(only(&before(1360)).cause, Cause::PathMtuDiscovery);
    assert_eq!(before(365).findings, []);
}

#[test]
fn before_it_icmp_says_it() {
    let segments = adapted().captured(ROUND_TRIP / 2);
    let too_large = segments.iter().find(|segment| segment.payload_bytes == 1460).unwrap();
    let message = |seq: Seq, mtu: u32| TooBig {
        number: 8,
        time: too_large.time + Duration::from_micros(5_600),
        mtu,
        source: too_large.source,
        destination: too_large.destination,
        seq,
    };
    let with = |message: TooBig| {
        let mut analyzer = Analyzer::new(AnalyzerOptions::default());
        for segment in &segments {
            analyzer.push(segment);
            if segment.number == too_large.number + 3 {
                analyzer.too_big(&message);
            }
        }
        analyzer.finish().connections.remove(0)
    };
    let connection = with(message(too_large.seq, 1400));
    let found = only(&connection);
    assert_eq!((found.cause, found.side, found.count), (Cause::PathMtuDiscovery, Server, 1));
    assert_eq!(found.path_mtu, Some(PathMtu { least: 1400, most: 1400 }));
    assert_eq!(found.lost, Duration::from_micros(5_600));
    // Forged: nothing with that number was sent, or no link is that narrow.
    for forged in [message(too_large.seq + 1_000_000, 1400), message(too_large.seq, 60)] {
        let connection = with(forged);
        // What is left is told by sizes alone.
        assert_eq!(only(&connection).confidence, Confidence::Medium);
    }
}

#[test]
fn a_flight_that_fits_shows_nothing() {
    let mut play = Play::open(ROUND_TRIP);
    play.say(Client, 20_100, 77).ack(Server, 30_110);
    for n in 0..4 {
        play.full(Server, 30_400 + n);
    }
    play.say(Server, 30_410, 300).ack(Client, 40_500);
    assert!(play.everywhere().iter().all(|connection| connection.findings.is_empty()));
    assert!(analysed(&[]).is_empty());
}
