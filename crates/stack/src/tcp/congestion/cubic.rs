//! How does the window grow as a cubic function of time? (RFC 9438, with Linux's constants and integer arithmetic.)

use super::AckSample;
use super::hystart::HyStart;
use crate::Instant;
use crate::tcp::tick::Tick;
use narrows_wire::Seq;
use std::time::Duration;

/// β = 717/1024 ≈ 0.7: the part of the window that is left after a loss.
const BETA: u64 = 717;
const BETA_SCALE: u64 = 1024;
/// C = 410/1024 ≈ 0.4, the steepness of the curve (window in segments, time in seconds).
const C: u64 = 410;
/// Time on the curve is counted in 1/1024 s.
const TIME_SHIFT: u32 = 10;
/// Segments acknowledged per segment of Reno's window, in eighths of the window: 3(1-β)/(1+β).
const RENO_SCALE: u64 = 8 * (BETA_SCALE + BETA) / 3 / (BETA_SCALE - BETA);

/// The state of CUBIC on one connection.
#[derive(Clone, Debug)]
pub struct Cubic {
    tick: Tick,
    hystart: Option<HyStart>,
    /// Window before the last reduction (after fast convergence).
    last_max: u32,
    last_window: u32,
    last_time: u64,
    /// Tick in which the present curve began.
    epoch: Option<u64>,
    /// Window at the curve's flat point.
    origin: u32,
    /// Time from the epoch to the flat point, 1/1024 s.
    k: u64,
    /// ACKs per segment of growth.
    per_segment: u32,
    acked: u64,
    /// The window that Reno would have.
    reno_window: u64,
    delay_min: Option<Duration>,
}

crate::pack::pack!(Cubic {
    tick,
    hystart,
    last_max,
    last_window,
    last_time,
    epoch,
    origin,
    k,
    per_segment,
    acked,
    reno_window,
    delay_min,
});

impl Cubic {
    pub(super) fn new(tick: Tick, hystart: bool, now: Instant) -> Cubic {
        Cubic {
            tick,
            hystart: hystart.then(|| HyStart::new(now, None)),
            last_max: 0,
            last_window: 0,
            last_time: 0,
            epoch: None,
            origin: 0,
            k: 0,
            per_segment: 0,
            acked: 0,
            reno_window: 0,
            delay_min: None,
        }
    }

    /// A timeout: nothing learnt about the path holds any more.
    pub(super) fn reset(&mut self, now: Instant, snd_nxt: Seq) {
        *self = Cubic::new(self.tick, self.hystart.is_some(), now);
        if let Some(hystart) = &mut self.hystart {
            *hystart = HyStart::new(now, Some(snd_nxt));
        }
    }

    /// The threshold after a loss. A window that lost before it reached its former maximum gives way to newcomers (fast
    /// convergence, RFC 9438 §4.7).
    pub(super) fn threshold(&mut self, window: u32) -> u32 {
        self.epoch = None;
        self.last_max = if window < self.last_max {
            (u64::from(window) * (BETA_SCALE + BETA) / (2 * BETA_SCALE)) as u32
        } else {
            window
        };
        ((u64::from(window) * BETA / BETA_SCALE) as u32).max(2)
    }

    pub(super) fn on_transmission_starts(&mut self, now: Instant, last_sent: Instant) {
        let idle = self.tick.number(now).saturating_sub(self.tick.number(last_sent));
        if let Some(epoch) = &mut self.epoch {
            *epoch = (*epoch + idle).min(self.tick.number(now));
        }
    }

