//! Acknowledge now, later, or on the next data? (RFC 9293 §3.8.6.3, RFC 5681 §4.2; Linux's adaptive way.)
//!
//! The connection reports what happens (`on_…`) and asks [`AckScheduler::decide`] after each segment, once everything
//! that could leave has left: data that leaves carries the acknowledgment for free. Order after a segment's arrival:
//! process its ACK, report its payload, send what may be sent (reporting [`AckScheduler::on_sent`] for each segment), then ask.

mod decision;
mod situation;

pub use decision::{AckDecision, AckPolicy, AckReason};
pub use situation::{AckConfig, AckContext, AckStart, Arrival};

use crate::Instant;
use narrows_wire::Seq;
use std::time::Duration;

/// Quick ACKs at the start of a connection and after a long silence (Linux).
const MAX_QUICK_ACKS: u32 = 16;
/// First guess of the peer's segment size, bytes (Linux; the default MSS of RFC 9293).
const DEFAULT_MSS: u32 = 536;
/// Smallest segment that is believed to be a full one, bytes (Linux).
const MIN_MSS: u32 = 88;
/// The fixed part of a TCP header, bytes.
const BASE_HEADER: u32 = 20;
/// Duplicate ACKs that leave at once before SACKs are compressed: the sender's fast retransmit needs them.
const FAST_RETRANSMIT_THRESHOLD: u32 = 3;
/// Most ACKs that one compressed ACK stands for (net.ipv4.tcp_comp_sack_nr).
const COMPRESSED_MAX: u32 = 44;
/// Longest time that a compressed ACK waits (net.ipv4.tcp_comp_sack_delay_ns).
const COMPRESSED_DELAY: Duration = Duration::from_millis(1);
/// So much later it may leave, and on a machine that sleeps meanwhile it does (net.ipv4.tcp_comp_sack_slack_ns).
const COMPRESSED_SLACK: Duration = Duration::from_micros(100);

/// What was received and not yet acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    /// There is something to acknowledge.
    scheduled: bool,
    /// It has to leave at once, and why.
    now: Option<AckReason>,
    /// The delayed ACK's timer.
    timer: Option<Timer>,
    /// A small segment with PSH has come (ICSK_ACK_PUSHED).
    pushed: bool,
    /// A second one (ICSK_ACK_PUSHED2).
    pushed_twice: bool,
    /// Data segments.
    segments: u32,
}

crate::pack::pack!(Pending { scheduled, now, timer, pushed, pushed_twice, segments });

#[derive(Clone, Copy, Debug)]
struct Timer {
    /// The tick it was set for.
    tick: u64,
    /// When it fires.
    fires: Instant,
}

crate::pack::pack!(Timer { tick, fires });

/// ACKs of data out of order that wait to leave as one.
#[derive(Clone, Copy, Debug, Default)]
struct Compressed {
    count: u32,
    rcv_nxt: Seq,
    duplicates: u32,
    fires: Option<Instant>,
}

crate::pack::pack!(Compressed { count, rcv_nxt, duplicates, fires });

/// The receiver's side of acknowledging on one connection.
#[derive(Clone, Debug)]
pub struct AckScheduler {
    config: AckConfig,
    advmss: u32,
    /// Everything before it has been acknowledged (rcv_wup).
    acknowledged: Seq,
    /// The peer's segment size as measured.
    rcv_mss: u32,
    last_segment: u32,
    /// Quick ACKs left.
    quick: u32,
    /// Answers seen; interactive from the threshold on.
    answers: u8,
    /// The delay, ticks; 0: no data yet.
    ato: u64,
    /// The tick in which data last arrived.
    last_arrival: u64,
    pending: Pending,
    compressed: Compressed,
}

crate::pack::pack!(AckScheduler {
    config,
    advmss,
    acknowledged,
    rcv_mss,
    last_segment,
    quick,
    answers,
    ato,
    last_arrival,
    pending,
    compressed,
});

