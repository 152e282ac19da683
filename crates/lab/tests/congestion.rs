//! What do congestion control, pacing and ECN do between two hosts on a link?

use narrows_lab::scenario::{RunReport, Scenario};
use std::time::Duration;

/// A download of so many bytes; the lines of the link and of both hosts' knobs.
fn download(bytes: u64, link: &str, knobs: &str) -> RunReport {
    let toml = format!(
        "[host.client]\n{knobs}\n[host.server]\n{knobs}\n[link.path]\nbetween = [\"client\", \"server\"]\n{link}\n\
         [workload.bulk]\nkind = \"bulk\"\nbytes = {bytes}\ndirection = \"download\"\n"
    );
    let report = Scenario::from_toml("test.toml", &toml).expect("a scenario").run().expect("a run");
    assert!(report.completed(), "{report:#?}");
    assert!(report.workloads.iter().all(|workload| !workload.corrupted));
    report
}

fn megabits_per_second(bytes: u64, report: &RunReport) -> f64 {
    bytes as f64 * 8.0 / report.workloads[0].duration.as_secs_f64() / 1e6
}

/// From the server to the client.
fn backward(report: &RunReport) -> &narrows_lab::DirectionCounters {
    &report.links[0].1[1]
}

#[test]
fn bbr_fills_a_path_that_loses_packets_by_chance_and_cubic_does_not() {
    let link = "rate = \"20Mbit/s\"\ndelay = \"20ms\"\nloss = 0.02";
    let bbr =
        megabits_per_second(10_000_000, &download(10_000_000, link, "knobs.congestion_control = \"bbr\""));
    let cubic = megabits_per_second(3_000_000, &download(3_000_000, link, ""));
    assert!(bbr > 15.0, "{bbr}");
    assert!(cubic < 0.5 * bbr, "{cubic} {bbr}");
}

#[test]
fn bbr_keeps_the_queue_short_where_cubic_fills_it() {
    let link = "rate = \"20Mbit/s\"\ndelay = \"20ms\"\nqueue_bytes = \"1MB\"";
    let knobs = "knobs.congestion_control = \"bbr\"";
    // The end of the startup makes the longest queue of BBR; after it, a quarter of what the path holds.
    let bbr = download(20_000_000, link, knobs);
    let cubic = download(20_000_000, link, "knobs.hystart = \"off\"");
    assert!(backward(&cubic).largest_queue_bytes > 900_000);
    assert!(backward(&bbr).largest_queue_bytes < 350_000, "{}", backward(&bbr).largest_queue_bytes);
    assert!(megabits_per_second(20_000_000, &bbr) > 17.5);
}

#[test]
fn a_connection_never_sends_faster_than_it_may() {
    let link = "rate = \"100Mbit/s\"\ndelay = \"10ms\"";
    let report = download(500_000, link, "knobs.max_pacing_rate = 250000");
    // The first ten segments are free.
    let seconds = report.workloads[0].duration.as_secs_f64();
    assert!((1.85..2.1).contains(&seconds), "{seconds}");
}

#[test]
fn a_paced_window_after_a_pause_needs_less_of_a_queue_than_a_burst() {
    let world = |pacing: bool| {
        let toml = format!(
            "[host.client]\n[host.server]\nknobs.slow_start_after_idle = false\nknobs.pacing = {pacing}\n\
             [link.path]\nbetween = [\"client\", \"server\"]\nrate = \"50Mbit/s\"\ndelay = \"25ms\"\n\
             [workload.rpc]\nkind = \"request-response\"\nrequests = 8\nrequest = 100\nanswer = 150000\n\
             client_think = \"1s\"\n"
        );
        let report = Scenario::from_toml("test.toml", &toml).expect("a scenario").run().expect("a run");
        backward(&report).largest_queue_bytes
    };
    let (burst, paced) = (world(false), world(true));
    assert!(paced * 10 < burst * 6, "{paced} {burst}");
}

