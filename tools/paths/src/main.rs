//! Measures every path with `narrows path`'s own code, checks it against the truth, and prints a table; with `--others`, other tools
//! beside it.

use clap::Parser;
use narrows_namespaces::{Error, permitted};
use narrows_probe::{Options, Report, Target, measure};
use paths::bed::server;
use paths::check::check;
use paths::honest::{can_be_exact, honest};
use paths::others::{self, Answer};
use paths::random::random;
use paths::scenario::{Build, User};
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
    /// Measure each path so often, with other losses each time
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    repeat: u64,
    /// Print each report
    #[arg(long)]
    verbose: bool,
    /// Without raw sockets
    #[arg(long)]
    plain: bool,
    /// Instead of those: paths drawn from this seed, whose answers have to be exact or honest
    #[arg(long, value_name = "SEED")]
    random: Option<u64>,
    /// How many are drawn
    #[arg(long, default_value_t = 150)]
    count: usize,
    /// Instead: run a program at the path's beginning; its last argument becomes the server's address and port
    #[arg(last = true)]
    program: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !permitted() {
        return ExitCode::from(3);
    }
    if arguments.program.is_empty() {
        println!("{}", head(arguments.others.is_some()));
    }
    let mut failed = 0;
    let mut times = Vec::new();
    for scenario in chosen(&arguments) {
        if let Some((program, rest)) = arguments.program.split_first() {
            run_program(&scenario, program, rest);
            continue;
        }
        match run(&scenario, &arguments) {
            Ok((measured, answers)) => {
                let wrong = judge(&scenario, &measured, &arguments);
                failed += usize::from(!wrong.is_empty());
                println!("{}", row(&scenario, &measured, &answers, wrong.is_empty()));
                for what in wrong {
                    eprintln!("  wrong: {what}");
                }
                if arguments.verbose {
                    eprintln!("{measured:#?}");
                }
                times.extend(measured.ok().filter(|report| report.to_peer.path_mtu.exact().is_some()));
            }
            Err(error) => {
                failed += 1;
                eprintln!("{}: {error}", scenario.name);
            }
        }
    }
    if arguments.program.is_empty() {
        sum_up(&times);
    }
    if failed > 0 {
        eprintln!("{failed} wrong");
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
}

/// The paths that are asked for, as often as is asked.
fn chosen(arguments: &Arguments) -> Vec<Scenario> {
    let all = arguments.random.map_or_else(scenarios, |seed| random(seed, arguments.count));
    let chosen = all
        .into_iter()
        .filter(|scenario| arguments.only.as_ref().is_none_or(|only| scenario.name.contains(only.as_str())));
    chosen
        .flat_map(|mut scenario| {
            if arguments.plain {
                scenario.user = User::Anybody;
            }
            (1..=arguments.repeat).map(move |seed| {
                if let Build::Wire { path, .. } = &mut scenario.build {
                    path.seed = seed;
                }
                scenario.clone()
            })
        })
        .collect()
}

fn run_program(scenario: &Scenario, program: &str, rest: &[String]) {
    println!("\n{}", scenario.name);
    let done = with_bed(scenario, || {
        let target = std::net::SocketAddr::new(server(scenario.ipv6), scenario.port).to_string();
        Ok(std::process::Command::new(program).args(rest).arg(target).status()?)
    });
    println!("{}", done.map_or_else(|error| error.to_string(), |status| status.to_string()));
}

type Measured = Result<Report, narrows_probe::Error>;

fn run(scenario: &Scenario, arguments: &Arguments) -> Result<(Measured, Vec<Answer>), Error> {
    with_bed(scenario, || {
        let address = server(scenario.ipv6);
        let mut options = Options::new(Target { host: address.to_string(), port: Some(scenario.port) });
        (options.http, options.raw) = (scenario.http, scenario.user == User::Root);
        let begun = std::time::Instant::now();
        let mut tell = |progress: &narrows_probe::Progress| {
            if arguments.verbose {
                eprintln!("{:6.0} ms {progress:?}", begun.elapsed().as_secs_f64() * 1e3);
            }
        };
        let measured = measure(&options, &mut tell);
        let limit = arguments.others.map(Duration::from_secs);
        Ok((measured, limit.map(|limit| others::ask(address, limit)).unwrap_or_default()))
    })
}

/// What is wrong. A path that was drawn may be one on which nothing can be known, and its time is not judged.
fn judge(scenario: &Scenario, measured: &Measured, arguments: &Arguments) -> Vec<String> {
    match measured {
        Ok(report) if arguments.random.is_some() => honest(scenario, report),
        Err(_) if arguments.random.is_some() && !can_be_exact(scenario) => Vec::new(),
        Ok(report) => {
            let mut wrong = check(scenario, report);
            if report.duration > scenario.within {
                wrong.push(format!("{:.2?} are more than {:.1?}", report.duration, scenario.within));
            }
            wrong
        }
        Err(error) => vec![error.to_string()],
    }
}

/// How many sizes to the server were exact, and how long these took.
fn sum_up(reports: &[Report]) {
    let mut times: Vec<f64> = reports.iter().map(|report| report.duration.as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last());
    if let (Some(half), Some(most), Some(last)) = (at(0.5), at(0.95), times.last()) {
        println!(
            "\n{} exact to the server: median {half:.2} s, 95 % within {most:.2} s, longest {last:.2} s",
            times.len()
        );
    }
}

fn head(others: bool) -> String {
    let mut columns = vec!["path", "truth", "narrows path", "time", "probes"];
    if others {
        columns.extend(others::names());
    }
    format!("| {} |\n|{}", columns.join(" | "), " --- |".repeat(columns.len()))
}

fn row(scenario: &Scenario, measured: &Measured, answers: &[Answer], fine: bool) -> String {
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
    let verdict = if fine { "" } else { "WRONG " };
    let mut text = format!("| {} | {} / {back} | {verdict}", scenario.name, scenario.to_server);
    let _ = match measured {
        Ok(report) => write!(
            text,
            "{} / {} | {:.2} s | {} |",
            size(report.to_peer.path_mtu),
            size(report.from_peer.path_mtu),
            report.duration.as_secs_f64(),
            report.probes,
        ),
        Err(_) => write!(text, "no answer | | |"),
    };
    for answer in answers {
        let mtu = answer.mtu.map_or("no answer".to_owned(), |mtu| mtu.to_string());
        let verdict = if answer.mtu.is_some_and(|mtu| mtu != scenario.to_server) { "**wrong** " } else { "" };
        let time = answer.time.map_or("ended".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()));
        let _ = write!(text, " {verdict}{mtu}, {time} |");
    }
    text
}
