//! How near is our stack to real Linux hosts, on the same scenario?

use crate::error::{Error, joined};
use crate::measured::{Measured, RealRun};
use crate::quantities::{Quantity, is_rare, quantities};
use crate::settings::settings;
use crate::take::{TakeOptions, ours};
use crate::waves::measure;
use narrows_lab::scenario::{Scenario, WorkloadKind};
use narrows_lab::{HostTimes, Random};
use std::thread;
use std::time::Duration;

/// What a row's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// A part of the whole, 0 to 1.
    Share,
}

/// How often seeds are drawn anew to see how much depends on them, …
const DRAWS: usize = 2_000;
/// … and how many there have to be.
const LEAST_DRAWN: usize = 5;

/// One quantity, measured on both.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is; with the host's name where it is one host's.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Our stack's, one per repetition.
    pub ours: Vec<f64>,
    /// The real hosts', one per repetition.
    pub linux: Vec<f64>,
}

impl Row {
    /// The medians: our stack's, the real hosts'.
    #[must_use]
    pub fn medians(&self) -> (f64, f64) {
        (median(&self.ours), median(&self.linux))
    }

    /// How far our median is from the real hosts' one, as a part of that; `None` where that is zero and ours is not.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        match self.medians() {
            (ours, linux) if ours == linux => Some(0.0),
            (_, 0.0) => None,
            (ours, linux) => Some((ours - linux) / linux),
        }
    }

    /// Between which values the difference of the medians lies with 95 % probability: the seeds, each with ours and the real hosts' run
    /// of it, drawn anew (bootstrap, Efron 1979). `None` where there are too few, or where real hosts' medians are zero.
    ///
    /// Where runs go one way or another (a last packet lost, or not), the median lies between the ways, and this says how much that
    /// leaves open.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        let count = self.ours.len().min(self.linux.len());
        if count < LEAST_DRAWN {
            return None;
        }
        let mut random = Random::derive(count as u64, "bootstrap");
        let mut drawn = Row { ours: vec![0.0; count], linux: vec![0.0; count], ..self.clone() };
        let mut differences = Vec::with_capacity(DRAWS);
        for _ in 0..DRAWS {
            for place in 0..count {
                let seed = random.below(count as u64) as usize;
                (drawn.ours[place], drawn.linux[place]) = (self.ours[seed], self.linux[seed]);
            }
            differences.push(drawn.difference()?);
        }
        differences.sort_by(f64::total_cmp);
        let outside = DRAWS / 40;
        Some((differences[outside], differences[DRAWS - 1 - outside]))
    }

    /// Our median lies within the spread of the real hosts' own runs.
    #[must_use]
    pub fn is_within_spread(&self) -> bool {
        let (least, most) = spread(&self.linux);
        self.linux.is_empty() || (least..=most).contains(&self.medians().0)
    }
}

/// Least and most.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(least, most), value| (value.min(least), value.max(most)))
}

/// The median and, where they differ, least and most, each as `number` writes it.
pub(crate) fn with_spread(values: &[f64], number: impl Fn(f64) -> String) -> String {
    let (least, most) = spread(values);
    let middle = number(median(values));
    if least < most { format!("{middle} ({}–{})", number(least), number(most)) } else { middle }
}

/// The median; of an even number the mean of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => 0.0,
        (n, half) if n % 2 == 1 => sorted[half],
        (_, half) => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

/// A scenario on both kinds of hosts.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The scenario's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The quantities: `completion`, `finished` (1, or 0 for a transfer that did not end), `exchange mean`, `exchange p50`, `exchange p99`,
    /// where there are several connections `bytes read` (of all) and `fairness` (Jain's index of the connections' shares of them,
    /// 1: all alike), with datagrams `datagrams sent`, `datagrams refused`, `datagrams received` and `delivered` (a share),
    /// then per host `packets of …`, `bytes of …`, `fragments of …` (where there are any), `ACKs of …`, `retransmissions of …`, `timeouts of …`, and with ECN
    /// `marks at …` (packets that arrived marked), `reductions of …` (segments with CWR).
    pub rows: Vec<Row>,
    /// Host, knob and what Linux does instead, for knobs that it has no setting for.
    pub not_settable: Vec<(String, &'static str, &'static str)>,
    /// How long hosts of this machine take over what arrives, measured before each repetition, or those at once (medians): the simulated ones take
    /// as long.
    pub host_times: HostTimes,
    /// The latest packet of the real runs, of the median and of the worst repetition.
    pub late: (Duration, Duration),
    /// Repetitions in which packets came late even at the last try.
    pub late_repetitions: u32,
    /// Captures of the repetitions nearest the median completion: our stack's, the real hosts'.
    pub captures: Option<(Vec<u8>, Vec<u8>)>,
}

impl Comparison {
    /// The row of that name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// All packets, both ways: ours and theirs, by repetition.
    #[must_use]
    pub fn packets(&self) -> Row {
        Row { name: "packets".to_owned(), ..self.total("packets of ") }
    }

