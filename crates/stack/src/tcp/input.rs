//! What did this segment change? The checks and steps of RFC 9293 §3.10.7.4, in its order.

use super::chrono::Limit;
use super::connection::{Connection, Context, Owner, State};
use super::timer::Timer;
use super::window::PeerWindow;
use crate::counters::Counter;
use crate::host::Event;
use crate::{Instant, SocketError};
use bytes::Bytes;
use narrows_wire::{Offload, Seq, TcpFlags, TcpHeader};

/// So much older than the newest a timestamp may be: packets sent within a tick overtake each other (Linux's TCP_PAWS_WINDOW).
const PAWS_WINDOW: u32 = 1;

/// A segment in sequence numbers.
struct Extent {
    seq: Seq,
    /// After data, SYN and FIN.
    end: Seq,
}

impl Connection {
    /// A segment has arrived.
    pub(crate) fn handle_segment(
        &mut self,
        context: &mut Context<'_>,
        header: &TcpHeader,
        payload: Bytes,
        offload: Offload,
    ) {
        let segments = match offload.segment_bytes {
            Some(size) if size > 0 => payload.len().div_ceil(usize::from(size)) as u64,
            _ => 1,
        };
        self.stats.segments_in += segments;
        self.stats.data_segments_in += if payload.is_empty() { 0 } else { segments };
        match self.state {
            State::Closed => return,
            State::SynSent => {
                let goes_on = self.in_syn_sent(context, header);
                if !goes_on || !self.state.is_synchronized() {
                    return;
                }
            }
            _ => {
                if !self.is_acceptable(context, header, payload.len()) {
                    return;
                }
                let overtaken = header.ack.is_before(self.snd.una);
                if !self.take_ack(context, header, payload.len()) {
                    return;
                }
                // Only now: what acknowledges nonsense must not decide which timestamps are old (RFC 7323 §5.3, as Linux).
                if !overtaken {
                    self.remember_timestamp(context.now, header);
                }
                self.follow_route();
            }
        }
        self.note_arrival(context.now);
        let fin = header.flags.contains(TcpFlags::FIN);
        if !payload.is_empty() || fin {
            self.take_text(context, header, payload, offload);
        }
    }

    /// Something was heard from the peer.
    pub(super) fn note_arrival(&mut self, now: Instant) {
        self.rcv.last_arrival = now;
        self.stats.probes = 0;
        // The keep-alive timer is not moved with each segment: when it fires it looks at the last arrival.
        if self.knobs.keepalive && !self.timers.is_set(Timer::KeepAlive) {
            self.start_timer(Timer::KeepAlive, now, self.knobs.keepalive_time);
        }
    }

    /// First to fourth check: timestamps, sequence number, RST, SYN (RFC 9293 §3.10.7.4; RFC 7323 §5.3; RFC 5961).
    fn is_acceptable(&mut self, context: &mut Context<'_>, header: &TcpHeader, payload_bytes: usize) -> bool {
        let flags = header.flags;
        let (syn, fin, reset) =
            (flags.contains(TcpFlags::SYN), flags.contains(TcpFlags::FIN), flags.contains(TcpFlags::RST));
        let extent = Extent {
            seq: header.seq,
            end: header.seq + payload_bytes as u32 + u32::from(syn) + u32::from(fin),
        };
        let value = header.options.timestamps.filter(|_| self.negotiated.timestamps).map(|t| t.value);
        // RST is believed without PAWS (RFC 7323 §5.2): its sequence number is checked exactly.
        let age = value.map_or(0, |value| self.timestamps.age(value, context.now));
        if !reset && age > PAWS_WINDOW && !self.is_disordered_ack(header, &extent, payload_bytes, age) {
            context.counters.count(Counter::Paws);
            self.answer_unacceptable(context, &extent, payload_bytes);
            return false;
        }
        let edge = self.rcv.right_edge().latest(self.rcv.nxt());
        let (from, to) = (extent.seq, extent.end);
        // Some peers send a FIN although it lies just beyond the window; and when nothing is unread one segment may be larger than
        // the window, because its sender cannot make it smaller (as Linux since 6.17).
        let beyond = edge.is_before(to)
            && edge.is_before(to - u32::from(fin))
            && (edge.is_before(from) || self.rcv.assembler.ready_bytes() > 0);
        if to.is_before(self.rcv.last_ack_sent) || beyond {
            if beyond && !reset && !syn {
                context.counters.count(Counter::BeyondWindow);
            }
            if self.state == State::SynReceived && syn && extent.seq == self.rcv.irs {
                self.repeat_syn_ack(context);
            } else if reset {
                if self.is_reset_behind_fin(extent.seq) {
                    self.take_reset(context, &extent);
                }
            } else {
                context.counters.count(Counter::OutOfWindow);
                if syn {
                    self.challenge(context);
                } else {
                    self.answer_unacceptable(context, &extent, payload_bytes);
                }
            }
            return false;
        }
        if reset {
            self.take_reset(context, &extent);
            return false;
        }
        if syn && !self.is_simultaneous_syn_ack(header, &extent) {
            if self.state == State::SynReceived && extent.seq == self.rcv.irs {
                self.repeat_syn_ack(context);
            } else {
                context.counters.count(Counter::SynInWindow);
                self.challenge(context);
            }
            return false;
        }
        if !flags.contains(TcpFlags::ACK) {
            context.counters.count(Counter::NoFlags);
            return false;
        }
        true
    }

