//! What does the network report, and to which socket does it matter? ICMP messages for this host.

use super::{Host, InterfaceId, Slot, Transmit};
use crate::Instant;
use crate::counters::Counter;
use crate::icmp::{Quoted, error_about, may_be_answered};
use crate::ip::reassembly::Outcome;
use crate::path::{Path, TooBig};
use crate::socket::demux::FourTuple;
use narrows_wire::{IcmpMessage, Packet, Protocol};
use std::net::IpAddr;

impl Host {
    /// The packet, or, when it is the last missing piece of a datagram, that.
    pub(super) fn whole(&mut self, now: Instant, packet: Packet) -> Option<Packet> {
        if !packet.ip.fragment.is_piece() {
            return Some(packet);
        }
        if !self.is_local(packet.ip.destination) {
            self.counters.count(Counter::WrongDestination);
            return None;
        }
        self.counters.count(Counter::FragmentsIn);
        let evicted = self.reassembler.evicted();
        let outcome = self.reassembler.insert(now, packet);
        self.counters.add(Counter::ReassemblyEvicted, self.reassembler.evicted() - evicted);
        match outcome {
            Outcome::Complete(whole) => {
                self.counters.count(Counter::Reassembled);
                return Some(*whole);
            }
            Outcome::Kept => {}
            Outcome::Duplicate => self.counters.count(Counter::FragmentsDuplicate),
            Outcome::Spoiled => self.counters.count(Counter::FragmentsOverlapping),
            Outcome::Malformed => self.counters.count(Counter::FragmentsMalformed),
        }
        None
    }

    /// Incomplete datagrams whose time is over; their senders hear of it.
    pub(super) fn give_up_pieces(&mut self, now: Instant) {
        for first in self.reassembler.expire(now) {
            self.counters.count(Counter::ReassemblyTimeouts);
            if let Some(first) = first {
                self.send_error(now, &first, IcmpMessage::TimeExceeded { code: 1 });
            }
        }
    }

    /// An ICMP error about a packet that was for this host, if it may be sent.
    pub(super) fn send_error(&mut self, now: Instant, about: &Packet, message: IcmpMessage) {
        if !may_be_answered(about) {
            return;
        }
        let Some((interface, _)) = self.route(about.ip.source) else { return };
        if !self.error_limit.take(now) {
            self.counters.count(Counter::IcmpErrorsLimited);
            return;
        }
        self.counters.count(Counter::IcmpErrorsOut);
        let packet = error_about(about, message, about.ip.destination);
        self.replies.push_back(Transmit::new(interface, packet));
    }

    /// An ICMP message has arrived.
    pub(super) fn handle_icmp(
        &mut self,
        now: Instant,
        from: InterfaceId,
        message: IcmpMessage,
        packet: &Packet,
    ) {
        if !self.is_local(packet.ip.destination) {
            self.counters.count(Counter::WrongDestination);
            return;
        }
        self.counters.count(Counter::IcmpIn);
        match message {
            IcmpMessage::EchoRequest { identifier, sequence } => {
                self.counters.count(Counter::EchoReplies);
                let reply = IcmpMessage::EchoReply { identifier, sequence };
                let (source, destination) = (packet.ip.destination, packet.ip.source);
                let mut answer = Packet::icmp(source, destination, reply, packet.payload.clone());
                answer.ip.fragment.dont_fragment = source.is_ipv6();
                self.replies.push_back(Transmit::new(from, answer));
            }
            IcmpMessage::PacketTooBig { .. }
            | IcmpMessage::Unreachable { .. }
            | IcmpMessage::TimeExceeded { .. } => {
                let believed = Quoted::parse(&packet.payload)
                    .is_some_and(|quoted| self.handle_error(now, message, &quoted));
                if !believed {
                    self.counters.count(Counter::IcmpNotBelieved);
                }
            }
            IcmpMessage::EchoReply { .. } | IcmpMessage::Other { .. } => {}
        }
    }

    /// The network reports an error about a packet of ours; false when it cannot be one.
    fn handle_error(&mut self, now: Instant, message: IcmpMessage, quoted: &Quoted) -> bool {
        match quoted.protocol {
            Protocol::Tcp => {}
            Protocol::Udp => return self.handle_udp_error(now, message, quoted),
            Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_) => return false,
        }
        let tuple = FourTuple { local: quoted.source, remote: quoted.destination };
        let Some(slot) = self.demux.connection(&tuple) else { return false };
        if let Slot::Request(request) = &self.slots[slot] {
            // Linux gives a handshake up where there is no way back, and not for less.
            let believed = request.iss == quoted.seq;
            let no_way = matches!(
                message,
                IcmpMessage::Unreachable { code: 0 | 1 } | IcmpMessage::TimeExceeded { .. }
            );
            if believed && no_way {
                self.counters.count(Counter::IcmpHardErrors);
                self.release(slot);
            }
            return believed;
        }
        let Some((connection, mut context)) = self.connection(now, slot) else { return false };
        if !connection.is_in_flight(quoted.seq) {
            return false;
        }
        if let IcmpMessage::PacketTooBig { mtu } = message {
            if let Some(path) = connection.path() {
                let report = TooBig { mtu, packet_bytes: quoted.packet_bytes };
                self.lower_path(now, tuple.remote.ip(), path, report);
            }
            return true;
        }
        connection.on_unreachable(&mut context, message);
        self.after(slot);
        true
    }

    /// A believed report that the way to `destination` is narrower than `current`: all that send there are told.
    pub(super) fn lower_path(&mut self, now: Instant, destination: IpAddr, current: Path, report: TooBig) {
        let Some(path) = self.paths.on_too_big(now, destination, current, report) else {
            self.counters.count(Counter::PathMtuNotLowered);
            return;
        };
        self.counters.count(Counter::PathMtuLowered);
        // Rare: a path becomes narrower a few times at most in ten minutes.
        for slot in 0..self.slots.len() {
            let tuple = match &self.slots[slot] {
                Slot::Connection(connection) => connection.tuple,
                Slot::Resting(resting) => resting.tuple(),
                Slot::Free | Slot::Request(_) | Slot::TimeWait(_) => continue,
            };
            if tuple.remote.ip() == destination
                && let Some((connection, mut context)) = self.connection(now, slot)
            {
                connection.on_path(&mut context, path);
                self.after(slot);
            }
        }
    }
}
