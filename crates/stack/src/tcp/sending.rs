//! How much may be in flight, and what has to be sent again? Where the connection meets its loss recovery, its round
//! trip estimate and its congestion window.

use super::congestion::bbr::Path;
use super::congestion::{Congestion, CongestionConfig};
use super::connection::{Connection, Context};
use super::recovery::{self, Recovery};
use super::timer::Timer;
use crate::Instant;
use crate::counters::Counter;
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader};
use std::ops::Range;
use std::time::Duration;

/// Added to the wait for segments that were overtaken, so that the timer does not fire a moment too early (as Linux).
const REORDERING_MARGIN: Duration = Duration::from_millis(2);

impl Connection {
    /// The handshake is over: the congestion window begins.
    pub(super) fn begin_sending(&mut self, now: Instant) {
        self.snd.congestion = Congestion::new(CongestionConfig::new(&self.knobs, self.tick), now);
        self.snd.recovery = Recovery::with_reordering(
            self.negotiated.sack,
            self.knobs.recovery,
            self.knobs.system.reordering,
        );
        // Linux forgives one repetition of the SYN.
        if self.stats.total_retransmits > 1 {
            self.snd.congestion.on_syn_retransmitted();
        }
        let path = Path { srtt: self.rtt.srtt(), minimum: self.rtt.minimum() };
        let seed = u64::from(self.snd.iss.0);
        self.snd.congestion.on_established(now, self.effective_mss(), path, seed);
        self.grow_send_buffer();
    }

    pub(super) fn congestion_window(&self) -> u32 {
        self.snd.congestion.window()
    }

    /// Segments that the congestion window still lets through.
    pub(super) fn congestion_room(&self) -> u32 {
        self.congestion_window().saturating_sub(self.snd.recovery.scoreboard().in_flight())
    }

    /// The application writes: was it silent for so long that the window has to begin again?
    pub(super) fn note_write(&mut self, now: Instant) {
        if self.snd.unsent() < u64::from(self.effective_mss()) {
            self.snd.recovery.on_write_without_backlog(&self.snd.congestion);
        }
        if self.snd.in_flight() {
            return;
        }
        if let Some(last) = self.snd.last_data {
            self.snd.congestion.on_write_after_idle(now, last, self.rtt.rto());
        }
    }

    pub(super) fn before_new_data(&mut self, now: Instant) {
        if !self.snd.in_flight()
            && let Some(last) = self.snd.last_data
        {
            self.snd.congestion.on_transmission_starts(now, last);
            if self.snd.recovery.scoreboard().delivery().is_application_limited() {
                self.snd.congestion.on_restart(now, self.effective_mss(), self.rtt.srtt());
            }
        }
    }

    /// New data has left in segments of `mss` bytes.
    pub(super) fn note_sent(&mut self, now: Instant, range: Range<Seq>, mss: u32) {
        let continues = self.snd.group_start.is_some_and(|start| start.is_before(range.start));
        self.snd.recovery.on_sent(range, mss, now, continues);
        self.snd.sent_in_round = true;
    }

    /// Everything that could leave has left; `limited` when the congestion window stopped it.
    pub(super) fn after_sending(&mut self, now: Instant, limited: bool) {
        let sent = std::mem::take(&mut self.snd.sent_in_round);
        if !sent && !limited {
            return;
        }
        self.validate_window(now, limited);
        if sent {
            self.schedule_loss_probe(now);
        }
    }

    /// Is the congestion window used as far as it goes? `limited` when it stopped the sending.
    fn validate_window(&mut self, now: Instant, limited: bool) {
        let in_flight = self.snd.recovery.scoreboard().in_flight();
        let limited = limited || in_flight >= self.snd.congestion.window();
        let rto = self.rtt.rto();
        self.snd.congestion.on_sent(now, self.snd.una, self.snd.nxt, in_flight, limited, rto);
    }

