//! Does loss grow with the size of segments, and which size carries most then? Knob `adaptive_mss`; off by default.
//!
//! Where single bits break, a packet is lost with 1 − (1 − rate)^bits, and a smaller one arrives more often; where queues overflow or
//! whole packets vanish, it is not so, and smaller segments only cost headers. So a sender that loses much measures the share lost of
//! full segments, then of half ones, and goes on with a smaller size only if these were lost clearly less often, while the round trip
//! mostly shows no queue (a flow alone at a full queue loses a smaller share of smaller segments, too). The size is that with the largest
//! goodput under the measured rate of errors: of the bytes sent, where congestion control does not heed loss (Modiano 1999 for ARQ links:
//! about the square root of headers over error rate); by the throughput equation of TCP (RFC 5348 §3.1) where it does, in which a moderate
//! loss of full segments is still better than the small windows of small ones.

use super::connection::Connection;
use crate::pack::{Pack, Packer, Unpacker};
use narrows_wire::Seq;
use std::time::Duration;

/// So many losses make a share that a half one can be told from, nearly always.
const LOSSES: u32 = 48;
/// After so many segments with few losses, size is not what matters.
const SEGMENTS: u32 = 4_096;
/// A trial is worth its headers when it may bring so much more.
const WORTH: f64 = 1.05;
/// So many standard deviations are no chance.
const DEVIATIONS: f64 = 2.0;
/// Payload below which headers would be most of what is sent, bytes.
const SMALLEST: u32 = 128;
/// After so many measurements with a smaller size, full segments are tried again.
const MEASUREMENTS: u32 = 8;
/// Trials without a difference make later ones rarer, up to so many times.
const RAREST: u32 = 64;

/// Segments of one size and what became of them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// Bytes of each, with headers.
    packet: f64,
    segments: f64,
    lost: f64,
}

crate::pack::pack!(Sample { packet, segments, lost });

impl Sample {
    fn share(&self) -> f64 {
        self.lost / self.segments.max(1.0)
    }

    /// The rate per byte at which what travels breaks.
    fn rate_per_byte(&self) -> f64 {
        -(-self.share().min(0.99)).ln_1p() / self.packet.max(1.0)
    }

    /// Whether a smaller size would carry more, if all of the loss was for size.
    fn promises(&self, situation: &Situation) -> bool {
        let rate = self.rate_per_byte();
        let [best, full] =
            [best_payload(rate, situation), situation.full].map(|size| goodput(size, rate, situation));
        best > WORTH * full
    }

    /// Whether this one's share is smaller than the other's by more than chance (two proportions, pooled).
    fn is_clearly_less_than(&self, other: &Sample) -> bool {
        let pooled = (self.lost + other.lost) / (self.segments + other.segments).max(1.0);
        let variance =
            pooled * (1.0 - pooled) * (1.0 / self.segments.max(1.0) + 1.0 / other.segments.max(1.0));
        other.share() - self.share() > DEVIATIONS * variance.sqrt()
    }
}

/// What is being measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Full,
    Half(Sample),
    Adapted(u32),
}

impl Pack for Stage {
    fn pack(&self, to: &mut Packer<'_>) {
        let (half, adapted) = match *self {
            Stage::Full => (None, None),
            Stage::Half(sample) => (Some(sample), None),
            Stage::Adapted(measurements) => (None, Some(measurements)),
        };
        (half, adapted).pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Stage {
        match from.take::<(Option<Sample>, Option<u32>)>() {
            (Some(sample), _) => Stage::Half(sample),
            (None, Some(measurements)) => Stage::Adapted(measurements),
            (None, None) => Stage::Full,
        }
    }
}

/// What an ACK found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub una: Seq,
    pub nxt: Seq,
    /// Segments known to have arrived, and found lost, so far.
    pub delivered: u32,
    pub lost: u32,
    /// Payload of a full segment, and the headers before it, bytes.
    pub full: u32,
    pub header_bytes: u32,
    /// The round trip shows no queue.
    pub calm: bool,
    /// How congestion control takes loss.
    pub objective: Objective,
}

/// What is to be as large as possible.
#[derive(Clone, Copy, Debug)]
pub(super) enum Objective {
    /// Payload per byte sent: loss costs what is lost.
    Efficiency,
    /// Payload per time with windows that shrink at loss.
    Throughput,
}

/// The search for the size that carries most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossBySize {
    stage: Stage,
    limit: Option<u32>,
    /// What was sent before this was of another size.
    begins: Option<Seq>,
    /// Counters where the measurement began.
    began: Option<(u32, u32)>,
    /// ACKs since, and those of them that came through a queue.
    acks: u32,
    queued: u32,
    /// Trials in a row that found no difference.
    in_vain: u32,
}

