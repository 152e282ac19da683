//! Which datagrams do these fragments make (RFC 791 §3.2, RFC 8200 §4.5)? Only lengths and headers are put together: what
//! a datagram carries is not kept.
//!
//! Everything here comes from outside: memory is bounded in datagrams and in ranges of each, what overlaps is given up
//! whole (RFC 5722), and what does not become whole in time is counted.

use super::Unpacked;
use narrows_stack::Instant;
use narrows_wire::{Headers, Protocol};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Datagrams that may be incomplete at once; the oldest is given up for another.
const MAX_PENDING: usize = 4096;
/// Ranges kept of one datagram: a 65535-byte datagram in pieces of 576 bytes has 119.
const MAX_RANGES: usize = 128;
/// Bytes of the first piece that are kept: transport and tunnel headers, and the headers in the tunnel.
const MAX_BEGINNING: usize = 256;
/// How long a datagram waits for its pieces: Linux's `ipfrag_time`.
const PATIENCE: Duration = Duration::from_secs(30);
/// No datagram is longer (RFC 791 §3.1, RFC 8200 §3).
const MAX_DATAGRAM: u32 = 65_535;

/// What the pieces of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    protocol: u8,
    identification: u32,
}

/// What became of the pieces of a datagram that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incomplete {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: Protocol,
    /// Source and destination port, when the first piece was there.
    pub(crate) ports: Option<(u16, u16)>,
    /// Pieces that came.
    pub(crate) pieces: u16,
    /// Pieces that it takes, where the last piece and the size of the others say so.
    pub(crate) of: Option<u16>,
    /// Number of the packet that its first captured piece was.
    pub(crate) number: u64,
    /// When that was.
    pub(crate) began: Instant,
    /// Pieces contradicted each other.
    pub(crate) overlapping: bool,
}

#[derive(Clone, Debug)]
struct Pending {
    began: Instant,
    number: u64,
    /// The beginning of what follows the IP header, from the first piece.
    beginning: Option<Vec<u8>>,
    headers: Headers,
    /// What has come, in order and without neighbours that touch.
    ranges: Vec<(u32, u32)>,
    end: Option<u32>,
    largest: u32,
    pieces: u16,
    overlapping: bool,
}

/// Fragments waiting for the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reassembly {
    pending: HashMap<Key, Pending>,
    /// In the order in which they began; entries of datagrams that became whole are passed over.
    order: VecDeque<(Instant, Key)>,
    incomplete: VecDeque<Incomplete>,
}

impl Reassembly {
    /// Takes a piece: `bytes` is its packet as captured. The datagram, when this piece completes it.
    pub(crate) fn take(
        &mut self,
        headers: &Headers,
        bytes: &[u8],
        number: u64,
        now: Instant,
    ) -> Option<Unpacked> {
        self.give_up(now);
        let fragment = headers.ip.fragment;
        let key = Key {
            source: headers.ip.source,
            destination: headers.ip.destination,
            protocol: headers.ip.protocol.number(),
            identification: fragment.identification,
        };
        if !self.pending.contains_key(&key) {
            if self.pending.len() >= MAX_PENDING {
                self.give_up_oldest();
            }
            self.order.push_back((now, key));
        }
        let pending = self.pending.entry(key).or_insert_with(|| Pending {
            began: now,
            number,
            beginning: None,
            headers: headers.clone(),
            ranges: Vec::new(),
            end: None,
            largest: 0,
            pieces: 0,
            overlapping: false,
        });
        let start = u32::from(fragment.offset_bytes);
        let end = start.saturating_add(headers.payload_bytes);
        if !pending.add(start, end, fragment.more) {
            return None;
        }
        if start == 0 && pending.beginning.is_none() {
            let carried = headers.payload(bytes);
            pending.beginning = Some(carried[..carried.len().min(MAX_BEGINNING)].to_vec());
            pending.headers = headers.clone();
        }
        let whole = pending.end.filter(|&end| pending.ranges == [(0, end)] && !pending.overlapping)?;
        let done = self.pending.remove(&key)?;
        unpacked(done, whole)
    }

