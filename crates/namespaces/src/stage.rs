//! How do all sides of all conversations get to speak in time? One thread, awake as long as anything happens.

use crate::clock::Clock;
use crate::error::Error;
use crate::host::RealHost;
use crate::punctual::go_first;
use crate::speaker::{Part, Speaker};
use narrows_lab::{NodeId, PlayerLog};
use narrows_stack::Instant;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::time::Duration;

/// Makes the sockets of all parts, each on its host: servers listen from then on.
///
/// # Errors
/// [`Error::Program`] when a socket or a setting is refused, naming the host.
pub fn prepare(hosts: &[RealHost], parts: Vec<(NodeId, Part)>) -> Result<Vec<Speaker>, Error> {
    let prepare_one = |(node, part): (NodeId, Part)| {
        let host = hosts
            .iter()
            .find(|host| host.place.node == node)
            .ok_or_else(|| Error::Program("a program was put on something that is not a host".to_owned()))?;
        host.namespace.run(|| {
            Speaker::new(part)
                .map_err(|e| Error::Program(format!("host `{}`: a socket: {e}", host.place.name)))
        })
    };
    parts.into_iter().map(prepare_one).collect()
}

/// Lets all speak until everything is said, or until `limit`; their logs, in the same order. The sockets that are
/// still open are handed back: dropping them closes them.
///
/// # Errors
/// [`Error::Program`] when one fails or the time is up.
pub fn perform(
    mut speakers: Vec<Speaker>,
    clock: Clock,
    awake: Duration,
    limit: Instant,
) -> Result<(Vec<PlayerLog>, Vec<Speaker>), Error> {
    go_first();
    let mut ready = vec![PollFlags::empty(); speakers.len()];
    let mut last_news = clock.now();
    loop {
        for (speaker, ready) in speakers.iter_mut().zip(&ready) {
            let due = speaker.next_time().is_some_and(|time| time <= clock.now());
            if due || !ready.is_empty() {
                speaker.step(|| clock.now(), *ready);
                last_news = clock.now();
            }
        }
        if let Some(failure) = speakers.iter().find_map(Speaker::failure) {
            return Err(Error::Program(format!("a connection failed: {failure}")));
        }
        if speakers.iter().all(Speaker::is_done) {
            break;
        }
        let now = clock.now();
        if now >= limit {
            return Err(Error::Program(format!(
                "not everything was said after {:.1} s, the scenario's time limit",
                limit.as_secs_f64()
            )));
        }
        let next = speakers.iter().filter_map(Speaker::next_time).min().unwrap_or(limit).min(limit);
        let wait = if now.since(last_news) < awake { Duration::ZERO } else { next.since(now) };
        wait_for(&speakers, &mut ready, wait)?;
    }
    let logs = speakers.iter().map(|speaker| speaker.log().clone()).collect();
    Ok((logs, speakers))
}

/// The last part of a wait is spent awake.
const AWAKE_BEFORE: Duration = Duration::from_micros(60);

fn wait_for(speakers: &[Speaker], ready: &mut [PollFlags], wait: Duration) -> Result<(), Error> {
    let mut which = Vec::with_capacity(speakers.len());
    let mut sockets = Vec::with_capacity(speakers.len());
    for (number, speaker) in speakers.iter().enumerate() {
        if let Some((socket, flags)) = speaker.interest() {
            which.push(number);
            sockets.push(PollFd::new(socket, flags));
        }
    }
    ready.fill(PollFlags::empty());
    match ppoll(&mut sockets, Some(TimeSpec::from_duration(wait.saturating_sub(AWAKE_BEFORE))), None) {
        Ok(_) => {
            for (number, socket) in which.into_iter().zip(&sockets) {
                ready[number] = socket.revents().unwrap_or(PollFlags::empty());
            }
            Ok(())
        }
        Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
