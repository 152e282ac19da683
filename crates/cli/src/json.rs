//! What does a program read? One object per file, schema `narrows.explain/1`; every field is in `docs/json.md`.
//!
//! The types here are the schema: apart from the domain's types, so that those can change without it.

mod both_ends;
mod datagrams;

use crate::report::{Examined, FileReport, Verdict};
use both_ends::OtherCaptureEntry;
use datagrams::DatagramFlowEntry;
use narrows_lab::Side;
use narrows_trace::{
    AckTimer, Confidence, Connection, Finding, SideSummary, TimeAccount, TunnelKind, Vantage,
};
use narrows_whatif::{Estimate, Prediction, WhatIf};
use serde::Serialize;
use std::time::Duration;

/// The schema's name and version: the version changes when a field changes its meaning or goes away.
pub const SCHEMA: &str = "narrows.explain/1";

/// The object of one file, in one line.
///
/// # Errors
/// None that a value of these types can cause.
pub fn render(report: &FileReport, only: Option<u32>) -> serde_json::Result<String> {
    let document = Document {
        schema: SCHEMA,
        narrows_version: env!("CARGO_PKG_VERSION"),
        file: &report.name,
        packets: report.packets,
        tcp_packets: report.tcp_packets,
        udp_packets: report.udp_packets,
        skipped: report
            .skipped
            .iter()
            .map(|(reason, packets)| Skipped { reason, packets: *packets })
            .collect(),
        notes: &report.notes,
        error: report
            .damage
            .as_ref()
            .map(|damage| ErrorEntry { message: &damage.message, offset_bytes: damage.offset_bytes }),
        connections: report
            .connections
            .iter()
            .filter(|examined| only.is_none_or(|number| examined.connection.number == number))
            .map(ConnectionEntry::of)
            .collect(),
        datagram_flows: report
            .datagram_flows
            .iter()
            .filter(|_| only.is_none())
            .map(DatagramFlowEntry::of)
            .collect(),
        other_captures: report.other_captures.iter().map(OtherCaptureEntry::of).collect(),
    };
    serde_json::to_string(&document)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    narrows_version: &'static str,
    file: &'a str,
    packets: u64,
    tcp_packets: u64,
    udp_packets: u64,
    skipped: Vec<Skipped<'a>>,
    notes: &'a [String],
    error: Option<ErrorEntry<'a>>,
    connections: Vec<ConnectionEntry<'a>>,
    datagram_flows: Vec<DatagramFlowEntry<'a>>,
    other_captures: Vec<OtherCaptureEntry<'a>>,
}

#[derive(Serialize)]
struct Skipped<'a> {
    reason: &'a str,
    packets: u64,
}

#[derive(Serialize)]
struct ErrorEntry<'a> {
    message: &'a str,
    offset_bytes: Option<u64>,
}

#[derive(Serialize)]
struct ConnectionEntry<'a> {
    number: u32,
    client_address: String,
    client_port: u16,
    server_address: String,
    server_port: u16,
    verdict: &'static str,
    start_s: f64,
    duration_s: f64,
    first_packet: u64,
    last_packet: u64,
    handshake_seen: bool,
    vantage: &'static str,
    tunnel: Option<&'static str>,
    round_trip_s: Option<f64>,
    client_leg_s: Option<f64>,
    server_leg_s: Option<f64>,
    round_trip_samples: u32,
    exchanges: u32,
    mean_exchange_s: Option<f64>,
    time_account: AccountEntry,
    client: SideEntry,
    server: SideEntry,
    model_error: Option<f64>,
    replay: Option<ReplayEntry>,
    findings: Vec<FindingEntry<'a>>,
    predictions: Vec<PredictionEntry<'a>>,
    no_prediction: Option<&'a str>,
    lost_after_stall: Option<AfterwardsEntry>,
    not_visible: &'a [String],
}

/// Where the time went, also in the lab's JSON.
#[derive(Serialize)]
pub struct AccountEntry {
    network_s: f64,
    delayed_ack_s: f64,
    nagle_s: f64,
    client_thinking_s: f64,
    server_thinking_s: f64,
    recovery_s: f64,
    transmission_s: f64,
    unexplained_s: f64,
}

