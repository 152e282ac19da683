//! What does a program read of the way between two captures?

use crate::report::OtherCapture;
use narrows_lab::Side;
use narrows_trace::{BothEnds, Rewritten, Way};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct OtherCaptureEntry<'a> {
    file: &'a str,
    connections: Vec<BothEndsEntry>,
}

#[derive(Serialize)]
struct BothEndsEntry {
    number_there: u32,
    number_here: u32,
    nearer_to_client: &'static str,
    client: WayEntry,
    server: WayEntry,
}

#[derive(Serialize)]
struct WayEntry {
    mss_left: Option<u16>,
    mss_arrived: Option<u16>,
    removed_options: Vec<&'static str>,
    address_left: Option<String>,
    address_arrived: Option<String>,
    packets_left: Option<u64>,
    packets_arrived: Option<u64>,
    lost_packets: Option<u64>,
    not_captured_bytes: u64,
    never_arrived_bytes: u64,
    largest_segment_left_bytes: Option<u32>,
    largest_segment_arrived_bytes: Option<u32>,
    fragmented_packets: u64,
}

impl<'a> OtherCaptureEntry<'a> {
    pub(super) fn of(other: &'a OtherCapture) -> OtherCaptureEntry<'a> {
        OtherCaptureEntry {
            file: &other.name,
            connections: other.connections.iter().map(BothEndsEntry::of).collect(),
        }
    }
}

impl BothEndsEntry {
    fn of(ends: &BothEnds) -> BothEndsEntry {
        BothEndsEntry {
            number_there: ends.numbers[0],
            number_here: ends.numbers[1],
            nearer_to_client: ["there", "here"][ends.nearer_to_client.min(1)],
            client: WayEntry::of(&ends.ways[Side::Client.index()]),
            server: WayEntry::of(&ends.ways[Side::Server.index()]),
        }
    }
}

impl WayEntry {
    fn of(way: &Way) -> WayEntry {
        let mss = way.rewritten.iter().find_map(|option| match option {
            Rewritten::Mss { left, arrived } => Some((*left, *arrived)),
            Rewritten::Removed(_) => None,
        });
        let removed = |option: &Rewritten| match option {
            Rewritten::Removed(option) => Some(option.name()),
            Rewritten::Mss { .. } => None,
        };
        WayEntry {
            mss_left: mss.map(|(left, _)| left),
            mss_arrived: mss.map(|(_, arrived)| arrived),
            removed_options: way.rewritten.iter().filter_map(removed).collect(),
            address_left: way.translated.map(|(left, _)| left.to_string()),
            address_arrived: way.translated.map(|(_, arrived)| arrived.to_string()),
            packets_left: way.packets.map(|(left, _)| left),
            packets_arrived: way.packets.map(|(_, arrived)| arrived),
            lost_packets: way.lost_packets,
            not_captured_bytes: way.not_captured_bytes,
            never_arrived_bytes: way.never_arrived_bytes,
            largest_segment_left_bytes: way.largest_segment.map(|(left, _)| left),
            largest_segment_arrived_bytes: way.largest_segment.map(|(_, arrived)| arrived),
            fragmented_packets: way.fragmented_packets,
        }
    }
}
