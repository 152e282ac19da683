//! Which socket gets this segment, and what is answered when there is none?

use super::cookies::{Admission, admission};
use super::{Host, InterfaceId, Slot, Transmit};
use crate::Instant;
use crate::counters::Counter;
use crate::socket::demux::FourTuple;
use crate::tcp::time_wait::TimeWaitAction;
use bytes::Bytes;
use narrows_wire::{Offload, Packet, Seq, TcpFlags, TcpHeader, TcpOptions};

impl Host {
    pub(super) fn for_connection(
        &mut self,
        now: Instant,
        slot: usize,
        header: &TcpHeader,
        payload: Bytes,
        offload: Offload,
    ) {
        let Some((connection, mut context)) = self.connection(now, slot) else { return };
        connection.handle_segment(&mut context, header, payload, offload);
        self.after(slot);
    }

    pub(super) fn for_time_wait(
        &mut self,
        now: Instant,
        slot: usize,
        from: InterfaceId,
        header: &TcpHeader,
        payload_bytes: usize,
    ) {
        let Slot::TimeWait(wait) = &mut self.slots[slot] else { return };
        match wait.on_segment(now, header, payload_bytes) {
            TimeWaitAction::Drop => {}
            TimeWaitAction::Acknowledge => {
                let timestamps = wait.timestamps.map(|state| state.option(now));
                let options = TcpOptions { timestamps, ..TcpOptions::default() };
                let (tuple, interface) = (wait.tuple, wait.interface);
                let (seq, ack, window) = (wait.snd_nxt, wait.rcv_nxt, wait.window);
                self.reply(interface, &tuple, seq, ack, TcpFlags::ACK, window, options);
            }
            TimeWaitAction::End => {
                self.counters.count(Counter::TimeWaitKilled);
                self.release(slot);
            }
            TimeWaitAction::NewConnection { initial_seq } => {
                let tuple = wait.tuple;
                if self.demux.listener(tuple.local).is_some() {
                    self.counters.count(Counter::TimeWaitReused);
                    self.release(slot);
                }
                self.for_listener(now, from, tuple, header, payload_bytes, Some(initial_seq));
            }
        }
    }

    /// A segment of no connection: a SYN for a listener, or RST in answer (RFC 9293 §3.10.7.1, §3.10.7.2).
    pub(super) fn for_listener(
        &mut self,
        now: Instant,
        from: InterfaceId,
        tuple: FourTuple,
        header: &TcpHeader,
        payload_bytes: usize,
        initial_seq: Option<Seq>,
    ) {
        if !self.is_local(tuple.local.ip()) {
            self.counters.count(Counter::WrongDestination);
            return;
        }
        let flags = header.flags;
        let opens =
            flags.contains(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN);
        let index = self.demux.listener(tuple.local).filter(|_| opens);
        let Some(listener) = index.and_then(|index| self.listeners.get(index)?.as_ref()) else {
            self.refuse(from, &tuple, header, payload_bytes);
            return;
        };
        let (id, admission) = (listener.id, admission(listener, initial_seq.is_some()));
        match admission {
            Admission::Request => self.begin_request(now, from, tuple, id, header, initial_seq),
            Admission::Cookie => self.answer_with_cookie(now, from, tuple, id, header),
            Admission::Drop(reason) => self.counters.count(reason),
        }
    }

    pub(super) fn refuse(
        &mut self,
        from: InterfaceId,
        tuple: &FourTuple,
        header: &TcpHeader,
        payload_bytes: usize,
    ) {
        self.counters.count(Counter::NoSocket);
        let flags = header.flags;
        if flags.contains(TcpFlags::RST) {
            return;
        }
        self.counters.count(Counter::ResetsOut);
        if flags.contains(TcpFlags::ACK) {
            self.reply(from, tuple, header.ack, Seq(0), TcpFlags::RST, 0, TcpOptions::default());
            return;
        }
        let occupied = payload_bytes as u32
            + u32::from(flags.contains(TcpFlags::SYN))
            + u32::from(flags.contains(TcpFlags::FIN));
        let flags = TcpFlags::RST | TcpFlags::ACK;
        self.reply(from, tuple, Seq(0), header.seq + occupied, flags, 0, TcpOptions::default());
    }

    /// A segment that no connection sends.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn reply(
        &mut self,
        interface: InterfaceId,
        tuple: &FourTuple,
        seq: Seq,
        ack: Seq,
        flags: TcpFlags,
        window: u16,
        options: TcpOptions,
    ) {
        let header = TcpHeader {
            source_port: tuple.local.port(),
            destination_port: tuple.remote.port(),
            seq,
            ack,
            flags,
            window,
            urgent: 0,
            options,
        };
        let packet = Packet::tcp(tuple.local.ip(), tuple.remote.ip(), header, Bytes::new());
        self.replies.push_back(Transmit::new(interface, packet));
    }
}
