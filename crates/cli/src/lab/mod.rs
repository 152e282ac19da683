//! What does `narrows lab` do? One file per verb.

mod args;
mod claims;
mod compare;
mod cpu;
mod json;
mod list;
mod load;
mod page;
mod plot;
mod run;
mod sweep;
mod up;
mod watch;

pub use args::LabCommand;
pub use json::line as json_line;

use crate::exit::Outcome;
use crate::terminal;
use std::io::{self, Write};

/// Why a verb could not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What happened, where, and what to do.
    pub message: String,
    /// What that means for the exit status.
    pub outcome: Outcome,
}

impl Problem {
    fn unusable(message: impl Into<String>) -> Problem {
        Problem { message: message.into(), outcome: Outcome::Unusable }
    }

    fn io(what: &str, error: &io::Error) -> Problem {
        Problem { message: format!("{what}: {error}"), outcome: Outcome::of_error(error) }
    }
}

/// Does what the command says: results to stdout, the rest to stderr.
///
/// # Errors
/// Those of stdout, except that a reader who has gone away is no error.
pub fn run(command: &LabCommand) -> io::Result<Outcome> {
    let look = terminal::look(None);
    let done = match command {
        LabCommand::Run(arguments) => run::run(arguments, look),
        LabCommand::Sweep(arguments) => sweep::run(arguments, look),
        LabCommand::List { json } => Ok((list::render(*json, look), Outcome::Quiet)),
        LabCommand::Claims(arguments) => claims::run(arguments, look),
        LabCommand::Up(arguments) => up::run_up(arguments, look),
        LabCommand::Exec(arguments) => up::run_exec(arguments),
        LabCommand::Down(arguments) => up::run_down(arguments),
        LabCommand::Compare(arguments) => compare::run(arguments, look),
    };
    let (text, outcome) = match done {
        Ok(done) => done,
        Err(problem) => {
            writeln!(io::stderr(), "narrows: {}", look.spell(&problem.message))?;
            return Ok(problem.outcome);
        }
    };
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(outcome),
    }
}
