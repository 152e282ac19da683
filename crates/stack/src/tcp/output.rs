//! What may leave now, and why not?
//!
//! One predicate, [`Connection::send_decision`], is asked by the output path and by the timers: what is not held by anything
//! leaves, and what is held with nothing on its way arms the persist timer.

use super::ack::{AckDecision, AckReason};
use super::chrono::Limit;
use super::connection::{Connection, Context, State};
use super::defer::Group;
use super::mtu_probe::ProbeDecision;
use super::nagle::{Candidate, HoldReason, NagleDecision, fits_window};
use super::options::Mss;
use super::timer::Timer;
use crate::Instant;
use crate::counters::Counter;
use crate::sk_buff::{SK_BUFF, SMALL_HEAD};
use bytes::Bytes;
use narrows_wire::{
    Fragment, IpHeader, Offload, Packet, Protocol, SackBlocks, Seq, TcpFlags, TcpHeader, TcpOptions,
    Transport,
};

/// May something leave now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendDecision {
    /// This many bytes of new data, in segments of the effective MSS; with FIN when that is the end.
    Send {
        /// Bytes; 0 for a FIN alone.
        bytes: u32,
        /// FIN follows the last byte.
        fin: bool,
    },
    /// Something waits, and for what.
    Hold(HoldReason),
    /// There is nothing to send.
    Nothing,
}

/// A device takes at most this much in one large segment.
const LARGEST_GROUP: u32 = 65_535 - 120;

impl Connection {
    /// The next packet, if anything may leave now.
    pub(crate) fn poll_transmit(&mut self, context: &mut Context<'_>) -> Option<Packet> {
        let now = context.now;
        self.check_path(now);
        if self.due.handshake {
            return Some(self.send_handshake(now));
        }
        if !self.state.is_synchronized() {
            return None;
        }
        if self.due.loss_probe
            && let Some(packet) = self.send_loss_probe(context)
        {
            return Some(packet);
        }
        if let Some(end) = self.snd.group_end {
            return Some(self.send_from_group(now, end));
        }
        if self.due.size_test
            && let Some(packet) = self.send_size_test(context)
        {
            return Some(packet);
        }
        let paced = self.snd.congestion.pacing().holds_until(now);
        if (paced.is_none() || self.snd.group_push.is_some())
            && let Some(packet) = self.retransmit(context)
        {
            return Some(packet);
        }
        // A write that goes on lets a single group go without looking further (tcp_push_one).
        let probe = if self.due.one_group { ProbeDecision::None } else { self.mtu_probe_decision(now) };
        let decision = match probe {
            ProbeDecision::Send { bytes } if paced.is_none() => {
                return Some(self.send_mtu_probe(context, bytes));
            }
            ProbeDecision::Wait => SendDecision::Hold(HoldReason::MtuProbe),
            ProbeDecision::None | ProbeDecision::Send { .. } => self.send_decision(now),
        };
        let held = match decision {
            SendDecision::Hold(reason) => Some(reason),
            SendDecision::Send { bytes: 1.., .. } if paced.is_some() => Some(HoldReason::Pacing),
            SendDecision::Send { .. } | SendDecision::Nothing => None,
        };
        self.reasons.note_hold(now, held);
        match paced {
            Some(until) if held == Some(HoldReason::Pacing) || self.retransmission_waits() => {
                self.timers.set(Timer::Pacing, until);
            }
            _ => self.timers.stop(Timer::Pacing),
        }
        if let SendDecision::Send { bytes, fin } = decision
            && held.is_none()
        {
            return Some(self.send_new(now, bytes, fin));
        }
        if paced.is_none()
            && self.snd.recovery.on_nothing_new(self.snd.nxt)
            && let Some(packet) = self.retransmit(context)
        {
            return Some(packet);
        }
        self.note_limit(now, held);
        self.after_sending(now, held == Some(HoldReason::CongestionWindow));
        if self.due.space {
            self.tell_writable(context);
        }
        self.arm_persist(now, held.is_some_and(|reason| reason != HoldReason::Pacing));
        if self.due.probe {
            self.due.probe = false;
            return Some(self.send_probe(now));
        }
        if self.due.ack_question {
            self.due.ack_question = false;
            let question = self.ack_context(now);
            if let AckDecision::Now(reason) = self.rcv.ack.decide(&question) {
                self.acknowledge(reason);
            }
        }
        if self.due.ack {
            return Some(self.ack_packet(now));
        }
        match self.rcv.ack.poll_timeout() {
            Some(at) => self.timers.set(Timer::DelayedAck, at),
            None => self.timers.stop(Timer::DelayedAck),
        }
        None
    }

