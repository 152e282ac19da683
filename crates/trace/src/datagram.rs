//! Which UDP flows are in the capture, and do their datagrams travel whole? A light summary: no conversation, no replay.

use crate::detect::fragments;
use crate::unpack::Unpacked;
use crate::unpack::reassembly::Incomplete;
use crate::{Finding, TunnelKind};
use narrows_lab::Side;
use narrows_stack::Instant;
use narrows_wire::{Headers, Protocol};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Flows kept; datagrams of further ones are counted together.
const MAX_FLOWS: usize = 50_000;
/// Packet numbers kept per side.
const MAX_NUMBERS: usize = 64;

/// One direction of a UDP flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramSide {
    /// Datagrams that came whole.
    pub datagrams: u64,
    /// Of these, in fragments.
    pub fragmented: u64,
    /// Datagrams of which fragments are missing.
    pub incomplete: u64,
    /// IP packets: whole datagrams and fragments.
    pub packets: u64,
    /// Fragments among them.
    pub fragments: u64,
    /// Fragments that are missing from the incomplete datagrams, as far as that can be known.
    pub missing_fragments: u64,
    /// Payload of the whole datagrams, bytes.
    pub payload_bytes: u64,
    /// Of that, of those that came in fragments.
    pub fragmented_payload_bytes: u64,
    /// Payload of the largest whole datagram, bytes.
    pub largest_datagram: u32,
    /// The largest IP packet, bytes.
    pub largest_packet: u32,
    /// Most fragments of one datagram.
    pub most_pieces: u16,
}

impl DatagramSide {
    /// The share of fragments that is missing, where some are.
    pub(crate) fn fragment_loss(&self) -> Option<f64> {
        (self.missing_fragments > 0)
            .then(|| self.missing_fragments as f64 / (self.missing_fragments + self.fragments) as f64)
    }

    /// How many fragments a fragmented datagram has on average.
    pub(crate) fn usual_pieces(&self) -> f64 {
        let datagrams = (self.fragmented + self.incomplete).max(1);
        (self.fragments + self.missing_fragments) as f64 / datagrams as f64
    }
}

/// One UDP flow of a capture.
#[derive(Clone, Debug, PartialEq)]
pub struct DatagramFlow {
    /// Number in the capture, from 1, by first packet.
    pub number: u32,
    /// The end that spoke first.
    pub client: SocketAddr,
    /// The other end.
    pub server: SocketAddr,
    /// First packet's number in the capture.
    pub first_packet: u64,
    /// First packet's time.
    pub start: Instant,
    /// From first to last packet.
    pub duration: Duration,
    /// Client and server, by [`Side::index`].
    pub sides: [DatagramSide; 2],
    /// The tunnel that it is.
    pub tunnel: Option<TunnelKind>,
    /// What is worth knowing.
    pub findings: Vec<Finding>,
}

#[derive(Debug)]
struct Flow {
    summary: DatagramFlow,
    last: Instant,
    numbers: [Vec<u64>; 2],
}

/// A datagram, whole or put together.
pub(crate) struct Datagram<'a> {
    pub(crate) number: u64,
    pub(crate) time: Instant,
    pub(crate) headers: &'a Headers,
    /// In how many packets it came.
    pub(crate) pieces: u16,
    pub(crate) tunnel: Option<TunnelKind>,
}

impl<'a> Datagram<'a> {
    /// A datagram that came in fragments, the last of which was packet `number`.
    pub(crate) fn put_together(unpacked: &'a Unpacked, number: u64, time: Instant) -> Datagram<'a> {
        Datagram { number, time, headers: &unpacked.headers, pieces: unpacked.pieces, tunnel: None }
    }
}

/// All UDP flows of a capture while it is read.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    flows: Vec<Flow>,
    by_ends: HashMap<(SocketAddr, SocketAddr), usize>,
    /// The flow between two hosts that last had fragments, for those whose first one is missing.
    by_hosts: HashMap<(IpAddr, IpAddr), usize>,
    left_out: u64,
}

