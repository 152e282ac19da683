//! How much may be in flight, and how fast may it leave? (RFC 5681, RFC 9438, BBR.)
//!
//! Windows are counted in segments, as Linux does: that is what its growth rules, and everything seen of it in
//! TCP_INFO, are made of.

pub mod bbr;
pub mod cubic;
pub mod delivery_rate;
pub mod hystart;
pub mod hystart_plus_plus;
pub mod pacing;
pub mod reno;
pub mod slow_start;
pub mod windowed_max;

use crate::Instant;
use crate::knob::{CongestionControl, HyStartKind, Knobs};
use crate::pack::{Pack, Packer, Unpacker};
use crate::tcp::tick::Tick;
use bbr::{Bbr, Path};
use cubic::Cubic;
use delivery_rate::RateSample;
use hystart_plus_plus::HyStartPlusPlus;
use narrows_wire::Seq;
use pacing::Pacing;
use std::time::Duration;

/// Larger than any window: no threshold is known yet.
pub const INFINITE: u32 = 0x7fff_ffff;

/// Before the handshake is over (RFC 9293 §3.7.1), bytes.
const DEFAULT_MSS: u32 = 536;

/// The settings of [`Congestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionConfig {
    /// Which algorithm.
    pub algorithm: CongestionControl,
    /// Initial window, segments.
    pub initial_window: u32,
    /// Go back towards the initial window after a silence.
    pub restart_after_idle: bool,
    /// What ends slow start before a loss does.
    pub hystart: HyStartKind,
    /// Windows leave spread over the round trip, whatever the algorithm.
    pub paced: bool,
    /// Segments never leave faster, bytes per second; [`pacing::UNLIMITED`].
    pub most_bytes_per_second: u64,
    /// Percent of a window per round trip in slow start and after it.
    pub pace_percent: (u32, u32),
    /// CUBIC counts time in these ticks.
    pub tick: Tick,
}

crate::pack::pack!(CongestionConfig {
    algorithm,
    initial_window,
    restart_after_idle,
    hystart,
    paced,
    most_bytes_per_second,
    pace_percent,
    tick,
});

impl CongestionConfig {
    /// What the knobs say.
    #[must_use]
    pub fn new(knobs: &Knobs, tick: Tick) -> CongestionConfig {
        CongestionConfig {
            algorithm: knobs.congestion_control,
            initial_window: knobs.initcwnd.max(1),
            restart_after_idle: knobs.slow_start_after_idle,
            hystart: knobs.hystart,
            paced: knobs.pacing,
            most_bytes_per_second: most_bytes_per_second(knobs),
            pace_percent: (knobs.system.pacing_ss_ratio, knobs.system.pacing_ca_ratio),
            tick,
        }
    }

    /// CUBIC watches trains of ACKs and the round trip itself.
    fn cubic_watches(&self) -> bool {
        self.hystart == HyStartKind::Linux
    }
}

/// SO_MAX_PACING_RATE as a knob has it: 0 is no limit.
#[must_use]
pub fn most_bytes_per_second(knobs: &Knobs) -> u64 {
    if knobs.max_pacing_rate == 0 { pacing::UNLIMITED } else { knobs.max_pacing_rate }
}

/// Which loss is being repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// None.
    #[default]
    No,
    /// One that ACKs have shown.
    Recovery,
    /// What a retransmission timeout has given up.
    Timeout,
}

crate::pack::choices!(Repair { No, Recovery, Timeout });

/// What an ACK brought, as far as the window is concerned.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckSample {
    /// The time.
    pub now: Instant,
    /// Segments that this ACK says have arrived, cumulatively or by SACK.
    pub delivered: u32,
    /// Round trip of the newest segment acknowledged, when it was sent only once.
    pub rtt: Option<Duration>,
    /// The ACK may have been delayed: it is for one segment alone.
    pub delayed: bool,
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// First byte not acknowledged, after this ACK.
    pub snd_una: Seq,
    /// Next byte to be sent.
    pub snd_nxt: Seq,
    /// Effective MSS, bytes.
    pub mss: u32,
    /// How fast the path delivers.
    pub rate: RateSample,
    /// Segments in flight before the ACK.
    pub prior_in_flight: u32,
    /// Segments in flight after it.
    pub in_flight: u32,
    /// Which loss is being repaired after it.
    pub repair: Repair,
}

