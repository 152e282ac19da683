//! How long do hosts of this machine take over what arrives? Measured between real hosts, before they are compared.
//!
//! Links are the same for both kinds of hosts; what real ones add is the time that kernel and program need for a turn: some
//! microseconds on an idle machine, ten times that on a busy one. An exchange in which the kernel acknowledges each message at
//! once and the program answers it shows both.

use crate::error::Error;
use crate::take::{TakeOptions, linux_watched};
use narrows_lab::scenario::{HostSpec, LinkSpec, RequestResponse, Scenario, Workload, WorkloadKind};
use narrows_lab::{Heading, HostTimes, LinkConfig, Passage, Recorder};
use narrows_stack::Instant;
use std::time::Duration;

/// Messages in either direction.
const EXCHANGES: u32 = 100;
/// Short, but long enough that a turn is over before the next one begins.
const DELAY: Duration = Duration::from_micros(250);

/// Measures.
///
/// # Errors
/// As [`crate::linux`].
pub fn measure_host_times() -> Result<HostTimes, Error> {
    let options = TakeOptions { seed: 1, capture: false, awake: Duration::from_millis(3), unfinished: false };
    let (_, turns) = linux_watched::<Turns>(&calibration(), options)?;
    let processing = middle(&turns.acknowledged);
    Ok(HostTimes { processing, wakeup: middle(&turns.answered).saturating_sub(processing) })
}

/// One small message after the other, each acknowledged at once and then answered.
fn calibration() -> Scenario {
    let hosts = ["client", "server"].map(|name| {
        let mut host = HostSpec::new(name, "linux");
        for (knob, value) in [("nodelay", "true"), ("quickack", "route")] {
            // Both are of the table of knobs: a test sees to it.
            let _ = host.set(knob, value);
        }
        host
    });
    let asking = RequestResponse {
        requests: EXCHANGES,
        request: vec![100],
        answer: vec![100],
        ..RequestResponse::default()
    };
    Scenario {
        name: "turnaround".to_owned(),
        time_limit: Duration::from_secs(10),
        hosts: hosts.into(),
        links: vec![LinkSpec {
            name: "path".to_owned(),
            between: ["client".to_owned(), "server".to_owned()],
            config: LinkConfig::with_delay(DELAY),
        }],
        workloads: vec![Workload::new("exchange", WorkloadKind::RequestResponse(asking))],
        ..Scenario::default()
    }
}

/// Times from a message's arrival at a host, by what left there.
#[derive(Debug, Default)]
struct Turns {
    /// Per tap: when a message has arrived that is not yet answered, and whether it is acknowledged.
    waiting: Vec<Option<(Instant, bool)>>,
    acknowledged: Vec<Duration>,
    answered: Vec<Duration>,
}

impl Recorder for Turns {
    fn add_tap(&mut self, _name: &str) -> u32 {
        self.waiting.push(None);
        self.waiting.len() as u32 - 1
    }

    fn record(&mut self, tap: u32, passage: &Passage<'_>) {
        let Some(waiting) = self.waiting.get_mut(tap as usize) else { return };
        let message = !passage.packet.payload.is_empty();
        match (passage.heading, message, &mut *waiting) {
            (Heading::In, true, waiting) => *waiting = Some((passage.time, false)),
            (Heading::Out, false, Some((since, acknowledged @ false))) => {
                *acknowledged = true;
                self.acknowledged.push(passage.time.since(*since));
            }
            (Heading::Out, true, Some((since, _))) => {
                self.answered.push(passage.time.since(*since));
                *waiting = None;
            }
            _ => {}
        }
    }
}

/// The mean without the shortest and the longest twentieth: an interruption is the machine's and not the host's.
fn middle(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let cut = sorted.len() / 20;
    let kept = &sorted[cut..sorted.len() - cut];
    let count = u32::try_from(kept.len()).unwrap_or(u32::MAX).max(1);
    kept.iter().sum::<Duration>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::take::ours_watched;

    #[test]
    fn the_times_that_a_host_has_are_those_that_are_measured() {
        let mut scenario = calibration();
        assert!(scenario.hosts.iter().all(|host| host.knobs.len() == 2));
        let times = HostTimes { processing: Duration::from_micros(7), wakeup: Duration::from_micros(30) };
        for host in &mut scenario.hosts {
            host.times = times;
        }
        let options = TakeOptions { seed: 1, capture: false, awake: Duration::ZERO, unfinished: false };
        let (_, turns) = ours_watched::<Turns>(&scenario, options).unwrap();
        assert_eq!(turns.answered.len(), 2 * EXCHANGES as usize - 1);
        assert_eq!(middle(&turns.acknowledged), times.processing);
        assert_eq!(middle(&turns.answered), times.processing + times.wakeup);
        assert_eq!(middle(&[]), Duration::ZERO);
    }
}
