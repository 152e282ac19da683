use super::*;
use crate::knob::{CongestionControl, Knobs, LossDetection};
use crate::tcp::congestion::CongestionConfig;
use crate::tcp::tick::Tick;

const MSS: u32 = 1000;

struct Sender {
    recovery: Recovery,
    congestion: Congestion,
    una: Seq,
    nxt: Seq,
    now: Instant,
    sent_again: Vec<u32>,
    round_trip: Duration,
    /// For the next ACK.
    echoed_until: Option<Instant>,
    new_data: bool,
}

impl Sender {
    /// `segments` segments in flight from sequence number 0, at time zero.
    fn with_in_flight(segments: u32, sack: bool) -> Sender {
        Sender::with_detection(segments, sack, LossDetection::Rfc6675)
    }

    fn with_detection(segments: u32, sack: bool, detection: LossDetection) -> Sender {
        let knobs = Knobs { congestion_control: CongestionControl::Reno, ..Knobs::default() };
        let config = CongestionConfig::new(&knobs, Tick::Exact);
        let mut congestion = Congestion::new(config, Instant::ZERO);
        congestion.set_window(segments.max(10));
        let mut sender = Sender {
            recovery: Recovery::new(sack, detection),
            congestion,
            una: Seq(0),
            nxt: Seq(0),
            now: Instant::ZERO,
            sent_again: Vec::new(),
            round_trip: Duration::from_millis(100),
            echoed_until: None,
            new_data: false,
        };
        sender.send_new(segments);
        sender
    }

    fn send_new(&mut self, segments: u32) {
        let end = self.nxt + segments * MSS;
        self.recovery.on_sent(self.nxt..end, MSS, self.now, false);
        self.nxt = end;
    }

    /// An ACK for `una` segments with SACK blocks in segments, 100 ms after the last one; then sends all it may.
    fn ack(&mut self, una: u32, sacks: &[(u32, u32)]) -> Acked {
        self.now += Duration::from_millis(100);
        let blocks: Vec<Range<Seq>> =
            sacks.iter().map(|(start, end)| Seq(start * MSS)..Seq(end * MSS)).collect();
        let duplicate = Seq(una * MSS) == self.una;
        self.una = Seq(una * MSS);
        let ack = Ack {
            now: self.now,
            una: self.una,
            snd_nxt: self.nxt,
            sacks: &blocks,
            duplicate,
            srtt: Some(self.round_trip),
            minimum: Some(self.round_trip),
            echoed_until: self.echoed_until.take(),
            bare: true,
            new_data: self.new_data,
            echo: false,
            mss: MSS,
        };
        let acked = self.recovery.on_ack(&ack, &mut self.congestion);
        while self.recovery.may_send(&self.congestion) {
            let Some(range) = self.recovery.next_retransmission() else { break };
            self.sent_again.push(range.start.0 / MSS);
            self.recovery.on_retransmitted(range, self.now);
        }
        acked
    }
}

#[test]
fn three_sacked_segments_behind_a_hole_start_recovery_and_the_hole_is_sent_once() {
    let mut sender = Sender::with_in_flight(10, true);
    sender.ack(0, &[(1, 2)]);
    assert_eq!(sender.recovery.state(), State::Disorder);
    sender.ack(0, &[(1, 3)]);
    assert_eq!(sender.sent_again, Vec::<u32>::new());
    sender.ack(0, &[(1, 4)]);
    assert_eq!(sender.recovery.state(), State::Recovery);
    assert_eq!(sender.sent_again, [0]);
    for end in 5..=10 {
        sender.ack(0, &[(1, end)]);
    }
    assert_eq!(sender.sent_again, [0]);
    sender.ack(10, &[]);
    assert_eq!(sender.recovery.state(), State::Open);
    assert_eq!((sender.congestion.window(), sender.congestion.threshold()), (5, 5));
    assert_eq!(sender.recovery.scoreboard().in_flight(), 0);
}

#[test]
fn two_holes_are_both_repaired_within_one_recovery() {
    let mut sender = Sender::with_in_flight(20, true);
    for end in 2..=20 {
        let sacks = if end <= 8 { vec![(1, end)] } else { vec![(9, end), (1, 8)] };
        sender.ack(0, &sacks.into_iter().filter(|(start, end)| start < end).collect::<Vec<_>>());
    }
    assert_eq!(sender.sent_again, [0, 8]);
    sender.ack(8, &[(9, 20)]);
    assert_eq!(sender.recovery.state(), State::Recovery);
    sender.ack(20, &[]);
    assert_eq!(sender.recovery.state(), State::Open);
    assert_eq!(sender.congestion.threshold(), 10);
}

