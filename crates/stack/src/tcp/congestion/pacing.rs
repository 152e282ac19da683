//! When may the next segment leave, so that a window does not leave as one burst? (Linux's earliest departure time; SO_MAX_PACING_RATE.)

use crate::Instant;
use std::time::Duration;

/// No rate is known or asked for, bytes per second.
pub const UNLIMITED: u64 = u64::MAX;
/// So many segments of a connection leave unpaced: its first window shall not wait.
const UNPACED_SEGMENTS: u64 = 10;

/// The rate at which a window of so many segments should leave within a smoothed round trip, in percent of just that rate: in slow
/// start faster, since the window doubles (net.ipv4.tcp_pacing_ss_ratio, tcp_pacing_ca_ratio). Bytes per second.
#[must_use]
pub fn window_rate(segments: u32, mss: u32, srtt: Option<Duration>, percent: u32) -> u64 {
    let Some(srtt) = srtt else { return UNLIMITED };
    let bytes = u128::from(segments) * u128::from(mss) * u128::from(percent);
    let rate = bytes * 10_000_000 / srtt.as_nanos().max(1_000);
    u64::try_from(rate).unwrap_or(UNLIMITED)
}

/// The pace of one connection.
#[derive(Clone, Debug)]
pub struct Pacing {
    /// Segments wait for their time.
    needed: bool,
    /// What the application allows, bytes per second.
    most: u64,
    rate: u64,
    /// When the next segment may leave.
    next: Instant,
}

crate::pack::pack!(Pacing { needed, most, rate, next });

impl Pacing {
    /// `needed`: the congestion control, the queue of the interface or the application asks for it. `most` bytes per second.
    #[must_use]
    pub fn new(needed: bool, most: u64) -> Pacing {
        Pacing { needed: needed || most != UNLIMITED, most, rate: UNLIMITED, next: Instant::ZERO }
    }

    /// Segments wait for their time.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.needed
    }

    /// Bytes per second (tcpi_pacing_rate); [`UNLIMITED`] before anything is known.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// The congestion control wants this rate.
    pub fn set_rate(&mut self, bytes_per_second: u64) {
        self.rate = bytes_per_second.min(self.most);
    }

    /// SO_MAX_PACING_RATE, also while the connection lives.
    pub fn set_most(&mut self, bytes_per_second: u64) {
        self.needed |= bytes_per_second != UNLIMITED;
        self.most = bytes_per_second;
        self.rate = self.rate.min(bytes_per_second);
    }

    /// The earliest departure of the next segment.
    #[must_use]
    pub fn next_departure(&self) -> Instant {
        self.next
    }

    /// Until when nothing may leave, if that is later than now.
    #[must_use]
    pub fn holds_until(&self, now: Instant) -> Option<Instant> {
        (self.needed && self.next > now).then_some(self.next)
    }

    /// `bytes` of payload leave as one group; the connection has sent `segments_before` segments with data.
    pub fn on_sent(&mut self, now: Instant, bytes: u32, segments_before: u64) {
        let before = self.next;
        self.next = before.max(now);
        if !self.needed || self.rate == UNLIMITED || self.rate == 0 || segments_before < UNPACED_SEGMENTS {
            return;
        }
        let length = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let length = Duration::from_nanos(u64::try_from(length).unwrap_or(u64::MAX));
        // A sender that comes late makes up for it, by at most half of a group at a time.
        let credit = self.next.since(before).min(length / 2);
        self.next += length - credit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(microseconds: u64) -> Instant {
        Instant::from_micros(microseconds)
    }

    #[test]
    fn a_window_leaves_in_half_a_round_trip_in_slow_start_and_in_five_sixths_later() {
        let srtt = Some(Duration::from_millis(100));
        assert_eq!(window_rate(10, 1000, srtt, 200), 200_000);
        assert_eq!(window_rate(10, 1000, srtt, 120), 120_000);
        assert_eq!(window_rate(10, 1000, None, 120), UNLIMITED);
    }

    #[test]
    fn groups_leave_as_far_apart_as_the_rate_says_after_the_first_ten_segments() {
        let mut pacing = Pacing::new(true, UNLIMITED);
        pacing.set_rate(1_000_000);
        pacing.on_sent(at(0), 1000, 9);
        assert_eq!(pacing.holds_until(at(0)), None);
        pacing.on_sent(at(0), 1000, 10);
        assert_eq!(pacing.holds_until(at(999)), Some(at(1000)));
        assert_eq!(pacing.holds_until(at(1000)), None);
        // 200 µs late: the next one comes as much sooner.
        pacing.on_sent(at(1200), 1000, 11);
        assert_eq!(pacing.next_departure(), at(2000));
        // Long late: half of it.
        pacing.on_sent(at(9000), 1000, 12);
        assert_eq!(pacing.next_departure(), at(9500));
    }

    #[test]
    fn the_applications_limit_paces_what_nothing_else_does() {
        let mut pacing = Pacing::new(false, UNLIMITED);
        pacing.set_rate(1_000_000);
        pacing.on_sent(at(0), 1000, 10);
        assert_eq!(pacing.holds_until(at(0)), None);
        pacing.set_most(500_000);
        assert_eq!(pacing.rate(), 500_000);
        pacing.set_rate(1_000_000);
        pacing.on_sent(at(10_000), 1000, 11);
        pacing.on_sent(at(11_000), 1000, 12);
        assert_eq!(pacing.holds_until(at(11_000)), Some(at(13_000)));
    }
}
