//! How is one repetition run? Two namespaces, a wire between them, the programs, and everything stopped again.

use crate::Error;
use crate::namespace::{self, Namespace};
use crate::scenario::{Scenario, Setup, Talk};
use crate::talk::{self, Measured};
use crate::wire::{self, Clock, Path, Recording};
use socket2::SockRef;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// One repetition's results.
#[derive(Debug)]
pub struct Repetition {
    /// Per connection, in the order of the setup.
    pub measured: Vec<Measured>,
    /// The packets.
    pub recording: Recording,
    /// TCP counters of both namespaces.
    pub counters: [BTreeMap<String, u64>; 2],
    /// When the client's programs began, nanoseconds since 1970.
    pub start_wall_ns: u64,
    /// When they ended.
    pub end_wall_ns: u64,
}

/// Sets the flag when it goes, so that the wire stops also when something failed.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long a listener waits for its client.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one repetition.
pub fn repetition(scenario: &Scenario, setup: &Setup) -> Result<Repetition, Error> {
    let path = Path {
        one_way: Duration::from_secs_f64(scenario.rtt_ms / 2e3),
        rate: scenario.rate,
        queue: scenario.queue,
        narrow: setup.narrow,
        icmp_late: Duration::from_secs_f64(scenario.icmp_late_ms / 1e3),
        icmp_interval: (scenario.icmp_per_second > 0.0)
            .then(|| Duration::from_secs_f64(1.0 / scenario.icmp_per_second)),
        loss: scenario.loss,
        family: scenario.family,
    };
    let (clock, zero, stop) = (Clock::start(), Instant::now(), AtomicBool::new(false));
    // Each repetition has namespaces of its own: Linux remembers round trips and windows of a destination.
    let client = Namespace::new(scenario.family, 0, setup.ends[0])?;
    let server = Namespace::new(scenario.family, 1, setup.ends[1])?;
    let address = namespace::address(scenario.family, 1);
    let listeners = server.net.run(|| {
        let listen = |talk: &Talk| -> Result<TcpListener, Error> {
            let listener = TcpListener::bind(SocketAddr::new(address, talk.port))?;
            SockRef::from(&listener).set_read_timeout(Some(PATIENCE))?;
            Ok(listener)
        };
        setup.talks.iter().map(listen).collect::<Result<Vec<_>, Error>>()
    })?;
    thread::scope(|scope| {
        let stopping = StopOnDrop(&stop);
        let wire = scope.spawn(|| wire::carry([&client.device, &server.device], path, clock, &stop));
        // A socket belongs to the namespace in which it was made, whichever thread uses it.
        let serving: Vec<_> = (listeners.iter().zip(&setup.talks))
            .map(|(listener, talk)| {
                scope.spawn(move || talk::serve(listener, talk, zero, scenario.deadline()))
            })
            .collect();
        let start_wall_ns = clock.wall_ns(Instant::now());
        let measured = client.net.run(|| -> Result<Vec<Measured>, Error> {
            thread::scope(|scope| {
                let clients: Vec<_> = (setup.talks.iter())
                    .map(|talk| {
                        let server = SocketAddr::new(address, talk.port);
                        scope.spawn(move || talk::request(server, talk, clock, zero, scenario.deadline()))
                    })
                    .collect();
                clients.into_iter().map(|thread| joined(thread.join())).collect()
            })
        });
        let end_wall_ns = clock.wall_ns(Instant::now());
        let mut measured = measured?;
        for (client, thread) in measured.iter_mut().zip(serving) {
            client.latencies.extend(joined(thread.join())?);
        }
        // What is said last still has to cross the wire, and to be acknowledged.
        thread::sleep(Duration::from_secs_f64(scenario.rtt_ms * 2.0 / 1e3) + Duration::from_millis(60));
        drop(stopping);
        let recording = joined(wire.join())?;
        let counters = [client.net.counters()?, server.net.counters()?];
        Ok(Repetition { measured, recording, counters, start_wall_ns, end_wall_ns })
    })
}

/// A thread's result; its panic is an error like any other.
pub fn joined<T>(result: thread::Result<Result<T, Error>>) -> Result<T, Error> {
    result.unwrap_or_else(|_| Err(Error::Setup("a thread of the recorder panicked".to_owned())))
}
