//! What happens when nothing comes? One function per timer.

use super::ack::AckDecision;
use super::connection::{Connection, Context, Owner, State};
use super::output::SendDecision;
use super::timer::Timer;
use crate::counters::Counter;
use crate::{Instant, SocketError};
use std::time::Duration;

/// Timeouts after which a connection is given up, and probes of a closed window (Linux's tcp_retries2; RFC 9293 §3.8.3, R2). For
/// timeouts it is the time that so many would take, beginning with the smallest timeout.
const RETRIES: u32 = 15;
/// The same for a connection that nobody owns any more (Linux's tcp_orphan_retries).
const ORPHAN_RETRIES: u32 = 8;
/// How long FIN-WAIT-2 lasts when nobody owns the connection (Linux's tcp_fin_timeout).
const ORPHAN_LIFETIME: Duration = Duration::from_secs(60);
/// The smallest wait between probes of a closed window (TCP_RTO_MIN).
const PROBE_MIN: Duration = Duration::from_millis(200);
/// How soon to try again what the device did not take (TCP_RESOURCE_PROBE_INTERVAL).
const DEVICE_RETRY: Duration = Duration::from_millis(500);

/// How long `retries` timeouts take that begin with the smallest one and double up to the largest (tcp_model_timeout).
fn modelled(retries: u32, largest: Duration) -> Duration {
    let doublings = (largest.as_millis() / PROBE_MIN.as_millis()).max(1).ilog2();
    let doubling = PROBE_MIN.saturating_mul((2 << retries.min(doublings)) - 1);
    doubling.saturating_add(largest.saturating_mul(retries.saturating_sub(doublings)))
}

impl Connection {
    /// Runs every timer that is due.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        self.follow_route();
        for timer in Timer::ALL {
            if self.timers.take_due(timer, context.now) {
                match timer {
                    Timer::DelayedAck => self.on_delayed_ack(context),
                    // Asking what may leave follows anyway.
                    Timer::Pacing => {}
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
        if !self.snd.in_flight() {
            return;
        }
        if self.snd.recovery.may_probe() {
            self.due.loss_probe = true;
            self.start_timer(Timer::Retransmit, now, self.rtt.rto());
        } else {
            self.time_out_from_oldest(now);
        }
    }

    /// One timer of Linux serves probes, reordering and timeouts: when it has served for one of the others, the timeout runs from when
    /// the oldest segment left (tcp_rearm_rto).
    pub(super) fn time_out_from_oldest(&mut self, now: Instant) {
        if let Some(sent) = self.snd.recovery.scoreboard().first_sent() {
            let left = (sent + self.rtt.rto()).since(now).max(self.tick.duration(1));
            self.start_timer(Timer::Retransmit, now, left);
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
            _ => self.on_timeout_of_data(context),
        }
    }

    /// The oldest segment was not acknowledged: is it time to give up, or is it sent again?
    fn on_timeout_of_data(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let orphan = self.owner == Owner::Nobody;
        let retries = match (orphan, self.rtt.rto() < self.knobs.rto_max) {
            (false, _) => RETRIES,
            (true, true) => ORPHAN_RETRIES,
            (true, false) => 0,
        };
        let user = self.knobs.system.user_timeout;
        let allowed = if user.is_zero() || orphan { modelled(retries, self.knobs.rto_max) } else { user };
        if self.stats.retransmits > 1
            && !self.is_held_by_living_peer(now)
            && self.unanswered_since.is_some_and(|since| now.since(since) >= allowed)
        {
            self.finish(context, Some(SocketError::TimedOut));
            return;
        }
        if !self.snd.in_flight() {
            return;
        }
        if self.device_full {
            self.lose_everything(context);
            self.rtt.undo_back_off();
            self.start_timer(Timer::Retransmit, now, DEVICE_RETRY);
            return;
        }
        let since = *self.unanswered_since.get_or_insert(now);
        self.suspect_black_hole(context);
        self.lose_everything(context);
        if !user.is_zero() {
            let left = user.saturating_sub(now.since(since)).max(self.tick.duration(1));
            self.start_timer(Timer::Retransmit, now, left.min(self.rtt.rto()));
        }
    }

    /// The peer has closed a window into which data had been sent, and answers: that is no reason to give it up
    /// (RFC 9293 §3.8.6.1, MUST-37).
    fn is_held_by_living_peer(&self, now: Instant) -> bool {
        self.owner != Owner::Nobody
            && self.snd.window.bytes == 0
            && now.since(self.rcv.last_arrival) <= self.knobs.rto_max * 2
    }

    /// The window is still closed, or a policy still holds data, and nothing is in flight.
    fn on_persist(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let SendDecision::Hold(_) = self.send_decision(now) else {
            self.end_probing();
            return;
        };
        if self.snd.in_flight() {
            self.end_probing();
            return;
        }
        let user = self.knobs.system.user_timeout;
        let since = *self.probing_since.get_or_insert(now);
        let orphan = self.owner == Owner::Nobody;
        let retries = match (orphan, self.probe_wait() < self.knobs.rto_max) {
            (false, _) => RETRIES,
            (true, true) => ORPHAN_RETRIES,
            (true, false) => 0,
        };
        let too_long = !user.is_zero() && since < now && now.since(since) >= user;
        if too_long || self.stats.probes >= retries {
            self.finish(context, Some(SocketError::TimedOut));
            return;
        }
        self.snd.more = false;
        if self.device_full {
            self.stats.probes += 1;
            self.start_probe_timer(now, DEVICE_RETRY);
            return;
        }
        if self.usable_window() > 0 {
            // Something fits, however small: it does better than a probe (RFC 9293 §3.8.6.2.1, override timeout).
            self.due.push_small = true;
            return;
        }
        self.stats.probes += 1;
        self.stats.probe_backoff = (self.stats.probe_backoff + 1).min(RETRIES);
        context.counters.count(Counter::WindowProbes);
        self.due.probe = true;
        self.start_probe_timer(now, self.probe_wait());
    }

    /// How long to wait before the next probe of a closed window.
    pub(super) fn probe_wait(&self) -> Duration {
        let base = self.rtt.base_rto().max(PROBE_MIN);
        base.saturating_mul(1 << self.stats.probe_backoff.min(20)).min(self.knobs.rto_max)
    }

    /// The next probe, not later than TCP_USER_TIMEOUT allows.
    pub(super) fn start_probe_timer(&mut self, now: Instant, wait: Duration) {
        let user = self.knobs.system.user_timeout;
        let wait = match self.probing_since {
            Some(since) if !user.is_zero() => {
                wait.min(user.saturating_sub(now.since(since)).max(self.tick.duration(2)))
            }
            _ => wait,
        };
        self.start_timer(Timer::Persist, now, wait);
    }

    /// The window is open, or nothing waits for it any more.
    pub(super) fn end_probing(&mut self) {
        self.stats.probes = 0;
        self.stats.probe_backoff = 0;
        self.probing_since = None;
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
            self.start_timer(Timer::KeepAlive, now, wait.max(Duration::from_millis(1)));
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
