//! How near is the lab to real Linux hosts? The same scenario on both, side by side.

use super::Problem;
use super::args::ScenarioArguments;
use super::load::Source;
use super::up::problem;
use crate::exit::Outcome;
use crate::page::{DIM, Look, paper::Cell, paper::Paper};
use crate::units;
use clap::Args;
use narrows_lab::scenario::Scenario;
use narrows_namespaces::{
    CompareOptions, Comparison, Measured, Progress, Row, Unit, compare, compared, measure, truth, truth_loss,
    truth_queue, truth_size,
};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The arguments of `lab compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArguments {
    /// The scenario.
    #[command(flatten)]
    pub scenario: OptionalScenario,

    /// How often each kind of hosts plays the scenario, with seeds counted up; 5, with --losses 20
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repetitions: Option<u32>,

    /// Write the captures of the repetitions nearest the median into DIR/SCENARIO-ours.pcapng and -linux.pcapng
    #[arg(long, value_name = "DIR", conflicts_with = "truth")]
    pub pcap: Option<PathBuf>,

    /// Print JSON (schema narrows.lab.compare/1)
    #[arg(long, conflicts_with = "truth")]
    pub json: bool,

    /// Instead of one scenario compare all those by which the lab is judged, and write the page about it
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    pub truth: Option<PathBuf>,

    /// Instead of one scenario compare transfers over paths that lose, reorder and queue, with 20 seeds each, and write the page
    /// about it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "truth", "json", "pcap"])]
    pub losses: Option<PathBuf>,

    /// Instead of one scenario compare transfers over paths that a full packet does not fit, and write the page about it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "truth", "losses", "json", "pcap"])]
    pub sizes: Option<PathBuf>,

    /// Instead of one scenario compare transfers whose queues mark (ECN), that are paced, and that share a link, with 20 seeds each,
    /// and write the page about it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "truth", "losses", "sizes", "json", "pcap"])]
    pub queues: Option<PathBuf>,

    /// Play so many repetitions at the same time, where the machine carries them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub at_once: u32,

    /// Of the scenarios of a page only those whose title contains this
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,

    /// Keep the runs of real hosts in FILE, and make only those that are not in it, or whose packets came late: a page can be made in
    /// pieces, and is always of this version of our stack
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    pub runs: Option<PathBuf>,

    /// Begin nothing that would not end within so many seconds, and write the page with what there is (with 0: only that)
    #[arg(long, value_name = "SECONDS", requires = "runs")]
    pub within: Option<u64>,
}

/// Which scenario; none for a page.
#[derive(Clone, Debug, Args)]
pub struct OptionalScenario {
    /// A scenario's file, or the name of one that comes with narrows (narrows lab list)
    #[arg(value_name = "FILE|NAME", required_unless_present_any = ["truth", "losses", "sizes", "queues"])]
    pub scenario: Option<String>,

    /// Set a key of the scenario (repeatable), as link.path.delay=20ms or client.nodelay=true
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<narrows_lab::scenario::Override>,

    /// Take this seed instead of the scenario's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Compares.
pub fn run(arguments: &CompareArguments, look: Look) -> Result<(String, Outcome), Problem> {
    let options = CompareOptions {
        repetitions: arguments.repetitions.unwrap_or(5),
        at_once: arguments.at_once,
        capture: arguments.pcap.is_some(),
        ..CompareOptions::default()
    };
    let all = |_: &Scenario, repetitions: u32| repetitions;
    if let Some(file) = &arguments.truth {
        let page = Page { groups: &truth::groups(), write: truth::page, seeds: all, options };
        return pages(file, &page, arguments);
    }
    // On a path of 20 ms and more, 2 ms are little; what loses packets, or holds them up for seconds, would cost its seconds once more
    // with each try.
    let of_page = CompareOptions { late: Duration::from_millis(2), tries: 2, ..options };
    let many = |usual: u32| arguments.repetitions.unwrap_or(usual);
    if let Some(file) = &arguments.losses {
        let options = CompareOptions { repetitions: many(truth_loss::SEEDS), ..of_page };
        let page = Page { groups: &truth_loss::groups(), write: truth_loss::page, seeds: all, options };
        return pages(file, &page, arguments);
    }
    let of_page = CompareOptions { unfinished: true, ..of_page };
    if let Some(file) = &arguments.sizes {
        let late = Duration::from_millis(10);
        let options = CompareOptions { repetitions: many(truth_size::REPETITIONS), late, ..of_page };
        let page = Page { groups: &truth_size::groups(), write: truth_size::page, seeds: all, options };
        return pages(file, &page, arguments);
    }
    if let Some(file) = &arguments.queues {
        let options = CompareOptions { repetitions: many(truth_queue::SEEDS), ..of_page };
        let seeds = truth_queue::seeds;
        let page = Page { groups: &truth_queue::groups(), write: truth_queue::page, seeds, options };
        return pages(file, &page, arguments);
    }
    let OptionalScenario { scenario, set, seed } = arguments.scenario.clone();
    let scenario = ScenarioArguments { scenario: scenario.unwrap_or_default(), set, seed };
    let scenario = Source::open(&scenario)?.scenario(&[])?;
    let comparison = compare(&scenario, options).map_err(|error| problem(&error))?;
    let captures = match (&arguments.pcap, &comparison.captures) {
        (Some(folder), Some(captures)) => keep(folder, &comparison.name, captures)?,
        _ => Vec::new(),
    };
    let text = if arguments.json {
        format!("{}\n", as_json(&comparison, options.repetitions, &captures))
    } else {
        page(&comparison, options.repetitions, &captures, look)
    };
    Ok((text, Outcome::Quiet))
}

fn keep(folder: &Path, name: &str, captures: &(Vec<u8>, Vec<u8>)) -> Result<Vec<PathBuf>, Problem> {
    let failed = |path: &Path, error: &io::Error| Problem::io(&path.display().to_string(), error);
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut paths = Vec::new();
    for (whose, bytes) in [("ours", &captures.0), ("linux", &captures.1)] {
        let path = folder.join(format!("{name}-{whose}.pcapng"));
        fs::write(&path, bytes).map_err(|error| failed(&path, &error))?;
        paths.push(path);
    }
    Ok(paths)
}

/// What a page is of, and how it is made.
struct Page<'a, W, S> {
    groups: &'a [truth::Group],
    write: W,
    seeds: S,
    options: CompareOptions,
}

/// Compares all scenarios of a page, and writes it.
fn pages(
    file: &Path,
    page: &Page<'_, impl Fn(&[(&str, Vec<Comparison>)], &str, u32) -> String, impl Fn(&Scenario, u32) -> u32>,
    arguments: &CompareArguments,
) -> Result<(String, Outcome), Problem> {
    let options = page.options;
    let only = arguments.only.as_deref().unwrap_or_default();
    let mut measured = match &arguments.runs {
        // Nothing is measured here: it does not matter on which kernel that would be.
        Some(file) if arguments.within == Some(0) => {
            Measured::of_any_kernel(file).map_err(|error| problem(&error))?
        }
        Some(file) => Measured::open(file).map_err(|error| problem(&error))?,
        None => Measured::new(),
    };
    let wanted = |scenario: &&Scenario| scenario.title.contains(only);
    let scenarios = page.groups.iter().flat_map(|group| &group.scenarios).filter(wanted);
    let with_seeds: Vec<(&Scenario, u32)> =
        scenarios.map(|scenario| (scenario, (page.seeds)(scenario, options.repetitions))).collect();
    let within = arguments.within.map(Duration::from_secs);
    measure(&with_seeds, options, within, &mut measured, &mut tell).map_err(|error| problem(&error))?;
    let mut missing = 0;
    let mut pages = Vec::new();
    for group in page.groups {
        let mut comparisons = Vec::new();
        for scenario in group.scenarios.iter().filter(wanted) {
            let repetitions = (page.seeds)(scenario, options.repetitions);
            let options = CompareOptions { repetitions, ..options };
            let comparison = compared(scenario, options, &measured).map_err(|error| problem(&error))?;
            let (median, worst) = comparison.late;
            let (median, worst) = (units::duration(median), units::duration(worst));
            let count = comparison.rows.first().map_or(0, |row| row.linux.len());
            // Progress is for whoever watches; nobody does when stderr is closed.
            let _ = writeln!(
                io::stderr(),
                "{}: {count} of {repetitions} runs; the latest packet came {median} too late (median), {worst} (worst)",
                scenario.title
            );
            // The longest runs are made first: part of them would show a wrong median.
            if count == repetitions as usize {
                comparisons.push(comparison);
            } else {
                missing += 1;
            }
        }
        pages.push((group.title, comparisons));
    }
    pages.retain(|(_, comparisons): &(_, Vec<Comparison>)| !comparisons.is_empty());
    let mut text = (page.write)(&pages, measured.kernel(), options.repetitions);
    if missing > 0 {
        text += &format!("\nRows still to be measured: {missing}.\n");
    }
    fs::write(file, text).map_err(|error| Problem::io(&file.display().to_string(), &error))?;
    Ok((String::new(), Outcome::Quiet))
}

fn tell(progress: &Progress) {
    let Progress { left, titles, together, expected } = progress;
    let others = match titles.len() {
        0 | 1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    let title = titles.first().map(String::as_str).unwrap_or_default();
    // As above.
    let _ = writeln!(
        io::stderr(),
        "{left} runs left; {together} now, about {}: {title}{others}",
        units::duration(*expected)
    );
}

fn number(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds => units::duration(Duration::from_secs_f64(value.max(0.0))),
        Unit::Count | Unit::Bytes => units::count(value.round() as u64),
        Unit::Share => format!("{value:.3}"),
    }
}

fn difference(row: &Row) -> String {
    row.difference().map_or("–".to_owned(), |part| format!("{:+.1} %", part * 100.0))
}

fn page(comparison: &Comparison, repetitions: u32, captures: &[PathBuf], look: Look) -> String {
    let mut paper = Paper::new(look);
    paper.heading(&format!("{}: {}", comparison.name, comparison.title));
    let about = format!(
        "medians of {} each; the latest packet between real hosts came {} too late (median), {} (worst)",
        units::plural(u64::from(repetitions), "repetition"),
        units::duration(comparison.late.0),
        units::duration(comparison.late.1),
    );
    let times = format!(
        "a host of this machine takes {} over a packet and {} more until a program runs (measured before each repetition): those of \
         our stack take as long",
        units::duration(comparison.host_times.processing),
        units::duration(comparison.host_times.wakeup),
    );
    paper.paragraph("", "", &about, DIM);
    paper.paragraph("", "", &times, DIM);
    paper.blank();
    let title = |text: &str| Cell::right(text).styled(DIM);
    let mut rows = vec![vec![Cell::left(""), title("our stack"), title("Linux"), title("difference")]];
    for row in &comparison.rows {
        let (ours, linux) = row.medians();
        rows.push(vec![
            Cell::left(row.name.as_str()),
            Cell::right(number(row.unit, ours)),
            Cell::right(number(row.unit, linux)),
            Cell::right(difference(row)),
        ]);
    }
    paper.table("  ", &rows, 3);
    for (host, knob, instead) in &comparison.not_settable {
        paper.prose(&format!("{host}.{knob} cannot be set on Linux: {instead}."));
    }
    if comparison.late_repetitions > 0 {
        paper.prose(&format!(
            "In {} the machine was too busy for the links to be punctual: what Linux shows is less certain.",
            units::plural(u64::from(comparison.late_repetitions), "repetition")
        ));
    }
    for capture in captures {
        paper.paragraph("", "", &format!("capture: {}", capture.display()), DIM);
    }
    paper.finish()
}

fn as_json(comparison: &Comparison, repetitions: u32, captures: &[PathBuf]) -> Value {
    let row = |row: &Row| {
        let (ours, linux) = row.medians();
        json!({
            "name": row.name,
            "unit": match row.unit { Unit::Seconds => "s", Unit::Count | Unit::Share => "1", Unit::Bytes => "B" },
            "ours_median": ours,
            "linux_median": linux,
            "difference": row.difference(),
            "ours": row.ours,
            "linux": row.linux,
        })
    };
    let missing = |(host, knob, instead): &(String, &str, &str)| json!({ "host": host, "knob": knob, "linux": instead });
    json!({
        "schema": "narrows.lab.compare/1",
        "scenario": comparison.name,
        "title": comparison.title,
        "repetitions": repetitions,
        "rows": comparison.rows.iter().map(row).collect::<Vec<_>>(),
        "not_settable": comparison.not_settable.iter().map(missing).collect::<Vec<_>>(),
        "host_processing_s": comparison.host_times.processing.as_secs_f64(),
        "host_wakeup_s": comparison.host_times.wakeup.as_secs_f64(),
        "latest_packet_median_s": comparison.late.0.as_secs_f64(),
        "latest_packet_worst_s": comparison.late.1.as_secs_f64(),
        "late_repetitions": comparison.late_repetitions,
        "captures": captures.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let row = |name: &str, unit, ours: f64, linux: f64| Row {
            name: name.to_owned(),
            unit,
            ours: vec![ours],
            linux: vec![linux],
        };
        Comparison {
            name: "rpc".to_owned(),
            title: "A test".to_owned(),
            rows: vec![
                row("completion", Unit::Seconds, 0.42, 0.424),
                row("retransmissions of client", Unit::Count, 1.0, 0.0),
            ],
            not_settable: vec![("client".to_owned(), "hystart", "a setting of the whole machine")],
            host_times: narrows_lab::HostTimes {
                processing: Duration::from_micros(4),
                wakeup: Duration::from_micros(11),
            },
            late: (Duration::from_micros(40), Duration::from_micros(90)),
            late_repetitions: 0,
            captures: None,
        }
    }

    #[test]
    fn the_page_says_what_differs_and_what_could_not_be_set() {
        let page = page(&comparison(), 3, &[], Look::new(100, true));
        for part in ["completion", "-0.9 %", "–", "client.hystart cannot be set on Linux"] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }

    #[test]
    fn the_json_has_every_repetition_and_null_where_there_is_no_difference_to_state() {
        let json = as_json(&comparison(), 1, &[]);
        assert_eq!(json["rows"][0]["linux"], json!([0.424]));
        assert_eq!(json["rows"][1]["difference"], Value::Null);
    }
}
