//! What is lost, and what happens then? (RFC 8985 with SACK, or RFC 6675 where the knob says so; RFC 6582 without; RFC 6298 on
//! timeout.)
//!
//! The connection reports every segment sent, every ACK and every expiry of a timer, and sends while
//! [`Recovery::may_send`] allows: first [`Recovery::next_retransmission`], then new data.

mod episode;
pub mod fast_retransmit;
pub mod frto;
pub mod rack;
mod reordering;
pub mod rto;
pub mod scoreboard;
pub mod size;
pub mod tlp;
pub mod undo;

use crate::Instant;
use crate::knob::LossDetection;
use crate::tcp::congestion::{AckSample, Congestion, Repair};
use fast_retransmit::{Progress, ProportionalRate};
use frto::Frto;
use narrows_wire::Seq;
use rack::{Patience, Rack};
use scoreboard::{Acked, DUPLICATE_THRESHOLD, Overtaken, Scoreboard};
use size::SizeProbe;
use std::ops::Range;
use std::time::Duration;
use tlp::{Outcome, ProbeAck, TailLossProbe};
use undo::{Undo, UndoReason};

/// Reordering farther than this is not remembered (Linux's tcp_max_reordering), segments.
const REORDERING_MAX: u32 = 300;

/// What the sender thinks of the path (tcpi_ca_state).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// All is well.
    #[default]
    Open,
    /// Something is missing, or out of order.
    Disorder,
    /// The window is being reduced without a loss: a queue has marked something (ECN).
    Cwr,
    /// A loss is being repaired.
    Recovery,
    /// The retransmission timer has expired.
    Loss,
}

crate::pack::choices!(State { Open, Disorder, Cwr, Recovery, Loss });

/// An acceptable ACK.
#[derive(Clone, Copy, Debug)]
pub struct Ack<'a> {
    /// The time.
    pub now: Instant,
    /// SEG.ACK.
    pub una: Seq,
    /// SND.NXT.
    pub snd_nxt: Seq,
    /// The blocks of its SACK option, in their order.
    pub sacks: &'a [Range<Seq>],
    /// It is a duplicate ACK by RFC 5681 §2: data outstanding, no payload, no SYN or FIN, the same ack number
    /// and window as before. Only used without SACK.
    pub duplicate: bool,
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// Smallest round trip.
    pub minimum: Option<Duration>,
    /// The timestamp that the ACK echoes was current until then.
    pub echoed_until: Option<Instant>,
    /// The ACK carries nothing but itself: no payload, no new window.
    pub bare: bool,
    /// There is new data to send, and the peer's window has room for it.
    pub new_data: bool,
    /// Effective MSS, bytes.
    pub mss: u32,
    /// It echoes the mark of a queue (ECN).
    pub echo: bool,
}

/// Loss recovery of one connection.
#[derive(Clone, Debug)]
pub struct Recovery {
    scoreboard: Scoreboard,
    state: State,
    sack: bool,
    /// Recovery ends when this byte is acknowledged.
    end: Seq,
    rate: ProportionalRate,
    detection: LossDetection,
    rack: Rack,
    probe: TailLossProbe,
    undo: Undo,
    frto: Frto,
    /// New data goes before repetitions (F-RTO).
    prefer_new: bool,
    /// When to look for losses again without an ACK.
    look_again: Option<Duration>,
    reordering: u32,
    /// What was assumed before anything was seen.
    assumed_reordering: u32,
    reordering_events: u32,
    size_probe: Option<SizeProbe>,
    /// Segments sent again, and those that the peer has reported as received twice.
    resent: u32,
    duplicates: u32,
}

crate::pack::pack!(Recovery {
    scoreboard,
    state,
    sack,
    end,
    rate,
    detection,
    rack,
    probe,
    undo,
    frto,
    prefer_new,
    look_again,
    reordering,
    assumed_reordering,
    reordering_events,
    size_probe,
    resent,
    duplicates,
});

impl Recovery {
    /// A connection that has sent nothing yet; `sack` when it was negotiated.
    #[must_use]
    pub fn new(sack: bool, detection: LossDetection) -> Recovery {
        Recovery::with_reordering(sack, detection, DUPLICATE_THRESHOLD)
    }

    /// The same on a path that is assumed to reorder by so many segments at first (net.ipv4.tcp_reordering).
    #[must_use]
    pub fn with_reordering(sack: bool, detection: LossDetection, reordering: u32) -> Recovery {
        Recovery {
            scoreboard: Scoreboard::new(),
            state: State::Open,
            sack,
            end: Seq(0),
            rate: ProportionalRate::default(),
            detection,
            rack: Rack::default(),
            probe: TailLossProbe::default(),
            undo: Undo::default(),
            frto: Frto::default(),
            prefer_new: false,
            look_again: None,
            reordering,
            assumed_reordering: reordering,
            reordering_events: 0,
            size_probe: None,
            resent: 0,
            duplicates: 0,
        }
    }

