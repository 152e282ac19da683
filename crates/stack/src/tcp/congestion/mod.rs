//! How much may be in flight? (RFC 5681, RFC 9438.)
//!
//! Windows are counted in segments, as Linux does: that is what its growth rules, and everything seen of it in
//! TCP_INFO, are made of.

pub mod cubic;
pub mod reno;
pub mod slow_start;

use crate::Instant;
use crate::knob::{CongestionControl, Knobs};
use crate::tcp::tick::Tick;
use cubic::Cubic;
use narrows_wire::Seq;
use std::time::Duration;

/// Larger than any window: no threshold is known yet.
pub const INFINITE: u32 = 0x7fff_ffff;

/// The settings of [`Congestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionConfig {
    /// Which algorithm.
    pub algorithm: CongestionControl,
    /// Initial window, segments.
    pub initial_window: u32,
    /// Go back towards the initial window after a silence.
    pub restart_after_idle: bool,
    /// HyStart in CUBIC's slow start.
    pub hystart: bool,
    /// CUBIC counts time in these ticks.
    pub tick: Tick,
}

impl CongestionConfig {
    /// What the knobs say.
    #[must_use]
    pub fn new(knobs: &Knobs, tick: Tick) -> CongestionConfig {
        CongestionConfig {
            algorithm: knobs.congestion_control,
            initial_window: knobs.initcwnd.max(1),
            restart_after_idle: knobs.slow_start_after_idle,
            hystart: knobs.hystart,
            tick,
        }
    }
}

/// What an ACK brought, as far as the window is concerned.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// The time.
    pub now: Instant,
    /// Segments that this ACK says have arrived, cumulatively or by SACK.
    pub delivered: u32,
    /// Round trip of the newest segment acknowledged, when it was sent only once.
    pub rtt: Option<Duration>,
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// First byte not acknowledged, after this ACK.
    pub snd_una: Seq,
    /// Next byte to be sent.
    pub snd_nxt: Seq,
    /// Effective MSS, bytes.
    pub mss: u32,
}

#[derive(Clone, Debug)]
enum Algorithm {
    Reno,
    Cubic(Cubic),
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
}

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
                CongestionControl::Cubic => Algorithm::Cubic(Cubic::new(config.tick, config.hystart, now)),
            },
            usage: slow_start::Usage::new(now),
        }
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
        if !self.config.restart_after_idle || idle <= rto {
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

    /// New data was acknowledged outside of recovery.
    pub fn on_ack(&mut self, sample: &AckSample) {
        if let (Algorithm::Cubic(cubic), Some(rtt)) = (&mut self.algorithm, sample.rtt) {
            let slow_start = self.window < self.threshold;
            if cubic.on_round_trip(sample, rtt, self.window, slow_start) {
                self.threshold = self.window;
            }
        }
        if !self.usage.is_limited(self.window, self.in_slow_start()) {
            return;
        }
        let mut acked = sample.delivered;
        if self.in_slow_start() {
            (self.window, acked) = slow_start::grow(self.window, self.threshold, acked);
            if acked == 0 {
                return;
            }
        }
        let per_segment = match &mut self.algorithm {
            Algorithm::Reno => self.window,
            Algorithm::Cubic(cubic) => cubic.acks_per_segment(sample.now, self.window, acked),
        };
        (self.window, self.credit) = reno::avoid(self.window, self.credit, per_segment, acked);
    }

    /// A round trip measured while recovery decides about the window; CUBIC learns the path's delay from it.
    pub fn on_round_trip_in_recovery(&mut self, sample: &AckSample) {
        if let (Algorithm::Cubic(cubic), Some(rtt)) = (&mut self.algorithm, sample.rtt) {
            let _ = cubic.on_round_trip(sample, rtt, self.window, false);
        }
    }

    /// A loss was found: the threshold falls. The window follows by [`Congestion::set_window`].
    pub fn on_loss(&mut self) {
        self.threshold = match &mut self.algorithm {
            Algorithm::Reno => reno::threshold(self.window),
            Algorithm::Cubic(cubic) => cubic.threshold(self.window),
        };
        self.credit = 0;
    }

    /// Recovery is over: the window is the threshold.
    pub fn on_recovered(&mut self) {
        if self.threshold < INFINITE {
            self.window = self.threshold.max(1);
        }
    }

    /// A reduction was a mistake: back to the window and the threshold before it.
    pub fn undo(&mut self, window: u32, threshold: u32) {
        self.window = self.window.max(window);
        self.threshold = self.threshold.max(threshold);
    }

    /// The retransmission timer has expired; `first` for the first time for this data (RFC 5681 §3.1: a repeated timeout
    /// leaves the threshold alone). `in_flight` counts what is not thought lost, segments.
    pub fn on_timeout(&mut self, now: Instant, snd_nxt: Seq, first: bool, in_flight: u32) {
        if first {
            self.on_loss();
        }
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.reset(now, snd_nxt);
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
