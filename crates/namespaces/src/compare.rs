//! How near is our stack to real Linux hosts, on the same scenario?

use crate::error::{Error, joined};
use crate::settings::settings;
use crate::take::{TIMEOUTS, Take, TakeOptions, linux, ours};
use crate::turnaround::measure_host_times;
use narrows_lab::HostTimes;
use narrows_lab::scenario::Scenario;
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
    /// The quantities: `completion`, `finished` (1, or 0 for [`Take::finished`]), `exchange mean`, `exchange p50`, `exchange p99`,
    /// where there are several connections `bytes read` (of all) and `fairness` (Jain's index of the connections' shares of them,
    /// 1: all alike), then per host `packets of …`, `bytes of …`, `ACKs of …`, `retransmissions of …`, `timeouts of …`, and with ECN
    /// `marks at …` (packets that arrived marked), `reductions of …` (segments with CWR).
    pub rows: Vec<Row>,
    /// Host, knob and what Linux does instead, for knobs that it has no setting for.
    pub not_settable: Vec<(String, &'static str, &'static str)>,
    /// How long hosts of this machine take over what arrives, measured before each repetition (medians): the simulated ones take
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
    /// A repetition in which a packet was later than this is done again …
    pub late: Duration,
    /// … up to so many times.
    pub tries: u32,
    /// So many repetitions are played at the same time: on a path where losses decide, a packet that comes a little late does
    /// not, and much of the time is waiting.
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

