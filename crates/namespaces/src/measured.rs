//! What have real hosts done so far? Their runs, kept in a file, so that none has to be made twice: how Linux fares on a path does
//! not change with the stack that is held against it.
//!
//! A line is a scenario, as JSON: its title, a fingerprint of all that real hosts see of it, the kernel's version, the names of the
//! columns, and a list of numbers per run. Where scenario or kernel are others, the line is not of use, and left out at the next
//! writing.

use crate::error::Error;
use crate::quantities::Quantity;
use crate::settings::settings;
use narrows_lab::HostTimes;
use narrows_lab::scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The columns before those of the quantities.
const COLUMNS: [&str; 4] = ["seed", "latest packet, µs", "host's processing, ns", "host's wake-up, ns"];

/// One run of real hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct RealRun {
    /// What chance was.
    pub seed: u64,
    /// The latest packet.
    pub late: Duration,
    /// How long hosts of the machine took over what arrived.
    pub times: HostTimes,
    /// By the names of [`crate::Comparison::rows`]; what is not there is 0.
    pub values: BTreeMap<String, f64>,
    /// All packets, as pcapng, where they were to be kept: never in the file.
    pub capture: Option<Vec<u8>>,
}

impl RealRun {
    pub(crate) fn new(
        seed: u64,
        late: Duration,
        times: HostTimes,
        quantities: Vec<Quantity>,
        capture: Option<Vec<u8>>,
    ) -> RealRun {
        let values = quantities.into_iter().map(|quantity| (quantity.name, quantity.value)).collect();
        RealRun { seed, late, times, values, capture }
    }

    /// A packet came later than `limit`, and later than a thousandth of the time that all took: one that came late holds up what follows
    /// by no more than that. Where connections share a link, one that comes late fills a queue for all: there only the limit counts.
    #[must_use]
    pub fn is_late(&self, limit: Duration) -> bool {
        let completion = self.values.get("completion").copied().unwrap_or_default();
        let shared = self.values.contains_key("fairness");
        self.late > limit && (shared || self.late.as_secs_f64() > completion / 1_000.0)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    title: String,
    scenario: String,
    kernel: String,
    columns: Vec<String>,
    runs: Vec<Vec<f64>>,
}

/// Runs of real hosts, by scenario.
#[derive(Debug, Default)]
pub struct Measured {
    file: Option<PathBuf>,
    kernel: String,
    /// By fingerprint, with the title; then by seed.
    runs: BTreeMap<String, (String, BTreeMap<u64, RealRun>)>,
    /// Fingerprints in the order of the file, so that it stays as it is but for what is new.
    order: Vec<String>,
}

impl Measured {
    /// None so far, and none is kept.
    #[must_use]
    pub fn new() -> Measured {
        Measured { kernel: kernel(), ..Measured::default() }
    }

    /// Those of the file, where there is one; others are added to it.
    ///
    /// # Errors
    /// [`Error::Setup`] for a file that cannot be read, naming it and the line.
    pub fn open(file: &Path) -> Result<Measured, Error> {
        Measured::of_kernel(file, kernel())
    }

    /// As [`Measured::open`], of whichever kernel the file's first line is: to look at, on any machine.
    ///
    /// # Errors
    /// As [`Measured::open`].
    pub fn of_any_kernel(file: &Path) -> Result<Measured, Error> {
        let lines = read(file)?;
        let kernel = lines.first().map(|line| line.kernel.clone()).unwrap_or_default();
        Measured::of_kernel(file, kernel)
    }

    fn of_kernel(file: &Path, kernel: String) -> Result<Measured, Error> {
        let mut measured = Measured { file: Some(file.to_owned()), kernel, ..Measured::default() };
        for line in read(file)?.into_iter().filter(|line| line.kernel == measured.kernel) {
            let runs = line.runs.iter().filter_map(|run| numbered(&line.columns, run));
            measured.order.push(line.scenario.clone());
            let runs = runs.map(|run| (run.seed, run)).collect();
            measured.runs.insert(line.scenario, (line.title, runs));
        }
        Ok(measured)
    }

    /// The kernel's version, without what a distribution adds to it.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// The run of that seed.
    #[must_use]
    pub fn run(&self, scenario: &Scenario, seed: u64) -> Option<&RealRun> {
        self.runs.get(&fingerprint(scenario)).and_then(|(_, runs)| runs.get(&seed))
    }

