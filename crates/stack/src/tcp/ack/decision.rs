//! What can be decided about an acknowledgment, and for which reasons?

use crate::Instant;
use crate::pack::{Pack, Packer, Unpacker};
use std::time::Duration;

/// How a receiver acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckPolicy {
    /// Every segment at once.
    Immediate,
    /// Every `segments`-th data segment, or when `timer` ends (RFC 1122 §4.2.3.2; BSD, Windows).
    Delayed {
        /// Data segments per ACK.
        segments: u32,
        /// The longest that an ACK waits.
        timer: Duration,
    },
    /// As Linux: quick ACKs at the start, interactive (ping-pong) mode, a timer that follows the arrivals.
    #[default]
    Adaptive,
}

impl Pack for AckPolicy {
    fn pack(&self, to: &mut Packer<'_>) {
        let delayed = match *self {
            AckPolicy::Immediate => (0, None),
            AckPolicy::Delayed { segments, timer } => (1, Some((segments, timer))),
            AckPolicy::Adaptive => (2_u8, None),
        };
        delayed.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> AckPolicy {
        match from.take::<(u8, Option<(u32, Duration)>)>() {
            (_, Some((segments, timer))) => AckPolicy::Delayed { segments, timer },
            (0, None) => AckPolicy::Immediate,
            _ => AckPolicy::Adaptive,
        }
    }
}

/// Acknowledge now, later, or not at all?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckDecision {
    /// Now, and why.
    Now(AckReason),
    /// At that time, unless data carries it earlier. [`AckScheduler::poll_timeout`](super::AckScheduler::poll_timeout) says the same.
    At(Instant),
    /// There is nothing to acknowledge.
    None,
}

/// Why an ACK leaves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AckReason {
    /// The policy acknowledges every segment.
    EverySegment,
    /// Enough is unacknowledged: more than one full segment (Linux), or the policy's number of segments.
    Enough,
    /// A quick ACK: the connection, or its activity after a silence, is young.
    Quick,
    /// The route says `quickack 1`.
    Route,
    /// TCP_QUICKACK was set.
    SocketOption,
    /// Data came out of order.
    OutOfOrder,
    /// A gap was filled.
    GapFilled,
    /// Data came that had been received before.
    Duplicate,
    /// Data came that lies outside the window.
    OutOfWindow,
    /// The peer has closed.
    Fin,
    /// The application has read everything, and does not answer as far as can be seen.
    Read,
    /// The application's reading has opened the window.
    WindowUpdate,
    /// The delayed ACK's timer has expired.
    DelayedTimer,
    /// The delayed ACK's timer was about to expire anyway.
    TimerNear,
    /// The timer of a compressed ACK has expired.
    CompressedTimer,
}

crate::pack::choices!(AckReason {
    EverySegment,
    Enough,
    Quick,
    Route,
    SocketOption,
    OutOfOrder,
    GapFilled,
    Duplicate,
    OutOfWindow,
    Fin,
    Read,
    WindowUpdate,
    DelayedTimer,
    TimerNear,
    CompressedTimer,
});

impl AckReason {
    /// The name used in reports and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AckReason::EverySegment => "every_segment",
            AckReason::Enough => "enough",
            AckReason::Quick => "quick",
            AckReason::Route => "route",
            AckReason::SocketOption => "socket_option",
            AckReason::OutOfOrder => "out_of_order",
            AckReason::GapFilled => "gap_filled",
            AckReason::Duplicate => "duplicate",
            AckReason::OutOfWindow => "out_of_window",
            AckReason::Fin => "fin",
            AckReason::Read => "read",
            AckReason::WindowUpdate => "window_update",
            AckReason::DelayedTimer => "delayed_timer",
            AckReason::TimerNear => "timer_near",
            AckReason::CompressedTimer => "compressed_timer",
        }
    }
}
