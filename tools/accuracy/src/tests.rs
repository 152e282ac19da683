use crate::analyse::{Analyst, Explain, Seen};
use crate::figures::Figures;
use crate::{Arguments, Error, findings, predictions, run, truth};
use narrows_lab::{Conversation, Side};
use narrows_stack::Instant;
use narrows_trace::{Cause, Confidence, Connection, Finding, RoundTrip, SideSummary, TimeAccount, Vantage};
use narrows_whatif::{Estimate, Prediction, Replay, Turning, WhatIf};
use std::path::{Path, PathBuf};
use std::time::Duration;

const TRUTH: &str = r#"{
    "scenario": "rpc", "value": "mean time per request", "variants": {
        "a": {
            "phenomena": ["nagle-delayed-ack", "slow-start"], "median_s": 0.070,
            "files": { "client": "a-client.pcap", "server": "a-server.pcap" },
            "connections": [{ "client_port": 4000, "server_port": 7001, "requests": 10 }],
            "in_capture": [{ "client_port": 4000, "server_port": 7001, "nagle_stalls_client": 10, "nagle_held_client_s": 0.5 }]
        },
        "b": {
            "knobs": [{ "knob": "nodelay", "side": "client", "value": true }], "median_s": 0.011,
            "files": { "client": "b-client.pcap", "server": "b-server.pcap" },
            "connections": [{ "client_port": 4000, "server_port": 7001, "requests": 10 }]
        }
    }
}"#;

/// Says of every capture what it was told to say.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    error: f64,
    after: Duration,
}

fn finding(cause: Cause, side: Side, count: u32, lost_ms: u64) -> Finding {
    Finding {
        cause,
        side,
        count,
        lost: Duration::from_millis(lost_ms),
        evidence: vec![1],
        confidence: Confidence::High,
        why: String::new(),
        path_mtu: None,
    }
}

impl Analyst for Told {
    fn read(&self, _: &Path) -> Result<Seen, Error> {
        let connections = vec![Connection {
            number: 1,
            client: "10.0.0.1:4000".parse().unwrap(),
            server: "10.0.0.2:7001".parse().unwrap(),
            first_packet: 1,
            last_packet: 100,
            start: Instant::ZERO,
            duration: Duration::from_millis(710),
            handshake_seen: true,
            vantage: Vantage::Client,
            rate_bits_per_second: [None; 2],
            round_trip: RoundTrip { path: Some(Duration::from_millis(10)), ..RoundTrip::default() },
            sides: [SideSummary::default(), SideSummary::default()],
            conversation: Conversation::default(),
            exchanges: 10,
            mean_exchange: Some(Duration::from_millis(69)),
            account: TimeAccount::default(),
            findings: self.findings.clone(),
            tunnel: None,
            limits: Vec::new(),
        }];
        Ok(Seen { connections, ..Seen::default() })
    }

    fn can_turn(&self, _: &Connection, turning: &Turning) -> bool {
        turning.knob == "nodelay"
    }

    fn predict(&self, connection: &Connection, asked: &[Turning]) -> WhatIf {
        let estimate = |before: Duration, after: Duration| Estimate {
            before,
            after,
            low: after.mul_f64(0.96),
            high: after.mul_f64(1.04),
        };
        let prediction = |turning: &Turning| Prediction {
            turning: turning.clone(),
            duration: estimate(connection.duration, self.after * 11),
            exchange: connection.mean_exchange.map(|mean| estimate(mean, self.after)),
            packets: (100, 100),
            at_least: false,
        };
        let both = (Duration::from_millis(710), Duration::from_millis(710));
        WhatIf {
            replay: Some(Replay { duration: both, exchange: None, error: self.error }),
            predictions: asked.iter().map(prediction).collect(),
            ..WhatIf::default()
        }
    }
}

