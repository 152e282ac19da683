//! Which sizes are asked of a peer whose answers are few?
//!
//! Pure. A datagram that fits costs one of the answers that the peer grants (Linux: six at once, then one per second and peer, `icmp_ratelimit`
//! and `XRLIM_BURST_FACTOR`), one that does not fit costs nothing, because it never gets there. Of m sizes sent at once, those that fit are
//! answered, all of them. So with t answers left, m sizes leave t, t − 1, … t − m of them, and in r rounds any of C(t + r, r) sizes can be
//! found (as with a few eggs and many floors, only with several floors per try). The sizes of a round cut what is
//! possible in these proportions, each size weighed by how often paths end there.

use crate::search::COMMON;
use std::time::{Duration, Instant};

/// Answers at once, and the time for one more, of a Linux peer.
const BURST: f64 = 6.0;
const REFILL: Duration = Duration::from_secs(1);

/// How much more often a path ends at a well-known size than at another one, and how much less often below what IPv6 needs, below what
/// every IPv4 host takes, and between Ethernet's sizes. The proportions only decide how many rounds it takes.
const WELL_KNOWN: f64 = 4.0;
const BELOW_IPV6: f64 = 0.5;
const BELOW_IPV4: f64 = 0.05;
const JUMBO: f64 = 0.02;

/// How many answers the peer still grants, as far as can be known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    /// As a peer begins that has not answered anybody lately.
    pub fn new(now: Instant) -> Allowance {
        Allowance { left: BURST, at: now }
    }

    /// One answer has come.
    pub fn spend(&mut self, now: Instant) {
        self.left = (self.left_at(now) - 1.0).max(0.0);
        self.at = now;
    }

    /// Answers that were expected have not come: there are none left.
    pub fn run_out(&mut self, now: Instant) {
        (self.left, self.at) = (0.0, now);
    }

    fn left_at(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + since / REFILL.as_secs_f64()).min(BURST)
    }

    /// Whole answers.
    pub fn whole(&self, now: Instant) -> u32 {
        self.left_at(now) as u32
    }

    /// How long until there is one more.
    pub fn next(&self, now: Instant) -> Duration {
        let left = self.left_at(now);
        REFILL.mul_f64(1.0 - left.fract())
    }
}

/// How many sizes can be told apart with so many answers in so many rounds: C(answers + rounds, rounds).
fn reach(answers: u32, rounds: u32) -> f64 {
    (1..=answers).fold(1.0, |product, one| product * f64::from(rounds + one) / f64::from(one))
}

fn weight(size: u32) -> f64 {
    match size {
        _ if COMMON.contains(&size) => WELL_KNOWN,
        0..576 => BELOW_IPV4,
        576..1280 => BELOW_IPV6,
        1280..=1500 => 1.0,
        _ => JUMBO,
    }
}

/// Rounds until one size is left of those from `low` to below `high`, with so many answers.
fn rounds(low: u32, high: u32, answers: u32) -> u32 {
    let sum: f64 = (low..high).map(weight).sum();
    // Few sizes count each, whatever they weigh.
    let wanted = sum.max(f64::from((high - low).min(32)));
    (1..u32::MAX).find(|&rounds| reach(answers, rounds) >= wanted).unwrap_or(u32::MAX)
}

/// The next step of a search between `low`, which fits, and `high`, which does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask these sizes, from the largest down.
    Ask(Vec<u32>),
    /// Wait for one more answer: with it fewer rounds are needed, and it is here sooner than they would be over.
    Wait,
}

/// Decides it, with so many answers to spend and `round` for each round; `next` is the time until there is one more.
pub(crate) fn step(low: u32, high: u32, answers: u32, next: Duration, round: Duration) -> Step {
    if answers == 0 {
        return Step::Wait;
    }
    let now = rounds(low, high, answers);
    let later = rounds(low, high, answers + 1);
    if round * now > next + round * later {
        return Step::Wait;
    }
    let total: f64 = (low..high).map(weight).sum();
    let whole = reach(answers, now);
    let mut sizes = Vec::new();
    let (mut target, mut sum, mut size) = (0.0, 0.0, low);
    for spent in 0..answers {
        target += total * reach(answers - spent, now - 1) / whole;
        // A size belongs below the cut when more than half of it does.
        while size < high && sum + weight(size) / 2.0 <= target {
            sum += weight(size);
            size += 1;
        }
        size = size.max(low + 1);
        if size < high && sizes.last() != Some(&size) {
            sizes.push(size);
        }
    }
    if sizes.is_empty() {
        sizes.push(high - 1);
    }
    sizes.reverse();
    Step::Ask(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Duration = Duration::from_millis(125);

    /// Plays a search of a peer that has answered `before` already; how long it takes, and the size that is left.
    fn play(mtu: u32, low: u32, high: u32, before: u32) -> (Duration, u32) {
        let begun = Instant::now();
        let mut allowance = Allowance::new(begun);
        (0..before).for_each(|_| allowance.spend(begun));
        let (mut low, mut high, mut now) = (low, high, begun);
        while high - low > 1 {
            // One is kept for the proof.
            let answers = allowance.whole(now).saturating_sub(1);
            match step(low, high, answers, allowance.next(now), ROUND) {
                Step::Wait => now += allowance.next(now),
                Step::Ask(sizes) => {
                    assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
                    assert!(sizes.iter().all(|&size| size > low && size < high), "{sizes:?} {low} {high}");
                    assert!(sizes.len() as u32 <= answers);
                    for size in sizes {
                        if size <= mtu {
                            low = low.max(size);
                            allowance.spend(now);
                        } else {
                            high = high.min(size);
                        }
                    }
                    now += ROUND;
                }
            }
            assert!(now - begun < Duration::from_secs(60));
        }
        (now - begun, low)
    }

    #[test]
    fn six_answers_find_every_size_of_ethernet_in_little_more_than_a_second() {
        let mut sum = Duration::ZERO;
        for mtu in 576..1500 {
            let (time, found) = play(mtu, 120, 1500, 1);
            assert_eq!(found, mtu);
            let most = if mtu >= 1280 { 1125 } else { 1500 };
            assert!(time <= Duration::from_millis(most), "{mtu}: {time:?}");
            sum += time;
        }
        assert!(sum / 924 < Duration::from_millis(1200), "{:?} on average", sum / 924);
    }

    #[test]
    fn jumbo_frames_and_an_empty_allowance_come_to_an_end() {
        for mtu in [1500, 2000, 4352, 8999, 576, 120] {
            for (high, before) in [(9000, 1), (9000, 6), (65_535, 2)] {
                let (time, found) = play(mtu, 120, high, before);
                assert_eq!(found, mtu);
                assert!(time < Duration::from_secs(8), "{mtu}: {time:?}");
            }
        }
    }

    #[test]
    fn an_allowance_fills_again_with_time() {
        let begun = Instant::now();
        let mut allowance = Allowance::new(begun);
        for _ in 0..8 {
            allowance.spend(begun);
        }
        assert_eq!(allowance.whole(begun), 0);
        let later = begun + Duration::from_millis(2500);
        assert_eq!(allowance.whole(later), 2);
        assert_eq!(allowance.next(later), Duration::from_millis(500));
        assert_eq!(allowance.whole(begun + Duration::from_secs(60)), 6);
        allowance.run_out(later);
        assert_eq!(allowance.whole(later), 0);
    }

    #[test]
    fn what_a_few_answers_reach_is_a_binomial() {
        assert_eq!(reach(0, 9), 1.0);
        assert_eq!(reach(1, 9), 10.0);
        assert_eq!(reach(4, 7), 330.0);
    }
}
