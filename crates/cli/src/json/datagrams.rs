//! What does a program read of the UDP flows?

use super::{FindingEntry, seconds};
use narrows_lab::Side;
use narrows_trace::{DatagramFlow, TunnelKind};
use narrows_whatif::{DatagramPrediction, DatagramWhatIf};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct DatagramFlowEntry<'a> {
    number: u32,
    client_address: String,
    client_port: u16,
    server_address: String,
    server_port: u16,
    start_s: f64,
    duration_s: f64,
    first_packet: u64,
    tunnel: Option<&'static str>,
    client: DatagramSideEntry,
    server: DatagramSideEntry,
    findings: Vec<FindingEntry<'a>>,
    what_if: Vec<WhatIfEntry<'a>>,
}

#[derive(Serialize)]
struct WhatIfEntry<'a> {
    side: &'static str,
    captured_delivered: f64,
    replayed_delivered: f64,
    model_error: f64,
    nothing_missing: bool,
    refused: Option<&'a str>,
    predictions: Vec<PredictionEntry<'a>>,
}

#[derive(Serialize)]
struct PredictionEntry<'a> {
    knob: &'a str,
    side: &'static str,
    value: &'a str,
    delivered_before: f64,
    delivered_after: f64,
    delivered_low: f64,
    delivered_high: f64,
    datagrams_before: u64,
    datagrams_after: u64,
    packets_before: u64,
    packets_after: u64,
    bytes_before: u64,
    bytes_after: u64,
}

#[derive(Serialize)]
struct DatagramSideEntry {
    datagrams: u64,
    fragmented_datagrams: u64,
    incomplete_datagrams: u64,
    packets: u64,
    fragments: u64,
    missing_fragments: u64,
    payload_bytes: u64,
    largest_datagram_bytes: u32,
    largest_packet_bytes: u32,
}

impl<'a> DatagramFlowEntry<'a> {
    pub(super) fn of(flow: &'a DatagramFlow, what_ifs: &'a [(u32, DatagramWhatIf)]) -> DatagramFlowEntry<'a> {
        let what_ifs = what_ifs.iter().filter(|(number, _)| *number == flow.number);
        DatagramFlowEntry {
            number: flow.number,
            client_address: flow.client.ip().to_string(),
            client_port: flow.client.port(),
            server_address: flow.server.ip().to_string(),
            server_port: flow.server.port(),
            start_s: flow.start.as_secs_f64(),
            duration_s: seconds(flow.duration),
            first_packet: flow.first_packet,
            tunnel: flow.tunnel.map(TunnelKind::name),
            client: DatagramSideEntry::of(flow, Side::Client),
            server: DatagramSideEntry::of(flow, Side::Server),
            findings: flow.findings.iter().map(FindingEntry::of).collect(),
            what_if: what_ifs.map(|(_, what_if)| WhatIfEntry::of(what_if)).collect(),
        }
    }
}

impl<'a> WhatIfEntry<'a> {
    fn of(what_if: &'a DatagramWhatIf) -> WhatIfEntry<'a> {
        WhatIfEntry {
            side: what_if.side.name(),
            captured_delivered: what_if.replay.0,
            replayed_delivered: what_if.replay.1,
            model_error: what_if.error,
            nothing_missing: what_if.nothing_missing,
            refused: what_if.refused.as_deref(),
            predictions: what_if.predictions.iter().map(PredictionEntry::of).collect(),
        }
    }
}

impl<'a> PredictionEntry<'a> {
    fn of(prediction: &'a DatagramPrediction) -> PredictionEntry<'a> {
        let DatagramPrediction { turning, datagrams, delivered, packets, bytes } = prediction;
        PredictionEntry {
            knob: &turning.knob,
            side: turning.side.name(),
            value: &turning.value,
            delivered_before: delivered.before,
            delivered_after: delivered.after,
            delivered_low: delivered.low,
            delivered_high: delivered.high,
            datagrams_before: datagrams.0,
            datagrams_after: datagrams.1,
            packets_before: packets.0,
            packets_after: packets.1,
            bytes_before: bytes.0,
            bytes_after: bytes.1,
        }
    }
}

impl DatagramSideEntry {
    fn of(flow: &DatagramFlow, side: Side) -> DatagramSideEntry {
        let sent = &flow.sides[side.index()];
        DatagramSideEntry {
            datagrams: sent.datagrams,
            fragmented_datagrams: sent.fragmented,
            incomplete_datagrams: sent.incomplete,
            packets: sent.packets,
            fragments: sent.fragments,
            missing_fragments: sent.missing_fragments,
            payload_bytes: sent.payload_bytes,
            largest_datagram_bytes: sent.largest_datagram,
            largest_packet_bytes: sent.largest_packet,
        }
    }
}
