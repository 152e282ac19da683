//! How much may be in flight, and how fast may it leave, when the path's rate and delay are measured instead of waiting for losses?
//! (BBR version 1 as Linux 6.18 ships it; Cardwell et al., ACM Queue 14-5, 2016; draft-cardwell-iccrg-bbr-congestion-control-00.)
//!
//! The model of the path is the largest delivery rate of ten rounds and the smallest round trip of ten seconds. Rates are segments per
//! microsecond times 2²⁴, gains are times 256: the arithmetic is Linux's, so that windows come out the same to the segment.

pub mod aggregation;
pub mod policer;

use super::delivery_rate::RateSample;
use super::windowed_max::WindowedMax;
use super::{AckSample, INFINITE, Repair, pacing};
use crate::Instant;
use crate::tcp::tick::Tick;
use aggregation::Aggregation;
use policer::{Policer, Verdict};
use std::time::Duration;

const BANDWIDTH_UNIT: u64 = 1 << 24;
const GAIN_UNIT: u32 = 256;
/// 2/ln 2: with it the rate doubles each round trip.
const HIGH_GAIN: u32 = GAIN_UNIT * 2885 / 1000 + 1;
const DRAIN_GAIN: u32 = GAIN_UNIT * 1000 / 2885;
/// Delayed ACKs need more than one product of rate and delay in flight.
const WINDOW_GAIN: u32 = GAIN_UNIT * 2;
/// The phases of the steady state: probe for more, drain what that queued, and six round trips at the rate.
const CYCLE: [u32; 8] =
    [GAIN_UNIT * 5 / 4, GAIN_UNIT * 3 / 4, GAIN_UNIT, GAIN_UNIT, GAIN_UNIT, GAIN_UNIT, GAIN_UNIT, GAIN_UNIT];
/// Rounds for which the largest rate counts.
const RATE_ROUNDS: u32 = 10;
const ROUND_TRIP_SECONDS: u64 = 10;
const PROBE_RTT: Duration = Duration::from_millis(200);
/// With fewer in flight every second ACK would have nothing to acknowledge.
const SMALLEST_WINDOW: u32 = 4;
/// A round in which the rate grows by less than a quarter …
const FULL_GROWTH: u64 = GAIN_UNIT as u64 * 5 / 4;
/// … three times in a row: the path is full.
const FULL_ROUNDS: u32 = 3;
/// Below 1.2 Mbit/s segments leave one by one, bytes per second.
const SINGLE_SEGMENT_RATE: u64 = 1_200_000 / 8;
/// The largest group, bytes, and in segments.
const GROUP_BYTES: u64 = 65_536 - 1 - 320;
const GROUP_SEGMENTS: u64 = 0x7f;
/// Until so many are delivered the window grows whatever the target.
const FIRST_WINDOW: u32 = 10;

/// What the connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Doubling the rate each round trip until it no longer grows.
    Startup,
    /// Waiting for the queue of the startup to drain.
    Drain,
    /// The steady state: a cycle of rates around the estimate.
    ProbeBandwidth,
    /// Four segments in flight, so that the queue empties and the smallest round trip shows.
    ProbeRoundTrip,
}

crate::pack::choices!(Mode { Startup, Drain, ProbeBandwidth, ProbeRoundTrip });

/// What an ACK leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The window, segments.
    pub window: u32,
    /// The startup has found this many segments to fill the path.
    pub threshold: Option<u32>,
    /// What is sent now says nothing about the path's rate.
    pub application_limited: bool,
}

/// The state of BBR on one connection.
#[derive(Clone, Debug)]
pub struct Bbr {
    tick: Tick,
    random: u64,
    mode: Mode,
    bandwidth: WindowedMax,
    rounds: u32,
    round_start: bool,
    /// The round ends when what was sent after this many deliveries arrives.
    round_end: u32,
    /// µs.
    min_rtt: Option<u64>,
    min_rtt_tick: u64,
    probe_done_tick: Option<u64>,
    probe_round_done: bool,
    cycle: usize,
    cycle_start: Instant,
    pacing_gain: u32,
    window_gain: u32,
    full: bool,
    full_rounds: u32,
    full_bandwidth: u32,
    policer: Policer,
    aggregation: Aggregation,
    restarting: bool,
    round_trip_known: bool,
    /// The window before a recovery or a probe of the round trip.
    prior_window: u32,
    repair_before: Repair,
    conserving: bool,
    latest: RateSample,
    mss: u32,
    /// Bytes per second.
    rate: u64,
}