/// For how long after the last event the wire stays awake: on a short path for a whole round trip, where being woken late
/// would be a good part of it.
fn awake(scenario: &Scenario) -> Duration {
    let delays = scenario.links.iter().map(|link| link.config.forward.delay + link.config.backward.delay);
    let round_trip: Duration = delays.sum();
    if round_trip <= Duration::from_millis(3) { Duration::from_millis(3) } else { Duration::from_micros(200) }
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
/// As [`linux`] and [`ours`].
pub fn compare(scenario: &Scenario, options: CompareOptions) -> Result<Comparison, Error> {
    let mut takes = (Vec::new(), Vec::new());
    let mut late_repetitions = 0;
    let mut all_times = Vec::new();
    let numbers: Vec<u32> = (0..options.repetitions.max(1)).collect();
    for together in numbers.chunks(options.at_once.max(1) as usize) {
        for repetition in play(scenario, options, together) {
            let (times, played, real) = repetition?;
            all_times.push(times);
            takes.0.push(played);
            late_repetitions += u32::from(lateness(&real) > options.late);
            takes.1.push(real);
        }
    }
    let rows = rows(&takes.0, &takes.1);
    let late: Vec<f64> = takes.1.iter().map(|take| lateness(take).as_secs_f64()).collect();
    let worst = late.iter().copied().fold(0.0, f64::max);
    let captures = kept(&mut takes.0).zip(kept(&mut takes.1));
    let not_settable = scenario.hosts.iter().flat_map(|host| {
        let missing = settings(&host.stack_knobs()).not_settable;
        missing.into_iter().map(|(knob, instead)| (host.name.clone(), knob, instead))
    });
    Ok(Comparison {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        rows,
        not_settable: not_settable.collect(),
        host_times: median_times(&all_times),
        late: (Duration::from_secs_f64(median(&late)), Duration::from_secs_f64(worst)),
        late_repetitions,
        captures,
    })
}

/// Repetitions at the same time: how quick the hosts were, our stack's run, and that of the real hosts.
fn play(
    scenario: &Scenario,
    options: CompareOptions,
    numbers: &[u32],
) -> Vec<Result<(HostTimes, Take, Take), Error>> {
    let repetition = |number: u32| {
        let seed = scenario.seed.wrapping_add(u64::from(number));
        let take = TakeOptions {
            seed,
            capture: options.capture,
            awake: awake(scenario),
            unfinished: options.unfinished,
        };
        let times = measure_host_times()?;
        let played = ours(&with_times(scenario, times), take)?;
        Ok((times, played, punctual(scenario, take, options)?))
    };
    thread::scope(|scope| {
        let repetition = &repetition;
        let threads: Vec<_> = numbers.iter().map(|&number| scope.spawn(move || repetition(number))).collect();
        threads.into_iter().map(|thread| joined(thread.join())).collect()
    })
}

fn lateness(take: &Take) -> Duration {
    take.wire.as_ref().map_or(Duration::ZERO, |wire| wire.late.max())
}

/// A run in which no packet came late; when none is to be had, the one that was least late.
fn punctual(scenario: &Scenario, take: TakeOptions, options: CompareOptions) -> Result<Take, Error> {
    let mut best = linux(scenario, take)?;
    for _ in 1..options.tries {
        if lateness(&best) <= options.late {
            break;
        }
        let again = linux(scenario, take)?;
        if lateness(&again) < lateness(&best) {
            best = again;
        }
    }
    Ok(best)
}

/// The capture of the repetition nearest the median.
fn kept(takes: &mut [Take]) -> Option<Vec<u8>> {
    let completions: Vec<f64> = takes.iter().map(|take| take.completion.as_secs_f64()).collect();
    let middle = median(&completions);
    let nearest = (0..takes.len())
        .min_by(|a, b| (completions[*a] - middle).abs().total_cmp(&(completions[*b] - middle).abs()))?;
    takes[nearest].capture.take()
}

fn rows(ours: &[Take], linux: &[Take]) -> Vec<Row> {
    let row = |name: String, unit, of: &dyn Fn(&Take) -> f64| Row {
        name,
        unit,
        ours: ours.iter().map(of).collect(),
        linux: linux.iter().map(of).collect(),
    };
    let mut rows = vec![row("completion".to_owned(), Unit::Seconds, &|take| take.completion.as_secs_f64())];
    rows.push(row("finished".to_owned(), Unit::Count, &|take| f64::from(u8::from(take.finished))));
    if ours.iter().any(|take| !take.exchanges.is_empty()) {
        let seconds =
            |take: &Take| -> Vec<f64> { take.exchanges.iter().map(Duration::as_secs_f64).collect() };
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        rows.push(row("exchange mean".to_owned(), Unit::Seconds, &|take| mean(seconds(take))));
        rows.push(row("exchange p50".to_owned(), Unit::Seconds, &|take| quantile(seconds(take), 0.5)));
        rows.push(row("exchange p99".to_owned(), Unit::Seconds, &|take| quantile(seconds(take), 0.99)));
    }
    if ours.iter().any(|take| take.read.len() > 1) {
        rows.push(row("bytes read".to_owned(), Unit::Bytes, &|take| take.read.iter().sum::<u64>() as f64));
        rows.push(row("fairness".to_owned(), Unit::Share, &|take| fairness(&take.read)));
    }
    let hosts: Vec<String> =
        ours.first().into_iter().flat_map(|take| &take.sent).map(|(name, _)| name.clone()).collect();
    for (index, host) in hosts.iter().enumerate() {
        let of = |pick: fn(&crate::tally::Sent) -> u64| {
            move |take: &Take| take.sent.get(index).map_or(0.0, |(_, sent)| pick(sent) as f64)
        };
        rows.push(row(format!("packets of {host}"), Unit::Count, &of(|sent| sent.packets)));
        rows.push(row(format!("bytes of {host}"), Unit::Bytes, &of(|sent| sent.bytes)));
        rows.push(row(format!("ACKs of {host}"), Unit::Count, &of(|sent| sent.acks)));
        rows.push(row(format!("retransmissions of {host}"), Unit::Count, &of(|sent| sent.retransmissions)));
        rows.push(row(format!("timeouts of {host}"), Unit::Count, &|take| {
            let counters = take.counters.get(index).map(|(_, counters)| counters);
            counters.and_then(|counters| counters.get(TIMEOUTS)).map_or(0.0, |timeouts| *timeouts as f64)
        }));
        let marks = row(format!("marks at {host}"), Unit::Count, &of(|sent| sent.marks));
        let reductions = row(format!("reductions of {host}"), Unit::Count, &of(|sent| sent.reductions));
        let seen = |row: &Row| row.ours.iter().chain(&row.linux).any(|number| *number > 0.0);
        rows.extend([marks, reductions].into_iter().filter(seen));
    }
    rows
}

/// Jain's index: 1 when all shares are alike, 1/n when one has everything.
fn fairness(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 1.0 }
}

/// The value that a part `q` does not exceed (nearest rank).
fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: &[f64], linux: &[f64]) -> Row {
        Row { name: "r".to_owned(), unit: Unit::Count, ours: ours.to_vec(), linux: linux.to_vec() }
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

    #[test]
    fn fairness_is_one_for_equal_shares_and_a_part_for_one_who_has_all() {
        assert_eq!(fairness(&[7, 7, 7, 7]), 1.0);
        assert_eq!(fairness(&[7, 0, 0, 0]), 0.25);
        assert_eq!(fairness(&[0, 0]), 1.0);
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(values.clone(), 0.5), quantile(values, 0.99)), (50.0, 99.0));
        assert_eq!(quantile(Vec::new(), 0.5), 0.0);
    }
}