    /// A duplicate ACK that others have overtaken is no repetition from another life of the connection: it shows that something is
    /// missing (Linux's tcp_disordered_ack).
    fn is_disordered_ack(&self, header: &TcpHeader, extent: &Extent, payload_bytes: usize, age: u32) -> bool {
        let bare = payload_bytes == 0 && extent.seq == extent.end && header.flags.contains(TcpFlags::ACK);
        let window = u32::from(header.window) << self.peer_scale();
        let recent = u128::from(age) * 5 <= self.rtt.rto().as_millis() * 6;
        bare && extent.seq == self.rcv.nxt()
            && header.ack == self.snd.una
            && window <= self.snd.window.bytes
            && recent
    }

    fn remember_timestamp(&mut self, now: Instant, header: &TcpHeader) {
        if let Some(timestamps) = header.options.timestamps.filter(|_| self.negotiated.timestamps) {
            self.timestamps.remember(timestamps.value, header.seq, self.rcv.last_ack_sent, now);
        }
    }

    /// The SYN-ACK that answers our own when both sides opened at once: its SYN is the one we know.
    fn is_simultaneous_syn_ack(&self, header: &TcpHeader, extent: &Extent) -> bool {
        self.state == State::SynReceived
            && !self.passive
            && header.flags.contains(TcpFlags::ACK)
            && extent.end == self.rcv.nxt()
            && header.ack == self.snd.nxt
    }

    /// The peer has not got our SYN-ACK: the same again, with the same initial sequence number.
    fn repeat_syn_ack(&mut self, context: &mut Context<'_>) {
        if self.answers.allows(context.now) {
            self.due.handshake = true;
        } else {
            context.counters.count(Counter::DuplicateAcksLimited);
        }
    }

    /// A RST that does not count the FIN sent before it (macOS; Linux believes it, too).
    fn is_reset_behind_fin(&self, seq: Seq) -> bool {
        let closed = matches!(self.state, State::CloseWait | State::LastAck | State::Closing);
        closed && seq == self.rcv.nxt() - 1
    }

    /// A RST where the peer's SND.NXT must be: at RCV.NXT, or behind all that has arrived beyond a gap (as Linux).
    fn is_exact_reset(&self, seq: Seq) -> bool {
        let last = self.rcv.assembler.next() + self.rcv.assembler.reach();
        let behind_all = self.negotiated.sack && self.rcv.assembler.has_gap() && seq == self.rcv.seq_of(last);
        seq == self.rcv.nxt() || behind_all || self.is_reset_behind_fin(seq)
    }

    /// RST: exact, it ends the connection; within the window, it is challenged (RFC 5961 §3.2).
    fn take_reset(&mut self, context: &mut Context<'_>, extent: &Extent) {
        if !self.is_exact_reset(extent.seq) {
            context.counters.count(Counter::ResetIgnored);
            self.challenge(context);
            return;
        }
        context.counters.count(Counter::ResetsIn);
        let error = match self.state {
            State::SynReceived if !self.passive => SocketError::Refused,
            State::CloseWait => SocketError::BrokenPipe,
            State::LastAck | State::Closing => {
                self.finish(context, None);
                return;
            }
            _ => SocketError::Reset,
        };
        self.finish(context, Some(error));
    }

