//! How does a reduction, a recovery or a timeout begin, and how does it end? (RFC 6937, RFC 5681 §3.1, RFC 5682, RFC 3522, RFC 3168 §6.1.2.)

use super::fast_retransmit::ProportionalRate;
use super::scoreboard::Acked;
use super::undo::UndoReason;
use super::{Ack, Recovery, State, frto};
use crate::Instant;
use crate::tcp::congestion::Congestion;
use narrows_wire::Seq;

impl Recovery {
    /// A queue has marked something: the window is reduced as for a loss, once per window (RFC 3168 §6.1.2).
    pub(super) fn begin_reduction(&mut self, snd_nxt: Seq, congestion: &mut Congestion) {
        self.state = State::Cwr;
        self.end = snd_nxt;
        self.probe.forget();
        self.undo.forget();
        self.rate = ProportionalRate::new(congestion.window());
        congestion.on_loss();
    }

    pub(super) fn enter_recovery(&mut self, una: Seq, snd_nxt: Seq, congestion: &mut Congestion) {
        if self.state == State::Cwr {
            // The reduction under way is for this loss, too.
            self.state = State::Recovery;
            self.undo.begin(una, 0, 0, self.scoreboard.retransmitted());
            return;
        }
        self.state = State::Recovery;
        self.end = snd_nxt;
        self.probe.forget();
        self.rate = ProportionalRate::new(congestion.window());
        let out = self.scoreboard.retransmitted();
        self.undo.begin(una, congestion.window(), congestion.remembered_threshold(), out);
        congestion.on_loss();
    }

    pub(super) fn end_recovery(&mut self, ack: &Ack<'_>, congestion: &mut Congestion) {
        match self.undo.reason(ack.echoed_until) {
            Some(reason) => self.take_back(reason, congestion),
            None => {
                self.rack.on_recovered();
                congestion.on_recovered();
            }
        }
        self.reopen();
    }

    /// In state Loss: was the timeout a mistake, and is its damage repaired? False when nothing more is to be asked of this ACK.
    pub(super) fn after_timeout(
        &mut self,
        ack: &Ack<'_>,
        acked: &Acked,
        repaired: bool,
        congestion: &mut Congestion,
    ) -> bool {
        let by_evidence = self.undo.reason(ack.echoed_until).filter(|_| acked.advanced);
        let situation = frto::Situation {
            original_arrived: acked.original.is_some_and(|end| end.is_at_or_before(self.end)),
            sent_new: self.end.is_before(ack.snd_nxt),
            out_of_order: acked.newly_sacked > 0 || (!self.sack && ack.duplicate),
            advanced: acked.advanced,
            repaired,
            new_data: ack.new_data,
        };
        let reason = match by_evidence {
            Some(reason) => Some(reason),
            None => match self.frto.on_ack(&situation) {
                frto::Verdict::Spurious if self.undo.is_pending() => Some(UndoReason::Frto),
                frto::Verdict::SendNew => {
                    self.end = ack.snd_nxt;
                    self.prefer_new = true;
                    return false;
                }
                frto::Verdict::Spurious | frto::Verdict::Repeat => None,
            },
        };
        if let Some(reason) = reason {
            self.take_back(reason, congestion);
            self.scoreboard.unmark_lost();
            self.reopen();
        } else if repaired {
            self.rack.on_recovered();
            self.reopen();
        }
        true
    }

    pub(super) fn take_back(&mut self, reason: UndoReason, congestion: &mut Congestion) {
        if let Some((window, threshold)) = self.undo.take() {
            congestion.undo(window, threshold);
        }
        if reason == UndoReason::Duplicates {
            self.rack.on_undone_by_duplicates();
        }
        self.rack.look_again();
    }

    pub(super) fn reopen(&mut self) {
        self.state = State::Open;
        if self.scoreboard.retransmitted() == 0 {
            self.undo.on_all_delivered();
        }
        if !self.sack {
            self.scoreboard.set_duplicates(0);
        }
    }

    /// The retransmission timer has expired: what is in flight is taken for lost (RFC 5681 §3.1), except for what RACK knows to
    /// have left less than a round trip ago.
    pub fn on_timeout(&mut self, now: Instant, snd_una: Seq, snd_nxt: Seq, congestion: &mut Congestion) {
        let begins = match self.state {
            State::Open | State::Disorder => true,
            // In recovery the threshold has been cut for this window already.
            State::Cwr | State::Recovery | State::Loss => self.end.is_at_or_before(snd_una),
        };
        let again = self.state == State::Loss;
        if self.scoreboard.has_reneged() {
            self.scoreboard.forget_sacks();
        }
        if begins {
            let out = self.scoreboard.retransmitted();
            self.undo.begin(snd_una, congestion.window(), congestion.remembered_threshold(), out);
        }
        let spare = self.uses_rack().then_some((&self.rack, now));
        self.scoreboard.mark_all_lost(spare);
        congestion.on_timeout(now, snd_nxt, begins, self.scoreboard.in_flight());
        self.state = State::Loss;
        self.end = snd_nxt;
        self.probe.forget();
        self.frto.on_timeout(begins || again);
        self.prefer_new = false;
        self.look_again = None;
    }
}
