//! How long is a round trip, and how long to wait for an ACK? (RFC 6298, in Linux's arithmetic.)

use crate::tcp::tick::Tick;
use narrows_wire::Seq;
use std::time::Duration;

/// The limits of the retransmission timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtoLimits {
    /// Before the first sample (RFC 6298 §2.1: 1 s).
    pub initial: Duration,
    /// Linux adds at least this to the smoothed round trip; a system that follows RFC 6298 §2.4 uses it as a floor.
    pub min: Duration,
    /// Ceiling (Linux: 120 s).
    pub max: Duration,
}

crate::pack::pack!(RtoLimits { initial, min, max });

impl Default for RtoLimits {
    fn default() -> RtoLimits {
        RtoLimits {
            initial: Duration::from_secs(1),
            min: Duration::from_millis(200),
            max: Duration::from_secs(120),
        }
    }
}

/// The estimator of one connection. Samples must obey Karn's rule: none from a segment that was sent twice, unless
/// timestamps tell which copy was acknowledged (RFC 6298 §3, RFC 7323 §4).
#[derive(Clone, Debug)]
pub struct RttEstimator {
    limits: RtoLimits,
    tick: Tick,
    /// Smoothed round trip, eighths of a microsecond; 0: no sample yet.
    srtt_8th_us: i64,
    /// Mean deviation, quarters of a microsecond.
    mdev_4th_us: i64,
    /// Largest deviation of the current round trip, quarters of a microsecond.
    mdev_max_4th_us: i64,
    /// What the timeout adds to the round trip, microseconds (four deviations).
    rttvar_us: i64,
    /// The round trip ends when this byte is acknowledged.
    round_end: Seq,
    latest: Option<Duration>,
    minimum: Option<Duration>,
    backoff: u32,
    /// The timeout without and with backoff: asked for with every packet, changed only by samples and expiries.
    base_rto: Duration,
    rto: Duration,
}

crate::pack::pack!(RttEstimator {
    limits,
    tick,
    srtt_8th_us,
    mdev_4th_us,
    mdev_max_4th_us,
    rttvar_us,
    round_end,
    latest,
    minimum,
    backoff,
    base_rto,
    rto,
});

impl RttEstimator {
    /// No sample yet.
    #[must_use]
    pub fn new(limits: RtoLimits, tick: Tick) -> RttEstimator {
        let mut estimator = RttEstimator {
            limits,
            tick,
            srtt_8th_us: 0,
            mdev_4th_us: 0,
            mdev_max_4th_us: 0,
            rttvar_us: 0,
            round_end: Seq(0),
            latest: None,
            minimum: None,
            backoff: 0,
            base_rto: Duration::ZERO,
            rto: Duration::ZERO,
        };
        estimator.update_rto();
        estimator
    }

    /// A round trip was measured. `snd_una` is the first byte not yet acknowledged now, `snd_nxt` the next to be sent.
    pub fn on_sample(&mut self, rtt: Duration, snd_una: Seq, snd_nxt: Seq) {
        let sample = i64::try_from(rtt.as_micros()).unwrap_or(i64::MAX / 16).clamp(1, i64::MAX / 16);
        self.latest = Some(rtt);
        // Only a measurement ends the backoff: an ACK of something sent twice is none (RFC 6298 §5.7, Karn).
        self.backoff = 0;
        self.minimum = Some(self.minimum.map_or(rtt, |m| m.min(rtt)));
        let floor = self.limits.min.as_micros() as i64;
        if self.srtt_8th_us == 0 {
            self.srtt_8th_us = sample * 8;
            self.mdev_4th_us = sample * 2;
            self.rttvar_us = self.mdev_4th_us.max(floor);
            self.mdev_max_4th_us = self.rttvar_us;
            self.round_end = snd_nxt;
            self.update_rto();
            return;
        }
        let error = sample - (self.srtt_8th_us >> 3);
        self.srtt_8th_us = (self.srtt_8th_us + error).max(1);
        let mut change = error.abs() - (self.mdev_4th_us >> 2);
        // A round trip that became shorter is no reason to expect large ones: Linux learns it eight times slower.
        if error < 0 && change > 0 {
            change >>= 3;
        }
        self.mdev_4th_us += change;
        if self.mdev_4th_us > self.mdev_max_4th_us {
            self.mdev_max_4th_us = self.mdev_4th_us;
            self.rttvar_us = self.rttvar_us.max(self.mdev_max_4th_us);
        }
        if self.round_end.is_before(snd_una) {
            if self.mdev_max_4th_us < self.rttvar_us {
                self.rttvar_us -= (self.rttvar_us - self.mdev_max_4th_us) >> 2;
            }
            self.round_end = snd_nxt;
            self.mdev_max_4th_us = floor;
        }
        self.update_rto();
    }

    fn update_rto(&mut self) {
        let rto = match self.srtt() {
            None => self.limits.initial,
            Some(srtt) => srtt + Duration::from_micros(self.rttvar_us as u64),
        };
        self.base_rto = self.tick.duration(self.tick.ticks(rto)).min(self.limits.max);
        self.update_backoff();
    }

