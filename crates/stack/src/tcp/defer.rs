//! Is it better to wait for room for a larger group of segments? (Linux's tcp_tso_should_defer.)
//!
//! A device that cuts large segments is fed best with few of them. When the windows have room for a small group only and the
//! next ACK will make more, and soon, the group waits for it.

use super::nagle::HoldReason;
use crate::Instant;
use std::time::Duration;

/// A group waits only shortly after the last transmission, and only for an ACK that is near.
const SHORTLY: Duration = Duration::from_millis(1);
/// With no divisor set: more than so many segments do not wait.
const FEW_SEGMENTS: u32 = 3;

/// The group that could leave, and what surrounds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) now: Instant,
    /// When anything last left.
    pub(crate) last_transmission: Instant,
    /// A loss is being repaired.
    pub(crate) repairing: bool,
    /// What the peer's window still takes, bytes.
    pub(crate) send_window: u32,
    /// What the congestion window still takes, bytes.
    pub(crate) congestion_room: u32,
    /// The largest group that would be made, bytes.
    pub(crate) largest: u32,
    /// What waits in the buffer that is next, bytes.
    pub(crate) waiting: u32,
    /// More may be written into that buffer.
    pub(crate) last_buffer: bool,
    /// Nothing can be added to it: FIN or the end of a record.
    pub(crate) complete: bool,
    /// The smaller of both windows as a whole, bytes.
    pub(crate) whole_window: u32,
    /// The part of it that is worth sending at once, as a divisor; 0: do not look at it (net.ipv4.tcp_tso_win_divisor).
    pub(crate) divisor: u32,
    pub(crate) mss: u32,
    /// When the oldest segment in flight left.
    pub(crate) oldest_sent: Option<Instant>,
    pub(crate) srtt: Option<Duration>,
}

impl Group {
    /// Why the group waits, if it does.
    pub(crate) fn defers(&self) -> Option<HoldReason> {
        if self.repairing || self.now.since(self.last_transmission) >= SHORTLY {
            return None;
        }
        let room = self.send_window.min(self.congestion_room);
        if room >= self.largest || !self.last_buffer && room >= self.waiting {
            return None;
        }
        let worthwhile = match self.whole_window.checked_div(self.divisor) {
            Some(part) => room >= part,
            None => room > FEW_SEGMENTS * self.mss,
        };
        let (Some(oldest), Some(srtt), false) = (self.oldest_sent, self.srtt, worthwhile) else {
            return None;
        };
        let expected = oldest + srtt;
        if expected.since(self.now) > (srtt / 2).min(SHORTLY) {
            return None;
        }
        if self.congestion_room < self.send_window {
            if self.congestion_room <= self.waiting {
                return Some(HoldReason::CongestionWindow);
            }
        } else if self.send_window <= self.waiting {
            return Some(HoldReason::Window);
        }
        (!self.complete).then_some(HoldReason::LargerGroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for two of sixteen segments, 0.1 ms after the last transmission, the next ACK due in 0.2 ms.
    const SMALL: Group = Group {
        now: Instant::from_micros(10_000),
        last_transmission: Instant::from_micros(9_900),
        repairing: false,
        send_window: 60_000,
        congestion_room: 2_000,
        largest: 8_000,
        waiting: 30_000,
        last_buffer: true,
        complete: false,
        whole_window: 16_000,
        divisor: 3,
        mss: 1_000,
        oldest_sent: Some(Instant::from_micros(200)),
        srtt: Some(Duration::from_millis(10)),
    };

    #[test]
    fn a_small_group_waits_for_an_ack_that_is_near() {
        assert_eq!(SMALL.defers(), Some(HoldReason::CongestionWindow));
        assert_eq!(Group { send_window: 1_500, ..SMALL }.defers(), Some(HoldReason::Window));
        let application = Group { waiting: 1_500, ..SMALL };
        assert_eq!(application.defers(), Some(HoldReason::LargerGroup));
        assert_eq!(Group { complete: true, ..application }.defers(), None);
    }

    #[test]
    fn nothing_waits_for_an_ack_that_is_far_or_after_a_silence() {
        assert_eq!(Group { oldest_sent: Some(Instant::from_micros(9_000)), ..SMALL }.defers(), None);
        assert_eq!(Group { oldest_sent: None, ..SMALL }.defers(), None);
        assert_eq!(Group { last_transmission: Instant::from_micros(8_000), ..SMALL }.defers(), None);
        assert_eq!(Group { repairing: true, ..SMALL }.defers(), None);
    }

    #[test]
    fn a_third_of_the_window_leaves_at_once() {
        assert_eq!(Group { congestion_room: 6_000, ..SMALL }.defers(), None);
        assert_eq!(Group { congestion_room: 6_000, divisor: 0, ..SMALL }.defers(), None);
        assert_eq!(Group { divisor: 0, ..SMALL }.defers(), Some(HoldReason::CongestionWindow));
        assert_eq!(Group { congestion_room: 8_000, divisor: 1, ..SMALL }.defers(), None);
    }
}