#[test]
fn without_sack_the_third_duplicate_ack_sends_again_and_a_partial_ack_the_next_hole() {
    let mut sender = Sender::with_in_flight(10, false);
    sender.ack(0, &[]);
    sender.ack(0, &[]);
    assert_eq!(sender.recovery.state(), State::Disorder);
    sender.ack(0, &[]);
    assert_eq!(sender.recovery.state(), State::Recovery);
    assert_eq!(sender.sent_again, [0]);
    for _ in 0..4 {
        sender.ack(0, &[]);
    }
    sender.ack(5, &[]);
    assert_eq!(sender.sent_again, [0, 5]);
    sender.ack(10, &[]);
    assert_eq!(sender.recovery.state(), State::Open);
    assert_eq!(sender.congestion.window(), 5);
}

#[test]
fn the_first_two_duplicates_let_new_segments_leave() {
    let mut sender = Sender::with_in_flight(10, true);
    assert!(!sender.recovery.may_send(&sender.congestion));
    sender.ack(0, &[(1, 2)]);
    assert!(sender.recovery.may_send(&sender.congestion));
    sender.send_new(1);
    assert!(!sender.recovery.may_send(&sender.congestion));
}

#[test]
fn after_a_timeout_everything_not_sacked_is_sent_again_in_slow_start() {
    let mut sender = Sender::with_in_flight(10, true);
    sender.ack(0, &[(4, 6)]);
    let (una, nxt) = (sender.una, sender.nxt);
    sender.recovery.on_timeout(sender.now, una, nxt, &mut sender.congestion);
    assert_eq!(sender.recovery.state(), State::Loss);
    assert_eq!(sender.congestion.window(), 1);
    assert_eq!(sender.recovery.scoreboard().lost(), 8);
    sender.ack(0, &[(4, 6)]);
    assert_eq!(sender.sent_again, [0]);
    sender.congestion.on_sent(sender.now, una, nxt, 1, true, Duration::from_secs(1));
    sender.ack(1, &[(4, 6)]);
    assert_eq!(sender.sent_again, [0, 1, 2]);
    sender.congestion.on_sent(sender.now, Seq(MSS), nxt, 2, true, Duration::from_secs(1));
    sender.ack(3, &[(4, 6)]);
    // 4 and 5 are SACKed and stay where they are.
    assert_eq!(sender.sent_again, [0, 1, 2, 3, 6, 7, 8]);
    sender.ack(10, &[]);
    assert_eq!(sender.recovery.state(), State::Open);
}

#[test]
fn no_round_trip_is_taken_from_a_segment_that_was_sent_twice() {
    let mut sender = Sender::with_in_flight(10, true);
    let acked = sender.ack(1, &[]);
    assert_eq!(acked.rtt, Some(Duration::from_millis(100)));
    for end in 3..=5 {
        sender.ack(1, &[(2, end)]);
    }
    assert_eq!(sender.sent_again, [1]);
    let acked = sender.ack(5, &[]);
    assert!(acked.retransmitted);
    assert_eq!(acked.rtt, None);
    let acked = sender.ack(6, &[]);
    assert_eq!(acked.rtt, Some(Duration::from_millis(600)));
}

#[test]
fn a_partly_acknowledged_segment_stays_and_becomes_shorter() {
    let mut board = Scoreboard::new();
    board.on_sent(Seq(0)..Seq(2500), MSS, Instant::ZERO, false);
    assert_eq!(board.unacked(), 3);
    let acked = board.on_ack(Seq(1400), &[], Instant::from_millis(5), &mut Rack::default(), None);
    assert_eq!((acked.bytes, acked.segments, acked.delivered), (1400, 1, 1));
    assert_eq!(board.first(), Some(Seq(1400)..Seq(2000)));
    assert_eq!(board.in_flight(), 2);
}

