//! What may the application ask for? Write, read, shut down, close, abort, set, look.

use super::ack::AckDecision;
use super::chrono::Limit;
use super::congestion::most_bytes_per_second;
use super::connection::{Connection, Context, Owner, State};
use super::info::{SocketStatus, TcpInfo};
use super::nagle::bound_to_half_window;
use super::send_buffer::Position;
use super::send_queue::Limits;
use super::time_wait::TimeWait;
use super::timer::Timer;
use crate::counters::Counter;
use crate::host::{Event, SendFlags};
use crate::{Instant, Knobs, SocketError, knob::QuickAck};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The largest segment that Linux hands to a device (gso_max_size), less the headers.
const LARGEST_BUFFER: u32 = 65_535 - 320;

impl Connection {
    /// One write.
    pub(crate) fn write(
        &mut self,
        context: &mut Context<'_>,
        mut data: Bytes,
        flags: SendFlags,
    ) -> Result<usize, SocketError> {
        if let Some(error) = self.error {
            return Err(if self.state == State::Closed { error } else { SocketError::BrokenPipe });
        }
        if self.snd.fin_wanted || self.state == State::Closed {
            return Err(SocketError::BrokenPipe);
        }
        if data.is_empty() {
            return Ok(0);
        }
        if self.room_to_write() == 0 {
            self.snd.write_blocked = true;
            return Err(SocketError::WouldBlock);
        }
        self.follow_route();
        if self.state.is_synchronized() {
            self.note_write(context.now);
        }
        self.snd.nagle.on_write();
        if self.snd.buffer.len() == 0 {
            self.chrono.start(context.now, Limit::Network);
        }
        self.chrono.stop(context.now, Limit::Buffer, false);
        let wanted = data.len();
        let mut written = 0;
        while written < wanted {
            let room = usize::try_from(self.room_to_write()).unwrap_or(usize::MAX);
            if room == 0 {
                break;
            }
            let piece = data.split_to(room.min(data.len()));
            let length = piece.len();
            let goal = self.buffer_goal();
            let sent = match (self.snd.queue.joins(goal), self.state.is_synchronized()) {
                (true, true) => self.sent_position(),
                (true, false) => 0,
                // A new buffer: the one before keeps its mark.
                (false, _) => Position::MAX,
            };
            let pushed = self.snd.buffer.write(piece, false, sent);
            if pushed && written > 0 {
                // A buffer that this write has filled and pushed before keeps the mark at its end.
                self.snd.buffer.mark_push(self.snd.buffer.end());
            }
            let full = self.snd.queue.append(length as u64, self.snd.buffer.end(), goal);
            written += length;
            if full && written < wanted {
                self.push_full_buffer(context);
            }
        }
        let short = written < wanted;
        self.snd.write_blocked |= short;
        self.snd.more = flags.more && !short;
        if !self.snd.more || self.wants_push() {
            self.snd.buffer.mark_push(self.snd.buffer.end());
            self.snd.pushed = self.snd.buffer.end();
        }
        if flags.end_of_record && !short {
            self.snd.buffer.end_record();
            self.snd.queue.close();
        }
        Ok(written)
    }

    /// An ACK is to leave.
    pub(crate) fn has_ack_due(&self) -> bool {
        self.due.ack
    }

    /// The position up to which bytes have left.
    fn sent_position(&self) -> Position {
        self.snd.position_of(self.snd.nxt).min(self.snd.buffer.end())
    }

    /// Bytes in a full buffer: whole segments, at most half of the peer's largest window, as much as a device takes at once.
    fn buffer_goal(&self) -> u64 {
        let mss = self.effective_mss();
        let most = bound_to_half_window(LARGEST_BUFFER, self.snd.window.largest);
        u64::from((most / mss.max(1)).max(1) * mss)
    }

    fn room_to_write(&self) -> u64 {
        let limits = Limits {
            capacity: self.snd.capacity,
            goal: self.buffer_goal(),
            unsent: self.knobs.system.notsent_lowat.into(),
        };
        let unsent = if self.state.is_synchronized() { self.snd.unsent() } else { self.snd.buffer.len() };
        self.snd.queue.room(self.snd.buffer.start(), unsent, &limits)
    }

