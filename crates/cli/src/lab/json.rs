//! What do the lab's JSON documents look like? Versioned, SI units in the names; described in `docs/lab.md`.

use super::page::ending;
use super::run::Run;
use super::sweep::Cell;
use crate::json::AccountEntry;
use narrows_lab::scenario::{DatagramReport, Ending, HostReport, RunReport, WorkloadReport};
use narrows_lab::{DirectionCounters, NodeCounters};
use serde::Serialize;
use std::time::Duration;

/// The schema of `lab run --json`.
pub const RUN_SCHEMA: &str = "narrows.lab.run/1";
/// The schema of `lab sweep --json`.
pub const SWEEP_SCHEMA: &str = "narrows.lab.sweep/1";

#[derive(Serialize)]
struct RunDocument<'a> {
    schema: &'static str,
    scenario: &'a str,
    title: &'a str,
    seed: u64,
    #[serde(flatten)]
    result: Outcome<'a>,
    cpu_s: f64,
    captures: Vec<String>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    completed: bool,
    time_s: f64,
    events: u64,
    packet_hash: Option<String>,
    workloads: Vec<WorkloadOut<'a>>,
    hosts: Vec<HostOut<'a>>,
    routers: Vec<RouterOut<'a>>,
    links: Vec<LinkOut<'a>>,
}

#[derive(Serialize)]
struct WorkloadOut<'a> {
    name: &'a str,
    ended: &'static str,
    error: Option<String>,
    completed_connections: u32,
    duration_s: f64,
    exchanges: usize,
    exchange_p50_s: Option<f64>,
    exchange_p99_s: Option<f64>,
    exchange_mean_s: Option<f64>,
    client_bytes: u64,
    server_bytes: u64,
    goodput_bits_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    datagrams: Option<DatagramsOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<FindingOut>,
}

#[derive(Serialize)]
struct DatagramsOut {
    sent: u64,
    refused: u64,
    received: u64,
    reordered: u64,
    delivered: f64,
    search: Option<SearchOut>,
}

#[derive(Serialize)]
struct SearchOut {
    size_bytes: u32,
    complete: bool,
    probes: u64,
    black_holes: u64,
}

#[derive(Serialize)]
struct AccountOut {
    connections: u32,
    duration_s: f64,
    #[serde(flatten)]
    parts: AccountEntry,
}

#[derive(Serialize)]
struct FindingOut {
    cause: &'static str,
    side: &'static str,
    count: u32,
    lost_s: f64,
}

#[derive(Serialize)]
struct HostOut<'a> {
    name: &'a str,
    packets: u64,
    bytes: u64,
    data_packets: u64,
    acks: u64,
    delayed_acks: u64,
    retransmissions: u64,
    timeouts: u64,
}

#[derive(Serialize)]
struct RouterOut<'a> {
    name: &'a str,
    received_packets: u64,
    sent_packets: u64,
    dropped_too_big: u64,
    dropped_by_middlebox: u64,
    dropped_no_route: u64,
    dropped_hop_limit: u64,
    icmp_sent: u64,
    icmp_limited: u64,
    fragmented_packets: u64,
    fragments: u64,
}

#[derive(Serialize)]
struct LinkOut<'a> {
    name: &'a str,
    forward: DirectionOut,
    backward: DirectionOut,
}

#[derive(Serialize)]
struct DirectionOut {
    offered_packets: u64,
    offered_bytes: u64,
    delivered_packets: u64,
    delivered_bytes: u64,
    dropped_queue_full: u64,
    dropped_by_codel: u64,
    bleached: u64,
    marked: u64,
    dropped_too_large: u64,
    outer_fragmented_packets: u64,
    outer_fragments: u64,
    lost_randomly: u64,
    lost_to_bit_errors: u64,
    lost_as_listed: u64,
    reordered: u64,
    duplicated: u64,
    largest_queue_bytes: u64,
}

#[derive(Serialize)]
struct SweepDocument<'a> {
    schema: &'static str,
    scenario: &'a str,
    keys: Vec<&'a str>,
    runs: Vec<SweepRun<'a>>,
}

#[derive(Serialize)]
struct SweepRun<'a> {
    values: &'a [String],
    seed: u64,
    #[serde(flatten)]
    result: Outcome<'a>,
}

/// The document of one run.
pub fn run(run: &Run) -> String {
    let mut result = outcome(&run.report);
    for (out, seen) in result.workloads.iter_mut().zip(&run.seen) {
        out.account = (seen.connections > 0).then_some(AccountOut {
            connections: seen.connections,
            duration_s: seen.duration.as_secs_f64(),
            parts: AccountEntry::of(&seen.account),
        });
        let findings = seen.findings.iter().map(|finding| FindingOut {
            cause: finding.cause.name(),
            side: finding.side.name(),
            count: finding.count,
            lost_s: finding.lost.as_secs_f64(),
        });
        out.findings = findings.collect();
    }
    line(&RunDocument {
        schema: RUN_SCHEMA,
        scenario: &run.scenario.name,
        title: &run.scenario.title,
        seed: run.scenario.seed,
        result,
        cpu_s: run.cpu.as_secs_f64(),
        captures: run.captures.iter().map(|path| path.display().to_string()).collect(),
    })
}

