//! Does a token bucket on the way limit the rate? (BBR's long-term sampling, as in Linux.)
//!
//! A policer lets a burst through and then drops what exceeds its rate: two intervals in a row with the same throughput and heavy
//! losses give it away. Its rate is then used as it is, for a while, so that not every probe of more is lost.

use super::{BANDWIDTH_UNIT, GAIN_UNIT, per_microsecond};
use crate::Instant;
use crate::tcp::congestion::delivery_rate::RateSample;

/// Rounds of the shortest interval.
const ROUNDS: u32 = 4;
/// Lost of 256 delivered, from which on an interval is lossy: a fifth.
const LOSS_THRESHOLD: u32 = 50;
/// Two rates are the same when they differ by an eighth …
const SAME_RATIO: u64 = GAIN_UNIT as u64 / 8;
/// … or by 4 kbit/s, in bytes per second.
const SAME_BYTES: u64 = 500;
/// For so many rounds the rate is used.
const USE_ROUNDS: u32 = 48;

/// What the sampling says about an ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Nothing,
    /// There is a policer: its rate is to be used from now on.
    Found,
    /// The rate was used for long enough: probe for more again.
    UsedUp,
}

/// The sampling of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policer {
    sampling: bool,
    using: bool,
    bandwidth: u32,
    rounds: u32,
    since: Instant,
    delivered: u32,
    lost: u32,
}

crate::pack::pack!(Policer { sampling, using, bandwidth, rounds, since, delivered, lost });

impl Policer {
    /// The rate of the policer, where one was found.
    #[must_use]
    pub fn rate(&self) -> Option<u32> {
        self.using.then_some(self.bandwidth)
    }

    /// Forgets all.
    pub fn reset(&mut self, rate: &RateSample) {
        *self = Policer::default();
        self.begin(rate);
    }

    fn begin(&mut self, rate: &RateSample) {
        (self.since, self.delivered, self.lost, self.rounds) =
            (rate.delivered_at, rate.delivered, rate.lost, 0);
    }

    /// An ACK has come. `probing`: in the steady state; `new_round`: it ends a round.
    pub fn on_ack(&mut self, rate: &RateSample, mss: u32, new_round: bool, probing: bool) -> Verdict {
        if self.using {
            if probing && new_round {
                self.rounds += 1;
                if self.rounds >= USE_ROUNDS {
                    self.reset(rate);
                    return Verdict::UsedUp;
                }
            }
            return Verdict::Nothing;
        }
        if !self.sampling {
            // The bucket has to be empty first.
            if rate.newly_lost == 0 {
                return Verdict::Nothing;
            }
            self.begin(rate);
            self.sampling = true;
        }
        if rate.application_limited {
            self.reset(rate);
            return Verdict::Nothing;
        }
        self.rounds += u32::from(new_round);
        if self.rounds < ROUNDS {
            return Verdict::Nothing;
        }
        if self.rounds > 4 * ROUNDS {
            self.reset(rate);
            return Verdict::Nothing;
        }
        // An interval ends with a loss: then the bucket is empty.
        if rate.newly_lost == 0 {
            return Verdict::Nothing;
        }
        let delivered = rate.delivered.wrapping_sub(self.delivered);
        let missing = u64::from(rate.lost.wrapping_sub(self.lost)) << 8;
        if delivered == 0 || missing < u64::from(LOSS_THRESHOLD) * u64::from(delivered) {
            return Verdict::Nothing;
        }
        let milliseconds = rate.delivered_at.since(self.since).as_millis() as u64;
        if milliseconds == 0 {
            return Verdict::Nothing;
        }
        let bandwidth = per_microsecond(delivered, milliseconds * 1000);
        self.end_interval(bandwidth, rate, mss)
    }

    fn end_interval(&mut self, bandwidth: u32, rate: &RateSample, mss: u32) -> Verdict {
        if self.bandwidth > 0 {
            let difference = u64::from(bandwidth.abs_diff(self.bandwidth));
            let bytes = (difference * u64::from(mss) * 990_000) / BANDWIDTH_UNIT;
            if difference * GAIN_UNIT as u64 <= SAME_RATIO * u64::from(self.bandwidth) || bytes <= SAME_BYTES
            {
                self.bandwidth = u32::midpoint(bandwidth, self.bandwidth);
                self.using = true;
                self.rounds = 0;
                return Verdict::Found;
            }
        }
        self.bandwidth = bandwidth;
        self.begin(rate);
        Verdict::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of 100 ms with 100 segments delivered and `lost` lost each; the round in which the policer is found.
    fn found_after(lost_per_round: u32) -> Option<u32> {
        let mut policer = Policer::default();
        let (mut delivered, mut lost) = (1, 0);
        for round in 1..60_u32 {
            delivered += 100;
            lost += lost_per_round;
            let rate = RateSample {
                delivered,
                delivered_at: Instant::from_millis(u64::from(round) * 100),
                newly_delivered: 100,
                lost,
                newly_lost: lost_per_round,
                ..RateSample::default()
            };
            if policer.on_ack(&rate, 1448, true, true) == Verdict::Found {
                // 1000 segments a second.
                let expected = per_microsecond(1000, 1_000_000);
                assert!(policer.rate().unwrap().abs_diff(expected) <= expected / 100);
                return Some(round);
            }
        }
        None
    }

    #[test]
    fn two_intervals_with_the_same_rate_and_a_fifth_lost_give_a_policer_away() {
        assert_eq!(found_after(25), Some(8));
        assert_eq!(found_after(15), None);
        assert_eq!(found_after(0), None);
    }

    #[test]
    fn its_rate_is_used_for_48_rounds() {
        let mut policer = Policer { using: true, bandwidth: 7, ..Policer::default() };
        let rate = RateSample::default();
        let used: Vec<Verdict> = (0..48).map(|_| policer.on_ack(&rate, 1448, true, true)).collect();
        assert!(used[..47].iter().all(|verdict| *verdict == Verdict::Nothing));
        assert_eq!((used[47], policer.rate()), (Verdict::UsedUp, None));
    }
}