#[test]
fn nonsense_in_a_sack_option_changes_nothing() {
    let mut board = Scoreboard::new();
    board.on_sent(Seq(1000)..Seq(11_000), MSS, Instant::ZERO, false);
    for block in [
        Seq(5000)..Seq(4000),
        Seq(0)..Seq(900),
        Seq(20_000)..Seq(30_000),
        Seq(4_000_000_000)..Seq(500),
        Seq(2100)..Seq(2900),
    ] {
        let acked =
            board.on_ack(Seq(1000), std::slice::from_ref(&block), Instant::ZERO, &mut Rack::default(), None);
        assert_eq!((acked.delivered, board.sacked()), (0, 0), "{block:?}");
    }
}

#[test]
fn a_dsack_is_recognised_below_the_ack_and_inside_the_second_block() {
    let mut board = Scoreboard::new();
    board.on_sent(Seq(0)..Seq(10_000), MSS, Instant::ZERO, false);
    assert!(
        board
            .on_ack(
                Seq(2000),
                std::slice::from_ref(&(Seq(0)..Seq(1000))),
                Instant::ZERO,
                &mut Rack::default(),
                None
            )
            .dsack
    );
    assert!(
        board
            .on_ack(
                Seq(2000),
                &[Seq(4000)..Seq(5000), Seq(4000)..Seq(6000)],
                Instant::ZERO,
                &mut Rack::default(),
                None
            )
            .dsack
    );
    assert!(
        !board
            .on_ack(
                Seq(2000),
                &[Seq(6000)..Seq(7000), Seq(4000)..Seq(6000)],
                Instant::ZERO,
                &mut Rack::default(),
                None
            )
            .dsack
    );
}

/// A slow scoreboard whose answers are plain: one flag per segment.
#[derive(Default)]
struct Plain {
    una: u32,
    sacked: Vec<bool>,
    sent_again: Vec<bool>,
}

impl Plain {
    fn is_lost(&self, segment: usize) -> bool {
        !self.sacked[segment] && self.sacked[segment..].iter().filter(|s| **s).count() >= 3
    }

    fn lost(&self) -> u32 {
        (self.una as usize..self.sacked.len()).filter(|i| self.is_lost(*i)).count() as u32
    }

    fn first_to_send_again(&self) -> Option<u32> {
        (self.una..40).find(|i| self.is_lost(*i as usize) && !self.sent_again[*i as usize])
    }

    fn in_flight(&self) -> u32 {
        let here = self.una as usize;
        let again = (here..40).filter(|i| self.sent_again[*i] && !self.sacked[*i]).count() as u32;
        40 - self.una + again - self.sacked() - self.lost()
    }

    fn sacked(&self) -> u32 {
        self.sacked[self.una as usize..].iter().filter(|s| **s).count() as u32
    }
}

proptest::proptest! {
    #[test]
    fn the_scoreboard_agrees_with_a_plain_count(
        start in proptest::prelude::any::<u32>(),
        acks in proptest::collection::vec((0..4_u32, 0..40_u32, 1..10_u32, proptest::bool::ANY), 1..60),
    ) {
        let mut board = Scoreboard::new();
        let mut plain = Plain { una: 0, sacked: vec![false; 40], sent_again: vec![false; 40] };
        let seq = |segment: u32| Seq(start) + segment * MSS;
        board.on_sent(seq(0)..seq(40), MSS, Instant::ZERO, false);
        for (advance, from, len, send) in acks {
            let una = (plain.una + advance / 3).min(40);
            let (from, end) = (from.max(una), (from.max(una) + len).min(40));
            let block = seq(from)..seq(end);
            board.on_ack(seq(una), std::slice::from_ref(&block), Instant::ZERO, &mut Rack::default(), None);
            board.mark_overtaken();
            plain.una = una;
            for segment in from..end {
                plain.sacked[segment as usize] = true;
            }
            proptest::prop_assert_eq!(board.unacked(), 40 - una);
            proptest::prop_assert_eq!(board.sacked(), plain.sacked());
            proptest::prop_assert_eq!(board.lost(), plain.lost());
            let next = board.next_lost();
            proptest::prop_assert_eq!(next.as_ref().map(|r| r.start), plain.first_to_send_again().map(seq));
            if let (Some(range), Some(segment), true) = (next, plain.first_to_send_again(), send) {
                board.on_retransmitted(range, Instant::ZERO);
                plain.sent_again[segment as usize] = true;
            }
            proptest::prop_assert_eq!(board.in_flight(), plain.in_flight());
        }
    }
}
