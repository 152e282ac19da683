//! What does a real kernel do? Records captures of real TCP connections with the truth about them beside.
//!
//! `record OUTDIR [SCENARIO…] [--scenarios FILE]` makes a folder for each scenario: the captures of both ends for the
//! situation as found and for each turned knob, and `truth.json`. It needs root: each end is a network namespace.

mod capture_file;
mod count;
mod each_way;
mod namespace;
mod narrow;
mod run;
mod scenario;
mod talk;
mod truth;
mod wire;

use run::Repetition;
use scenario::Scenario;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Why nothing, or not everything, was recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments.
    #[error("{0}\nusage: record OUTDIR [SCENARIO…] [--scenarios FILE]")]
    Usage(String),
    /// A scenario file.
    #[error("{0}")]
    Scenario(String),
    /// Missing rights.
    #[error(
        "not permitted: {0}. Run it as root with /dev/net/tun present: \
         sudo target/release/record OUTDIR"
    )]
    NotPermitted(String),
    /// The network of an end could not be set up, or a program failed.
    #[error("{0}")]
    Setup(String),
    /// Input or output.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<narrows_namespaces::Error> for Error {
    fn from(error: narrows_namespaces::Error) -> Error {
        match error {
            narrows_namespaces::Error::NotPermitted(why) => Error::NotPermitted(why),
            other => Error::Setup(other.to_string()),
        }
    }
}

/// A packet delivered later than this spoils a repetition.
const LATE: Duration = Duration::from_millis(1);
/// How often a spoilt repetition is tried again.
const TRIES: usize = 3;

fn main() -> ExitCode {
    match record(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record: {error}");
            match error {
                Error::NotPermitted(_) => ExitCode::from(3),
                Error::Usage(_) | Error::Scenario(_) => ExitCode::from(2),
                Error::Setup(_) | Error::Io(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn record(arguments: impl Iterator<Item = String>) -> Result<(), Error> {
    let mut file = None;
    let mut names = Vec::new();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--scenarios" => {
                let missing = || Error::Usage("--scenarios needs a file".to_owned());
                file = Some(PathBuf::from(arguments.next().ok_or_else(missing)?));
            }
            option if option.starts_with('-') => {
                return Err(Error::Usage(format!("unknown option {option}")));
            }
            _ => names.push(argument),
        }
    }
    if names.is_empty() {
        return Err(Error::Usage("where to? OUTDIR is missing".to_owned()));
    }
    let out = PathBuf::from(names.remove(0));
    let scenarios = match &file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::Scenario(format!("{}: {e}", path.display())))?;
            scenario::parse(&text, path)?
        }
        None => scenario::parse(include_str!("../scenarios.toml"), Path::new("scenarios.toml"))?,
    };
    if let Some(unknown) = names.iter().find(|n| !scenarios.iter().any(|s| s.name == **n)) {
        return Err(Error::Usage(format!("no scenario {unknown}")));
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotPermitted("two network namespaces and a TUN device in each".to_owned()));
    }
    for scenario in scenarios.iter().filter(|s| names.is_empty() || names.contains(&s.name)) {
        one(scenario, &out)?;
    }
    Ok(())
}

/// Records one scenario into its folder below `out`.
fn one(scenario: &Scenario, out: &Path) -> Result<(), Error> {
    let folder =
        if scenario.plain { out.join("truth").join(&scenario.name) } else { out.join(&scenario.name) };
    std::fs::create_dir_all(&folder)?;
    let mut variants = serde_json::Map::new();
    let mut as_found = None;
    for (letter, variant) in ('a'..='z').zip(&scenario.variant) {
        let setup = scenario::setup(scenario, variant)?;
        let mut repetitions = Vec::new();
        for _ in 0..scenario.repetitions {
            repetitions.push(punctual(scenario, &setup)?);
        }
        let values: Vec<f64> = repetitions.iter().map(|r| truth::value(scenario, &r.measured)).collect();
        let kept = truth::kept(&values);
        cut(&mut repetitions[kept], scenario.cut_s);
        let mut files = serde_json::Map::new();
        for (side, records) in ["client", "server"].into_iter().zip(&repetitions[kept].recording.records) {
            let Some(name) = file_name(scenario, letter, side) else { continue };
            let file = std::io::BufWriter::new(std::fs::File::create(folder.join(&name))?);
            capture_file::write(file, records, scenario.snaplen, scenario.format)?;
            files.insert(side.to_owned(), json!(name));
        }
        let mut truth = truth::variant(scenario, variant, &setup, files, &repetitions, kept);
        let median = truth::median(&values);
        match as_found {
            None => as_found = Some(median),
            Some(found) => {
                truth["against_a"] = json!({ "saved_s": found - median, "ratio": median / found });
            }
        }
        let late = repetitions.iter().map(|r| r.recording.late.1).max().unwrap_or_default();
        eprintln!(
            "{} {letter}: median {:.3} ms of {:?}, latest packet {} µs late",
            scenario.name,
            median * 1e3,
            values.iter().map(|v| (v * 1e6).round() / 1e3).collect::<Vec<_>>(),
            late.as_micros(),
        );
        variants.insert(letter.to_string(), truth);
    }
    // The version without what a distribution adds to it.
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default();
    let truth = json!({
        "scenario": scenario.name,
        "title": scenario.title,
        "kernel": kernel.trim(),
        "value": scenario.value,
        "variants": variants,
    });
    let mut text = serde_json::to_string_pretty(&truth).map_err(std::io::Error::from)?;
    text.push('\n');
    Ok(std::fs::write(folder.join("truth.json"), text)?)
}

/// Where a capture goes, seen from the scenario's folder; `None` when it is not kept.
fn file_name(scenario: &Scenario, letter: char, side: &str) -> Option<String> {
    let extension = scenario.format.extension();
    match (scenario.plain, letter, side) {
        (false, ..) | (true, 'a', "server") => Some(format!("{letter}-{side}.{extension}")),
        (true, 'a', "client") => Some(format!("../../{}.{extension}", scenario.name)),
        _ => None,
    }
}

/// A repetition in which no packet came late; when none is to be had, the one that was least late.
fn punctual(scenario: &Scenario, setup: &scenario::Setup) -> Result<Repetition, Error> {
    let mut best: Option<Repetition> = None;
    for _ in 0..TRIES {
        let run = run::repetition(scenario, setup)?;
        let late = run.recording.late.1;
        if best.as_ref().is_none_or(|b| late < b.recording.late.1) {
            best = Some(run);
        }
        if late <= LATE {
            break;
        }
    }
    best.ok_or_else(|| Error::Setup("nothing was recorded".to_owned()))
}

/// Lets both captures begin later.
fn cut(run: &mut Repetition, seconds: f64) {
    let Some(first) = run.recording.records[0].first().map(|r| r.time_ns) else { return };
    let begin = first + (seconds * 1e9) as u64;
    for records in &mut run.recording.records {
        records.retain(|r| r.time_ns >= begin);
    }
}