/// The document of a sweep.
pub fn sweep(scenario: &str, keys: &[String], cells: &[Cell]) -> String {
    let runs = cells.iter().map(|cell| SweepRun {
        values: &cell.values,
        seed: cell.seed,
        result: outcome(&cell.report),
    });
    let keys = keys.iter().map(String::as_str).collect();
    line(&SweepDocument { schema: SWEEP_SCHEMA, scenario, keys, runs: runs.collect() })
}

/// One document on one line.
pub fn line(document: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string(document).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    text.push('\n');
    text
}

fn outcome(report: &RunReport) -> Outcome<'_> {
    Outcome {
        completed: report.completed(),
        time_s: report.time.as_secs_f64(),
        events: report.events,
        packet_hash: report.packet_hash.map(|hash| format!("{hash:016x}")),
        workloads: report.workloads.iter().map(workload).collect(),
        hosts: report.hosts.iter().map(host).collect(),
        routers: report.routers.iter().map(router).collect(),
        links: report
            .links
            .iter()
            .map(|(name, [forward, backward])| LinkOut {
                name,
                forward: direction(forward),
                backward: direction(backward),
            })
            .collect(),
    }
}

fn workload(report: &WorkloadReport) -> WorkloadOut<'_> {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    WorkloadOut {
        name: &report.name,
        ended: match report.ending {
            Ending::Completed => "completed",
            Ending::TimeLimit => "time-limit",
            Ending::Stuck => "stuck",
            Ending::Failed(..) | Ending::NothingSent(_) => "failed",
        },
        error: matches!(report.ending, Ending::Failed(..) | Ending::NothingSent(_))
            .then(|| ending(report.ending)),
        completed_connections: report.completed_connections,
        duration_s: report.duration.as_secs_f64(),
        exchanges: report.exchanges.len(),
        exchange_p50_s: seconds(report.percentile(0.5)),
        exchange_p99_s: seconds(report.percentile(0.99)),
        exchange_mean_s: seconds(report.mean()),
        client_bytes: report.bytes[0],
        server_bytes: report.bytes[1],
        goodput_bits_per_second: report.goodput_bits_per_second(),
        datagrams: report.datagrams.as_ref().map(datagrams),
        account: None,
        findings: Vec::new(),
    }
}

fn datagrams(report: &DatagramReport) -> DatagramsOut {
    let DatagramReport { sent, refused, received, reordered, search } = *report;
    let search = search.map(|search| SearchOut {
        size_bytes: search.size,
        complete: search.complete,
        probes: search.probes,
        black_holes: search.black_holes,
    });
    DatagramsOut { sent, refused, received, reordered, delivered: report.delivered(), search }
}

fn host(report: &HostReport) -> HostOut<'_> {
    HostOut {
        name: &report.name,
        packets: report.packets,
        bytes: report.bytes,
        data_packets: report.data_packets,
        acks: report.acks,
        delayed_acks: report.delayed_acks,
        retransmissions: report.retransmissions,
        timeouts: report.timeouts,
    }
}

fn router((name, counters): &(String, NodeCounters)) -> RouterOut<'_> {
    RouterOut {
        name,
        received_packets: counters.received_packets,
        sent_packets: counters.sent_packets,
        dropped_too_big: counters.dropped_too_big,
        dropped_by_middlebox: counters.dropped_by_middlebox,
        dropped_no_route: counters.dropped_no_route,
        dropped_hop_limit: counters.dropped_hop_limit,
        icmp_sent: counters.icmp_sent,
        icmp_limited: counters.icmp_limited,
        fragmented_packets: counters.fragmented[0],
        fragments: counters.fragmented[1],
    }
}

fn direction(counters: &DirectionCounters) -> DirectionOut {
    DirectionOut {
        offered_packets: counters.offered_packets,
        offered_bytes: counters.offered_bytes,
        delivered_packets: counters.delivered_packets,
        delivered_bytes: counters.delivered_bytes,
        dropped_queue_full: counters.dropped_queue_full,
        dropped_by_codel: counters.dropped_by_codel,
        bleached: counters.bleached,
        marked: counters.marked,
        dropped_too_large: counters.dropped_too_large,
        outer_fragmented_packets: counters.outer_fragmented,
        outer_fragments: counters.outer_fragments,
        lost_randomly: counters.lost_randomly,
        lost_to_bit_errors: counters.lost_to_bit_errors,
        lost_as_listed: counters.lost_as_listed,
        reordered: counters.reordered,
        duplicated: counters.duplicated,
        largest_queue_bytes: counters.largest_queue_bytes,
    }
}