    /// Would a waiting writer be woken? When a third of the memory is free (Linux's sk_stream_is_writeable).
    pub(super) fn is_writable(&self) -> bool {
        let used = self.snd.queue.used(self.snd.buffer.start());
        let lowat = u64::from(self.knobs.system.notsent_lowat);
        self.snd.capacity.saturating_sub(used) >= used / 2 && 2 * self.snd.unsent() < lowat
    }

    /// Half of the largest window without PSH is enough (Linux's forced_push).
    fn wants_push(&self) -> bool {
        self.snd.buffer.end() - self.snd.pushed > u64::from(self.snd.window.largest / 2)
    }

    /// A buffer is full and the write goes on: what may leave does so at once, and makes room.
    fn push_full_buffer(&mut self, context: &mut Context<'_>) {
        if !self.state.is_synchronized() {
            return;
        }
        let end = self.snd.buffer.end();
        let forced = self.wants_push();
        if forced {
            self.snd.buffer.mark_push(end);
            self.snd.pushed = end;
        } else if !self.snd.queue.tail_is_next(self.sent_position()) {
            return;
        }
        self.due.one_group = !forced;
        while let Some(packet) = self.poll_transmit(context) {
            self.reply(context, packet);
            if !forced && self.snd.group_end.is_none() {
                break;
            }
        }
        self.due.one_group = false;
    }

    /// One read.
    pub(crate) fn read(&mut self, context: &mut Context<'_>, max: usize) -> Result<Bytes, SocketError> {
        self.rcv.told_readable = false;
        let Some(data) = self.rcv.assembler.read(max) else {
            return match (self.rcv.fin_taken, self.state, self.error) {
                (true, _, _) | (_, State::Closed, None) => Ok(Bytes::new()),
                (_, State::Closed, Some(error)) => Err(error),
                _ => Err(SocketError::WouldBlock),
            };
        };
        let copied = data.len() as u32;
        self.rcv.read += u64::from(copied);
        if self.state.is_synchronized() {
            let (unread, beyond) = (self.rcv.assembler.ready_bytes(), self.rcv.assembler.reach());
            self.rcv.window.on_read(context.now, self.rcv.read, unread, beyond);
            // One read(2) of Linux takes all that waits and fits, and says at its end how far the window is open (tcp_cleanup_rbuf);
            // here it comes in pieces, and an ACK in between would say that it is nearly shut.
            self.rcv.reading = self.rcv.reading.saturating_add(copied);
            if unread == 0 || data.len() >= max || self.rcv.reading as usize >= max {
                let copied = std::mem::take(&mut self.rcv.reading);
                let question = self.ack_context(context.now);
                if let AckDecision::Now(reason) = self.rcv.ack.on_read(&question, copied) {
                    self.acknowledge(reason);
                }
            }
        }
        Ok(data)
    }

    /// FIN after all that has been written; before the handshake is over it waits with the data.
    pub(crate) fn shutdown(&mut self) -> Result<(), SocketError> {
        match self.state {
            State::SynSent | State::SynReceived | State::Established | State::CloseWait => {}
            _ if self.snd.fin_wanted => return Ok(()),
            _ => return Err(SocketError::InvalidState),
        }
        self.snd.fin_wanted = true;
        self.snd.more = false;
        match self.state {
            State::Established => self.state = State::FinWait1,
            State::CloseWait => self.state = State::LastAck,
            _ => {}
        }
        Ok(())
    }

    /// The application gives the connection up. Data that nobody will read are answered with RST (RFC 9293 §3.6.1;
    /// RFC 2525 §2.17).
    pub(crate) fn close(&mut self, context: &mut Context<'_>) {
        let unread = self.rcv.assembler.ready_bytes() > 0;
        self.owner = Owner::Nobody;
        match self.state {
            State::Closed => {}
            State::SynSent => self.finish(context, None),
            _ if unread => self.abort(context, None),
            State::FinWait2 => self.start_orphan_timer(context.now),
            _ => {
                let _ = self.shutdown();
            }
        }
    }

