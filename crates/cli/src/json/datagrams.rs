//! What does a program read of the UDP flows?

use super::{FindingEntry, seconds};
use narrows_lab::Side;
use narrows_trace::{DatagramFlow, TunnelKind};
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
    pub(super) fn of(flow: &'a DatagramFlow) -> DatagramFlowEntry<'a> {
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
