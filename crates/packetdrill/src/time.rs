//! When is an event due, and how far may it be off?
//!
//! Times are microseconds of the script. An event is on time when it differs from what is expected by no more than the tolerance: a
//! fixed one, or an eighth of the time since the event before, whichever is larger.

use crate::script::Time;

/// The tolerance when the script does not set one, microseconds.
pub const TOLERANCE: i64 = 4_000;

/// When an event is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Whenever.
    Any,
    /// Between two times, which may be the same.
    Between {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
        /// Time since the event before, which widens the tolerance; 0 for ranges.
        gap: i64,
    },
}

impl Due {
    /// The event's time, where `reference` is what relative times count from and `before` when the event before happened.
    #[must_use]
    pub fn new(time: Time, reference: i64, before: i64) -> Due {
        let at = |from: i64, to: i64| Due::Between { from, to, gap: 0 };
        match time {
            Time::Any => Due::Any,
            Time::Absolute(t) => Due::Between { from: t, to: t, gap: t - before },
            Time::Relative(t) => Due::Between { from: reference + t, to: reference + t, gap: t },
            Time::AbsoluteRange(from, to) => at(from, to),
            Time::RelativeRange(from, to) => at(reference + from, reference + to),
        }
    }

    /// When the script itself does something then; now for `*`.
    #[must_use]
    pub fn start(self, now: i64) -> i64 {
        match self {
            Due::Any => now,
            Due::Between { from, .. } => from,
        }
    }

    /// The last time that is on time.
    #[must_use]
    pub fn latest(self, tolerance: i64) -> Option<i64> {
        match self {
            Due::Any => None,
            Due::Between { to, gap, .. } => Some(to.saturating_add(tolerance.max(gap / 8))),
        }
    }

    /// Is `actual` on time?
    ///
    /// # Errors
    /// What was expected and seen.
    pub fn check(self, actual: i64, tolerance: i64) -> Result<(), String> {
        let Due::Between { from, to, gap } = self else { return Ok(()) };
        let slack = tolerance.max(gap / 8);
        if actual >= from - slack && actual <= to + slack {
            return Ok(());
        }
        let expected =
            if from == to { seconds(from) } else { format!("{} to {}", seconds(from), seconds(to)) };
        Err(format!(
            "expected at {expected} s, happened at {} s (tolerance {} s)",
            seconds(actual),
            seconds(slack)
        ))
    }
}

/// Microseconds as seconds.
#[must_use]
pub fn seconds(microseconds: i64) -> String {
    let sign = if microseconds < 0 { "-" } else { "" };
    let microseconds = microseconds.unsigned_abs();
    format!("{sign}{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_is_four_milliseconds_or_an_eighth_of_the_gap() {
        let due = Due::new(Time::Relative(10_000), 100_000, 100_000);
        assert!(due.check(114_000, TOLERANCE).is_ok());
        assert!(due.check(114_001, TOLERANCE).is_err());
        assert!(due.check(105_999, TOLERANCE).is_err());
        let due = Due::new(Time::Relative(800_000), 0, 0);
        assert!(due.check(900_000, TOLERANCE).is_ok());
        assert!(due.check(900_001, TOLERANCE).is_err());
    }

    #[test]
    fn a_range_has_the_tolerance_at_both_ends_and_a_star_none() {
        let due = Due::new(Time::RelativeRange(300_000, 400_000), 1_000_000, 0);
        assert!(due.check(1_404_000, TOLERANCE).is_ok());
        assert!(due.check(1_404_001, TOLERANCE).is_err());
        assert!(due.check(1_295_999, TOLERANCE).is_err());
        assert_eq!(Due::new(Time::Any, 5, 5).check(i64::MAX, 0), Ok(()));
    }
}
