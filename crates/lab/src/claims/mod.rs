//! Does what is said about network performance hold? One experiment per claim: the number claimed beside the measured one.
//!
//! Each experiment is a scenario (or a few) that anyone can run again; an experiment that contradicts its claim wins, and
//! says why.
//!
//! ```
//! use narrows_lab::claims::{CLAIMS, Verdict};
//!
//! let claim = CLAIMS.iter().find(|claim| claim.id == "ack-4").ok_or("there is no such claim")?;
//! let evidence = (claim.experiment)()?;
//! assert_eq!(evidence.verdict(), Verdict::Holds);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ack_1;
mod ack_2;
mod ack_3;
mod ack_4;
mod ack_5;
mod ack_6;
mod ack_7;
mod load_3;
mod observe;
mod size_1;
mod size_10;
mod size_11;
mod size_12;
mod size_13;
mod size_2;
mod size_3;
mod size_4;
mod size_5;
mod size_6;
mod size_7;
mod size_8;
mod size_9;
mod sizes;

use crate::scenario::{Override, RunError, RunReport, Scenario, ScenarioError};
use std::time::Duration;

/// A claim and its experiment.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its identifier.
    pub id: &'static str,
    /// What is claimed.
    pub text: &'static str,
    /// What is done.
    pub setting: &'static str,
    /// Does it.
    pub experiment: fn() -> Result<Evidence, ExperimentError>,
}

/// All claims that have an experiment, in order.
pub const CLAIMS: &[Claim] = &[
    ack_1::CLAIM,
    ack_2::CLAIM,
    ack_3::CLAIM,
    ack_4::CLAIM,
    ack_5::CLAIM,
    ack_6::CLAIM,
    ack_7::CLAIM,
    load_3::CLAIM,
    size_1::CLAIM,
    size_2::CLAIM,
    size_3::CLAIM,
    size_4::CLAIM,
    size_5::CLAIM,
    size_6::CLAIM,
    size_7::CLAIM,
    size_8::CLAIM,
    size_9::CLAIM,
    size_10::CLAIM,
    size_11::CLAIM,
    size_12::CLAIM,
    size_13::CLAIM,
];

/// Why an experiment could not be done: never, unless it is written wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// Its scenario is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Its scenario cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Something expected did not happen at all.
    #[error("the experiment did not show {0}")]
    Nothing(&'static str),
}

/// What an experiment has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Each number.
    pub rows: Vec<Row>,
    /// Why some of them are not as claimed, or what else is to be known; may be empty.
    pub because: String,
}

/// One number of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of what.
    pub what: String,
    /// As claimed.
    pub claimed: String,
    /// As measured.
    pub measured: String,
    /// The measured one is as claimed.
    pub holds: bool,
}

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All numbers are as claimed.
    Holds,
    /// Some are not; [`Evidence::because`] says why.
    DoesNotHoldHere,
}

impl Evidence {
    /// Adds a number.
    fn row(
        &mut self,
        what: impl Into<String>,
        claimed: impl Into<String>,
        measured: impl Into<String>,
        holds: bool,
    ) {
        let row = Row { what: what.into(), claimed: claimed.into(), measured: measured.into(), holds };
        self.rows.push(row);
    }

    /// Whether all numbers are as claimed.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.rows.iter().all(|row| row.holds) { Verdict::Holds } else { Verdict::DoesNotHoldHere }
    }
}

/// Two hosts, one link, one workload: what most experiments are.
fn scenario(workload: &str, set: &[&str]) -> Result<Scenario, ExperimentError> {
    let text = format!(
        "[host.client]\n[host.server]\n[link.path]\nbetween = [\"client\", \"server\"]\n[workload.w]\n{workload}\n"
    );
    let set: Vec<Override> = set
        .iter()
        .filter_map(|change| change.split_once('='))
        .map(|(key, value)| Override::new(key, value))
        .collect();
    let none = |_: &str| Err("an experiment has no files".to_owned());
    Ok(Scenario::from_toml_with("experiment", &text, &set, &none)?)
}

fn run(workload: &str, set: &[&str]) -> Result<RunReport, ExperimentError> {
    Ok(scenario(workload, set)?.run()?)
}

/// The median exchange of the one workload.
fn median(workload: &str, set: &[&str]) -> Result<Duration, ExperimentError> {
    run(workload, set)?.workloads[0].percentile(0.5).ok_or(ExperimentError::Nothing("an exchange"))
}

/// A time with three digits: `40.2 ms`.
fn time(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    match milliseconds {
        short if short < 0.9995 => format!("{:.0} µs", short * 1e3),
        short if short < 9.995 => format!("{short:.2} ms"),
        short if short < 99.95 => format!("{short:.1} ms"),
        short if short < 999.5 => format!("{short:.0} ms"),
        long => format!("{:.2} s", long / 1e3),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_experiment_can_be_done_and_says_why_where_a_claim_does_not_hold() {
        for claim in CLAIMS {
            let evidence = (claim.experiment)().unwrap_or_else(|error| panic!("{}: {error}", claim.id));
            assert!(!evidence.rows.is_empty());
            if evidence.verdict() == Verdict::DoesNotHoldHere {
                assert!(!evidence.because.is_empty(), "{}: {evidence:#?}", claim.id);
            }
        }
    }

    #[test]
    fn the_claims_that_do_not_hold_here_are_known() {
        let contradicted: Vec<&str> = CLAIMS
            .iter()
            .filter(|claim| (claim.experiment)().expect("an experiment").verdict() != Verdict::Holds)
            .map(|claim| claim.id)
            .collect();
        assert_eq!(contradicted, ["ack-1", "ack-7"]);
    }
}
