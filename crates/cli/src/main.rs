//! The `narrows` command: arguments in, tables, JSON and pages out; no knowledge of its own.

mod args;
mod exit;
mod explain;
mod json;
mod knobs;
mod manual;
mod page;
mod progress;
mod report;
#[cfg(test)]
mod sample;
mod terminal;
mod threshold;
mod turning;
mod units;

use args::{Arguments, Command};
use clap::Parser;
use exit::Outcome;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Knobs { name }) => run_knobs(name.as_deref()),
        Some(Command::Completions { shell }) => quiet(manual::completions(shell, &mut io::stdout())),
        Some(Command::Man) => quiet(manual::man(&mut io::stdout())),
        Some(Command::Explain(_)) | None => Ok(Outcome::Unusable),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            // Nobody is left to tell when stderr fails, too.
            let _ = writeln!(io::stderr(), "narrows: standard output: {error}");
            Outcome::Unusable.into()
        }
    }
}

fn run_knobs(name: Option<&str>) -> io::Result<Outcome> {
    match knobs::render(name, terminal::look(None)) {
        Ok(text) => quiet(anstream::stdout().write_all(text.as_bytes())),
        Err(error) => {
            writeln!(io::stderr(), "narrows: {error}")?;
            Ok(Outcome::Unusable)
        }
    }
}

/// A reader who has gone away is no error.
fn quiet(result: io::Result<()>) -> io::Result<Outcome> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(Outcome::Quiet),
    }
}