    /// An ACK that makes an honest peer show where it stands (RFC 5961), if the limits allow.
    pub(super) fn challenge(&mut self, context: &mut Context<'_>) {
        if self.answers.allows(context.now) && context.challenges.take(context.now, context.random) {
            context.counters.count(Counter::ChallengeAcks);
            self.due.ack = true;
        } else {
            context.counters.count(Counter::ChallengeAcksLimited);
        }
    }

    /// Answers what lies outside the window with an ACK (RFC 9293 §3.10.7.4, first check). Data are always answered: their
    /// ACK was lost. The rest is limited, so that two hosts cannot answer each other without end.
    fn answer_unacceptable(&mut self, context: &mut Context<'_>, extent: &Extent, payload_bytes: usize) {
        if self.state == State::SynReceived {
            return;
        }
        if payload_bytes == 0 && extent.seq == extent.end && !self.answers.allows(context.now) {
            context.counters.count(Counter::DuplicateAcksLimited);
            return;
        }
        if payload_bytes > 0 && extent.seq.is_before(self.rcv.nxt()) {
            context.counters.count(Counter::DuplicateData);
            let question = self.ack_context(context.now);
            self.rcv.ack.on_duplicate(&question);
            let next = self.rcv.assembler.next();
            let back = self.rcv.nxt() - extent.seq;
            if let Some(from) = next.checked_sub(u64::from(back))
                && self.negotiated.sack
            {
                self.rcv.assembler.note_duplicate(from, (from + payload_bytes as u64).min(next));
            }
        }
        self.due.ack = true;
    }

    /// Fifth check: the acknowledgment. False when the segment ends here.
    fn take_ack(&mut self, context: &mut Context<'_>, header: &TcpHeader, payload_bytes: usize) -> bool {
        if self.state == State::SynReceived {
            if header.ack != self.snd.nxt {
                self.reset_at(context, header.ack);
                return false;
            }
            self.snd.una = header.ack;
            // The SYN's window was not scaled: this is the first that counts.
            let window = u32::from(header.window) << self.peer_scale();
            self.snd.window = PeerWindow::start(window, header.seq, header.ack);
            self.establish(context, header);
            return true;
        }
        if self.snd.nxt.is_before(header.ack) {
            context.counters.count(Counter::BadAck);
            self.challenge(context);
            return false;
        }
        if header.ack.is_before(self.snd.una) {
            // RFC 5961 §5.2: an ACK older than the largest window ever cannot be honest.
            let acknowledged =
                self.stats.bytes_acked + u64::from(self.snd.fin_sent && self.snd.una == self.snd.nxt);
            let tolerated = u64::from(self.snd.window.largest).min(acknowledged) as u32;
            if header.ack.is_before(self.snd.una - tolerated) {
                context.counters.count(Counter::BadAck);
                self.challenge(context);
                return false;
            }
            // The ACK was overtaken by others, but what it selects is news.
            let una = self.snd.una;
            self.take_feedback(context, header, payload_bytes, una, true);
        } else {
            let window = u32::from(header.window) << self.peer_scale();
            let changed = self.snd.window.update(window, header.seq, header.ack);
            if changed && self.snd.unsent() > 0 {
                // A window that was closed for long was a silence too.
                self.note_write(context.now);
            }
            self.snd.more = false;
            self.take_acknowledgment(context, header, payload_bytes, changed);
            if self.state == State::Closed {
                return false;
            }
        }
        true
    }

    /// SND.UNA may move; so may the scoreboard, the windows, and the state.
    fn take_acknowledgment(
        &mut self,
        context: &mut Context<'_>,
        header: &TcpHeader,
        payload_bytes: usize,
        window_changed: bool,
    ) {
        let now = context.now;
        let before = self.snd.una;
        let advanced = before.is_before(header.ack);
        if advanced {
            let fin_acknowledged = self.snd.fin_sent && header.ack == self.snd.nxt;
            let position = self.snd.position_of(header.ack) - u64::from(fin_acknowledged);
            self.stats.bytes_acked += position - self.snd.buffer.start();
            self.snd.buffer.acknowledge(position);
            self.snd.queue.acknowledge(position);
            if self.snd.buffer.len() == 0 {
                self.chrono.stop(now, Limit::Network, true);
            }
            self.snd.una = header.ack;
            self.stats.retransmits = 0;
            self.unanswered_since = None;
        }
        self.take_feedback(context, header, payload_bytes, before, window_changed);
        if !advanced {
            if self.timers.is_set(Timer::Persist) {
                self.after_probe(now);
            }
            return;
        }
        self.restart_retransmission_timer(now);
        if !self.snd.in_flight() {
            self.timers.stop(Timer::Persist);
        }
        self.due.space = true;
        if self.snd.fin_sent && self.snd.una == self.snd.nxt {
            self.on_fin_acknowledged(context);
        }
    }