/// A folder of one scenario, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, truth: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("narrows-accuracy-{}-{name}", std::process::id()));
        std::fs::create_dir_all(path.join("rpc")).unwrap();
        std::fs::write(path.join("rpc/truth.json"), truth).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scored(name: &str, truth: &str, told: &Told) -> String {
    let folder = Folder::with(name, truth);
    let mut out = Vec::new();
    run(&Arguments { folder: folder.0.clone(), ..Arguments::default() }, told, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn nameable_only() -> String {
    TRUTH.replace(", \"slow-start\"", "")
}

#[test]
fn the_right_finding_is_found_and_its_absence_in_b_is_no_fault() {
    let told = Told::default();
    let text = scored("absent", TRUTH, &told);
    assert!(text.contains("nagle-delayed-ack MISSING"), "{text}");
    assert!(text.ends_with(
        "accuracy: found 0 of 2, false 0, model error median 0.0% worst 0.0%, \
         predictions 0 median 0.0% p90 0.0% worst 0.0%, wrong sign 0\n"
    ));
}

#[test]
fn a_finding_where_nothing_is_counted_is_false() {
    let told =
        Told { findings: vec![finding(Cause::NagleDelayedAck, Side::Client, 9, 510)], ..Told::default() };
    let text = scored("false", TRUTH, &told);
    // Found in both captures of a; in both of b it is not true.
    assert!(text.contains("accuracy: found 2 of 2, false 2,"), "{text}");
    assert!(text.contains("stalls 9/10 lost 0.510/0.500 s (+2.0%)"), "{text}");
    assert!(text.contains("count off by median 10.0% worst 10.0%"), "{text}");
}

#[test]
fn the_wrong_side_is_missing_and_false() {
    let told =
        Told { findings: vec![finding(Cause::NagleDelayedAck, Side::Server, 10, 500)], ..Told::default() };
    let text = scored("side", TRUTH, &told);
    assert!(text.contains("accuracy: found 0 of 2, false 4,"), "{text}");
}

#[test]
fn a_prediction_is_compared_in_the_measure_of_the_truth() {
    let told = Told { error: -0.02, after: Duration::from_millis(10), ..Told::default() };
    let text = scored("measure", &nameable_only(), &told);
    // 10 ms and a tenth of the 10 ms of connecting are the 11 ms that were measured.
    assert!(text.contains("11.000 ms (10.600 to 11.400), measured    11.000 ms: +0.0%, inside"), "{text}");
    assert!(text.contains("model error median 2.0% worst 2.0%, predictions 2 median 0.0%"), "{text}");
    assert!(text.contains("ranges: 2 of 2 measurements inside"), "{text}");
}

#[test]
fn the_wrong_direction_is_counted() {
    let told = Told { after: Duration::from_millis(90), ..Told::default() };
    let text = scored("sign", &nameable_only(), &told);
    assert!(text.contains("OUTSIDE, WRONG SIGN"), "{text}");
    assert!(text.ends_with("wrong sign 2\n"), "{text}");
}

#[test]
fn causes_that_nobody_names_are_not_replayed() {
    let told = Told { after: Duration::from_millis(10), ..Told::default() };
    let text = scored("unknown", TRUTH, &told);
    assert!(text.contains("predictions 0 "), "{text}");
}

#[test]
fn worse_figures_fail_and_better_ones_do_not() {
    let folder = Folder::with("check", &nameable_only());
    let file = folder.0.join("figures.toml");
    let arguments = |check: bool| Arguments {
        folder: folder.0.clone(),
        check: check.then(|| file.clone()),
        write: (!check).then(|| file.clone()),
        rebuild: None,
    };
    let good = Told {
        findings: vec![finding(Cause::NagleDelayedAck, Side::Client, 10, 500)],
        after: Duration::from_micros(10_100),
        error: 0.01,
    };
    let mut sink = Vec::new();
    assert!(run(&arguments(false), &good, &mut sink).unwrap().is_empty());
    assert!(run(&arguments(true), &good, &mut sink).unwrap().is_empty());
    let better =
        Told { after: Duration::from_millis(10), findings: good.findings.clone(), ..Told::default() };
    assert!(run(&arguments(true), &better, &mut sink).unwrap().is_empty());
    let worse = Told { after: Duration::from_millis(12), ..Told::default() };
    let said = run(&arguments(true), &worse, &mut sink).unwrap().join("\n");
    for figure in ["found: 0, was 2", "inside the range: 0, was 2", "prediction, median: 18.2%, was 0.9%"] {
        assert!(said.contains(figure), "{said}");
    }
}

#[test]
fn kept_figures_of_another_folder_do_not_compare() {
    let folder = Folder::with("other", TRUTH);
    let file = folder.0.join("figures.toml");
    Figures { captures: 40, ..Figures::default() }.write(&file).unwrap();
    let arguments = Arguments { folder: folder.0.clone(), check: Some(file), write: None, rebuild: None };
    assert!(matches!(run(&arguments, &Told::default(), &mut Vec::new()), Err(Error::Unusable(_))));
}

#[test]
fn an_unusable_folder_is_named() {
    let folder = Folder::with("broken", "{ not json");
    let arguments = Arguments { folder: folder.0.clone(), ..Arguments::default() };
    let error = run(&arguments, &Told::default(), &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, Error::Unusable(text) if text.contains("truth.json")), "{error}");
}

/// The captures of this repository: what is asked of `explain` is that it is right about them.
#[test]
fn the_captures_of_the_repository_are_explained() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../captures/truth"));
    let mut scores = Vec::new();
    for (folder, truth) in truth::read_all(&folder).unwrap() {
        let found = &truth.variants["a"];
        for file in [&found.files.client, &found.files.server] {
            let seen = Explain.read(&folder.join(file.as_ref().unwrap())).unwrap();
            let findings = findings::score(found, &seen);
            let predictions = predictions::score(&Explain, &truth, &seen.connections);
            scores.push((findings, predictions));
        }
    }
    let figures = Figures::of(&scores);
    let text = figures.print();
    assert_eq!((figures.captures, figures.found, figures.phenomena), (8, 6, 6), "{text}");
    assert_eq!((figures.false_findings, figures.wrong_sign), (0, 0), "{text}");
    assert_eq!((figures.not_predicted, figures.inside_range), (0, figures.predictions), "{text}");
    assert!(figures.predictions >= 24, "{text}");
    assert!(figures.stall_count_worst_percent <= 10.0 && figures.stall_time_worst_percent <= 10.0, "{text}");
    assert!(figures.model_error_worst_percent <= 5.0, "{text}");
    assert!(figures.prediction_worst_percent <= 10.0, "{text}");
}
