//! How fast is the path's narrowest link, in each direction? The acknowledgments of back-to-back segments
//! come at its pace. And how long do headers take at it?
//!
//! A narrow link spaces the segments of a train, and their receiver acknowledges each or every second one as
//! it comes: the same spacing shows at either end. Most trains of a connection that meets a narrow link agree
//! on its rate; where they do not, something else sets the pace, and nothing is said.

use std::net::IpAddr;
use std::time::Duration;

/// A stretch of a train is at least so many full segments …
const SEGMENTS: u64 = 6;
/// … and so many steps from one acknowledgment to the next.
const STEPS: u64 = 3;
/// A step so many times as long as the others is a pause of the sender, not the link's pace.
const PAUSE: u64 = 4;
/// Stretches kept.
const MAX_SAMPLES: usize = 512;
/// Fewer stretches than this agree by chance.
const LEAST_SAMPLES: usize = 3;
/// Stretches agree when the fastest is at most so many percent faster than the slowest.
const AGREE_PERCENT: u64 = 12;
/// Those that agree have to take at least this share of the time of all, in percent.
const LEAST_PERCENT: u64 = 40;
/// From here on it is rather the hosts' pace, or what their cards gather, than a link's.
const MOST_BITS_PER_SECOND: u64 = 1_000_000_000;
/// A full segment's payload, for deciding how long a stretch is.
const FULL: u64 = 1_448;

/// The pace at which one direction's payload is acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    /// Where the present stretch began: what was acknowledged, and when.
    begin: Option<(u64, u64)>,
    last: (u64, u64),
    steps: u64,
    /// Behind the last byte of a train: what comes after does not follow back to back.
    train_end: u64,
    /// The stretches so far: payload bits per second, and nanoseconds.
    samples: Vec<(u64, u64)>,
}

impl Pace {
    /// Payload up to `ack` was acknowledged at `time`, in nanoseconds.
    #[inline]
    pub(crate) fn acknowledged(&mut self, ack: u64, time: u64) {
        let Some(begin) = self.begin else {
            return self.restart((ack, time));
        };
        if ack <= self.last.0 {
            return;
        }
        if begin.0 < self.train_end && self.train_end <= ack {
            return self.restart((ack, time));
        }
        let before = self.last;
        self.last = (ack, time);
        let step = time - before.1;
        let usual = (before.1 - begin.1).checked_div(self.steps);
        self.steps += 1;
        if usual.is_some_and(|usual| step > PAUSE * usual) {
            return self.restart((ack, time));
        }
        if self.steps == 2 && usual.is_some_and(|first| first > PAUSE * step) {
            self.begin = Some(before);
            self.steps = 1;
            return;
        }
        let bytes = ack - begin.0;
        if bytes >= SEGMENTS * FULL && self.steps >= STEPS {
            if self.samples.len() < MAX_SAMPLES {
                let lasted = (time - begin.1).max(1);
                self.samples.push((bytes.saturating_mul(8_000_000_000) / lasted, lasted));
            }
            self.restart((ack, time));
        }
    }

    /// The sender's write, or what it had to say, ends at `end`.
    pub(crate) fn train_ends(&mut self, end: u64) {
        self.train_end = end;
    }

    fn restart(&mut self, at: (u64, u64)) {
        self.begin = Some(at);
        self.last = at;
        self.steps = 0;
    }

    /// The link's rate in bits per second of IP packets, when they carry `segment_bytes` of payload and
    /// `header_bytes` of headers.
    pub(crate) fn bits_per_second(&self, segment_bytes: u32, header_bytes: u32) -> Option<u64> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let all: u64 = sorted.iter().map(|(_, lasted)| lasted).sum();
        let (mut most, mut longest, mut low, mut agreed) = (0..0, 0, 0, 0);
        for high in 0..sorted.len() {
            agreed += sorted[high].1;
            while sorted[low].0.saturating_mul(100 + AGREE_PERCENT) < sorted[high].0.saturating_mul(100) {
                agreed -= sorted[low].1;
                low += 1;
            }
            if agreed > longest {
                (most, longest) = (low..high + 1, agreed);
            }
        }
        if most.len() < LEAST_SAMPLES || longest.saturating_mul(100) < all.saturating_mul(LEAST_PERCENT) {
            return None;
        }
        let (payload, _) = sorted[most.start + most.len() / 2];
        let share = f64::from(segment_bytes + header_bytes) / f64::from(segment_bytes.max(1));
        let rate = (payload as f64 * share) as u64;
        (1..=MOST_BITS_PER_SECOND).contains(&rate).then_some(rate)
    }
}

/// The bytes of the IP and TCP headers of a segment with payload, with timestamps where they are in use.
pub(crate) fn header_bytes(address: IpAddr, stamps: bool) -> u32 {
    let ip = if address.is_ipv4() { 20 } else { 40 };
    ip + 20 + if stamps { 12 } else { 0 }
}

/// How many packets more it takes to carry `payload` bytes in segments of `small` bytes than of `large`.
pub(crate) fn more_packets(payload: u64, small: u32, large: u32) -> u64 {
    let packets_of = |bytes: u32| payload.div_ceil(u64::from(bytes.max(1)));
    packets_of(small).saturating_sub(packets_of(large))
}

/// How long the headers of so many packets take at the narrowest link's rate in bits per second; nothing where that is not known.
pub(crate) fn header_time(packets: u64, headers: u32, rate: Option<u64>) -> Duration {
    let bits = packets as f64 * f64::from(headers) * 8.0;
    rate.filter(|&rate| rate > 0).map_or(Duration::ZERO, |rate| Duration::from_secs_f64(bits / rate as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acknowledgments of `per_ack` full segments each, `gap` nanoseconds per segment, in trains of `train`
    /// segments that begin every `round_trip`.
    fn trains(per_ack: u64, gap: u64, train: u64, round_trip: u64, rounds: u64) -> Pace {
        let mut pace = Pace::default();
        let mut acked = 0;
        for round in 0..rounds {
            for n in 1..=train / per_ack {
                acked += per_ack * FULL;
                pace.acknowledged(acked, round * round_trip + n * per_ack * gap);
            }
        }
        pace
    }

    fn assert_rate(pace: &Pace, expected: u64) {
        let rate = pace.bits_per_second(1448, 52).unwrap();
        assert!(rate.abs_diff(expected) < expected / 50, "{rate} instead of {expected}");
    }

    #[test]
    fn trains_show_the_links_rate() {
        // 1500 bytes in 300 microseconds are 40 Mbit/s.
        for per_ack in [1, 2] {
            assert_rate(&trains(per_ack, 300_000, 20, 30_000_000, 5), 40_000_000);
        }
        assert_rate(&trains(2, 300_000, 2_000, 0, 1), 40_000_000);
        assert_rate(&trains(1, 6_000_000, 40, 0, 1), 2_000_000);
    }

    #[test]
    fn few_or_scattered_stretches_show_nothing() {
        assert_eq!(Pace::default().bits_per_second(1448, 52), None);
        assert_eq!(trains(1, 300_000, 10, 30_000_000, 2).bits_per_second(1448, 52), None);
        let mut pace = Pace::default();
        let mut time = 0;
        for n in 1..2_000u64 {
            // Each stretch at another pace, from 1 to 60 times as fast.
            time += 20_000 * (1 + n / 6 * 7919 % 60);
            pace.acknowledged(n * FULL, time);
        }
        assert_eq!(pace.bits_per_second(1448, 52), None);
    }

    #[test]
    fn what_hosts_gather_is_no_link() {
        assert_eq!(trains(2, 1_000, 400, 0, 1).bits_per_second(1448, 52), None);
    }
}