    /// An acceptable ACK has come; `before` is SND.UNA before it.
    pub(super) fn take_feedback(
        &mut self,
        context: &mut Context<'_>,
        header: &TcpHeader,
        payload_bytes: usize,
        before: Seq,
        window_changed: bool,
    ) {
        let blocks = if self.negotiated.sack { header.options.sack.as_slice() } else { &[] };
        if !self.snd.in_flight() && self.snd.una == before && blocks.is_empty() {
            return;
        }
        let now = context.now;
        let sacks: [Range<Seq>; 4] =
            std::array::from_fn(|n| blocks.get(n).map_or(Seq(0)..Seq(0), |(left, right)| *left..*right));
        let ack = recovery::Ack {
            now,
            una: self.snd.una,
            snd_nxt: self.snd.nxt,
            sacks: &sacks[..blocks.len().min(4)],
            duplicate: self.snd.una == before
                && payload_bytes == 0
                && !window_changed
                && !header.flags.intersects(TcpFlags::SYN | TcpFlags::FIN),
            srtt: self.rtt.srtt(),
            minimum: self.rtt.minimum(),
            echoed_until: header
                .options
                .timestamps
                .filter(|_| self.negotiated.timestamps)
                .and_then(|timestamps| self.timestamps.current_until(timestamps.echo, now)),
            bare: payload_bytes == 0 && !window_changed,
            new_data: self.snd.unsent() > 0 && self.usable_window() > 0,
            mss: self.effective_mss(),
            echo: self.ecn.is_echo(header.flags),
        };
        let state = self.snd.recovery.state();
        let acked = self.snd.recovery.on_ack(&ack, &mut self.snd.congestion);
        self.stats.delivered += acked.delivered;
        self.stats.delivered_marked += if ack.echo { acked.delivered } else { 0 };
        let sample = match acked.rtt {
            None if acked.advanced => self.echoed_round_trip(header, now),
            sample => sample,
        };
        if let Some(rtt) = sample {
            self.rtt.on_sample(rtt, self.snd.una, self.snd.nxt);
        }
        let entered = self.snd.recovery.state() == recovery::State::Recovery;
        if entered && state != recovery::State::Recovery {
            context.counters.count(Counter::FastRetransmits);
        }
        match self.snd.recovery.look_again() {
            Some(wait) => self.start_timer(Timer::Reordering, now, wait + REORDERING_MARGIN),
            None if acked.advanced => self.timers.stop(Timer::Reordering),
            None => {}
        }
        self.judge_size(context, &acked);
        let out = self.snd.recovery.scoreboard().unacked();
        self.snd.congestion.update_pace(self.rtt.srtt(), self.effective_mss(), out);
    }

    /// `bytes` leave, for the first time or again: the next group has to wait for its time. To be called before they are counted.
    pub(super) fn pace(&mut self, now: Instant, bytes: u32) {
        self.snd.congestion.pacing_mut().on_sent(now, bytes, self.stats.data_segments_out);
    }

    /// Timestamps tell which copy was acknowledged (RFC 7323 §4).
    pub(super) fn echoed_round_trip(&self, header: &TcpHeader, now: Instant) -> Option<Duration> {
        let timestamps = header.options.timestamps.filter(|_| self.negotiated.timestamps)?;
        self.timestamps.elapsed_since(timestamps.echo, now)
    }

    /// There is a segment to be sent again, and the congestion window lets it.
    pub(super) fn retransmission_waits(&mut self) -> bool {
        self.snd.in_flight()
            && self.snd.recovery.may_send(&self.snd.congestion)
            && self.snd.recovery.next_retransmission().is_some()
    }

    /// A peer that has drawn its window back gets nothing again that lies beyond it, except the oldest segment, which then probes the
    /// window.
    fn peer_takes(&self, start: Seq) -> bool {
        start == self.snd.una || start.is_before(self.snd.una + self.snd.window.bytes)
    }

