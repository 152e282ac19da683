use crate::Side;
use crate::scenario::{BUILTINS, Ending, Override, RunError, RunReport, Scenario};
use narrows_stack::{SocketError, UdpError};
use std::time::Duration;

fn scenario(name: &str, changes: &[&str]) -> Scenario {
    let builtin = crate::scenario::builtin(name).expect("a built-in scenario");
    let changes: Vec<Override> = changes.iter().map(|change| change.parse().expect("KEY=VALUE")).collect();
    let none = |_: &str| Err("no files here".to_owned());
    Scenario::from_toml_with(builtin.name, builtin.toml, &changes, &none).expect("a scenario")
}

fn run(name: &str, changes: &[&str]) -> RunReport {
    let report = scenario(name, changes).run().expect("a run");
    assert!(report.completed(), "{name} {changes:?}: {report:#?}");
    assert!(report.workloads.iter().all(|workload| !workload.corrupted));
    report
}

#[test]
fn what_is_built_in_reads_back_and_completes_twice_the_same() {
    for builtin in BUILTINS {
        let scenario = scenario(builtin.name, &[]);
        assert!(!scenario.title.is_empty() && scenario.title.len() <= 100, "{}", builtin.name);
        assert_eq!(Scenario::from_toml(builtin.name, &scenario.to_toml()).as_ref(), Ok(&scenario));
        // One takes long here, and one does not complete: it has a test of its own.
        if !["long-fat", "blackhole"].contains(&builtin.name) {
            assert_eq!(run(builtin.name, &[]), run(builtin.name, &[]), "{}", builtin.name);
        }
    }
}

#[test]
fn a_black_hole_stalls_and_each_repair_ends_the_stall() {
    let stalled = scenario("blackhole", &[]).run().expect("a run");
    let gave_up = Ending::Failed(Side::Client, SocketError::TimedOut);
    assert_eq!(stalled.workloads[0].ending, gave_up);
    let for_ever = scenario("blackhole", &["download.patience=60min"]).run().expect("a run");
    assert_eq!(for_ever.workloads[0].ending, Ending::TimeLimit);
    assert_eq!(stalled.workloads[0].bytes, [0, 0]);
    for repair in [
        "far.too_big=icmp",
        "far.clamp_mss=path",
        "client.advmss=1360",
        "client.mtu=1400",
        "server.mtu_probing=1",
        "middle.mtu=1500",
    ] {
        let took = run("blackhole", &[repair]).workloads[0].duration;
        let expected = if repair.contains("probing") { 3_300..6_000 } else { 200..500 };
        assert!(expected.contains(&took.as_millis()), "{repair}: {took:?}");
    }
}

#[test]
fn nagle_and_delayed_acks_cost_a_timer_per_exchange_and_nodelay_ends_it() {
    let slow = run("slow-rpc", &[]);
    let median = slow.workloads[0].percentile(0.5).expect("exchanges");
    assert!((Duration::from_millis(35)..Duration::from_millis(50)).contains(&median), "{median:?}");
    let cured = run("slow-rpc", &["client.nodelay=true"]);
    assert!(cured.workloads[0].percentile(0.99) < Some(Duration::from_millis(2)));
    let written_at_once = run("slow-rpc", &["client.coalesce_writes=true"]);
    assert!(written_at_once.workloads[0].percentile(0.99) < Some(Duration::from_millis(2)));
    assert!(written_at_once.packets() < cured.packets());
}

#[test]
fn applications_knobs_reach_the_conversation() {
    let thinking = run("healthy-rpc", &["server.server_think_ms=5", "client.client_think_ms=7"]);
    let fast = run("healthy-rpc", &[]);
    let more = thinking.workloads[0].duration.saturating_sub(fast.workloads[0].duration);
    // A few packets meet on the link in one and not in the other.
    assert!(more.as_millis().abs_diff(200 * 5 + 199 * 7) <= 2, "{more:?}");
}

#[test]
fn codel_keeps_the_others_latency_low() {
    let codel = run("bulk-codel", &[]);
    let drop_tail = run("bulk-codel", &["path.queue=drop-tail"]);
    let median = |report: &RunReport| report.workloads[1].percentile(0.5).expect("exchanges");
    assert!(median(&drop_tail) > 3 * median(&codel), "{:?} {:?}", median(&drop_tail), median(&codel));
    assert!(codel.links[0].1[0].dropped_by_codel > 0);
}

#[test]
fn a_clamped_mss_fits_a_tunnel_and_an_unclamped_one_stalls() {
    run("bulk-vpn", &[]);
    let changes = ["gate.clamp_mss=9000", "time_limit=30s", "download.bytes=100KB"];
    let unclamped = scenario("bulk-vpn", &changes).run().expect("a run");
    assert_eq!(unclamped.workloads[0].ending, Ending::TimeLimit);
    assert!(unclamped.routers.iter().any(|(name, counters)| name == "far" && counters.dropped_too_big > 0));
}

