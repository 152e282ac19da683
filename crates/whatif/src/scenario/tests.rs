use super::*;
use narrows_trace::{AnalyzerOptions, examine, read::Capture};

fn captured() -> Connection {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../captures/slow-rpc.pcap");
    let capture = Capture::open(path).unwrap();
    examine(capture, AnalyzerOptions::default(), &mut |_| {}).analysis.connections.remove(0)
}

#[test]
fn a_captured_connection_written_as_a_scenario_runs_as_long_as_it_took() {
    let connection = captured();
    let (scenario, replay) = scenario_of(&connection, "slow-rpc").unwrap();
    assert!(replay.error.abs() < 0.05);
    let read_back = Scenario::from_toml("slow-rpc.toml", &scenario.to_toml()).unwrap();
    let report = read_back.run().unwrap();
    assert!(report.completed());
    let mean = report.workloads[0].mean().unwrap().as_secs_f64();
    let captured = connection.mean_exchange.unwrap().as_secs_f64();
    assert!((mean / captured - 1.0).abs() < 0.05, "{mean} against {captured}");
}

#[test]
fn turning_a_knob_in_the_file_turns_it_in_the_world() {
    let (mut scenario, _) = scenario_of(&captured(), "slow-rpc").unwrap();
    let before = scenario.run().unwrap().workloads[0].mean().unwrap();
    scenario.hosts[0].set("nodelay", "true").unwrap();
    let after = scenario.run().unwrap().workloads[0].mean().unwrap();
    assert!(after * 3 < before, "{before:?} then {after:?}");
}
