//! What does the analysis need to know of one captured TCP segment? The boundary between reading and analysis.

use narrows_stack::Instant;
use narrows_wire::{Seq, TcpFlags, TcpOptions};
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
    /// Time to live or hop limit.
    pub hop_limit: u8,
}