#[derive(Clone, Debug)]
enum Algorithm {
    Reno,
    Cubic(Cubic),
    /// Boxed: three times as large as the others, and rarely in use.
    Bbr(Box<Bbr>),
}

impl Pack for Algorithm {
    fn pack(&self, to: &mut Packer<'_>) {
        match self {
            Algorithm::Reno => 0_u8.pack(to),
            Algorithm::Cubic(cubic) => {
                1_u8.pack(to);
                cubic.pack(to);
            }
            Algorithm::Bbr(bbr) => {
                2_u8.pack(to);
                bbr.pack(to);
            }
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Algorithm {
        match from.take::<u8>() {
            1 => Algorithm::Cubic(from.take()),
            2 => Algorithm::Bbr(Box::new(from.take())),
            _ => Algorithm::Reno,
        }
    }
}

/// Congestion window and threshold of one connection.
#[derive(Clone, Debug)]
pub struct Congestion {
    config: CongestionConfig,
    window: u32,
    threshold: u32,
    /// Segments acknowledged since the window last grew in congestion avoidance.
    credit: u32,
    algorithm: Algorithm,
    usage: slow_start::Usage,
    hystart_plus_plus: Option<HyStartPlusPlus>,
    pacing: Pacing,
    /// The window was cut, and the peer has not been told (ECN).
    reduced: bool,
}

crate::pack::pack!(Congestion {
    config,
    window,
    threshold,
    credit,
    algorithm,
    usage,
    hystart_plus_plus,
    pacing,
    reduced,
});

impl Congestion {
    /// A connection that has sent nothing yet.
    #[must_use]
    pub fn new(config: CongestionConfig, now: Instant) -> Congestion {
        Congestion {
            config,
            window: config.initial_window,
            threshold: INFINITE,
            credit: 0,
            algorithm: match config.algorithm {
                CongestionControl::Reno => Algorithm::Reno,
                CongestionControl::Cubic => {
                    Algorithm::Cubic(Cubic::new(config.tick, config.cubic_watches(), now))
                }
                CongestionControl::Bbr => {
                    let window = config.initial_window;
                    let bbr = Bbr::new(config.tick, now, window, DEFAULT_MSS, Path::default(), 0);
                    Algorithm::Bbr(Box::new(bbr))
                }
            },
            usage: slow_start::Usage::new(now),
            hystart_plus_plus: (config.hystart == HyStartKind::Rfc9406).then(HyStartPlusPlus::default),
            pacing: Pacing::new(
                config.paced || config.algorithm == CongestionControl::Bbr,
                config.most_bytes_per_second,
            ),
            reduced: false,
        }
    }

    /// The window was cut since this was asked last; with ECN the peer is told so.
    pub fn take_reduction(&mut self) -> bool {
        std::mem::take(&mut self.reduced)
    }

    /// The handshake is over: this is known of the path. `seed` is for what an algorithm leaves to chance.
    pub fn on_established(&mut self, now: Instant, mss: u32, path: Path, seed: u64) {
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            **bbr = Bbr::new(self.config.tick, now, self.window, mss, path, seed);
            self.pacing.set_rate(bbr.pacing_rate());
        }
        self.update_pace(path.srtt, mss, 0);
    }

    /// The algorithm sets window and rate by what is delivered, and neither by losses nor by proportional reduction.
    #[must_use]
    pub fn is_rate_based(&self) -> bool {
        matches!(self.algorithm, Algorithm::Bbr(_))
    }

    /// When segments may leave, and how fast.
    #[must_use]
    pub fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// The same, to be told what leaves.
    pub fn pacing_mut(&mut self) -> &mut Pacing {
        &mut self.pacing
    }

    /// The window has changed, or the round trip: so has the rate at which a window shall leave. `out` segments are unacknowledged.
    pub fn update_pace(&mut self, srtt: Option<Duration>, mss: u32, out: u32) {
        if self.is_rate_based() {
            return;
        }
        let (slow_start, avoidance) = self.config.pace_percent;
        let percent = if self.window < self.threshold / 2 { slow_start } else { avoidance };
        self.pacing.set_rate(pacing::window_rate(self.window.max(out), mss, srtt, percent));
    }

    /// Fewest segments in a group when there is enough to send, where the algorithm says so.
    #[must_use]
    pub fn smallest_group(&self) -> Option<u32> {
        match &self.algorithm {
            Algorithm::Bbr(bbr) => Some(bbr.smallest_group()),
            Algorithm::Reno | Algorithm::Cubic(_) => None,
        }
    }

    /// How many windows the send buffer shall hold.
    #[must_use]
    pub fn buffered_windows(&self) -> u64 {
        if self.is_rate_based() { 3 } else { 2 }
    }

    /// An ACK, for an algorithm that is rate-based. True when what is sent from now on says nothing about the path's rate.
    pub fn on_delivery(&mut self, sample: &AckSample) -> bool {
        let Algorithm::Bbr(bbr) = &mut self.algorithm else { return false };
        let decision = bbr.on_ack(sample, self.pacing.next_departure(), self.window);
        self.window = decision.window;
        self.threshold = decision.threshold.unwrap_or(self.threshold);
        self.pacing.set_rate(bbr.pacing_rate());
        decision.application_limited
    }

    /// Congestion window, segments (tcpi_snd_cwnd).
    #[must_use]
    pub fn window(&self) -> u32 {
        self.window
    }

    /// Slow start threshold, segments; [`INFINITE`] before the first loss (tcpi_snd_ssthresh).
    #[must_use]
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The window is below the threshold.
    #[must_use]
    pub fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    /// Recovery sets the window segment by segment (RFC 6937).
    pub fn set_window(&mut self, segments: u32) {
        self.window = segments.max(1);
    }

    /// Starts with one segment: the SYN had to be retransmitted (RFC 5681 §3.1). Linux does so only from the second
    /// retransmission on, since its first timeout is a second and no longer three.
    pub fn on_syn_retransmitted(&mut self) {
        self.window = 1;
    }

    /// A round of sending is over; `limited` when the window stopped it. `in_flight` counts segments.
    pub fn on_sent(
        &mut self,
        now: Instant,
        snd_una: Seq,
        snd_nxt: Seq,
        in_flight: u32,
        limited: bool,
        rto: Duration,
    ) {
        if self.is_rate_based() {
            return;
        }
        self.usage.on_sent(snd_una, snd_nxt, in_flight, limited);
        if self.usage.is_limited(self.window, self.in_slow_start()) {
            self.usage.network_is_fed(now);
        } else if let Some(used) = self.usage.starved_for(now, in_flight, rto)
            && self.config.restart_after_idle
        {
            self.application_limited(used);
        }
    }

    /// The application writes while nothing is in flight: has it been silent for too long? (RFC 5681 §4.1; sysctl
    /// tcp_slow_start_after_idle.) `last_sent` is when data last left.
    pub fn on_write_after_idle(&mut self, now: Instant, last_sent: Instant, rto: Duration) {
        let idle = now.since(last_sent);
        if !self.config.restart_after_idle || idle <= rto || self.is_rate_based() {
            return;
        }
        self.threshold = self.remembered_threshold();
        let restart = self.config.initial_window.min(self.window);
        let mut left = idle.saturating_sub(rto);
        while left > Duration::ZERO && self.window > restart {
            self.window /= 2;
            left = left.saturating_sub(rto);
        }
        self.window = self.window.max(restart);
        self.usage.restart(now);
    }

    /// The first segment leaves after nothing was in flight: time spent idle must not count as growth.
    pub fn on_transmission_starts(&mut self, now: Instant, last_sent: Instant) {
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.on_transmission_starts(now, last_sent);
        }
    }

