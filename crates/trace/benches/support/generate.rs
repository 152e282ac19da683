//! Which capture do the benchmarks read? A synthetic one of any size, the same for the same shape.
//!
//! Clients talk to a few servers from a small pool of ports, so that ports are used again. Nine of ten connections are short, one request and
//! its answer as over HTTP; the others are bulk transfers. Some segments are retransmitted, some ACKs are delayed.

use bytes::Bytes;
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::net::IpAddr;

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// At least so many packets.
    pub packets: u64,
    /// So many connections.
    pub connections: u32,
    /// So many of them at a time.
    pub at_a_time: u32,
    /// Ethernet frames; otherwise raw IP.
    pub ethernet: bool,
    /// Bytes kept of each frame.
    pub snap_bytes: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Shape {
    /// The one that the goals are about: 2 million packets of 60,000 connections.
    pub const GOAL: Shape = Shape {
        packets: 2_000_000,
        connections: 60_000,
        at_a_time: 500,
        ethernet: true,
        snap_bytes: 128,
        seed: 1,
    };
}

/// What was generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Packets.
    pub packets: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

const SEGMENT: u32 = 1448;
/// Packets of a short connection: handshake 3, request and its ACK 2, answer of 4 segments with 2 ACKs, close 3.
const SHORT_PACKETS: u64 = 14;
const ROUND_TRIP_NS: u64 = 10_000_000;
const START_NS: u64 = 1_700_000_000_000_000_000;
const ETHERNET_HEADER: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];

/// Writes the capture as nanosecond pcap.
///
/// # Errors
/// What `out` says.
pub fn generate(shape: Shape, out: &mut impl Write) -> io::Result<Generated> {
    let link_type: u32 = if shape.ethernet { 1 } else { 101 };
    out.write_all(&0xa1b2_3c4du32.to_le_bytes())?;
    out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
    out.write_all(&(shape.snap_bytes as u32).to_le_bytes())?;
    out.write_all(&link_type.to_le_bytes())?;
    let mut generated = Generated { packets: 0, bytes: 24 };
    let zeros = Bytes::from(vec![0; SEGMENT as usize]);
    let bulk = u64::from(shape.connections / 10).max(1);
    let short = u64::from(shape.connections) - bulk.min(u64::from(shape.connections));
    // Two segments and one ACK for them in a bulk transfer, and one to spare for what is not counted here.
    let bulk_segments = (shape.packets.saturating_sub(short * SHORT_PACKETS) / bulk * 2 / 3 + 2) as u32;
    let mut random = Random(shape.seed | 1);
    let mut started = 0;
    let mut active: Vec<Connection> = Vec::new();
    let mut next: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    while started < shape.connections.min(shape.at_a_time) {
        next.push(Reverse((START_NS + u64::from(started) * 100_000, active.len())));
        active.push(Connection::new(started, bulk_segments, &mut random));
        started += 1;
    }
    let mut frame = Vec::with_capacity(2048);
    while let Some(Reverse((time, slot))) = next.pop() {
        let connection = &mut active[slot];
        let Some((packet, wait)) = connection.step(time, &zeros, &mut random) else {
            if started < shape.connections {
                *connection = Connection::new(started, bulk_segments, &mut random);
                started += 1;
                next.push(Reverse((time + random.below(1_000_000), slot)));
            }
            continue;
        };
        frame.clear();
        if shape.ethernet {
            frame.extend_from_slice(&ETHERNET_HEADER);
        }
        packet.emit(&mut frame);
        let kept = frame.len().min(shape.snap_bytes);
        let fields =
            [(time / 1_000_000_000) as u32, (time % 1_000_000_000) as u32, kept as u32, frame.len() as u32];
        for field in fields {
            out.write_all(&field.to_le_bytes())?;
        }
        out.write_all(&frame[..kept])?;
        generated.packets += 1;
        generated.bytes += 16 + kept as u64;
        next.push(Reverse((time + wait, slot)));
    }
    Ok(generated)
}

struct Random(u64);

