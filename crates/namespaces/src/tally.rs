//! What does each host send? Packets counted at the ends of links, in the same way whoever sent them.

use narrows_lab::{Heading, Passage, Recorder};
use narrows_stack::Instant;
use narrows_stack::tcp::ecn::Codepoint;
use narrows_wire::{Seq, TcpFlags, Transport};
use std::collections::HashMap;
use std::net::SocketAddr;

/// What the node at a tap sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole packets.
    pub bytes: u64,
    /// Packets with payload.
    pub data_packets: u64,
    /// Segments without payload, SYN, FIN or RST.
    pub acks: u64,
    /// Segments with payload that had been sent before, in whole or in part.
    pub retransmissions: u64,
    /// Segments with payload that say that the window was reduced (CWR, RFC 3168 §6.1.2).
    pub reductions: u64,
    /// Not sent but arrived: packets that a queue has marked (CE, RFC 3168 §5).
    pub marks: u64,
}

/// Counts what is sent at each tap.
#[derive(Debug, Default)]
pub struct Tally {
    taps: Vec<(String, Sent)>,
    /// Per direction of a connection: the end of what has been sent.
    ends: HashMap<(SocketAddr, SocketAddr), Seq>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Tally {
    /// The nodes at the taps and what they sent, in the order of tapping.
    #[must_use]
    pub fn taps(&self) -> &[(String, Sent)] {
        &self.taps
    }

    /// When the first packet was seen.
    #[must_use]
    pub fn first(&self) -> Option<Instant> {
        self.first
    }

    /// When the last packet was seen.
    #[must_use]
    pub fn last(&self) -> Option<Instant> {
        self.last
    }
}

impl Recorder for Tally {
    fn add_tap(&mut self, name: &str) -> u32 {
        self.taps.push((name.to_owned(), Sent::default()));
        self.taps.len() as u32 - 1
    }

    fn record(&mut self, tap: u32, passage: &Passage<'_>) {
        self.first.get_or_insert(passage.time);
        self.last = Some(passage.time);
        let Some((_, sent)) = self.taps.get_mut(tap as usize) else { return };
        let packet = passage.packet;
        if passage.heading == Heading::In {
            sent.marks += u64::from(Codepoint::of(packet.ip.traffic_class) == Codepoint::Ce);
            return;
        }
        sent.packets += 1;
        sent.bytes += packet.len() as u64;
        let payload = packet.payload.len() as u32;
        sent.data_packets += u64::from(payload > 0);
        let Transport::Tcp(tcp) = &packet.transport else { return };
        if payload == 0 {
            let control = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
            sent.acks += u64::from(!tcp.flags.intersects(control));
            return;
        }
        sent.reductions += u64::from(tcp.flags.contains(TcpFlags::CWR));
        let (Some(from), Some(to)) = (packet.source_socket(), packet.destination_socket()) else { return };
        let sent_to = self.ends.entry((from, to)).or_insert(tcp.seq);
        let end = Seq(tcp.seq.0.wrapping_add(payload));
        if (sent_to.0.wrapping_sub(tcp.seq.0) as i32) > 0 {
            sent.retransmissions += 1;
        }
        if (end.0.wrapping_sub(sent_to.0) as i32) > 0 {
            *sent_to = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use narrows_wire::{Packet, TcpHeader, TcpOptions};

    fn segment(seq: u32, payload: usize, flags: TcpFlags) -> Packet {
        let header = TcpHeader {
            source_port: 1,
            destination_port: 2,
            seq: Seq(seq),
            ack: Seq(0),
            flags,
            window: 0,
            urgent: 0,
            options: TcpOptions::default(),
        };
        let payload = Bytes::from(vec![0; payload]);
        Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, payload)
    }

    #[test]
    fn what_was_sent_before_is_a_retransmission_also_around_zero() {
        let mut tally = Tally::default();
        tally.add_tap("client");
        let sent = [
            (u32::MAX - 50, 0, TcpFlags::SYN),
            (u32::MAX - 49, 100, TcpFlags::ACK),
            (50, 100, TcpFlags::ACK),
            (50, 100, TcpFlags::ACK),
            (u32::MAX - 49, 100, TcpFlags::ACK),
            (150, 0, TcpFlags::ACK),
        ];
        for (number, (seq, payload, flags)) in sent.into_iter().enumerate() {
            let packet = segment(seq, payload, flags);
            let time = Instant::from_millis(number as u64);
            let heading = Heading::Out;
            tally.record(0, &Passage { time, heading, number: number as u64, packet: &packet });
        }
        let counted = Sent {
            packets: 6,
            bytes: 6 * 40 + 400,
            data_packets: 4,
            acks: 1,
            retransmissions: 2,
            ..Sent::default()
        };
        assert_eq!(tally.taps(), [("client".to_owned(), counted)]);
        assert_eq!(tally.last(), Some(Instant::from_millis(5)));
    }

    #[test]
    fn marks_are_counted_where_they_arrive_and_reductions_where_they_leave() {
        let mut tally = Tally::default();
        tally.add_tap("client");
        let mut marked = segment(1, 100, TcpFlags::ACK);
        marked.ip.traffic_class = 3;
        let reduced = segment(1, 100, TcpFlags::ACK | TcpFlags::CWR);
        // A SYN that asks for ECN has the flag too.
        let asking = segment(0, 0, TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR);
        for (heading, packet) in [
            (Heading::In, &marked),
            (Heading::Out, &marked),
            (Heading::In, &reduced),
            (Heading::Out, &reduced),
            (Heading::Out, &asking),
        ] {
            tally.record(0, &Passage { time: Instant::ZERO, heading, number: 0, packet });
        }
        let sent = tally.taps()[0].1;
        assert_eq!((sent.marks, sent.reductions, sent.packets), (1, 1, 3));
    }
}