    /// The same after a silence for which the application was to blame.
    pub fn on_restart(&mut self, now: Instant, mss: u32, srtt: Option<Duration>) {
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            self.window = bbr.on_restart(now, mss, srtt, self.window);
            self.pacing.set_rate(bbr.pacing_rate());
        }
    }

    /// New data was acknowledged outside of recovery.
    pub fn on_ack(&mut self, sample: &AckSample) {
        if let (Algorithm::Cubic(cubic), Some(rtt)) = (&mut self.algorithm, sample.rtt) {
            let slow_start = self.window < self.threshold;
            if cubic.on_round_trip(sample, rtt, self.window, slow_start, self.pacing.is_needed()) {
                self.threshold = self.window;
            }
        }
        if !self.usage.is_limited(self.window, self.in_slow_start()) {
            return;
        }
        let mut acked = sample.delivered;
        if self.in_slow_start()
            && let Some(hystart) = &mut self.hystart_plus_plus
        {
            if hystart.is_far_enough(sample) {
                self.threshold = self.window;
            } else {
                let grown = hystart.growth(acked, self.pacing.is_needed());
                (self.window, _) = slow_start::grow(self.window, self.threshold, grown);
                return;
            }
        }
        if self.in_slow_start() {
            (self.window, acked) = slow_start::grow(self.window, self.threshold, acked);
            if acked == 0 {
                return;
            }
        }
        let per_segment = match &mut self.algorithm {
            Algorithm::Reno => self.window,
            Algorithm::Cubic(cubic) => cubic.acks_per_segment(sample.now, self.window, acked),
            Algorithm::Bbr(_) => return,
        };
        (self.window, self.credit) = reno::avoid(self.window, self.credit, per_segment, acked);
    }

    /// A round trip measured while recovery decides about the window; CUBIC learns the path's delay from it.
    pub fn on_round_trip_in_recovery(&mut self, sample: &AckSample) {
        if let (Algorithm::Cubic(cubic), Some(rtt)) = (&mut self.algorithm, sample.rtt) {
            let _ = cubic.on_round_trip(sample, rtt, self.window, false, self.pacing.is_needed());
        }
    }

    /// A loss was found: the threshold falls. The window follows by [`Congestion::set_window`].
    pub fn on_loss(&mut self) {
        self.reduced = true;
        self.threshold = match &mut self.algorithm {
            Algorithm::Reno => reno::threshold(self.window),
            Algorithm::Cubic(cubic) => cubic.threshold(self.window),
            Algorithm::Bbr(bbr) => {
                bbr.on_loss(self.window);
                self.threshold
            }
        };
        self.credit = 0;
    }

    /// Recovery is over: the window is the threshold.
    pub fn on_recovered(&mut self) {
        if self.threshold < INFINITE && !self.is_rate_based() {
            self.window = self.threshold.max(1);
        }
    }

    /// A reduction was a mistake: back to the window and the threshold before it.
    pub fn undo(&mut self, window: u32, threshold: u32) {
        if threshold > self.threshold {
            self.reduced = false;
        }
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            bbr.undo();
            self.threshold = self.threshold.max(threshold);
            return;
        }
        self.window = self.window.max(window);
        self.threshold = self.threshold.max(threshold);
    }

    /// The retransmission timer has expired; `first` for the first time for this data (RFC 5681 §3.1: a repeated timeout
    /// leaves the threshold alone). `in_flight` counts what is not thought lost, segments.
    pub fn on_timeout(&mut self, now: Instant, snd_nxt: Seq, first: bool, in_flight: u32) {
        if first {
            self.on_loss();
        }
        self.reduced = true;
        match &mut self.algorithm {
            Algorithm::Reno => {}
            Algorithm::Cubic(cubic) => cubic.reset(now, snd_nxt),
            Algorithm::Bbr(bbr) => bbr.on_timeout(),
        }
        if let Some(hystart) = &mut self.hystart_plus_plus {
            *hystart = HyStartPlusPlus::default();
        }
        self.window = in_flight + 1;
        self.credit = 0;
    }

    /// Segments were lost for their size, which is no congestion: window and rate of growth stay, CUBIC begins to learn anew (as
    /// Linux does in its state Loss).
    pub fn on_lost_for_size(&mut self, now: Instant, snd_nxt: Seq) {
        self.threshold = self.remembered_threshold();
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.reset(now, snd_nxt);
        }
    }

    /// Segments are larger from now on: as many bytes in as many fewer segments.
    pub fn on_larger_segments(&mut self, before: u32, after: u32) {
        let scaled = u64::from(self.window) * u64::from(before) / u64::from(after.max(1));
        self.window = u32::try_from(scaled).unwrap_or(u32::MAX).max(1);
        self.threshold = self.remembered_threshold();
        self.credit = 0;
    }

    /// Segments have another size from now on, for the sake of loss: as many bytes in flight and per second.
    pub fn on_segment_size(&mut self, before: u32, after: u32) {
        self.on_larger_segments(before, after);
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            bbr.on_segment_size(before, after);
        }
    }

    /// The threshold to return to when the window turns out to have been good: three quarters of it, or the threshold in force.
    #[must_use]
    pub fn remembered_threshold(&self) -> u32 {
        self.threshold.max(self.window / 2 + self.window / 4)
    }

    /// The application has used only part of the window for a while: forget half of the rest (RFC 2861).
    fn application_limited(&mut self, used: u32) {
        let used = used.max(self.config.initial_window);
        if used < self.window {
            self.threshold = self.remembered_threshold();
            self.window = u32::midpoint(self.window, used);
        }
    }
}

#[cfg(test)]
mod tests;
