//! Does the analysis find what the captures of real hosts are known to show, and nothing else?

use narrows_trace::read::{Capture, PacketHeaders};
use narrows_trace::{Analyzer, AnalyzerOptions, Cause, Connection, Segment};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folders of captures with their truth: the repository's own, and one beside the workspace where it
/// exists.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let beside = ["../shared/captures", "../../shared/captures"].map(|place| root.join(place));
    let found = beside.into_iter().find(|place| place.is_dir());
    if found.is_none() {
        eprintln!("only the repository's captures: there is no ../shared/captures beside the workspace");
    }
    [Some(root.join("captures/truth")), found].into_iter().flatten().collect()
}

fn analyse(path: &Path) -> Vec<Connection> {
    let mut packets = PacketHeaders::new(Capture::open(path).unwrap());
    let mut analyzer = Analyzer::new(AnalyzerOptions::default());
    while let Some(packet) = packets.next_packet() {
        if let Some(segment) = Segment::from_packet(&packet.unwrap()) {
            analyzer.push(&segment);
        }
    }
    analyzer.finish().connections
}

/// Calls `check` with each capture's name, the truth of its variant, and the connections found.
fn each(mut check: impl FnMut(&str, &Value, &[Connection])) {
    for folder in folders() {
        let mut seen = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let scenario = entry.unwrap().path();
            let Ok(truth) = std::fs::read(scenario.join("truth.json")) else { continue };
            let truth: Value = serde_json::from_slice(&truth).unwrap();
            for (letter, variant) in truth["variants"].as_object().unwrap() {
                for vantage in ["client", "server"] {
                    let Some(file) = variant["files"][vantage].as_str() else { continue };
                    let connections = analyse(&scenario.join(file));
                    let name = format!("{} {letter} {vantage}", truth["scenario"].as_str().unwrap());
                    check(&name, variant, &connections);
                    seen += 1;
                }
            }
        }
        assert!(seen > 0, "no capture in {}", folder.display());
    }
}

#[test]
fn names_what_is_there_and_nothing_else() {
    each(|name, variant, connections| {
        let truth: Vec<&str> =
            variant["phenomena"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let found: Vec<&str> =
            connections.iter().flat_map(|c| &c.findings).map(|finding| finding.cause.name()).collect();
        for cause in [Cause::NagleDelayedAck, Cause::NagleWithoutDelayedAck, Cause::ServerThinkTime] {
            let cause = cause.name();
            assert_eq!(truth.contains(&cause), found.contains(&cause), "{name}: {cause}; {found:?}");
        }
    });
}

#[test]
fn counts_and_times_stalls_within_a_tenth() {
    each(|name, variant, connections| {
        for truth in variant["in_capture"].as_array().into_iter().flatten() {
            let port = |key: &str| truth[key].as_u64().unwrap() as u16;
            let (client, server) = (port("client_port"), port("server_port"));
            let connection = connections
                .iter()
                .find(|c| (c.client.port(), c.server.port()) == (client, server))
                .unwrap_or_else(|| panic!("{name}: no connection {client} to {server}"));
            for side in ["client", "server"] {
                let count = truth[format!("nagle_stalls_{side}")].as_f64().unwrap();
                let held = truth[format!("nagle_held_{side}_s")].as_f64().unwrap();
                let finding = connection
                    .findings
                    .iter()
                    .find(|f| f.cause == Cause::NagleDelayedAck && f.side.name() == side);
                if count < 3.0 {
                    assert!(finding.is_none(), "{name}: {finding:?}");
                    continue;
                }
                let finding = finding.unwrap_or_else(|| panic!("{name}: nothing found on the {side}"));
                assert!((f64::from(finding.count) - count).abs() <= count / 10.0, "{name}: {finding:?}");
                assert!((finding.lost.as_secs_f64() - held).abs() <= held / 10.0, "{name}: {finding:?}");
            }
        }
    });
}

#[test]
fn accounts_add_up() {
    each(|name, _, connections| {
        for connection in connections {
            let a = &connection.account;
            let sum = a.network
                + a.delayed_ack
                + a.nagle
                + a.client_thinking
                + a.server_thinking
                + a.recovery
                + a.transmission
                + a.unexplained;
            assert_eq!(sum, connection.duration, "{name}: connection {}", connection.number);
        }
    });
}

#[test]
fn conversations_have_every_byte() {
    each(|name, _, connections| {
        for connection in connections.iter().filter(|c| !c.conversation.cut) {
            for side in &connection.sides {
                let turns = connection.conversation.turns.iter();
                let said: u64 = turns
                    .filter(|t| connection.side(t.side).address == side.address)
                    .map(narrows_lab::Turn::bytes)
                    .sum();
                assert_eq!(
                    said,
                    side.payload_bytes + side.missed_bytes,
                    "{name}: connection {}",
                    connection.number
                );
            }
        }
    });
}