    /// A round trip was measured. `true`: slow start has gone far enough.
    pub(super) fn on_round_trip(
        &mut self,
        sample: &AckSample,
        rtt: Duration,
        window: u32,
        slow_start: bool,
        paced: bool,
    ) -> bool {
        // Right after a recovery the queue is not yet what it will be.
        let age = self.epoch.map(|epoch| self.tick.number(sample.now).saturating_sub(epoch));
        if age.is_some_and(|age| age < self.tick.per_second()) {
            return false;
        }
        let rtt = rtt.max(Duration::from_micros(1));
        let delay_min = self.delay_min.map_or(rtt, |least| least.min(rtt));
        self.delay_min = Some(delay_min);
        match &mut self.hystart {
            Some(hystart) if slow_start => hystart.is_far_enough(sample, rtt, delay_min, window, paced),
            _ => false,
        }
    }

    /// How many ACKed segments buy one segment of window now?
    pub(super) fn acks_per_segment(&mut self, now: Instant, window: u32, acked: u32) -> u32 {
        self.acked += u64::from(acked);
        let jiffy = self.tick.number(now);
        let recent = jiffy.saturating_sub(self.last_time) <= self.tick.per_second() / 32;
        if self.last_window == window && recent && self.per_segment > 0 {
            return self.per_segment;
        }
        if self.epoch.is_none() || jiffy != self.last_time {
            self.last_window = window;
            self.last_time = jiffy;
            self.follow_curve(jiffy, window, acked);
        }
        self.not_slower_than_reno(window);
        // At most half a segment per segment acknowledged: 1.5 times the window in a round trip.
        self.per_segment = self.per_segment.max(2);
        self.per_segment
    }

    fn follow_curve(&mut self, jiffy: u64, window: u32, acked: u32) {
        let epoch = match self.epoch {
            Some(epoch) => epoch,
            None => {
                self.epoch = Some(jiffy);
                self.acked = u64::from(acked);
                self.reno_window = u64::from(window);
                if self.last_max <= window {
                    self.k = 0;
                    self.origin = window;
                } else {
                    self.k = cube_root_of_k(self.last_max - window);
                    self.origin = self.last_max;
                }
                jiffy
            }
        };
        let delay = self.delay_min.map_or(0, |delay| self.tick.ticks(delay));
        let ticks = u128::from(jiffy.saturating_sub(epoch) + delay);
        let t = ((ticks << TIME_SHIFT) / u128::from(self.tick.per_second())) as u64;
        let offset = u128::from(t.abs_diff(self.k).min(1 << 30));
        let delta = (u128::from(C) * offset * offset * offset) >> (10 + 3 * TIME_SHIFT);
        let delta = u32::try_from(delta).unwrap_or(u32::MAX / 2);
        let target =
            if t < self.k { self.origin.saturating_sub(delta) } else { self.origin.saturating_add(delta) };
        self.per_segment =
            if target > window { window / (target - window) } else { window.saturating_mul(100) };
        // No loss seen yet, so the path may hold much more: five per cent a round trip.
        if self.last_max == 0 {
            self.per_segment = self.per_segment.min(20);
        }
    }

    /// The Reno-friendly region (RFC 9438 §4.3).
    fn not_slower_than_reno(&mut self, window: u32) {
        let per_reno_segment = (u64::from(window) * RENO_SCALE) >> 3;
        if per_reno_segment > 0 && self.acked > per_reno_segment {
            let grown = (self.acked - 1) / per_reno_segment;
            self.acked -= grown * per_reno_segment;
            self.reno_window += grown;
        }
        if let Some(behind) = self.reno_window.checked_sub(u64::from(window)).filter(|behind| *behind > 0) {
            self.per_segment = self.per_segment.min((u64::from(window) / behind) as u32);
        }
    }
}

/// K, in 1/1024 s: the time after which the curve has climbed `segments`: ∛(segments/C).
fn cube_root_of_k(segments: u32) -> u64 {
    let cubed = (1_u128 << (10 + 3 * TIME_SHIFT)) / u128::from(C) * u128::from(segments);
    let (mut low, mut high) = (0_u128, 1_u128 << 26);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if middle * middle * middle <= cubed { low = middle } else { high = middle - 1 }
    }
    low as u64
}