crate::pack::pack!(Bbr {
    tick,
    random,
    mode,
    bandwidth,
    rounds,
    round_start,
    round_end,
    min_rtt,
    min_rtt_tick,
    probe_done_tick,
    probe_round_done,
    cycle,
    cycle_start,
    pacing_gain,
    window_gain,
    full,
    full_rounds,
    full_bandwidth,
    policer,
    aggregation,
    restarting,
    round_trip_known,
    prior_window,
    repair_before,
    conserving,
    latest,
    mss,
    rate,
});

impl Bbr {
    /// Segments of `after` bytes instead of `before`: as many bytes per second in another number of them. What was lost of the others
    /// does not show a policer.
    pub fn on_segment_size(&mut self, before: u32, after: u32) {
        self.bandwidth.rescale(after, before);
        self.policer = Policer::default();
    }

    /// A connection just established, with its first window. `seed` decides with which phase the steady state begins.
    #[must_use]
    pub fn new(tick: Tick, now: Instant, window: u32, mss: u32, path: Path, seed: u64) -> Bbr {
        let mut bbr = Bbr {
            tick,
            random: seed,
            mode: Mode::Startup,
            bandwidth: WindowedMax::default(),
            rounds: 0,
            round_start: false,
            round_end: 0,
            min_rtt: path.minimum.map(microseconds),
            min_rtt_tick: tick.number(now),
            probe_done_tick: None,
            probe_round_done: false,
            cycle: 0,
            cycle_start: Instant::ZERO,
            pacing_gain: HIGH_GAIN,
            window_gain: HIGH_GAIN,
            full: false,
            full_rounds: 0,
            full_bandwidth: 0,
            policer: Policer::default(),
            aggregation: Aggregation::default(),
            restarting: false,
            round_trip_known: false,
            prior_window: 0,
            repair_before: Repair::No,
            conserving: false,
            latest: RateSample::default(),
            mss,
            rate: pacing::UNLIMITED,
        };
        bbr.aggregation.restart(now);
        bbr.first_rate(window, mss, path.srtt);
        bbr
    }

    /// What the connection is doing.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The rate at which segments shall leave, bytes per second.
    #[must_use]
    pub fn pacing_rate(&self) -> u64 {
        self.rate
    }

    /// Fewest segments in a group when there is enough to send.
    #[must_use]
    pub fn smallest_group(&self) -> u32 {
        if self.rate < SINGLE_SEGMENT_RATE { 1 } else { 2 }
    }

    /// An ACK has come (Linux's `bbr_main`). `window` is the one in force.
    pub fn on_ack(&mut self, sample: &AckSample, next_departure: Instant, window: u32) -> Decision {
        let rate = &sample.rate;
        (self.latest, self.mss) = (*rate, sample.mss);
        let mut decision = Decision { window, threshold: None, application_limited: false };
        self.measure_bandwidth(rate, sample.mss);
        self.aggregation.on_ack(rate, self.estimate(), window, self.round_start);
        self.next_phase(sample, next_departure);
        self.look_whether_full(rate);
        if self.mode == Mode::Startup && self.full {
            self.mode = Mode::Drain;
            decision.threshold = Some(self.target(self.bandwidth.get(), GAIN_UNIT, sample.mss));
        }
        if self.mode == Mode::Drain {
            let left = self.in_network(sample.in_flight, sample.now, next_departure, sample.mss);
            if left <= self.target(self.bandwidth.get(), GAIN_UNIT, sample.mss) {
                self.begin_steady_state(rate.delivered_at);
            }
        }
        self.measure_round_trip(sample, &mut decision);
        self.set_gains();
        self.set_rate(sample.mss, sample.srtt, decision.window);
        decision.window = self.window(sample, decision.window);
        decision
    }

