//! How long are the ticks of this side's timers, and when do they come? Its delayed ACKs leave on them.

use std::f64::consts::TAU;

/// Fewer delayed ACKs than this can fall together by chance.
const LEAST_SAMPLES: usize = 8;
/// How closely they have to fall together: the length of the mean of unit vectors, 1 where all are the same,
/// 0 where they are everywhere. Eight random ones reach 0.85 once in some hundred thousand.
const LEAST_CONCENTRATION: f64 = 0.85;
/// Ticks per second in use (Linux's choices), longest tick first: what falls on every fourth millisecond
/// falls on every one.
const RATES: [u32; 4] = [100, 250, 300, 1000];

/// Ticks of a host's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) hz: u32,
    /// Where they fall: nanoseconds since the origin of `times` modulo the tick's length.
    pub(crate) phase_ns: u64,
}

/// Finds the ticks on which `times` (nanoseconds, the host's own clock or one that runs alike) fall.
pub(crate) fn tick(times: impl Iterator<Item = u64> + Clone) -> Option<Tick> {
    if times.clone().count() < LEAST_SAMPLES {
        return None;
    }
    RATES.into_iter().find_map(|hz| {
        let period = 1e9 / f64::from(hz);
        let (mut x, mut y, mut n) = (0.0, 0.0, 0.0);
        for time in times.clone() {
            // Seconds are a whole number of ticks at each of these rates, which keeps the angle precise.
            let angle = (time % 1_000_000_000) as f64 / period * TAU;
            x += angle.cos();
            y += angle.sin();
            n += 1.0;
        }
        let concentration = f64::hypot(x, y) / n;
        // A timer's work comes a little after the tick, never before: the early side of the cluster is the
        // tick. The very first may be something else.
        let mean = y.atan2(x).rem_euclid(TAU) / TAU * period;
        (concentration >= LEAST_CONCENTRATION).then(|| {
            let mut offsets: Vec<f64> = times
                .clone()
                .map(|time| {
                    let from_mean = ((time % 1_000_000_000) as f64 - mean).rem_euclid(period);
                    if from_mean > period / 2.0 { from_mean - period } else { from_mean }
                })
                .collect();
            offsets.sort_unstable_by(f64::total_cmp);
            let phase = mean + offsets[offsets.len() / 10];
            Tick { hz, phase_ns: phase.rem_euclid(period) as u64 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times on ticks of `period` with up to `late` after them, at intervals that have nothing to do with the
    /// ticks.
    fn times(period: u64, phase: u64, late: u64, n: u64) -> Vec<u64> {
        (1..=n)
            .map(|i| {
                let ready = 1_795_397_715_000_000_000 + i * 61_803_399;
                (ready - phase).next_multiple_of(period) + phase + (i * 7919) % (late + 1)
            })
            .collect()
    }

    #[test]
    fn finds_the_tick_and_its_phase() {
        for (hz, period) in [(100, 10_000_000), (250, 4_000_000), (1000, 1_000_000)] {
            let found = tick(times(period, 700_000, 60_000, 20).into_iter()).unwrap();
            assert_eq!(found.hz, hz);
            assert!(found.phase_ns.abs_diff(700_000) < 60_000, "{found:?}");
        }
    }

    #[test]
    fn sees_no_tick_where_there_is_none_or_too_little() {
        assert_eq!(tick(times(1, 0, 0, 200).into_iter()), None);
        assert_eq!(tick(times(4_000_000, 0, 0, 7).into_iter()), None);
    }
}