    /// RST, now.
    pub(crate) fn abort(&mut self, context: &mut Context<'_>, error: Option<SocketError>) {
        if self.state.is_synchronized() || self.state == State::SynReceived {
            context.counters.count(Counter::ResetsOut);
            let packet = self.reset_packet(context.now);
            self.reply(context, packet);
        }
        self.finish(context, error);
    }

    /// Both sides have closed: the ACK of the peer's FIN leaves, and TIME-WAIT takes over.
    pub(super) fn enter_time_wait(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        context.counters.count(Counter::TimeWait);
        if self.rcv.last_ack_sent != self.rcv.nxt() {
            let packet = self.ack_packet(now);
            self.reply(context, packet);
        }
        let held = self.rcv.assembler.held_bytes();
        let next = self.rcv.assembler.next();
        let window = self.rcv.window.advertise(next, held, self.rcv.ack.rcv_mss());
        self.time_wait = Some(Box::new(TimeWait {
            tuple: self.tuple,
            interface: self.interface,
            snd_nxt: self.snd.nxt,
            rcv_nxt: self.rcv.nxt(),
            window,
            timestamps: self.negotiated.timestamps.then_some(self.timestamps),
            answers: self.answers,
            length: self.knobs.time_wait,
            until: now + self.knobs.time_wait,
        }));
        self.finish(context, None);
    }

    /// What TIME-WAIT has to know, once it has begun.
    pub(crate) fn take_time_wait(&mut self) -> Option<Box<TimeWait>> {
        self.time_wait.take()
    }

    /// Sets one knob, as setsockopt does; `knobs` are those with it.
    pub(crate) fn set(&mut self, context: &mut Context<'_>, knob: &str, knobs: Arc<Knobs>) {
        self.configure(context, knobs);
        if knob == "nodelay" {
            // Setting it lets go what is held, even when it was set before.
            self.snd.nagle.set_nodelay(self.knobs.nodelay);
        }
        if knob == "quickack" {
            let question = self.ack_context(context.now);
            let on = self.knobs.quickack != QuickAck::Off;
            if let AckDecision::Now(reason) = self.rcv.ack.set_quickack(&question, on) {
                self.acknowledge(reason);
            }
        }
    }

    /// Replaces the knobs; those that only matter when a connection begins change nothing any more.
    pub(crate) fn configure(&mut self, context: &mut Context<'_>, knobs: Arc<Knobs>) {
        let before = std::mem::replace(&mut self.knobs, knobs);
        let now = context.now;
        if self.knobs.nodelay != before.nodelay {
            self.snd.nagle.set_nodelay(self.knobs.nodelay);
        }
        if self.knobs.cork != before.cork {
            self.snd.nagle.set_cork(self.knobs.cork);
        }
        if self.knobs.nagle != before.nagle {
            self.snd.nagle.set_policy(self.knobs.nagle);
        }
        *self.rcv.ack.config_mut() = self.knobs.ack_config(self.tick);
        if self.knobs.max_pacing_rate != before.max_pacing_rate {
            let most = most_bytes_per_second(&self.knobs);
            self.snd.congestion.pacing_mut().set_most(most);
        }
        if self.knobs.sndbuf != before.sndbuf && self.knobs.sndbuf > 0 {
            self.snd.capacity = self.knobs.send_buffer().into();
        }
        if self.knobs.rcvbuf != before.rcvbuf && self.knobs.rcvbuf > 0 {
            self.rcv.window.set_buffer(self.knobs.receive_buffer().0);
        }
        if self.knobs.keepalive && !before.keepalive {
            self.note_arrival(now);
        }
        if self.knobs.keepalive && self.timers.is_set(Timer::KeepAlive) {
            let silent = now.since(self.rcv.last_arrival);
            self.start_timer(Timer::KeepAlive, now, self.knobs.keepalive_time.saturating_sub(silent));
        }
    }

    /// The knobs as they are.
    pub(crate) fn knobs(&self) -> &Knobs {
        &self.knobs
    }

    /// What calls on the socket would find.
    pub(crate) fn status(&self) -> SocketStatus {
        SocketStatus {
            state: self.state,
            error: self.error,
            readable_bytes: self.rcv.assembler.ready_bytes(),
            end_of_stream: self.rcv.fin_taken,
            unacknowledged_bytes: self.snd.buffer.len(),
            unsent_bytes: self.snd.unsent(),
            writable: self.is_writable(),
            send_buffer: self.snd.capacity,
        }
    }

