//! When does this side acknowledge what it does not answer? Its delayed-ACK timer, as seen.

use crate::AckTimer;
use crate::script::duration;
use crate::tick::{Tick, tick};

/// An acknowledgment later than this was delayed on purpose. Stacks wait 40 ms or more (Linux's least, RFC
/// 1122 allows 500), and acknowledge within microseconds otherwise.
pub(crate) const DELAYED_NS: i64 = 20_000_000;
/// Payload this soon after a pure acknowledgment belongs to the same step of the application.
const READ_NS: i64 = 1_000_000;
/// Samples kept for the median and the timer's tick.
const MAX_SAMPLES: usize = 256;

/// Delays of pure acknowledgments of less than two full segments, while they are collected.
#[derive(Clone, Debug, Default)]
pub(crate) struct AckDelays {
    further: u32,
    /// Delay, and when the acknowledgment left, on this side's clock; nanoseconds.
    samples: Vec<(i64, i64)>,
}

impl AckDelays {
    /// This side sent payload at `now`. An acknowledgment just before it left because the application had
    /// read, and not because a timer ended.
    pub(crate) fn spoke(&mut self, now: i64) {
        if self.samples.last().is_some_and(|(_, at)| now - at < READ_NS) {
            self.samples.pop();
        }
    }

    /// A pure acknowledgment left `delay` after what it acknowledges had arrived, at `now`.
    pub(crate) fn add(&mut self, delay: i64, now: i64) {
        if delay < DELAYED_NS {
            return;
        }
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push((delay, now));
        } else {
            self.further = self.further.saturating_add(1);
        }
    }

    /// The timer as the summary has it.
    pub(crate) fn timer(&self) -> AckTimer {
        let mut delays: Vec<i64> = self.samples.iter().map(|(delay, _)| *delay).collect();
        delays.sort_unstable();
        let at = |n: Option<usize>| duration(n.and_then(|n| delays.get(n)).copied().unwrap_or(0));
        AckTimer {
            count: (delays.len() as u32).saturating_add(self.further),
            min: at(Some(0)),
            median: at(Some(delays.len() / 2)),
            max: at(delays.len().checked_sub(1)),
        }
    }

    /// The ticks of the host's timers, on a clock that had `origin` (nanoseconds) when the connection began.
    pub(crate) fn tick(&self, origin: u64) -> Option<Tick> {
        tick(self.samples.iter().map(|(_, at)| origin.saturating_add_signed(*at)))
    }
}
