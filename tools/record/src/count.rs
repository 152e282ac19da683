//! What does a recording show? Counts per connection, from each sender's own interface, where nothing is hidden.

use crate::capture_file::Record;
use serde::Serialize;

/// The counts of one connection.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InCapture {
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
    /// Packets at the client's interface.
    pub packets_client: u64,
    /// Packets at the server's interface.
    pub packets_server: u64,
    /// From first to last packet at the client's interface.
    pub span_s: f64,
    /// Payload bytes, sent again ones too, client to server.
    pub payload_c2s: u64,
    /// The same, server to client.
    pub payload_s2c: u64,
    /// SYNs.
    pub syn_sent: u64,
    /// SYN-ACKs.
    pub synack_sent: u64,
    /// Segments that the client sent again.
    pub resent_by_client: u64,
    /// Segments that the server sent again.
    pub resent_by_server: u64,
    /// Small segments of the client that waited for a delayed ACK of the segment before them.
    pub nagle_stalls_client: u64,
    /// How long: from the segment before until the ACK came.
    pub nagle_held_client_s: f64,
    /// The same of the server.
    pub nagle_stalls_server: u64,
    /// How long.
    pub nagle_held_server_s: f64,
    /// Small segments of the client that waited for an ACK which came at once: a round trip each.
    pub nagle_round_trips_client: u64,
    /// The same of the server.
    pub nagle_round_trips_server: u64,
    /// Longest time without a packet, at the client's interface.
    pub longest_silence_s: f64,
    /// When it began, after the first packet.
    pub longest_silence_at_s: f64,
    /// A reset was sent.
    pub reset: bool,
}

/// What the counts need of a TCP segment.
struct Segment {
    time_ns: u64,
    source_port: u16,
    target_port: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: u32,
}

/// A segment of this size is full at the MTU of the recordings: Nagle does not hold it, windows do.
const FULL: u32 = 1400;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A held segment leaves within this time of the ACK that frees it.
const FREED_WITHIN_NS: u64 = 2_000_000;
/// An ACK is delayed when it comes this much later than a round trip; no Linux delays less than 40 ms.
const DELAYED_NS: u64 = 20_000_000;

fn segment(record: &Record) -> Option<Segment> {
    let packet = &record.bytes;
    let u16_at = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
    let (protocol, start, end) = match packet.first()? >> 4 {
        4 => (*packet.get(9)?, usize::from(packet[0] & 15) * 4, usize::from(u16_at(2)?)),
        6 => (*packet.get(6)?, 40, 40 + usize::from(u16_at(4)?)),
        _ => return None,
    };
    if protocol != 6 {
        return None;
    }
    let data = start + usize::from(packet.get(start + 12)? >> 4) * 4;
    Some(Segment {
        time_ns: record.time_ns,
        source_port: u16_at(start)?,
        target_port: u16_at(start + 2)?,
        seq: u32_at(start + 4)?,
        ack: u32_at(start + 8)?,
        flags: *packet.get(start + 13)?,
        payload: u32::try_from(end.checked_sub(data)?).ok()?,
    })
}

