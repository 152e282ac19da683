use super::*;
use crate::report::OtherCapture;
use crate::sample;
use narrows_trace::{BothEnds, PathMtu, Way};
use narrows_whatif::Afterwards;
use serde_json::Value;
use std::collections::BTreeSet;

/// A sample in which every field that can be there is there.
fn full() -> Value {
    let mut report = sample::damaged();
    let examined = &mut report.connections[0];
    examined.connection.limits.push("one direction only".to_owned());
    examined.connection.tunnel = Some(TunnelKind::Gre);
    examined.connection.findings[0].path_mtu = Some(PathMtu { least: 1447, most: 1451 });
    let finding = examined.connection.findings[0].clone();
    examined.what_if.as_mut().expect("a replay").afterwards = Some(Afterwards {
        side: Side::Server,
        lost: Duration::from_millis(1_300),
        low: Duration::from_millis(1_100),
        high: Duration::from_millis(1_500),
    });
    examined.connection.sides[0].ack_timer = examined.connection.sides[1].ack_timer;
    report.datagram_flows.push(sample::datagram_flow(finding));
    report.other_captures.push(OtherCapture {
        name: "client.pcapng".to_owned(),
        connections: vec![BothEnds {
            numbers: [1, 1],
            nearer_to_client: 0,
            ways: [Way::default(), Way::default()],
        }],
    });
    serde_json::from_str(&render(&report, None).expect("JSON")).expect("JSON")
}

/// The paths of all fields, as `connections[].findings[].cause`.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                found.insert(path.clone());
                paths(value, &path, found);
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                paths(entry, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_documented_and_the_emitted_fields_are_the_same() {
    let mut emitted = BTreeSet::new();
    paths(&full(), "", &mut emitted);
    let manual = include_str!("../../../../docs/json.md");
    let documented: BTreeSet<String> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(path, _)| path.to_owned())
        .filter(|path| path.contains(|c: char| c.is_ascii_lowercase()))
        .collect();
    let undocumented: Vec<_> = emitted.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&emitted).collect();
    assert!(undocumented.is_empty(), "not in docs/json.md: {undocumented:?}");
    assert!(gone.is_empty(), "in docs/json.md but not emitted: {gone:?}");
}

#[test]
fn numbers_are_numbers_in_seconds() {
    let document = full();
    let connection = &document["connections"][0];
    assert_eq!(document["schema"], "narrows.explain/1");
    assert_eq!(document["error"]["offset_bytes"], 40_960);
    assert_eq!(connection["duration_s"], 8.46);
    assert_eq!(connection["client_port"], 35_770);
    assert_eq!(connection["findings"][0]["cause"], "nagle-delayed-ack");
    assert_eq!(connection["findings"][0]["lost_s"], 6.319);
    assert_eq!(connection["predictions"][0]["value"], true);
    assert_eq!(connection["predictions"][0]["duration"]["after_s"], 2.1);
    assert_eq!(connection["predictions"][2]["by"], "socket");
    assert_eq!(connection["model_error"], -0.0059);
}

#[test]
fn the_time_account_adds_up() {
    let document = full();
    let account = document["connections"][0]["time_account"].as_object().expect("an object");
    let sum: f64 = account.values().map(|part| part.as_f64().expect("a number")).sum();
    assert!((sum - 8.46).abs() < 1e-9, "{sum}");
}

#[test]
fn seconds_are_written_as_short_as_they_are() {
    for (nanoseconds, text) in [(1_605_539_999, "1.605539999"), (300_000_000, "0.3"), (7, "7e-9")] {
        let written = serde_json::to_string(&seconds(Duration::from_nanos(nanoseconds))).expect("JSON");
        assert_eq!(written, text);
    }
}

#[test]
fn values_keep_their_type() {
    assert_eq!(value("true"), Value::Bool(true));
    assert_eq!(value("40"), Value::from(40));
    assert_eq!(value("0.01"), Value::from(0.01));
    assert_eq!(value("cubic"), Value::from("cubic"));
    assert_eq!(value("\"x\""), Value::from("\"x\""));
}

#[test]
fn one_connection_can_be_asked_for() {
    let report = sample::file(vec![sample::nagle(), sample::healthy()]);
    let document: Value = serde_json::from_str(&render(&report, Some(2)).expect("JSON")).expect("JSON");
    let connections = document["connections"].as_array().expect("an array");
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0]["number"], 2);
    assert_eq!(connections[0]["model_error"], Value::Null);
}

#[test]
fn a_file_is_one_line() {
    assert_eq!(render(&sample::damaged(), None).expect("JSON").lines().count(), 1);
}