    /// The sum of all hosts' rows whose names begin so, by repetition.
    #[must_use]
    pub fn total(&self, what: &str) -> Row {
        let of = |pick: fn(&Row) -> &Vec<f64>| {
            let rows = self.rows.iter().filter(|row| row.name.starts_with(what));
            rows.fold(Vec::new(), |sum: Vec<f64>, row| match sum.is_empty() {
                true => pick(row).clone(),
                false => sum.iter().zip(pick(row)).map(|(a, b)| a + b).collect(),
            })
        };
        Row {
            name: what.to_owned(),
            unit: Unit::Count,
            ours: of(|row| &row.ours),
            linux: of(|row| &row.linux),
        }
    }
}

/// How a comparison is done.
#[derive(Clone, Copy, Debug)]
pub struct CompareOptions {
    /// How often each kind plays the scenario, with seeds counted up from the scenario's own.
    pub repetitions: u32,
    /// Keep captures.
    pub capture: bool,
    /// A repetition in which a packet was later than this, and than a thousandth of the completion, is done again …
    pub late: Duration,
    /// … up to so many times.
    pub tries: u32,
    /// So many repetitions are played at the same time, at most and where the machine carries them: much of the time is waiting.
    pub at_once: u32,
    /// That not everything was said at the scenario's time limit is a result and no error (see [`TakeOptions::unfinished`]).
    pub unfinished: bool,
}

impl Default for CompareOptions {
    fn default() -> CompareOptions {
        CompareOptions {
            repetitions: 5,
            capture: false,
            late: Duration::from_millis(1),
            tries: 3,
            at_once: 1,
            unfinished: false,
        }
    }
}

/// The scenario with the hosts as quick as real ones are here, unless the file says how quick they are.
///
/// All of it is put before a packet has any effect. Pieces that a program writes one after the other leave a real host some
/// microseconds apart, and are read apart; in virtual time they leave at once, and a reader that has yet to wake would find both.
fn with_times(scenario: &Scenario, times: HostTimes) -> Scenario {
    let mut timed = scenario.clone();
    for host in timed.hosts.iter_mut().filter(|host| host.times == HostTimes::default()) {
        host.times = HostTimes { processing: times.processing + times.wakeup, wakeup: Duration::ZERO };
    }
    timed
}

/// The medians of each.
fn median_times(all: &[HostTimes]) -> HostTimes {
    let of = |pick: fn(&HostTimes) -> Duration| {
        let seconds: Vec<f64> = all.iter().map(|times| pick(times).as_secs_f64()).collect();
        Duration::from_secs_f64(median(&seconds))
    };
    HostTimes { processing: of(|times| times.processing), wakeup: of(|times| times.wakeup) }
}

/// Plays the scenario on both.
///
/// # Errors
/// As [`linux`](crate::linux) and [`ours`].
pub fn compare(scenario: &Scenario, options: CompareOptions) -> Result<Comparison, Error> {
    let mut measured = Measured::new();
    let repetitions = options.repetitions.max(1);
    measure(&[(scenario, repetitions)], options, None, &mut measured, &mut |_| {})?;
    compared(scenario, CompareOptions { repetitions, ..options }, &measured)
}

/// Plays the scenario on our stack with each seed that real hosts have played it with, as quick as they were.
///
/// # Errors
/// As [`ours`].
pub fn compared(
    scenario: &Scenario,
    options: CompareOptions,
    measured: &Measured,
) -> Result<Comparison, Error> {
    let seeds = (0..options.repetitions).map(|number| scenario.seed.wrapping_add(u64::from(number)));
    let runs: Vec<&RealRun> = seeds.filter_map(|seed| measured.run(scenario, seed)).collect();
    let played = play(scenario, options, &runs)?;
    let late: Vec<f64> = runs.iter().map(|run| run.late.as_secs_f64()).collect();
    let worst = late.iter().copied().fold(0.0, f64::max);
    let ours_kept = nearest(played.iter().map(|played| (completion(&played.quantities), &played.capture)));
    let linux_kept = nearest(runs.iter().map(|run| (value(run, "completion"), &run.capture)));
    let all_times: Vec<HostTimes> = runs.iter().map(|run| run.times).collect();
    Ok(Comparison {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        rows: rows(&played, &runs),
        not_settable: not_settable(scenario),
        host_times: median_times(&all_times),
        late: (Duration::from_secs_f64(median(&late)), Duration::from_secs_f64(worst)),
        late_repetitions: runs.iter().filter(|run| run.is_late(options.late)).count() as u32,
        captures: ours_kept.zip(linux_kept),
    })
}