    /// The next segment that has to be sent again, if the congestion window lets it.
    pub(super) fn retransmit(&mut self, context: &mut Context<'_>) -> Option<Packet> {
        if self.device_full || !self.snd.in_flight() || !self.snd.recovery.may_send(&self.snd.congestion) {
            return None;
        }
        let mut range = self.snd.recovery.next_retransmission()?;
        if !self.peer_takes(range.start) {
            return None;
        }
        let now = context.now;
        if self.snd.group_push.is_none() {
            // What left as one large segment goes again as one, as far as there is room.
            let room = self.congestion_room();
            let (segments, end) = self.snd.recovery.group_to_retransmit(range.start, room);
            self.snd.group_push = (segments > 1).then_some(end);
            if segments <= 1 && self.knobs.system.retrans_collapse {
                range = self.join_small(range);
            }
        }
        let mss = self.effective_mss();
        let fin = self.snd.fin_sent && range.end == self.snd.nxt;
        let bytes = (range.end - range.start - u32::from(fin)).min(mss);
        let fin = fin && range.start + bytes + 1 == range.end;
        let end = range.start + bytes + u32::from(fin);
        if end != range.end {
            self.snd.recovery.split(range.start, end - range.start);
        }
        self.forget_mtu_probe();
        self.pace(now, bytes);
        self.snd.recovery.on_retransmitted(range.start..end, now);
        self.stats.total_retransmits += 1;
        self.stats.bytes_retransmitted += u64::from(bytes);
        context.counters.count(Counter::Retransmitted);
        // The timeout runs from the last time the oldest segment left.
        if range.start == self.snd.una || !self.timers.is_set(Timer::Retransmit) {
            self.start_timer(Timer::Retransmit, now, self.rtt.rto());
            self.timers.stop(Timer::LossProbe);
        }
        Some(self.data_packet(now, range.start, bytes, mss, fin))
    }

    /// A segment to be sent again is smaller than it may be: what has been sent behind it goes with it, within its record and the
    /// peer's window (Linux's tcp_retrans_try_collapse). Linux gives up where the memory pages of more than 17 pieces are not next
    /// to one another, which an application that writes to one connection does not bring about.
    fn join_small(&mut self, range: Range<Seq>) -> Range<Seq> {
        let window_end = self.snd.una + self.snd.window.bytes;
        let room = window_end.distance_from(range.start).max(0) as u32;
        let room = room.min(self.effective_mss());
        if range.end - range.start >= room || self.is_size_test(range.end) {
            return range;
        }
        let from = self.snd.position_of(range.start);
        let record = self.snd.buffer.record_end(from).map_or(u64::MAX, |end| end - from);
        let record = range.start + u32::try_from(record).unwrap_or(u32::MAX).min(room + 1);
        let fin_end = self.snd.fin_sent.then_some(self.snd.nxt);
        let end = window_end.earliest(record);
        let Some(joined) = self.snd.recovery.join(range.start, room, end, fin_end) else { return range };
        let fin = fin_end == Some(joined.end);
        self.snd.queue.join(from, from + u64::from(joined.end - joined.start - u32::from(fin)));
        joined
    }

    /// The end of what is in flight shall be probed when its ACK stays out; never later than the retransmission timeout.
    pub(super) fn schedule_loss_probe(&mut self, now: Instant) {
        match self.snd.recovery.probe_delay(self.rtt.srtt(), self.knobs.rto_min) {
            Some(delay) if self.knobs.system.tail_loss_probe => {
                let at = self.tick.timer(now, delay);
                let latest = self.timers.get(Timer::Retransmit).unwrap_or(Instant::FAR_FUTURE);
                self.timers.set(Timer::LossProbe, at.min(latest));
            }
            _ => self.timers.stop(Timer::LossProbe),
        }
    }

