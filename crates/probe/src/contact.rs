//! Who answers what? The first packets: echo requests, datagrams, and connections, all at once.

use crate::error::Error;
use crate::line::Method;
use crate::measure::{Measurement, SMALL};
use crate::prober::{Event, Shot};
use crate::tcp::{Attempt, State};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Ports that are tried when none is given.
const USUAL_PORTS: [u16; 2] = [443, 80];
/// How often, and how long each time, a first answer is waited for.
const TRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(1);
/// After the first answer the others get a quarter of its time more, and this.
const GRACE: Duration = Duration::from_millis(10);

impl Measurement<'_> {
    /// Finds out who answers.
    pub fn contact(&mut self) -> Result<(), Error> {
        let ports: Vec<u16> = match self.peer.port() {
            0 => USUAL_PORTS.to_vec(),
            port => vec![port],
        };
        for port in ports {
            let mut peer: SocketAddr = self.peer;
            peer.set_port(port);
            // A connection that the kernel refuses at once (no route, a local filter) is one that nobody answers.
            if let Ok(attempt) = Attempt::begin(peer) {
                self.attempts.push(attempt);
            }
        }
        for attempt in 0..TRIES {
            self.tell("waiting for a first answer");
            self.first_probes(attempt)?;
            if self.wait_for_first()? {
                break;
            }
        }
        self.open =
            self.attempts.iter_mut().position(|attempt| matches!(attempt.state(), State::Open { .. }));
        if let Some(attempt) = self.open.and_then(|index| self.attempts.get_mut(index)) {
            if let State::Open { round_trip } = attempt.state() {
                self.prober.add_round_trip(round_trip);
            }
            let syn_ack = attempt.local_port().and_then(|port| self.prober.line.syn_ack(port));
            if let Some(syn_ack) = syn_ack {
                self.prober.line.use_connection(syn_ack);
            }
            // The handshake's packets have arrived.
            self.forward.answered(self.ip_header() + 40);
        }
        // Whoever resets what belongs to no connection answers probes, too.
        if self.open.is_none() {
            let closed = self.attempts.iter_mut().find_map(|attempt| match attempt.state() {
                State::Refused { round_trip } => Some((attempt.peer.port(), round_trip)),
                _ => None,
            });
            if let Some((port, round_trip)) = closed {
                self.prober.add_round_trip(round_trip);
                self.prober.line.use_closed_port(port);
            }
        }
        Ok(())
    }

    /// One small probe of each kind, and one datagram of the largest size: it brings the first "too big".
    fn first_probes(&mut self, attempt: u32) -> Result<(), Error> {
        if attempt == 0 && self.way.interface_mtu > SMALL {
            self.prober.send(Shot::new(Method::Udp, self.way.interface_mtu))?;
        }
        for method in [Method::Udp, Method::Echo] {
            if self.prober.line.offers(method) {
                self.prober.send(Shot::new(method, SMALL))?;
            }
        }
        Ok(())
    }

    /// Whether somebody has answered.
    fn wait_for_first(&mut self) -> Result<bool, Error> {
        let begun = Instant::now();
        let mut end = begun + PATIENCE;
        let mut answered = false;
        loop {
            let waiting: Vec<BorrowedFd<'_>> = self
                .attempts
                .iter_mut()
                .filter_map(|attempt| (attempt.state() == State::Waiting).then(|| attempt.descriptor()))
                .collect();
            let nobody_left = waiting.is_empty() && self.prober.is_idle();
            if nobody_left || Instant::now() >= end {
                break;
            }
            let landed = self.prober.wait(end, &waiting)?;
            let opened = self
                .attempts
                .iter_mut()
                .any(|attempt| matches!(attempt.state(), State::Open { .. } | State::Refused { .. }));
            let now = Instant::now();
            let heard = landed.iter().any(|one| matches!(one.event, Event::Answered { .. }));
            if (opened || heard) && !answered {
                answered = true;
                end = end.min(now + (now - begun) / 4 + GRACE);
            }
            // The first datagram has vanished for its size when the small one behind it was answered.
            for one in landed {
                self.absorb(&one);
            }
            // TCP with raw sockets is all that is needed; what else answers will be heard later.
            if self.raw
                && self.attempts.iter_mut().any(|attempt| matches!(attempt.state(), State::Open { .. }))
            {
                return Ok(true);
            }
        }
        Ok(answered)
    }
}
