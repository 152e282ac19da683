//! What becomes of SYNs that a listener answers without remembering them, and of the ACKs that bring cookies back?

use super::table::id_of;
use super::{Event, Host, InterfaceId, ListenerId, Slot, SocketId, Transmit};
use crate::Instant;
use crate::counters::Counter;
use crate::knob::SynCookies;
use crate::socket::demux::FourTuple;
use crate::tcp::connection::{Connection, Owner, State};
use crate::tcp::listen::Listener;
use crate::tcp::listen::syn_cookies::{mss_of, reduced, timestamp, told_syn};
use bytes::Bytes;
use narrows_wire::{Offload, TcpFlags, TcpHeader, Transport};

/// How a SYN is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is remembered.
    Request,
    /// It is answered with a cookie.
    Cookie,
    /// It is dropped, and this is counted.
    Drop(Counter),
}

/// Whether a listener has room for a SYN (Linux's tcp_conn_request). `reuses`: it ends a TIME-WAIT, so its sender is real, and what
/// is to be remembered takes no more than what was.
pub(super) fn admission(listener: &Listener, reuses: bool) -> Admission {
    let cookies = listener.knobs.syn_cookies;
    let cookie = !reuses && (cookies == SynCookies::Always || listener.syns.is_full());
    if cookie && cookies == SynCookies::Never {
        return Admission::Drop(Counter::SynDroppedHalfOpen);
    }
    if listener.queue.is_full() {
        return Admission::Drop(Counter::SynDroppedQueueFull);
    }
    if cookie {
        return Admission::Cookie;
    }
    let most = listener.knobs.system.max_syn_backlog;
    if !reuses && cookies == SynCookies::Never && listener.syns.takes_last_quarter_of(most) {
        return Admission::Drop(Counter::SynDroppedHalfOpen);
    }
    Admission::Request
}

impl Host {
    /// Answers a SYN with a SYN-ACK whose numbers tell all that has to be known when the ACK comes.
    pub(super) fn answer_with_cookie(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        tuple: FourTuple,
        listener: ListenerId,
        syn: &TcpHeader,
    ) {
        let Some(entry) = self.listener_mut(listener) else { return };
        entry.syns.on_overflow(now);
        let knobs = entry.knobs.clone();
        self.counters.count(Counter::SynCookiesSent);
        let syn = reduced(&self.without_marked_ecn(syn), knobs.timestamps);
        let iss = self.cookies.sequence(now, &tuple, syn.seq, mss_of(&syn, tuple.local.is_ipv6()));
        // What is made here answers the SYN and is gone: it has no row in the table, and so no name.
        let nameless = SocketId(u64::MAX);
        let owner = Owner::Listener(listener);
        let begin = self.begin(now, nameless, tuple, interface, owner, knobs, Some(iss));
        let offset = begin.timestamp_offset;
        let mut packet = Connection::answer(now, begin, &syn).send_handshake(now);
        if let Transport::Tcp(header) = &mut packet.transport {
            let scale = header.options.window_scale.and(syn.options.window_scale).map(|scale| scale.min(14));
            let told = header.options.timestamps.map(|old| timestamp(old.value, offset, scale, header));
            if let (Some(timestamps), Some(told)) = (&mut header.options.timestamps, told) {
                timestamps.value = told;
            }
        }
        self.replies.push_back(Transmit::new(interface, packet));
    }

    /// A segment of no connection: it may bring a cookie back, with the first data perhaps. False when it does not.
    pub(super) fn opens_by_cookie(
        &mut self,
        now: Instant,
        from: InterfaceId,
        tuple: FourTuple,
        header: &TcpHeader,
        payload: &Bytes,
        offload: Offload,
    ) -> bool {
        let flags = header.flags;
        if !flags.contains(TcpFlags::ACK) || flags.intersects(TcpFlags::SYN | TcpFlags::RST) {
            return false;
        }
        let index = self.demux.listener(tuple.local).filter(|_| self.is_local(tuple.local.ip()));
        let Some(listener) = index.and_then(|index| self.listeners.get(index)?.as_ref()) else {
            return false;
        };
        let knobs = &listener.knobs;
        if knobs.syn_cookies == SynCookies::Never || !listener.syns.has_overflowed(now) {
            return false;
        }
        let cookie = header.ack - 1;
        let Some(mss) = self.cookies.mss(now, &tuple, header.seq - 1, cookie) else {
            self.counters.count(Counter::SynCookiesFailed);
            return false;
        };
        let (id, full, knobs) = (listener.id, listener.queue.is_full(), knobs.clone());
        self.counters.count(Counter::SynCookiesReceived);
        if full {
            // The client believes that it is connected. Nothing is known of it, so no SYN-ACK will tell it again: its data will.
            self.counters.count(Counter::AckDroppedQueueFull);
            return true;
        }
        let offset = (self.keyed(&tuple) >> 32) as u32;
        let Some(syn) = told_syn(header, offset, mss, &knobs) else { return false };
        self.counters.count(Counter::PassiveOpens);
        let slot = self.allocate();
        let name = id_of(self.generations[slot], slot);
        let begin = self.begin(now, name, tuple, from, Owner::Listener(id), knobs, Some(cookie));
        let mut connection = Connection::answer(now, begin, &syn);
        connection.resume_from_cookie(now);
        self.demux.add_connection(&tuple, slot);
        connection.handle_segment(&mut self.context(now), header, payload.clone(), offload);
        let open = !matches!(connection.state, State::SynReceived | State::Closed);
        self.slots[slot] = Slot::Connection(Box::new(connection));
        if !open {
            self.release(slot);
            return true;
        }
        if let Some(entry) = self.listener_mut(id) {
            entry.queue.push(name);
            self.events.push_back(Event::Acceptable(id));
        }
        self.after(slot);
        true
    }
}