    /// Takes a run, unless there is one of that seed whose packets were less late.
    pub fn keep(&mut self, scenario: &Scenario, run: RealRun) {
        let fingerprint = fingerprint(scenario);
        if !self.runs.contains_key(&fingerprint) {
            self.order.push(fingerprint.clone());
        }
        let (_, runs) =
            self.runs.entry(fingerprint).or_insert_with(|| (scenario.title.clone(), BTreeMap::new()));
        if runs.get(&run.seed).is_none_or(|known| run.late < known.late) {
            runs.insert(run.seed, run);
        }
    }

    /// Writes the file anew, if there is one: it is never half written.
    ///
    /// # Errors
    /// [`Error::Setup`] with the file's name.
    pub fn save(&self) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut text = String::new();
        for fingerprint in &self.order {
            let Some((title, runs)) = self.runs.get(fingerprint) else { continue };
            let line = line(title, fingerprint, &self.kernel, runs.values());
            let line = serde_json::to_string(&line).map_err(|error| failed(file, &error.into()))?;
            let _ = writeln!(text, "{line}");
        }
        let beside = file.with_extension("new");
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, file))
            .map_err(|error| failed(file, &error))
    }
}

fn failed(file: &Path, error: &io::Error) -> Error {
    Error::Setup(format!("{}: {error}", file.display()))
}

fn read(file: &Path) -> Result<Vec<Line>, Error> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|error| failed(file, &error))?,
    };
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let number = number + 1;
            Error::Setup(format!("{}, line {number}: no runs of real hosts: {error}", file.display()))
        })
    };
    text.lines().enumerate().map(line).collect()
}

fn line<'a>(
    title: &str,
    scenario: &str,
    kernel: &str,
    runs: impl Iterator<Item = &'a RealRun> + Clone,
) -> Line {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in runs.clone().flat_map(|run| &run.values).filter(|(_, value)| **value != 0.0) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // A microsecond, or a millionth, is as fine as anything here is known.
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    let numbers = |run: &RealRun| -> Vec<f64> {
        let nanoseconds = |duration: Duration| duration.as_nanos() as f64;
        let first = [
            run.seed as f64,
            run.late.as_micros() as f64,
            nanoseconds(run.times.processing),
            nanoseconds(run.times.wakeup),
        ];
        let values = names.iter().map(|name| run.values.get(*name).copied().map_or(0.0, rounded));
        first.into_iter().chain(values).collect()
    };
    Line {
        title: title.to_owned(),
        scenario: scenario.to_owned(),
        kernel: kernel.to_owned(),
        columns: COLUMNS
            .iter()
            .map(|name| (*name).to_owned())
            .chain(names.iter().map(|name| (*name).clone()))
            .collect(),
        runs: runs.map(numbers).collect(),
    }
}

/// A run out of its numbers; `None` where they are not as many as columns.
fn numbered(columns: &[String], numbers: &[f64]) -> Option<RealRun> {
    let known = columns.iter().zip(COLUMNS).all(|(column, name)| column == name);
    if !known || columns.len() != numbers.len() || numbers.len() < COLUMNS.len() {
        return None;
    }
    let (first, values) = numbers.split_at(COLUMNS.len());
    let names = &columns[COLUMNS.len()..];
    Some(RealRun {
        seed: first[0] as u64,
        late: Duration::from_micros(first[1] as u64),
        times: HostTimes {
            processing: Duration::from_nanos(first[2] as u64),
            wakeup: Duration::from_nanos(first[3] as u64),
        },
        values: names.iter().cloned().zip(values.iter().copied()).collect(),
        capture: None,
    })
}