#[test]
fn several_connections_are_several_conversations() {
    let report = run("healthy-rpc", &["rpc.connections=5", "rpc.every=10ms", "rpc.requests=20"]);
    assert_eq!(report.workloads[0].completed_connections, 5);
    assert_eq!(report.workloads[0].exchanges.len(), 100);
    assert_eq!(report.workloads[0].bytes, [100 * 192, 100 * 64]);
}

#[test]
fn a_router_that_says_so_or_cuts_gets_a_download_through_a_tunnel() {
    let unclamped = ["gate.clamp_mss=9000", "time_limit=30s", "download.bytes=1MB"];
    let with =
        |more: &[&'static str]| scenario("bulk-vpn", &[&unclamped[..], more].concat()).run().expect("a run");
    let told = with(&["far.too_big=icmp"]);
    assert!(told.completed());
    let clamped = run("bulk-vpn", &["download.bytes=1MB"]);
    let extra = told.workloads[0].duration.saturating_sub(clamped.workloads[0].duration);
    assert!(extra < Duration::from_millis(10), "the router is next to the server: {extra:?}");
    let late = with(&["far.too_big=icmp", "far.icmp_delay=100ms"]);
    let later = late.workloads[0].duration.saturating_sub(told.workloads[0].duration);
    assert!(later >= Duration::from_millis(100), "{later:?}");
    // With DF there is nothing that `fragment` could do but to say so.
    assert!(with(&["far.too_big=fragment"]).completed());
    let cut = with(&["far.too_big=fragment", "server.pmtu_discovery=dont"]);
    assert!(cut.completed());
    assert!(cut.routers[0].1.fragmented[0] > 500);
    assert!(
        cut.links[1].1[1].offered_packets > told.links[1].1[1].offered_packets * 3 / 2,
        "each in two pieces"
    );
    assert_eq!(Scenario::default().run(), Err(RunError::NoWorkload));
}

#[test]
fn the_time_limit_and_a_failure_are_told_apart() {
    let report = scenario("bulk", &["time_limit=100ms"]).run().expect("a run");
    assert_eq!(report.workloads[0].ending, Ending::TimeLimit);
    let report = scenario("bulk", &["path.forward.loss=1.0", "client.syn_retries=1"]).run().expect("a run");
    assert!(matches!(report.workloads[0].ending, Ending::Failed(..)), "{report:?}");
}

/// The datagrams of the first workload: sent, refused, and the share delivered.
fn datagrams(changes: &[&str]) -> (u64, u64, f64, RunReport) {
    let report = scenario("datagrams-fragmented", changes).run().expect("a run");
    let datagrams = report.workloads[0].datagrams.expect("datagrams");
    (datagrams.sent, datagrams.refused, datagrams.delivered(), report)
}

#[test]
fn the_size_of_datagrams_is_a_knob_and_each_fragment_multiplies_the_loss() {
    for (size, pieces) in [(1_472, 1), (1_473, 2), (8_000, 6), (20_000, 14)] {
        let (sent, refused, delivered, report) = datagrams(&[&format!("client.datagram_size={size}")]);
        assert!(report.completed());
        assert_eq!((sent, refused), (5_000, 0));
        assert_eq!(report.hosts[0].packets, 5_000 * pieces);
        let expected = 0.99f64.powi(pieces as i32);
        let deviation = (expected * (1.0 - expected) / sent as f64).sqrt();
        assert!((delivered - expected).abs() < 4.0 * deviation, "{size}: {delivered} for {expected}");
        let read = report.workloads[0].datagrams.expect("datagrams").received;
        assert_eq!(report.workloads[0].bytes, [read * size, 0]);
    }
}

#[test]
fn a_socket_that_may_not_cut_refuses_what_does_not_fit() {
    let (sent, refused, .., report) = datagrams(&["client.pmtu_discovery=do"]);
    assert_eq!((sent, refused), (0, 5_000));
    assert_eq!(report.workloads[0].ending, Ending::NothingSent(UdpError::MessageTooLong { mtu: 1_500 }));
    assert!(!report.completed());
    let (sent, refused, ..) = datagrams(&["client.pmtu_discovery=do", "client.datagram_size=1472"]);
    assert_eq!((sent, refused), (5_000, 0));
}

#[test]
fn several_senders_of_datagrams_begin_one_after_the_other() {
    let (sent, _, _, report) = datagrams(&[
        "telemetry.connections=3",
        "telemetry.start=1s",
        "telemetry.every=2s",
        "telemetry.datagrams=10",
        "path.loss=0",
    ]);
    assert_eq!((sent, report.workloads[0].completed_connections), (30, 3));
    let last = Duration::from_secs(4) + 9 * Duration::from_millis(5);
    assert!(report.workloads[0].duration.saturating_sub(last) < Duration::from_millis(15), "{report:#?}");
    let (.., report) = datagrams(&["time_limit=1s"]);
    assert_eq!(report.workloads[0].ending, Ending::TimeLimit);
}
