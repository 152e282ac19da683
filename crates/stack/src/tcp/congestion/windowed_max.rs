//! What was the largest value of the last few rounds? (Kathleen Nichols' filter with three samples, as in Linux's win_minmax.)

/// A value and its round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sample {
    round: u32,
    value: u32,
}

crate::pack::pack!(Sample { round, value });

/// The best, second and third best of a window of rounds: constant space, and exact enough that the maximum is never older than
/// the window.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowedMax {
    best: [Sample; 3],
}

crate::pack::pack!(WindowedMax { best });

impl WindowedMax {
    /// The maximum.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.best[0].value
    }

    /// The unit has changed: `before` of the old ones are `after` of the new ones.
    pub fn rescale(&mut self, before: u32, after: u32) {
        for sample in &mut self.best {
            let scaled = u64::from(sample.value) * u64::from(after) / u64::from(before.max(1));
            sample.value = u32::try_from(scaled).unwrap_or(u32::MAX);
        }
    }

    /// A value came in `round`; those older than `window` rounds are forgotten.
    pub fn add(&mut self, window: u32, round: u32, value: u32) {
        let new = Sample { round, value };
        let age = |sample: Sample| round.wrapping_sub(sample.round);
        if value >= self.best[0].value || age(self.best[2]) > window {
            self.best = [new; 3];
            return;
        }
        if value >= self.best[1].value {
            self.best[1] = new;
            self.best[2] = new;
        } else if value >= self.best[2].value {
            self.best[2] = new;
        }
        if age(self.best[0]) > window {
            self.best = [self.best[1], self.best[2], new];
            if age(self.best[0]) > window {
                self.best = [self.best[1], self.best[2], new];
            }
        } else if self.best[1].round == self.best[0].round && age(self.best[0]) > window / 4 {
            // A quarter of the window without a second best: take one from the second quarter.
            self.best[1] = new;
            self.best[2] = new;
        } else if self.best[2].round == self.best[1].round && age(self.best[1]) > window / 2 {
            self.best[2] = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_maximum_lasts_for_the_window_and_no_longer() {
        let mut max = WindowedMax::default();
        max.add(10, 0, 100);
        for round in 1..=10 {
            max.add(10, round, 50);
            assert_eq!(max.get(), 100, "round {round}");
        }
        max.add(10, 11, 50);
        assert_eq!(max.get(), 50);
    }

    proptest! {
        #[test]
        fn it_is_a_value_of_the_window_and_not_below_the_newest(values in proptest::collection::vec(0u32..1000, 1..200)) {
            let mut max = WindowedMax::default();
            for (round, value) in values.iter().enumerate() {
                max.add(10, round as u32, *value);
                let window = &values[round.saturating_sub(10)..=round];
                prop_assert!(max.get() >= *value && window.contains(&max.get()));
            }
        }
    }
}
