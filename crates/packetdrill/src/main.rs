//! `narrows-packetdrill PATH…`: which scripts does the stack pass?

use clap::Parser;
use narrows_packetdrill::report::{Summary, line};
use narrows_packetdrill::{IpVersion, Settings, run_script, run_with_packets};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs packetdrill scripts against this project's TCP/IP stack in virtual time.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Scripts, or directories with scripts (*.pkt)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// ipv4, ipv6 or ipv4-mapped-ipv6; a script's own option wins
    #[arg(long = "ip_version", alias = "ip-version", default_value = "ipv4")]
    ip_version: IpVersion,
    /// A word of the scripts that stands for another
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE")]
    defines: Vec<String>,
    /// How far an event may be off, microseconds
    #[arg(long = "tolerance_usecs", alias = "tolerance-usecs")]
    tolerance: Option<i64>,
    /// Packets that nobody expected are an error at the end of a script
    #[arg(long)]
    no_leftovers: bool,
    /// Show every packet that leaves
    #[arg(short, long)]
    packets: bool,
    /// Show only what does not pass
    #[arg(short, long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut settings = Settings {
        ip_version: arguments.ip_version,
        no_leftovers: arguments.no_leftovers,
        ..Settings::default()
    };
    settings.tolerance = arguments.tolerance.unwrap_or(settings.tolerance);
    for define in &arguments.defines {
        let Some((name, value)) = define.split_once('=') else {
            eprintln!("-D {define}: NAME=VALUE was expected");
            return ExitCode::from(2);
        };
        settings.defines.insert(name.to_owned(), value.to_owned());
    }
    let mut scripts = Vec::new();
    for path in &arguments.paths {
        if let Err(error) = gather(path, &mut scripts) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::from(2);
        }
    }
    let mut summary = Summary::default();
    let mut out = std::io::stdout().lock();
    for script in &scripts {
        let outcome = if arguments.packets {
            let (packets, outcome) = run_with_packets(script, &settings);
            for packet in packets {
                let _ = writeln!(out, "{packet}");
            }
            outcome
        } else {
            run_script(script, &settings)
        };
        summary.count(&outcome);
        if !arguments.quiet || outcome.is_err() {
            let text = line(&script.display().to_string(), &outcome);
            if writeln!(out, "{text}").is_err() {
                // Whoever read this has seen enough.
                return ExitCode::SUCCESS;
            }
        }
    }
    let _ = writeln!(out, "{summary}");
    if summary.failed == 0 && !scripts.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A script, or all scripts below a directory, in the order of their names.
fn gather(path: &Path, scripts: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        scripts.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "pkt") {
            gather(&entry, scripts)?;
        }
    }
    Ok(())
}