    /// Which limit holds now that nothing more may leave?
    fn note_limit(&mut self, now: Instant, held: Option<HoldReason>) {
        if held == Some(HoldReason::Window) {
            self.chrono.start(now, Limit::Window);
        } else {
            self.chrono.stop(now, Limit::Window, false);
        }
        let starved = self.snd.unsent() == 0 && self.snd.buffer.len() > 0;
        if self.snd.write_blocked && starved && self.congestion_room() > 0 {
            self.chrono.start(now, Limit::Buffer);
        }
    }

    /// The policy lets an ACK go.
    pub(super) fn acknowledge(&mut self, reason: AckReason) {
        self.reasons.note_ack(reason);
        self.due.ack = true;
    }

    /// May new data, or the FIN, leave now, and if not, why not?
    pub(crate) fn send_decision(&self, now: Instant) -> SendDecision {
        if !self.may_send() {
            return SendDecision::Nothing;
        }
        let unsent = self.snd.unsent().min(u64::from(u32::MAX)) as u32;
        let fin = self.snd.fin_wanted && !self.snd.fin_sent;
        if unsent == 0 && !fin {
            return SendDecision::Nothing;
        }
        if self.device_full {
            return SendDecision::Hold(HoldReason::Device);
        }
        let usable = self.usable_window();
        if unsent == 0 {
            // The congestion window does not hold a FIN, the peer's closed window does.
            let open = usable > 0 || !self.snd.in_flight() && self.due.push_small;
            return if open {
                SendDecision::Send { bytes: 0, fin: true }
            } else {
                SendDecision::Hold(HoldReason::Window)
            };
        }
        let mss = self.effective_mss();
        let room = self.congestion_room();
        if room == 0 {
            return SendDecision::Hold(HoldReason::CongestionWindow);
        }
        if self.due.push_small && usable > 0 {
            // A lone piece that a timer lets go says that it should be handed on.
            let bytes = unsent.min(usable).min(mss);
            return SendDecision::Send { bytes, fin: fin && bytes == unsent };
        }
        if !fits_window(unsent.min(mss), mss, unsent, usable, self.snd.window.largest) {
            return SendDecision::Hold(HoldReason::Window);
        }
        let group = self.group_limit(mss, room).max(1).saturating_mul(mss);
        let record = self.snd.position_of(self.snd.nxt);
        let record = self.snd.buffer.record_end(record).map_or(u64::MAX, |end| end - record);
        let here = unsent.min(u32::try_from(record).unwrap_or(u32::MAX));
        let available = here.min(usable).min(group);
        if let Some(reason) = self.defers(now, unsent.min(usable), here, group) {
            return SendDecision::Hold(reason);
        }
        let partial = available % mss;
        let full = available - partial;
        if partial == 0 {
            return SendDecision::Send { bytes: full, fin: fin && full == unsent };
        }
        let last = available == unsent;
        if !last && available == here {
            // The end of a record leaves like the end of a large segment: nothing can join it.
            return SendDecision::Send { bytes: available, fin: false };
        }
        if !last && full > 0 {
            return SendDecision::Send { bytes: full, fin: false };
        }
        let candidate = Candidate {
            len: partial,
            mss,
            fin: fin && last,
            last,
            more: self.snd.more,
            snd_una: self.snd.una,
            snd_nxt: self.snd.nxt,
        };
        match self.snd.nagle.check(&candidate) {
            NagleDecision::Send => SendDecision::Send { bytes: available, fin: fin && last },
            NagleDecision::Hold(_) if full > 0 => SendDecision::Send { bytes: full, fin: false },
            NagleDecision::Hold(reason) => SendDecision::Hold(reason),
        }
    }