    /// The first segment leaves after a silence for which the application is to blame.
    pub fn on_restart(&mut self, now: Instant, mss: u32, srtt: Option<Duration>, window: u32) -> u32 {
        self.restarting = true;
        self.aggregation.restart(now);
        match self.mode {
            Mode::ProbeBandwidth => {
                self.pace(GAIN_UNIT, mss, srtt, window);
                window
            }
            Mode::ProbeRoundTrip => self.end_probe_if_due(now, window),
            Mode::Startup | Mode::Drain => window,
        }
    }

    /// A loss was found: the window is kept for later (Linux's `bbr_ssthresh`).
    pub fn on_loss(&mut self, window: u32) {
        self.keep_window(window);
    }

    /// The retransmission timer has expired (Linux's `bbr_set_state`).
    pub fn on_timeout(&mut self) {
        self.repair_before = Repair::Timeout;
        self.full_bandwidth = 0;
        self.round_start = true;
        let rate = RateSample { newly_lost: 1, application_limited: false, ..self.latest };
        let steady = self.mode == Mode::ProbeBandwidth;
        match self.policer.on_ack(&rate, self.mss, true, steady) {
            Verdict::Nothing => {}
            Verdict::Found => self.pacing_gain = GAIN_UNIT,
            Verdict::UsedUp => self.begin_steady_state(rate.delivered_at),
        }
    }

    /// A reduction was a mistake.
    pub fn undo(&mut self) {
        (self.full_bandwidth, self.full_rounds) = (0, 0);
        self.policer = Policer::default();
    }

    /// Segments per microsecond · 2²⁴.
    fn estimate(&self) -> u32 {
        self.policer.rate().unwrap_or_else(|| self.bandwidth.get())
    }

    fn measure_bandwidth(&mut self, rate: &RateSample, mss: u32) {
        self.round_start = false;
        let Some((segments, time)) = rate.measured else { return };
        let time = microseconds(time);
        if time == 0 {
            return;
        }
        if rate.delivered_before.wrapping_sub(self.round_end) as i32 >= 0 {
            self.round_end = rate.delivered;
            self.rounds = self.rounds.wrapping_add(1);
            self.round_start = true;
            self.conserving = false;
        }
        let steady = self.mode == Mode::ProbeBandwidth;
        match self.policer.on_ack(rate, mss, self.round_start, steady) {
            Verdict::Nothing => {}
            Verdict::Found => self.pacing_gain = GAIN_UNIT,
            Verdict::UsedUp => self.begin_steady_state(rate.delivered_at),
        }
        let bandwidth = per_microsecond(segments, time);
        if !rate.application_limited || bandwidth >= self.bandwidth.get() {
            self.bandwidth.add(RATE_ROUNDS, self.rounds, bandwidth);
        }
    }

    fn next_phase(&mut self, sample: &AckSample, next_departure: Instant) {
        if self.mode != Mode::ProbeBandwidth {
            return;
        }
        let rate = &sample.rate;
        let lasted = microseconds(rate.delivered_at.since(self.cycle_start));
        let long_enough = lasted > self.min_rtt.unwrap_or(u64::MAX);
        let bandwidth = self.bandwidth.get();
        let is_over = if self.pacing_gain == GAIN_UNIT {
            long_enough
        } else {
            let flight = self.in_network(sample.prior_in_flight, sample.now, next_departure, sample.mss);
            if self.pacing_gain > GAIN_UNIT {
                // Until the probing fills the path, unless it does not hold that much.
                let full = flight >= self.target(bandwidth, self.pacing_gain, sample.mss);
                long_enough && (rate.newly_lost > 0 || full)
            } else {
                long_enough || flight <= self.target(bandwidth, GAIN_UNIT, sample.mss)
            }
        };
        if is_over {
            self.cycle = (self.cycle + 1) % CYCLE.len();
            self.cycle_start = rate.delivered_at;
        }
    }

    fn begin_steady_state(&mut self, delivered_at: Instant) {
        self.mode = Mode::ProbeBandwidth;
        // Any phase but draining.
        let skip = 1 + (self.draw() % 7) as usize;
        self.cycle = (CYCLE.len() - skip + 1) % CYCLE.len();
        self.cycle_start = delivered_at;
    }