    fn update_backoff(&mut self) {
        self.rto = self.base_rto.saturating_mul(1 << self.backoff.min(20)).min(self.limits.max);
    }

    /// Smoothed round trip; `None` before the first sample.
    #[must_use]
    pub fn srtt(&self) -> Option<Duration> {
        (self.srtt_8th_us > 0).then(|| Duration::from_micros((self.srtt_8th_us >> 3) as u64))
    }

    /// Mean deviation (RTTVAR of RFC 6298); `None` before the first sample.
    #[must_use]
    pub fn variation(&self) -> Option<Duration> {
        (self.srtt_8th_us > 0).then(|| Duration::from_micros((self.mdev_4th_us >> 2) as u64))
    }

    /// The latest sample.
    #[must_use]
    pub fn latest(&self) -> Option<Duration> {
        self.latest
    }

    /// The smallest sample so far.
    #[must_use]
    pub fn minimum(&self) -> Option<Duration> {
        self.minimum
    }

    /// The retransmission timeout without backoff, in whole ticks.
    #[must_use]
    pub fn base_rto(&self) -> Duration {
        self.base_rto
    }

    /// The retransmission timeout to use now.
    #[must_use]
    pub fn rto(&self) -> Duration {
        self.rto
    }

    /// The handshake is over and gave no sample, most likely because the SYN was retransmitted: the path may be slower than
    /// the initial timeout (RFC 6298 §5.7).
    pub fn on_handshake_without_sample(&mut self) {
        if self.srtt_8th_us == 0 {
            self.limits.initial = self.limits.initial.max(Duration::from_secs(3)).min(self.limits.max);
        }
        self.backoff = 0;
        self.update_rto();
    }

    /// The timer has expired: double the timeout (RFC 6298 §5.5).
    pub fn back_off(&mut self) {
        self.backoff += 1;
        self.update_backoff();
    }

    /// The expiry was not the path's fault: nothing could be sent.
    pub fn undo_back_off(&mut self) {
        self.backoff = self.backoff.saturating_sub(1);
        self.update_backoff();
    }

    /// The timeout returns to what the samples say.
    pub fn reset_backoff(&mut self) {
        if self.backoff > 0 {
            self.backoff = 0;
            self.update_backoff();
        }
    }

    /// How often the timeout has been doubled.
    #[must_use]
    pub fn backoff(&self) -> u32 {
        self.backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Each sample is a round of its own.
    fn estimator(samples_us: &[u64]) -> RttEstimator {
        let mut rtt = RttEstimator::new(RtoLimits::default(), Tick::new(250, 0));
        for (round, sample) in samples_us.iter().enumerate() {
            let una = Seq(100 + 100 * round as u32);
            rtt.on_sample(Duration::from_micros(*sample), una, una + 50);
        }
        rtt
    }

    #[test]
    fn before_the_first_sample_the_timeout_is_a_second() {
        let rtt = estimator(&[]);
        assert_eq!(rtt.rto(), ms(1000));
        assert_eq!(rtt.srtt(), None);
    }

    #[test]
    fn after_a_handshake_without_a_sample_the_timeout_is_three_seconds() {
        let mut rtt = estimator(&[]);
        rtt.back_off();
        rtt.on_handshake_without_sample();
        assert_eq!(rtt.rto(), ms(3000));
        let mut rtt = estimator(&[100_000]);
        rtt.on_handshake_without_sample();
        assert_eq!(rtt.rto(), ms(300));
    }

    #[test]
    fn a_round_trip_of_100_ms_gives_a_timeout_of_300_ms() {
        assert_eq!(estimator(&[100_000]).rto(), ms(300));
        assert_eq!(estimator(&[100_000; 30]).rto(), ms(300));
    }

    #[test]
    fn the_timeout_is_in_whole_ticks() {
        // Linux 6.18 with HZ=250 reports rto 204 ms at rtt 1.214 ms.
        assert_eq!(estimator(&[1_214; 20]).rto(), ms(204));
    }

    #[test]
    fn each_timeout_doubles_and_an_ack_returns_to_the_samples() {
        let mut rtt = estimator(&[100_000]);
        let mut seen = Vec::new();
        for _ in 0..12 {
            seen.push(rtt.rto().as_millis());
            rtt.back_off();
        }
        assert_eq!(seen[..4], [300, 600, 1200, 2400]);
        assert_eq!(seen[11], 120_000);
        rtt.reset_backoff();
        assert_eq!(rtt.rto(), ms(300));
    }

    #[test]
    fn a_jump_of_the_round_trip_raises_the_timeout_above_it() {
        let mut samples = vec![20_000; 20];
        samples.extend([400_000; 3]);
        let rtt = estimator(&samples);
        assert!(rtt.rto() > ms(400), "{:?}", rtt.rto());
    }

    #[test]
    fn a_falling_round_trip_raises_the_deviation_only_slowly() {
        let mut samples = vec![400_000; 40];
        let before = estimator(&samples).rto();
        samples.push(20_000);
        let after = estimator(&samples).rto();
        assert!(after <= before, "{before:?} {after:?}");
    }
}
