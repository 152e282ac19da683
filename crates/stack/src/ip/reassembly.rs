//! Which pieces belong together, are they all there, and when are they given up? (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722.)
//!
//! Memory is bounded for all and for each sender: what is longest incomplete goes first. Pieces that overlap without being the same
//! spoil their datagram, and what belongs to it is refused until its time is over.

use crate::Instant;
use bytes::Bytes;
use narrows_wire::{IcmpMessage, Packet, Protocol, Transport, UdpHeader};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long the rest of a datagram is waited for, from its first piece on (Linux's ipfrag_time) …
pub const PATIENCE_IPV4: Duration = Duration::from_secs(30);
/// … and for IPv6 (RFC 8200 §4.5).
pub const PATIENCE_IPV6: Duration = Duration::from_secs(60);
/// Memory for incomplete datagrams in all (Linux's ipfrag_high_thresh), bytes.
pub const MEMORY: usize = 4 << 20;
/// Of that, for one sender: a flood from one address leaves room for the others.
pub const MEMORY_PER_SOURCE: usize = 1 << 20;
/// Bookkeeping that each piece costs besides its bytes.
const PIECE_COST: usize = 128;
/// After so many pieces of other datagrams of the same sender a 16-bit identification may mean another one (Linux's
/// ipfrag_max_dist, RFC 4963).
const MOST_BETWEEN: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    /// 0 for IPv6, whose identification is enough (RFC 8200 §4.5).
    protocol: u8,
    identification: u32,
}

/// An incomplete datagram.
#[derive(Clone, Debug)]
struct Incomplete {
    deadline: Instant,
    number: u64,
    /// Pieces by their offset, never overlapping.
    pieces: BTreeMap<u32, Bytes>,
    /// The first piece as it came: its header is the datagram's, and an error quotes it.
    first: Option<Packet>,
    /// Where the datagram ends, once the last piece has come.
    end: Option<u32>,
    bytes: u32,
    cost: usize,
    /// Pieces have contradicted each other: nothing of it is believed.
    spoiled: bool,
    /// How many pieces its sender had sent when the latest came.
    arrivals: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    cost: usize,
    arrivals: u64,
}

/// What has become of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was the last one missing: the datagram as it was before it was cut.
    Complete(Box<Packet>),
    /// It waits for the others.
    Kept,
    /// It had come before.
    Duplicate,
    /// It overlaps others or contradicts them: the whole datagram is gone.
    Spoiled,
    /// It cannot be right: too short, not a multiple of 8 bytes, or beyond the largest datagram.
    Malformed,
}

/// Incomplete datagrams of one host.
#[derive(Clone, Debug, Default)]
pub struct Reassembler {
    incomplete: BTreeMap<Key, Incomplete>,
    /// By deadline.
    order: BTreeMap<(Instant, u64), Key>,
    /// By age, of all and of each sender.
    age: BTreeMap<u64, Key>,
    age_of_source: BTreeMap<(IpAddr, u64), Key>,
    sources: BTreeMap<IpAddr, Source>,
    cost: usize,
    number: u64,
    evicted: u64,
}

