//! What became of these probes? Sends rounds of them, several under way at once, and waits no longer than the path's own round trip asks for.

use crate::error::Error;
use crate::flight::{Fate, Flight, Patience};
use crate::line::{Heard, Line, Method, Outgoing};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// The hop limit of ordinary packets.
pub(crate) const HOP_LIMIT: u8 = 64;

/// A probe, as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shot {
    pub method: Method,
    /// Bytes of the IP packet.
    pub size: u32,
    pub hop_limit: u8,
    /// It is known to fit: it tells whether the path answers at all.
    pub control: bool,
    pub patience: Patience,
}

impl Shot {
    pub fn new(method: Method, size: u32) -> Shot {
        Shot { method, size, hop_limit: HOP_LIMIT, control: false, patience: Patience::Long }
    }

    /// One that ends on the way, where its hop limit runs out.
    pub fn on_the_way(method: Method, size: u32, hop_limit: u8) -> Shot {
        Shot { hop_limit, patience: Patience::OnTheWay, ..Shot::new(method, size) }
    }

    pub fn control(method: Method, size: u32) -> Shot {
        Shot { control: true, ..Shot::new(method, size) }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Answered { largest_fragment: Option<u32>, may_fragment: Option<bool> },
    TooBig { mtu: u32, from: IpAddr },
    TimeExceeded { from: IpAddr },
    Unreachable { code: u8, from: IpAddr },
    Vanished,
    Silent,
}

/// A probe and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landed {
    pub shot: Shot,
    pub event: Event,
}

/// What has been heard of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heeded {
    Nothing,
    /// Somebody on the way has said something. The peer's own answer would prove it wrong.
    OnTheWay,
    Answer,
}

/// Sends probes over a line and keeps account of them.
pub(crate) struct Prober {
    pub line: Box<dyn Line>,
    flights: BTreeMap<Method, Flight>,
    /// By number, from 1.
    shots: Vec<(Shot, Heeded)>,
    /// "Too big" is not listened to: what arrives is answered, what does not vanishes.
    pub distrusts_routers: bool,
    pub packets: u64,
    pub bytes: u64,
}

/// As many probes as have a number: enough for any path, and an end for any mistake.
const MOST_PROBES: usize = 4000;

impl Prober {
    pub fn new(line: Box<dyn Line>) -> Prober {
        Prober {
            line,
            flights: BTreeMap::new(),
            shots: Vec::new(),
            distrusts_routers: false,
            packets: 0,
            bytes: 0,
        }
    }

    /// The smallest round trip to the peer by any method.
    pub fn least_round_trip(&self) -> Option<Duration> {
        self.flights.values().filter_map(|flight| flight.round_trip.least).min()
    }

    /// A round trip that was measured elsewhere (by a handshake): the same for every method, until it has its own.
    pub fn add_round_trip(&mut self, sample: Duration) {
        for method in [Method::Tcp, Method::Echo, Method::Udp] {
            let round_trip = &mut self.flights.entry(method).or_default().round_trip;
            if round_trip.smoothed().is_none() {
                round_trip.add(sample);
            }
        }
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.flights.values().all(Flight::is_empty)
    }

    /// Sends one probe; its number.
    pub fn send(&mut self, shot: Shot) -> Result<u16, Error> {
        if self.shots.len() >= MOST_PROBES {
            return Err(Error::Io {
                what: "probing",
                source: io::Error::other("too many probes without a result"),
            });
        }
        self.shots.push((shot, Heeded::Nothing));
        let number = self.shots.len() as u16;
        let outgoing = Outgoing { method: shot.method, number, size: shot.size, hop_limit: shot.hop_limit };
        let mut tries = 0;
        // Before the call: on a short path the answer may be there when it returns.
        let mut at = Instant::now();
        while let Err(error) = self.line.send(&outgoing) {
            tries += 1;
            // The device's queue is full: that passes.
            let full = error.raw_os_error() == Some(nix::errno::Errno::ENOBUFS as i32)
                || error.kind() == io::ErrorKind::WouldBlock;
            if !full || tries > 50 {
                return Err(Error::Io { what: "sending a probe", source: error });
            }
            std::thread::sleep(Duration::from_millis(2));
            at = Instant::now();
        }
        self.packets += 1;
        self.bytes += u64::from(shot.size);
        let flight = self.flights.entry(shot.method).or_default();
        flight.sent(number, shot.patience, at);
        Ok(number)
    }