    /// Probes the end of the flight (RFC 8985 §7.3): with new data if there is any, whatever the congestion window says, else with
    /// the newest segment again.
    pub(super) fn send_loss_probe(&mut self, context: &mut Context<'_>) -> Option<Packet> {
        let now = context.now;
        self.due.loss_probe = false;
        if self.device_full || !self.snd.in_flight() || !self.snd.recovery.may_probe() {
            return None;
        }
        let mss = self.effective_mss();
        let unsent = self.snd.unsent().min(u64::from(u32::MAX)) as u32;
        let next = unsent.min(mss);
        let repeated = next == 0 || next > self.usable_window();
        let packet = if !repeated {
            let fin = self.snd.fin_wanted && next == unsent;
            let packet = self.send_new(now, next, fin);
            self.snd.recovery.on_probed(now, self.snd.nxt, false);
            // No other probe is scheduled for it: from here on the timeout counts (one per episode, RFC 8985 §7.3).
            self.snd.sent_in_round = false;
            self.validate_window(now, false);
            packet
        } else {
            let last = self.snd.recovery.scoreboard().last()?;
            if !self.peer_takes(last.start) {
                self.time_out_from_oldest(now);
                return None;
            }
            let fin = self.snd.fin_sent;
            let bytes = (last.end - last.start - u32::from(fin)).min(mss);
            self.pace(now, bytes);
            self.snd.recovery.on_probed(now, self.snd.nxt, true);
            self.stats.total_retransmits += 1;
            self.stats.bytes_retransmitted += u64::from(bytes);
            context.counters.count(Counter::Retransmitted);
            let from = last.end - bytes - u32::from(fin);
            self.data_packet(now, from, bytes, mss, fin)
        };
        context.counters.count(Counter::LossProbes);
        self.follow_with_size_test(repeated);
        self.start_timer(Timer::Retransmit, now, self.rtt.rto());
        self.timers.stop(Timer::LossProbe);
        Some(packet)
    }

    /// What was overtaken had its time (RFC 8985 §6.3).
    pub(super) fn on_reordering_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let state = self.snd.recovery.state();
        let (minimum, srtt) = (self.rtt.minimum(), self.rtt.srtt());
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        self.snd.recovery.on_reordering_timeout(now, una, nxt, minimum, srtt, &mut self.snd.congestion);
        if self.snd.recovery.state() == recovery::State::Recovery && state != recovery::State::Recovery {
            context.counters.count(Counter::FastRetransmits);
        }
        self.judge_mtu_probe(context);
        if let Some(wait) = self.snd.recovery.look_again() {
            self.start_timer(Timer::Reordering, now, wait + REORDERING_MARGIN);
        }
        self.time_out_from_oldest(now);
    }

    /// The retransmission timer has expired (RFC 6298 §5.4 to §5.6): everything sent counts as lost.
    pub(super) fn lose_everything(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        self.snd.recovery.on_timeout(now, self.snd.una, self.snd.nxt, &mut self.snd.congestion);
        self.snd.recovery.recut(self.smaller(now));
        self.cut_for_size_test();
        self.snd.group_end = None;
        self.timers.stop(Timer::LossProbe);
        self.timers.stop(Timer::Reordering);
        self.rtt.back_off();
        self.start_timer(Timer::Retransmit, now, self.rtt.rto());
    }

    /// How many segments make up about a millisecond at the present rate, at least two (Linux's tcp_tso_autosize).
    pub(super) fn autosize(&self, mss: u32) -> u32 {
        let Some(srtt) = self.rtt.srtt() else { return u32::MAX };
        let minimum = self.rtt.minimum().unwrap_or(srtt).as_micros() as u64;
        let near = 65_536u64.checked_shr((minimum >> 9).min(63) as u32).unwrap_or(0);
        let bytes = (self.snd.congestion.pacing().rate() >> 10).saturating_add(near);
        let fewest = self.snd.congestion.smallest_group().unwrap_or(self.knobs.system.min_tso_segs).max(1);
        (bytes / u64::from(mss)).clamp(u64::from(fewest), 65_535) as u32
    }
}