crate::pack::pack!(LossBySize { stage, limit, begins, began, acks, queued, in_vain });

impl LossBySize {
    /// The largest payload that segments have at present, bytes, if it is less than what fits.
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// An ACK has come; true when the size has changed.
    pub fn on_ack(&mut self, situation: &Situation) -> bool {
        if self.begins.is_some_and(|begins| situation.una.is_before(begins)) {
            return false;
        }
        self.begins = None;
        let (delivered, lost) = *self.began.get_or_insert((situation.delivered, situation.lost));
        self.acks += 1;
        self.queued += u32::from(!situation.calm);
        let calm = self.queued * 2 < self.acks;
        let lost = situation.lost.wrapping_sub(lost);
        let segments = situation.delivered.wrapping_sub(delivered).wrapping_add(lost);
        let payload = self.limit.unwrap_or(situation.full);
        let sample = Sample {
            packet: f64::from(payload + situation.header_bytes),
            segments: segments.into(),
            lost: lost.into(),
        };
        let patience = 1 << self.in_vain.min(RAREST.ilog2());
        match self.stage {
            Stage::Full if calm && lost >= LOSSES * patience && sample.promises(situation) => {
                let half = (situation.full / 2).max(SMALLEST);
                half < situation.full && self.go_to(Stage::Half(sample), Some(half), situation)
            }
            // As many as would have cost so many losses with full segments.
            Stage::Half(full) if sample.segments * full.share() >= f64::from(LOSSES) => {
                if !calm || !sample.is_clearly_less_than(&full) {
                    self.in_vain += 1;
                    return self.go_to(Stage::Full, None, situation);
                }
                self.in_vain = 0;
                let rate = f64::midpoint(full.rate_per_byte(), sample.rate_per_byte());
                self.adapt(0, rate, situation)
            }
            Stage::Adapted(done) if lost >= LOSSES || segments >= SEGMENTS => {
                if !calm || done + 1 >= MEASUREMENTS {
                    return self.go_to(Stage::Full, None, situation);
                }
                self.adapt(done + 1, sample.rate_per_byte(), situation)
            }
            Stage::Full if segments >= SEGMENTS * patience => {
                self.begin_anew();
                false
            }
            Stage::Full | Stage::Half(_) | Stage::Adapted(_) => false,
        }
    }

    fn adapt(&mut self, done: u32, rate: f64, situation: &Situation) -> bool {
        let size = best_payload(rate, situation);
        if size >= situation.full {
            return self.go_to(Stage::Full, None, situation);
        }
        self.go_to(Stage::Adapted(done), Some(size), situation)
    }

    fn begin_anew(&mut self) {
        (self.began, self.acks, self.queued) = (None, 0, 0);
    }

    fn go_to(&mut self, stage: Stage, limit: Option<u32>, situation: &Situation) -> bool {
        let changed = limit != self.limit;
        self.stage = stage;
        self.limit = limit;
        self.begin_anew();
        self.begins = changed.then_some(situation.nxt);
        changed
    }
}

/// Goodput of segments with this payload when each byte breaks at this rate, in units that depend on the objective.
fn goodput(payload: u32, rate_per_byte: f64, situation: &Situation) -> f64 {
    let packet = f64::from(payload + situation.header_bytes);
    let loss = -(-rate_per_byte * packet).exp_m1();
    let payload = f64::from(payload);
    match situation.objective {
        Objective::Efficiency => payload / packet * (1.0 - loss),
        Objective::Throughput => payload / round_trips_per_packet(loss),
    }
}

/// The payload with the largest goodput, to within a sixteenth.
fn best_payload(rate_per_byte: f64, situation: &Situation) -> u32 {
    let goodput = |payload| goodput(payload, rate_per_byte, situation);
    let (mut best, mut size) = (situation.full, situation.full);
    while size > SMALLEST {
        size = (size - size.div_ceil(16)).max(SMALLEST);
        if goodput(size) > goodput(best) {
            best = size;
        }
    }
    best
}

/// Of a TCP whose window is set by this share of loss: RFC 5348 §3.1 with b = 1, and with a timeout of one round trip. That long a repeated or
/// a last segment's loss takes with RFC 8985; the retransmission timeout of several round trips, for which the equation was made, is rare then.
fn round_trips_per_packet(loss: f64) -> f64 {
    (2.0 * loss / 3.0).sqrt() + 3.0 * (3.0 * loss / 8.0).sqrt() * loss * (1.0 + 32.0 * loss * loss)
}