    /// Does the group that could leave wait for room for a larger one? `sendable` bytes fit into the peer's window, `record` wait
    /// in this record, `largest` bytes would be the largest group.
    fn defers(&self, now: Instant, sendable: u32, record: u32, largest: u32) -> Option<HoldReason> {
        let mss = self.effective_mss();
        // Where pacing decides, its timer lets the group go.
        let paced = self.snd.congestion.pacing().holds_until(now).is_some();
        if self.due.one_group || sendable <= mss || paced {
            return None;
        }
        let position = self.snd.position_of(self.snd.nxt);
        let (waiting, last_buffer) = self.snd.queue.next_buffer(position);
        let unsent = self.snd.unsent();
        let waiting = u64::from(record.min(largest)).max(waiting).min(unsent) as u32;
        if waiting <= mss {
            return None;
        }
        let window = self.snd.window.bytes.min(self.congestion_window().saturating_mul(mss));
        let autosize = self.autosize(mss).min((LARGEST_GROUP / mss).max(1));
        let group = Group {
            now,
            last_transmission: self.snd.last_transmission,
            repairing: self.snd.recovery.is_repairing(),
            send_window: self.usable_window(),
            congestion_room: self.congestion_room().saturating_mul(mss),
            largest: autosize.saturating_mul(mss),
            waiting,
            last_buffer,
            complete: self.snd.fin_wanted && u64::from(waiting) == unsent || u64::from(record) < unsent,
            whole_window: window,
            divisor: self.knobs.system.tso_win_divisor,
            mss,
            oldest_sent: self.snd.recovery.scoreboard().first_sent(),
            srtt: self.rtt.srtt(),
        };
        group.defers()
    }

    fn may_send(&self) -> bool {
        matches!(
            self.state,
            State::Established | State::CloseWait | State::FinWait1 | State::Closing | State::LastAck
        )
    }

    /// Bytes of the peer's window that nothing has been sent into.
    pub(super) fn usable_window(&self) -> u32 {
        let edge = self.snd.una + self.snd.window.bytes;
        edge.distance_from(self.snd.nxt).max(0) as u32
    }

    /// Lets a group of new data go and sends its first segment (all of it, where the device cuts it).
    pub(super) fn send_new(&mut self, now: Instant, bytes: u32, fin: bool) -> Packet {
        if std::mem::take(&mut self.due.push_small) {
            let end = self.snd.position_of(self.snd.nxt) + u64::from(bytes);
            self.snd.buffer.mark_push(end);
        }
        let mss = self.effective_mss();
        self.before_new_data(now);
        self.pace(now, bytes);
        if bytes > 0 {
            self.snd.nagle.on_sent(bytes, mss, self.snd.nxt + bytes);
        }
        self.snd.group_start = Some(self.snd.nxt);
        let end = self.snd.position_of(self.snd.nxt) + u64::from(bytes);
        self.snd.queue.split(end);
        if bytes > mss {
            // Linux sets PSH where a large segment ends, so that the receiver's offload hands it on; not when it is sent again.
            self.snd.group_push = Some(self.snd.nxt + bytes);
            self.snd.buffer.join_pushed(end - u64::from(bytes), end);
        }
        if bytes > mss && !self.offload {
            self.snd.group_end = Some(self.snd.nxt + bytes);
            return self.send_from_group(now, self.snd.nxt + bytes);
        }
        self.send_data(now, bytes, mss, fin)
    }

    fn send_from_group(&mut self, now: Instant, end: Seq) -> Packet {
        let mss = self.effective_mss();
        let left = end - self.snd.nxt;
        let bytes = left.min(mss);
        if left <= mss {
            self.snd.group_end = None;
        }
        let position = self.snd.position_of(self.snd.nxt) + u64::from(bytes);
        let fin = self.snd.fin_wanted && position == self.snd.buffer.end();
        self.send_data(now, bytes, mss, fin)
    }

    pub(super) fn send_data(&mut self, now: Instant, bytes: u32, mss: u32, fin: bool) -> Packet {
        let seq = self.snd.nxt;
        let packet = self.data_packet(now, seq, bytes, mss, fin);
        let end = seq + bytes + u32::from(fin);
        let first = !self.snd.in_flight();
        self.snd.nxt = end;
        self.snd.fin_sent |= fin;
        self.note_sent(now, seq..end, mss);
        if first || !self.timers.is_set(Timer::Retransmit) {
            self.timers.stop(Timer::Persist);
            self.start_timer(Timer::Retransmit, now, self.rtt.rto());
        }
        packet
    }