    /// Waits until something has come back or vanished, at most until `end`, or until one of `others` is ready.
    pub fn wait(&mut self, end: Instant, others: &[BorrowedFd<'_>]) -> Result<Vec<Landed>, Error> {
        let mut landed = self.take();
        if !landed.is_empty() {
            return Ok(landed);
        }
        let deadline = self.flights.values().filter_map(Flight::deadline).min().unwrap_or(end).min(end);
        let patience = deadline.saturating_duration_since(Instant::now());
        let lines = self.line.descriptors();
        let mut waiting: Vec<PollFd<'_>> =
            lines.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        waiting.extend(others.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLOUT)));
        match ppoll(&mut waiting, Some(TimeSpec::from_duration(patience)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(Error::Io { what: "waiting for answers", source: error.into() }),
        }
        landed = self.take();
        Ok(landed)
    }

    /// Takes what has come, then what is over: what lies in a socket's buffer has not vanished.
    fn take(&mut self) -> Vec<Landed> {
        let now = Instant::now();
        let mut heard = Vec::new();
        self.line.hear(&mut heard);
        let at = Instant::now();
        let mut landed: Vec<Landed> = heard.into_iter().filter_map(|heard| self.land(heard, at)).collect();
        for flight in self.flights.values_mut() {
            for (number, _, fate) in flight.expire(now) {
                let Some((shot, _)) = self.shots.get(usize::from(number).wrapping_sub(1)) else { continue };
                let event = if fate == Fate::Vanished { Event::Vanished } else { Event::Silent };
                landed.push(Landed { shot: *shot, event });
            }
        }
        landed
    }

    fn land(&mut self, heard: Heard, now: Instant) -> Option<Landed> {
        let (method, number) = heard.method_and_number();
        if self.distrusts_routers && matches!(heard, Heard::TooBig { .. }) {
            return None;
        }
        let (shot, heeded) = self.shots.get_mut(usize::from(number).checked_sub(1)?)?;
        let before = *heeded;
        let answer = matches!(heard, Heard::Answer { .. });
        if shot.method != method || before == Heeded::Answer || (before == Heeded::OnTheWay && !answer) {
            return None;
        }
        *heeded = if answer { Heeded::Answer } else { Heeded::OnTheWay };
        let shot = *shot;
        let flight = self.flights.get_mut(&method)?;
        let event = match heard {
            Heard::Answer { largest_fragment, may_fragment, .. } => {
                if before == Heeded::Nothing
                    && let Some(sent) = flight.answered(number, now)
                {
                    let sample = now.saturating_duration_since(sent.at);
                    self.add_round_trip(sample);
                }
                Event::Answered { largest_fragment, may_fragment }
            }
            other => {
                flight.told(number);
                match other {
                    Heard::TooBig { mtu, from, .. } => Event::TooBig { mtu, from },
                    Heard::TimeExceeded { from, .. } => Event::TimeExceeded { from },
                    Heard::Unreachable { code, from, .. } => Event::Unreachable { code, from },
                    Heard::Answer { .. } => return None,
                }
            }
        };
        Some(Landed { shot, event })
    }

    /// Sends all of these, in this order, and waits until it is known what became of each.
    pub fn round(&mut self, shots: &[Shot]) -> Result<Vec<Landed>, Error> {
        let mut landed = Vec::new();
        let mut numbers = Vec::with_capacity(shots.len());
        for shot in shots {
            numbers.push((shot.method, self.send(*shot)?));
        }
        let under_way = |prober: &Prober| {
            numbers.iter().any(|(method, number)| {
                prober.flights.get(method).is_some_and(|flight| flight.contains(*number))
            })
        };
        while under_way(self) {
            let end = Instant::now() + Duration::from_secs(5);
            landed.extend(self.wait(end, &[])?);
        }
        Ok(landed)
    }
}
