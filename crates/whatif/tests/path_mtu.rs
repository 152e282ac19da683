//! Is a prediction about packets' sizes what really happens? Uploads over a path with a narrow link, played in the lab,
//! captured at both ends and predicted, against the same upload with the knob really turned.

mod capture;

use capture::captured;
use narrows_lab::scenario::TooBig;
use narrows_lab::{
    Between, Conversation, LinkConfig, Outcome, PlayConfig, Playback, Side, Trigger, Turn, Write, play,
};
use narrows_stack::Knobs;
use narrows_trace::{Cause, PathMtu};
use narrows_whatif::{Prediction, Turning, WhatIf, predict};
use std::time::Duration;

const ROUND_TRIP: Duration = Duration::from_millis(24);

fn turn(side: Side, trigger: Trigger, bytes: u32) -> Turn {
    let write = Write { bytes, gap: Duration::ZERO, gap_latest: Duration::ZERO };
    Turn { side, trigger, think: Duration::from_micros(200), writes: vec![write] }
}

/// A small request and its answer, then an upload and its answer.
fn upload() -> Conversation {
    let turns = vec![
        turn(Side::Client, Trigger::Connected, 90),
        turn(Side::Server, Trigger::Received(90), 250),
        turn(Side::Client, Trigger::Received(250), 120_000),
        turn(Side::Server, Trigger::Received(120_090), 80),
    ];
    Conversation { turns, close: Some((Side::Client, Duration::from_micros(300))), cut: false }
}

fn path(mtu: u32, too_big: TooBig, clamp_mss: Option<u16>) -> Between {
    Between {
        mtu,
        too_big,
        icmp_delay: Duration::ZERO,
        clamp_mss,
        interface_mtu: [1500; 2],
        to_router: ROUND_TRIP / 4,
    }
}

fn played(knobs: [&Knobs; 2], between: Between, time_limit: Duration) -> Playback {
    let link = LinkConfig::with_delay(ROUND_TRIP / 2);
    let config = PlayConfig {
        record_packets: true,
        between: Some(between),
        time_limit,
        ..PlayConfig::new(3, knobs[0].clone(), knobs[1].clone(), link)
    };
    play(&upload(), &config).unwrap()
}

fn really(knobs: [&Knobs; 2], between: Between) -> Duration {
    let playback = played(knobs, between, Duration::from_secs(60));
    assert_eq!(playback.outcome, Outcome::Completed);
    playback.duration_at(Side::Client).unwrap()
}

fn probing(word: &str) -> Knobs {
    let mut knobs = Knobs::default();
    knobs.set("mtu_probing", word).unwrap();
    knobs
}

fn predicted<'a>(what_if: &'a WhatIf, turning: &str) -> &'a Prediction {
    let turning = turning.parse().unwrap();
    what_if.predictions.iter().find(|prediction| prediction.turning == turning).unwrap()
}

fn assert_near(predicted: Duration, real: Duration, of: &str) {
    let off = predicted.as_secs_f64() / real.as_secs_f64() - 1.0;
    assert!(off.abs() < 0.1, "{of}: predicted {predicted:?}, really {real:?}");
}

#[test]
fn what_is_predicted_for_a_black_hole_that_probing_got_around_happens() {
    let (linux, probes) = (Knobs::default(), probing("1"));
    let hole = || path(1400, TooBig::Silent, None);
    let playback = played([&probes, &linux], hole(), Duration::from_secs(60));
    assert_eq!(playback.outcome, Outcome::Completed);
    let clamped = really([&probes, &linux], path(1400, TooBig::Silent, Some(1360)));
    let told = really([&linux, &linux], path(1400, TooBig::Icmp, None));
    for vantage in [Side::Client, Side::Server] {
        let connection = captured(&playback, vantage);
        let at = vantage.name();
        let causes: Vec<Cause> = connection.findings.iter().map(|finding| finding.cause).collect();
        assert_eq!(causes, [Cause::PathMtuBlackHole, Cause::MtuProbingRecovers], "{at}");
        let PathMtu { least, most } = connection.findings[0].path_mtu.unwrap();
        assert!((least..=most).contains(&1400) && least >= 1076, "{at}: {least} to {most}");
        let asked = ["path.mss_clamp=1360".parse().unwrap(), "path.icmp_allowed=true".parse().unwrap()];
        let what_if = predict(&connection, &asked).unwrap();
        let replay = what_if.replay.unwrap_or_else(|| panic!("{at}: {:?}", what_if.refused));
        assert!(replay.error.abs() < 0.1, "{at}: model error {}", replay.error);
        assert_near(predicted(&what_if, "path.mss_clamp=1360").duration.after, clamped, at);
        assert_near(predicted(&what_if, "path.icmp_allowed=true").duration.after, told, at);
        // It probes already: that is no advice, but an answer for who asks.
        let in_effect: Turning = "client.mtu_probing=1".parse().unwrap();
        assert!(what_if.predictions.iter().all(|prediction| prediction.turning != in_effect), "{at}");
        let asked = predict(&connection, std::slice::from_ref(&in_effect)).unwrap();
        assert!(asked.predictions.iter().any(|prediction| prediction.turning == in_effect), "{at}");
    }
}