    /// A packet with the bytes from `seq` on, whether sent for the first time or again.
    pub(super) fn data_packet(&mut self, now: Instant, seq: Seq, bytes: u32, mss: u32, fin: bool) -> Packet {
        let from = self.snd.position_of(seq);
        let payload = self.snd.buffer.read(from, bytes as usize);
        let mut flags = TcpFlags::ACK;
        let ends_group = bytes > 0 && self.snd.group_push.take_if(|end| *end == seq + bytes).is_some();
        if ends_group || self.snd.buffer.is_pushed(from, from + u64::from(bytes)) {
            flags |= TcpFlags::PSH;
        }
        if fin {
            flags |= TcpFlags::FIN;
        }
        let segments = bytes.div_ceil(mss).max(1);
        self.stats.data_segments_out += u64::from(segments);
        self.stats.segments_out += u64::from(segments) - 1;
        self.snd.last_data = Some(now);
        let segment_bytes = (bytes > mss).then_some(mss as u16);
        self.segment(now, seq, flags, payload, segment_bytes)
    }

    /// An ACK without data.
    pub(super) fn ack_packet(&mut self, now: Instant) -> Packet {
        self.segment(now, self.acceptable_seq(), TcpFlags::ACK, Bytes::new(), None)
    }

    /// What the peer takes as a segment within its window: SND.NXT, or the window's end where the peer has drawn it back below that
    /// (Linux's tcp_acceptable_seq). What the window field cannot say, in units of the scale, is no drawing back.
    fn acceptable_seq(&self) -> Seq {
        let end = self.snd.una + self.snd.window.bytes;
        let beyond = self.snd.nxt.distance_from(end).max(0) as u32;
        let unit = if self.rcv.window.scaled { 1 << self.rcv.window.scale.shift() } else { 1 };
        if beyond < unit { self.snd.nxt } else { end }
    }

    /// A segment just before what the peer expects, which it has to answer (Linux's window and keep-alive probes).
    fn send_probe(&mut self, now: Instant) -> Packet {
        self.segment(now, self.snd.una - 1, TcpFlags::ACK, Bytes::new(), None)
    }

    /// RST for this connection.
    pub(super) fn reset_packet(&mut self, now: Instant) -> Packet {
        let seq = self.acceptable_seq();
        self.segment(now, seq, TcpFlags::RST | TcpFlags::ACK, Bytes::new(), None)
    }

    /// RST in answer to a segment that acknowledges what this connection has not sent (RFC 9293 §3.10.7.1).
    pub(super) fn reset_at(&mut self, context: &mut Context<'_>, seq: Seq) {
        context.counters.count(Counter::ResetsOut);
        let packet = self.packet(seq, Seq(0), TcpFlags::RST, 0, TcpOptions::default(), Bytes::new(), None);
        self.reply(context, packet);
    }

    /// Any segment of a synchronized connection: acknowledgment, window and options are added here.
    fn segment(
        &mut self,
        now: Instant,
        seq: Seq,
        flags: TcpFlags,
        payload: Bytes,
        segment_bytes: Option<u16>,
    ) -> Packet {
        let next = self.rcv.assembler.next();
        let held = self.rcv.assembler.held_bytes();
        let window = self.rcv.window.advertise(next, held, self.rcv.ack.rcv_mss());
        if self.rcv.window.is_crowded(held) {
            self.rcv.ack.on_crowded();
        }
        let ack = self.rcv.nxt();
        let mut options = TcpOptions::default();
        if self.negotiated.timestamps {
            options.timestamps = Some(self.timestamps.option(now));
        }
        if self.negotiated.sack && self.rcv.assembler.has_sack_blocks() && !flags.contains(TcpFlags::RST) {
            let room = self.sack_room();
            let (irs, fin_at) = (self.rcv.irs, self.rcv.fin_at);
            let mut blocks = SackBlocks::default();
            for (from, end) in self.rcv.assembler.sack_blocks(room) {
                // A FIN behind the data is of the sequence space, too; not reported, the peer would send its last segment again.
                let after = (end as u32).wrapping_add(1 + u32::from(fin_at == Some(end)));
                blocks.push(irs + (from as u32).wrapping_add(1), irs + after);
            }
            options.sack = blocks;
        }
        self.rcv.last_ack_sent = ack;
        self.snd.last_transmission = now;
        self.rcv.ack.on_sent(now, ack, payload.len() as u32);
        self.due.ack = false;
        let fresh = !payload.is_empty() && !seq.is_before(self.snd.nxt);
        let reduced = fresh && self.ecn.is_negotiated() && self.snd.congestion.take_reduction();
        let (codepoint, marks) = self.ecn.outgoing(fresh, reduced);
        let mut packet = self.packet(seq, ack, flags | marks, window, options, payload, segment_bytes);
        packet.ip.traffic_class |= codepoint.bits();
        packet
    }

