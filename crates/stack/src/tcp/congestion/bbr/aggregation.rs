//! How many more segments are acknowledged at once than the rate explains? (BBR's allowance for aggregated ACKs, as in Linux.)

use super::{BANDWIDTH_UNIT, microseconds};
use crate::Instant;
use crate::tcp::congestion::delivery_rate::RateSample;

/// Rounds after which the older of the two maxima is forgotten.
const ROUNDS: u32 = 5;
/// An epoch with so many segments is over.
const EPOCH_LIMIT: u32 = 1 << 20;
/// At most what the path delivers in this time, µs.
const LONGEST: u64 = 100_000;

/// What ACKs brought beyond what was to be expected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aggregation {
    since: Instant,
    acked: u32,
    extra: [u32; 2],
    current: usize,
    rounds: u32,
}

crate::pack::pack!(Aggregation { since, acked, extra, current, rounds });

impl Aggregation {
    /// Begins to count anew.
    pub fn restart(&mut self, now: Instant) {
        (self.since, self.acked) = (now, 0);
    }

    /// An ACK with a valid rate has come; `bandwidth` is the estimate.
    pub fn on_ack(&mut self, rate: &RateSample, bandwidth: u32, window: u32, new_round: bool) {
        if rate.newly_delivered == 0 || rate.measured.is_none() {
            return;
        }
        if new_round {
            self.rounds += 1;
            if self.rounds >= ROUNDS {
                self.rounds = 0;
                self.current ^= 1;
                self.extra[self.current] = 0;
            }
        }
        let mut expected = expected(bandwidth, microseconds(rate.delivered_at.since(self.since)));
        if u64::from(self.acked) <= expected || self.acked + rate.newly_delivered >= EPOCH_LIMIT {
            self.restart(rate.delivered_at);
            expected = 0;
        }
        self.acked = (self.acked + rate.newly_delivered).min(EPOCH_LIMIT - 1);
        let extra = u64::from(self.acked).saturating_sub(expected);
        let extra = extra.min(u64::from(window)).min(0xffff) as u32;
        self.extra[self.current] = self.extra[self.current].max(extra);
    }

    /// Segments to allow on top of the window.
    #[must_use]
    pub fn allowance(&self, bandwidth: u32) -> u32 {
        let most = expected(bandwidth, LONGEST);
        u64::from(self.extra[0].max(self.extra[1])).min(most) as u32
    }
}

fn expected(bandwidth: u32, microseconds: u64) -> u64 {
    (u128::from(bandwidth) * u128::from(microseconds) / u128::from(BANDWIDTH_UNIT)) as u64
}

#[cfg(test)]
mod tests {
    use super::super::per_microsecond;
    use super::*;
    use std::time::Duration;

    #[test]
    fn ten_segments_in_one_ack_where_one_was_to_be_expected_are_nine_more() {
        let bandwidth = per_microsecond(1000, 1_000_000);
        let mut aggregation = Aggregation::default();
        for n in 1..=20 {
            let rate = RateSample {
                measured: Some((10, Duration::from_millis(10))),
                delivered_at: Instant::from_millis(10 * n),
                newly_delivered: 10,
                ..RateSample::default()
            };
            aggregation.on_ack(&rate, bandwidth, 100, false);
        }
        assert!((10..=11).contains(&aggregation.allowance(bandwidth)));
        // Some windows of five rounds later, without aggregation, nothing is left of it.
        for n in 1..=30 {
            let rate = RateSample {
                measured: Some((1, Duration::from_millis(1))),
                delivered_at: Instant::from_millis(200 + 2 * n),
                newly_delivered: 1,
                ..RateSample::default()
            };
            aggregation.on_ack(&rate, bandwidth, 100, true);
        }
        assert!(aggregation.allowance(bandwidth) <= 2);
    }
}
