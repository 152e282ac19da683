//! How fast does the path deliver? (draft-cheng-iccrg-delivery-rate-estimation, as Linux does it.)
//!
//! Each segment remembers what had been delivered when it left. When it arrives, what was delivered meanwhile, divided by the
//! time that took, is the rate; whichever took longer counts, sending or being acknowledged.

use crate::Instant;
use narrows_wire::Seq;
use std::time::Duration;

/// What was known when a segment left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Departure {
    delivered: u32,
    delivered_at: Instant,
    first_sent: Instant,
    application_limited: bool,
}

crate::pack::pack!(Departure { delivered, delivered_at, first_sent, application_limited });

/// A rate, measured with one ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSample {
    /// Segments delivered and how long that took; `None` when nothing can be said.
    pub measured: Option<(u32, Duration)>,
    /// What had been delivered when the newest segment delivered now was sent.
    pub delivered_before: u32,
    /// All that has been delivered.
    pub delivered: u32,
    /// When something was last delivered.
    pub delivered_at: Instant,
    /// The application had nothing to send for a part of that time.
    pub application_limited: bool,
    /// Segments that this ACK delivers.
    pub newly_delivered: u32,
    /// Segments found to be lost with this ACK.
    pub newly_lost: u32,
    /// All that have ever been found to be lost.
    pub lost: u32,
}

crate::pack::pack!(RateSample {
    measured,
    delivered_before,
    delivered,
    delivered_at,
    application_limited,
    newly_delivered,
    newly_lost,
    lost,
});

#[derive(Clone, Copy, Debug)]
struct Newest {
    sent: Instant,
    end: Seq,
    departure: Departure,
    sending: Duration,
}

crate::pack::pack!(Newest { sent, end, departure, sending });

/// The estimator of one connection.
#[derive(Clone, Debug, Default)]
pub struct DeliveryRate {
    delivered: u32,
    delivered_at: Instant,
    /// When the newest segment that has been delivered was sent.
    first_sent: Instant,
    /// Until so much has been delivered, samples are the application's rate and not the path's.
    limited_until: Option<u32>,
    newest: Option<Newest>,
    delivered_at_last_sample: u32,
    lost: u32,
    bandwidth: Option<(u32, Duration)>,
}

crate::pack::pack!(DeliveryRate {
    delivered,
    delivered_at,
    first_sent,
    limited_until,
    newest,
    delivered_at_last_sample,
    lost,
    bandwidth,
});

impl DeliveryRate {
    /// Segments delivered so far.
    #[must_use]
    pub fn delivered(&self) -> u32 {
        self.delivered
    }

    /// The application has not enough to send; `in_flight` segments are on the way.
    pub fn on_application_limited(&mut self, in_flight: u32) {
        self.limited_until = Some(self.delivered.wrapping_add(in_flight).max(1));
    }

    /// The rate is the application's at present.
    #[must_use]
    pub fn is_application_limited(&self) -> bool {
        self.limited_until.is_some()
    }

    /// A segment leaves, for the first time or again; `idle` when nothing else is unacknowledged.
    pub fn on_sent(&mut self, now: Instant, idle: bool) -> Departure {
        if idle {
            self.first_sent = now;
            self.delivered_at = now;
        }
        Departure {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            application_limited: self.limited_until.is_some(),
        }
    }

    /// A segment that left at `sent` and ends at `end` has arrived. Of those that an ACK reports, the one sent last tells most.
    pub fn on_delivered(&mut self, sent: Instant, end: Seq, departure: Departure) {
        self.delivered = self.delivered.wrapping_add(1);
        let later = self
            .newest
            .is_none_or(|newest| newest.sent < sent || (newest.sent == sent && newest.end.is_before(end)));
        if later {
            self.first_sent = sent;
            let sending = sent.since(departure.first_sent);
            self.newest = Some(Newest { sent, end, departure, sending });
        }
    }

    /// Segments were counted as delivered that no entry stands for (duplicate ACKs without SACK).
    pub fn count_delivered(&mut self, segments: u32) {
        self.delivered = self.delivered.wrapping_add(segments);
    }

    /// Segments were found to be lost.
    pub fn on_lost(&mut self, segments: u32) {
        self.lost = self.lost.wrapping_add(segments);
    }