    /// SACK was negotiated, or not.
    pub fn set_sack(&mut self, sack: bool) {
        self.sack = sack;
    }

    /// What the sender thinks of the path.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// A loss is being repaired.
    #[must_use]
    pub fn is_repairing(&self) -> bool {
        matches!(self.state, State::Recovery | State::Loss)
    }

    /// How far segments overtake each other on this path, as far as was seen, segments (tcpi_reordering).
    #[must_use]
    pub fn reordering(&self) -> u32 {
        self.reordering
    }

    /// How often reordering was seen (tcpi_reord_seen).
    #[must_use]
    pub fn reordering_events(&self) -> u32 {
        self.reordering_events
    }

    /// How long after the latest ACK to look for losses again, if that may help ([`Recovery::on_reordering_timeout`]).
    #[must_use]
    pub fn look_again(&self) -> Option<Duration> {
        self.look_again
    }

    /// How long after the last transmission the end of the flight is to be probed, if it is.
    #[must_use]
    pub fn probe_delay(&self, srtt: Option<Duration>, rto_min: Duration) -> Option<Duration> {
        let calm = matches!(self.state, State::Open | State::Cwr);
        if !self.uses_rack() || !calm || self.scoreboard.is_empty() {
            return None;
        }
        TailLossProbe::delay(srtt, self.scoreboard.unacked(), rto_min)
    }

    /// May a probe leave? One is enough.
    #[must_use]
    pub fn may_probe(&self) -> bool {
        self.uses_rack() && !self.probe.is_out() && !self.scoreboard.is_empty()
    }

    fn uses_rack(&self) -> bool {
        self.sack && self.detection == LossDetection::RackTlp
    }

    /// The queue of sent segments.
    #[must_use]
    pub fn scoreboard(&self) -> &Scoreboard {
        &self.scoreboard
    }

    /// May one more segment leave, as far as congestion control is concerned?
    #[must_use]
    pub fn may_send(&self, congestion: &Congestion) -> bool {
        self.scoreboard.in_flight() < congestion.window()
    }

    /// The application writes while it has less than a segment to send and the window has room: rates measured until what is in
    /// flight has arrived are the application's.
    pub fn on_write_without_backlog(&mut self, congestion: &Congestion) {
        let in_flight = self.scoreboard.in_flight();
        if in_flight < congestion.window() && self.scoreboard.lost() <= self.scoreboard.retransmitted() {
            self.scoreboard.delivery_mut().on_application_limited(in_flight);
        }
    }

    /// The segment to send again before anything new.
    #[must_use]
    pub fn next_retransmission(&mut self) -> Option<Range<Seq>> {
        match self.state {
            State::Recovery | State::Loss if !self.prefer_new => self.scoreboard.next_lost(),
            State::Recovery | State::Loss | State::Open | State::Disorder | State::Cwr => None,
        }
    }

    /// All new data that may leave has left. True when it turns out that there was none and repetitions may go on instead.
    pub fn on_nothing_new(&mut self, snd_nxt: Seq) -> bool {
        let idle = self.prefer_new && self.end == snd_nxt;
        if idle {
            self.prefer_new = false;
            self.frto.give_up();
        }
        idle
    }

    /// New data, or FIN, was sent, in segments of at most `segment_len` bytes. `continues`: it belongs to the group of the segment
    /// before.
    pub fn on_sent(&mut self, range: Range<Seq>, segment_len: u32, now: Instant, continues: bool) {
        let before = self.scoreboard.unacked();
        self.scoreboard.on_sent(range, segment_len, now, continues);
        self.rate.on_sent(self.scoreboard.unacked() - before);
    }

    /// How many segments from `start` on left as one group and are to be sent again, at most `room`, and where the last of them
    /// ends. What follows them is a group of its own from then on.
    pub fn group_to_retransmit(&mut self, start: Seq, room: u32) -> (u32, Seq) {
        self.scoreboard.split_group(start, room)
    }

    /// A segment was sent again.
    pub fn on_retransmitted(&mut self, range: Range<Seq>, now: Instant) {
        self.scoreboard.on_retransmitted(range, now);
        self.rate.on_sent(1);
        self.resent = self.resent.saturating_add(1);
        self.undo.on_retransmitted(now);
    }

