//! Is it worth waiting until a larger group of segments may leave? (Linux's tcp_tso_should_defer.)
//!
//! Each ACK opens the window by a segment or two. A sender that used them at once would send groups of two for ever; waiting for
//! a moment joins the room of several ACKs into one group. One can see it on the wire: PSH ends a group, and a receiver
//! acknowledges a pushed segment as soon as it has been read.

use super::nagle::HoldReason;
use crate::Instant;
use std::time::Duration;

/// The longest that is waited for the next ACK, and since the last group.
const MOST: Duration = Duration::from_millis(1);

/// A group that may leave, and what would be gained by waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The time.
    pub(crate) now: Instant,
    /// When data last left.
    pub(crate) last_sent: Option<Instant>,
    /// When the oldest segment in flight last left.
    pub(crate) oldest_sent: Option<Instant>,
    /// The smoothed round trip.
    pub(crate) srtt: Option<Duration>,
    /// Bytes that the peer's window has room for.
    pub(crate) window_room: u32,
    /// Bytes that the congestion window has room for.
    pub(crate) congestion_room: u32,
    /// The smaller of the peer's window and the congestion window, bytes.
    pub(crate) whole_window: u32,
    /// Bytes of the largest group.
    pub(crate) largest: u32,
    /// Bytes in the buffer that the group comes from.
    pub(crate) buffer: u32,
    /// Buffers follow: this one takes nothing more.
    pub(crate) followed: bool,
    /// The stream, or a record, ends with this buffer.
    pub(crate) ends: bool,
    /// The part of a window that is worth no waiting, as a divisor; 0: do not wait.
    pub(crate) divisor: u32,
}

impl Group {
    /// Why it waits, if it does: only while an ACK is expected within a millisecond, or half a round trip.
    pub(crate) fn waits(&self) -> Option<HoldReason> {
        let (Some(last), Some(oldest), Some(srtt)) = (self.last_sent, self.oldest_sent, self.srtt) else {
            return None;
        };
        let room = self.window_room.min(self.congestion_room);
        let enough = room >= self.largest
            || self.followed && room >= self.buffer
            || self.divisor == 0
            || room >= self.whole_window / self.divisor;
        if enough || self.now.since(last) > MOST {
            return None;
        }
        let expected = oldest + srtt;
        if expected > self.now + (srtt / 2).min(MOST) {
            return None;
        }
        if self.congestion_room < self.window_room {
            if self.congestion_room <= self.buffer {
                return Some(HoldReason::CongestionWindow);
            }
        } else if self.window_room <= self.buffer {
            return Some(HoldReason::Window);
        }
        (!self.ends).then_some(HoldReason::Group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two segments of ten may leave, an ACK is expected in 0.1 ms.
    fn group() -> Group {
        Group {
            now: Instant::from_nanos(10_000_000),
            last_sent: Some(Instant::from_nanos(9_900_000)),
            oldest_sent: Some(Instant::from_nanos(100_000)),
            srtt: Some(Duration::from_millis(10)),
            window_room: 60_000,
            congestion_room: 2_896,
            whole_window: 14_480,
            largest: 10_000,
            buffer: 60_000,
            followed: true,
            ends: false,
            divisor: 3,
        }
    }

    #[test]
    fn a_small_part_of_the_window_waits_for_an_ack_that_is_near() {
        assert_eq!(group().waits(), Some(HoldReason::CongestionWindow));
        assert_eq!(Group { window_room: 1_500, ..group() }.waits(), Some(HoldReason::Window));
        let little = Group { buffer: 2_000, followed: false, ..group() };
        assert_eq!(little.waits(), Some(HoldReason::Group));
        assert_eq!(Group { ends: true, ..little }.waits(), None);
    }

    #[test]
    fn nothing_waits_that_is_large_or_has_nobody_to_wait_for() {
        let at = |nanos| Some(Instant::from_nanos(nanos));
        for leaves in [
            Group { congestion_room: 10_000, ..group() },
            Group { congestion_room: 4_827, ..group() },
            Group { buffer: 2_896, ..group() },
            Group { divisor: 0, ..group() },
            Group { oldest_sent: None, ..group() },
            Group { srtt: None, ..group() },
            Group { oldest_sent: at(1_000_001), ..group() },
            Group { last_sent: at(8_999_999), ..group() },
        ] {
            assert_eq!(leaves.waits(), None, "{leaves:?}");
        }
        assert!(Group { oldest_sent: at(1_000_000), ..group() }.waits().is_some());
    }
}