fn not_settable(scenario: &Scenario) -> Vec<(String, &'static str, &'static str)> {
    let of_host = scenario.hosts.iter().flat_map(|host| {
        let missing = settings(&host.stack_knobs()).not_settable;
        // The modes that no setting of a host has are options of a socket: those that send datagrams have them.
        let only_datagrams = !scenario.workloads.iter().any(|workload| {
            !matches!(workload.kind, WorkloadKind::Datagrams(_))
                && [&workload.client, &workload.server].contains(&&host.name)
        });
        let missing =
            missing.into_iter().filter(move |(knob, _)| *knob != "pmtu_discovery" || !only_datagrams);
        missing.map(|(knob, instead)| (host.name.clone(), knob, instead))
    });
    of_host.collect()
}

/// A run of our stack.
struct Played {
    quantities: Vec<Quantity>,
    capture: Option<Vec<u8>>,
}

/// Our stack's run for each of the real hosts', on all processors.
fn play(scenario: &Scenario, options: CompareOptions, runs: &[&RealRun]) -> Result<Vec<Played>, Error> {
    let one = |run: &&RealRun| -> Result<Played, Error> {
        let take = TakeOptions {
            seed: run.seed,
            capture: options.capture,
            unfinished: options.unfinished,
            ..TakeOptions::default()
        };
        let take = ours(&with_times(scenario, run.times), take)?;
        Ok(Played { quantities: quantities(&take), capture: take.capture })
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let share = runs.len().div_ceil(processors).max(1);
    thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = runs
            .chunks(share)
            .map(|runs| scope.spawn(move || runs.iter().map(one).collect::<Result<Vec<_>, Error>>()))
            .collect();
        let shares: Vec<Vec<Played>> =
            threads.into_iter().map(|thread| joined(thread.join())).collect::<Result<_, Error>>()?;
        Ok(shares.into_iter().flatten().collect())
    })
}

fn completion(quantities: &[Quantity]) -> f64 {
    quantities.iter().find(|quantity| quantity.name == "completion").map_or(0.0, |found| found.value)
}

fn value(run: &RealRun, name: &str) -> f64 {
    run.values.get(name).copied().unwrap_or(0.0)
}

/// Of completions with captures the capture of the one nearest the median.
fn nearest<'a>(takes: impl Iterator<Item = (f64, &'a Option<Vec<u8>>)> + Clone) -> Option<Vec<u8>> {
    let completions: Vec<f64> = takes.clone().map(|(completion, _)| completion).collect();
    let middle = median(&completions);
    takes.min_by(|a, b| (a.0 - middle).abs().total_cmp(&(b.0 - middle).abs()))?.1.clone()
}

fn rows(played: &[Played], runs: &[&RealRun]) -> Vec<Row> {
    let Some(first) = played.first() else { return Vec::new() };
    let row = |(number, Quantity { name, unit, .. }): (usize, &Quantity)| Row {
        name: name.clone(),
        unit: *unit,
        ours: played.iter().map(|one| one.quantities.get(number).map_or(0.0, |found| found.value)).collect(),
        linux: runs.iter().map(|run| value(run, name)).collect(),
    };
    let seen = |row: &Row| row.ours.iter().chain(&row.linux).any(|number| *number > 0.0);
    let rows = first.quantities.iter().enumerate().map(row);
    rows.filter(|row| !is_rare(&row.name) || seen(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: &[f64], linux: &[f64]) -> Row {
        Row { name: "r".to_owned(), unit: Unit::Count, ours: ours.to_vec(), linux: linux.to_vec() }
    }

    #[test]
    fn an_interval_is_wide_where_runs_go_one_way_or_another_and_narrow_where_they_do_not() {
        let fast: Vec<f64> = (0..20).map(|seed| 100.0 + f64::from(seed % 3)).collect();
        let slower: Vec<f64> = fast.iter().map(|time| time * 1.1).collect();
        let (least, most) = row(&slower, &fast).interval().unwrap();
        assert!((0.08..=0.1001).contains(&least) && (0.0999..0.13).contains(&most), "{least} {most}");
        // Half of the seeds take twice as long, on either, and not quite the same ones.
        let half = |first: usize| -> Vec<f64> {
            (0..20).map(|seed| if (first..first + 10).contains(&seed) { 200.0 } else { 100.0 }).collect()
        };
        let (least, most) = row(&half(0), &half(2)).interval().unwrap();
        assert!(least < -0.2 && most > 0.2, "{least} {most}");
        assert_eq!(row(&fast[..4], &fast[..4]).interval(), None);
        assert_eq!(row(&fast, &[0.0; 20]).interval(), None);
    }

    #[test]
    fn differences_are_between_medians_and_never_a_division_by_zero() {
        assert_eq!(row(&[1.0, 3.0, 100.0], &[2.0, 2.0]).difference(), Some(0.5));
        assert_eq!(row(&[0.0], &[0.0]).difference(), Some(0.0));
        assert_eq!(row(&[1.0], &[0.0]).difference(), None);
        assert_eq!(row(&[0.0], &[4.0]).difference(), Some(-1.0));
        assert!(row(&[1.0, 3.0, 9.0], &[2.0, 3.0]).is_within_spread());
        assert!(!row(&[1.0, 1.9, 9.0], &[2.0, 3.0]).is_within_spread());
    }
}
