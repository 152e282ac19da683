//! Does this doubtful segment deserve an answer? Challenge ACKs and answers to unacceptable segments, limited in rate.
//!
//! RFC 5961 §7 asks for a limit. One that is shared between connections and not random tells an outsider whether another
//! connection exists (CVE-2016-5696), so the host's budget varies from second to second.

use crate::Instant;
use crate::random::Random;
use std::time::Duration;

/// Linux's tcp_invalid_ratelimit: the least time between two such answers of one connection.
const PER_CONNECTION: Duration = Duration::from_millis(500);
/// About how many challenge ACKs a host sends in a second.
const PER_SECOND: u32 = 1000;

/// A host's budget of challenge ACKs.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChallengeBudget {
    second: Option<u64>,
    left: u32,
}

impl ChallengeBudget {
    /// Takes one from the budget, if there is one left in this second.
    pub(crate) fn take(&mut self, now: Instant, random: &mut Random) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        if self.second != Some(second) {
            self.second = Some(second);
            self.left = PER_SECOND / 2 + random.below(PER_SECOND);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

/// A connection's limit for answers to segments that carry nothing acceptable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerLimit {
    last: Option<Instant>,
}

crate::pack::pack!(AnswerLimit { last });

impl AnswerLimit {
    /// True when an answer may be sent now; the next may follow after half a second.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        let allowed = self.last.is_none_or(|last| now.since(last) >= PER_CONNECTION);
        if allowed {
            self.last = Some(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_answers_twice_a_second_at_most() {
        let mut limit = AnswerLimit::default();
        let allowed = (0..2000).filter(|ms| limit.allows(Instant::from_millis(*ms))).count();
        assert_eq!(allowed, 4);
    }

    #[test]
    fn the_budget_of_a_second_is_limited_and_varies() {
        let (mut budget, mut random) = (ChallengeBudget::default(), Random::new(3));
        let mut in_second = |second: u64| {
            (0..3000).filter(|_| budget.take(Instant::from_millis(1000 * second), &mut random)).count()
        };
        let counts: Vec<usize> = (0..4).map(&mut in_second).collect();
        assert!(counts.iter().all(|count| (500..1500).contains(count)));
        assert_ne!(counts[0], counts[1]);
    }
}