    /// The newest segment was sent again to probe the end of the flight, or (`repeated` false) new data was sent for that.
    pub fn on_probed(&mut self, now: Instant, snd_nxt: Seq, repeated: bool) {
        if repeated {
            self.resent = self.resent.saturating_add(1);
            self.scoreboard.on_probed(now);
        }
        self.probe.on_sent(snd_nxt, repeated);
    }

    /// An acceptable ACK has come: updates what is lost, and the window.
    pub fn on_ack(&mut self, ack: &Ack<'_>, congestion: &mut Congestion) -> Acked {
        self.prefer_new = false;
        self.look_again = None;
        let prior_in_flight = self.scoreboard.in_flight();
        let lost_before = self.scoreboard.delivery().lost();
        let before = self.scoreboard.first().map(|first| first.start);
        let nothing_sacked = self.scoreboard.sacked() == 0;
        let mut acked = self.scoreboard.on_ack(ack.una, ack.sacks, ack.now, &mut self.rack, ack.minimum);
        if !self.sack {
            self.count_duplicates(ack, &mut acked);
        }
        self.take_passed_size_probe(ack.una, ack.mss, congestion);
        self.note_reordering(ack, &acked);
        let probe_reported = self.note_duplicate(ack, &mut acked);
        self.rack.adjust(ack.una, ack.snd_nxt);
        self.judge_probe(ack, &acked, probe_reported, congestion);
        let more_lost = self.next_state(ack, &acked, before.unwrap_or(ack.una), congestion);
        let rate = self.scoreboard.delivery_mut().sample(ack.now, ack.minimum, lost_before);
        let sample = AckSample {
            now: ack.now,
            delivered: acked.delivered,
            rtt: acked.newest_rtt,
            delayed: acked.segments == 1
                && nothing_sacked
                && acked.bytes < ack.mss
                && rate.delivered_before.wrapping_add(1) == rate.delivered,
            srtt: ack.srtt,
            snd_una: ack.una,
            snd_nxt: ack.snd_nxt,
            mss: ack.mss,
            rate,
            prior_in_flight,
            in_flight: self.scoreboard.in_flight(),
            repair: match self.state {
                State::Recovery => Repair::Recovery,
                State::Loss => Repair::Timeout,
                State::Open | State::Disorder | State::Cwr => Repair::No,
            },
        };
        if congestion.is_rate_based() {
            if congestion.on_delivery(&sample) {
                let in_flight = self.scoreboard.in_flight();
                self.scoreboard.delivery_mut().on_application_limited(in_flight);
            }
        } else if matches!(self.state, State::Recovery | State::Cwr) {
            congestion.on_round_trip_in_recovery(&sample);
            self.reduce(acked.delivered, acked.advanced, more_lost, congestion);
        } else if acked.advanced || acked.newly_sacked > 0 && self.reordering > self.assumed_reordering {
            // Where reordering is usual, what arrives out of order is progress too (tcp_may_raise_cwnd).
            congestion.on_ack(&sample);
        }
        acked
    }

    /// Proportional rate reduction for what was delivered.
    fn reduce(&mut self, delivered: u32, advanced: bool, more_lost: bool, congestion: &mut Congestion) {
        if congestion.is_rate_based() {
            return;
        }
        let progress = Progress {
            delivered,
            in_flight: self.scoreboard.in_flight(),
            threshold: congestion.threshold(),
            advanced,
            more_lost,
        };
        if let Some(window) = self.rate.on_ack(&progress) {
            congestion.set_window(window);
        }
    }

    fn judge_probe(
        &mut self,
        ack: &Ack<'_>,
        acked: &Acked,
        duplicate_reported: bool,
        congestion: &mut Congestion,
    ) {
        let bare_duplicate = ack.bare && !acked.advanced && acked.newly_sacked == 0;
        let probe_ack = ProbeAck { una: ack.una, duplicate_reported, bare_duplicate };
        if self.probe.on_ack(&probe_ack) == Outcome::Repaired {
            congestion.on_loss();
            congestion.on_recovered();
        }
    }

    /// Without SACK each duplicate ACK stands for one segment that has arrived (RFC 6582).
    fn count_duplicates(&mut self, ack: &Ack<'_>, acked: &mut Acked) {
        let before = self.scoreboard.duplicates();
        if acked.advanced {
            // What the duplicates had announced is now acknowledged; the retransmitted segment itself was not among them.
            let announced = acked.segments.saturating_sub(1).min(before);
            self.scoreboard.set_duplicates(before - announced);
            // A part of a segment is none (RFC 3465 §2.3 counts bytes for the same reason).
            let delivered = acked.delivered.saturating_sub(announced).max(acked.segments.min(1));
            let counted = acked.delivered;
            acked.delivered = delivered;
            self.scoreboard.delivery_mut().count_delivered(delivered.wrapping_sub(counted));
        } else if ack.duplicate && before < self.could_have_arrived(ack) {
            self.scoreboard.set_duplicates(before + 1);
            // The bound falls when segments are found to be lost: there may be fewer than before.
            acked.delivered = self.scoreboard.duplicates().saturating_sub(before);
            self.scoreboard.delivery_mut().count_delivered(acked.delivered);
        }
    }

