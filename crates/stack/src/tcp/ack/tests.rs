use super::*;
use crate::knob::{AckPolicyKind, Knobs, QuickAck};
use crate::tcp::tick::Tick;

/// A Linux host with HZ=250 that receives; half a round trip away something sends.
struct Receiver {
    acks: AckScheduler,
    now: Instant,
    rcv_nxt: Seq,
    srtt: Duration,
    out_of_order: bool,
    window_now: u32,
}

const WINDOW: u32 = 65_535;

impl Receiver {
    fn with(knobs: &Knobs, rtt_ms: u64) -> Receiver {
        let tick = Tick::new(knobs.hz, 1_760_000);
        let start = AckStart {
            now: Instant::from_millis(1000),
            rcv_nxt: Seq(u32::MAX - 100),
            rcv_wnd: WINDOW,
            advmss: 1448,
            snd_mss: 1448,
        };
        Receiver {
            acks: AckScheduler::new(knobs.ack_config(tick), start),
            now: start.now,
            rcv_nxt: start.rcv_nxt,
            srtt: Duration::from_millis(rtt_ms),
            out_of_order: false,
            window_now: WINDOW,
        }
    }

    fn linux(rtt_ms: u64) -> Receiver {
        Receiver::with(&Knobs::default(), rtt_ms)
    }

    fn context(&self, buffered: u32) -> AckContext {
        AckContext {
            now: self.now,
            rcv_nxt: self.rcv_nxt,
            rcv_wnd: WINDOW,
            window_now: self.window_now,
            crowded: false,
            window_clamp: WINDOW,
            buffered,
            readable: buffered,
            low_water: 1,
            out_of_order: self.out_of_order,
            sack: true,
            receiver_round_trip: Some(self.srtt),
            srtt: Some(self.srtt),
            rto: self.srtt + Duration::from_millis(200),
        }
    }

    fn after(&mut self, microseconds: u64) -> &mut Receiver {
        self.now += Duration::from_micros(microseconds);
        self
    }

    fn segment(&mut self, len: u32, psh: bool) -> AckDecision {
        self.rcv_nxt += len;
        let context = self.context(len);
        let arrival = Arrival { len, header_len: 32, usual_header_len: 32, psh, ..Arrival::default() };
        self.acks.on_data(&context, &arrival);
        self.acks.decide(&context)
    }

    /// A segment with PSH arrives and, unless it is acknowledged at once, the application reads it.
    fn pushed_and_read(&mut self, len: u32) -> AckDecision {
        match self.segment(len, true) {
            AckDecision::Now(reason) => {
                self.ack();
                let _ = self.acks.on_read(&self.context(0), len);
                AckDecision::Now(reason)
            }
            later => match self.acks.on_read(&self.context(0), len) {
                AckDecision::None => later,
                decision => decision,
            },
        }
    }

    fn ack(&mut self) {
        self.acks.on_sent(self.now, self.rcv_nxt, 0);
    }

    fn answer(&mut self, len: u32) {
        self.acks.on_sent(self.now, self.rcv_nxt, len);
    }

    /// Waits for the timer and sends the ACK.
    fn wait(&mut self) -> (Duration, AckDecision) {
        let at = self.acks.poll_timeout().unwrap();
        let waited = at.since(self.now);
        self.now = at;
        let decision = self.acks.on_timeout(&self.context(0));
        self.ack();
        (waited, decision)
    }
}

/// What a server sees of a client with Nagle that writes 12 and then 180 bytes per request: the delay of the ACK of
/// each first part, and the reasons of all ACKs that left at once.
fn write_write_read(server: &mut Receiver, requests: usize) -> (Vec<Duration>, Vec<AckReason>) {
    let rtt_us = server.srtt.as_micros() as u64;
    let (mut delays, mut reasons) = (Vec::new(), Vec::new());
    for _ in 0..requests {
        match server.after(rtt_us + 70).pushed_and_read(12) {
            AckDecision::Now(reason) => {
                reasons.push(reason);
                server.ack();
                delays.push(Duration::ZERO);
            }
            _ => delays.push(server.wait().0),
        }
        // The ACK lets the second part go: a round trip later it is here, and answered 60 µs after that.
        if let AckDecision::Now(reason) = server.after(rtt_us + 20).pushed_and_read(180) {
            reasons.push(reason);
            server.ack();
        }
        server.after(60).answer(64);
    }
    (delays, reasons)
}