    /// How many have been found to be lost, each time that they were.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// The sample of the ACK whose deliveries have been reported; `lost_before` it so many had been found to be
    /// lost. A time shorter than the smallest round trip is none: a retransmission was taken for the original.
    pub fn sample(&mut self, now: Instant, minimum: Option<Duration>, lost_before: u32) -> RateSample {
        let newly_delivered = self.delivered.wrapping_sub(self.delivered_at_last_sample);
        self.delivered_at_last_sample = self.delivered;
        if self.limited_until.is_some_and(|until| self.delivered.wrapping_sub(until) as i32 > 0) {
            self.limited_until = None;
        }
        if newly_delivered > 0 {
            self.delivered_at = now;
        }
        let mut sample = RateSample {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            newly_delivered,
            newly_lost: self.lost.wrapping_sub(lost_before),
            lost: self.lost,
            ..RateSample::default()
        };
        let Some(Newest { departure, sending, .. }) = self.newest.take() else { return sample };
        sample.delivered_before = departure.delivered;
        sample.application_limited = departure.application_limited;
        let segments = self.delivered.wrapping_sub(departure.delivered);
        let time = sending.max(now.since(departure.delivered_at));
        if time.is_zero() || minimum.is_some_and(|minimum| time < minimum) {
            return sample;
        }
        sample.measured = Some((segments, time));
        let faster = self.bandwidth.is_none_or(|(known, needed)| {
            u128::from(segments) * needed.as_nanos() >= u128::from(known) * time.as_nanos()
        });
        if !sample.application_limited || faster {
            self.bandwidth = sample.measured;
        }
        sample
    }

    /// The latest rate that the path and not the application set, segments per second (tcpi_delivery_rate over the MSS).
    #[must_use]
    pub fn segments_per_second(&self) -> Option<u64> {
        let (segments, time) = self.bandwidth?;
        u64::try_from(u128::from(segments) * 1_000_000_000 / time.as_nanos().max(1)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_millis(milliseconds)
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Ten segments sent 1 ms apart arrive, one round trip of 100 ms later, `gap` apart.
    fn ten(gap: u64, limited: bool) -> RateSample {
        let mut rate = DeliveryRate::default();
        if limited {
            rate.on_application_limited(0);
        }
        let departures: Vec<Departure> = (0..10).map(|n| rate.on_sent(at(n), n == 0)).collect();
        let mut sample = RateSample::default();
        for (n, departure) in (0..10).zip(departures) {
            rate.on_delivered(at(n), Seq(1000 * (n as u32 + 1)), departure);
            sample = rate.sample(at(100 + n * gap), None, 0);
        }
        sample
    }

    #[test]
    fn the_first_flight_gives_its_segments_over_the_time_to_the_last_ack() {
        assert_eq!(ten(1, false).measured, Some((10, ms(109))));
        assert_eq!(ten(5, false).measured, Some((10, ms(145))));
        assert!(!ten(1, false).application_limited && ten(1, true).application_limited);
    }

    #[test]
    fn acks_that_were_compressed_do_not_make_the_path_faster_than_the_sending() {
        let mut rate = DeliveryRate::default();
        let first = rate.on_sent(at(0), true);
        rate.on_delivered(at(0), Seq(1000), first);
        rate.sample(at(100), None, 0);
        let departures: Vec<Departure> = (0..10).map(|n| rate.on_sent(at(100 + 10 * n), n == 0)).collect();
        for (n, departure) in (0..10).zip(departures) {
            rate.on_delivered(at(100 + 10 * n), Seq(2000 + 1000 * n as u32), departure);
        }
        // All acknowledged at once, 5 ms after the last was sent.
        assert_eq!(rate.sample(at(195), None, 0).measured, Some((10, ms(95))));
        let next = rate.on_sent(at(200), false);
        rate.on_delivered(at(200), Seq(20_000), next);
        // The sending of that window took from the last delivered one's departure, at 190 ms.
        assert_eq!(rate.sample(at(201), None, 0).measured, Some((1, ms(10))));
    }

    #[test]
    fn a_time_below_the_smallest_round_trip_is_no_sample() {
        let mut rate = DeliveryRate::default();
        let departure = rate.on_sent(at(0), true);
        rate.on_delivered(at(0), Seq(1), departure);
        rate.on_lost(2);
        let sample = rate.sample(at(5), Some(ms(50)), 0);
        assert_eq!((sample.measured, sample.newly_delivered, sample.newly_lost), (None, 1, 2));
    }

    #[test]
    fn the_applications_limit_is_over_when_all_that_was_in_flight_is_delivered() {
        let mut rate = DeliveryRate::default();
        let departure = rate.on_sent(at(0), true);
        rate.on_application_limited(1);
        rate.on_delivered(at(0), Seq(1), departure);
        rate.sample(at(10), None, 0);
        assert!(rate.is_application_limited());
        let departure = rate.on_sent(at(10), true);
        rate.on_delivered(at(10), Seq(2), departure);
        assert!(rate.sample(at(20), None, 0).application_limited);
        assert!(!rate.is_application_limited());
    }
}
