//! What is kept of a handshake that its client has not completed? A connection request, from SYN to third segment.
//!
//! Anybody can send SYNs under any address, so a request is small: the peer's SYN and a few numbers. What a connection needs
//! beyond is built again from them when a segment comes, and thrown away if that segment does not complete the handshake.

use crate::socket::demux::FourTuple;
use crate::tcp::challenge::AnswerLimit;
use crate::tcp::connection::Connection;
use crate::tcp::{Begin, rtt::RtoLimits, tick::Tick};
use crate::{Instant, InterfaceId, ListenerId};
use narrows_wire::{Packet, Seq, TcpHeader};

/// A SYN that was answered.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) tuple: FourTuple,
    pub(crate) interface: InterfaceId,
    pub(crate) listener: ListenerId,
    /// The initial sequence number of the SYN-ACK, the same in all its copies.
    pub(crate) iss: Seq,
    syn: TcpHeader,
    begun: Instant,
    /// When the SYN-ACK is to be sent again, or the request to be given up.
    pub(crate) due: Instant,
    /// How often its time has come.
    pub(crate) timeouts: u32,
    /// Copies of the SYN-ACK beyond the first.
    repetitions: u32,
    answers: AnswerLimit,
}

impl Request {
    /// Answers a SYN: what is to be remembered, and the SYN-ACK.
    pub(crate) fn new(
        now: Instant,
        begin: Begin,
        listener: ListenerId,
        syn: TcpHeader,
        tick: Tick,
    ) -> (Request, Packet) {
        let limits = begin.knobs.rto_limits();
        let request = Request {
            tuple: begin.tuple,
            interface: begin.interface,
            listener,
            iss: begin.iss,
            syn,
            begun: now,
            due: tick.timer(now, limits.initial),
            timeouts: 0,
            repetitions: 0,
            answers: AnswerLimit::default(),
        };
        let packet = Connection::answer(now, begin, &request.syn).send_handshake(now);
        (request, packet)
    }

    /// The connection that the handshake is about, as it was when the SYN-ACK had left. `begin` has to be made with
    /// [`Request::iss`].
    pub(crate) fn connection(&self, begin: Begin) -> Connection {
        let mut connection = Connection::answer(self.begun, begin, &self.syn);
        connection.resume_handshake(self.begun, self.repetitions, self.answers);
        connection
    }

    /// The SYN-ACK once more.
    pub(crate) fn repeat(&mut self, now: Instant, begin: Begin) -> Packet {
        let packet = self.connection(begin).send_handshake(now);
        self.repetitions = self.repetitions.saturating_add(1);
        packet
    }

    /// The SYN-ACK was sent again because time had passed: the next time it takes twice as long.
    pub(crate) fn back_off(&mut self, now: Instant, limits: RtoLimits, tick: Tick) {
        self.timeouts += 1;
        let wait = limits.initial.saturating_mul(1 << self.timeouts.min(20)).min(limits.max);
        self.due = tick.timer(now, wait);
    }

    /// A segment did not complete the handshake; what it has used up of the limit for answers stays used.
    pub(crate) fn keep(&mut self, connection: &Connection) {
        self.answers = connection.answers();
    }

    /// Its SYN-ACK has been sent only once, for all that time has passed.
    pub(crate) fn is_young(&self) -> bool {
        self.timeouts == 0
    }
}
