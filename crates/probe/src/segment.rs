//! What does a TCP probe look like, and to which one is this the answer? Pure: headers in, headers out.
//!
//! Of an open connection it is a segment that lies wholly below what the peer expects next; the peer drops it and acknowledges at once
//! (RFC 9293 §3.10.7.4). To a closed port it is a segment of no connection; the peer resets it (§3.10.7.1). Neither
//! reaches an application.

use crate::line::{QuotedSyn, SynAck};
use narrows_wire::{Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

/// What a probe announces as window: it is not used, only has to look alive.
const WINDOW: u16 = 512;

/// Where the probes go.
#[derive(Debug)]
pub(crate) enum Segments {
    /// Into an open connection.
    Open {
        syn_ack: SynAck,
        since: Instant,
        /// The TSval of each probe, where only timestamps tell them apart.
        values: BTreeMap<u32, u16>,
    },
    /// To a port where nobody listens.
    Closed { local_port: u16, peer_port: u16, base: Seq },
}

impl Segments {
    pub fn open(syn_ack: SynAck) -> Segments {
        Segments::Open { syn_ack, since: Instant::now(), values: BTreeMap::new() }
    }

    /// Whether answers can be told apart: of a connection by duplicate SACK or by timestamps.
    pub fn usable(&self) -> bool {
        match self {
            Segments::Open { syn_ack, .. } => syn_ack.sack_permitted || syn_ack.timestamps.is_some(),
            Segments::Closed { .. } => true,
        }
    }

    /// Bytes of the header of every probe.
    pub fn header_bytes(&self) -> u32 {
        match self {
            Segments::Open { syn_ack, .. } if syn_ack.timestamps.is_some() => 32,
            _ => 20,
        }
    }

    /// The header of a probe with so many bytes of data.
    pub fn header(&mut self, number: u16, data_bytes: u32) -> TcpHeader {
        match self {
            Segments::Open { syn_ack, since, values } => {
                let timestamps = syn_ack.timestamps.map(|(peer_value, our_value)| {
                    let mut value = our_value.wrapping_add(since.elapsed().as_millis() as u32);
                    if !syn_ack.sack_permitted {
                        value = our_value.wrapping_add(u32::from(number));
                        values.insert(value, number);
                    }
                    Timestamps { value, echo: peer_value }
                });
                // Each ends at another place, which the peer's duplicate SACK names (RFC 2883 §4).
                let end = syn_ack.ack.0.wrapping_sub(u32::from(number));
                TcpHeader {
                    source_port: syn_ack.local_port,
                    destination_port: syn_ack.peer_port,
                    seq: Seq(end.wrapping_sub(data_bytes)),
                    ack: syn_ack.seq + 1,
                    flags: TcpFlags::ACK,
                    window: WINDOW,
                    urgent: 0,
                    options: TcpOptions { timestamps, ..TcpOptions::default() },
                }
            }
            Segments::Closed { local_port, peer_port, base } => TcpHeader {
                source_port: *local_port,
                destination_port: *peer_port,
                // The reset's SEG.SEQ is our SEG.ACK; a router's quote has only SEG.SEQ.
                seq: *base + u32::from(number),
                ack: *base + u32::from(number),
                flags: TcpFlags::ACK,
                window: WINDOW,
                urgent: 0,
                options: TcpOptions::default(),
            },
        }
    }

    /// The number of the probe that this segment answers.
    pub fn answered(&mut self, header: &TcpHeader) -> Option<u16> {
        let ports = (header.destination_port, header.source_port);
        match self {
            Segments::Open { syn_ack, values, .. } => {
                if ports != (syn_ack.local_port, syn_ack.peer_port)
                    || !header.flags.contains(TcpFlags::ACK)
                    || header.flags.intersects(TcpFlags::SYN | TcpFlags::RST)
                {
                    return None;
                }
                match header.options.sack.as_slice().first() {
                    Some((_, right)) => u16::try_from(syn_ack.ack.0.wrapping_sub(right.0)).ok(),
                    None => values.remove(&header.options.timestamps?.echo),
                }
            }
            Segments::Closed { local_port, peer_port, base } => {
                let ours = ports == (*local_port, *peer_port) && header.flags.contains(TcpFlags::RST);
                ours.then(|| u16::try_from(header.seq.0.wrapping_sub(base.0)).ok())?
            }
        }
    }

    /// The number of the probe that a router quotes: its first eight bytes, and how long all of it was behind the IP header.
    pub fn quoted(&self, transport: [u8; 8], bytes: usize) -> Option<u16> {
        let [a, b, c, d, seq @ ..] = transport;
        let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let seq = u32::from_be_bytes(seq);
        match self {
            Segments::Open { syn_ack, .. } => {
                // The size, and so the end, is not in the eight bytes.
                let data = u32::try_from(bytes).ok()?.checked_sub(self.header_bytes())?;
                let ours = ports == (syn_ack.local_port, syn_ack.peer_port);
                let number = syn_ack.ack.0.wrapping_sub(seq.wrapping_add(data));
                ours.then(|| u16::try_from(number).ok())?
            }
            Segments::Closed { local_port, peer_port, base } => {
                let ours = ports == (*local_port, *peer_port);
                ours.then(|| u16::try_from(seq.wrapping_sub(base.0)).ok())?
            }
        }
    }
}

/// A SYN that ends at a router, which quotes it: `base` and the hop limit are its sequence number.
pub(crate) fn syn(local_port: u16, peer_port: u16, base: Seq, hop_limit: u8, mss: u16) -> TcpHeader {
    TcpHeader {
        source_port: local_port,
        destination_port: peer_port,
        seq: base + u32::from(hop_limit),
        ack: Seq(0),
        flags: TcpFlags::SYN,
        window: u16::MAX,
        urgent: 0,
        options: TcpOptions { mss: Some(mss), sack_permitted: true, ..TcpOptions::default() },
    }
}

/// The same as a router quotes it, as far as it does.
pub(crate) fn quoted_syn(quote: &[u8], local_port: u16, base: Seq, router: IpAddr) -> Option<QuotedSyn> {
    let [a, b, _, _, seq @ ..] = *quote.first_chunk::<8>()?;
    let hop_limit = u8::try_from(u32::from_be_bytes(seq).wrapping_sub(base.0)).ok()?;
    if u16::from_be_bytes([a, b]) != local_port {
        return None;
    }
    let parsed = TcpHeader::parse(quote, 0).ok();
    Some(QuotedSyn { hop_limit, router, mss: parsed.and_then(|parsed| parsed.header.options.mss) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use narrows_wire::{Packet, SackBlocks, Transport};
    use proptest::prelude::*;

    fn open(sack_permitted: bool) -> Segments {
        Segments::open(SynAck {
            local_port: 40_000,
            peer_port: 80,
            mss: Some(1460),
            sack_permitted,
            timestamps: Some((7, 1000)),
            seq: Seq(500),
            ack: Seq(3),
        })
    }

    /// The bytes behind the IP header.
    fn bytes(header: TcpHeader, data: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let data = Bytes::from(vec![0; data]);
        Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, data).emit(&mut out);
        out.split_off(20)
    }

    #[test]
    fn the_peer_s_duplicate_sack_or_timestamp_names_the_probe() {
        for sack in [true, false] {
            let mut segments = open(sack);
            let probe = segments.header(9, 1360);
            // All of it is below what the peer expects, also where sequence numbers wrap.
            assert_eq!(probe.seq + 1360, Seq(3u32.wrapping_sub(9)));
            let mut answer = TcpHeader { source_port: 80, destination_port: 40_000, ..probe.clone() };
            if sack {
                let mut blocks = SackBlocks::default();
                blocks.push(probe.seq, probe.seq + 1360);
                answer.options.sack = blocks;
            } else {
                answer.options.timestamps =
                    Some(Timestamps { value: 8, echo: probe.options.timestamps.unwrap().value });
            }
            assert_eq!(segments.answered(&answer), Some(9));
            answer.source_port = 81;
            assert_eq!(segments.answered(&answer), None);
        }
    }

    #[test]
    fn a_reset_names_the_probe_to_a_closed_port() {
        let mut segments = Segments::Closed { local_port: 40_000, peer_port: 9, base: Seq(u32::MAX) };
        let probe = segments.header(300, 1000);
        let reset = TcpHeader {
            source_port: 9,
            destination_port: 40_000,
            seq: probe.ack,
            flags: TcpFlags::RST,
            ..probe.clone()
        };
        assert_eq!(segments.answered(&reset), Some(300));
        assert_eq!(segments.quoted(*bytes(probe, 1000).first_chunk().unwrap(), 1020), Some(300));
    }

    #[test]
    fn eight_bytes_of_a_quote_and_its_length_are_enough() {
        let mut segments = open(true);
        let probe = bytes(segments.header(77, 1348), 1348);
        assert_eq!(segments.quoted(*probe.first_chunk().unwrap(), 1380), Some(77));
    }

    #[test]
    fn a_syn_is_read_as_far_as_it_is_quoted() {
        let quote = bytes(syn(40_000, 80, Seq(u32::MAX - 1), 4, 1360), 0);
        let router: IpAddr = [10, 0, 0, 9].into();
        let read = |length: usize| quoted_syn(&quote[..length], 40_000, Seq(u32::MAX - 1), router);
        assert_eq!(read(quote.len()), Some(QuotedSyn { hop_limit: 4, router, mss: Some(1360) }));
        assert_eq!(read(8), Some(QuotedSyn { hop_limit: 4, router, mss: None }));
        assert_eq!(read(7), None);
        assert_eq!(quoted_syn(&quote, 40_001, Seq(u32::MAX - 1), router), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_ours_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..80), closed in any::<bool>()) {
            let mut segments = if closed {
                Segments::Closed { local_port: 1, peer_port: 2, base: Seq(9) }
            } else {
                open(true)
            };
            if let Ok(parsed) = TcpHeader::parse(&bytes, 0) {
                let _ = segments.answered(&parsed.header);
            }
            if let Some(first) = bytes.first_chunk() {
                let _ = segments.quoted(*first, bytes.len());
            }
            let _ = quoted_syn(&bytes, 0, Seq(0), [1, 2, 3, 4].into());
        }
    }

    #[test]
    fn probes_are_as_long_as_they_say() {
        for mut segments in [open(true), Segments::Closed { local_port: 1, peer_port: 2, base: Seq(9) }] {
            let header = segments.header(1, 100);
            assert_eq!(Transport::Tcp(header).header_len() as u32, segments.header_bytes());
        }
    }
}
