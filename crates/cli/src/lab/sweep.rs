//! What does `narrows lab sweep` do? Runs a scenario for every combination of values, on all cores, in one table.

use super::Problem;
use super::args::{Axis, SweepArguments};
use super::load::Source;
use super::page::{ending, time};
use super::run::outcome;
use super::{json, plot};
use crate::exit::Outcome;
use crate::page::paper::{Cell as TableCell, Paper};
use crate::page::{DIM, Look};
use crate::progress::Progress;
use crate::units;
use clap::ValueEnum;
use narrows_lab::scenario::{Override, RunReport, Scenario};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// More combinations than this are taken for a mistake.
const MOST_RUNS: usize = 100_000;

/// What a plot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Until the last byte was read, of the workload that took longest.
    Duration,
    /// Mean exchange of the first workload that has exchanges.
    Mean,
    /// Median exchange.
    P50,
    /// 99th percentile of the exchanges.
    P99,
    /// Goodput of all workloads together.
    Goodput,
    /// Packets that all hosts sent.
    Packets,
    /// Packets without payload that all hosts sent.
    Acks,
    /// Segments sent again.
    Retransmissions,
    /// Share of the datagrams sent that the server's application read, per cent.
    Delivered,
}

/// One combination and what came of it.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The values, in the order of the keys.
    pub values: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// What came of it.
    pub report: RunReport,
}

