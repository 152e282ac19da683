//! To which analysis does each packet go? Puts fragments together, opens tunnels, and hands TCP segments to the connections,
//! datagrams to their flows, and what ICMP says about packets' sizes to whom it concerns.

use crate::datagram::{Datagram, Datagrams};
use crate::read::HeaderPacket;
use crate::unpack::reassembly::Reassembly;
use crate::unpack::{Unpacked, tunnel};
use crate::{Analyzer, Outer, Segment, TunnelKind};
use narrows_stack::Instant;
use narrows_wire::{Headers, IcmpMessage, IpHeader, Protocol, Seq, Transport};
use std::net::SocketAddr;

/// Tunnels in tunnels that are opened.
const MAX_DEPTH: u32 = 3;

/// A router's word that a packet was too big, about a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// Packet number in the capture.
    pub number: u64,
    /// Capture time.
    pub time: Instant,
    /// The MTU it tells, bytes; 0 from routers before RFC 1191.
    pub mtu: u32,
    /// Sender of the packet that was too big.
    pub source: SocketAddr,
    /// Where that was going.
    pub destination: SocketAddr,
    /// Its sequence number.
    pub seq: Seq,
}

impl TooBig {
    /// The message in these headers, if it is one; `bytes` is its packet as captured.
    #[must_use]
    pub fn from_headers(number: u64, time: Instant, headers: &Headers, bytes: &[u8]) -> Option<TooBig> {
        let Transport::Icmp(IcmpMessage::PacketTooBig { mtu }) = headers.transport else { return None };
        let quoted = headers.payload(bytes);
        let ip = IpHeader::parse(quoted, quoted.len()).ok()?;
        if ip.header.protocol != Protocol::Tcp || ip.header.fragment.offset_bytes != 0 {
            return None;
        }
        // Every router quotes the first 8 bytes behind the IP header at least (RFC 792).
        let &[a, b, c, d, seq @ ..] = quoted.get(ip.header_bytes..)?.first_chunk::<8>()?;
        Some(TooBig {
            number,
            time,
            mtu,
            source: SocketAddr::new(ip.header.source, u16::from_be_bytes([a, b])),
            destination: SocketAddr::new(ip.header.destination, u16::from_be_bytes([c, d])),
            seq: Seq(u32::from_be_bytes(seq)),
        })
    }
}

/// Captured packets that belong to connections although they are no TCP segments on the outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// UDP packets.
    pub udp: u64,
    /// Packets of other IP protocols.
    pub other_ip: u64,
    /// Fragments.
    pub fragments: u64,
}

/// The packets' way.
#[derive(Debug)]
pub(crate) struct Sorting {
    pub(crate) analyzer: Analyzer,
    pub(crate) datagrams: Datagrams,
    pub(crate) carried: Carried,
    reassembly: Reassembly,
}

impl Sorting {
    pub(crate) fn new(analyzer: Analyzer) -> Sorting {
        Sorting {
            analyzer,
            datagrams: Datagrams::default(),
            carried: Carried::default(),
            reassembly: Reassembly::default(),
        }
    }

    /// The capture's next packet.
    #[inline]
    pub(crate) fn take(&mut self, packet: &HeaderPacket<'_>) {
        match Segment::from_packet(packet) {
            Some(segment) => self.analyzer.push(&segment),
            None => self.take_other(packet),
        }
    }

    /// The capture is over.
    pub(crate) fn finish(&mut self) {
        self.reassembly.finish();
        self.note_incomplete();
    }

    fn take_other(&mut self, packet: &HeaderPacket<'_>) {
        let HeaderPacket { number, time, headers, bytes } = packet;
        let (number, time) = (*number, *time);
        if headers.ip.fragment.is_piece() {
            let (source, destination) = (headers.ip.source, headers.ip.destination);
            if headers.ip.protocol == Protocol::Udp {
                self.datagrams.fragment(source, destination, headers.packet_bytes);
            }
            let whole = self.reassembly.take(headers, bytes, number, time);
            self.note_incomplete();
            if let Some(whole) = whole {
                self.take_whole(&whole, number, time, headers.packet_bytes);
            }
        } else if let Some(too_big) = TooBig::from_headers(number, time, headers, bytes) {
            self.analyzer.too_big(&too_big);
        } else {
            let kind = tunnel::kind(headers, bytes);
            let inner = kind.and_then(|kind| tunnel::inside(kind, headers, bytes));
            if let Some((kind, inner)) = kind.zip(inner)
                && self.take_inner(
                    &inner,
                    number,
                    time,
                    outside(kind, headers, &inner, 1, headers.packet_bytes),
                )
            {
                match headers.transport {
                    Transport::Udp(_) => self.carried.udp += 1,
                    _ => self.carried.other_ip += 1,
                }
                return;
            }
            self.datagrams.take(&Datagram { number, time, headers, pieces: 1, tunnel: kind });
        }
    }

    /// A datagram that came in fragments, of which the last one had `last_bytes`.
    fn take_whole(&mut self, whole: &Unpacked, number: u64, time: Instant, last_bytes: u32) {
        let Unpacked { headers, bytes, pieces } = whole;
        let pieces = *pieces;
        if let Some(mut segment) = Segment::from_headers(number, time, headers) {
            segment.pieces = pieces;
            self.analyzer.push(&segment);
            self.carried.fragments += u64::from(pieces);
            return;
        }
        let kind = tunnel::kind(headers, bytes);
        let inner = kind.and_then(|kind| tunnel::inside(kind, headers, bytes));
        if let Some((kind, inner)) = kind.zip(inner) {
            // All fragments but the last are as long as the link's MTU lets them be.
            let rest = headers.packet_bytes.saturating_sub(last_bytes);
            let largest = last_bytes.max(rest / u32::from(pieces.max(2) - 1) + 20);
            if self.take_inner(&inner, number, time, outside(kind, headers, &inner, pieces, largest)) {
                self.carried.fragments += u64::from(pieces);
                return;
            }
        }
        self.datagrams.take(&Datagram { tunnel: kind, ..Datagram::put_together(whole, number, time) });
    }

    /// What was inside of a tunnel; false when it is nothing that is analysed.
    fn take_inner(&mut self, inner: &Unpacked, number: u64, time: Instant, outer: Outer) -> bool {
        let mut outer = outer;
        let mut inner = inner.clone();
        for _ in 0..MAX_DEPTH {
            if let Some(mut segment) = Segment::from_headers(number, time, &inner.headers) {
                segment.outer = Some(outer);
                self.analyzer.push(&segment);
                return true;
            }
            if let Some(too_big) = TooBig::from_headers(number, time, &inner.headers, &inner.bytes) {
                self.analyzer.too_big(&too_big);
                return true;
            }
            let Some(kind) = tunnel::kind(&inner.headers, &inner.bytes) else { return false };
            let Some(next) = tunnel::inside(kind, &inner.headers, &inner.bytes) else { return false };
            outer.overhead += inner.headers.packet_bytes.saturating_sub(next.headers.packet_bytes);
            inner = next;
        }
        false
    }

    fn note_incomplete(&mut self) {
        while let Some(lost) = self.reassembly.next_incomplete() {
            self.datagrams.incomplete(&lost);
        }
    }
}

fn outside(kind: TunnelKind, outer: &Headers, inner: &Unpacked, pieces: u16, largest_piece: u32) -> Outer {
    let overhead = outer.packet_bytes.saturating_sub(inner.headers.packet_bytes);
    Outer { kind, overhead, pieces, largest_piece }
}