impl AckScheduler {
    /// A connection just established.
    #[must_use]
    pub fn new(config: AckConfig, start: AckStart) -> AckScheduler {
        let hint = start.advmss.min(start.snd_mss).min(start.rcv_wnd / 2);
        AckScheduler {
            config,
            advmss: start.advmss,
            acknowledged: start.rcv_nxt,
            rcv_mss: hint.clamp(MIN_MSS, DEFAULT_MSS),
            last_segment: 0,
            quick: 0,
            answers: 0,
            ato: 0,
            last_arrival: config.tick.number(start.now),
            pending: Pending::default(),
            compressed: Compressed::default(),
        }
    }

    /// The settings. The quick credits and the timer keep their state when they change.
    pub fn config_mut(&mut self) -> &mut AckConfig {
        &mut self.config
    }

    /// The peer's segment size as measured, bytes (tcpi_rcv_mss).
    #[must_use]
    pub fn rcv_mss(&self) -> u32 {
        self.rcv_mss
    }

    /// The delay that the next delayed ACK starts from (tcpi_ato); zero before the first data.
    #[must_use]
    pub fn ato(&self) -> Duration {
        self.config.tick.duration(self.ato)
    }

    /// In interactive (ping-pong) mode ACKs wait for the answer to carry them.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.answers >= self.config.interactive_threshold
    }

    /// Quick ACKs left.
    #[must_use]
    pub fn quick_acks(&self) -> u32 {
        self.quick
    }

    /// Something waits to be acknowledged.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.pending.scheduled
    }

    /// When [`AckScheduler::on_timeout`] has to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let delayed = self.pending.timer.map(|timer| timer.fires);
        match (delayed, self.compressed.fires) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Data came in order.
    pub fn on_data(&mut self, context: &AckContext, segment: &Arrival) {
        self.schedule();
        self.pending.segments += segment.segment_len.map_or(1, |len| segment.len.div_ceil(len.max(1)));
        self.measure_rcv_mss(segment);
        let now = self.config.tick.number(context.now);
        if self.ato == 0 {
            self.grant_quick_acks(context, MAX_QUICK_ACKS);
            self.ato = self.ato_min();
        } else {
            let gap = now.saturating_sub(self.last_arrival);
            let rto = self.config.tick.ticks(context.rto);
            if gap <= self.ato_min() / 2 {
                self.ato = self.ato / 2 + self.ato_min() / 2;
            } else if gap < self.ato {
                self.ato = (self.ato / 2 + gap).min(rto);
            } else if gap > rto {
                self.grant_quick_acks(context, MAX_QUICK_ACKS);
            }
        }
        self.last_arrival = now;
    }

    /// The receive buffer has opened further because of the data just reported: Linux hurries the ACK that tells.
    pub fn on_window_grown(&mut self) {
        if self.config.policy == AckPolicy::Adaptive {
            self.quick |= 1;
        }
    }

    /// Data came out of order and was kept.
    pub fn on_out_of_order(&mut self, segment: &Arrival) {
        self.schedule();
        self.measure_rcv_mss(segment);
    }

    /// The last gap was filled: nothing is out of order any more (RFC 5681 §4.2).
    pub fn on_gap_filled(&mut self) {
        self.schedule();
        self.pending.now = Some(AckReason::GapFilled);
    }

    /// Less than half of the receive buffer is free: no more quick ACKs, so that the window opens in larger steps (Linux).
    pub fn on_crowded(&mut self) {
        self.quick = 0;
    }

    /// A segment came whose bytes were all received before: an ACK must have been lost, or the sender is impatient.
    pub fn on_duplicate(&mut self, context: &AckContext) {
        self.enter_quick_mode(context);
        self.schedule();
        self.pending.now = Some(AckReason::Duplicate);
    }

    /// Data came marked by a queue, or is a repetition after marks (ECN): two ACKs leave quickly.
    pub fn on_congestion_mark(&mut self, context: &AckContext) {
        self.grant_quick_acks(context, 2);
        self.answers = 0;
        self.ato = self.ato_min();
    }

    /// The sender of the data that has come has reduced its window (CWR).
    pub fn on_window_reduced(&mut self) {
        self.schedule();
        self.pending.now = Some(AckReason::Quick);
    }

    /// A segment came outside of the window, or for a closed window.
    pub fn on_out_of_window(&mut self, context: &AckContext) {
        self.enter_quick_mode(context);
        self.schedule();
        self.pending.now = Some(AckReason::OutOfWindow);
    }

    /// The peer's FIN was taken in order. `at_once`: this side has closed already (FIN-WAIT-1, FIN-WAIT-2), nothing
    /// will carry the ACK. Otherwise it is delayed, in the hope for this side's own FIN.
    pub fn on_fin(&mut self, at_once: bool) {
        self.schedule();
        if at_once {
            self.pending.now = Some(AckReason::Fin);
        } else {
            self.enter_interactive();
        }
    }

    /// A segment with the ACK flag left; `payload` bytes of data were in it (also when retransmitted).
    pub fn on_sent(&mut self, now: Instant, rcv_nxt: Seq, payload: u32) {
        if self.quick > 0 && self.pending.scheduled {
            self.quick -= 1;
            if self.quick == 0 {
                self.ato = self.ato_min();
            }
        }
        self.acknowledged = rcv_nxt;
        self.pending = Pending::default();
        self.compressed.count = 0;
        self.compressed.fires = None;
        if payload > 0 {
            let now = self.config.tick.number(now);
            if now.saturating_sub(self.last_arrival) < self.ato {
                self.answers = self.answers.saturating_add(1);
            }
        }
    }

    /// An ACK about data out of order waits for others.
    #[must_use]
    pub fn is_compressing(&self) -> bool {
        self.compressed.count > 0
    }

    /// Acknowledge now? To be asked after a segment has been processed and what it released has been sent.
    #[must_use]
    pub fn decide(&mut self, context: &AckContext) -> AckDecision {
        if !self.pending.scheduled {
            return AckDecision::None;
        }
        // Whether the window moves on is looked at only here, and to find the buffer half full ends the hurry (__tcp_select_window).
        let looks = self.unacknowledged(context) > self.rcv_mss && context.readable >= context.low_water;
        if context.crowded && looks && self.config.policy == AckPolicy::Adaptive {
            self.on_crowded();
        }
        if let Some(reason) = self.reason_for_now(context) {
            return AckDecision::Now(reason);
        }
        if context.out_of_order {
            return self.compress(context);
        }
        self.delay(context)
    }

    /// The application has read `copied` bytes; `context` is as it is afterwards.
    #[must_use]
    pub fn on_read(&mut self, context: &AckContext, copied: u32) -> AckDecision {
        let decision = self.after_read(context, copied);
        if !self.config.quickack_after_read || copied == 0 {
            return decision;
        }
        let option = self.set_quickack(context, true);
        if decision == AckDecision::None { option } else { decision }
    }

    /// TCP_QUICKACK: `true` leaves interactive mode and sends a waiting ACK now, `false` enters interactive
    /// mode. Neither lasts: the next answer or the next silence decides again.
    #[must_use]
    pub fn set_quickack(&mut self, context: &AckContext, on: bool) -> AckDecision {
        if !on {
            self.enter_interactive();
            return AckDecision::None;
        }
        self.answers = 0;
        if !self.pending.scheduled {
            return AckDecision::None;
        }
        self.pending.pushed = true;
        match self.after_read(context, 1) {
            AckDecision::Now(AckReason::Read) => AckDecision::Now(AckReason::SocketOption),
            other => other,
        }
    }

    /// The time of [`AckScheduler::poll_timeout`] has come.
    #[must_use]
    pub fn on_timeout(&mut self, context: &AckContext) -> AckDecision {
        if self.compressed.fires.is_some_and(|fires| fires <= context.now) {
            self.compressed.fires = None;
            return AckDecision::Now(AckReason::CompressedTimer);
        }
        match self.pending.timer {
            Some(timer) if timer.fires <= context.now => self.pending.timer = None,
            _ => return AckDecision::None,
        }
        if !self.pending.scheduled {
            return AckDecision::None;
        }
        if self.is_interactive() {
            self.answers = 0;
            self.ato = self.ato_min();
        } else {
            self.ato = (self.ato * 2).min(self.config.tick.ticks(context.rto));
        }
        AckDecision::Now(AckReason::DelayedTimer)
    }

    fn reason_for_now(&self, context: &AckContext) -> Option<AckReason> {
        if let Some(reason) = self.pending.now {
            return Some(reason);
        }
        match self.config.policy {
            AckPolicy::Immediate => return Some(AckReason::EverySegment),
            AckPolicy::Delayed { .. } if context.out_of_order => return Some(AckReason::OutOfOrder),
            AckPolicy::Delayed { segments, .. } => {
                if self.pending.segments >= segments.max(1) {
                    return Some(AckReason::Enough);
                }
            }
            AckPolicy::Adaptive => {
                // Where the window cannot move on, the reading application's ACK will do.
                let wanted = context.readable < context.low_water || context.window_now >= context.rcv_wnd;
                if self.unacknowledged(context) > self.rcv_mss && wanted {
                    return Some(AckReason::Enough);
                }
                if self.quick > 0 && !self.is_interactive() {
                    return Some(AckReason::Quick);
                }
            }
        }
        self.config.route_quickack.then_some(AckReason::Route)
    }

    /// The ACK has to wait: until when?
    fn delay(&mut self, context: &AckContext) -> AckDecision {
        let tick = self.config.tick;
        let now = tick.number(context.now);
        let ato = match self.config.policy {
            AckPolicy::Delayed { timer, .. } => tick.ticks(timer),
            _ => self.bounded_ato(context),
        };
        let mut expires = now.saturating_add(ato);
        if let Some(timer) = self.pending.timer {
            if self.config.policy == AckPolicy::Adaptive && timer.tick <= now + ato / 4 {
                return AckDecision::Now(AckReason::TimerNear);
            }
            expires = expires.min(timer.tick);
            if expires == timer.tick {
                return AckDecision::At(timer.fires);
            }
        }
        let timer = Timer { tick: expires, fires: tick.fires(context.now, expires) };
        self.pending.timer = Some(timer);
        AckDecision::At(timer.fires)
    }

    /// Linux's `tcp_send_delayed_ack`: a delay above the minimum is bounded by the round trip, and by half a second or the
    /// largest delay.
    fn bounded_ato(&self, context: &AckContext) -> u64 {
        let tick = self.config.tick;
        let mut ato = self.ato;
        if ato > self.ato_min() {
            let waits_for_an_answer = self.is_interactive() || self.pending.pushed;
            let mut most = if waits_for_an_answer { self.ato_max() } else { tick.per_second() / 2 };
            if let Some(srtt) = context.srtt {
                most = most.min(tick.ticks(srtt).max(self.ato_min()));
            }
            ato = ato.min(most);
        }
        let below_rto_min = tick.ticks(self.config.rto_min).max(2) - 1;
        ato.min(self.ato_max()).min(below_rto_min)
    }

    /// Data out of order: the first three duplicates leave at once, later ones wait for each other up to a millisecond.
    fn compress(&mut self, context: &AckContext) -> AckDecision {
        if !context.sack || self.compressed.count >= COMPRESSED_MAX {
            return AckDecision::Now(AckReason::OutOfOrder);
        }
        if self.compressed.rcv_nxt != context.rcv_nxt {
            self.compressed.rcv_nxt = context.rcv_nxt;
            self.compressed.duplicates = 0;
        }
        if self.compressed.duplicates < FAST_RETRANSMIT_THRESHOLD {
            self.compressed.duplicates += 1;
            return AckDecision::Now(AckReason::OutOfOrder);
        }
        self.compressed.count += 1;
        // Where the receiver has not seen a round trip yet, nothing is worth waiting for.
        let seen = context.receiver_round_trip.unwrap_or(Duration::ZERO);
        let round_trip = context.srtt.map_or(seen, |srtt| srtt.min(seen));
        let delay = (round_trip / 20).min(COMPRESSED_DELAY) + COMPRESSED_SLACK;
        AckDecision::At(*self.compressed.fires.get_or_insert(context.now + delay))
    }

    fn after_read(&mut self, context: &AckContext, copied: u32) -> AckDecision {
        if self.pending.scheduled && self.config.policy == AckPolicy::Adaptive {
            if self.unacknowledged(context) > self.rcv_mss {
                return AckDecision::Now(AckReason::Enough);
            }
            let one_way = self.pending.pushed && !self.is_interactive();
            if copied > 0 && context.buffered == 0 && (self.pending.pushed_twice || one_way) {
                return AckDecision::Now(AckReason::Read);
            }
        }
        let left = context.rcv_wnd.saturating_sub(self.unacknowledged(context));
        let grown = match self.config.policy {
            AckPolicy::Adaptive => {
                left <= context.window_clamp / 2
                    && context.window_now > 0
                    && u64::from(context.window_now) >= 2 * u64::from(left)
            }
            // As BSD does: an ACK that waits will bring the window along; alone it is worth a packet when it opens by two
            // segments that are a good part of the buffer, or when there was hardly any left (RFC 9293 §3.8.6.2.2).
            _ => {
                let two = (2 * self.advmss).min(context.window_clamp / 2).max(1);
                let gain = context.window_now.saturating_sub(left);
                let rides_along = self.pending.scheduled && left >= two;
                let worth = gain >= context.window_clamp / 4 || left <= context.window_clamp / 8;
                gain >= two && worth && !rides_along
            }
        };
        if copied > 0 && grown { AckDecision::Now(AckReason::WindowUpdate) } else { AckDecision::None }
    }

    /// Linux's `tcp_measure_rcv_mss`: the size of the peer's full segments, and whether the peer pushes small ones.
    fn measure_rcv_mss(&mut self, segment: &Arrival) {
        let before = std::mem::take(&mut self.last_segment);
        let len = segment.segment_len.unwrap_or(segment.len);
        if len >= self.rcv_mss {
            self.rcv_mss = len.min(self.advmss).max(1);
            // A full segment with PSH is probably the end of a write.
            self.pending.pushed |= segment.psh;
            return;
        }
        let with_header = len + segment.header_len;
        // Without PSH a segment should be a full one: so small ones on a path with a tiny MTU are believed after two.
        let no_end = !segment.psh && !segment.fin_syn_urg;
        if with_header >= DEFAULT_MSS + BASE_HEADER || (with_header >= MIN_MSS + BASE_HEADER && no_end) {
            let full = with_header.saturating_sub(segment.usual_header_len);
            self.last_segment = full;
            if full == before && full > 0 {
                self.rcv_mss = full;
                return;
            }
        }
        self.pending.pushed_twice |= self.pending.pushed;
        self.pending.pushed = true;
    }

    fn schedule(&mut self) {
        self.pending.scheduled = true;
    }

    fn grant_quick_acks(&mut self, context: &AckContext, most: u32) {
        let half_windows = context.rcv_wnd / (2 * self.rcv_mss);
        let granted = if half_windows == 0 { 2 } else { half_windows.min(most) };
        self.quick = self.quick.max(granted);
    }

    fn enter_quick_mode(&mut self, context: &AckContext) {
        self.grant_quick_acks(context, MAX_QUICK_ACKS);
        self.answers = 0;
        self.ato = self.ato_min();
    }

    fn enter_interactive(&mut self) {
        self.answers = self.config.interactive_threshold;
    }

    fn unacknowledged(&self, context: &AckContext) -> u32 {
        context.rcv_nxt - self.acknowledged
    }

    fn ato_min(&self) -> u64 {
        self.config.tick.ticks(self.config.delay_min).max(1)
    }

    fn ato_max(&self) -> u64 {
        self.config.tick.ticks(self.config.delay_max)
    }
}

#[cfg(test)]
mod tests;