    /// Segments that left long enough ago for the peer to have answered them. Duplicates beyond are made up: each would let
    /// one more segment out (RFC 5681 §3.2 allows the limit).
    fn could_have_arrived(&self, ack: &Ack<'_>) -> u32 {
        match ack.minimum {
            Some(minimum) => self.scoreboard.sent_until(ack.now - minimum / 2),
            None => self.scoreboard.unacked(),
        }
    }

    /// Moves between the states; returns whether more was found to be lost.
    fn next_state(&mut self, ack: &Ack<'_>, acked: &Acked, before: Seq, congestion: &mut Congestion) -> bool {
        let repaired = acked.advanced && self.end.is_at_or_before(ack.una);
        if ack.echo {
            self.undo.forbid();
        }
        match self.state {
            // CWR has to reach the peer: that is, something beyond.
            State::Cwr if repaired && self.end != ack.una => {
                congestion.on_recovered();
                self.state = State::Open;
            }
            State::Recovery if repaired => self.end_recovery(ack, congestion),
            State::Recovery => {
                // A partial ACK of an original: the holes were only late (RFC 3522).
                if acked.advanced && self.undo.by_timestamps(ack.echoed_until) {
                    self.remember_reordering(before, ack);
                    if self.scoreboard.retransmitted() > 0 {
                        return false;
                    }
                    self.take_back(UndoReason::Timestamps, congestion);
                    self.scoreboard.unmark_lost();
                    self.state = State::Open;
                }
            }
            State::Loss => {
                if !self.after_timeout(ack, acked, repaired, congestion) {
                    return false;
                }
            }
            State::Open | State::Disorder | State::Cwr => {}
        }
        if acked.dsack && self.state != State::Loss && self.undo.by_duplicates() {
            self.take_back(UndoReason::Duplicates, congestion);
            if self.state == State::Recovery {
                self.state = State::Disorder;
            }
        }
        let overtaken = self.find_lost(ack, acked);
        let more_lost = overtaken.newly > 0;
        match self.state {
            State::Recovery => {}
            // A repetition that is lost again is a new congestion.
            State::Loss if overtaken.again == 0 => {}
            State::Cwr if self.scoreboard.lost() == 0 => {}
            State::Loss | State::Open | State::Disorder | State::Cwr => {
                if self.scoreboard.lost() > 0 && self.is_size_probe_lost(ack.una, false) {
                    return more_lost;
                }
                if self.scoreboard.lost() > 0 {
                    self.enter_recovery(ack.una, ack.snd_nxt, congestion);
                    if ack.echo {
                        self.undo.forbid();
                    }
                } else if ack.echo && !self.scoreboard.is_empty() {
                    self.begin_reduction(ack.snd_nxt, congestion);
                } else {
                    self.state = if self.scoreboard.sacked() > 0 { State::Disorder } else { State::Open };
                }
            }
        }
        more_lost
    }

    fn find_lost(&mut self, ack: &Ack<'_>, acked: &Acked) -> Overtaken {
        if self.uses_rack() {
            let patience = self.patience(ack.minimum, ack.srtt);
            if self.rack.take_advanced() {
                let window = self.rack.window(&patience);
                let found = self.scoreboard.mark_overtaken_in_time(&self.rack, ack.now, window);
                self.look_again = found.wait;
                return found;
            }
            return Overtaken::default();
        }
        let newly = if self.sack {
            self.scoreboard.mark_overtaken()
        } else {
            // A partial ACK: the next hole is lost too (RFC 6582 §3.2 step 3).
            let lost = match self.state {
                State::Recovery => acked.advanced,
                State::Open | State::Disorder | State::Cwr => {
                    self.scoreboard.duplicates() >= DUPLICATE_THRESHOLD
                }
                State::Loss => false,
            };
            u32::from(lost && self.scoreboard.mark_first_lost())
        };
        Overtaken { newly, ..Overtaken::default() }
    }

    fn patience(&self, minimum: Option<Duration>, srtt: Option<Duration>) -> Patience {
        let repairing = matches!(self.state, State::Recovery | State::Loss);
        Patience { minimum, srtt, evidence: repairing || self.scoreboard.sacked() >= self.reordering }
    }
}

#[cfg(test)]
mod tests;