#[derive(Serialize)]
struct SideEntry {
    packets: u64,
    payload_bytes: u64,
    segment_bytes: u32,
    rate_bits_per_second: Option<u64>,
    retransmissions: u64,
    timeouts: u64,
    reset: bool,
    looks_like: Option<&'static str>,
    ack_timer: Option<AckTimerEntry>,
}

#[derive(Serialize)]
struct AckTimerEntry {
    count: u32,
    min_s: f64,
    median_s: f64,
    max_s: f64,
}

#[derive(Serialize)]
struct ReplayEntry {
    duration: ReplayedEntry,
    exchange: Option<ReplayedEntry>,
}

#[derive(Serialize)]
struct ReplayedEntry {
    captured_s: f64,
    replayed_s: f64,
}

#[derive(Serialize)]
struct FindingEntry<'a> {
    cause: &'static str,
    information: bool,
    side: &'static str,
    count: u32,
    lost_s: f64,
    path_mtu: Option<PathMtuEntry>,
    confidence: &'static str,
    why: &'a str,
    evidence: &'a [u64],
}

#[derive(Serialize)]
struct AfterwardsEntry {
    side: &'static str,
    about_s: f64,
    low_s: f64,
    high_s: f64,
}

#[derive(Serialize)]
struct PathMtuEntry {
    least_bytes: u32,
    most_bytes: u32,
}

#[derive(Serialize)]
struct PredictionEntry<'a> {
    knob: &'a str,
    side: &'static str,
    value: serde_json::Value,
    by: Option<&'a str>,
    duration: EstimateEntry,
    exchange: Option<EstimateEntry>,
    packets_before: u64,
    packets_after: u64,
    at_least: bool,
}

#[derive(Serialize)]
struct EstimateEntry {
    before_s: f64,
    after_s: f64,
    low_s: f64,
    high_s: f64,
}

