//! Which runs of real hosts are made at the same time, and in which order? Much of a run is waiting, so many fit beside one another;
//! but not more than the machine carries in time.
//!
//! Runs are made in waves: all networks of a wave are set up before its first packet, and taken down after its last one, since both
//! hold up the machine for milliseconds.

use crate::compare::CompareOptions;
use crate::error::{Error, joined};
use crate::measured::{Measured, RealRun};
use crate::quantities::quantities;
use crate::take::{Take, TakeOptions, linux_beside, ours};
use crate::turnaround::measure_host_times;
use narrows_lab::scenario::Scenario;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Packets per second, of all runs of a wave together, that the machine carries in time besides other work.
const PACKETS_PER_SECOND: f64 = 25_000.0;
/// Runs of a wave begin so far apart: slow start is where most is sent at once.
const APART: Duration = Duration::from_millis(11);
/// What a run takes besides the scenario: its networks, the wait after the last word, the measurement of the hosts' times.
const BESIDES: Duration = Duration::from_millis(1_200);

/// What happens while runs are made, for whoever watches.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Runs that are still to be made, this wave's included.
    pub left: usize,
    /// The titles of this wave's scenarios, each once.
    pub titles: Vec<String>,
    /// Runs of this wave.
    pub together: usize,
    /// How long it will take.
    pub expected: Duration,
}

/// One run that is wanted.
#[derive(Clone, Debug)]
struct Job<'a> {
    scenario: &'a Scenario,
    seed: u64,
    /// By our stack's run.
    lasts: Duration,
    packets_per_second: f64,
    tries: u32,
}

/// Makes all runs that `measured` has not yet, or only with packets later than wanted; `wanted`: scenarios and how many seeds, counted
/// up from their own. Nothing is begun that would not end `within` that time.
///
/// # Errors
/// As [`crate::linux`] and [`crate::ours`]; what was measured before is kept.
pub fn measure(
    wanted: &[(&Scenario, u32)],
    options: CompareOptions,
    within: Option<Duration>,
    measured: &mut Measured,
    watch: &mut dyn FnMut(&Progress),
) -> Result<(), Error> {
    let end = within.map(|within| Instant::now() + within);
    let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
    if within == Some(Duration::ZERO) {
        return Ok(());
    }
    let mut jobs = jobs(wanted, options, measured)?;
    loop {
        let waiting = jobs.len();
        let wave = next_wave(&mut jobs, options.at_once, left());
        let Some(first) = wave.first() else { return Ok(()) };
        let mut titles: Vec<String> = wave.iter().map(|job| job.scenario.title.clone()).collect();
        titles.dedup();
        watch(&Progress { left: waiting, titles, together: wave.len(), expected: first.lasts + BESIDES });
        let times = measure_host_times()?;
        let alone = wave.len() == 1;
        let mut failed = None;
        for (job, take) in wave.iter().zip(together(&wave, options, alone)) {
            let take = match take {
                Ok(take) => take,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            let late = take.wire.as_ref().map_or(Duration::ZERO, |wire| wire.late.max());
            let run = RealRun::new(job.seed, late, times, quantities(&take), take.capture);
            let is_late = run.is_late(options.late);
            measured.keep(job.scenario, run);
            if is_late && job.tries + 1 < options.tries {
                jobs.push(Job { tries: job.tries + 1, ..job.clone() });
            }
        }
        measured.save()?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

fn jobs<'a>(
    wanted: &[(&'a Scenario, u32)],
    options: CompareOptions,
    measured: &Measured,
) -> Result<Vec<Job<'a>>, Error> {
    let mut jobs = Vec::new();
    for &(scenario, seeds) in wanted {
        for number in 0..seeds {
            let seed = scenario.seed.wrapping_add(u64::from(number));
            if measured.run(scenario, seed).is_some_and(|run| !run.is_late(options.late)) {
                continue;
            }
            let take = TakeOptions { seed, unfinished: true, ..TakeOptions::default() };
            let Take { completion: lasts, sent, .. } = ours(scenario, take)?;
            let packets: u64 = sent.iter().map(|(_, sent)| sent.packets).sum();
            let packets_per_second = packets as f64 / lasts.as_secs_f64().max(0.001);
            jobs.push(Job { scenario, seed, lasts, packets_per_second, tries: 0 });
        }
    }
    Ok(jobs)
}

/// Takes the runs of the next wave out of `jobs`: the longest first, since what is begun together should end together; those whose
/// packets came late once more at last, and fewer at once.
fn next_wave<'a>(jobs: &mut Vec<Job<'a>>, at_once: u32, left: Option<Duration>) -> Vec<Job<'a>> {
    jobs.sort_by(|a, b| a.tries.cmp(&b.tries).then(b.lasts.cmp(&a.lasts)));
    let mut wave: Vec<Job<'a>> = Vec::new();
    let mut load = 0.0;
    let mut at_once_now = 0;
    jobs.retain(|job| {
        let in_time = left.is_none_or(|left| job.lasts + BESIDES <= left);
        let alike = wave.first().is_none_or(|first| first.tries == job.tries);
        let room = wave.is_empty()
            || (wave.len() < at_once_now && load + job.packets_per_second <= PACKETS_PER_SECOND);
        let taken = in_time && alike && room;
        if taken {
            at_once_now = (at_once >> (2 * job.tries).min(31)).max(1) as usize;
            load += job.packets_per_second;
            wave.push(job.clone());
        }
        !taken
    });
    wave
}

/// All at the same time.
fn together(wave: &[Job<'_>], options: CompareOptions, alone: bool) -> Vec<Result<Take, Error>> {
    let gate = Gate::new(wave.len());
    let run = |number: usize, job: &Job<'_>| {
        // Beside others nobody waits awake: with as many as there are processors no other would get any.
        let awake = if alone { awake(job.scenario) } else { Duration::ZERO };
        let take =
            TakeOptions { seed: job.seed, capture: options.capture, awake, unfinished: options.unfinished };
        linux_beside(job.scenario, take, gate.begins(APART * number as u32))
    };
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> =
            wave.iter().enumerate().map(|(number, job)| scope.spawn(move || run(number, job))).collect();
        threads.into_iter().map(|thread| joined(thread.join())).collect()
    })
}

