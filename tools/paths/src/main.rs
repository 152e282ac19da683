//! Measures every path with `narrows path`'s own code, checks it against the truth, and prints a table; with `--others`, other tools
//! beside it.

use clap::Parser;
use narrows_namespaces::{Error, permitted};
use narrows_probe::{Options, Report, Target, measure};
use paths::bed::server;
use paths::check::check;
use paths::others::{self, Answer};
use paths::{Scenario, scenarios, with_bed};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// What do narrows path and other tools say about paths whose truth is known?
#[derive(Debug, Parser)]
struct Arguments {
    /// Only the paths with this in their name
    #[arg(long)]
    only: Option<String>,
    /// Ask other tools, too (scamper, tracepath, traceroute), for at most this many seconds each
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "100")]
    others: Option<u64>,
    /// Print each report
    #[arg(long)]
    verbose: bool,
    /// Without raw sockets
    #[arg(long)]
    plain: bool,
    /// Instead: run a program at the path's beginning; its last argument becomes the server's address and port
    #[arg(last = true)]
    program: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !permitted() {
        return ExitCode::from(3);
    }
    let mut failed = 0;
    if arguments.program.is_empty() {
        println!("{}", head(arguments.others.is_some()));
    }
    for scenario in scenarios() {
        if arguments.only.as_ref().is_some_and(|only| !scenario.name.contains(only.as_str())) {
            continue;
        }
        if let Some((program, rest)) = arguments.program.split_first() {
            println!("\n{}", scenario.name);
            let done = with_bed(&scenario, || {
                let target = std::net::SocketAddr::new(server(scenario.ipv6), scenario.port).to_string();
                Ok(std::process::Command::new(program).args(rest).arg(target).status()?)
            });
            println!("{}", done.map_or_else(|error| error.to_string(), |status| status.to_string()));
            continue;
        }
        match run(&scenario, &arguments) {
            Ok((report, answers)) => {
                let wrong = check(&scenario, &report);
                failed += usize::from(!wrong.is_empty());
                println!("{}", row(&scenario, &report, &answers, wrong.is_empty()));
                for what in wrong {
                    eprintln!("  wrong: {what}");
                }
                if arguments.verbose {
                    eprintln!("{report:#?}");
                }
            }
            Err(error) => {
                failed += 1;
                eprintln!("{}: {error}", scenario.name);
            }
        }
    }
    if failed > 0 {
        eprintln!("{failed} wrong");
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
}

fn run(scenario: &Scenario, arguments: &Arguments) -> Result<(Report, Vec<Answer>), Error> {
    with_bed(scenario, || {
        let address = server(scenario.ipv6);
        let mut options = Options::new(Target { host: address.to_string(), port: Some(scenario.port) });
        (options.http, options.raw) = (scenario.http, !arguments.plain);
        let begun = std::time::Instant::now();
        let mut tell = |progress: &narrows_probe::Progress| {
            if arguments.verbose {
                eprintln!("{:6.0} ms {progress:?}", begun.elapsed().as_secs_f64() * 1e3);
            }
        };
        let report = measure(&options, &mut tell).map_err(|error| Error::Setup(error.to_string()))?;
        let limit = arguments.others.map(Duration::from_secs);
        Ok((report, limit.map(|limit| others::ask(address, limit)).unwrap_or_default()))
    })
}

fn head(others: bool) -> String {
    let mut columns = vec!["path", "truth", "narrows path", "time", "probes"];
    if others {
        columns.extend(others::names());
    }
    format!("| {} |\n|{}", columns.join(" | "), " --- |".repeat(columns.len()))
}

fn row(scenario: &Scenario, report: &Report, answers: &[Answer], fine: bool) -> String {
    let back = match scenario.to_client {
        paths::scenario::Back::Exact(size) => size.to_string(),
        paths::scenario::Back::AtLeast(size) => format!("≥ {size}"),
        paths::scenario::Back::Unknown => "?".to_owned(),
    };
    let size = |size: narrows_probe::Size| match size {
        narrows_probe::Size::Exact(size) => size.to_string(),
        narrows_probe::Size::AtLeast(size) => format!("≥ {size}"),
        narrows_probe::Size::Unknown => "?".to_owned(),
    };
    let mut text = format!(
        "| {} | {} / {} | {}{} / {} | {:.2} s | {} |",
        scenario.name,
        scenario.to_server,
        back,
        if fine { "" } else { "WRONG " },
        size(report.to_peer.path_mtu),
        size(report.from_peer.path_mtu),
        report.duration.as_secs_f64(),
        report.probes,
    );
    for answer in answers {
        let mtu = answer.mtu.map_or("no answer".to_owned(), |mtu| mtu.to_string());
        let verdict = if answer.mtu.is_some_and(|mtu| mtu != scenario.to_server) { "**wrong** " } else { "" };
        let time = answer.time.map_or("ended".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()));
        let _ = write!(text, " {verdict}{mtu}, {time} |");
    }
    text
}
