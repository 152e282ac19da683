//! What did the way between two captures of one connection do to it? What left at one place is held against what arrived at
//! the other: nothing has to be inferred.

use crate::detect::between;
use crate::{Cause, Connection, SideSummary};
use narrows_lab::Side;
use std::collections::HashMap;
use std::net::SocketAddr;

/// An option of a SYN that was rewritten between the two captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// The MSS is another one (RFC 9293 §3.7.1), bytes.
    Mss {
        /// As it left.
        left: u16,
        /// As it arrived.
        arrived: u16,
    },
    /// The option left and did not arrive.
    Removed(SynOption),
}

/// An option that middleboxes are known to remove from a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynOption {
    /// Maximum segment size (RFC 9293 §3.7.1).
    Mss,
    /// Window scale (RFC 7323 §2).
    WindowScale,
    /// SACK-permitted (RFC 2018 §2).
    SackPermitted,
    /// Timestamps (RFC 7323 §3).
    Timestamps,
    /// Fast Open (RFC 7413 §4.1.1).
    FastOpen,
}

impl SynOption {
    /// The option's name as one says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SynOption::Mss => "MSS",
            SynOption::WindowScale => "window scale",
            SynOption::SackPermitted => "SACK-permitted",
            SynOption::Timestamps => "timestamps",
            SynOption::FastOpen => "Fast Open",
        }
    }
}

/// What became of one side's packets between the two captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// What was done to the options of its SYN.
    pub rewritten: Vec<Rewritten>,
    /// Its address as it left and as it arrived, where these differ.
    pub translated: Option<(SocketAddr, SocketAddr)>,
    /// Packets that left, and that arrived; `None` where a capture has superpackets (segmentation or receive offload), so that
    /// they cannot be compared.
    pub packets: Option<(u64, u64)>,
    /// Of those with payload: how many were lost on the way. Who lacks a packet in a capture and has it acknowledged has not lost it.
    pub lost_packets: Option<u64>,
    /// Payload bytes that arrived, as was acknowledged, and that the capture there has not got.
    pub not_captured_bytes: u64,
    /// Payload bytes that left and never arrived, sent again or not.
    pub never_arrived_bytes: u64,
    /// The largest segment's payload as it left and the largest that arrived, where that is less; bytes.
    pub largest_segment: Option<(u32, u32)>,
    /// How many packets arrived in fragments that had left whole.
    pub fragmented_packets: u64,
}

impl Way {
    /// Everything arrived as it had left.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rewritten.is_empty()
            && self.never_arrived_bytes == 0
            && self.largest_segment.is_none()
            && self.fragmented_packets == 0
            && self.packets.is_none_or(|(left, arrived)| left <= arrived)
    }
}

impl BothEnds {
    /// Puts into a connection of one of the two captures (`place`: 0 or 1) what both show together: findings, in place of what was
    /// inferred from one, and the options that are in effect.
    pub fn tell(&self, place: usize, connection: &mut Connection) {
        let found = between::findings(self, place, connection);
        let clamped = found.iter().any(|finding| finding.cause == Cause::MssClamped);
        connection.findings.retain(|finding| !(clamped && finding.cause == Cause::MssClamped));
        connection.findings.extend(found);
        for side in [Side::Client, Side::Server] {
            let Some(options) = &mut connection.sides[side.index()].syn_options else { continue };
            for removed in &self.ways[side.index()].rewritten {
                match removed {
                    Rewritten::Removed(SynOption::WindowScale) => options.window_scale = None,
                    Rewritten::Removed(SynOption::SackPermitted) => options.sack_permitted = false,
                    Rewritten::Removed(SynOption::Timestamps) => options.timestamps = None,
                    _ => {}
                }
            }
        }
    }
}

/// One connection that two captures have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BothEnds {
    /// Its numbers in the first and the second capture.
    pub numbers: [u32; 2],
    /// Which of the two (0 or 1) was made nearer to the client.
    pub nearer_to_client: usize,
    /// What became of the packets, by the sending side's [`Side::index`].
    pub ways: [Way; 2],
}

/// The connections that both captures have, by their number in the first, and what happened to them in between. One whose
/// round trips do not tell which capture was made nearer to the client is left out.
///
/// A connection is the same where both initial sequence numbers are, whatever became of the addresses (RFC 3022). Where
/// they were rewritten, too, or a capture has not got the handshake, the applications' messages have to have the same lengths, and no
/// other connection of either capture may have these.
#[must_use]
pub fn both_ends(first: &[&Connection], second: &[&Connection]) -> Vec<BothEnds> {
    let by_number = paired(first, second, initial_numbers);
    let is_new = |place: usize| {
        let taken: Vec<u32> = by_number.iter().map(|pair| pair[place].number).collect();
        move |connection: &&&Connection| !taken.contains(&connection.number)
    };
    let rest = [
        first.iter().filter(is_new(0)).copied().collect::<Vec<_>>(),
        second.iter().filter(is_new(1)).copied().collect(),
    ];
    let by_lengths = paired(&rest[0], &rest[1], message_lengths);
    let mut ends: Vec<BothEnds> =
        by_number.iter().chain(&by_lengths).filter_map(|pair| compared(*pair)).collect();
    ends.sort_by_key(|ends| ends.numbers);
    ends
}

