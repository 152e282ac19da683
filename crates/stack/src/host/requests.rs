//! What becomes of the handshakes that others have begun?

use super::table::id_of;
use super::{Event, Host, InterfaceId, ListenerId, Slot, Transmit};
use crate::Instant;
use crate::counters::Counter;
use crate::socket::demux::FourTuple;
use crate::tcp::Begin;
use crate::tcp::connection::{Connection, Owner, State};
use crate::tcp::ecn::Codepoint;
use crate::tcp::listen::Listener;
use crate::tcp::listen::request::Request;
use bytes::Bytes;
use narrows_wire::{Offload, Seq, TcpFlags, TcpHeader, TcpOptions};

impl Host {
    /// Answers a SYN for a listener that has room.
    pub(super) fn begin_request(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        tuple: FourTuple,
        listener: ListenerId,
        syn: &TcpHeader,
        initial_seq: Option<Seq>,
    ) {
        let Some(entry) = self.listener_mut(listener) else { return };
        entry.syns.on_begun();
        let knobs = entry.knobs.clone();
        self.counters.count(Counter::PassiveOpens);
        let slot = self.allocate();
        let tick = knobs.tick(self.config.tick_phase_ns);
        let owner = Owner::Listener(listener);
        let id = id_of(self.generations[slot], slot);
        let begin = self.begin(now, id, tuple, interface, owner, knobs, initial_seq);
        let syn = self.without_marked_ecn(syn);
        let (request, packet) = Request::new(now, begin, listener, syn, tick);
        self.replies.push_back(Transmit::new(interface, packet));
        self.timers.note(slot, request.due);
        self.demux.add_connection(&tuple, slot);
        self.slots[slot] = Slot::Request(Box::new(request));
    }

    /// The SYN that has arrived, without a wish for ECN if it was marked itself.
    pub(super) fn without_marked_ecn(&self, syn: &TcpHeader) -> TcpHeader {
        let mut syn = syn.clone();
        if self.arriving != Codepoint::NotEct {
            // A SYN must not be ECN-capable itself (RFC 3168 §6.1.1): whoever marked it does not know ECN.
            syn.flags = TcpFlags(syn.flags.0 & !(TcpFlags::ECE | TcpFlags::CWR).0);
        }
        syn
    }

    /// A segment for a handshake under way.
    pub(super) fn for_request(
        &mut self,
        now: Instant,
        slot: usize,
        header: &TcpHeader,
        payload: Bytes,
        offload: Offload,
    ) {
        let Slot::Request(request) = &self.slots[slot] else { return };
        let listener = request.listener;
        if header.flags.contains(TcpFlags::ACK)
            && !header.flags.contains(TcpFlags::RST)
            && self.listener(listener).is_none_or(|listener| listener.queue.is_full())
        {
            let aborts = |listener: &Listener| listener.knobs.system.abort_on_overflow;
            if header.ack == request.iss + 1 && self.listener(listener).is_some_and(aborts) {
                let (interface, tuple) = (request.interface, request.tuple);
                self.counters.count(Counter::AckDroppedQueueFull);
                self.counters.count(Counter::ResetsOut);
                self.reply(interface, &tuple, header.ack, Seq(0), TcpFlags::RST, 0, TcpOptions::default());
                self.release(slot);
                return;
            }
            // The client believes that it is connected; it will hear our SYN-ACK again.
            self.counters.count(Counter::AckDroppedQueueFull);
            return;
        }
        let Some(begin) = self.begin_of(now, slot) else { return };
        let Slot::Request(request) = &self.slots[slot] else { return };
        let mut connection = request.connection(begin);
        connection.handle_segment(&mut self.context(now), header, payload, offload);
        match connection.state {
            State::SynReceived => self.keep_request(now, slot, &connection),
            State::Closed => self.release(slot),
            _ => self.complete(slot, listener, connection),
        }
    }

    /// The segment has not completed the handshake; it may have been the SYN once more.
    fn keep_request(&mut self, now: Instant, slot: usize, connection: &Connection) {
        if let Slot::Request(request) = &mut self.slots[slot] {
            request.keep(connection);
        }
        if connection.wants_handshake() {
            self.send_syn_ack_again(now, slot);
        }
    }

    /// The connection is open and waits to be accepted.
    fn complete(&mut self, slot: usize, listener: ListenerId, connection: Connection) {
        let id = connection.id;
        let young = matches!(&self.slots[slot], Slot::Request(request) if request.is_young());
        self.slots[slot] = Slot::Connection(Box::new(connection));
        if let Some(entry) = self.listener_mut(listener) {
            entry.syns.on_ended(young);
            entry.queue.push(id);
            self.events.push_back(Event::Acceptable(listener));
        }
        self.after(slot);
    }

    /// The time of a request has come. False when it is to be given up, or is none.
    pub(super) fn repeat_syn_ack(&mut self, now: Instant, slot: usize) -> bool {
        let Slot::Request(request) = &self.slots[slot] else { return false };
        let Some(listener) = self.listener(request.listener) else { return false };
        let knobs = &listener.knobs;
        let (limits, tick) = (knobs.rto_limits(), knobs.tick(self.config.tick_phase_ns));
        if request.timeouts >= listener.syns.retries(knobs.system.syn_ack_retries) {
            self.counters.count(Counter::TimedOut);
            return false;
        }
        let (id, young) = (request.listener, request.is_young());
        self.counters.count(Counter::Timeouts);
        self.send_syn_ack_again(now, slot);
        if let Slot::Request(request) = &mut self.slots[slot] {
            request.back_off(now, limits, tick);
        }
        if let Some(listener) = self.listener_mut(id).filter(|_| young) {
            listener.syns.on_grown_old();
        }
        true
    }

    fn send_syn_ack_again(&mut self, now: Instant, slot: usize) {
        let Some(begin) = self.begin_of(now, slot) else { return };
        let Slot::Request(request) = &mut self.slots[slot] else { return };
        let interface = request.interface;
        let packet = request.repeat(now, begin);
        self.replies.push_back(Transmit::new(interface, packet));
    }

    /// What the connection of a request begins with.
    fn begin_of(&mut self, now: Instant, slot: usize) -> Option<Begin> {
        let Slot::Request(request) = &self.slots[slot] else { return None };
        let (tuple, interface, iss) = (request.tuple, request.interface, request.iss);
        let owner = Owner::Listener(request.listener);
        let knobs = self.listener(request.listener)?.knobs.clone();
        let id = id_of(self.generations[slot], slot);
        Some(self.begin(now, id, tuple, interface, owner, knobs, Some(iss)))
    }
}
