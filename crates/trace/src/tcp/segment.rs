//! What does the analysis need to know of one captured TCP segment? The boundary between reading and
//! analysis.

use crate::Outer;
use crate::read::HeaderPacket;
use narrows_stack::Instant;
use narrows_wire::{Headers, OptionOrder, Packet, Seq, TcpFlags, TcpOptions, Transport};
use std::net::SocketAddr;

/// One captured TCP segment (or one large segment, where the capture was made above the offloads).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Packet number in the capture, from 1.
    pub number: u64,
    /// Capture time.
    pub time: Instant,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgment number; meaningful only with [`TcpFlags::ACK`].
    pub ack: Seq,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as on the wire.
    pub window: u16,
    /// Payload bytes as sent, by the IP header's length: a short snap length does not change it.
    pub payload_bytes: u32,
    /// Options, as far as they were captured.
    pub options: TcpOptions,
    /// The order of a SYN's options, which tells stacks apart; empty on other segments.
    pub option_order: OptionOrder,
    /// Time to live or hop limit.
    pub hop_limit: u8,
    /// Length of the IP packet, bytes; larger than any on the wire for a superpacket.
    pub packet_bytes: u32,
    /// In how many fragments it came; 1 when it came whole.
    pub pieces: u16,
    /// The tunnel that it was captured in, on the outside.
    pub outer: Option<Outer>,
}

impl Segment {
    /// The TCP segment in a packet that never was in a capture, because a lab made it; `None` when it carries something else.
    #[must_use]
    pub fn of(number: u64, time: Instant, packet: &Packet) -> Option<Segment> {
        let Transport::Tcp(tcp) = &packet.transport else { return None };
        let mut option_order = OptionOrder::default();
        if tcp.flags.intersects(TcpFlags::SYN) {
            // Which order the options have is decided when they are written.
            let mut bytes = Vec::with_capacity(packet.len());
            packet.emit(&mut bytes);
            option_order = Headers::parse(&bytes, bytes.len()).ok()?.option_order;
        }
        Some(Segment {
            number,
            time,
            source: SocketAddr::new(packet.ip.source, tcp.source_port),
            destination: SocketAddr::new(packet.ip.destination, tcp.destination_port),
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            payload_bytes: u32::try_from(packet.payload.len()).unwrap_or(u32::MAX),
            options: tcp.options.clone(),
            option_order,
            hop_limit: packet.ip.hop_limit,
            packet_bytes: u32::try_from(packet.len()).unwrap_or(u32::MAX),
            pieces: 1,
            outer: None,
        })
    }

    /// The TCP segment in a packet of a capture; `None` when the packet carries something else, or only a
    /// fragment.
    #[must_use]
    pub fn from_packet(packet: &HeaderPacket<'_>) -> Option<Segment> {
        Segment::from_headers(packet.number, packet.time, &packet.headers)
    }

    /// The TCP segment that these headers begin; `None` when they are others.
    #[must_use]
    pub fn from_headers(number: u64, time: Instant, headers: &Headers) -> Option<Segment> {
        let Transport::Tcp(tcp) = &headers.transport else { return None };
        Some(Segment {
            number,
            time,
            source: SocketAddr::new(headers.ip.source, tcp.source_port),
            destination: SocketAddr::new(headers.ip.destination, tcp.destination_port),
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            payload_bytes: headers.payload_bytes,
            options: tcp.options.clone(),
            option_order: headers.option_order,
            hop_limit: headers.ip.hop_limit,
            packet_bytes: headers.packet_bytes,
            pieces: 1,
            outer: None,
        })
    }
}
