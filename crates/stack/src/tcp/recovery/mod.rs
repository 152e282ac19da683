//! What is lost, and what happens then? (RFC 5681 §3.2, RFC 6675 with SACK, RFC 6582 without, RFC 6298 on timeout.)
//!
//! The connection reports every segment sent, every ACK and every expiry of the retransmission timer, and sends while
//! [`Recovery::may_send`] allows: first [`Recovery::next_retransmission`], then new data.

pub mod fast_retransmit;
pub mod rack;
pub mod rto;
pub mod scoreboard;
pub mod tlp;

use crate::Instant;
use crate::tcp::congestion::{AckSample, Congestion};
use fast_retransmit::{Progress, ProportionalRate};
use narrows_wire::Seq;
use rack::{Found, Rack};
use scoreboard::{Acked, DUPLICATE_THRESHOLD, Scoreboard};
use std::ops::Range;
use std::time::Duration;
use tlp::{ProbeResult, TailProbe};

/// Reordering is never assumed to reach further, segments (net.ipv4.tcp_max_reordering).
const MAX_REORDERING: u32 = 300;

/// What the sender thinks of the path (tcpi_ca_state).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// All is well.
    #[default]
    Open,
    /// Something is missing, or out of order.
    Disorder,
    /// A loss is being repaired.
    Recovery,
    /// The retransmission timer has expired.
    Loss,
}

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
    /// Effective MSS, bytes.
    pub mss: u32,
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
    reordering: u32,
    /// What was assumed before anything was seen.
    assumed_reordering: u32,
    reordering_events: u32,
    rack: Rack,
    probe: TailProbe,
    /// How long until a segment counts as late (RFC 8985 §6.2 step 5).
    late_in: Option<Duration>,
}

impl Recovery {
    /// A connection that has sent nothing yet; `sack` when it was negotiated.
    #[must_use]
    pub fn new(sack: bool) -> Recovery {
        Recovery::with_reordering(sack, DUPLICATE_THRESHOLD)
    }

