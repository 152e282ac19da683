//! How do any programs get onto a scenario's links? Real hosts that stay up, programs that run on them, and the end.

use super::Problem;
use super::args::ScenarioArguments;
use super::load::Source;
use crate::exit::Outcome;
use crate::page::{Look, paper::Cell, paper::Paper};
use crate::units;
use clap::Args;
use narrows_namespaces::{Error, RunningLab, WireReport, up};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The arguments of `lab exec`.
#[derive(Clone, Debug, Args)]
pub struct ExecArguments {
    /// The lab, when several are running
    #[arg(long, value_name = "NAME")]
    pub lab: Option<String>,

    /// The host
    pub host: String,

    /// The program with its arguments; the hosts' addresses are in its environment, as NARROWS_SERVER for `server`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The arguments of `lab down`.
#[derive(Clone, Debug, Args)]
pub struct DownArguments {
    /// The lab, when several are running
    #[arg(value_name = "NAME")]
    pub lab: Option<String>,
}

/// An error of real hosts, with what it means for the exit status.
pub fn problem(error: &Error) -> Problem {
    let outcome = match error {
        Error::NotPermitted(_) => Outcome::NotPermitted,
        _ => Outcome::Unusable,
    };
    Problem { message: error.to_string(), outcome }
}

/// Brings a lab up and keeps it up until Ctrl-C or `narrows lab down`.
pub fn run_up(arguments: &ScenarioArguments, look: Look) -> Result<(String, Outcome), Problem> {
    let scenario = Source::open(arguments)?.scenario(&[])?;
    let report = up(&scenario, |lab| {
        let text = running(lab, look);
        // A reader who has gone away is no reason to end.
        let mut out = anstream::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    })
    .map_err(|error| problem(&error))?;
    Ok((ended(&report, look), Outcome::Quiet))
}

fn running(lab: &RunningLab, look: Look) -> String {
    let mut paper = Paper::new(look);
    paper.heading(&format!("{} is up", lab.name));
    let row = |host: &narrows_namespaces::RunningHost| {
        vec![Cell::left(host.name.as_str()), Cell::left(host.address.to_string())]
    };
    paper.table("  ", &lab.hosts.iter().map(row).collect::<Vec<_>>(), 1);
    paper.blank();
    if let Some(host) = lab.hosts.first() {
        paper.prose(&format!(
            "narrows lab exec {} COMMAND… runs a program on a host; Ctrl-C or narrows lab down ends the lab.",
            host.name
        ));
    }
    paper.finish()
}

fn ended(report: &WireReport, look: Look) -> String {
    let mut paper = Paper::new(look);
    paper.prose(&format!(
        "{} in, {} out; they left {} (median) and {} (p99) later than they should.",
        units::plural(report.packets_in, "packet"),
        units::count(report.packets_out),
        units::duration(report.late.quantile(0.5)),
        units::duration(report.late.quantile(0.99)),
    ));
    for (count, why) in [
        (report.skipped_multicast, "to a group of hosts were not carried"),
        (report.skipped_unreadable, "with IP options, or not IP, were not carried"),
        (report.refused, "were not taken by their host"),
    ] {
        if count > 0 {
            paper.prose(&format!("{} {why}.", units::plural(count, "packet")));
        }
    }
    if !report.ahead {
        paper.prose("The wire had no right to run ahead of other programs (CAP_SYS_NICE): on a busy machine packets come late.");
    }
    paper.finish()
}

/// Runs a program on a host: this process becomes it.
pub fn run_exec(arguments: &ExecArguments) -> Result<(String, Outcome), Problem> {
    let lab = RunningLab::find(arguments.lab.as_deref()).map_err(|error| problem(&error))?;
    lab.enter(&arguments.host).map_err(|error| problem(&error))?;
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Problem::unusable("which program? COMMAND is missing"));
    };
    let mut command = Command::new(program);
    command.args(rest);
    let (mark, whose) = lab.mark();
    command.env(mark, whose);
    for host in &lab.hosts {
        command.env(variable(&host.name), host.address.to_string());
    }
    let error = command.exec();
    Err(Problem::io(&program.to_string_lossy(), &error))
}

/// The variable with a host's address.
fn variable(host: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("NARROWS_{}", host.chars().map(word).collect::<String>())
}

/// Ends a lab, and what is left of one whose process has gone.
pub fn run_down(arguments: &DownArguments) -> Result<(String, Outcome), Problem> {
    let name = arguments.lab.as_deref();
    let (crashed, programs) = RunningLab::clear_crashed(name).map_err(|error| problem(&error))?;
    let mut out = String::new();
    for lab in &crashed {
        out += &format!("The process of {} had gone: ", lab.name);
        out += &format!("{} on its hosts ended.\n", units::plural(programs as u64, "program"));
    }
    match RunningLab::find(name) {
        Err(_) if !crashed.is_empty() => {}
        lab => lab.and_then(|lab| lab.end()).map_err(|error| problem(&error))?,
    }
    Ok((out, Outcome::Quiet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_s_variable_can_be_written_in_a_shell() {
        assert_eq!(variable("web-1.näh"), "NARROWS_WEB_1_N_H");
    }

    #[test]
    fn what_is_not_permitted_says_so_in_the_exit_status() {
        assert_eq!(problem(&Error::NotPermitted("a".to_owned())).outcome, Outcome::NotPermitted);
        assert_eq!(problem(&Error::NotFound("a".to_owned())).outcome, Outcome::Unusable);
    }
}
