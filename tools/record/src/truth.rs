//! What is the truth about a scenario? `truth.json`, in the words of the README beside the captures.

use crate::count;
use crate::namespace;
use crate::run::Repetition;
use crate::scenario::{Scenario, Setup, Talk, Value, Variant};
use crate::talk::Measured;
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// What the application's clock says of one repetition, in seconds, by the scenario's way of measuring.
pub fn value(scenario: &Scenario, measured: &[Measured]) -> f64 {
    let latencies: Vec<f64> = measured.iter().flat_map(|m| &m.latencies).map(Duration::as_secs_f64).collect();
    let count = latencies.len().max(1) as f64;
    let sum: f64 = latencies.iter().sum();
    let connects: f64 = measured.iter().map(|m| m.connect.as_secs_f64()).sum();
    match scenario.value {
        Value::RequestLatency | Value::Delivery => sum / count,
        Value::TimePerRequest => (sum + connects) / count,
        Value::TotalTime | Value::UploadTime => {
            measured.iter().map(|m| m.total.as_secs_f64()).fold(0.0, f64::max)
        }
        Value::SumOfJobs => measured.iter().map(|m| m.total.as_secs_f64()).sum(),
    }
}

/// What is measured of one connection among several: a whole job's time, or the mean request where pauses are in it.
fn own(talk: &Talk, measured: &Measured) -> (f64, &'static str) {
    if talk.gap_ms == 0.0 && talk.server_think_ms == 0.0 {
        return (measured.total.as_secs_f64(), "total time");
    }
    let sum: f64 = measured.latencies.iter().map(Duration::as_secs_f64).sum();
    (sum / measured.latencies.len().max(1) as f64, "mean request latency")
}

/// The median, of an even number the lower one of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// The repetition that is kept: the one nearest the median.
pub fn kept(values: &[f64]) -> usize {
    let median = median(values);
    (0..values.len())
        .min_by(|a, b| (values[*a] - median).abs().total_cmp(&(values[*b] - median).abs()))
        .unwrap_or(0)
}

/// The truth about one variant. `repetitions[kept]` is the one whose packets are in the files, cut as the scenario says.
pub fn variant(
    scenario: &Scenario,
    variant: &Variant,
    setup: &Setup,
    files: Map<String, Json>,
    repetitions: &[Repetition],
    kept: usize,
) -> Json {
    let run = &repetitions[kept];
    let values: Vec<f64> = repetitions.iter().map(|r| value(scenario, &r.measured)).collect();
    let total = |r: &Repetition| r.measured.iter().map(|m| m.total.as_secs_f64()).fold(0.0, f64::max);
    let totals: Vec<f64> = repetitions.iter().map(total).collect();
    let carried = |r: &Repetition, of: fn(&crate::wire::Direction) -> u64| {
        r.recording.directions.iter().map(of).sum::<u64>() as f64
    };
    let packets: Vec<f64> = repetitions.iter().map(|r| carried(r, |d| d.packets_in)).collect();
    let bytes: Vec<f64> = repetitions.iter().map(|r| carried(r, |d| d.in_bytes)).collect();
    let connections: Vec<Json> =
        (0..setup.talks.len()).map(|index| connection(scenario, index, &run.measured[index])).collect();
    let rtt_ns = (scenario.rtt_ms * 1e6) as u64;
    let ends = [run.recording.records[0].as_slice(), run.recording.records[1].as_slice()];
    let counts: Vec<_> = (run.measured.iter().zip(&setup.talks))
        .map(|(m, talk)| count::connection(ends, m.client_port, talk.port, rtt_ns))
        .collect();
    let mut path = json!({ "rtt_ms": scenario.rtt_ms });
    if let Some(rate) = scenario.rate {
        path["rate"] = json!(rate);
    }
    if let Some(queue) = scenario.queue {
        path["queue"] = json!(queue);
    }
    if scenario.loss > 0.0 {
        path["loss"] = json!(scenario.loss);
    }
    for (way, narrow) in ["c2s", "s2c"].into_iter().zip(setup.narrow) {
        if narrow.mtu.is_some() || narrow.clamp.is_some() {
            let mode = if narrow.icmp { "icmp" } else { "blackhole" };
            path[way] = json!({ "mtu": narrow.mtu, "mode": mode, "mss": narrow.clamp });
        }
    }
    let (mut route, mut sysctl) = (Map::new(), Map::new());
    for (side, end) in ["client", "server"].into_iter().zip(setup.ends) {
        let quickack = end.quickack.then(|| "quickack 1".to_owned());
        let advmss = end.advmss.map(|advmss| format!("advmss {advmss}"));
        let settings: Vec<String> = quickack.into_iter().chain(advmss).collect();
        if !settings.is_empty() {
            route.insert(side.to_owned(), json!(settings.join(" ")));
        }
        if end.mtu_probing > 0 {
            sysctl.insert(side.to_owned(), json!({ "net.ipv4.tcp_mtu_probing": end.mtu_probing }));
        }
    }
    let (late_mean, late_max) = run.recording.late;
    let mut truth = json!({
        "knobs": variant.knobs,
        "phenomena": variant.phenomena,
        "files": files,
        "snaplen": scenario.snaplen,
        "family": scenario.family,
        "repetitions": repetitions.len(),
        "values_s": values.iter().map(|v| rounded(*v)).collect::<Vec<_>>(),
        "median_s": rounded(median(&values)),
        "median_total_s": rounded(median(&totals)),
        "captured_value_s": rounded(values[kept]),
        "path": path,
        "mtu": if setup.ends[0].mtu == setup.ends[1].mtu {
            json!(setup.ends[0].mtu)
        } else {
            json!(setup.ends.map(|end| end.mtu))
        },
        "topology": "tun",
        "sysctl": sysctl,
        "more": { "congestion_control": namespace::CONGESTION_CONTROL },
        "route": route,
        "server": setup.talks.iter().map(server).collect::<Vec<_>>(),
        "client": client(&setup.talks),
        "app": {
            "value_s": rounded(values[kept]),
            "total_s": rounded(totals[kept]),
            "start_wall_ns": run.start_wall_ns,
            "end_wall_ns": run.end_wall_ns,
        },
        "path_counters": {
            "ab": run.recording.directions[0],
            "ba": run.recording.directions[1],
            "late_mean_us": rounded(late_mean.as_secs_f64()) * 1e6,
            "late_max_us": rounded(late_max.as_secs_f64()) * 1e6,
        },
        "kernel_counters": { "client": run.counters[0], "server": run.counters[1] },
        "connections": connections,
        "median_packets": median(&packets),
        "median_bytes": median(&bytes),
        "in_capture": counts,
    });
    if repetitions.iter().any(|r| r.measured.iter().any(|m| m.gave_up)) {
        truth["median_is_lower_bound"] = json!(true);
    }
    if variant.healthy {
        truth["healthy"] = json!(true);
    }
    if scenario.cut_s > 0.0 {
        truth["cut"] = json!({
            "first_seconds_left_out": scenario.cut_s,
            "handshake_seen": false,
            "values_are_of": "the whole run",
        });
    }
    let sick = sick(scenario, repetitions);
    if scenario.connection.len() > 1 && !sick.is_empty() {
        truth["median_sick_s"] = Json::Object(sick);
    }
    truth
}