    fn draw(&mut self) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn look_whether_full(&mut self, rate: &RateSample) {
        if self.full || !self.round_start || rate.application_limited {
            return;
        }
        let threshold = (u64::from(self.full_bandwidth) * FULL_GROWTH) >> 8;
        if u64::from(self.bandwidth.get()) >= threshold {
            self.full_bandwidth = self.bandwidth.get();
            self.full_rounds = 0;
            return;
        }
        self.full_rounds += 1;
        self.full = self.full_rounds >= FULL_ROUNDS;
    }

    fn measure_round_trip(&mut self, sample: &AckSample, decision: &mut Decision) {
        let tick = self.tick.number(sample.now);
        let expired = tick > self.min_rtt_tick + ROUND_TRIP_SECONDS * self.tick.per_second();
        if let Some(rtt) = sample.rtt.map(microseconds)
            && (self.min_rtt.is_none_or(|least| rtt <= least) || (expired && !sample.delayed))
        {
            self.min_rtt = Some(rtt);
            self.min_rtt_tick = tick;
        }
        if expired && !self.restarting && self.mode != Mode::ProbeRoundTrip {
            self.mode = Mode::ProbeRoundTrip;
            self.keep_window(decision.window);
            self.probe_done_tick = None;
        }
        if self.mode == Mode::ProbeRoundTrip {
            decision.application_limited = true;
            if self.probe_done_tick.is_none() && sample.in_flight <= SMALLEST_WINDOW {
                self.probe_done_tick = Some(tick + self.tick.ticks(PROBE_RTT));
                self.probe_round_done = false;
                self.round_end = sample.rate.delivered;
            } else if self.probe_done_tick.is_some() {
                self.probe_round_done |= self.round_start;
                if self.probe_round_done {
                    decision.window = self.end_probe_if_due(sample.now, decision.window);
                }
            }
        }
        if sample.rate.measured.is_some_and(|(segments, _)| segments > 0) {
            self.restarting = false;
        }
    }

    fn end_probe_if_due(&mut self, now: Instant, window: u32) -> u32 {
        let tick = self.tick.number(now);
        if self.probe_done_tick.is_none_or(|done| tick <= done) {
            return window;
        }
        self.min_rtt_tick = tick;
        if self.full {
            self.begin_steady_state(now);
        } else {
            self.mode = Mode::Startup;
        }
        window.max(self.prior_window)
    }

    fn keep_window(&mut self, window: u32) {
        let undisturbed = self.repair_before == Repair::No && self.mode != Mode::ProbeRoundTrip;
        self.prior_window = if undisturbed { window } else { self.prior_window.max(window) };
    }

    fn set_gains(&mut self) {
        (self.pacing_gain, self.window_gain) = match self.mode {
            Mode::Startup => (HIGH_GAIN, HIGH_GAIN),
            Mode::Drain => (DRAIN_GAIN, HIGH_GAIN),
            Mode::ProbeBandwidth => {
                let policed = self.policer.rate().is_some();
                (if policed { GAIN_UNIT } else { CYCLE[self.cycle] }, WINDOW_GAIN)
            }
            Mode::ProbeRoundTrip => (GAIN_UNIT, GAIN_UNIT),
        };
    }

    fn set_rate(&mut self, mss: u32, srtt: Option<Duration>, window: u32) {
        self.pace(self.pacing_gain, mss, srtt, window);
    }

    fn pace(&mut self, gain: u32, mss: u32, srtt: Option<Duration>, window: u32) {
        let rate = bytes_per_second(self.estimate(), gain, mss);
        if !self.round_trip_known && srtt.is_some() {
            self.first_rate(window, mss, srtt);
        }
        if self.full || rate > self.rate {
            self.rate = rate;
        }
    }

    /// Before anything is measured: the first window per round trip, or per millisecond where none is known.
    fn first_rate(&mut self, window: u32, mss: u32, srtt: Option<Duration>) {
        self.round_trip_known |= srtt.is_some();
        let time = srtt.map_or(1_000, |srtt| microseconds(srtt).max(1));
        self.rate = bytes_per_second(per_microsecond(window, time), HIGH_GAIN, mss);
    }

