//! Which probes are still under way, and which have vanished?
//!
//! Pure: times are passed in. A probe has *vanished* when one that was sent after it has been answered and a quarter of a round trip
//! has gone by since (as RACK-TLP does for segments, RFC 8985 §6.2): this needs no timeout, and it cannot be mistaken for an
//! outage or for a limit on answers. A probe that nobody has overtaken is merely *silent* after its timeout.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What has become of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A later one was answered, this one was not.
    Vanished,
    /// Neither it nor anything sent later was answered in time.
    Silent,
}

/// How long an answer is waited for that nothing has overtaken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// Until silence means something: three round trips.
    #[default]
    Long,
    /// It comes from the way, not from its end: no later than the peer's would.
    OnTheWay,
    /// A guess is all that is wanted, which an answer that comes later corrects.
    Brief,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When it was sent.
    pub at: Instant,
    patience: Patience,
    /// When it will have vanished, once it was overtaken.
    overtaken: Option<Instant>,
}

/// Round trips, smoothed (RFC 6298 §2).
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTrip {
    /// The smallest of all.
    pub least: Option<Duration>,
    smoothed: Option<Duration>,
    variation: Duration,
}

impl RoundTrip {
    /// One more measurement.
    pub fn add(&mut self, sample: Duration) {
        self.least = Some(self.least.map_or(sample, |least| least.min(sample)));
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// The smoothed round trip.
    #[must_use]
    pub fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long silence may last: three round trips, or four variations more than one, and at least 50 ms.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let Some(smoothed) = self.smoothed else { return FIRST_TIMEOUT };
        (smoothed * 3).max(smoothed + self.variation * 4).clamp(LEAST_TIMEOUT, MOST_TIMEOUT)
    }
}

/// Before anything is known of the path.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
const LEAST_TIMEOUT: Duration = Duration::from_millis(50);
/// A busy host answers no sooner.
const LEAST_BRIEF: Duration = Duration::from_millis(20);
const MOST_TIMEOUT: Duration = Duration::from_secs(3);
/// How far packets may be out of order on any path, also where the round trip says less.
const LEAST_WINDOW: Duration = Duration::from_millis(4);

/// The probes under way, by their number; numbers grow in the order of sending.
#[derive(Clone, Debug, Default)]
pub struct Flight {
    under_way: BTreeMap<u16, Sent>,
    /// Round trips of answers by the peer itself.
    pub round_trip: RoundTrip,
    /// How many answers came after their probe had been given up: the path reorders, so wait longer.
    late: u32,
}

impl Flight {
    /// A probe was sent.
    pub fn sent(&mut self, number: u16, patience: Patience, at: Instant) {
        self.under_way.insert(number, Sent { at, patience, overtaken: None });
    }

    /// Nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// This probe is under way.
    #[must_use]
    pub fn contains(&self, number: u16) -> bool {
        self.under_way.contains_key(&number)
    }

    /// The peer has answered; `None` when the probe had been given up.
    pub fn answered(&mut self, number: u16, at: Instant) -> Option<Sent> {
        let Some(sent) = self.under_way.remove(&number) else {
            self.late += 1;
            return None;
        };
        self.round_trip.add(at.saturating_duration_since(sent.at));
        let vanished_at = at + self.window();
        for (_, earlier) in self.under_way.range_mut(..number) {
            earlier.overtaken = Some(earlier.overtaken.map_or(vanished_at, |known| known.min(vanished_at)));
        }
        Some(sent)
    }

    /// Somebody on the way has answered: the probe is accounted for, and says nothing of others.
    pub fn told(&mut self, number: u16) -> Option<Sent> {
        self.under_way.remove(&number)
    }

    /// How much later than others a packet may arrive.
    fn window(&self) -> Duration {
        let quarter = self.round_trip.smoothed().unwrap_or_default() / 4;
        quarter.max(LEAST_WINDOW) * (1 + self.late.min(3))
    }

