//! What is asked of the lab? Its part of the command line.

use clap::{Args, Subcommand};
use narrows_lab::scenario::Override;
use std::path::PathBuf;

const RUN_EXAMPLES: &str = "\
Examples:
  A scenario that comes with narrows, as it is and with a knob turned:
    narrows lab run slow-rpc
    narrows lab run slow-rpc --set client.nodelay=true --set path.delay=20ms
  Captures of it for Wireshark and for explain:
    narrows lab run slow-rpc --pcap captures && narrows explain captures/slow-rpc-client.pcapng";

const SWEEP_EXAMPLES: &str = "\
Examples:
  Two knobs against each other, as a table and a plot:
    narrows lab sweep slow-rpc --over path.delay=0.5ms,5ms,20ms --over client.nodelay=false,true --svg rpc.svg";

const UP_EXAMPLES: &str = "\
Examples:
  A server and a client on the links of a scenario:
    sudo narrows lab up slow-rpc &
    sudo narrows lab exec server python3 -m http.server &
    sudo narrows lab exec client sh -c 'curl http://$NARROWS_SERVER:8000/'
    sudo narrows lab down";

const COMPARE_EXAMPLES: &str = "\
Examples:
  A scenario on our stack and on Linux, with captures of both:
    sudo narrows lab compare slow-rpc --repetitions 9 --pcap captures
  All scenarios by which the lab is judged:
    sudo narrows lab compare --truth docs/truth.md";

/// The lab's verbs.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Run a scenario in virtual time and show what came of it
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArguments),
    /// Run a scenario for every combination of some keys' values, on all cores
    #[command(after_help = SWEEP_EXAMPLES)]
    Sweep(SweepArguments),
    /// List the scenarios that come with narrows
    List {
        /// Print JSON (schema narrows.lab.list/1)
        #[arg(long)]
        json: bool,
    },
    /// Put claims about network performance to the test: what is claimed beside what is measured
    Claims(ClaimsArguments),
    /// Make real hosts of a scenario's, in network namespaces on its links, for any program (root, or a user namespace)
    ///
    /// Stays until Ctrl-C or `narrows lab down`; nothing is left behind.
    #[command(after_help = UP_EXAMPLES)]
    Up(ScenarioArguments),
    /// Run a program on a host of the lab that is up
    #[command(after_help = UP_EXAMPLES)]
    Exec(super::up::ExecArguments),
    /// End the lab that is up
    Down(super::up::DownArguments),
    /// Play a scenario on our stack and between real Linux hosts, and show both side by side (root)
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(super::compare::CompareArguments),
}

/// Which scenario, and what is changed in it.
#[derive(Clone, Debug, Args)]
pub struct ScenarioArguments {
    /// A scenario's file, or the name of one that comes with narrows (narrows lab list)
    #[arg(value_name = "FILE|NAME")]
    pub scenario: String,

    /// Set a key of the scenario (repeatable), as link.path.delay=20ms or client.nodelay=true
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,

    /// Take this seed instead of the scenario's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// The arguments of `lab run`.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArguments,

    /// Write what each host sees into DIR/SCENARIO-HOST.pcapng, with virtual timestamps; of a scenario with a tunnel over the network
    /// also what each router sees on its first link
    #[arg(long, value_name = "DIR")]
    pub pcap: Option<PathBuf>,

    /// Print JSON (schema narrows.lab.run/1)
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `lab sweep`.
#[derive(Clone, Debug, Args)]
pub struct SweepArguments {
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArguments,

    /// Run with each of these values (repeatable: then with each combination), as path.delay=1ms,10ms,100ms
    #[arg(long, value_name = "KEY=A,B,…", required = true, value_parser = Axis::parse)]
    pub over: Vec<Axis>,

    /// Write a plot: the first --over to the right, one line for each combination of the others
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,

    /// What the plot shows upwards; otherwise the mean exchange where there are exchanges, else the duration
    #[arg(long, value_name = "WHAT", value_enum)]
    pub plot: Option<super::sweep::Measure>,

    /// Print JSON (schema narrows.lab.sweep/1)
    #[arg(long)]
    pub json: bool,

    /// Threads; otherwise one per core (the result is the same)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

/// The arguments of `lab claims`.
#[derive(Clone, Debug, Args)]
pub struct ClaimsArguments {
    /// Only this claim, as ack-4
    #[arg(value_name = "ID")]
    pub id: Option<String>,

    /// Print JSON (schema narrows.lab.claims/1)
    #[arg(long)]
    pub json: bool,

    /// Print Markdown, as docs/claims.md has it
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

/// One key and the values that it gets one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The key, as for `--set`.
    pub key: String,
    /// Its values, as typed.
    pub values: Vec<String>,
}

impl Axis {
    /// Reads `KEY=A,B,…`; commas within brackets, braces and quotes belong to a value.
    pub fn parse(text: &str) -> Result<Axis, String> {
        let expected = || "expected KEY=A,B,…, as path.delay=1ms,10ms".to_owned();
        let (key, rest) = text.split_once('=').ok_or_else(expected)?;
        let mut values = vec![String::new()];
        let (mut depth, mut quoted) = (0i32, false);
        for character in rest.chars() {
            match character {
                '"' => quoted = !quoted,
                '[' | '{' if !quoted => depth += 1,
                ']' | '}' if !quoted => depth -= 1,
                _ => {}
            }
            match values.last_mut() {
                Some(value) if character != ',' || depth > 0 || quoted => value.push(character),
                _ => values.push(String::new()),
            }
        }
        let values: Vec<String> = values.iter().map(|value| value.trim().to_owned()).collect();
        if key.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(expected());
        }
        Ok(Axis { key: key.trim().to_owned(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_a_key_and_values_whose_own_commas_are_theirs() {
        let axis = Axis::parse("rpc.request=[12, 180],[192] , \"1,5KB\"").expect("an axis");
        assert_eq!((axis.key.as_str(), axis.values.len()), ("rpc.request", 3));
        assert_eq!(axis.values, ["[12, 180]", "[192]", "\"1,5KB\""]);
        for wrong in ["path.delay", "=1", "a=", "a=1,,2"] {
            assert!(Axis::parse(wrong).is_err(), "{wrong}");
        }
    }
}