impl Random {
    /// xorshift64 (Marsaglia 2003).
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Where a connection stands.
#[derive(Clone, Copy)]
enum Step {
    Syn,
    SynAck,
    HandshakeAck,
    Request,
    RequestAck,
    Segment(u32),
    SegmentAck(u32),
    ClientFin,
    ServerFin,
    LastAck,
    Done,
}

struct Connection {
    ends: [(IpAddr, u16); 2],
    /// Next sequence number of client and server.
    seq: [Seq; 2],
    step: Step,
    segments: u32,
    request_bytes: u32,
}

impl Connection {
    fn new(number: u32, bulk_segments: u32, random: &mut Random) -> Connection {
        let (client, server) = (number % 20, number % 4);
        let port = 40_000 + (number / 20 % 1000) as u16;
        let last_octet = |base: u32, n: u32| IpAddr::from([10, base as u8, 0, n as u8 + 1]);
        Connection {
            ends: [(last_octet(1, client), port), (last_octet(2, server), 443)],
            seq: [Seq(random.next() as u32), Seq(random.next() as u32)],
            step: Step::Syn,
            segments: if number % 10 == 9 { bulk_segments } else { 4 },
            request_bytes: 100 + random.below(800) as u32,
        }
    }

    /// The packet that leaves now and the time until the next one.
    fn step(&mut self, now: u64, zeros: &Bytes, random: &mut Random) -> Option<(Packet, u64)> {
        let (syn, fin) = (TcpFlags::SYN, TcpFlags::FIN);
        let (ack, push) = (TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH);
        let half = ROUND_TRIP_NS / 2;
        let (side, flags, bytes, next, wait) = match self.step {
            Step::Syn => (0, syn, 0, Step::SynAck, half),
            Step::SynAck => (1, syn | ack, 0, Step::HandshakeAck, half),
            Step::HandshakeAck => (0, ack, 0, Step::Request, 20_000),
            Step::Request => (0, push, self.request_bytes, Step::RequestAck, half),
            Step::RequestAck => (1, ack, 0, Step::Segment(0), random.below(2_000_000)),
            Step::Segment(n) => {
                let last = n + 1 == self.segments;
                let bytes = if last { 700 } else { SEGMENT };
                let acked = last || n % 2 == 1;
                let next = if acked { Step::SegmentAck(n + 1) } else { Step::Segment(n + 1) };
                (1, if last { push } else { ack }, bytes, next, if acked { half } else { 12_000 })
            }
            Step::SegmentAck(n) if n == self.segments => (0, ack, 0, Step::ClientFin, 50_000),
            Step::SegmentAck(n) => {
                // One ACK in a hundred waits for the delayed-ACK timer.
                let delayed = if random.below(100) == 0 { 40_000_000 } else { 0 };
                (0, ack, 0, Step::Segment(n), half + delayed)
            }
            Step::ClientFin => (0, fin | ack, 0, Step::ServerFin, half),
            Step::ServerFin => (1, fin | ack, 0, Step::LastAck, half),
            Step::LastAck => (0, ack, 0, Step::Done, 0),
            Step::Done => return None,
        };
        let packet = self.packet(now, side, flags, zeros.slice(..bytes as usize));
        // One segment in five hundred is sent once more after a timeout.
        if bytes == SEGMENT && random.below(500) == 0 {
            return Some((packet, 200_000_000));
        }
        self.seq[side] += bytes + u32::from(flags.intersects(syn | fin));
        self.step = next;
        Some((packet, wait))
    }

    fn packet(&self, now: u64, side: usize, flags: TcpFlags, payload: Bytes) -> Packet {
        let (from, to) = (self.ends[side], self.ends[1 - side]);
        let syn = flags.contains(TcpFlags::SYN);
        let options = TcpOptions {
            mss: syn.then_some(1460),
            window_scale: syn.then_some(7),
            sack_permitted: syn,
            timestamps: Some(Timestamps { value: (now / 1_000_000) as u32, echo: (now / 1_000_000) as u32 }),
            ..TcpOptions::default()
        };
        let has_ack = flags.contains(TcpFlags::ACK);
        let header = TcpHeader {
            source_port: from.1,
            destination_port: to.1,
            seq: self.seq[side],
            ack: if has_ack { self.seq[1 - side] } else { Seq(0) },
            flags,
            window: if syn { 64_240 } else { 501 },
            urgent: 0,
            options,
        };
        Packet::tcp(from.0, to.0, header, payload)
    }
}