impl<'a> ConnectionEntry<'a> {
    fn of(examined: &'a Examined) -> ConnectionEntry<'a> {
        let Examined { connection, what_if } = examined;
        let round_trip = &connection.round_trip;
        ConnectionEntry {
            number: connection.number,
            client_address: connection.client.ip().to_string(),
            client_port: connection.client.port(),
            server_address: connection.server.ip().to_string(),
            server_port: connection.server.port(),
            verdict: Verdict::of(connection).name(),
            start_s: connection.start.as_secs_f64(),
            duration_s: seconds(connection.duration),
            first_packet: connection.first_packet,
            last_packet: connection.last_packet,
            handshake_seen: connection.handshake_seen,
            vantage: vantage(connection.vantage),
            tunnel: connection.tunnel.map(TunnelKind::name),
            round_trip_s: round_trip.path.map(seconds),
            client_leg_s: round_trip.client_leg.map(seconds),
            server_leg_s: round_trip.server_leg.map(seconds),
            round_trip_samples: round_trip.samples,
            exchanges: connection.exchanges,
            mean_exchange_s: connection.mean_exchange.map(seconds),
            time_account: AccountEntry::of(&connection.account),
            client: SideEntry::of(connection, Side::Client),
            server: SideEntry::of(connection, Side::Server),
            model_error: what_if.as_ref().and_then(|what_if| what_if.replay).map(|replay| replay.error),
            replay: what_if.as_ref().and_then(ReplayEntry::of),
            findings: connection.findings.iter().map(FindingEntry::of).collect(),
            predictions: what_if
                .iter()
                .flat_map(|what_if| what_if.predictions.iter().map(PredictionEntry::of))
                .collect(),
            no_prediction: what_if.as_ref().and_then(|what_if| what_if.refused.as_deref()),
            lost_after_stall: what_if.as_ref().and_then(|what_if| what_if.afterwards).map(|found| {
                AfterwardsEntry {
                    side: found.side.name(),
                    about_s: seconds(found.lost),
                    low_s: seconds(found.low),
                    high_s: seconds(found.high),
                }
            }),
            not_visible: &connection.limits,
        }
    }
}

impl AccountEntry {
    /// The parts in seconds.
    pub fn of(account: &TimeAccount) -> AccountEntry {
        AccountEntry {
            network_s: seconds(account.network),
            delayed_ack_s: seconds(account.delayed_ack),
            nagle_s: seconds(account.nagle),
            client_thinking_s: seconds(account.client_thinking),
            server_thinking_s: seconds(account.server_thinking),
            recovery_s: seconds(account.recovery),
            transmission_s: seconds(account.transmission),
            unexplained_s: seconds(account.unexplained),
        }
    }
}

impl SideEntry {
    fn of(connection: &Connection, side: Side) -> SideEntry {
        let summary: &SideSummary = connection.side(side);
        let timer: &AckTimer = &summary.ack_timer;
        SideEntry {
            packets: summary.packets,
            payload_bytes: summary.payload_bytes,
            segment_bytes: summary.segment_bytes,
            rate_bits_per_second: connection.rate_bits_per_second[side.index()],
            retransmissions: summary.retransmissions,
            timeouts: summary.timeouts,
            reset: summary.reset,
            looks_like: summary.looks_like,
            ack_timer: (timer.count > 0).then(|| AckTimerEntry {
                count: timer.count,
                min_s: seconds(timer.min),
                median_s: seconds(timer.median),
                max_s: seconds(timer.max),
            }),
        }
    }
}

impl ReplayEntry {
    fn of(what_if: &WhatIf) -> Option<ReplayEntry> {
        let entry = |(captured, replayed)| ReplayedEntry {
            captured_s: seconds(captured),
            replayed_s: seconds(replayed),
        };
        what_if.replay.map(|replay| ReplayEntry {
            duration: entry(replay.duration),
            exchange: replay.exchange.map(entry),
        })
    }
}

impl<'a> FindingEntry<'a> {
    fn of(finding: &'a Finding) -> FindingEntry<'a> {
        FindingEntry {
            cause: finding.cause.name(),
            information: finding.cause.is_information(),
            side: finding.side.name(),
            count: finding.count,
            lost_s: seconds(finding.lost),
            path_mtu: finding
                .path_mtu
                .map(|mtu| PathMtuEntry { least_bytes: mtu.least, most_bytes: mtu.most }),
            confidence: confidence(finding.confidence),
            why: &finding.why,
            evidence: &finding.evidence,
        }
    }
}

impl<'a> PredictionEntry<'a> {
    fn of(prediction: &'a Prediction) -> PredictionEntry<'a> {
        let turning = &prediction.turning;
        PredictionEntry {
            knob: &turning.knob,
            side: turning.side.name(),
            value: value(&turning.value),
            by: turning.by.as_deref(),
            duration: EstimateEntry::of(prediction.duration),
            exchange: prediction.exchange.map(EstimateEntry::of),
            packets_before: prediction.packets.0,
            packets_after: prediction.packets.1,
            at_least: prediction.at_least,
        }
    }
}

impl EstimateEntry {
    fn of(estimate: Estimate) -> EstimateEntry {
        EstimateEntry {
            before_s: seconds(estimate.before),
            after_s: seconds(estimate.after),
            low_s: seconds(estimate.low),
            high_s: seconds(estimate.high),
        }
    }
}

/// Seconds, rounded once: `Duration::as_secs_f64` rounds twice, and writes 1.6055399989999999 for 1.605539999.
fn seconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e9
}

/// A knob's value as JSON's own bool or number where it is one, else as text.
fn value(text: &str) -> serde_json::Value {
    match serde_json::from_str(text) {
        Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => value,
        _ => serde_json::Value::String(text.to_owned()),
    }
}

fn vantage(vantage: Vantage) -> &'static str {
    match vantage {
        Vantage::Client => "client",
        Vantage::Server => "server",
        Vantage::Middle => "middle",
        Vantage::Unknown => "unknown",
    }
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

#[cfg(test)]
mod tests;