#[test]
fn of_fifty_requests_in_two_writes_only_the_first_escapes_the_delayed_ack() {
    for rtt_ms in [1, 5, 10, 20] {
        let (delays, reasons) = write_write_read(&mut Receiver::linux(rtt_ms), 50);
        assert_eq!(delays.iter().filter(|delay| **delay == Duration::ZERO).count(), 1, "{delays:?}");
        assert_eq!(delays[0], Duration::ZERO);
        for delay in &delays[1..] {
            assert!((40..=44).contains(&delay.as_millis()), "rtt {rtt_ms} ms: {delay:?}");
        }
        // As in captures of Linux 6.18: 16 quick ACKs, half of them spent on delayed ones; after that the read sends it.
        let quick = reasons.iter().filter(|reason| **reason == AckReason::Quick).count();
        let read = reasons.iter().filter(|reason| **reason == AckReason::Read).count();
        assert_eq!((quick, read), (9, 42), "rtt {rtt_ms} ms");
    }
}

#[test]
fn with_quickack_on_the_route_nothing_waits() {
    let mut server = Receiver::with(&Knobs { quickack: QuickAck::Route, ..Knobs::default() }, 1);
    let (delays, reasons) = write_write_read(&mut server, 50);
    assert!(delays.iter().all(|delay| *delay == Duration::ZERO));
    assert!(reasons.contains(&AckReason::Route));
}

#[test]
fn with_quickack_set_after_each_read_the_read_sends_the_ack() {
    let mut server = Receiver::with(&Knobs { quickack: QuickAck::Socket, ..Knobs::default() }, 1);
    let (delays, reasons) = write_write_read(&mut server, 50);
    assert!(delays.iter().all(|delay| *delay == Duration::ZERO));
    assert_eq!(reasons.iter().filter(|reason| **reason == AckReason::SocketOption).count(), 49);
}

#[test]
fn with_a_shorter_largest_delay_the_stall_is_shorter() {
    let knobs = Knobs { ack_delay_max: Duration::from_millis(10), ..Knobs::default() };
    let (delays, _) = write_write_read(&mut Receiver::with(&knobs, 1), 20);
    assert!(delays[1..].iter().all(|delay| (8..=16).contains(&delay.as_millis())), "{delays:?}");
    // A route's rto_min holds the delay below it, too.
    let knobs = Knobs { rto_min: Duration::from_millis(20), ..Knobs::default() };
    let (delays, _) = write_write_read(&mut Receiver::with(&knobs, 1), 20);
    assert!(delays[1..].iter().all(|delay| (16..=20).contains(&delay.as_millis())), "{delays:?}");
}

#[test]
fn immediate_acknowledges_every_segment_and_delayed_every_second() {
    let mut every = Receiver::with(&Knobs { ack_policy: AckPolicyKind::Immediate, ..Knobs::default() }, 1);
    for _ in 0..5 {
        assert_eq!(every.after(100).segment(10, false), AckDecision::Now(AckReason::EverySegment));
        every.ack();
    }
    let knobs = Knobs {
        ack_policy: AckPolicyKind::Delayed,
        ack_delay_max: Duration::from_millis(40),
        hz: 0,
        ..Knobs::default()
    };
    let mut second = Receiver::with(&knobs, 1);
    for _ in 0..5 {
        let expected = second.now + Duration::from_micros(40_100);
        assert_eq!(second.after(100).segment(10, true), AckDecision::At(expected));
        assert_eq!(second.after(100).segment(10, true), AckDecision::Now(AckReason::Enough));
        second.ack();
    }
    let _ = second.segment(10, true);
    assert_eq!(second.wait(), (Duration::from_millis(40), AckDecision::Now(AckReason::DelayedTimer)));
}

#[test]
fn one_way_bulk_data_gets_sixteen_quick_acks_and_then_one_per_two_segments() {
    let mut receiver = Receiver::linux(10);
    let mut acks = Vec::new();
    for number in 0..40 {
        if let AckDecision::Now(reason) = receiver.after(200).segment(1448, false) {
            acks.push((number, reason));
            receiver.ack();
        }
    }
    assert!(acks[..16].iter().enumerate().all(|(i, ack)| *ack == (i, AckReason::Quick)));
    assert!(acks[16..].iter().enumerate().all(|(i, ack)| *ack == (17 + 2 * i, AckReason::Enough)));
    assert_eq!(receiver.acks.rcv_mss(), 1448);
}

