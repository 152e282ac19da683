//! What does a connection show of its inside? The fields of Linux's TCP_INFO.

use super::connection::State;
use super::reasons::Reasons;
use super::recovery;
use crate::SocketError;

/// What calls on a socket would find at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketStatus {
    /// State.
    pub state: State,
    /// Why the connection ended, when it did not end in good order.
    pub error: Option<SocketError>,
    /// Bytes that can be read.
    pub readable_bytes: u64,
    /// The peer has closed, and nothing follows what can be read.
    pub end_of_stream: bool,
    /// Bytes written and not acknowledged.
    pub unacknowledged_bytes: u64,
    /// Bytes written and not sent.
    pub unsent_bytes: u64,
    /// Enough room for a waiting writer to be woken.
    pub writable: bool,
    /// Size of the send buffer, bytes.
    pub send_buffer: u64,
}

/// A connection's inner values, with the names of Linux's TCP_INFO where there is one; times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpInfo {
    /// State.
    pub state: State,
    /// Smoothed round trip time; 0 before the first sample.
    pub rtt_ns: u64,
    /// Mean deviation of the round trip.
    pub rttvar_ns: u64,
    /// Smallest round trip.
    pub min_rtt_ns: u64,
    /// Round trip as the receiver estimates it.
    pub rcv_rtt_ns: u64,
    /// Retransmission timeout.
    pub rto_ns: u64,
    /// Delay of a delayed ACK.
    pub ato_ns: u64,
    /// Congestion window, segments.
    pub snd_cwnd: u32,
    /// Slow start threshold, segments.
    pub snd_ssthresh: u32,
    /// Rate at which a window leaves, bytes per second; `u64::MAX` while none is known.
    pub pacing_rate: u64,
    /// Rate at which the path delivered last, unless the application was the limit, bytes per second.
    pub delivery_rate: u64,
    /// Payload of a full segment sent, bytes.
    pub snd_mss: u32,
    /// Payload of the peer's full segments as measured, bytes.
    pub rcv_mss: u32,
    /// MSS announced, less the options of every segment, bytes.
    pub advmss: u32,
    /// Path MTU, bytes.
    pub pmtu: u32,
    /// Shift of the peer's windows.
    pub snd_wscale: u8,
    /// Shift of this side's windows.
    pub rcv_wscale: u8,
    /// The peer's window, bytes.
    pub snd_wnd: u32,
    /// This side's window as advertised, bytes.
    pub rcv_wnd: u32,
    /// What the application reads per round trip, as the growth of the receive buffer assumes, bytes.
    pub rcv_space: u32,
    /// Receive buffer, bytes (SK_MEMINFO_RCVBUF).
    pub rcv_buffer: u32,
    /// Send buffer, bytes (SK_MEMINFO_SNDBUF).
    pub snd_buffer: u64,
    /// Segments sent and not cumulatively acknowledged.
    pub unacked: u32,
    /// Segments selectively acknowledged.
    pub sacked: u32,
    /// Segments held for lost.
    pub lost: u32,
    /// Segments sent again and still in flight.
    pub retrans: u32,
    /// Timeouts in a row.
    pub retransmits: u32,
    /// Probes in a row.
    pub probes: u32,
    /// How often the timeout has been doubled.
    pub backoff: u32,
    /// Segments sent again in all.
    pub total_retrans: u32,
    /// Bytes written and not yet sent.
    pub notsent_bytes: u64,
    /// Bytes acknowledged by the peer.
    pub bytes_acked: u64,
    /// Bytes received in order.
    pub bytes_received: u64,
    /// Bytes sent again.
    pub bytes_retrans: u64,
    /// Segments sent.
    pub segs_out: u64,
    /// Segments received.
    pub segs_in: u64,
    /// Segments with data sent.
    pub data_segs_out: u64,
    /// Segments with data received.
    pub data_segs_in: u64,
    /// What loss recovery thinks of the path.
    pub ca_state: recovery::State,
    /// Timestamps are in use.
    pub timestamps: bool,
    /// SACK is in use.
    pub sack: bool,
    /// Window scaling is in use.
    pub window_scaling: bool,
    /// Segments known to have arrived at the peer; the SYN is one.
    pub delivered: u32,
    /// Of those, acknowledged with an echo of a queue's mark (ECN).
    pub delivered_ce: u32,
    /// ECN is in use.
    pub ecn: bool,
    /// How far segments overtake each other on the path, as far as was seen, segments.
    pub reordering: u32,
    /// How often reordering was seen.
    pub reord_seen: u32,
    /// Time since data last arrived.
    pub last_data_recv_ns: u64,
    /// Time during which something was sent or unsent.
    pub busy_time_ns: u64,
    /// Of that, time during which the peer's window was the limit.
    pub rwnd_limited_ns: u64,
    /// Of that, time during which the send buffer was the limit.
    pub sndbuf_limited_ns: u64,
    /// Why data waited and why ACKs left.
    pub reasons: Reasons,
}