    /// An ACK while a closed window is probed: is it open now for what waits? (tcp_ack_probe.)
    fn after_probe(&mut self, now: Instant) {
        let wanted = self.snd.unsent().min(u64::from(self.effective_mss())) as u32;
        if self.usable_window() >= wanted.max(1) {
            self.stats.probe_backoff = 0;
            self.probing_since = None;
        } else if self.owner != Owner::Nobody {
            // Whoever owns nothing any more must not be kept by a peer that speaks more often than the timer fires.
            self.start_probe_timer(now, self.probe_wait());
        }
    }

    /// Room to write again: a third of the buffer, which grows as long as what is in it does not fill the congestion
    /// window (Linux's tcp_check_space).
    pub(super) fn tell_writable(&mut self, context: &mut Context<'_>) {
        self.due.space = false;
        if !self.snd.write_blocked {
            return;
        }
        if self.congestion_room() > 0 {
            self.grow_send_buffer();
        }
        if self.is_writable() {
            self.snd.write_blocked = false;
            self.chrono.stop(context.now, Limit::Buffer, false);
            self.tell(context, Event::Writable(self.id));
        }
    }

    fn on_fin_acknowledged(&mut self, context: &mut Context<'_>) {
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                if self.owner == Owner::Nobody {
                    self.start_orphan_timer(context.now);
                }
            }
            State::Closing => self.enter_time_wait(context),
            State::LastAck => self.finish(context, None),
            _ => {}
        }
    }

    /// Seventh and eighth step: the data and the FIN.
    fn take_text(&mut self, context: &mut Context<'_>, header: &TcpHeader, payload: Bytes, offload: Offload) {
        let fin = header.flags.contains(TcpFlags::FIN);
        let syn = u32::from(header.flags.contains(TcpFlags::SYN));
        if !self.state.may_receive() {
            // After the peer's FIN nothing can follow (RFC 9293 §3.10.7.4, seventh); what comes is a repetition.
            self.due.ack |= !payload.is_empty() || fin;
            return;
        }
        let start = header.seq + syn;
        let next = self.rcv.assembler.next();
        let ahead = i64::from(start.distance_from(self.rcv.nxt()));
        let end = start + payload.len() as u32;
        if self.owner == Owner::Nobody && self.rcv.nxt().is_before(end) {
            // Nobody will read it: the peer has to know (RFC 9293 §3.6.1; RFC 2525 §2.17).
            context.counters.count(Counter::DataAfterClose);
            self.reset_at(context, header.ack);
            self.finish(context, None);
            return;
        }
        let length = payload.len();
        let (payload, from) = match self.trim(payload, ahead, next) {
            Some(kept) => kept,
            None => {
                self.note_beyond(context, ahead, length);
                let question = self.ack_context(context.now);
                self.rcv.ack.on_out_of_window(&question);
                self.due.ack = true;
                return;
            }
        };
        if fin && payload.len() as u64 + from == next.saturating_add_signed(ahead) + length as u64 {
            self.rcv.fin_at = Some(from + payload.len() as u64);
        }
        if length > 0 {
            self.insert(context, header, payload, from, offload);
        }
        if !self.rcv.fin_taken && self.rcv.fin_at == Some(self.rcv.assembler.next()) {
            self.on_fin(context);
        } else if length == 0 && fin {
            // A FIN beyond a gap, or one that is known already.
            self.due.ack = true;
        }
        self.due.ack_question = true;
    }

    /// The peer's FIN is next in the stream (RFC 9293 §3.10.7.4, eighth).
    fn on_fin(&mut self, context: &mut Context<'_>) {
        self.rcv.fin_taken = true;
        // Nothing can follow, and nothing more is missing (tcp_fin).
        self.rcv.assembler.forget_reports();
        // With the buffer overfull Linux tells at once how things stand.
        let overfull = self.rcv.window.is_overfull(self.rcv.assembler.held_bytes());
        let at_once = self.state != State::Established || overfull;
        self.rcv.ack.on_fin(at_once);
        self.due.ack |= at_once;
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.enter_time_wait(context),
            _ => {}
        }
        self.rcv.told_readable = false;
        self.tell_readable(context);
    }
}