impl Connection {
    /// What does an ACK say about loss and size?
    pub(super) fn adapt_size_to_loss(&mut self) {
        if !self.knobs.adaptive_mss || !self.negotiated.sack {
            return;
        }
        let before = self.effective_mss();
        let delivery = self.snd.recovery.scoreboard().delivery();
        let queue =
            |(latest, least): (Duration, Duration)| latest > least + least / 4 + Duration::from_millis(1);
        let situation = Situation {
            una: self.snd.una,
            nxt: self.snd.nxt,
            delivered: delivery.delivered(),
            lost: delivery.lost(),
            full: self.unadapted_mss(),
            header_bytes: self.header_bytes(),
            calm: !self.rtt.latest().zip(self.rtt.minimum()).is_some_and(queue),
            objective: match self.snd.congestion.is_rate_based() {
                true => Objective::Efficiency,
                false => Objective::Throughput,
            },
        };
        if self.loss_by_size.on_ack(&situation) {
            let headers = self.header_bytes();
            self.snd.congestion.on_segment_size(before + headers, self.effective_mss() + headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(calm: bool, objective: Objective) -> Situation {
        let (una, nxt) = (Seq(0), Seq(10));
        Situation { una, nxt, delivered: 0, lost: 0, full: 1_448, header_bytes: 52, calm, objective }
    }

    /// Sends segments over a path that loses each with the chance that `loss` gives for its bytes; the sizes in turn.
    fn play(rounds: u32, start: Situation, loss: impl Fn(u32) -> f64) -> Vec<Option<u32>> {
        let mut state = LossBySize::default();
        let mut random = crate::random::Random::new(5);
        let mut situation = start;
        let mut limits = vec![None];
        for _ in 0..rounds {
            let payload = state.limit().unwrap_or(situation.full);
            let chance = (loss(payload + situation.header_bytes) * 1e6) as u32;
            let lost = random.below(1_000_000) < chance;
            situation.lost += u32::from(lost);
            situation.delivered += u32::from(!lost);
            situation.una += payload;
            situation.nxt = situation.una + 10;
            if state.on_ack(&situation) {
                limits.push(state.limit());
            }
        }
        limits
    }

    fn bit_errors(rate: f64) -> impl Fn(u32) -> f64 {
        move |bytes| 1.0 - (1.0 - rate).powi(8 * bytes as i32)
    }

    #[test]
    fn loss_that_grows_with_size_makes_segments_as_small_as_carries_most() {
        let calm = situation(true, Objective::Efficiency);
        for rate in [2e-5, 3e-5, 5e-5] {
            let limits = play(3_000, calm, bit_errors(rate));
            assert_eq!(limits[..2], [None, Some(724)], "{rate}");
            let best = f64::from(best_payload(8.0 * rate, &calm));
            let near = |limit: &u32| (f64::from(*limit) / best - 1.0).abs() < 0.3;
            assert!(limits.iter().flatten().any(near), "{rate}: {limits:?} for {best}");
        }
    }

    #[test]
    fn loss_that_does_not_leaves_them_full_and_trials_become_rare() {
        let limits = play(200_000, situation(true, Objective::Efficiency), |_| 0.2);
        let trials = limits.iter().filter(|limit| **limit == Some(724)).count();
        assert!((1..25).contains(&trials), "{limits:?}");
        let smaller = limits.iter().flatten().filter(|limit| **limit != 724).count();
        assert!(smaller <= 1, "{limits:?}");
    }

    #[test]
    fn neither_a_queue_nor_little_loss_begins_a_trial() {
        let calm = situation(true, Objective::Efficiency);
        assert_eq!(play(50_000, situation(false, Objective::Efficiency), bit_errors(2e-5)), [None]);
        assert_eq!(play(50_000, calm, |_| 0.005), [None]);
        assert_eq!(play(50_000, calm, |_| 0.0), [None]);
    }

    #[test]
    fn after_some_measurements_full_segments_are_tried_again() {
        let limits = play(60_000, situation(true, Objective::Efficiency), bit_errors(2e-5));
        assert!(limits[3..].contains(&None), "{limits:?}");
    }

    #[test]
    fn what_is_best_depends_on_whether_congestion_control_heeds_loss() {
        let [blind, heeding] = [Objective::Efficiency, Objective::Throughput].map(|o| situation(true, o));
        // The square root of 52 bytes of headers over 8e-5 per byte, less half the headers: 780.
        let best = best_payload(8e-5, &blind);
        assert!((700..860).contains(&best), "{best}");
        assert!(best_payload(8e-5, &heeding) == 1_448, "a moderate loss is better than small windows");
        assert!(best_payload(4e-4, &heeding) < 500, "repeated loss is not");
        assert_eq!(best_payload(0.0, &blind), 1_448);
    }
}