    fn window(&mut self, sample: &AckSample, before: u32) -> u32 {
        let acked = sample.rate.newly_delivered;
        let mut window = before;
        if acked > 0 && !self.conserves(sample, acked, &mut window) {
            let bandwidth = self.estimate();
            let mut target = self.product(bandwidth, self.window_gain);
            if self.full {
                target += self.aggregation.allowance(bandwidth);
            }
            let target = self.with_groups(target, sample.mss);
            if self.full {
                window = (window + acked).min(target);
            } else if window < target || sample.rate.delivered < FIRST_WINDOW {
                window += acked;
            }
            window = window.max(SMALLEST_WINDOW);
        }
        if self.mode == Mode::ProbeRoundTrip { window.min(SMALLEST_WINDOW) } else { window }
    }

    /// In the first round of a recovery as many leave as arrive; after it the window is as before (true: the window is set).
    fn conserves(&mut self, sample: &AckSample, acked: u32, window: &mut u32) -> bool {
        *window = window.saturating_sub(sample.rate.newly_lost).max(1);
        let before = std::mem::replace(&mut self.repair_before, sample.repair);
        if sample.repair == Repair::Recovery && before != Repair::Recovery {
            self.conserving = true;
            self.round_end = sample.rate.delivered;
            *window = sample.in_flight + acked;
        } else if before != Repair::No && sample.repair == Repair::No {
            *window = (*window).max(self.prior_window);
            self.conserving = false;
        }
        if self.conserving {
            *window = (*window).max(sample.in_flight + acked);
        }
        self.conserving
    }

    /// What rate and delay hold, segments, times a gain.
    fn product(&self, bandwidth: u32, gain: u32) -> u32 {
        let Some(min_rtt) = self.min_rtt else { return FIRST_WINDOW };
        let bytes = (u128::from(bandwidth) * u128::from(min_rtt) * u128::from(gain)) >> 8;
        u32::try_from(bytes.div_ceil(u128::from(BANDWIDTH_UNIT))).unwrap_or(INFINITE)
    }

    /// The same with room for the groups in which hosts hand segments on.
    fn target(&self, bandwidth: u32, gain: u32, mss: u32) -> u32 {
        self.with_groups(self.product(bandwidth, gain), mss)
    }

    fn with_groups(&self, segments: u32, mss: u32) -> u32 {
        let even = segments.saturating_add(3 * self.group(mss)).saturating_add(1) & !1;
        if self.mode == Mode::ProbeBandwidth && self.cycle == 0 { even + 2 } else { even }
    }

    fn group(&self, mss: u32) -> u32 {
        let bytes = (self.rate >> 10).min(GROUP_BYTES);
        let segments = (bytes / u64::from(mss.max(1))).max(u64::from(self.smallest_group()));
        segments.min(GROUP_SEGMENTS) as u32
    }

    /// How many will be in the network when the next group departs.
    fn in_network(&self, in_flight: u32, now: Instant, next_departure: Instant, mss: u32) -> u32 {
        let wait = microseconds(next_departure.since(now));
        let delivered = (u128::from(self.estimate()) * u128::from(wait)) >> 24;
        let growing = self.pacing_gain > GAIN_UNIT;
        let then = in_flight + if growing { self.group(mss) } else { 0 };
        then.saturating_sub(u32::try_from(delivered).unwrap_or(u32::MAX))
    }
}

/// What is known of the path when a connection begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path {
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// Smallest round trip.
    pub minimum: Option<Duration>,
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Segments per microsecond · 2²⁴.
fn per_microsecond(segments: u32, microseconds: u64) -> u32 {
    u32::try_from(u64::from(segments) * BANDWIDTH_UNIT / microseconds.max(1)).unwrap_or(u32::MAX)
}

/// A hundredth less than the estimate, so that queues drain.
fn bytes_per_second(bandwidth: u32, gain: u32, mss: u32) -> u64 {
    let rate = (u128::from(bandwidth) * u128::from(mss) * u128::from(gain)) >> 8;
    u64::try_from((rate * (1_000_000 / 100 * 99)) >> 24).unwrap_or(pacing::UNLIMITED - 1)
}

#[cfg(test)]
mod tests;
