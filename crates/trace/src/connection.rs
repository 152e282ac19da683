//! What happened on one TCP connection? The summary that everything after the capture works with.

use crate::{Finding, PathMtu, TunnelKind};
use narrows_lab::{Conversation, Side};
use narrows_stack::Instant;
use narrows_wire::TcpOptions;
use std::net::SocketAddr;
use std::time::Duration;

/// Where on the path the capture was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// At the client's own interface (or within a small part of the round trip of it).
    Client,
    /// At the server's own interface.
    Server,
    /// In between; both legs are visible in [`RoundTrip`].
    Middle,
    /// The capture does not tell (one direction only, or too little traffic).
    Unknown,
}

/// Round trip times, each by direction and vantage: never pooled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrip {
    /// Smallest vantage → client → vantage time.
    pub client_leg: Option<Duration>,
    /// Smallest vantage → server → vantage time.
    pub server_leg: Option<Duration>,
    /// The path's round trip: the sum of both legs' minima, as far as known.
    pub path: Option<Duration>,
    /// How many samples that rests on.
    pub samples: u32,
}

/// The acknowledgment timer of one side, as seen: pure ACKs that came late for a small segment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AckTimer {
    /// How many delayed ACKs were seen.
    pub count: u32,
    /// Smallest, median and largest delay, the path's own time taken off.
    pub min: Duration,
    /// Median.
    pub median: Duration,
    /// Largest.
    pub max: Duration,
}

/// A search for the path's MTU that begins with small segments and never stalls (RFC 4821; `net.ipv4.tcp_mtu_probing=2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpwardProbing {
    /// Payload of the segments that it began with (`net.ipv4.tcp_base_mss`), bytes.
    pub base_payload_bytes: u32,
    /// What it has found out so far.
    pub path_mtu: PathMtu,
}

/// What one side did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideSummary {
    /// Its address and port.
    pub address: Option<SocketAddr>,
    /// Options of its SYN or SYN-ACK; `None` when the capture has not got it.
    pub syn_options: Option<TcpOptions>,
    /// Initial (unscaled) window of its SYN or SYN-ACK.
    pub syn_window: Option<u16>,
    /// Number of its SYN or SYN-ACK in the capture.
    pub syn_packet: Option<u64>,
    /// Initial sequence number, of its SYN or SYN-ACK (RFC 9293 §3.4.1).
    pub initial_seq: Option<u32>,
    /// Packets seen from it.
    pub packets: u64,
    /// Payload bytes, each counted once.
    pub payload_bytes: u64,
    /// Bytes that the other side acknowledged but the capture has not got.
    pub missed_bytes: u64,
    /// Bytes that it has shown to have sent, and that never came to where the capture was made.
    pub never_came_bytes: u64,
    /// Largest payload in one captured packet.
    pub largest_payload: u32,
    /// Largest payload that really was one segment on the wire: the effective MSS.
    pub segment_bytes: u32,
    /// Packets that came in several fragments, on the inside or the outside of a tunnel.
    pub fragmented_packets: u64,
    /// It began with small segments and searched upwards for a size that passes.
    pub upward_probing: Option<UpwardProbing>,
    /// Packets with payload from it.
    pub data_packets: u64,
    /// When it last sent payload, again or anew, since the connection's first packet.
    pub last_payload: Option<Duration>,
    /// Packets without payload, SYN, FIN or RST.
    pub pure_acks: u64,
    /// Segments sent again.
    pub retransmissions: u64,
    /// Of these, sent again after a timeout.
    pub timeouts: u64,
    /// Of these, without need (tail loss probes answered by a D-SACK, spurious).
    pub spurious: u64,
    /// Pure ACKs from it that offered no window.
    pub zero_windows: u64,
    /// Its delayed-ACK timer as seen.
    pub ack_timer: AckTimer,
    /// How many ticks a second its timers have (HZ on Linux), where its delayed ACKs show it.
    pub tick_hz: Option<u32>,
    /// When its ticks come, on the capture's clock: nanoseconds since the Unix epoch modulo the tick's
    /// period.
    pub tick_phase_ns: Option<u64>,
    /// Time to live or hop limit of its packets.
    pub hop_limit: Option<u8>,
    /// The system it looks like: a profile's name, or `None`.
    pub looks_like: Option<&'static str>,
    /// It sent RST.
    pub reset: bool,
    /// It sent FIN.
    pub fin: bool,
}

/// Where the time went. The parts add up to the connection's duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeAccount {
    /// Round trips of the network, the handshake's included.
    pub network: Duration,
    /// Waiting for a delayed ACK (Nagle held a segment and the peer's ACK came late).
    pub delayed_ack: Duration,
    /// Waiting in Nagle for an ACK that came at once: a round trip.
    pub nagle: Duration,
    /// The client's application was thinking.
    pub client_thinking: Duration,
    /// The server's application was thinking.
    pub server_thinking: Duration,
    /// Retransmissions and timeouts.
    pub recovery: Duration,
    /// Slow start and transmission.
    pub transmission: Duration,
    /// What none of the above explains.
    pub unexplained: Duration,
}

/// One TCP connection of a capture.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Number in the capture, from 1, by first packet.
    pub number: u32,
    /// The end that opened the connection (or, without a handshake, the likelier one).
    pub client: SocketAddr,
    /// The other end.
    pub server: SocketAddr,
    /// First packet's number in the capture, from 1.
    pub first_packet: u64,
    /// Last packet's number.
    pub last_packet: u64,
    /// First packet's time.
    pub start: Instant,
    /// From first to last packet.
    pub duration: Duration,
    /// The capture has the handshake.
    pub handshake_seen: bool,
    /// Where the capture was made.
    pub vantage: Vantage,
    /// Round trips.
    pub round_trip: RoundTrip,
    /// The rate of the path's narrowest link in bits per second of IP packets, by the sending side, where
    /// trains of segments show it.
    pub rate_bits_per_second: [Option<u64>; 2],
    /// Client and server, by [`Side::index`].
    pub sides: [SideSummary; 2],
    /// What the applications said.
    pub conversation: Conversation,
    /// How many exchanges there were, and the mean of their times.
    pub exchanges: u32,
    /// Mean time of an exchange.
    pub mean_exchange: Option<Duration>,
    /// Where the time went.
    pub account: TimeAccount,
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
    /// The tunnel in which the capture has its packets, on the outside.
    pub tunnel: Option<TunnelKind>,
    /// What could not be seen, in words for the page.
    pub limits: Vec<String>,
}

impl Connection {
    /// One side's summary.
    #[must_use]
    pub fn side(&self, side: Side) -> &SideSummary {
        &self.sides[side.index()]
    }
}
