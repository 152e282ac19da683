//! What does `narrows path` do? Measures the live path to a host, and shows what is known of it.

mod args;
mod json;
mod page;

pub use args::{EXAMPLES, EXIT_STATUS, PathArguments};

use crate::exit::Outcome;
use crate::page::Look;
use crate::progress::Progress;
use crate::terminal;
use narrows_probe::{Error, measure};
use std::io::{self, Write as _};

/// Measures and shows: the result to stdout, the rest to stderr.
///
/// # Errors
/// Those of stdout, except that a reader who has gone away is no error.
pub fn run(arguments: &PathArguments) -> io::Result<Outcome> {
    let look = terminal::look(None);
    let mut progress = Progress::spinner(&arguments.target.host);
    let measured = measure(&arguments.options(), &mut |now| progress.say(&page::progress(now)));
    drop(progress);
    let (text, outcome) = match measured {
        Ok(report) => {
            let text = if arguments.json { json::report(&report) } else { page::render(&report, look) };
            (text, if report.findings.is_empty() { Outcome::Quiet } else { Outcome::Findings })
        }
        Err(error) => (failed(arguments, &error, look)?, outcome(&error)),
    };
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(outcome),
    }
}

/// Says on stderr what went wrong; what goes to stdout.
fn failed(arguments: &PathArguments, error: &Error, look: Look) -> io::Result<String> {
    writeln!(io::stderr(), "narrows: {}", look.spell(&error.to_string()))?;
    Ok(if arguments.json { json::error(&arguments.target.host, error) } else { String::new() })
}

fn outcome(error: &Error) -> Outcome {
    match error {
        Error::NotPermitted { .. } => Outcome::NotPermitted,
        Error::Io { source, .. } => Outcome::of_error(source),
        _ => Outcome::Unusable,
    }
}
