//! Has slow start gone far enough? HyStart as Linux has it in CUBIC: by the length of a train of ACKs, and by a growing round trip.
//! (Ha and Rhee, 2011; RFC 9406 is in `hystart_plus_plus.rs`.)

use super::AckSample;
use crate::Instant;
use narrows_wire::Seq;
use std::time::Duration;

/// It looks at windows of at least this many segments.
const LOW_WINDOW: u32 = 16;
/// ACKs no further apart than this belong to one train.
const SPACING: Duration = Duration::from_millis(2);
/// Round trips per round before the delay is believed.
const SAMPLES: u32 = 8;
const DELAY_MIN: Duration = Duration::from_millis(4);
const DELAY_MAX: Duration = Duration::from_millis(16);

/// The observation of one connection.
#[derive(Clone, Debug)]
pub struct HyStart {
    found: bool,
    round_start: Instant,
    last_ack: Instant,
    /// `None` before the first round: sequence numbers begin anywhere.
    round_end: Option<Seq>,
    samples: u32,
    round_min: Duration,
}

crate::pack::pack!(HyStart { found, round_start, last_ack, round_end, samples, round_min });

impl HyStart {
    /// Nothing seen yet; with `snd_nxt` a round begins now.
    #[must_use]
    pub fn new(now: Instant, snd_nxt: Option<Seq>) -> HyStart {
        HyStart {
            found: false,
            round_start: now,
            last_ack: now,
            round_end: snd_nxt,
            samples: 0,
            round_min: Duration::MAX,
        }
    }

    /// A round trip was measured in slow start. True when that has gone far enough. `paced`: segments leave one after the other.
    pub fn is_far_enough(
        &mut self,
        sample: &AckSample,
        rtt: Duration,
        delay_min: Duration,
        window: u32,
        paced: bool,
    ) -> bool {
        if self.found {
            return false;
        }
        if self.round_end.is_none_or(|end| end.is_before(sample.snd_una)) {
            *self = HyStart::new(sample.now, Some(sample.snd_nxt));
        }
        if window < LOW_WINDOW {
            return false;
        }
        if sample.now.since(self.last_ack) <= SPACING {
            self.last_ack = sample.now;
            // The train is half as long as the path: unpaced segments leave back to back.
            let whole = delay_min + burst_delay(sample, window);
            let threshold = if paced { whole } else { whole / 2 };
            self.found = sample.now.since(self.round_start) > threshold;
        }
        self.round_min = self.round_min.min(rtt);
        if self.samples < SAMPLES {
            self.samples += 1;
        } else {
            let slack = (delay_min / 8).clamp(DELAY_MIN, DELAY_MAX);
            self.found |= self.round_min > delay_min + slack;
        }
        self.found
    }
}

/// What offload may add to the length of an ACK train: four large segments at twice the current rate, at most a
/// millisecond.
fn burst_delay(sample: &AckSample, window: u32) -> Duration {
    let bytes_per_round = 2 * u64::from(window) * u64::from(sample.mss);
    let srtt = sample.srtt.unwrap_or(Duration::ZERO).as_micros() as u64;
    let delay = (4 * 65_536 * srtt).checked_div(bytes_per_round).unwrap_or(0);
    Duration::from_micros(delay.min(1000))
}
