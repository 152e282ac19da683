//! What becomes of a segment's bytes? Where they lie in the window, whether the receive buffer has room for them, and what their arrival
//! tells about the peer and the path.

use super::ack;
use super::assembler::Arrival;
use super::connection::{Connection, Context, Owner};
use super::options::TIMESTAMPS_BYTES;
use super::send_buffer::Position;
use crate::Instant;
use crate::counters::Counter;
use bytes::Bytes;
use narrows_wire::{Offload, TcpFlags, TcpHeader};

impl Connection {
    /// Cuts off what lies before the stream's beginning or beyond the advertised window. `None` when nothing in it can
    /// be kept.
    pub(super) fn trim(&self, mut payload: Bytes, ahead: i64, next: u64) -> Option<(Bytes, u64)> {
        let edge = self.rcv.window.open_edge().max(next);
        let from = next as i64 + ahead;
        if from < 0 {
            let before = usize::try_from(-from).unwrap_or(usize::MAX).min(payload.len());
            payload = payload.slice(before..);
        }
        let from = from.max(0) as u64;
        // What begins within the window was accepted as a whole.
        let news = from + payload.len() as u64 > next;
        let closed = from.max(next) >= edge && !payload.is_empty() && news;
        if closed {
            return None;
        }
        Some((payload, from))
    }

    /// All of a segment's news lies beyond the window as it is: a larger one was promised, and has been taken back since, or it is closed.
    pub(super) fn note_beyond(&mut self, context: &mut Context<'_>, ahead: i64, length: usize) {
        let next = self.rcv.assembler.next();
        if ahead > 0 {
            context.counters.count(Counter::BeyondWindow);
            return;
        }
        context.counters.count(Counter::ZeroWindowDrop);
        let from = next.saturating_add_signed(ahead);
        if from < next && self.negotiated.sack {
            // Its head was there already, and is reported (RFC 2883).
            self.rcv.assembler.note_duplicate(from, next.min(from + length as u64));
        }
    }

    /// ECN: whether data has come marked, and whether the sender has heard of it.
    fn note_marks(&mut self, context: &Context<'_>, flags: TcpFlags) {
        if !self.ecn.is_negotiated() {
            return;
        }
        // A window just reduced may be very small: nothing more would come to acknowledge.
        let reduced = self.ecn.on_flags(flags);
        let question = self.ack_context(context.now);
        if self.ecn.on_data(context.codepoint) {
            self.rcv.ack.on_congestion_mark(&question);
        }
        if reduced {
            self.rcv.ack.on_window_reduced();
        }
    }

    pub(super) fn insert(
        &mut self,
        context: &mut Context<'_>,
        header: &TcpHeader,
        payload: Bytes,
        from: u64,
        offload: Offload,
    ) {
        let now = context.now;
        self.rcv.last_data = now;
        self.note_marks(context, header.flags);
        let length = payload.len() as u32;
        let options = if header.options.timestamps.is_some() { TIMESTAMPS_BYTES } else { 0 };
        let usual = if self.negotiated.timestamps { TIMESTAMPS_BYTES } else { 0 };
        let segment = ack::Arrival {
            len: length,
            segment_len: offload.segment_bytes.map(u32::from),
            header_len: 20 + options,
            usual_header_len: 20 + usual,
            psh: header.flags.contains(TcpFlags::PSH),
            fin_syn_urg: header.flags.intersects(TcpFlags::FIN | TcpFlags::SYN | TcpFlags::URG),
        };
        let before = self.rcv.assembler.next();
        let mss = self.advertised_mss();
        let wire_segment = segment.segment_len.unwrap_or(length).min(length);
        let roomy = self.make_room(context, from);
        if !roomy && from <= before && self.rcv.assembler.ready_bytes() > 0 {
            self.drop_in_order(context);
            return;
        }
        if roomy {
            self.report_before(context, from, from + u64::from(length));
        }
        match self.put(context, from, payload, roomy) {
            Arrival::InOrder { from_gap } => {
                let arrived = self.rcv.assembler.next() - before;
                self.stats.bytes_received += arrived;
                let question = self.ack_context(now);
                self.rcv.ack.on_data(&question, &segment);
                if from_gap && !self.rcv.assembler.has_gap() {
                    self.rcv.ack.on_gap_filled();
                }
                self.measure_round_trip(now, header, length);
                let held = self.rcv.assembler.held_bytes();
                if self.rcv.window.on_data(length, wire_segment, mss, held) {
                    self.rcv.ack.on_window_grown();
                }
                self.tell_readable(context);
            }
            Arrival::OutOfOrder => {
                context.counters.count(Counter::OutOfOrder);
                self.rcv.ack.on_out_of_order(&segment);
                // Without SACK a changing window would hide the duplicate ACKs.
                // The segment itself does not count yet, as it does when it comes in order (Linux).
                let held = self.rcv.assembler.held_bytes().saturating_sub(u64::from(length));
                if self.negotiated.sack && self.rcv.window.on_data(length, wire_segment, mss, held) {
                    self.rcv.ack.on_window_grown();
                }
                if self.owner == Owner::Application {
                    self.rcv.window.on_out_of_order(self.rcv.assembler.reach());
                }
            }
            Arrival::Duplicate => {
                context.counters.count(Counter::DuplicateData);
                let question = self.ack_context(now);
                self.rcv.ack.on_duplicate(&question);
            }
            Arrival::Refused => {
                context.counters.count(Counter::OutOfOrderRefused);
                self.due.ack = true;
            }
        }
    }

    /// Puts bytes where they belong. What lies beyond a gap makes room for itself among what lies farther.
    fn put(&mut self, context: &mut Context<'_>, from: Position, payload: Bytes, roomy: bool) -> Arrival {
        let memory = u64::from(self.rcv.window.buffer());
        if from <= self.rcv.assembler.next() {
            return self.rcv.assembler.insert(from, payload, memory);
        }
        if !roomy {
            return Arrival::Refused;
        }
        let arrival = self.rcv.assembler.insert(from, payload.clone(), memory);
        if arrival == Arrival::Refused && self.prune(context, from) {
            return self.rcv.assembler.insert(from, payload, memory);
        }
        arrival
    }

    /// The round trip as the receiver sees it, for the growth of its buffer.
    fn measure_round_trip(&mut self, now: Instant, header: &TcpHeader, length: u32) {
        match header.options.timestamps {
            Some(timestamps) if self.negotiated.timestamps => {
                if length >= self.rcv.ack.rcv_mss()
                    && let Some(elapsed) = self.timestamps.elapsed_since(timestamps.echo, now)
                {
                    self.rcv.window.on_echo(timestamps.echo, elapsed);
                }
            }
            _ => self.rcv.window.on_progress(now, self.rcv.assembler.next()),
        }
    }
}
