//! When does a timer that was set for a delay really fire? Linux rounds to ticks of its clock interrupt.
//!
//! Linux timers of a second or less live in a wheel that advances once per tick of 1/HZ. A timer is set for
//! `jiffies + delay`, where `jiffies` is the number of the current tick (so the part of a tick that has passed is
//! forgotten), and the wheel adds one granule so that it never fires early. Near timers have a granule of one tick; from
//! 63 ticks on it is 8 ticks, from 504 on 64, and so on. Measured on Linux 6.18 with HZ=250: a delayed ACK of
//! 40 ms leaves 41 to 48 ms after the data.

use crate::Instant;
use crate::pack::{Pack, Packer, Unpacker};
use std::time::Duration;

/// Buckets of one level of the wheel.
const LEVEL_SIZE: u64 = 64;
/// Each level is this many bits coarser than the one before.
const LEVEL_SHIFT: u32 = 3;
/// Levels of the wheel; timers beyond the last one fire at its end (Linux has 9 for HZ > 100, else 8).
const LEVELS: u32 = 9;
const NANOSECONDS: u64 = 1_000_000_000;

/// The clock that timers run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tick {
    /// Timers fire exactly when asked. Its ticks are nanoseconds.
    #[default]
    Exact,
    /// Linux jiffies.
    Jiffies {
        /// Ticks per second (CONFIG_HZ: 100, 250, 300 or 1000).
        hz: u32,
        /// How much of a tick has passed at [`Instant::ZERO`], nanoseconds.
        phase_ns: u64,
    },
}