/// Runs all combinations; the table or the JSON, and the plot.
pub fn run(arguments: &SweepArguments, look: Look) -> Result<(String, Outcome), Problem> {
    let source = Source::open(&arguments.scenario)?;
    let grid = combinations(&arguments.over)?;
    let mut scenarios = Vec::with_capacity(grid.len());
    for values in &grid {
        let set: Vec<Override> =
            arguments.over.iter().zip(values).map(|(axis, value)| Override::new(&axis.key, value)).collect();
        scenarios.push(source.scenario(&set)?);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.map_or(cores, usize::from);
    let reports = run_all(&scenarios, jobs)?;
    let cells: Vec<Cell> = grid
        .into_iter()
        .zip(&scenarios)
        .zip(reports)
        .map(|((values, scenario), report)| Cell { values, seed: scenario.seed, report })
        .collect();
    let name = scenarios.first().map_or("", |scenario| scenario.name.as_str());
    let title = scenarios.first().map_or("", |scenario| scenario.title.as_str());
    if let Some(path) = &arguments.svg {
        let measure = arguments.plot.unwrap_or_else(|| default_measure(&cells));
        let svg = plot::svg(&format!("{name}: {title}"), &arguments.over, &cells, measure);
        std::fs::write(path, svg).map_err(|error| Problem::io(&path.display().to_string(), &error))?;
    }
    let keys: Vec<String> = arguments.over.iter().map(|axis| axis.key.clone()).collect();
    let text = if arguments.json {
        json::sweep(name, &keys, &cells)
    } else {
        table(&format!("{name}: {title}"), &keys, &cells, look)
    };
    Ok((text, outcome(cells.iter().all(|cell| cell.report.completed()))))
}

/// All combinations; the last axis changes fastest.
fn combinations(axes: &[Axis]) -> Result<Vec<Vec<String>>, Problem> {
    let count = axes.iter().try_fold(1usize, |count, axis| count.checked_mul(axis.values.len()));
    if count.is_none_or(|count| count > MOST_RUNS) {
        return Err(Problem::unusable(format!("these are more than {MOST_RUNS} combinations")));
    }
    let mut grid = vec![Vec::new()];
    for axis in axes {
        let longer = |row: &Vec<String>| {
            let row = row.clone();
            axis.values.iter().map(move |value| {
                let mut row = row.clone();
                row.push(value.clone());
                row
            })
        };
        grid = grid.iter().flat_map(longer).collect();
    }
    Ok(grid)
}

/// Runs the scenarios on several threads. Each run depends on its scenario alone: which thread takes it changes nothing.
fn run_all(scenarios: &[Scenario], jobs: usize) -> Result<Vec<RunReport>, Problem> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![None; scenarios.len()]);
    let progress = Mutex::new((Progress::steps("running", scenarios.len() as u64), 0));
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, scenarios.len().max(1)) {
            scope.spawn(|| {
                while let Some((number, scenario)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    scenarios.get(number).map(|scenario| (number, scenario))
                } {
                    let report = scenario.run();
                    if let Ok(mut results) = results.lock() {
                        results[number] = Some(report);
                    }
                    if let Ok(mut progress) = progress.lock() {
                        progress.1 += 1;
                        let done = progress.1;
                        progress.0.set(done);
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_default();
    let mut reports = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Some(Ok(report)) => reports.push(report),
            Some(Err(error)) => return Err(Problem::unusable(error.to_string())),
            None => return Err(Problem::unusable("a run came to no end")),
        }
    }
    Ok(reports)
}

fn default_measure(cells: &[Cell]) -> Measure {
    let exchanges = cells.iter().any(|cell| Measure::Mean.of(&cell.report).is_some());
    if exchanges { Measure::Mean } else { Measure::Duration }
}

impl Measure {
    /// What the axis says.
    pub fn title(self) -> &'static str {
        match self {
            Measure::Duration => "duration",
            Measure::Mean => "mean exchange",
            Measure::P50 => "median exchange",
            Measure::P99 => "99th percentile of the exchanges",
            Measure::Goodput => "goodput",
            Measure::Packets => "packets sent",
            Measure::Acks => "pure ACKs sent",
            Measure::Retransmissions => "segments sent again",
            Measure::Delivered => "datagrams delivered",
        }
    }

    /// The value in its base unit: seconds, bits per second, per cent, or a count.
    pub fn of(self, report: &RunReport) -> Option<f64> {
        let exchanging = report.workloads.iter().find(|workload| !workload.exchanges.is_empty());
        let seconds = |time: Duration| time.as_secs_f64();
        let sum = |of: fn(&narrows_lab::scenario::HostReport) -> u64| {
            Some(report.hosts.iter().map(of).sum::<u64>() as f64)
        };
        match self {
            Measure::Duration => report.workloads.iter().map(|workload| workload.duration).max().map(seconds),
            Measure::Mean => exchanging?.mean().map(seconds),
            Measure::P50 => exchanging?.percentile(0.5).map(seconds),
            Measure::P99 => exchanging?.percentile(0.99).map(seconds),
            Measure::Goodput => Some(report.workloads.iter().map(|w| w.goodput_bits_per_second()).sum()),
            Measure::Packets => sum(|host| host.packets),
            Measure::Acks => sum(|host| host.acks),
            Measure::Retransmissions => sum(|host| host.retransmissions),
            Measure::Delivered => {
                let datagrams = report.workloads.iter().find_map(|workload| workload.datagrams)?;
                Some(datagrams.delivered() * 100.0)
            }
        }
    }

    /// The value as it is written.
    pub fn text(self, value: f64) -> String {
        match self {
            Measure::Duration | Measure::Mean | Measure::P50 | Measure::P99 => {
                units::duration(Duration::from_secs_f64(value.max(0.0)))
            }
            Measure::Goodput => super::page::rate(value),
            Measure::Delivered => format!("{value:.2} %"),
            Measure::Packets | Measure::Acks | Measure::Retransmissions => units::count(value.round() as u64),
        }
    }
}

fn table(title: &str, keys: &[String], cells: &[Cell], look: Look) -> String {
    let mut paper = Paper::new(look);
    paper.heading(title);
    paper.blank();
    let heads = ["p50", "p99", "goodput", "packets", "ACKs", "again"];
    // A column of dashes would be in everybody's way.
    let datagrams = cells.iter().any(|cell| Measure::Delivered.of(&cell.report).is_some());
    let mut first: Vec<TableCell> =
        keys.iter().map(|key| TableCell::left(key.as_str()).styled(DIM)).collect();
    first.push(TableCell::right("time").styled(DIM));
    if datagrams {
        first.push(TableCell::right("delivered").styled(DIM));
    }
    first.extend(heads.map(|head| TableCell::right(head).styled(DIM)));
    let mut rows = vec![first];
    for cell in cells {
        let report = &cell.report;
        let exchanging = report.workloads.iter().find(|workload| !workload.exchanges.is_empty());
        let text =
            |measure: Measure| measure.of(report).map_or("–".to_owned(), |value| measure.text(value));
        let failed = report
            .workloads
            .iter()
            .map(|w| w.ending)
            .find(|e| *e != narrows_lab::scenario::Ending::Completed);
        let mut row: Vec<TableCell> =
            cell.values.iter().map(|value| TableCell::left(value.as_str())).collect();
        row.push(TableCell::right(failed.map_or_else(|| text(Measure::Duration), ending)));
        if datagrams {
            row.push(TableCell::right(text(Measure::Delivered)));
        }
        row.push(TableCell::right(time(exchanging.and_then(|workload| workload.percentile(0.5)))));
        row.push(TableCell::right(time(exchanging.and_then(|workload| workload.percentile(0.99)))));
        for measure in [Measure::Goodput, Measure::Packets, Measure::Acks, Measure::Retransmissions] {
            row.push(TableCell::right(text(measure)));
        }
        rows.push(row);
    }
    paper.table("  ", &rows, keys.len() + 3 + usize::from(datagrams));
    paper.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes() -> Vec<Axis> {
        vec![
            Axis::parse("path.delay=0.5ms,5ms").expect("an axis"),
            Axis::parse("client.nodelay=false,true").expect("an axis"),
        ]
    }

    #[test]
    fn the_last_key_changes_fastest() {
        let grid = combinations(&axes()).expect("a grid");
        assert_eq!(grid, [["0.5ms", "false"], ["0.5ms", "true"], ["5ms", "false"], ["5ms", "true"]]);
        let large = vec![Axis { key: "seed".to_owned(), values: vec![String::new(); 1_000] }; 3];
        assert!(combinations(&large).is_err());
    }

    #[test]
    fn how_many_threads_there_are_changes_nothing() {
        let builtin = narrows_lab::scenario::builtin("slow-rpc").expect("built in");
        let scenario = |seed: u64| Scenario {
            seed,
            ..Scenario::from_toml(builtin.name, builtin.toml).expect("a scenario")
        };
        let scenarios: Vec<Scenario> = (0..12).map(scenario).collect();
        let one = run_all(&scenarios, 1).expect("reports");
        assert_eq!(one, run_all(&scenarios, 8).expect("reports"));
        assert_ne!(one[0].packet_hash, one[1].packet_hash);
    }
}