/// For how long after the last event the wire stays awake: on a short path for a whole round trip, where being woken late
/// would be a good part of it.
fn awake(scenario: &Scenario) -> Duration {
    let delays = scenario.links.iter().map(|link| link.config.forward.delay + link.config.backward.delay);
    let round_trip: Duration = delays.sum();
    if round_trip <= Duration::from_millis(3) { Duration::from_millis(3) } else { Duration::from_micros(200) }
}

/// Where all of a wave wait for one another.
#[derive(Debug)]
struct Gate {
    /// How many have yet to come: to the beginning, and to the end.
    missing: Mutex<[usize; 2]>,
    come: Condvar,
}

impl Gate {
    fn new(all: usize) -> Gate {
        Gate { missing: Mutex::new([all, all]), come: Condvar::new() }
    }

    fn begins(&self, after: Duration) -> Passes<'_> {
        Passes { gate: self, after, passed: 0 }
    }

    fn arrive(&self, at: usize) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing[at] = missing[at].saturating_sub(1);
        self.come.notify_all();
    }

    fn wait(&self, at: usize) {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.come.wait_while(missing, |missing| missing[at] > 0));
    }
}

/// One of a wave on its way through the gate: whatever becomes of it, nobody waits for it in vain.
#[derive(Debug)]
pub(crate) struct Passes<'a> {
    gate: &'a Gate,
    after: Duration,
    passed: usize,
}

impl Passes<'_> {
    /// All is set up: waits until that is so with all others, and for its turn.
    pub(crate) fn begin(&mut self) {
        self.pass();
        thread::sleep(self.after);
    }

    /// All is over: waits until that is so with all others.
    pub(crate) fn end(&mut self) {
        self.pass();
    }

    fn pass(&mut self) {
        self.gate.arrive(self.passed);
        self.gate.wait(self.passed);
        self.passed += 1;
    }
}

impl Drop for Passes<'_> {
    fn drop(&mut self) {
        for at in self.passed..2 {
            self.gate.arrive(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(scenario: &Scenario, lasts_ms: u64, packets_per_second: f64, tries: u32) -> Job<'_> {
        Job { scenario, seed: 1, lasts: Duration::from_millis(lasts_ms), packets_per_second, tries }
    }

    fn waves(mut jobs: Vec<Job<'_>>, at_once: u32, left: Option<Duration>) -> Vec<Vec<u64>> {
        let next = || {
            let wave = next_wave(&mut jobs, at_once, left);
            (!wave.is_empty()).then(|| wave.iter().map(|job| job.lasts.as_millis() as u64).collect())
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn the_longest_go_first_and_no_wave_is_more_than_the_machine_carries() {
        let scenario = Scenario::default();
        let half = PACKETS_PER_SECOND / 2.0;
        let jobs = [(1, 1.0), (9, half), (5, half), (7, half), (3, 2.0 * PACKETS_PER_SECOND)];
        let jobs = |tries| jobs.iter().map(|(ms, rate)| job(&scenario, *ms, *rate, tries)).collect();
        assert_eq!(waves(jobs(0), 10, None), [vec![9, 7], vec![5, 1], vec![3]]);
        assert_eq!(waves(jobs(0), 1, None), [[9], [7], [5], [3], [1]]);
        // Once more: a quarter as many at once.
        assert_eq!(waves(jobs(1), 7, None), [[9], [7], [5], [3], [1]]);
    }

    #[test]
    fn nothing_is_begun_that_does_not_end_in_time_and_late_ones_wait_for_all_others() {
        let scenario = Scenario::default();
        let jobs =
            || vec![job(&scenario, 9_000, 1.0, 0), job(&scenario, 5, 1.0, 1), job(&scenario, 3, 1.0, 0)];
        assert_eq!(waves(jobs(), 10, None), [vec![9_000, 3], vec![5]]);
        assert_eq!(waves(jobs(), 10, Some(Duration::from_secs(3))), [[3], [5]]);
        assert_eq!(waves(jobs(), 10, Some(Duration::from_millis(3))), Vec::<Vec<u64>>::new());
    }

    #[test]
    fn a_gate_opens_when_all_have_come_or_given_up() {
        let gate = Gate::new(3);
        let begun = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut passes = gate.begins(Duration::ZERO);
                    passes.begin();
                    *begun.lock().unwrap() += 1;
                    passes.end();
                    assert_eq!(*begun.lock().unwrap(), 2);
                });
            }
            drop(gate.begins(Duration::ZERO));
        });
    }
}
