use super::*;
use crate::tcp::congestion::delivery_rate::{DeliveryRate, Departure};
use narrows_wire::Seq;
use std::collections::VecDeque;

const MSS: u32 = 1448;

/// A path with a rate, a delay and a queue, and a sender that BBR governs; one segment per ACK, time in nanoseconds.
struct World {
    bbr: Bbr,
    window: u32,
    delivery: DeliveryRate,
    /// Sent and not acknowledged: when it left, what was known then, and when its ACK comes (`None`: lost).
    flight: VecDeque<(Instant, Departure, Option<Instant>)>,
    now: Instant,
    pacing: pacing::Pacing,
    segments: u64,
    round_trip: Duration,
    per_segment: Duration,
    link_free: Instant,
    longest_queue: Duration,
    modes: Vec<Mode>,
    delivered_in_time: Vec<(Instant, u32)>,
}

impl World {
    fn new(megabits: u64, round_trip: Duration) -> World {
        let now = Instant::from_millis(1000);
        let path = Path { srtt: Some(round_trip), minimum: Some(round_trip) };
        let mut pacing = pacing::Pacing::new(true, pacing::UNLIMITED);
        let bbr = Bbr::new(Tick::new(250, 0), now, 10, MSS, path, 7);
        pacing.set_rate(bbr.pacing_rate());
        World {
            bbr,
            window: 10,
            delivery: DeliveryRate::default(),
            flight: VecDeque::new(),
            now,
            pacing,
            segments: 0,
            round_trip,
            per_segment: Duration::from_nanos(u64::from(MSS + 52) * 8 * 1000 / megabits),
            link_free: now,
            longest_queue: Duration::ZERO,
            modes: vec![Mode::Startup],
            delivered_in_time: Vec::new(),
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            while (self.flight.len() as u32) < self.window && self.pacing.holds_until(self.now).is_none() {
                self.send();
            }
            let ack = self.flight.front().and_then(|(_, _, ack)| *ack).unwrap_or(Instant::FAR_FUTURE);
            let room = (self.flight.len() as u32) < self.window;
            let release = self.pacing.holds_until(self.now).filter(|_| room).unwrap_or(Instant::FAR_FUTURE);
            self.now = ack.min(release);
            if ack <= release {
                self.acknowledge();
            }
        }
    }

    fn send(&mut self) {
        self.pacing.on_sent(self.now, MSS, self.segments);
        self.segments += 1;
        let departure = self.delivery.on_sent(self.now, self.flight.is_empty());
        self.longest_queue = self.longest_queue.max(self.link_free.since(self.now));
        self.link_free = self.link_free.max(self.now) + self.per_segment;
        let ack = self.link_free + self.round_trip;
        self.flight.push_back((self.now, departure, Some(ack)));
    }

    fn acknowledge(&mut self) {
        let prior_in_flight = self.flight.len() as u32;
        let Some((sent, departure, _)) = self.flight.pop_front() else { return };
        self.delivery.on_delivered(sent, Seq(0), departure);
        let rtt = self.now.since(sent);
        let sample = AckSample {
            now: self.now,
            rtt: Some(rtt),
            srtt: Some(rtt),
            mss: MSS,
            rate: self.delivery.sample(self.now, Some(self.round_trip), 0),
            prior_in_flight,
            in_flight: self.flight.len() as u32,
            ..AckSample::default()
        };
        let decision = self.bbr.on_ack(&sample, self.pacing.next_departure(), self.window);
        self.window = decision.window;
        self.pacing.set_rate(self.bbr.pacing_rate());
        if decision.application_limited {
            self.delivery.on_application_limited(self.flight.len() as u32);
        }
        if self.modes.last() != Some(&self.bbr.mode()) {
            self.modes.push(self.bbr.mode());
        }
        self.delivered_in_time.push((self.now, self.delivery.delivered()));
    }
}

#[test]
fn the_gains_are_those_of_linux() {
    assert_eq!((HIGH_GAIN, DRAIN_GAIN), (739, 88));
    // 10 segments of 1448 bytes in 100 ms, times 2.885, less a hundredth.
    let path = Path { srtt: Some(Duration::from_millis(100)), minimum: None };
    let bbr = Bbr::new(Tick::new(250, 0), Instant::ZERO, 10, MSS, path, 1);
    let expected = 10.0 * 1448.0 / 0.1 * 2.885 * 0.99;
    assert!((bbr.pacing_rate() as f64 / expected - 1.0).abs() < 0.002, "{}", bbr.pacing_rate());
}

#[test]
fn it_finds_the_rate_drains_what_it_has_queued_and_keeps_the_path_full_with_a_short_queue() {
    let mut world = World::new(20, Duration::from_millis(40));
    world.run(Duration::from_secs(2));
    assert_eq!(world.modes, [Mode::Startup, Mode::Drain, Mode::ProbeBandwidth]);
    let before = world.delivery.delivered();
    world.longest_queue = Duration::ZERO;
    world.run(Duration::from_secs(4));
    let rate = f64::from(world.delivery.delivered() - before) * 1500.0 * 8.0 / 4.0;
    assert!(rate > 0.95 * 20e6, "{rate}");
    // A quarter more than the path holds for a round trip queues a quarter of a round trip.
    assert!(world.longest_queue < Duration::from_millis(20), "{:?}", world.longest_queue);
}

#[test]
fn after_ten_seconds_it_lets_the_queue_empty_to_see_the_smallest_round_trip() {
    let mut world = World::new(10, Duration::from_millis(20));
    world.run(Duration::from_secs(9));
    assert!(!world.modes.contains(&Mode::ProbeRoundTrip));
    // The path becomes longer: only then does the smallest round trip grow old.
    world.round_trip = Duration::from_millis(30);
    world.run(Duration::from_secs(11));
    assert!(world.modes.contains(&Mode::ProbeRoundTrip), "{:?}", world.modes);
    world.run(Duration::from_secs(1));
    assert_eq!(world.bbr.mode(), Mode::ProbeBandwidth);
    assert_eq!(world.bbr.min_rtt.map(|us| us / 1000), Some(31));
}

#[test]
fn a_loss_is_followed_by_a_round_of_conservation_and_the_window_comes_back() {
    let mut world = World::new(20, Duration::from_millis(40));
    world.run(Duration::from_secs(2));
    let before = world.window;
    world.bbr.on_loss(world.window);
    let mut sample = AckSample {
        now: world.now,
        rate: RateSample { newly_delivered: 1, newly_lost: 3, ..world.bbr.latest },
        in_flight: 20,
        repair: Repair::Recovery,
        mss: MSS,
        ..AckSample::default()
    };
    sample.rate.measured = None;
    assert_eq!(world.bbr.on_ack(&sample, world.now, before).window, 21);
    sample.rate.newly_lost = 0;
    sample.repair = Repair::No;
    assert_eq!(world.bbr.on_ack(&sample, world.now, 21).window, before);
}