    /// The capture is over: what is not whole now will not be.
    pub(crate) fn finish(&mut self) {
        while !self.order.is_empty() {
            self.give_up_oldest();
        }
    }

    /// The next datagram that was given up.
    pub(crate) fn next_incomplete(&mut self) -> Option<Incomplete> {
        self.incomplete.pop_front()
    }

    fn give_up(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(began, _)| now.since(*began) > PATIENCE) {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        let Some((began, key)) = self.order.pop_front() else { return };
        // The same identification may have been used again since.
        if self.pending.get(&key).is_none_or(|pending| pending.began != began) {
            return;
        }
        let Some(pending) = self.pending.remove(&key) else { return };
        let ports = pending
            .beginning
            .as_deref()
            .and_then(<[u8]>::first_chunk)
            .map(|&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
        let of = pending.end.filter(|_| pending.largest > 0).map(|end| end.div_ceil(pending.largest));
        if self.incomplete.len() == MAX_PENDING {
            self.incomplete.pop_front();
        }
        self.incomplete.push_back(Incomplete {
            source: key.source,
            destination: key.destination,
            protocol: Protocol::from_number(key.protocol),
            ports,
            pieces: pending.pieces,
            of: of.and_then(|of| u16::try_from(of).ok()).map(|of| of.max(pending.pieces)),
            number: pending.number,
            began,
            overlapping: pending.overlapping,
        });
    }
}

impl Pending {
    /// Notes a piece; false when it brings nothing: it came twice, or cannot be right.
    fn add(&mut self, start: u32, end: u32, more: bool) -> bool {
        if self.overlapping || end > MAX_DATAGRAM || end <= start {
            return false;
        }
        let beyond = self.end.is_some_and(|known| end > known || (!more && end != known));
        let cuts_short = !more && self.ranges.last().is_some_and(|&(_, reached)| reached > end);
        let before = self.ranges.partition_point(|&(_, reached)| reached <= start);
        let meets = self.ranges.get(before).copied().filter(|&(from, _)| from < end);
        // An exact copy is what networks do; RFC 5722's other overlaps are not.
        if meets.is_some_and(|(from, reached)| from <= start && end <= reached) && !beyond {
            return false;
        }
        if beyond || cuts_short || meets.is_some() {
            self.overlapping = true;
            return false;
        }
        if !more {
            self.end = Some(end);
        }
        self.pieces = self.pieces.saturating_add(1);
        if more {
            self.largest = self.largest.max(end - start);
        }
        let touches_before = before > 0 && self.ranges[before - 1].1 == start;
        let touches_behind = self.ranges.get(before).is_some_and(|&(from, _)| from == end);
        match (touches_before, touches_behind) {
            (true, true) => {
                self.ranges[before - 1].1 = self.ranges[before].1;
                self.ranges.remove(before);
            }
            (true, false) => self.ranges[before - 1].1 = end,
            (false, true) => self.ranges[before].0 = start,
            (false, false) if self.ranges.len() < MAX_RANGES => self.ranges.insert(before, (start, end)),
            (false, false) => self.overlapping = true,
        }
        true
    }
}

/// The whole datagram's headers, read from the first piece as if it had come in one.
fn unpacked(done: Pending, whole: u32) -> Option<Unpacked> {
    let beginning = done.beginning?;
    let ip = &done.headers.ip;
    let mut bytes = Vec::with_capacity(40 + beginning.len());
    match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(20 + whole).ok()?;
            bytes.extend([0x45, ip.traffic_class]);
            bytes.extend(length.to_be_bytes());
            bytes.extend([0, 0, 0, 0, ip.hop_limit, ip.protocol.number(), 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = u16::try_from(whole).ok()?;
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(length.to_be_bytes());
            bytes.extend([ip.protocol.number(), ip.hop_limit]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
        }
        _ => return None,
    }
    bytes.extend(&beginning);
    let headers = Headers::parse(&bytes, bytes.len()).ok()?;
    Some(Unpacked { headers, bytes, pieces: done.pieces })
}

#[cfg(test)]
#[path = "reassembly_tests.rs"]
mod tests;
