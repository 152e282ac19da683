//! Is a scenario that was made of a capture as good as the capture? What `explain --scenario` writes of variant a alone, run again
//! in the lab with the knobs of the other variants set in the file, against what was measured of those.

use crate::Error;
use crate::analyse::Analyst;
use crate::measure::Measure;
use crate::predictions::{measured, turning};
use crate::truth::Truth;
use narrows_lab::scenario::{HostSpec, Override, Scenario};
use narrows_trace::Connection;
use narrows_whatif::{KnobSide, Turning, scenario_of};
use std::fmt::Write as _;
use std::path::Path;

/// How near a rebuilt variant shall be.
pub const GOAL: f64 = 0.10;
/// Each scenario is run with so many seeds: where ticks begin is not in the capture.
const SEEDS: u64 = 5;

/// One variant.
#[derive(Clone, Debug)]
pub struct Row {
    /// Scenario and variant.
    pub name: String,
    /// What was set in the file.
    pub set: String,
    /// Seconds, by the application's clock.
    pub measured_s: f64,
    /// Seconds, from the file, or why there is none.
    pub rebuilt_s: Result<f64, String>,
}

impl Row {
    /// How far it is off, as a part of what was measured.
    pub fn error(&self) -> Option<f64> {
        Some((self.rebuilt_s.as_ref().ok()? - self.measured_s) / self.measured_s)
    }

    /// It was run, and is further off than the goal.
    pub fn misses(&self) -> bool {
        self.error().is_some_and(|error| error.abs() > GOAL)
    }
}

/// Rebuilds the variants of one truth from variant a's capture.
///
/// # Errors
/// When that cannot be read.
pub fn rebuild(analyst: &dyn Analyst, folder: &Path, truth: &Truth) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let Some(found) = truth.variants.get("a") else { return Ok(rows) };
    let Some(file) = found.files.client.as_ref().or(found.files.server.as_ref()) else { return Ok(rows) };
    let connections = analyst.read(&folder.join(file))?.connections;
    for connection in &connections {
        let (client_port, server_port) = (connection.client.port(), connection.server.port());
        let label = found.label(client_port, server_port);
        if label.is_none() && connections.len() > 1 {
            // What was measured is of all connections together; a file holds one.
            continue;
        }
        let requests = found
            .connections
            .iter()
            .find(|c| (c.client_port, c.server_port) == (client_port, server_port))
            .map_or(connection.exchanges, |c| c.requests);
        for (letter, variant) in truth.variants.iter().filter(|(letter, _)| *letter != "a") {
            let measured = measured(truth, found, variant, label, requests);
            let (Some(measured), Some(turning)) = (measured, turning(&variant.knobs)) else { continue };
            let Some(set) = overrides(&turning) else { continue };
            rows.push(Row {
                name: format!("{} {letter}", truth.scenario),
                set: set.iter().map(|set| format!("{}={}", set.key, set.value)).collect::<Vec<_>>().join(" "),
                measured_s: measured.after_s,
                rebuilt_s: run(connection, &set, measured.measure),
            });
        }
    }
    Ok(rows)
}

/// What has to be set in a file; `None` for a knob that no file has: the stack or the lab does not have it.
fn overrides(turning: &Turning) -> Option<Vec<Override>> {
    let sides: &[&str] = match turning.side {
        KnobSide::Client => &["client"],
        KnobSide::Server => &["server"],
        KnobSide::Both => &["client", "server"],
        KnobSide::Path => return None,
    };
    let mut host = HostSpec::new("any", "linux");
    let words = match (turning.knob.as_str(), turning.value.as_str()) {
        ("quickack", "true") => [turning.by.as_deref().unwrap_or("route"), "route"],
        // The truth has some switches as Linux's numbers.
        (_, "0") => ["0", "false"],
        (_, "1") => ["1", "true"],
        (_, value) => [value, value],
    };
    let value = words.into_iter().find(|value| host.set(&turning.knob, value).is_ok())?;
    let bare = value.parse::<u64>().is_ok() || value == "true" || value == "false";
    let value = if bare { value.to_owned() } else { format!("\"{value}\"") };
    let set = |side: &&str| Override::new(&format!("host.{side}.knobs.{}", turning.knob), &value);
    Some(sides.iter().map(set).collect())
}

/// The median of several seeds.
fn run(connection: &Connection, set: &[Override], measure: Measure) -> Result<f64, String> {
    let (scenario, _) = scenario_of(connection, "rebuilt")?;
    let text = scenario.to_toml();
    let no_file = |_: &str| Err("it refers to no file".to_owned());
    let mut values = Vec::new();
    for seed in 1..=SEEDS {
        let mut scenario = Scenario::from_toml_with("rebuilt.toml", &text, set, &no_file)
            .map_err(|error| error.to_string())?;
        scenario.seed = seed;
        let report = scenario.run().map_err(|error| error.to_string())?;
        let workload =
            report.workloads.first().filter(|_| report.completed()).ok_or("it did not complete")?;
        values.push(match measure {
            Measure::Total => workload.duration.as_secs_f64(),
            Measure::MeanExchange => workload.mean().ok_or("it has no exchange")?.as_secs_f64(),
            Measure::MeanWithConnect { requests } => {
                let connecting = connection.round_trip.path.unwrap_or_default();
                (workload.mean().ok_or("it has no exchange")? + connecting / requests).as_secs_f64()
            }
        });
    }
    values.sort_by(f64::total_cmp);
    Ok(values[values.len() / 2])
}

/// The page.
pub fn page(rows: &[Row]) -> String {
    let run = rows.iter().filter(|row| row.rebuilt_s.is_ok()).count();
    let near = rows.iter().filter(|row| row.rebuilt_s.is_ok() && !row.misses()).count();
    let mut page = format!(
        "# Is a scenario of a capture as good as the capture?\n\n\
         `narrows explain --scenario` writes a captured connection as a scenario. Here that was done with the capture of variant a of \
         each situation; the knobs of the other variants were set in the file, and `narrows lab run` ran it ({SEEDS} seeds, medians). \
         Beside it is what the application's clock measured with real Linux hosts whose knob was turned. This page is made by \
         `cargo run --release -p accuracy -- DIR --rebuild docs/rebuilt.md`.\n\n\
         The goal is {:.0} %. Of {} variants {run} could be rebuilt, and {near} reach it. What does not is in bold.\n\n\
         | variant | set in the file | measured, ms | rebuilt, ms | difference |\n| --- | --- | ---: | ---: | ---: |\n",
        GOAL * 100.0,
        rows.len(),
    );
    for row in rows {
        let measured = row.measured_s * 1e3;
        let result = match (&row.rebuilt_s, row.error()) {
            (Ok(rebuilt), Some(error)) => {
                let bold = if row.misses() { "**" } else { "" };
                format!("{:.2} | {bold}{:+.1} %{bold}", rebuilt * 1e3, error * 100.0)
            }
            (Err(why), _) => format!("– | {why}"),
            (Ok(_), None) => "– | –".to_owned(),
        };
        let _ = writeln!(page, "| {} | `{}` | {measured:.2} | {result} |", row.name, row.set);
    }
    page
}