/// Counts one connection in the recordings of both ends.
pub fn connection(ends: [&[Record]; 2], client_port: u16, server_port: u16, rtt_ns: u64) -> InCapture {
    let mut counts = InCapture { client_port, server_port, ..InCapture::default() };
    let of = |records: &[Record]| -> Vec<Segment> {
        let ours = |s: &Segment| {
            (s.source_port, s.target_port) == (client_port, server_port)
                || (s.source_port, s.target_port) == (server_port, client_port)
        };
        records.iter().filter_map(segment).filter(ours).collect()
    };
    let (client, server) = (of(ends[0]), of(ends[1]));
    counts.packets_client = client.len() as u64;
    counts.packets_server = server.len() as u64;
    if let (Some(first), Some(last)) = (client.first(), client.last()) {
        counts.span_s = seconds(last.time_ns - first.time_ns);
        for pair in client.windows(2) {
            let silence = seconds(pair[1].time_ns - pair[0].time_ns);
            if silence > counts.longest_silence_s {
                counts.longest_silence_s = silence;
                counts.longest_silence_at_s = seconds(pair[0].time_ns - first.time_ns);
            }
        }
    }
    counts.reset = client.iter().chain(&server).any(|s| s.flags & RST != 0);
    counts.syn_sent =
        client.iter().filter(|s| s.source_port == client_port && s.flags & SYN != 0).count() as u64;
    counts.synack_sent =
        server.iter().filter(|s| s.source_port == server_port && s.flags & SYN != 0).count() as u64;
    let c = sender(&client, client_port, rtt_ns);
    let s = sender(&server, server_port, rtt_ns);
    (counts.payload_c2s, counts.resent_by_client) = (c.payload, c.resent);
    (counts.nagle_stalls_client, counts.nagle_held_client_s) = (c.stalls, seconds(c.held_ns));
    (counts.payload_s2c, counts.resent_by_server) = (s.payload, s.resent);
    (counts.nagle_stalls_server, counts.nagle_held_server_s) = (s.stalls, seconds(s.held_ns));
    (counts.nagle_round_trips_client, counts.nagle_round_trips_server) = (c.round_trips, s.round_trips);
    counts
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[derive(Default)]
struct Sender {
    payload: u64,
    resent: u64,
    stalls: u64,
    round_trips: u64,
    held_ns: u64,
}

/// What one sender did, at its own interface.
fn sender(segments: &[Segment], port: u16, rtt_ns: u64) -> Sender {
    let mut counts = Sender::default();
    // The highest byte sent, when the segment before was sent, and the pure ACK that covered all of it.
    let mut next: Option<u32> = None;
    let mut before_ns = None;
    let mut acked_ns = None;
    for s in segments {
        if s.source_port != port {
            if s.payload > 0 {
                before_ns = None;
            } else if s.flags & ACK != 0 && next == Some(s.ack) {
                acked_ns = Some(s.time_ns);
            }
            continue;
        }
        if s.payload == 0 {
            continue;
        }
        counts.payload += u64::from(s.payload);
        let end = s.seq.wrapping_add(s.payload);
        if next.is_some_and(|n| n.wrapping_sub(s.seq) as i32 > 0) {
            counts.resent += 1;
            continue;
        }
        let continues = next == Some(s.seq) && s.payload < FULL && s.flags & (SYN | FIN) == 0;
        if let (true, Some(before), Some(acked)) = (continues, before_ns, acked_ns)
            && s.time_ns - acked <= FREED_WITHIN_NS
        {
            if acked - before >= rtt_ns + DELAYED_NS {
                counts.stalls += 1;
                counts.held_ns += acked - before;
            } else if acked - before + FREED_WITHIN_NS >= rtt_ns {
                counts.round_trips += 1;
            }
        }
        next = Some(end);
        before_ns = Some(s.time_ns);
        acked_ns = None;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT_NS: u64 = 10_000_000;

    /// An IPv4 packet of the connection 4000 → 7001.
    fn packet(time_ms: f64, from_client: bool, seq: u32, ack: u32, flags: u8, payload: u16) -> Record {
        let mut bytes = vec![0_u8; 40 + usize::from(payload)];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&(40 + payload).to_be_bytes());
        bytes[9] = 6;
        let (source, target) = if from_client { (4000_u16, 7001_u16) } else { (7001, 4000) };
        bytes[20..22].copy_from_slice(&source.to_be_bytes());
        bytes[22..24].copy_from_slice(&target.to_be_bytes());
        bytes[24..28].copy_from_slice(&seq.to_be_bytes());
        bytes[28..32].copy_from_slice(&ack.to_be_bytes());
        bytes[32] = 5 << 4;
        bytes[33] = flags;
        Record { time_ns: (time_ms * 1e6) as u64, bytes: bytes.into() }
    }

    fn counted(records: &[Record]) -> InCapture {
        connection([records, records], 4000, 7001, RTT_NS)
    }

    #[test]
    fn a_segment_freed_by_a_late_ack_is_a_stall() {
        let counts = counted(&[
            packet(0.0, true, 1, 1, ACK, 12),
            packet(52.0, false, 1, 13, ACK, 0),
            packet(52.1, true, 13, 1, ACK, 180),
        ]);
        assert_eq!((counts.nagle_stalls_client, counts.nagle_round_trips_client), (1, 0));
        assert_eq!(counts.nagle_held_client_s, 0.052);
        assert_eq!((counts.payload_c2s, counts.packets_client), (192, 3));
    }

    #[test]
    fn a_segment_freed_by_an_ack_that_came_at_once_waited_a_round_trip() {
        let counts = counted(&[
            packet(0.0, true, 1, 1, ACK, 12),
            packet(10.1, false, 1, 13, ACK, 0),
            packet(10.2, true, 13, 1, ACK, 180),
        ]);
        assert_eq!((counts.nagle_stalls_client, counts.nagle_round_trips_client), (0, 1));
    }

    #[test]
    fn an_application_that_writes_later_is_not_held() {
        // Written long after the ACK; after an answer; and without any ACK in between.
        let counts = counted(&[
            packet(0.0, true, 1, 1, ACK, 12),
            packet(52.0, false, 1, 13, ACK, 0),
            packet(60.0, true, 13, 1, ACK, 180),
            packet(112.0, false, 1, 193, ACK, 64),
            packet(112.1, true, 193, 65, ACK, 12),
            packet(112.2, true, 205, 65, ACK, 180),
        ]);
        assert_eq!((counts.nagle_stalls_client, counts.nagle_round_trips_client), (0, 0));
        assert_eq!(counts.resent_by_client, 0);
    }

    #[test]
    fn a_segment_sent_again_is_counted_once_more_and_no_stall() {
        let counts = counted(&[
            packet(0.0, true, 1, 1, ACK, 12),
            packet(210.0, true, 1, 1, ACK, 12),
            packet(220.0, false, 1, 13, ACK, 0),
        ]);
        assert_eq!((counts.resent_by_client, counts.payload_c2s, counts.nagle_stalls_client), (1, 24, 0));
        assert_eq!(counts.longest_silence_s, 0.21);
    }

    #[test]
    fn cut_and_foreign_packets_are_passed_over() {
        let short = Record { time_ns: 0, bytes: vec![0x45; 30].into() };
        let empty = Record { time_ns: 0, bytes: Vec::new().into() };
        assert_eq!(counted(&[short, empty]).packets_client, 0);
    }
}