impl Datagrams {
    /// A datagram came.
    pub(crate) fn take(&mut self, datagram: &Datagram<'_>) {
        let headers = datagram.headers;
        let ends = headers.source_socket().zip(headers.destination_socket());
        let Some((source, destination)) = ends else { return };
        let Some(at) = self.flow(source, destination, datagram.number, datagram.time) else {
            self.left_out += 1;
            return;
        };
        let flow = &mut self.flows[at];
        flow.last = flow.last.max(datagram.time);
        flow.summary.tunnel = flow.summary.tunnel.or(datagram.tunnel);
        let side = if flow.summary.client == source { Side::Client } else { Side::Server };
        let sent = &mut flow.summary.sides[side.index()];
        sent.datagrams += 1;
        sent.payload_bytes += u64::from(headers.payload_bytes);
        sent.largest_datagram = sent.largest_datagram.max(headers.payload_bytes);
        if datagram.pieces == 1 {
            sent.packets += 1;
            sent.largest_packet = sent.largest_packet.max(headers.packet_bytes);
        } else {
            sent.fragmented += 1;
            sent.fragmented_payload_bytes += u64::from(headers.payload_bytes);
            sent.fragments += u64::from(datagram.pieces);
            sent.packets += u64::from(datagram.pieces);
            sent.most_pieces = sent.most_pieces.max(datagram.pieces);
            note(&mut flow.numbers[side.index()], datagram.number);
            self.by_hosts.insert((source.ip(), destination.ip()), at);
        }
    }

    /// A fragment of a datagram between these hosts had `bytes`.
    pub(crate) fn fragment(&mut self, source: IpAddr, destination: IpAddr, bytes: u32) {
        let Some(&at) = self.by_hosts.get(&(source, destination)) else { return };
        let summary = &mut self.flows[at].summary;
        let side = if summary.client.ip() == source { Side::Client } else { Side::Server };
        let sent = &mut summary.sides[side.index()];
        sent.largest_packet = sent.largest_packet.max(bytes);
    }

    /// A datagram stayed incomplete.
    pub(crate) fn incomplete(&mut self, lost: &Incomplete) {
        if lost.protocol != Protocol::Udp {
            return;
        }
        let ends = lost
            .ports
            .map(|(from, to)| (SocketAddr::new(lost.source, from), SocketAddr::new(lost.destination, to)));
        let known = match ends {
            Some((from, to)) => self.flow(from, to, lost.number, lost.began),
            None => self.by_hosts.get(&(lost.source, lost.destination)).copied(),
        };
        let Some(at) = known else {
            self.left_out += u64::from(lost.pieces);
            return;
        };
        let flow = &mut self.flows[at];
        let of_client = match ends {
            Some((from, _)) => flow.summary.client == from,
            None => flow.summary.client.ip() == lost.source,
        };
        let side = if of_client { Side::Client } else { Side::Server };
        let sent = &mut flow.summary.sides[side.index()];
        sent.incomplete += 1;
        sent.fragments += u64::from(lost.pieces);
        sent.packets += u64::from(lost.pieces);
        // Without its last fragment a datagram is taken to have as many as the others.
        let of = lost.of.unwrap_or(sent.most_pieces).max(lost.pieces);
        sent.missing_fragments += u64::from(of - lost.pieces);
        note(&mut flow.numbers[side.index()], lost.number);
    }

    /// The flows, by first packet.
    pub(crate) fn finish(self) -> Vec<DatagramFlow> {
        let finished = self.flows.into_iter().map(|flow| {
            let mut summary = flow.summary;
            summary.duration = flow.last.since(summary.start);
            for side in [Side::Client, Side::Server] {
                let sent = &summary.sides[side.index()];
                let ipv6 = summary.client.is_ipv6();
                let numbers = &flow.numbers[side.index()];
                let finding = fragments::of_datagrams(side, sent, numbers, summary.tunnel, ipv6);
                summary.findings.extend(finding);
            }
            summary
        });
        finished.collect()
    }

    fn flow(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        number: u64,
        time: Instant,
    ) -> Option<usize> {
        let known = self.by_ends.get(&(source, destination));
        if let Some(&at) = known.or_else(|| self.by_ends.get(&(destination, source))) {
            return Some(at);
        }
        if self.flows.len() >= MAX_FLOWS {
            return None;
        }
        let at = self.flows.len();
        self.by_ends.insert((source, destination), at);
        let summary = DatagramFlow {
            number: at as u32 + 1,
            client: source,
            server: destination,
            first_packet: number,
            start: time,
            duration: Duration::ZERO,
            sides: [DatagramSide::default(), DatagramSide::default()],
            tunnel: None,
            findings: Vec::new(),
        };
        self.flows.push(Flow { summary, last: time, numbers: [Vec::new(), Vec::new()] });
        Some(at)
    }
}

fn note(numbers: &mut Vec<u64>, number: u64) {
    if numbers.len() < MAX_NUMBERS {
        numbers.push(number);
    }
}

#[cfg(test)]
#[path = "datagram_tests.rs"]
mod tests;