impl Reassembler {
    /// When [`Reassembler::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.order.keys().next().map(|(deadline, _)| *deadline)
    }

    /// Memory in use, bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.cost
    }

    /// Incomplete datagrams given up for want of memory.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// A piece of a datagram has arrived.
    pub fn insert(&mut self, now: Instant, piece: Packet) -> Outcome {
        let ip = &piece.ip;
        let ipv6 = ip.source.is_ipv6();
        let start = u32::from(ip.fragment.offset_bytes);
        let end = start + piece.payload.len() as u32;
        if !is_well_formed(&piece, end) {
            return Outcome::Malformed;
        }
        let key = Key {
            source: ip.source,
            destination: ip.destination,
            protocol: if ipv6 { 0 } else { ip.protocol.number() },
            identification: ip.fragment.identification,
        };
        let more = ip.fragment.more;
        let source = self.sources.entry(key.source).or_default();
        source.arrivals += 1;
        let arrivals = source.arrivals;
        let too_far = self
            .incomplete
            .get(&key)
            .is_some_and(|known| !ipv6 && arrivals - known.arrivals > MOST_BETWEEN && !known.spoiled);
        if too_far {
            self.remove(&key);
            self.sources.entry(key.source).or_default().arrivals = arrivals;
        }
        if !self.incomplete.contains_key(&key) {
            self.begin(now, key, if ipv6 { PATIENCE_IPV6 } else { PATIENCE_IPV4 });
        }
        let Some(known) = self.incomplete.get_mut(&key) else { return Outcome::Malformed };
        known.arrivals = arrivals;
        if known.spoiled {
            return Outcome::Spoiled;
        }
        let exact = known.pieces.get(&start).is_some_and(|other| other.len() as u32 == end - start);
        if exact && (more || known.end == Some(end)) {
            return Outcome::Duplicate;
        }
        let before = known.pieces.range(..=start).next_back();
        let overlaps = before.is_some_and(|(at, bytes)| at + bytes.len() as u32 > start)
            || known.pieces.range(start..).next().is_some_and(|(at, _)| *at < end);
        let contradicts = match known.end {
            Some(known_end) => end > known_end || !more && end != known_end,
            None => {
                !more
                    && known.pieces.last_key_value().is_some_and(|(at, bytes)| at + bytes.len() as u32 > end)
            }
        };
        if overlaps || contradicts {
            self.spoil(&key);
            return Outcome::Spoiled;
        }
        if !more {
            known.end = Some(end);
        }
        known.bytes += end - start;
        known.pieces.insert(start, piece.payload.clone());
        if start == 0 {
            known.first = Some(piece);
        }
        if known.end == Some(known.bytes) {
            return match self.remove(&key).and_then(put_together) {
                Some(whole) => Outcome::Complete(Box::new(whole)),
                None => Outcome::Malformed,
            };
        }
        let cost = PIECE_COST + (end - start) as usize;
        known.cost += cost;
        self.cost += cost;
        self.sources.entry(key.source).or_default().cost += cost;
        self.make_room(key);
        Outcome::Kept
    }

    fn begin(&mut self, now: Instant, key: Key, patience: Duration) {
        self.number += 1;
        let (deadline, number) = (now + patience, self.number);
        let incomplete = Incomplete {
            deadline,
            number,
            pieces: BTreeMap::new(),
            first: None,
            end: None,
            bytes: 0,
            cost: PIECE_COST,
            spoiled: false,
            arrivals: 0,
        };
        self.incomplete.insert(key, incomplete);
        self.order.insert((deadline, number), key);
        self.age.insert(number, key);
        self.age_of_source.insert((key.source, number), key);
        self.cost += PIECE_COST;
        let source = self.sources.entry(key.source).or_default();
        source.cost += PIECE_COST;
    }

    /// Gives its pieces up; the entry stays and refuses what else comes of it.
    fn spoil(&mut self, key: &Key) {
        let Some(known) = self.incomplete.get_mut(key) else { return };
        let freed = known.cost - PIECE_COST;
        known.cost = PIECE_COST;
        known.spoiled = true;
        known.pieces.clear();
        known.first = None;
        self.cost -= freed;
        if let Some(source) = self.sources.get_mut(&key.source) {
            source.cost -= freed;
        }
    }

    fn make_room(&mut self, newest: Key) {
        while self.sources.get(&newest.source).is_some_and(|source| source.cost > MEMORY_PER_SOURCE) {
            let of_source = (newest.source, 0)..=(newest.source, u64::MAX);
            let oldest = self.age_of_source.range(of_source).next().map(|(_, key)| *key);
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
            self.evicted += 1;
        }
        while self.cost > MEMORY {
            let Some((_, oldest)) = self.age.first_key_value() else { break };
            let oldest = *oldest;
            self.remove(&oldest);
            self.evicted += 1;
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Incomplete> {
        let known = self.incomplete.remove(key)?;
        self.order.remove(&(known.deadline, known.number));
        self.age.remove(&known.number);
        self.age_of_source.remove(&(key.source, known.number));
        self.cost -= known.cost;
        if let Some(source) = self.sources.get_mut(&key.source) {
            source.cost -= known.cost;
            if source.cost == 0 {
                self.sources.remove(&key.source);
            }
        }
        Some(known)
    }

    /// Gives up what is due; for each, its first piece, if that has come: only then may its sender be told (RFC 792).
    pub fn expire(&mut self, now: Instant) -> Vec<Option<Packet>> {
        let mut given_up = Vec::new();
        while let Some((&(deadline, _), &key)) = self.order.first_key_value()
            && deadline <= now
        {
            given_up.push(self.remove(&key).and_then(|known| known.first));
        }
        given_up
    }
}

/// Checked before anything is kept: multiples of 8 bytes but for the last piece, nothing empty, nothing beyond 65,535 bytes, and the
/// ports in the first piece (RFC 1858, RFC 3128, RFC 7112).
fn is_well_formed(piece: &Packet, end: u32) -> bool {
    let (ip, length) = (&piece.ip, piece.payload.len());
    let header = if ip.source.is_ipv6() { 0 } else { 20 };
    if length == 0 || ip.fragment.more && length % 8 != 0 || end + header > 65_535 {
        return false;
    }
    let least = match ip.protocol {
        Protocol::Tcp => 20,
        Protocol::Udp => UdpHeader::BYTES,
        Protocol::Icmp | Protocol::Icmpv6 => IcmpMessage::BYTES,
        Protocol::Other(_) => 0,
    };
    match ip.fragment.offset_bytes {
        0 => length >= least,
        // A second piece that could rewrite the flags of a TCP header.
        8 => ip.protocol != Protocol::Tcp,
        _ => true,
    }
}

/// The datagram, once all is there.
fn put_together(known: Incomplete) -> Option<Packet> {
    let first = known.first?;
    let mut content = Vec::with_capacity(known.bytes as usize);
    for piece in known.pieces.into_values() {
        content.extend_from_slice(&piece);
    }
    let mut ip = first.ip;
    ip.fragment.more = false;
    ip.fragment.offset_bytes = 0;
    let whole = Packet { ip, transport: Transport::Opaque, payload: content.into(), offload: first.offload };
    let mut bytes = Vec::with_capacity(whole.len());
    whole.emit(&mut bytes);
    let parsed = Packet::parse_with(bytes.into(), first.offload.checksum).ok()?;
    Some(parsed)
}

#[cfg(test)]
#[path = "reassembly_tests.rs"]
mod tests;
