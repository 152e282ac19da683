//! Which size of datagrams does a path carry, found by their acknowledgments alone? A sender that searches with DPLPMTUD (RFC 8899) while it
//! sends, and a receiver that acknowledges each datagram.

use crate::app::{App, AppEvent, Io};
use crate::scenario::{Datagrams, Search};
use bytes::{BufMut, Bytes, BytesMut};
use narrows_stack::knob::PmtuDiscovery;
use narrows_stack::plpmtud::{Config, Plpmtud};
use narrows_stack::{Instant, UdpError, UdpSocketId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A number before the payload, as in [`datagrams`](crate::datagrams); an acknowledgment is the number alone.
const NUMBER_BYTES: usize = 8;

/// What is on its way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The IP packet, bytes.
    bytes: u32,
    probe: bool,
    expires: Instant,
}

/// Sends datagrams as large as the path is known to carry, at a steady pace, and probes beside them.
#[derive(Clone, Debug)]
pub struct SearchingSender {
    remote: SocketAddr,
    count: u64,
    every: Duration,
    search: Plpmtud,
    /// After this a datagram that is no probe counts as lost.
    patience: Duration,
    socket: Option<UdpSocketId>,
    in_flight: BTreeMap<u64, Sent>,
    /// The search is looked at then.
    timer_at: Option<Instant>,
    start: Duration,
    next: u64,
    data_sent: u64,
    data_acknowledged: u64,
    probes_sent: u64,
    black_holes: u64,
    error: Option<UdpError>,
}

impl SearchingSender {
    /// Sends `count` datagrams, one every `every`, to a [`AcknowledgingReceiver`] at `remote`, besides the probes that `config` asks for. The
    /// host's knob `pmtu_discovery` has to be `probe`: DF, and no size that the network reports counts but for the search.
    #[must_use]
    pub fn new(remote: SocketAddr, count: u64, every: Duration, config: Config) -> SearchingSender {
        SearchingSender {
            remote,
            count,
            every,
            search: Plpmtud::new(config),
            patience: Duration::from_secs(1),
            socket: None,
            in_flight: BTreeMap::new(),
            timer_at: None,
            start: Duration::ZERO,
            next: 0,
            data_sent: 0,
            data_acknowledged: 0,
            probes_sent: 0,
            black_holes: 0,
            error: None,
        }
    }

    /// The sender that a scenario describes: its datagrams are at most as large as the search and it let them be.
    pub(crate) fn of(remote: SocketAddr, datagrams: &Datagrams, search: Search) -> SearchingSender {
        let ipv6 = remote.is_ipv6();
        let largest = datagrams.size + if ipv6 { 48 } else { 28 };
        let Search { probe_timer, raise_timer } = search;
        let config = Config { probe_timer, raise_timer, ..Config::new(largest, ipv6) };
        SearchingSender::new(remote, datagrams.count, datagrams.interval, config)
    }

    /// The same, beginning so much later than the world.
    #[must_use]
    pub fn starting_after(self, start: Duration) -> SearchingSender {
        SearchingSender { start, ..self }
    }