    fn deadline_of(&self, sent: &Sent) -> Instant {
        let long = self.round_trip.timeout();
        let patience = match (sent.patience, self.round_trip.smoothed()) {
            (Patience::Long, _) | (_, None) => long,
            (Patience::OnTheWay, Some(smoothed)) => long.min((smoothed * 3 / 2).max(LEAST_TIMEOUT)),
            (Patience::Brief, Some(smoothed)) => long.min((smoothed + self.window()).max(LEAST_BRIEF)),
        };
        let timeout = sent.at + patience;
        sent.overtaken.map_or(timeout, |vanished| vanished.min(timeout))
    }

    /// When [`Flight::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.under_way.values().map(|sent| self.deadline_of(sent)).min()
    }

    /// The probes whose time is over.
    pub fn expire(&mut self, now: Instant) -> Vec<(u16, Sent, Fate)> {
        let over: Vec<(u16, Sent)> = self
            .under_way
            .iter()
            .filter(|(_, sent)| self.deadline_of(sent) <= now)
            .map(|(&number, &sent)| (number, sent))
            .collect();
        over.into_iter()
            .map(|(number, sent)| {
                self.under_way.remove(&number);
                (number, sent, if sent.overtaken.is_some() { Fate::Vanished } else { Fate::Silent })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_probe_has_vanished_a_quarter_round_trip_after_a_later_one_was_answered() {
        let begun = Instant::now();
        let mut flight = Flight::default();
        flight.sent(1, Patience::Long, begun);
        flight.sent(2, Patience::Long, begun + MS);
        assert_eq!(flight.deadline(), Some(begun + Duration::from_secs(1)));
        assert!(flight.answered(2, begun + 101 * MS).is_some());
        assert_eq!(flight.deadline(), Some(begun + 126 * MS));
        assert!(flight.expire(begun + 125 * MS).is_empty());
        let over = flight.expire(begun + 126 * MS);
        assert_eq!(
            over.iter().map(|(number, _, fate)| (*number, *fate)).collect::<Vec<_>>(),
            [(1, Fate::Vanished)]
        );
        assert!(flight.is_empty());
    }

    #[test]
    fn silence_alone_proves_nothing() {
        let begun = Instant::now();
        let mut flight = Flight::default();
        flight.sent(1, Patience::Long, begun);
        flight.answered(1, begun + 100 * MS);
        flight.sent(2, Patience::Long, begun + 100 * MS);
        flight.sent(3, Patience::Long, begun + 100 * MS);
        let over = flight.expire(begun + 400 * MS);
        assert!(over.iter().all(|(_, _, fate)| *fate == Fate::Silent) && over.len() == 2);
    }

    #[test]
    fn an_answer_that_comes_late_makes_it_more_patient() {
        let begun = Instant::now();
        let mut flight = Flight::default();
        flight.sent(1, Patience::Long, begun);
        flight.sent(2, Patience::Long, begun);
        flight.answered(2, begun + 100 * MS);
        flight.expire(begun + 130 * MS);
        assert!(flight.answered(1, begun + 140 * MS).is_none());
        flight.sent(3, Patience::Long, begun + 200 * MS);
        flight.sent(4, Patience::Long, begun + 200 * MS);
        flight.answered(4, begun + 300 * MS);
        assert!(flight.expire(begun + 330 * MS).is_empty());
        assert_eq!(flight.expire(begun + 351 * MS).len(), 1);
    }

    #[test]
    fn what_a_router_says_overtakes_nobody() {
        let begun = Instant::now();
        let mut flight = Flight::default();
        flight.sent(1, Patience::Long, begun);
        flight.sent(2, Patience::Long, begun);
        assert!(flight.told(2).is_some());
        let over = flight.expire(begun + Duration::from_secs(2));
        assert_eq!(over[0].2, Fate::Silent);
    }
}
