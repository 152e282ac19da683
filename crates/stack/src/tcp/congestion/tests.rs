use super::*;

fn congestion(algorithm: CongestionControl) -> Congestion {
    let tick = Tick::new(1000, 0);
    let knobs = Knobs { congestion_control: algorithm, ..Knobs::default() };
    let config = CongestionConfig::new(&knobs, tick);
    Congestion::new(config, Instant::ZERO)
}

fn sample(now_ms: u64, delivered: u32, rtt_ms: u64, una: u32, nxt: u32) -> AckSample {
    AckSample {
        now: Instant::from_millis(now_ms),
        delivered,
        rtt: Some(Duration::from_millis(rtt_ms)),
        srtt: Some(Duration::from_millis(rtt_ms)),
        snd_una: Seq(una),
        snd_nxt: Seq(nxt),
        mss: 1448,
        ..AckSample::default()
    }
}

/// One flight of `sent` segments, all acknowledged two by two.
fn one_flight(sent: u32) -> u32 {
    let mut congestion = congestion(CongestionControl::Cubic);
    let rto = Duration::from_millis(300);
    congestion.on_sent(Instant::ZERO, Seq(0), Seq(sent), sent, sent >= 10, rto);
    for acked in (2..=sent).step_by(2) {
        congestion.on_ack(&sample(100, 2, 100, acked, sent));
    }
    if sent % 2 == 1 {
        congestion.on_ack(&sample(100, 1, 100, sent, sent));
    }
    congestion.window()
}

#[test]
fn a_window_that_was_not_used_does_not_grow() {
    // The values that packetdrill's slow_start scripts expect of Linux.
    assert_eq!(one_flight(5), 10);
    assert_eq!(one_flight(6), 12);
    assert_eq!(one_flight(9), 18);
    assert_eq!(one_flight(10), 20);
}

#[test]
fn a_loss_leaves_seven_tenths_with_cubic_and_half_with_reno() {
    for (algorithm, expected) in [(CongestionControl::Cubic, 7), (CongestionControl::Reno, 5)] {
        let mut congestion = congestion(algorithm);
        congestion.on_loss();
        assert_eq!(congestion.threshold(), expected);
        congestion.on_recovered();
        assert_eq!(congestion.window(), expected);
    }
}

#[test]
fn a_timeout_leaves_one_segment_and_cuts_the_threshold_once() {
    let mut congestion = congestion(CongestionControl::Cubic);
    congestion.on_timeout(Instant::ZERO, Seq(10), true, 0);
    assert_eq!((congestion.window(), congestion.threshold()), (1, 7));
    congestion.on_timeout(Instant::ZERO, Seq(10), false, 0);
    assert_eq!((congestion.window(), congestion.threshold()), (1, 7));
}

#[test]
fn after_a_timeout_cubic_stays_on_its_plateau_for_twenty_acks() {
    let mut congestion = congestion(CongestionControl::Cubic);
    congestion.on_timeout(Instant::ZERO, Seq(10), true, 0);
    let mut at_seven = 0;
    for ack in 0..40_u32 {
        congestion.on_sent(
            Instant::from_millis(100),
            Seq(ack),
            Seq(ack + 8),
            8,
            true,
            Duration::from_millis(300),
        );
        congestion.on_ack(&sample(100 + u64::from(ack), 1, 100, ack + 1, ack + 9));
        at_seven += u32::from(congestion.window() == 7);
    }
    assert!((18..=22).contains(&at_seven), "{at_seven}");
    assert_eq!(congestion.window(), 8);
}

#[test]
fn idle_time_halves_the_window_once_per_timeout_down_to_the_initial_one() {
    let rto = Duration::from_millis(300);
    for (idle_ms, expected) in [(100, 80), (300, 80), (301, 40), (600, 40), (601, 20), (5000, 10)] {
        let mut congestion = congestion(CongestionControl::Cubic);
        congestion.set_window(80);
        congestion.on_write_after_idle(Instant::from_millis(idle_ms), Instant::ZERO, rto);
        assert_eq!(congestion.window(), expected, "after {idle_ms} ms");
    }
}

#[test]
fn cubic_follows_its_curve_to_the_former_maximum_and_beyond() {
    let mut congestion = congestion(CongestionControl::Cubic);
    congestion.set_window(1000);
    congestion.on_loss();
    congestion.on_recovered();
    assert_eq!(congestion.window(), 700);
    // RFC 9438 §4.2 with the round trip ahead of it: K = ∛(300/0.4) s.
    let k = (300.0_f64 / 0.4).cbrt();
    let mut una = 0_u32;
    for ms in (0..20_000_u64).step_by(10) {
        // Round trip 100 ms: a tenth of the window per 10 ms.
        let delivered = congestion.window() / 10;
        una += delivered;
        let nxt = una + congestion.window();
        let now = Instant::from_millis(ms);
        congestion.on_sent(now, Seq(una), Seq(nxt), congestion.window(), true, Duration::from_millis(300));
        congestion.on_ack(&sample(ms, delivered, 100, una, nxt));
        let t = ms as f64 / 1000.0;
        let early = 1000.0 + 0.4 * (t - k).powi(3);
        let late = 1000.0 + 0.4 * (t + 0.1 - k).powi(3);
        let window = f64::from(congestion.window());
        assert!(
            window > early * 0.98 - 2.0 && window < late * 1.02 + 2.0,
            "{t} s: {window}, {early} to {late}"
        );
    }
}

#[test]
fn hystart_leaves_slow_start_when_the_round_trip_grows() {
    // Sequence numbers begin anywhere.
    for first in [0, 0x7fff_ff00, 0xc000_0000, 0xffff_ffc0] {
        let threshold = threshold_after_a_growing_round_trip(first);
        assert!(threshold < 80, "from {first:#x}: {threshold}");
    }
}

fn threshold_after_a_growing_round_trip(first: u32) -> u32 {
    let mut congestion = congestion(CongestionControl::Cubic);
    let (mut una, mut ms) = (first, 0_u64);
    for round in 0..8_u64 {
        let flight = congestion.window();
        congestion.on_sent(
            Instant::from_millis(ms),
            Seq(una),
            Seq(una.wrapping_add(flight)),
            flight,
            true,
            Duration::from_secs(1),
        );
        let end = una.wrapping_add(flight);
        ms += 200;
        for _ in 0..flight / 2 {
            una = una.wrapping_add(2);
            // ACKs 5 ms apart are no train; from the third round on the queue adds 40 ms.
            ms += 5;
            let rtt = if round < 2 { 200 } else { 240 };
            congestion.on_ack(&sample(ms, 2, rtt, una, end));
        }
    }
    congestion.threshold()
}

#[test]
fn a_steady_round_trip_does_not_end_slow_start() {
    let mut congestion = congestion(CongestionControl::Cubic);
    let (mut una, mut ms) = (0_u32, 0_u64);
    for _ in 0..6 {
        let flight = congestion.window();
        congestion.on_sent(
            Instant::from_millis(ms),
            Seq(una),
            Seq(una + flight),
            flight,
            true,
            Duration::from_secs(1),
        );
        ms += 100;
        let end = una + flight;
        while una < end {
            una += 1;
            congestion.on_ack(&sample(ms, 1, 100, una, end));
        }
    }
    assert_eq!(congestion.window(), 640);
}
