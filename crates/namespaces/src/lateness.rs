//! How late is late? A distribution of times in fixed memory.

use std::time::Duration;

/// Times, counted by the microsecond up to [`Lateness::FINEST`]; what is longer is counted as that long.
#[derive(Clone, Debug)]
pub struct Lateness {
    by_microsecond: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Lateness {
    fn default() -> Lateness {
        Lateness { by_microsecond: vec![0; 10_001], count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl Lateness {
    /// Longer times are not told apart by [`Lateness::quantile`].
    pub const FINEST: Duration = Duration::from_millis(10);

    /// Adds a time.
    pub fn add(&mut self, time: Duration) {
        let bucket = (time.as_micros() as usize).min(self.by_microsecond.len() - 1);
        self.by_microsecond[bucket] += 1;
        self.count += 1;
        self.sum += time;
        self.max = self.max.max(time);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos((self.sum.as_nanos() / u128::from(self.count.max(1))) as u64)
    }

    /// The time that a part `q` (0 to 1) does not exceed, rounded up to a microsecond.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let wanted = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (microsecond, count) in self.by_microsecond.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(microsecond as u64 + 1).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_microsecond() {
        let mut late = Lateness::default();
        assert_eq!(late.quantile(0.5), Duration::ZERO);
        for microsecond in 1..=1_000 {
            late.add(Duration::from_micros(microsecond));
        }
        late.add(Duration::from_secs(1));
        assert_eq!(late.quantile(0.5), Duration::from_micros(502));
        assert_eq!(late.quantile(1.0), Lateness::FINEST + Duration::from_micros(1));
        assert_eq!((late.count(), late.max()), (1_001, Duration::from_secs(1)));
    }
}
