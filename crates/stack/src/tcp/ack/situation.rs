//! What is known when the question of an acknowledgment is asked?

use super::AckPolicy;
use crate::Instant;
use crate::tcp::tick::Tick;
use narrows_wire::Seq;
use std::time::Duration;

/// The settings of an [`AckScheduler`](super::AckScheduler).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckConfig {
    /// How to acknowledge.
    pub policy: AckPolicy,
    /// First and smallest delay of [`AckPolicy::Adaptive`] (Linux: 40 ms).
    pub delay_min: Duration,
    /// Largest delay of [`AckPolicy::Adaptive`] (Linux: 200 ms).
    pub delay_max: Duration,
    /// The smallest retransmission timeout of the route or the system; Linux keeps the delay below it.
    pub rto_min: Duration,
    /// The route says `quickack 1`.
    pub route_quickack: bool,
    /// The application sets TCP_QUICKACK after each read.
    pub quickack_after_read: bool,
    /// Answers that make a connection interactive (Linux: net.ipv4.tcp_pingpong_thresh, 1).
    pub interactive_threshold: u8,
    /// The clock that the delay runs on.
    pub tick: Tick,
}

crate::pack::pack!(AckConfig {
    policy,
    delay_min,
    delay_max,
    rto_min,
    route_quickack,
    quickack_after_read,
    interactive_threshold,
    tick,
});

impl Default for AckConfig {
    fn default() -> AckConfig {
        AckConfig {
            policy: AckPolicy::Adaptive,
            delay_min: Duration::from_millis(40),
            delay_max: Duration::from_millis(200),
            rto_min: Duration::from_millis(200),
            route_quickack: false,
            quickack_after_read: false,
            interactive_threshold: 1,
            tick: Tick::Exact,
        }
    }
}

/// What the connection knows at the moment of a question or an event.
#[derive(Clone, Copy, Debug)]
pub struct AckContext {
    /// The time.
    pub now: Instant,
    /// The next byte expected, after what has just arrived.
    pub rcv_nxt: Seq,
    /// The window as last advertised, bytes (scaled up), counted from the last acknowledgment sent.
    pub rcv_wnd: u32,
    /// The window that an ACK sent now would advertise, bytes.
    pub window_now: u32,
    /// The largest window this socket would ever advertise, bytes.
    pub window_clamp: u32,
    /// Less than half of the receive buffer is free.
    pub crowded: bool,
    /// Bytes that have arrived and have not been read, including those out of order.
    pub buffered: u32,
    /// Bytes that have arrived in order and have not been read.
    pub readable: u32,
    /// SO_RCVLOWAT (1 unless set).
    pub low_water: u32,
    /// Data out of order is held.
    pub out_of_order: bool,
    /// SACK was negotiated.
    pub sack: bool,
    /// The round trip as the receiver sees it, where it has been measured.
    pub receiver_round_trip: Option<Duration>,
    /// Smoothed round trip as the sender side of this connection measured it.
    pub srtt: Option<Duration>,
    /// Current retransmission timeout.
    pub rto: Duration,
}

/// A data segment as it arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival {
    /// Payload, bytes.
    pub len: u32,
    /// The wire segments' size when it is a merged (GRO) segment.
    pub segment_len: Option<u32>,
    /// TCP header with its options, bytes.
    pub header_len: u32,
    /// TCP header with the options that every segment of this connection carries (20, or 32 with timestamps), bytes.
    pub usual_header_len: u32,
    /// PSH is set.
    pub psh: bool,
    /// FIN, SYN or URG is set.
    pub fin_syn_urg: bool,
}

/// Where a connection starts from.
#[derive(Clone, Copy, Debug)]
pub struct AckStart {
    /// When it was established.
    pub now: Instant,
    /// The next byte expected; all before it is acknowledged.
    pub rcv_nxt: Seq,
    /// The window advertised at first, bytes.
    pub rcv_wnd: u32,
    /// The MSS that this side announced, bytes.
    pub advmss: u32,
    /// The effective MSS of this side's own sending, bytes.
    pub snd_mss: u32,
}
