//! What does `narrows lab run` do? Runs one scenario, watches it as `explain` would, and writes captures of it.

use super::Problem;
use super::args::RunArguments;
use super::cpu::CpuClock;
use super::load::Source;
use super::watch::{Seen, Watches};
use super::{json, page};
use crate::exit::Outcome;
use crate::page::Look;
use narrows_lab::RecorderId;
use narrows_lab::capture::PcapNg;
use narrows_lab::scenario::{RunReport, Scenario, ScenarioWorld};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

type CaptureFile = PcapNg<BufWriter<File>>;

/// Everything that is known of one run.
#[derive(Debug)]
pub struct Run {
    /// What was run.
    pub scenario: Scenario,
    /// What came of it.
    pub report: RunReport,
    /// What the analysis saw of each workload.
    pub seen: Vec<Seen>,
    /// CPU time of simulation and analysis.
    pub cpu: Duration,
    /// The captures written.
    pub captures: Vec<PathBuf>,
}

/// Runs the scenario; the page or the JSON.
pub fn run(arguments: &RunArguments, look: Look) -> Result<(String, Outcome), Problem> {
    let scenario = Source::open(&arguments.scenario)?.scenario(&[])?;
    let run = observe(scenario, arguments.pcap.as_deref())?;
    let text = if arguments.json { json::run(&run) } else { page::render(&run, look) };
    Ok((text, outcome(run.report.completed())))
}

/// A scenario that does not complete is a finding, for scripts.
pub fn outcome(completed: bool) -> Outcome {
    if completed { Outcome::Quiet } else { Outcome::Findings }
}

/// Runs a scenario with everything that is to be known of it.
pub fn observe(scenario: Scenario, folder: Option<&Path>) -> Result<Run, Problem> {
    let mut world = scenario.build().map_err(|error| Problem::unusable(error.to_string()))?;
    world.hash_packets();
    let watches = Watches::set_up(&mut world);
    let files = match folder {
        Some(folder) => open_captures(&scenario, &mut world, folder)?,
        None => Vec::new(),
    };
    let clock = CpuClock::start();
    let report = world.run();
    let seen = watches.finish(&mut world);
    let cpu = clock.elapsed();
    let mut captures = Vec::new();
    for (path, recorder) in files {
        let Some(file) = world.world.take_recorder::<CaptureFile>(recorder) else { continue };
        file.finish().map_err(|error| Problem::io(&path.display().to_string(), &error))?;
        captures.push(path);
    }
    Ok(Run { scenario, report, seen, cpu, captures })
}

/// One file per host, with an interface for each of its links; where tunnels go over the network one per router, too: what passes on the
/// first of its links, in the file's order, may be outer packets.
fn open_captures(
    scenario: &Scenario,
    world: &mut ScenarioWorld,
    folder: &Path,
) -> Result<Vec<(PathBuf, RecorderId)>, Problem> {
    std::fs::create_dir_all(folder).map_err(|error| Problem::io(&folder.display().to_string(), &error))?;
    let mut files = Vec::new();
    let inside = scenario.links.iter().any(|link| link.config.over_network);
    let hosts = scenario.hosts.iter().map(|host| (host.name.as_str(), usize::MAX));
    let routers = scenario.routers.iter().filter(|_| inside).map(|router| (router.name.as_str(), 1));
    for (name, most_links) in hosts.chain(routers) {
        let path = folder.join(format!("{}-{name}.pcapng", file_name(&scenario.name)));
        let file = File::create(&path).map_err(|error| Problem::io(&path.display().to_string(), &error))?;
        let recorder = world.world.add_recorder(PcapNg::new(BufWriter::new(file)));
        for (link, end) in world.ends_at(name).into_iter().take(most_links) {
            world.world.tap(recorder, link, end);
        }
        files.push((path, recorder));
    }
    Ok(files)
}

/// A scenario's name comes from a file, and shall lead nowhere else.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    name.chars().map(plain).collect()
}
