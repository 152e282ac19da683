//! The `narrows` command: arguments in, tables, JSON and pages out; no knowledge of its own.

mod args;
mod exit;
mod explain;
mod json;
mod knobs;
mod lab;
mod manual;
mod page;
mod path;
mod progress;
mod read;
mod report;
#[cfg(test)]
mod sample;
mod terminal;
mod threshold;
mod turning;
mod units;

use args::{Arguments, Command, ExplainArguments};
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
        Some(Command::Explain(explain)) => run_explain(&explain),
        Some(Command::Lab { command }) => lab::run(&command),
        Some(Command::Path(arguments)) => path::run(&arguments),
        None => run_explain(&arguments.explain),
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

fn run_explain(arguments: &ExplainArguments) -> io::Result<Outcome> {
    let workshop = explain::Workshop {
        read: &|file| read::file(file),
        predict: &|connection, turnings| narrows_whatif::predict(connection, turnings),
        predict_datagrams: &|flow, turnings| narrows_whatif::predict_datagrams(flow, turnings),
    };
    let mut out = anstream::AutoStream::new(io::stdout(), arguments.color.into());
    let mut notes = io::stderr();
    explain::run(arguments, terminal::look(arguments.width), &workshop, &mut out, &mut notes)
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