    /// Given up by the application, and the FIN not acknowledged yet.
    pub(crate) fn lingers(&self) -> bool {
        let open = matches!(
            self.state,
            State::SynReceived | State::FinWait1 | State::CloseWait | State::Closing | State::LastAck
        );
        self.owner == Owner::Nobody && open
    }

    /// It is over, and not by an error.
    pub(crate) fn ended_in_order(&self) -> bool {
        self.state == State::Closed && self.error.is_none()
    }

    /// The application owns the connection from now on.
    pub(crate) fn accepted(&mut self, context: &mut Context<'_>) {
        self.owner = Owner::Application;
        if self.rcv.assembler.ready_bytes() > 0 || self.rcv.fin_taken {
            self.tell_readable(context);
        }
        if self.state == State::Closed {
            self.tell(context, Event::Closed(self.id, self.error));
        }
    }

    /// The connection's inner values.
    pub(crate) fn info(&self, now: Instant) -> TcpInfo {
        let scoreboard = self.snd.recovery.scoreboard();
        TcpInfo {
            state: self.state,
            rtt_ns: nanoseconds(self.rtt.srtt()),
            rttvar_ns: nanoseconds(self.rtt.variation()),
            min_rtt_ns: nanoseconds(self.rtt.minimum()),
            rcv_rtt_ns: nanoseconds(self.rcv.window.round_trip()),
            rto_ns: nanoseconds(Some(self.rtt.rto())),
            ato_ns: nanoseconds(Some(self.rcv.ack.ato())),
            snd_cwnd: self.snd.congestion.window(),
            snd_ssthresh: self.snd.congestion.threshold(),
            pacing_rate: self.snd.congestion.pacing().rate(),
            delivery_rate: scoreboard.delivery().segments_per_second().unwrap_or(0)
                * u64::from(self.effective_mss()),
            snd_mss: self.effective_mss(),
            rcv_mss: self.rcv.ack.rcv_mss(),
            advmss: self.advertised_mss(),
            pmtu: self.path.mtu,
            snd_wscale: self.peer_scale(),
            rcv_wscale: if self.rcv.window.scaled { self.rcv.window.scale.shift() } else { 0 },
            snd_wnd: self.snd.window.bytes,
            rcv_wnd: self.rcv.window.open(self.rcv.assembler.next()),
            rcv_space: self.rcv.window.read_per_round_trip(),
            rcv_buffer: self.rcv.window.buffer(),
            snd_buffer: self.snd.capacity,
            unacked: scoreboard.unacked(),
            sacked: scoreboard.sacked(),
            lost: scoreboard.lost(),
            retrans: scoreboard.retransmitted(),
            retransmits: self.stats.retransmits,
            probes: self.stats.probes,
            backoff: self.rtt.backoff() + self.stats.probe_backoff,
            total_retrans: self.stats.total_retransmits,
            notsent_bytes: self.snd.unsent(),
            bytes_acked: self.stats.bytes_acked,
            bytes_received: self.stats.bytes_received,
            bytes_retrans: self.stats.bytes_retransmitted,
            segs_out: self.stats.segments_out,
            segs_in: self.stats.segments_in,
            data_segs_out: self.stats.data_segments_out,
            data_segs_in: self.stats.data_segments_in,
            ca_state: self.snd.recovery.state(),
            timestamps: self.negotiated.timestamps,
            sack: self.negotiated.sack,
            window_scaling: self.rcv.window.scaled,
            delivered: self.stats.delivered,
            delivered_ce: self.stats.delivered_marked,
            ecn: self.ecn.is_negotiated(),
            reordering: self.snd.recovery.reordering(),
            reord_seen: self.snd.recovery.reordering_events(),
            last_data_recv_ns: nanoseconds(Some(now.since(self.rcv.last_data))),
            busy_time_ns: self.chrono.busy(now),
            rwnd_limited_ns: self.chrono.under(now, Limit::Window),
            sndbuf_limited_ns: self.chrono.under(now, Limit::Buffer),
            reasons: self.reasons,
        }
    }
}

fn nanoseconds(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}