/// What real hosts see of a scenario: hosts and their settings, links and workloads. FNV-1a (64 bits).
fn fingerprint(scenario: &Scenario) -> String {
    // Which seeds, and what it is called, is no part of it.
    let nameless = Scenario { name: String::new(), title: String::new(), seed: 0, ..scenario.clone() };
    let mut text = nameless.to_toml();
    for host in &scenario.hosts {
        let _ = write!(text, "{:?}", settings(&host.stack_knobs()));
    }
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn kernel() -> String {
    let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    version.trim().split('-').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, late_us: u64, completion: f64, marks: f64) -> RealRun {
        let values = BTreeMap::from([
            ("completion".to_owned(), completion),
            ("timeouts of server".to_owned(), 0.0),
            ("marks at client".to_owned(), marks),
        ]);
        let times = HostTimes { processing: Duration::from_nanos(4_001), wakeup: Duration::from_micros(11) };
        RealRun { seed, late: Duration::from_micros(late_us), times, values, capture: None }
    }

    fn scenario(title: &str, limit: u64) -> Scenario {
        Scenario { title: title.to_owned(), time_limit: Duration::from_secs(limit), ..Scenario::default() }
    }

    #[test]
    fn runs_come_out_of_the_file_as_they_went_in_and_less_late_ones_replace_others() {
        let folder = std::env::temp_dir().join(format!("narrows-measured-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("runs");
        let (first, second) = (scenario("first", 1), scenario("second", 2));
        let mut measured = Measured::open(&file).unwrap();
        measured.keep(&first, run(1, 300, 0.123_456, 0.0));
        measured.keep(&second, run(1, 300, 1.0, 0.0));
        measured.save().unwrap();
        let mut measured = Measured::open(&file).unwrap();
        measured.keep(&first, run(2, 20, 0.25, 7.0));
        measured.keep(&first, run(1, 400, 9.0, 0.0));
        measured.keep(&second, run(1, 200, 2.0, 0.0));
        measured.save().unwrap();
        let read = Measured::of_any_kernel(&file).unwrap();
        let completion = |scenario, seed| read.run(scenario, seed).map(|run| run.values["completion"]);
        assert_eq!(completion(&first, 1), Some(0.123_456));
        assert_eq!(completion(&first, 2), Some(0.25));
        assert_eq!(completion(&first, 3), None);
        assert_eq!(completion(&second, 1), Some(2.0));
        let kept = read.run(&first, 2).unwrap();
        assert_eq!((kept.late, kept.times), (Duration::from_micros(20), run(0, 0, 0.0, 0.0).times));
        assert_eq!(kept.values.get("marks at client"), Some(&7.0));
        // Zero everywhere: no column.
        assert_eq!(kept.values.get("timeouts of server"), None);
        fs::write(&file, "{\"title\":1}\n").unwrap();
        let error = Measured::open(&file).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_packet_is_late_beside_the_limit_and_beside_what_all_took() {
        let limit = Duration::from_micros(200);
        assert!(!run(1, 200, 0.1, 0.0).is_late(limit));
        assert!(run(1, 201, 0.2, 0.0).is_late(limit));
        assert!(!run(1, 201, 0.202, 0.0).is_late(limit));
        let mut shared = run(1, 201, 30.0, 0.0);
        shared.values.insert("fairness".to_owned(), 0.9);
        assert!(shared.is_late(limit));
    }

    #[test]
    fn runs_of_other_links_other_settings_or_another_kernel_are_not_taken() {
        let mut measured = Measured::new();
        let mut host = narrows_lab::scenario::HostSpec::new("client", "linux");
        let with = |host: &narrows_lab::scenario::HostSpec| Scenario {
            hosts: vec![host.clone()],
            ..scenario("hosts", 1)
        };
        let before = with(&host);
        measured.keep(&before, run(1, 300, 1.0, 0.0));
        assert!(
            measured.run(&Scenario { title: "other".to_owned(), seed: 9, ..before.clone() }, 1).is_some()
        );
        assert!(measured.run(&Scenario { time_limit: Duration::from_secs(2), ..before }, 1).is_none());
        host.set("congestion_control", "reno").unwrap();
        assert!(measured.run(&with(&host), 1).is_none());
        let folder = std::env::temp_dir().join(format!("narrows-kernel-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("runs");
        fs::write(
            &file,
            format!(
                "{{\"title\":\"a\",\"scenario\":\"{}\",\"kernel\":\"0.1\",\"columns\":[],\"runs\":[]}}\n",
                "0"
            ),
        )
        .unwrap();
        assert!(Measured::open(&file).unwrap().runs.is_empty());
        assert_eq!(Measured::of_any_kernel(&file).unwrap().kernel(), "0.1");
        fs::remove_dir_all(&folder).unwrap();
    }
}