#[test]
fn a_window_that_still_grows_keeps_the_acks_quick() {
    // Linux 6.18 on a fresh connection: the window grows with the first six full segments, and 22 ACKs are quick.
    let mut receiver = Receiver::linux(20);
    let mut quick = 0;
    for number in 0..40 {
        receiver.after(240);
        receiver.rcv_nxt += 1448;
        let context = receiver.context(1448);
        let arrival = Arrival { len: 1448, header_len: 32, usual_header_len: 32, ..Arrival::default() };
        receiver.acks.on_data(&context, &arrival);
        if number < 6 {
            receiver.acks.on_window_grown();
        }
        match receiver.acks.decide(&context) {
            AckDecision::Now(reason) => {
                quick += u32::from(reason == AckReason::Quick);
                receiver.ack();
            }
            _ => continue,
        }
    }
    assert_eq!(quick, 22);
}

#[test]
fn two_full_segments_wait_for_the_reader_when_the_window_cannot_move() {
    let mut receiver = Receiver::linux(10);
    for _ in 0..16 {
        assert!(matches!(receiver.after(200).segment(1448, false), AckDecision::Now(AckReason::Quick)));
        receiver.ack();
    }
    receiver.window_now = WINDOW - 20_000;
    assert!(matches!(receiver.after(200).segment(1448, false), AckDecision::At(_)));
    assert!(matches!(receiver.after(200).segment(1448, false), AckDecision::At(_)));
    assert_eq!(receiver.acks.on_read(&receiver.context(0), 2896), AckDecision::Now(AckReason::Enough));
}

#[test]
fn a_gap_longer_than_the_timeout_brings_the_quick_acks_back() {
    let mut receiver = Receiver::linux(10);
    for _ in 0..16 {
        let _ = receiver.after(200).segment(1448, false);
        receiver.ack();
    }
    assert_eq!(receiver.acks.quick_acks(), 0);
    let _ = receiver.after(300_000).segment(1448, false);
    assert_eq!(receiver.acks.quick_acks(), 16);
}

#[test]
fn two_small_pushed_segments_make_the_read_acknowledge_even_in_interactive_mode() {
    let mut server = Receiver::linux(1);
    let _ = server.after(1000).pushed_and_read(100);
    server.answer(100);
    assert!(server.acks.is_interactive());
    assert!(matches!(server.after(1000).segment(50, true), AckDecision::At(_)));
    assert!(matches!(server.after(100).segment(50, true), AckDecision::At(_)));
    // Both wait in the buffer until the application reads them with one call.
    assert_eq!(server.acks.on_read(&server.context(0), 100), AckDecision::Now(AckReason::Read));
    server.ack();
    // One alone does not.
    assert!(matches!(server.after(1000).segment(50, true), AckDecision::At(_)));
    assert_eq!(server.acks.on_read(&server.context(0), 50), AckDecision::None);
}

#[test]
fn a_missed_delayed_ack_ends_interactive_mode_and_the_next_answer_begins_it_again() {
    let mut server = Receiver::linux(1);
    let _ = server.after(1000).pushed_and_read(100);
    server.answer(100);
    assert!(matches!(server.after(1000).pushed_and_read(100), AckDecision::At(_)));
    assert!(server.acks.is_interactive());
    assert_eq!(server.wait().1, AckDecision::Now(AckReason::DelayedTimer));
    assert!(!server.acks.is_interactive());
    let _ = server.after(1000).pushed_and_read(100);
    server.answer(100);
    assert!(server.acks.is_interactive());
}

