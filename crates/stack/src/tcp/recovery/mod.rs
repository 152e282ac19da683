//! What is lost, and what happens then? (RFC 5681 §3.2, RFC 6675 with SACK, RFC 6582 without, RFC 6298 on timeout.)
//!
//! The connection reports every segment sent, every ACK and every expiry of the retransmission timer, and sends while
//! [`Recovery::may_send`] allows: first [`Recovery::next_retransmission`], then new data.

pub mod fast_retransmit;
pub mod rto;
pub mod scoreboard;

use crate::Instant;
use crate::tcp::congestion::{AckSample, Congestion};
use fast_retransmit::{Progress, ProportionalRate};
use narrows_wire::Seq;
use scoreboard::{Acked, DUPLICATE_THRESHOLD, Scoreboard};
use std::ops::Range;
use std::time::Duration;

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
    reordering_events: u32,
}

impl Recovery {
    /// A connection that has sent nothing yet; `sack` when it was negotiated.
    #[must_use]
    pub fn new(sack: bool) -> Recovery {
        Recovery {
            scoreboard: Scoreboard::new(),
            state: State::Open,
            sack,
            end: Seq(0),
            rate: ProportionalRate::default(),
            reordering: DUPLICATE_THRESHOLD,
            reordering_events: 0,
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
    pub fn on_sent(&mut self, range: Range<Seq>, segment_len: u32, now: Instant) {
        let before = self.scoreboard.unacked();
        self.scoreboard.on_sent(range, segment_len, now);
        self.rate.on_sent(self.scoreboard.unacked() - before);
    }

    /// A segment was sent again.
    pub fn on_retransmitted(&mut self, range: Range<Seq>, now: Instant) {
        self.scoreboard.on_retransmitted(range, now);
        self.rate.on_sent(1);
    }

    /// An acceptable ACK has come: updates what is lost, and the window.
    pub fn on_ack(&mut self, ack: &Ack<'_>, congestion: &mut Congestion) -> Acked {
        let mut acked = self.scoreboard.on_ack(ack.una, ack.sacks, ack.now);
        if !self.sack {
            self.count_duplicates(ack, &mut acked);
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
        } else if acked.advanced {
            congestion.on_ack(&sample);
        }
        acked
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
                self.reopen();
            }
            State::Loss if repaired => self.reopen(),
            State::Open | State::Disorder | State::Recovery | State::Loss => {}
        }
        let mut more_lost = if self.sack { self.scoreboard.mark_overtaken() > 0 } else { false };
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
    pub fn on_timeout(&mut self, now: Instant, snd_una: Seq, snd_nxt: Seq, congestion: &mut Congestion) {
        let first = match self.state {
            State::Open | State::Disorder => true,
            // In recovery the threshold has been cut for this window already.
            State::Recovery | State::Loss => self.end.is_at_or_before(snd_una),
        };
        if self.scoreboard.has_reneged() {
            self.scoreboard.forget_sacks();
        }
        self.scoreboard.mark_all_lost();
        congestion.on_timeout(now, snd_nxt, first);
        self.state = State::Loss;
        self.end = snd_nxt;
    }
}

#[cfg(test)]
mod tests;
