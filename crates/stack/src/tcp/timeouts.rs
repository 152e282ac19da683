//! What happens when nothing comes? One function per timer.

use super::ack::AckDecision;
use super::connection::{Connection, Context, Owner, State};
use super::output::SendDecision;
use super::timer::Timer;
use crate::counters::Counter;
use crate::{Instant, SocketError};
use std::time::Duration;

/// Timeouts in a row after which a connection is given up (Linux's tcp_retries2; RFC 9293 §3.8.3, R2).
const RETRIES: u32 = 15;
/// The same for a connection that nobody owns any more (Linux's tcp_orphan_retries).
const ORPHAN_RETRIES: u32 = 8;
/// How long FIN-WAIT-2 lasts when nobody owns the connection (Linux's tcp_fin_timeout).
const ORPHAN_LIFETIME: Duration = Duration::from_secs(60);

impl Connection {
    /// Runs every timer that is due.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        for timer in Timer::ALL {
            if self.timers.take_due(timer, context.now) {
                match timer {
                    Timer::DelayedAck => self.on_delayed_ack(context),
                    Timer::LossProbe => self.on_loss_probe_due(context.now),
                    Timer::Reordering => self.on_reordering_timeout(context),
                    Timer::Retransmit => self.on_retransmission_timeout(context),
                    Timer::Persist => self.on_persist(context),
                    Timer::KeepAlive => self.on_keep_alive(context),
                    Timer::Orphan => {
                        context.counters.count(Counter::OrphanTimedOut);
                        self.finish(context, None);
                    }
                }
            }
        }
    }

    pub(super) fn start_orphan_timer(&mut self, now: Instant) {
        self.start_timer(Timer::Orphan, now, ORPHAN_LIFETIME);
    }

    fn on_delayed_ack(&mut self, context: &mut Context<'_>) {
        let question = self.ack_context(context.now);
        if let AckDecision::Now(reason) = self.rcv.ack.on_timeout(&question) {
            context.counters.count(Counter::DelayedAcks);
            self.acknowledge(reason);
        }
    }

    /// The probe takes the place of a timeout that is due at the same time (as in Linux, where both are one timer).
    fn on_loss_probe_due(&mut self, now: Instant) {
        if self.snd.in_flight() && self.snd.recovery.may_probe() {
            self.due.loss_probe = true;
            self.start_timer(Timer::Retransmit, now, self.rtt.rto());
        }
    }

    fn on_retransmission_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        self.stats.retransmits += 1;
        context.counters.count(Counter::Timeouts);
        match self.state {
            State::SynSent => {
                // After a few repetitions at the first interval it doubles (tcp_syn_linear_timeouts), but gives up when doubling from the start would have.
                let begun = *self.unanswered_since.get_or_insert(self.handshake_sent.unwrap_or(now));
                let linear = self.stats.retransmits <= self.knobs.system.syn_linear_timeouts;
                let first = self.rtt.base_rto();
                let allowed = first.saturating_mul((2u32 << self.knobs.syn_retries.min(20)) - 1);
                if !linear {
                    self.rtt.back_off();
                }
                if now.since(begun) >= allowed {
                    self.finish(context, Some(SocketError::TimedOut));
                    return;
                }
                self.due.handshake = true;
                self.start_timer(Timer::Retransmit, now, self.rtt.rto());
            }
            State::SynReceived => {
                if self.stats.retransmits > self.knobs.system.syn_ack_retries {
                    self.finish(context, Some(SocketError::TimedOut));
                    return;
                }
                self.rtt.back_off();
                self.due.handshake = true;
                self.start_timer(Timer::Retransmit, now, self.rtt.rto());
            }
            _ => {
                let retries = if self.owner == Owner::Nobody { ORPHAN_RETRIES } else { RETRIES };
                if self.stats.retransmits > retries {
                    self.finish(context, Some(SocketError::TimedOut));
                    return;
                }
                if self.snd.in_flight() {
                    self.suspect_black_hole(context);
                    self.lose_everything(context);
                }
            }
        }
    }

    /// The window is still closed, or a policy still holds data, and nothing is in flight.
    fn on_persist(&mut self, context: &mut Context<'_>) {
        let SendDecision::Hold(_) = self.send_decision() else { return };
        if self.snd.in_flight() {
            return;
        }
        self.snd.more = false;
        if self.usable_window() > 0 {
            // Something fits, however small: it does better than a probe (RFC 9293 §3.8.6.2.1, override timeout).
            self.due.push_small = true;
            return;
        }
        let retries = if self.owner == Owner::Nobody { ORPHAN_RETRIES } else { RETRIES };
        if self.stats.probes >= retries {
            self.finish(context, Some(SocketError::TimedOut));
            return;
        }
        self.stats.probes += 1;
        context.counters.count(Counter::WindowProbes);
        self.due.probe = true;
        self.rtt.back_off();
        self.start_timer(Timer::Persist, context.now, self.rtt.rto());
    }

    /// Nothing was heard for long; the timer is not moved with each segment, so it may have come too early.
    fn on_keep_alive(&mut self, context: &mut Context<'_>) {
        if !self.knobs.keepalive || !self.state.is_synchronized() {
            return;
        }
        let now = context.now;
        let busy = self.snd.in_flight() || self.snd.unsent() > 0;
        let silent = now.since(self.rcv.last_arrival);
        if busy || silent < self.knobs.keepalive_time {
            let wait = if busy { self.knobs.keepalive_time } else { self.knobs.keepalive_time - silent };
            self.start_timer(Timer::KeepAlive, now, wait);
            return;
        }
        if self.stats.probes >= self.knobs.keepalive_probes {
            self.abort(context, Some(SocketError::TimedOut));
            return;
        }
        self.stats.probes += 1;
        context.counters.count(Counter::KeepAliveProbes);
        self.due.probe = true;
        self.start_timer(Timer::KeepAlive, now, self.knobs.keepalive_interval);
    }
}