/// Per label other than `healthy`: the median, over the repetitions, of that connection's own time.
fn sick(scenario: &Scenario, repetitions: &[Repetition]) -> Map<String, Json> {
    let mut sick = Map::new();
    for (index, talk) in scenario.connection.iter().enumerate().filter(|(_, talk)| talk.label != "healthy") {
        let of = |r: &Repetition| own(talk, &r.measured[index]).0;
        let values: Vec<f64> = repetitions.iter().map(of).collect();
        sick.insert(talk.label.clone(), json!(rounded(median(&values))));
    }
    sick
}

/// One connection by its applications' account; what its own value measures is the same in all variants.
fn connection(scenario: &Scenario, index: usize, measured: &Measured) -> Json {
    let talk = &scenario.connection[index];
    let latencies: Vec<f64> = measured.latencies.iter().map(|l| rounded(l.as_secs_f64())).collect();
    let mut connection = json!({
        "client_port": measured.client_port,
        "server_port": talk.port,
        "start_wall_ns": measured.start_wall_ns,
        "connect_s": rounded(measured.connect.as_secs_f64()),
        "requests": talk.requests,
        "latency_s": latencies,
        "total_s": rounded(measured.total.as_secs_f64()),
    });
    if scenario.connection.len() > 1 {
        let (value, metric) = own(talk, measured);
        connection["label"] = json!(talk.label);
        connection["value_s"] = json!(rounded(value));
        connection["metric"] = json!(metric);
    }
    connection
}

fn server(talk: &Talk) -> Json {
    json!({
        "kind": if talk.chatter { "chatter" } else { "rpc" },
        "port": talk.port,
        "req": talk.parts.iter().sum::<usize>(),
        "resp": talk.answer,
        "think_ms": talk.server_think_ms,
        "gap_ms": talk.answer_gap_ms,
        "nodelay": talk.server_nodelay,
        "coalesce": talk.server_coalesce,
        "quickack": talk.server_quickack,
    })
}

fn client(talks: &[Talk]) -> Json {
    let job = |talk: &Talk| {
        json!({
            "app": if talk.chatter { "chatter" } else { "rpc" },
            "at_ms": talk.at_ms,
            "port": talk.port,
            "n": talk.requests,
            "parts": talk.parts,
            "resp": talk.answer.iter().sum::<usize>(),
            "part_gap_ms": talk.part_gap_ms,
            "gap_ms": talk.gap_ms,
            "nodelay": talk.client_nodelay,
            "coalesce": talk.client_coalesce,
            "quickack": talk.client_quickack,
        })
    };
    match talks {
        [one] => job(one),
        several => {
            let labelled = |talk: &Talk| {
                let mut job = job(talk);
                job["label"] = json!(talk.label);
                job
            };
            json!({ "app": "many", "jobs": several.iter().map(labelled).collect::<Vec<_>>() })
        }
    }
}