    /// Puts a packet together.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn packet(
        &mut self,
        seq: Seq,
        ack: Seq,
        flags: TcpFlags,
        window: u16,
        options: TcpOptions,
        payload: Bytes,
        segment_bytes: Option<u16>,
    ) -> Packet {
        self.stats.segments_out += 1;
        if let Some(next) = &mut self.next_route {
            next.looked_up = true;
        }
        let step = segment_bytes.map_or(1, |size| payload.len().div_ceil(usize::from(size).max(1)));
        let identification = if self.is_ipv6() { 0 } else { u32::from(self.identification) };
        self.identification = self.identification.wrapping_add(step as u16);
        Packet {
            ip: IpHeader {
                source: self.tuple.local.ip(),
                destination: self.tuple.remote.ip(),
                protocol: Protocol::Tcp,
                hop_limit: 64,
                traffic_class: 0,
                fragment: Fragment {
                    identification,
                    dont_fragment: self.dont_fragment(),
                    more: false,
                    offset_bytes: 0,
                },
            },
            transport: Transport::Tcp(TcpHeader {
                source_port: self.tuple.local.port(),
                destination_port: self.tuple.remote.port(),
                seq,
                ack,
                flags,
                window,
                urgent: 0,
                options,
            }),
            payload,
            offload: Offload { segment_bytes, ..Offload::default() },
        }
    }

    /// With nothing on its way no ACK will come to release what is held: the persist timer has to (RFC 9293
    /// §3.8.6.1; with TCP_CORK it is what lets a partial segment go after 200 ms).
    fn arm_persist(&mut self, now: Instant, held: bool) {
        if !held || self.snd.in_flight() {
            if !self.due.probe && !held {
                if self.timers.is_set(Timer::Persist) {
                    self.end_probing();
                }
                self.timers.stop(Timer::Persist);
            }
            return;
        }
        if !self.timers.is_set(Timer::Persist) {
            self.start_probe_timer(now, self.probe_wait());
        }
    }

    /// The send buffer grows with the congestion window: two windows, so that the application is never what is waited for.
    pub(super) fn grow_send_buffer(&mut self) {
        if self.knobs.sndbuf == 0 {
            let window =
                u64::from(self.congestion_window().max(10)) * memory_of_segment(self.negotiated.peer_mss);
            let windows = self.snd.congestion.buffered_windows();
            let limit = self.knobs.system.send_buffer.1.into();
            self.snd.capacity = self.snd.capacity.max((windows * window).min(limit));
        }
    }

    /// How many segments may leave as one group: at most half of the congestion window, at least two, and about a
    /// millisecond's worth at the present rate (Linux's TSO autosizing).
    fn group_limit(&self, mss: u32, room: u32) -> u32 {
        let half = (self.congestion_window() / 2).max(1);
        half.min(room).min(self.autosize(mss)).min((LARGEST_GROUP / mss).max(1))
    }
}

/// The memory of a segment of `mss` bytes that waits to be sent: with room for headers and the fragment table in a power of two, and its
/// descriptor (Linux's tcp_sndbuf_expand).
fn memory_of_segment(mss: Mss) -> u64 {
    (u64::from(mss.bytes()) + SMALL_HEAD).next_power_of_two() + SK_BUFF
}