    /// The same on a path that is assumed to reorder by so many segments at first (net.ipv4.tcp_reordering).
    #[must_use]
    pub fn with_reordering(sack: bool, reordering: u32) -> Recovery {
        Recovery {
            scoreboard: Scoreboard::new(),
            state: State::Open,
            sack,
            end: Seq(0),
            rate: ProportionalRate::default(),
            reordering,
            assumed_reordering: reordering,
            reordering_events: 0,
            rack: Rack::new(),
            probe: TailProbe::default(),
            late_in: None,
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

    /// The segment to send again before anything new.
    #[must_use]
    pub fn next_retransmission(&mut self) -> Option<Range<Seq>> {
        match self.state {
            State::Recovery | State::Loss => self.scoreboard.next_lost(),
            State::Open | State::Disorder => None,
        }
    }

    /// New data, or FIN, was sent, in segments of at most `segment_len` bytes.
    /// `continues`: it belongs to the group of the segment before.
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
    }

    /// An acceptable ACK has come: updates what is lost, and the window.
    pub fn on_ack(&mut self, ack: &Ack<'_>, congestion: &mut Congestion) -> Acked {
        let mut acked = self.scoreboard.on_ack(ack.una, ack.sacks, ack.now, &mut self.rack, ack.minimum);
        if self.sack {
            self.learn_reordering(ack, &acked);
        } else {
            self.count_duplicates(ack, &mut acked);
        }
        let unmoved = !acked.advanced && acked.newly_sacked == 0;
        let repaired = self.probe.on_ack(ack.una, acked.dsack, unmoved && ack.duplicate);
        if repaired == ProbeResult::RepairedLoss && matches!(self.state, State::Open | State::Disorder) {
            congestion.on_loss();
            congestion.on_recovered();
        }
        let more_lost = self.next_state(ack, &acked, congestion);
        let sample = AckSample {
            now: ack.now,
            delivered: acked.delivered,
            rtt: acked.newest_rtt,
            srtt: ack.srtt,
            snd_una: ack.una,
            snd_nxt: ack.snd_nxt,
            mss: ack.mss,
        };
        if self.state == State::Recovery {
            congestion.on_round_trip_in_recovery(&sample);
            let progress = Progress {
                delivered: acked.delivered,
                in_flight: self.scoreboard.in_flight(),
                threshold: congestion.threshold(),
                advanced: acked.advanced,
                more_lost,
            };
            if let Some(window) = self.rate.on_ack(&progress) {
                congestion.set_window(window);
            }
        } else if acked.advanced || acked.newly_sacked > 0 && self.reordering > self.assumed_reordering {
            // Where reordering is usual, what arrives out of order is progress too (tcp_may_raise_cwnd).
            congestion.on_ack(&sample);
        }
        acked
    }

    /// Late arrivals show how far the path reorders (tcp_check_sack_reordering); duplicates show that recovery was too hasty.
    fn learn_reordering(&mut self, ack: &Ack<'_>, acked: &Acked) {
        if acked.dsack {
            self.rack.on_duplicate(ack.una, ack.snd_nxt);
        }
        let highest = self.scoreboard.highest_sacked().unwrap_or(ack.una);
        for low in [acked.late_by_sack, acked.late_by_ack].into_iter().flatten() {
            if low.is_before(highest) {
                let segments = (highest - low).div_ceil(ack.mss.max(1));
                self.reordering = self.reordering.max(segments.min(MAX_REORDERING));
                self.reordering_events += 1;
            }
        }
    }

    /// How late a segment may be before it counts as lost.
    fn reordering_window(&self, minimum: Option<Duration>, srtt: Option<Duration>) -> Duration {
        let certain = self.reordering_events == 0
            && (matches!(self.state, State::Recovery | State::Loss)
                || self.scoreboard.sacked() >= self.reordering);
        self.rack.window(certain, minimum, srtt)
    }

    fn find_late(&mut self, now: Instant, minimum: Option<Duration>, srtt: Option<Duration>) -> u32 {
        let window = self.reordering_window(minimum, srtt);
        let Found { lost, wait } = self.scoreboard.mark_late(&self.rack, now, window);
        self.late_in = wait;
        lost
    }

    /// How long until a segment counts as late, if one is waited for; asked for after each ACK.
    #[must_use]
    pub fn late_in(&self) -> Option<Duration> {
        self.late_in
    }

    /// The time of [`Recovery::late_in`] has come. True when something is lost.
    pub fn on_late(&mut self, ack: &Ack<'_>, congestion: &mut Congestion) -> bool {
        if self.find_late(ack.now, ack.minimum, ack.srtt) == 0 {
            return false;
        }
        if matches!(self.state, State::Open | State::Disorder) {
            self.enter_recovery(ack.snd_nxt, congestion);
            let progress = Progress {
                delivered: 1,
                in_flight: self.scoreboard.in_flight(),
                threshold: congestion.threshold(),
                advanced: false,
                more_lost: false,
            };
            if let Some(window) = self.rate.on_ack(&progress) {
                congestion.set_window(window);
            }
        }
        true
    }

    /// May a tail loss probe be waited for? (RFC 8985 §7.2.)
    #[must_use]
    pub fn wants_probe(&self) -> bool {
        self.sack && self.state == State::Open && !self.scoreboard.is_empty()
    }

    /// The newest segment is sent again by itself.
    pub fn split_last(&mut self) {
        self.scoreboard.split_last();
    }

    /// The probe that is on its way, if any.
    pub fn probe_mut(&mut self) -> &mut TailProbe {
        &mut self.probe
    }

    /// Without SACK each duplicate ACK stands for one segment that has arrived (RFC 6582).
    fn count_duplicates(&mut self, ack: &Ack<'_>, acked: &mut Acked) {
        let before = self.scoreboard.duplicates();
        if acked.advanced {
            // What the duplicates had announced is now acknowledged; the retransmitted segment itself was not among them.
            let announced = acked.segments.saturating_sub(1).min(before);
            self.scoreboard.set_duplicates(before - announced);
            acked.delivered = acked.delivered.saturating_sub(announced).max(1);
        } else if ack.duplicate && !self.scoreboard.is_empty() {
            self.scoreboard.set_duplicates(before + 1);
            acked.delivered = self.scoreboard.duplicates() - before;
        }
    }

    /// Moves between the states; returns whether more was found to be lost.
    fn next_state(&mut self, ack: &Ack<'_>, acked: &Acked, congestion: &mut Congestion) -> bool {
        let repaired = acked.advanced && self.end.is_at_or_before(ack.una);
        match self.state {
            State::Recovery if repaired => {
                congestion.on_recovered();
                self.rack.on_recovered();
                self.reopen();
            }
            State::Loss if repaired => self.reopen(),
            State::Open | State::Disorder | State::Recovery | State::Loss => {}
        }
        let mut more_lost = false;
        if self.sack {
            let searched = self.scoreboard.sacked() > 0 || self.scoreboard.retransmitted() > 0;
            self.late_in = None;
            if self.rack.take_advanced() && searched {
                more_lost = self.find_late(ack.now, ack.minimum, ack.srtt) > 0;
            }
        }
        match self.state {
            State::Recovery => {
                // A partial ACK: the next hole is lost too (RFC 6582 §3.2 step 3).
                if !self.sack && acked.advanced {
                    more_lost |= self.scoreboard.mark_first_lost();
                }
            }
            State::Open | State::Disorder => {
                let enough = !self.sack && self.scoreboard.duplicates() >= DUPLICATE_THRESHOLD;
                if enough {
                    more_lost |= self.scoreboard.mark_first_lost();
                }
                if self.scoreboard.lost() > 0 {
                    self.enter_recovery(ack.snd_nxt, congestion);
                } else {
                    self.state = if self.scoreboard.sacked() > 0 { State::Disorder } else { State::Open };
                }
            }
            State::Loss => {}
        }
        more_lost
    }

    fn enter_recovery(&mut self, snd_nxt: Seq, congestion: &mut Congestion) {
        self.state = State::Recovery;
        self.probe.forget();
        self.end = snd_nxt;
        self.rate = ProportionalRate::new(congestion.window());
        congestion.on_loss();
    }

    fn reopen(&mut self) {
        self.state = State::Open;
        if !self.sack {
            self.scoreboard.set_duplicates(0);
        }
    }

    /// The retransmission timer has expired: everything in flight is taken for lost (RFC 5681 §3.1).
    pub fn on_timeout(&mut self, ack: &Ack<'_>, congestion: &mut Congestion) {
        let (now, snd_una, snd_nxt) = (ack.now, ack.una, ack.snd_nxt);
        let first = match self.state {
            State::Open | State::Disorder => true,
            // In recovery the threshold has been cut for this window already.
            State::Recovery | State::Loss => self.end.is_at_or_before(snd_una),
        };
        if self.scoreboard.has_reneged() {
            self.scoreboard.forget_sacks();
        }
        let window = self.reordering_window(ack.minimum, ack.srtt);
        self.scoreboard.mark_expired(&self.rack, now, window);
        self.probe.forget();
        self.late_in = None;
        congestion.on_timeout(now, snd_nxt, first);
        self.state = State::Loss;
        self.end = snd_nxt;
    }
}

#[cfg(test)]
mod tests;
