//! How do all sides of all conversations get to speak in time? In the wire's own thread, so that nobody has to be woken.
//!
//! A packet that the wire has delivered is at the socket when the delivery returns; a program in another thread would
//! run some 50 to 100 µs later on an idle machine, and whenever it pleases on a busy one.

use crate::clock::Clock;
use crate::error::Error;
use crate::host::RealHost;
use crate::speaker::{Part, Speaker};
use narrows_lab::{NodeId, PlayerLog};
use narrows_stack::Instant;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::time::Duration;

/// All sides of all conversations.
pub struct Stage {
    speakers: Vec<Speaker>,
    ready: Vec<PollFlags>,
    limit: Instant,
    linger: Duration,
    ends_at_limit: bool,
    said: Option<Instant>,
}

impl Stage {
    /// Makes the sockets of all parts, each on its host: servers listen from then on. Everything has to be said at
    /// `limit`; the sockets stay open for `linger` longer.
    ///
    /// # Errors
    /// [`Error::Program`] when a socket or a setting is refused, naming the host.
    pub fn prepare(
        hosts: &[RealHost],
        parts: Vec<(NodeId, Part)>,
        limit: Instant,
        linger: Duration,
    ) -> Result<Stage, Error> {
        let prepare_one = |(node, part): (NodeId, Part)| {
            let host = hosts.iter().find(|host| host.place.node == node).ok_or_else(|| {
                Error::Program("a program was put on something that is not a host".to_owned())
            })?;
            host.namespace.run(|| {
                Speaker::new(part)
                    .map_err(|e| Error::Program(format!("host `{}`: a socket: {e}", host.place.name)))
            })
        };
        let speakers: Vec<Speaker> = parts.into_iter().map(prepare_one).collect::<Result<_, Error>>()?;
        let ready = vec![PollFlags::empty(); speakers.len()];
        Ok(Stage { speakers, ready, limit, linger, ends_at_limit: false, said: None })
    }

    /// At the limit it is over, whether or not everything was said: a black hole lets some transfers never end.
    pub(crate) fn end_at_limit(&mut self) {
        self.ends_at_limit = true;
    }

    /// What all sides have seen and done, in the order of the parts.
    #[must_use]
    pub fn logs(&self) -> Vec<PlayerLog> {
        self.speakers.iter().map(|speaker| speaker.log().clone()).collect()
    }

    /// How much each side has read, in the order of the parts.
    pub(crate) fn read_bytes(&self) -> Vec<u64> {
        self.speakers.iter().map(Speaker::read_bytes).collect()
    }

    /// Does what time and sockets ask for; whether that was anything.
    pub(crate) fn step(&mut self, clock: Clock) -> Result<bool, Error> {
        self.look()?;
        let mut acted = false;
        for (speaker, ready) in self.speakers.iter_mut().zip(&self.ready) {
            let due = speaker.next_time().is_some_and(|time| time <= clock.now());
            if due || !ready.is_empty() {
                speaker.step(|| clock.now(), *ready);
                acted = true;
            }
        }
        if let Some(failure) = self.speakers.iter().find_map(Speaker::failure) {
            return Err(Error::Program(format!("a connection failed: {failure}")));
        }
        let now = clock.now();
        if self.said.is_none() && self.speakers.iter().all(Speaker::is_done) {
            self.said = Some(now);
        }
        if self.said.is_none() && now >= self.limit && !self.ends_at_limit {
            return Err(Error::Program(format!(
                "not everything was said after {:.1} s, the scenario's time limit",
                self.limit.as_secs_f64()
            )));
        }
        Ok(acted)
    }

    /// Nothing more will happen.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let cut_off = self.ends_at_limit && self.said.is_none() && now >= self.limit;
        cut_off || self.said.is_some_and(|said| now >= said + self.linger)
    }

    /// When there is something to do without news from a socket.
    pub(crate) fn next_time(&self) -> Instant {
        let end = self.said.map_or(self.limit, |said| said + self.linger);
        self.speakers.iter().filter_map(Speaker::next_time).fold(end, Instant::min)
    }

    /// What is waited for on the sockets.
    pub(crate) fn interest(&self) -> impl Iterator<Item = PollFd<'_>> {
        let interest = self.speakers.iter().filter_map(Speaker::interest);
        interest.map(|(socket, flags)| PollFd::new(socket, flags))
    }

    fn look(&mut self) -> Result<(), Error> {
        self.ready.fill(PollFlags::empty());
        let mut which = Vec::with_capacity(self.speakers.len());
        let mut sockets = Vec::with_capacity(self.speakers.len());
        for (number, speaker) in self.speakers.iter().enumerate() {
            if let Some((socket, flags)) = speaker.interest() {
                which.push(number);
                sockets.push(PollFd::new(socket, flags));
            }
        }
        match ppoll(&mut sockets, Some(TimeSpec::from_duration(Duration::ZERO)), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        for (number, socket) in which.into_iter().zip(&sockets) {
            self.ready[number] = socket.revents().unwrap_or(PollFlags::empty());
        }
        Ok(())
    }
}