/// The pairs that have the same key, which nobody else in either capture has.
fn paired<'a, K: Eq + std::hash::Hash>(
    first: &[&'a Connection],
    second: &[&'a Connection],
    key: impl Fn(&Connection) -> Option<K>,
) -> Vec<[&'a Connection; 2]> {
    let mut found: HashMap<K, [Vec<&'a Connection>; 2]> = HashMap::new();
    for (place, connections) in [first, second].into_iter().enumerate() {
        for connection in connections {
            if let Some(key) = key(connection) {
                found.entry(key).or_default()[place].push(connection);
            }
        }
    }
    found
        .into_values()
        .filter_map(|places| match [&places[0][..], &places[1][..]] {
            [[one], [other]] => Some([*one, *other]),
            _ => None,
        })
        .collect()
}

fn initial_numbers(connection: &Connection) -> Option<[u32; 2]> {
    let [client, server] = [Side::Client, Side::Server].map(|side| connection.side(side).initial_seq);
    Some([client?, server?])
}

/// Fewer messages than this are too little to know a connection by.
const LEAST_MESSAGES: usize = 2;

fn message_lengths(connection: &Connection) -> Option<Vec<(usize, u64)>> {
    let conversation = &connection.conversation;
    let lengths: Vec<(usize, u64)> =
        conversation.turns.iter().map(|turn| (turn.side.index(), turn.bytes())).collect();
    (lengths.len() >= LEAST_MESSAGES && !conversation.cut).then_some(lengths)
}

fn compared(pair: [&Connection; 2]) -> Option<BothEnds> {
    let legs = |side: fn(&Connection) -> Option<std::time::Duration>| Some([side(pair[0])?, side(pair[1])?]);
    // The way to the client and back is shorter where it is near; the way to the server is where nothing is known of that.
    let by_client = legs(|c| c.round_trip.client_leg);
    let by_server = legs(|c| c.round_trip.server_leg).map(|[one, other]| [other, one]);
    let [one, other] = by_client.filter(|[one, other]| one != other).or(by_server)?;
    if one == other {
        return None;
    }
    let nearer_to_client = usize::from(other < one);
    let [at_client, at_server] = [pair[nearer_to_client], pair[1 - nearer_to_client]];
    Some(BothEnds {
        numbers: pair.map(|connection| connection.number),
        nearer_to_client,
        ways: [
            way(at_client.side(Side::Client), at_server.side(Side::Client)),
            way(at_server.side(Side::Server), at_client.side(Side::Server)),
        ],
    })
}

fn way(left: &SideSummary, arrived: &SideSummary) -> Way {
    let largest = |side: &SideSummary| side.largest_payload.min(side.segment_bytes);
    let whole = |side: &SideSummary| side.largest_payload <= side.segment_bytes;
    let comparable = whole(left) && whole(arrived);
    Way {
        rewritten: rewritten(left, arrived),
        translated: left.address.zip(arrived.address).filter(|(from, to)| from != to),
        packets: comparable.then_some((left.packets, arrived.packets)),
        lost_packets: comparable.then(|| lost_packets(left, arrived)),
        not_captured_bytes: arrived.missed_bytes,
        never_arrived_bytes: left.payload_bytes.saturating_sub(arrived.payload_bytes + arrived.missed_bytes),
        largest_segment: Some((largest(left), largest(arrived))).filter(|(left, arrived)| arrived < left),
        fragmented_packets: arrived.fragmented_packets.saturating_sub(left.fragmented_packets),
    }
}

/// What either capture has missed counts as sent and as arrived. Whatever is lost is sent again: what is missing without that left when the
/// other capture had ended.
fn lost_packets(left: &SideSummary, arrived: &SideSummary) -> u64 {
    let all = |side: &SideSummary| {
        side.data_packets + side.missed_bytes.div_ceil(u64::from(side.segment_bytes.max(1)))
    };
    all(left).saturating_sub(all(arrived)).min(left.retransmissions)
}

fn rewritten(left: &SideSummary, arrived: &SideSummary) -> Vec<Rewritten> {
    let Some((before, after)) = left.syn_options.as_ref().zip(arrived.syn_options.as_ref()) else {
        return Vec::new();
    };
    let mut rewritten = Vec::new();
    match (before.mss, after.mss) {
        (Some(left), Some(arrived)) if left != arrived => rewritten.push(Rewritten::Mss { left, arrived }),
        (Some(_), None) => rewritten.push(Rewritten::Removed(SynOption::Mss)),
        _ => {}
    }
    let others = [
        (SynOption::WindowScale, before.window_scale.is_some(), after.window_scale.is_some()),
        (SynOption::SackPermitted, before.sack_permitted, after.sack_permitted),
        (SynOption::Timestamps, before.timestamps.is_some(), after.timestamps.is_some()),
        (SynOption::FastOpen, before.fast_open.is_some(), after.fast_open.is_some()),
    ];
    rewritten.extend(
        others
            .into_iter()
            .filter(|(_, left, arrived)| *left && !arrived)
            .map(|(option, ..)| Rewritten::Removed(option)),
    );
    rewritten
}

#[cfg(test)]
#[path = "both_ends_tests.rs"]
mod tests;
