//! Has slow start gone far enough? HyStart++ (RFC 9406): a round trip that grows slows the growth down for a few rounds; if it was
//! only jitter, slow start goes on.

use super::AckSample;
use narrows_wire::Seq;
use std::time::Duration;

/// The constants that RFC 9406 §4.3 recommends.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u32 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u32 = 5;
/// Segments by which one ACK lets an unpaced window grow at most (L of RFC 9406 §4.2).
const LARGEST_STEP: u32 = 8;

/// Conservative slow start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Conservative {
    /// The smallest round trip of the round that looked too long.
    baseline: Duration,
    rounds: u32,
}

crate::pack::pack!(Conservative { baseline, rounds });

/// The observation of one connection.
#[derive(Clone, Debug, Default)]
pub struct HyStartPlusPlus {
    /// The round ends when this byte is acknowledged.
    round_end: Option<Seq>,
    last_round: Option<Duration>,
    round: Option<Duration>,
    samples: u32,
    conservative: Option<Conservative>,
    /// Segments acknowledged in conservative slow start that have not yet made one more.
    credit: u32,
}

crate::pack::pack!(HyStartPlusPlus { round_end, last_round, round, samples, conservative, credit });

impl HyStartPlusPlus {
    /// The growth has been slowed down: the path may be full.
    #[must_use]
    pub fn is_conservative(&self) -> bool {
        self.conservative.is_some()
    }

    /// An ACK in slow start. True when slow start is over: the threshold becomes the window.
    pub fn is_far_enough(&mut self, sample: &AckSample) -> bool {
        let over = match self.round_end {
            None => {
                self.round_end = Some(sample.snd_nxt);
                false
            }
            Some(end) if end.is_at_or_before(sample.snd_una) => self.end_round(sample.snd_nxt),
            Some(_) => false,
        };
        if let Some(rtt) = sample.rtt {
            self.round = Some(self.round.map_or(rtt, |least| least.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= N_RTT_SAMPLE
            && let (Some(round), Some(last)) = (self.round, self.last_round)
        {
            self.judge(round, last);
        }
        over
    }

    fn judge(&mut self, round: Duration, last: Duration) {
        match self.conservative {
            None => {
                let threshold = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if round >= last + threshold {
                    self.conservative = Some(Conservative { baseline: round, rounds: 0 });
                }
            }
            // It was jitter.
            Some(conservative) if round < conservative.baseline => self.conservative = None,
            Some(_) => {}
        }
    }

    fn end_round(&mut self, snd_nxt: Seq) -> bool {
        self.round_end = Some(snd_nxt);
        self.last_round = self.round.take();
        self.samples = 0;
        let Some(conservative) = &mut self.conservative else { return false };
        conservative.rounds += 1;
        conservative.rounds >= CSS_ROUNDS
    }

    /// By how many segments the window grows for `acked`.
    pub fn growth(&mut self, acked: u32, paced: bool) -> u32 {
        let acked = if paced { acked } else { acked.min(LARGEST_STEP) };
        if self.conservative.is_none() {
            self.credit = 0;
            return acked;
        }
        self.credit += acked;
        let grown = self.credit / CSS_GROWTH_DIVISOR;
        self.credit %= CSS_GROWTH_DIVISOR;
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds with these round trips, ten ACKs each; what the window grew by in each, and in which round slow start ended.
    fn rounds(round_trips: &[u64]) -> (Vec<u32>, Option<usize>) {
        let mut hystart = HyStartPlusPlus::default();
        let (mut grown, mut over) = (Vec::new(), None);
        for (round, rtt) in round_trips.iter().enumerate() {
            let first = 100 * round as u32;
            let mut sum = 0;
            for ack in 1..=10 {
                let sample = AckSample {
                    rtt: Some(Duration::from_millis(*rtt)),
                    snd_una: Seq(first + 10 * ack),
                    snd_nxt: Seq(first + 100 + 10 * ack),
                    ..AckSample::default()
                };
                if hystart.is_far_enough(&sample) {
                    over.get_or_insert(round);
                }
                sum += hystart.growth(2, false);
            }
            grown.push(sum);
        }
        (grown, over)
    }

    #[test]
    fn a_steady_round_trip_never_ends_it() {
        assert_eq!(rounds(&[100; 12]), (vec![20; 12], None));
    }

    #[test]
    fn a_round_trip_an_eighth_longer_slows_the_growth_to_a_quarter_and_five_rounds_later_it_is_over() {
        let (grown, over) = rounds(&[100, 100, 113, 113, 113, 113, 113, 113, 113]);
        assert_eq!(grown[1], 20);
        assert!(grown[2] > 5 && grown[2] < 20, "{grown:?}");
        assert!(grown[3..6].iter().all(|grown| *grown == 5), "{grown:?}");
        assert!(matches!(over, Some(7 | 8)), "{over:?}");
    }

    #[test]
    fn growth_below_the_threshold_goes_on_as_before() {
        assert_eq!(rounds(&[100, 110, 120, 130, 140, 150]).0, [20; 6]);
        // At least 4 ms and at most 16 ms.
        assert_eq!(rounds(&[10, 13, 16, 19]).0, [20; 4]);
        assert!(rounds(&[300, 317, 317, 317]).0[3] < 20);
    }

    #[test]
    fn if_it_was_jitter_slow_start_goes_on() {
        let (grown, over) = rounds(&[100, 120, 100, 100, 100, 100, 100, 100]);
        assert!(grown[1] < 20);
        assert_eq!((&grown[3..], over), (&[20; 5][..], None));
    }

    #[test]
    fn one_ack_lets_an_unpaced_window_grow_by_eight_at_most() {
        let mut hystart = HyStartPlusPlus::default();
        assert_eq!((hystart.growth(30, false), hystart.growth(30, true)), (8, 30));
    }
}