#[test]
fn a_missed_delayed_ack_outside_of_interactive_mode_doubles_the_delay_up_to_the_round_trip() {
    let mut receiver = Receiver::linux(100);
    for _ in 0..16 {
        let _ = receiver.after(200).segment(1448, false);
        receiver.ack();
    }
    let before = receiver.acks.ato();
    assert!(matches!(receiver.after(200).segment(1448, false), AckDecision::At(_)));
    let (waited, _) = receiver.wait();
    assert!((40..=44).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(receiver.acks.ato(), 2 * before);
    // Some 64 ms after the last arrival: ato/2 + gap is 104 ms, and the round trip bounds it.
    assert!(matches!(receiver.after(20_000).segment(1448, false), AckDecision::At(_)));
    let (waited, _) = receiver.wait();
    assert!((100..=104).contains(&waited.as_millis()), "{waited:?}");
}

#[test]
fn a_delay_above_the_minimum_is_bounded_by_the_round_trip() {
    let mut receiver = Receiver::linux(10);
    for _ in 0..16 {
        let _ = receiver.after(200).segment(1448, false);
        receiver.ack();
    }
    for _ in 0..3 {
        let _ = receiver.after(200).segment(1448, false);
        let (waited, _) = receiver.wait();
        assert!((40..=44).contains(&waited.as_millis()), "{waited:?}");
    }
}

#[test]
fn data_out_of_order_and_the_filling_of_the_gap_are_acknowledged_at_once() {
    let mut receiver = Receiver::linux(10);
    let _ = receiver.after(200).segment(1448, false);
    receiver.answer(100);
    receiver.out_of_order = true;
    let arrival = Arrival { len: 1448, header_len: 32, usual_header_len: 32, ..Arrival::default() };
    for _ in 0..3 {
        receiver.acks.on_out_of_order(&arrival);
        let context = receiver.context(1448);
        assert_eq!(receiver.acks.decide(&context), AckDecision::Now(AckReason::OutOfOrder));
        receiver.ack();
    }
    // From the fourth on they are compressed: a twentieth of the round trip, at most a millisecond, and the timer's slack.
    receiver.acks.on_out_of_order(&arrival);
    let context = receiver.context(1448);
    let at = receiver.now + Duration::from_micros(600);
    assert_eq!(receiver.acks.decide(&context), AckDecision::At(at));
    assert_eq!(receiver.acks.poll_timeout(), Some(at));
    receiver.now = at;
    let context = receiver.context(1448);
    assert_eq!(receiver.acks.on_timeout(&context), AckDecision::Now(AckReason::CompressedTimer));
    receiver.ack();
    assert_eq!(receiver.acks.poll_timeout(), None);
    receiver.out_of_order = false;
    let _ = receiver.segment(1448, false);
    receiver.acks.on_gap_filled();
    let context = receiver.context(1448);
    assert_eq!(receiver.acks.decide(&context), AckDecision::Now(AckReason::GapFilled));
}

#[test]
fn compression_needs_a_round_trip_to_be_short_against() {
    let arrival = Arrival { len: 1448, header_len: 32, usual_header_len: 32, ..Arrival::default() };
    // Four segments out of order, of a transfer that goes one way: the decision about the last.
    let fourth = |change: fn(&mut AckContext)| {
        let mut receiver = Receiver::linux(10);
        let _ = receiver.after(200).segment(1448, false);
        receiver.answer(100);
        receiver.out_of_order = true;
        let mut decisions = Vec::new();
        for _ in 0..5 {
            receiver.acks.on_out_of_order(&arrival);
            let mut context = receiver.context(1448);
            change(&mut context);
            decisions.push(receiver.acks.decide(&context));
            if matches!(decisions.last(), Some(AckDecision::Now(_))) {
                receiver.ack();
            }
        }
        (decisions[3], decisions[4], receiver.now)
    };
    let (decision, again, now) = fourth(|context| context.receiver_round_trip = None);
    let slack = AckDecision::At(now + Duration::from_micros(100));
    assert_eq!((decision, again), (slack, slack));
    let (decision, again, now) = fourth(|_| {});
    let usual = AckDecision::At(now + Duration::from_micros(600));
    assert_eq!((decision, again), (usual, usual));
}

#[test]
fn a_duplicate_and_data_beyond_the_window_are_acknowledged_at_once_and_end_interactive_mode() {
    for (report, reason) in [
        (AckScheduler::on_duplicate as fn(&mut AckScheduler, &AckContext), AckReason::Duplicate),
        (AckScheduler::on_out_of_window, AckReason::OutOfWindow),
    ] {
        let mut receiver = Receiver::linux(10);
        let _ = receiver.after(200).segment(100, true);
        receiver.answer(100);
        assert!(receiver.acks.is_interactive());
        let context = receiver.context(0);
        report(&mut receiver.acks, &context);
        assert_eq!(receiver.acks.decide(&context), AckDecision::Now(reason));
        assert!(!receiver.acks.is_interactive());
    }
}

#[test]
fn a_fin_waits_for_the_answer_and_one_without_any_data_only_for_the_next_tick() {
    let mut receiver = Receiver::linux(10);
    receiver.rcv_nxt += 1;
    receiver.acks.on_fin(false);
    let context = receiver.context(0);
    let AckDecision::At(at) = receiver.acks.decide(&context) else { panic!("not delayed") };
    assert!(at.since(receiver.now) <= Duration::from_millis(4));
    let mut receiver = Receiver::linux(10);
    let _ = receiver.after(200).segment(100, true);
    receiver.ack();
    receiver.rcv_nxt += 1;
    receiver.acks.on_fin(false);
    let context = receiver.context(0);
    let AckDecision::At(at) = receiver.acks.decide(&context) else { panic!("not delayed") };
    assert!((40..=44).contains(&at.since(receiver.now).as_millis()));
    receiver.acks.on_fin(true);
    assert_eq!(receiver.acks.decide(&context), AckDecision::Now(AckReason::Fin));
}

#[test]
fn segments_on_a_path_with_a_tiny_mtu_are_recognised_as_full() {
    let mut receiver = Receiver::linux(10);
    let _ = receiver.segment(500, false);
    receiver.ack();
    assert_eq!(receiver.acks.rcv_mss(), 536);
    let _ = receiver.segment(500, false);
    assert_eq!(receiver.acks.rcv_mss(), 500);
}

#[test]
fn reading_opens_the_window_when_it_doubles() {
    let mut receiver = Receiver::linux(10);
    for _ in 0..16 {
        let _ = receiver.after(200).segment(100, false);
        receiver.ack();
    }
    // 50 kB are in the buffer, all acknowledged; only 15 kB of window are left.
    let context = AckContext { rcv_wnd: 15_000, window_now: 29_000, ..receiver.context(36_000) };
    assert_eq!(receiver.acks.on_read(&context, 14_000), AckDecision::None);
    let context = AckContext { rcv_wnd: 15_000, window_now: 30_000, ..receiver.context(35_000) };
    assert_eq!(receiver.acks.on_read(&context, 15_000), AckDecision::Now(AckReason::WindowUpdate));
}

#[test]
fn quickack_off_enters_interactive_mode() {
    let mut receiver = Receiver::linux(10);
    let context = receiver.context(0);
    assert_eq!(receiver.acks.set_quickack(&context, false), AckDecision::None);
    assert!(receiver.acks.is_interactive());
    assert!(matches!(receiver.after(100).segment(100, true), AckDecision::At(_)));
    // The data are still unread: the option sends nothing before the buffer is empty.
    let context = receiver.context(100);
    assert_eq!(receiver.acks.set_quickack(&context, true), AckDecision::None);
    let context = receiver.context(0);
    assert_eq!(receiver.acks.set_quickack(&context, true), AckDecision::Now(AckReason::SocketOption));
}

proptest::proptest! {
    /// Whatever arrives, an ACK that was promised for a time comes at that time, and none waits longer than 208 ms.
    #[test]
    fn no_ack_waits_longer_than_the_largest_delay(
        events in proptest::collection::vec((0..300_000_u64, 0..4_u8, 1..1448_u32), 1..100),
        rtt_ms in 1..500_u64,
    ) {
        let mut receiver = Receiver::linux(rtt_ms);
        let mut oldest: Option<Instant> = None;
        for (pause_us, kind, len) in events {
            let until = receiver.now + Duration::from_micros(pause_us);
            while let Some(at) = receiver.acks.poll_timeout().filter(|at| *at <= until) {
                receiver.now = at;
                let context = receiver.context(0);
                if let AckDecision::Now(_) = receiver.acks.on_timeout(&context) {
                    proptest::prop_assert!(at.since(oldest.unwrap()) <= Duration::from_millis(208));
                    receiver.ack();
                    oldest = None;
                }
            }
            receiver.now = until;
            match kind {
                0 => {
                    receiver.answer(len);
                    oldest = None;
                }
                1 => {
                    if let AckDecision::Now(_) = receiver.acks.on_read(&receiver.context(0), len) {
                        receiver.ack();
                        oldest = None;
                    }
                }
                _ => {
                    oldest = oldest.or(Some(receiver.now));
                    match receiver.segment(len, kind == 2) {
                        AckDecision::Now(_) => {
                            receiver.ack();
                            oldest = None;
                        }
                        AckDecision::At(at) => {
                            proptest::prop_assert_eq!(receiver.acks.poll_timeout(), Some(at));
                        }
                        AckDecision::None => proptest::prop_assert!(false, "data, and nothing to acknowledge"),
                    }
                }
            }
        }
    }
}