// Hz 0 is exact, as in the knob.
impl Pack for Tick {
    fn pack(&self, to: &mut Packer<'_>) {
        match self {
            Tick::Exact => 0_u32.pack(to),
            Tick::Jiffies { hz, phase_ns } => (*hz, *phase_ns).pack(to),
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Tick {
        match from.take() {
            0 => Tick::Exact,
            hz => Tick::Jiffies { hz, phase_ns: from.take() },
        }
    }
}

impl Tick {
    /// Jiffies of 1/`hz` seconds; `hz` 0 means [`Tick::Exact`].
    #[must_use]
    pub fn new(hz: u32, phase_ns: u64) -> Tick {
        if hz == 0 { Tick::Exact } else { Tick::Jiffies { hz, phase_ns } }
    }

    /// Ticks per second.
    #[must_use]
    pub fn per_second(self) -> u64 {
        match self {
            Tick::Exact => 1_000_000_000,
            Tick::Jiffies { hz, .. } => u64::from(hz),
        }
    }

    /// The number of the tick in which `now` falls: Linux's `jiffies`.
    #[must_use]
    pub fn number(self, now: Instant) -> u64 {
        match self {
            Tick::Exact => now.as_nanos(),
            Tick::Jiffies { hz, phase_ns } => {
                // This is asked for every segment: a whole number of nanoseconds per tick needs no wide division.
                match now.as_nanos().checked_add(phase_ns) {
                    Some(since) if NANOSECONDS.is_multiple_of(u64::from(hz)) => {
                        since / (NANOSECONDS / u64::from(hz))
                    }
                    _ => {
                        let since = u128::from(now.as_nanos()) + u128::from(phase_ns);
                        saturate(since * u128::from(hz) / u128::from(NANOSECONDS))
                    }
                }
            }
        }
    }

    /// When tick `number` begins.
    #[must_use]
    pub fn start_of(self, number: u64) -> Instant {
        match self {
            Tick::Exact => Instant::from_nanos(number),
            Tick::Jiffies { hz, phase_ns } => {
                if NANOSECONDS.is_multiple_of(u64::from(hz))
                    && let Some(begins) = number.checked_mul(NANOSECONDS / u64::from(hz))
                {
                    return Instant::from_nanos(begins.saturating_sub(phase_ns));
                }
                let begins = (u128::from(number) * u128::from(NANOSECONDS)).div_ceil(u128::from(hz));
                Instant::from_nanos(saturate(begins.saturating_sub(u128::from(phase_ns))))
            }
        }
    }

    /// `duration` in ticks, rounded up as Linux's `usecs_to_jiffies` does.
    #[must_use]
    pub fn ticks(self, duration: Duration) -> u64 {
        // Both factors are at most 10⁹: the product fits.
        let part = (u64::from(duration.subsec_nanos()) * self.per_second()).div_ceil(NANOSECONDS);
        duration.as_secs().saturating_mul(self.per_second()).saturating_add(part)
    }

    /// The length of `ticks` ticks.
    #[must_use]
    pub fn duration(self, ticks: u64) -> Duration {
        match ticks.checked_mul(NANOSECONDS) {
            Some(scaled) => Duration::from_nanos(scaled / self.per_second()),
            None => Duration::from_secs(ticks / self.per_second()),
        }
    }

    /// When a timer fires that was set at `now` for the tick number `expires`.
    #[must_use]
    pub fn fires(self, now: Instant, expires: u64) -> Instant {
        if self == Tick::Exact {
            return Instant::from_nanos(expires.max(now.as_nanos()));
        }
        let clock = self.number(now);
        // A timer that is due already fires at the next tick.
        let expires = expires.max(clock);
        let shift = level_of(expires - clock) * LEVEL_SHIFT;
        let reach = (LEVEL_SIZE << ((LEVELS - 1) * LEVEL_SHIFT)) - (1 << ((LEVELS - 1) * LEVEL_SHIFT));
        let expires = expires.min(clock.saturating_add(reach));
        self.start_of(((expires >> shift) + 1) << shift)
    }

    /// When a timer fires that was set at `now` for `delay`.
    ///
    /// ```
    /// use narrows_stack::Instant;
    /// use narrows_stack::tcp::tick::Tick;
    /// use std::time::Duration;
    ///
    /// // One millisecond into a tick of 4 ms: 10 ticks and the rounding up make 43 ms.
    /// let tick = Tick::new(250, 0);
    /// let fires = tick.timer(Instant::from_millis(1), Duration::from_millis(40));
    /// assert_eq!(fires, Instant::from_millis(44));
    /// ```
    #[must_use]
    pub fn timer(self, now: Instant, delay: Duration) -> Instant {
        self.fires(now, self.number(now).saturating_add(self.ticks(delay)))
    }
}

/// The level of the wheel that holds a timer `ticks` away.
fn level_of(ticks: u64) -> u32 {
    (0..LEVELS - 1).find(|level| ticks < (LEVEL_SIZE - 1) << (level * LEVEL_SHIFT)).unwrap_or(LEVELS - 1)
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_delayed_ack_of_40_ms_fires_40_to_44_ms_later_with_hz_250() {
        let tick = Tick::new(250, 0);
        for microseconds in (0..4000).step_by(100) {
            let now = Instant::from_micros(1_000_000 + microseconds);
            let delay = tick.timer(now, ms(40)).since(now);
            assert_eq!(delay, ms(44) - Duration::from_micros(microseconds));
        }
    }

    #[test]
    fn the_phase_moves_the_tick_boundaries() {
        let tick = Tick::new(250, 1_500_000);
        assert_eq!(tick.number(Instant::ZERO), 0);
        assert_eq!(tick.number(Instant::from_micros(2_499)), 0);
        assert_eq!(tick.number(Instant::from_micros(2_500)), 1);
        assert_eq!(tick.start_of(1), Instant::from_micros(2_500));
    }

    #[test]
    fn timers_from_63_ticks_on_are_rounded_to_8_ticks() {
        let tick = Tick::new(250, 0);
        assert_eq!(tick.timer(Instant::ZERO, ms(62 * 4)), Instant::from_millis(63 * 4));
        assert_eq!(tick.timer(Instant::ZERO, ms(63 * 4)), Instant::from_millis(64 * 4));
        assert_eq!(tick.timer(Instant::ZERO, ms(64 * 4)), Instant::from_millis(72 * 4));
        assert_eq!(tick.timer(Instant::ZERO, ms(1000)), Instant::from_millis(256 * 4));
        assert_eq!(tick.timer(Instant::from_millis(4), ms(1000)), Instant::from_millis(256 * 4));
    }

    #[test]
    fn a_timer_never_fires_early_nor_more_than_two_granules_late() {
        for hz in [100, 250, 300, 1000] {
            let tick = Tick::new(hz, 777_777);
            for delay_ms in [0, 1, 7, 40, 200, 204, 999, 1000, 3000, 60_000, 120_000] {
                for start_us in [0, 1, 333, 3_999, 10_001, 123_456] {
                    let now = Instant::from_micros(start_us);
                    let late = tick.timer(now, ms(delay_ms)).since(now);
                    assert!(late >= ms(delay_ms), "hz {hz} delay {delay_ms} fired after {late:?}");
                    let granule = tick.duration(1) + ms(delay_ms) / 7;
                    assert!(late <= ms(delay_ms) + 2 * granule, "hz {hz} {delay_ms} fired after {late:?}");
                }
            }
        }
    }

    #[test]
    fn an_exact_clock_fires_exactly() {
        let now = Instant::from_nanos(123_456_789);
        assert_eq!(Tick::Exact.timer(now, ms(40)), now + ms(40));
        assert_eq!(Tick::Exact.timer(Instant::FAR_FUTURE, ms(40)), Instant::FAR_FUTURE);
    }

    #[test]
    fn far_timers_end_with_the_wheel_and_do_not_overflow() {
        let tick = Tick::new(1000, 0);
        let fires = tick.timer(Instant::ZERO, Duration::from_secs(u64::MAX / 2));
        assert!(fires > Instant::from_millis(1_000_000_000));
    }
}