#[test]
fn slow_start_at_the_pace_of_one_window_per_round_trip_needs_less_of_a_queue() {
    let link = "rate = \"30Mbit/s\"\ndelay = \"20ms\"\nqueue_bytes = \"1MB\"";
    let queue = |ratio: u32| {
        let knobs = format!("knobs.pacing = true\nknobs.hystart = \"off\"\nknobs.pacing_ss_ratio = {ratio}");
        backward(&download(250_000, link, &knobs)).largest_queue_bytes
    };
    let (linux, gentle) = (queue(200), queue(100));
    assert!(gentle * 3 < linux * 2, "{gentle} {linux}");
}

#[test]
fn sixteen_connections_share_a_short_queue_better_when_all_are_gently_paced() {
    // What got through, bytes, and how fairly (Jain's index).
    let share = |knobs: &str| {
        let toml = format!(
            "time_limit = \"20s\"\n[host.client]\n[host.server]\n{knobs}\n\
             [link.path]\nbetween = [\"client\", \"server\"]\nrate = \"200Mbit/s\"\ndelay = \"50ms\"\n\
             queue_bytes = \"64KB\"\njitter = \"100us\"\n\
             [workload.bulk]\nkind = \"bulk\"\nbytes = 10000000000\ndirection = \"download\"\nconnections = 16\n"
        );
        let report = Scenario::from_toml("test.toml", &toml).expect("a scenario").run().expect("a run");
        backward(&report).delivered_bytes
    };
    let gentle =
        "knobs.pacing = true\nknobs.pacing_ss_ratio = 100\nknobs.pacing_ca_ratio = 100\nknobs.initcwnd = 3";
    let (usual, paced, gentle) = (share(""), share("knobs.pacing = true"), share(gentle));
    assert!(usual < paced && paced < gentle, "{usual} {paced} {gentle}");
    let most = 200e6 / 8.0 * 20.0;
    assert!(gentle as f64 > 0.88 * most, "{}", gentle as f64 / most);
}

#[test]
fn hystart_plus_plus_leaves_slow_start_with_fewer_losses() {
    let link = "rate = \"20Mbit/s\"\ndelay = \"40ms\"\nqueue_bytes = \"250KB\"";
    for control in ["cubic", "reno"] {
        let knobs =
            |hystart| format!("knobs.congestion_control = \"{control}\"\nknobs.hystart = \"{hystart}\"");
        let without = download(3_000_000, link, &knobs("off"));
        let with = download(3_000_000, link, &knobs("rfc9406"));
        let (with, without) = (backward(&with).dropped_queue_full, backward(&without).dropped_queue_full);
        assert!(without > 50 && with * 2 < without, "{control}: {with} instead of {without}");
    }
}

#[test]
fn with_ecn_a_queue_marks_instead_of_dropping() {
    for queue in ["{ codel = { ecn = true } }", "{ mark = { above = \"60KB\" } }"] {
        let link = format!("rate = \"10Mbit/s\"\ndelay = \"20ms\"\nqueue_bytes = \"1MB\"\nqueue = {queue}");
        let with = download(10_000_000, &link, "knobs.ecn = \"on\"\nknobs.hystart = \"off\"");
        let road = backward(&with);
        assert!(road.marked > 3, "{queue}: {road:?}");
        assert_eq!(road.dropped_by_codel + road.dropped_queue_full, 0, "{queue}: {road:?}");
        assert!(with.hosts.iter().all(|host| host.retransmissions == 0), "{queue}");
        assert!(
            megabits_per_second(10_000_000, &with) > 8.5,
            "{queue}: {}",
            megabits_per_second(10_000_000, &with)
        );
        let without = download(10_000_000, &link, "knobs.hystart = \"off\"");
        let road = backward(&without);
        assert_eq!(road.marked, 0);
        assert!(road.dropped_by_codel + road.dropped_queue_full > 3, "{queue}: {road:?}");
    }
}

#[test]
fn a_mark_halves_what_waits_as_a_loss_would() {
    let link = "rate = \"10Mbit/s\"\ndelay = \"20ms\"\nqueue_bytes = \"1MB\"\nqueue = { mark = { above = \"60KB\" } }";
    let with = download(10_000_000, link, "knobs.ecn = \"on\"");
    let without = download(10_000_000, link, "");
    assert!(backward(&with).largest_queue_bytes * 3 < backward(&without).largest_queue_bytes);
    assert!(with.workloads[0].duration < without.workloads[0].duration + Duration::from_millis(500));
}
