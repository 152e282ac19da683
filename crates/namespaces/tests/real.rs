//! Do real hosts do what a scenario says? Needs root; says so and does nothing without.

use narrows_lab::scenario::Scenario;
use narrows_namespaces::{CompareOptions, TakeOptions, compare, linux, ours, permitted};
use std::time::Duration;

fn scenario(more: &str, workload: &str) -> Scenario {
    let text = format!(
        "time_limit = \"20s\"\n[host.client]\n{more}\n[host.server]\n[link.path]\nbetween = [\"client\", \"server\"]\n\
         delay = \"5ms\"\n{workload}"
    );
    Scenario::from_toml("test.toml", &text).expect("a scenario")
}

const STALL: &str =
    "[workload.rpc]\nkind = \"request-response\"\nrequests = 4\nrequest = [12, 180]\nanswer = 64\n";
const TAKE: TakeOptions =
    TakeOptions { seed: 1, capture: true, awake: Duration::from_micros(200), unfinished: false };

#[test]
fn a_stall_of_nagle_and_delayed_ack_is_there_on_both_and_gone_with_nodelay() {
    if !permitted() {
        return;
    }
    for (knobs, least, most) in [("", 50, 500), ("knobs.nodelay = true", 10, 49)] {
        let scenario = scenario(knobs, STALL);
        for take in [ours(&scenario, TAKE).expect("ours"), linux(&scenario, TAKE).expect("linux")] {
            assert_eq!(take.exchanges.len(), 4);
            let mut exchanges = take.exchanges.clone();
            exchanges.sort();
            // The median, for a machine that is busy with other things.
            let middle = exchanges[2];
            let fits = middle >= Duration::from_millis(least) && middle <= Duration::from_millis(most);
            assert!(fits, "{knobs:?}: {exchanges:?}");
        }
    }
}

#[test]
fn every_byte_arrives_over_a_link_that_loses_and_reorders_and_both_kinds_are_captured() {
    if !permitted() {
        return;
    }
    let text = "loss = 0.02\nrate = \"50Mbit/s\"\n[workload.bulk]\nkind = \"bulk\"\nbytes = 300000\n";
    let scenario = scenario("", text);
    let take = linux(&scenario, TAKE).expect("linux");
    let retransmissions: u64 = take.sent.iter().map(|(_, sent)| sent.retransmissions).sum();
    assert!(retransmissions > 0, "{:?}", take.sent);
    assert!(take.sent[0].1.bytes > 300_000);
    assert!(take.capture.expect("a capture").len() > 600_000, "each packet at both ends");
    let wire = take.wire.expect("a wire");
    assert_eq!((wire.skipped_unreadable, wire.refused), (0, 0));
    assert!(wire.packets_out < wire.packets_in, "some are lost");
}

#[test]
fn knobs_of_route_sysctl_and_socket_are_seen_on_the_wire() {
    if !permitted() {
        return;
    }
    let bulk = "[workload.bulk]\nkind = \"bulk\"\nbytes = 60000\n";
    let plain = linux(&scenario("", bulk), TAKE).expect("linux");
    let no_timestamps = linux(&scenario("knobs.timestamps = false", bulk), TAKE).expect("linux");
    assert!(no_timestamps.sent[0].1.bytes < plain.sent[0].1.bytes, "12 bytes less in each segment");
    let small = linux(&scenario("knobs.mss = 500", bulk), TAKE).expect("linux");
    assert!(small.sent[0].1.data_packets > 2 * plain.sent[0].1.data_packets);
    let one_by_one = linux(&scenario("knobs.initcwnd = 1", bulk), TAKE).expect("linux");
    assert!(one_by_one.completion > plain.completion + Duration::from_millis(15), "more round trips");
}

#[test]
fn a_comparison_has_the_same_rows_for_both_and_no_packet_more_on_either_side() {
    if !permitted() {
        return;
    }
    let options = CompareOptions { repetitions: 2, capture: true, ..CompareOptions::default() };
    let comparison = compare(&scenario("knobs.nodelay = true", STALL), options).expect("a comparison");
    assert!(comparison.rows.iter().all(|row| row.ours.len() == 2 && row.linux.len() == 2));
    let bytes = comparison.row("bytes of client").expect("a row");
    // The same requests, handshake and options; acknowledgments may travel alone or not.
    assert!(bytes.difference().is_some_and(|part| part.abs() < 0.3), "{bytes:?}");
    assert!(comparison.captures.is_some());
}

#[test]
fn an_ipv6_world_has_real_hosts_too() {
    if !permitted() {
        return;
    }
    let mut scenario = scenario("", STALL);
    scenario.ip_version = narrows_lab::IpVersion::V6;
    let take = linux(&scenario, TAKE).expect("linux");
    assert_eq!(take.exchanges.len(), 4);
}