#[test]
fn what_is_predicted_for_a_black_hole_that_swallows_all_is_a_bound() {
    let linux = Knobs::default();
    let playback = played([&linux, &linux], path(1400, TooBig::Silent, None), Duration::from_secs(9));
    let clamped = really([&linux, &linux], path(1400, TooBig::Silent, Some(1240)));
    let probed = really([&probing("1"), &linux], path(1400, TooBig::Silent, None));
    let connection = captured(&playback, Side::Client);
    let what_if = predict(&connection, &[]).unwrap();
    assert!(what_if.replay.unwrap().error.abs() < 0.1, "{:?}", what_if.replay);
    for (turning, real) in [("path.mss_clamp=1240", clamped), ("client.mtu_probing=1", probed)] {
        let prediction = predicted(&what_if, turning);
        assert!(
            prediction.at_least && prediction.duration.after <= real,
            "{turning}: {prediction:?} {real:?}"
        );
    }
    assert!(predicted(&what_if, "client.mtu_probing=1").duration.after > Duration::from_secs(2));
}

#[test]
fn discovery_is_replayed_and_clamping_spares_it() {
    let linux = Knobs::default();
    let playback = played([&linux, &linux], path(1400, TooBig::Icmp, None), Duration::from_secs(60));
    let clamped = really([&linux, &linux], path(1400, TooBig::Icmp, Some(1360)));
    for vantage in [Side::Client, Side::Server] {
        let connection = captured(&playback, vantage);
        let causes: Vec<Cause> = connection.findings.iter().map(|finding| finding.cause).collect();
        assert_eq!(causes, [Cause::PathMtuDiscovery], "{}", vantage.name());
        let what_if = predict(&connection, &["path.mss_clamp=1360".parse().unwrap()]).unwrap();
        assert!(what_if.replay.unwrap().error.abs() < 0.1, "{:?}", what_if.replay);
        assert_near(predicted(&what_if, "path.mss_clamp=1360").duration.after, clamped, vantage.name());
    }
}

#[test]
fn a_clamped_connection_is_replayed_as_it_was() {
    let linux = Knobs::default();
    let mut short = Knobs::default();
    short.set("advmss", "1100").unwrap();
    let playback = played([&linux, &short], path(1500, TooBig::Icmp, None), Duration::from_secs(60));
    let connection = captured(&playback, Side::Client);
    let what_if = predict(&connection, &["server.advmss=0".parse().unwrap()]).unwrap();
    assert!(what_if.replay.unwrap().error.abs() < 0.02, "{:?}", what_if.replay);
    assert!(predicted(&what_if, "server.advmss=0").packets.1 < playback.sent.iter().map(|s| s.packets).sum());
}

#[test]
fn a_search_upwards_is_replayed_as_found_and_turning_it_off_is_predicted() {
    let (linux, searches) = (Knobs::default(), probing("2"));
    for mtu in [1400, 1500] {
        let way = || path(mtu, TooBig::Silent, Some(mtu as u16 - 40).filter(|_| mtu == 1500));
        let playback = played([&searches, &linux], way(), Duration::from_secs(60));
        assert_eq!(playback.outcome, Outcome::Completed);
        for vantage in [Side::Client, Side::Server] {
            let connection = captured(&playback, vantage);
            let at = format!("{mtu} at the {}", vantage.name());
            let search =
                connection.side(Side::Client).upward_probing.unwrap_or_else(|| panic!("{at}: no search"));
            assert_eq!(search.base_payload_bytes, 1024, "{at}");
            assert!((search.path_mtu.least..=search.path_mtu.most).contains(&mtu), "{at}: {search:?}");
            assert_eq!(connection.side(Side::Server).upward_probing, None, "{at}");
            let what_if = predict(&connection, &["path.mss_clamp=1340".parse().unwrap()]).unwrap();
            let replay = what_if.replay.unwrap_or_else(|| panic!("{at}: {:?}", what_if.refused));
            assert!(replay.error.abs() < 0.1, "{at}: model error {}", replay.error);
            let clamped = really([&searches, &linux], path(mtu, TooBig::Silent, Some(1340)));
            assert_near(predicted(&what_if, "path.mss_clamp=1340").duration.after, clamped, &at);
            if mtu == 1500 {
                let what_if = predict(&connection, &["client.mtu_probing=0".parse().unwrap()]).unwrap();
                let off = really([&linux, &linux], way());
                assert_near(predicted(&what_if, "client.mtu_probing=0").duration.after, off, &at);
            }
        }
    }
}