    /// Whether all datagrams have been sent.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.data_sent >= self.count
    }

    /// The search.
    #[must_use]
    pub fn search(&self) -> &Plpmtud {
        &self.search
    }

    /// Datagrams sent and acknowledged, probes not counted.
    #[must_use]
    pub fn data(&self) -> (u64, u64) {
        (self.data_sent, self.data_acknowledged)
    }

    /// Probes sent.
    #[must_use]
    pub fn probes_sent(&self) -> u64 {
        self.probes_sent
    }

    /// How often large datagrams were found to vanish.
    #[must_use]
    pub fn black_holes(&self) -> u64 {
        self.black_holes
    }

    /// The latest error that is no report about a size.
    #[must_use]
    pub fn error(&self) -> Option<UdpError> {
        self.error
    }

    fn header_bytes(&self) -> u32 {
        if self.remote.is_ipv4() { 28 } else { 48 }
    }

    fn send(&mut self, io: &mut Io<'_>, bytes: u32, probe: bool) {
        let Some(socket) = self.socket else { return };
        let payload_bytes = (bytes.saturating_sub(self.header_bytes()) as usize).max(NUMBER_BYTES);
        let mut payload = BytesMut::with_capacity(payload_bytes);
        payload.put_u64(self.next);
        payload.resize(payload_bytes, 0x5a);
        if let Err(error) = io.udp_send(socket, payload.freeze()) {
            self.on_error(io.now(), error);
            return;
        }
        // A probe expires by the search's own timer.
        let expires = if probe { Instant::FAR_FUTURE } else { io.now() + self.patience };
        self.in_flight.insert(self.next, Sent { bytes, probe, expires });
        self.next += 1;
        if probe {
            self.probes_sent += 1;
        } else {
            self.data_sent += 1;
            io.set_timer(expires, TIMER_SEARCH);
        }
    }

    fn on_error(&mut self, now: Instant, error: UdpError) {
        match error {
            // The stack has checked that the report quotes what this socket has sent.
            UdpError::MessageTooLong { mtu } => {
                self.search.on_packet_too_big(now, mtu);
            }
            other => self.error = Some(other),
        }
    }

    fn on_acknowledged(&mut self, now: Instant, payload: &Bytes) {
        let number = payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let Some(sent) = number.and_then(|number| self.in_flight.remove(&number)) else { return };
        if sent.probe {
            self.search.on_probe_acknowledged(now, sent.bytes);
        } else {
            self.data_acknowledged += 1;
            self.search.on_acknowledged(sent.bytes);
        }
    }

    /// What is lost, what is to be probed, and when to look again.
    fn go_on(&mut self, io: &mut Io<'_>) {
        let now = io.now();
        let lost: Vec<u64> = self
            .in_flight
            .iter()
            .filter(|(_, sent)| sent.expires <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in lost {
            if let Some(sent) = self.in_flight.remove(&number) {
                self.black_holes += u64::from(self.search.on_lost(sent.bytes));
            }
        }
        if self.search.deadline().is_some_and(|deadline| deadline <= now) {
            self.search.handle_timeout(now);
        }
        // Nothing more to be sent: nothing more to be known.
        if self.data_sent >= self.count {
            return;
        }
        if let Some(bytes) = self.search.poll_probe(now) {
            self.send(io, bytes, true);
        }
        let deadline = self.search.deadline();
        if let Some(deadline) = deadline.filter(|_| deadline != self.timer_at) {
            io.set_timer(deadline, TIMER_SEARCH);
        }
        self.timer_at = deadline;
    }
}

const TIMER_DATA: u64 = 0;
const TIMER_SEARCH: u64 = 1;

impl App for SearchingSender {
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
        match event {
            AppEvent::Start => {
                debug_assert_eq!(io.knobs().pmtu_discovery, PmtuDiscovery::Probe, "the host's knob");
                match io.udp_bind(0).and_then(|socket| io.udp_connect(socket, self.remote).map(|()| socket)) {
                    Ok(socket) => self.socket = Some(socket),
                    Err(error) => self.error = Some(error),
                }
                io.set_timer(io.now() + self.start, TIMER_DATA);
                // The search begins with the first datagram.
                return;
            }
            AppEvent::Timer(TIMER_DATA) if self.data_sent < self.count && self.socket.is_some() => {
                self.send(io, self.search.size(), false);
                io.set_timer(io.now() + self.every, TIMER_DATA);
            }
            AppEvent::Datagrams(socket) | AppEvent::DatagramError(socket) => loop {
                match io.udp_recv(socket) {
                    Ok(datagram) => self.on_acknowledged(io.now(), &datagram.payload),
                    Err(UdpError::WouldBlock) => break,
                    Err(error) => self.on_error(io.now(), error),
                }
            },
            _ => {}
        }
        self.go_on(io);
    }
}

/// Acknowledges each datagram of [`SearchingSender`]s.
#[derive(Debug)]
pub struct AcknowledgingReceiver {
    port: u16,
    received: u64,
    error: Option<UdpError>,
}

impl AcknowledgingReceiver {
    /// Waits on `port`.
    #[must_use]
    pub fn new(port: u16) -> AcknowledgingReceiver {
        AcknowledgingReceiver { port, received: 0, error: None }
    }

    /// Datagrams read, probes counted.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Why it could not wait or answer, if so.
    #[must_use]
    pub fn error(&self) -> Option<UdpError> {
        self.error
    }
}

impl App for AcknowledgingReceiver {
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
        match event {
            AppEvent::Start => self.error = io.udp_bind(self.port).err(),
            AppEvent::Datagrams(socket) => {
                while let Ok(datagram) = io.udp_recv(socket) {
                    self.received += 1;
                    let number = datagram.payload.slice(..datagram.payload.len().min(NUMBER_BYTES));
                    self.error = io.udp_send_to(socket, datagram.from, number).err().or(self.error);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "acknowledged_tests.rs"]
mod tests;
