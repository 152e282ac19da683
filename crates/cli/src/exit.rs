//! What does the exit status say? 0 nothing above the threshold, 1 findings, 2 unusable input or arguments,
//! 3 not permitted.

use std::io;
use std::process::ExitCode;

/// How a run ended. Of several files the gravest counts; they are in the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No finding above the threshold.
    Quiet,
    /// At least one finding above the threshold.
    Findings,
    /// A file or an argument could not be used, or a file is damaged.
    Unusable,
    /// The operating system does not permit it.
    NotPermitted,
}

impl Outcome {
    /// The outcome that an error in opening or reading a file stands for.
    pub fn of_error(error: &io::Error) -> Outcome {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Outcome::NotPermitted,
            _ => Outcome::Unusable,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Quiet => 0,
            Outcome::Findings => 1,
            Outcome::Unusable => 2,
            Outcome::NotPermitted => 3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_is_not_an_unusable_file() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let missing = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(Outcome::of_error(&denied), Outcome::NotPermitted);
        assert_eq!(Outcome::of_error(&missing), Outcome::Unusable);
    }

    #[test]
    fn the_gravest_counts() {
        let run = [Outcome::Findings, Outcome::Unusable, Outcome::Quiet];
        assert_eq!(run.into_iter().max(), Some(Outcome::Unusable));
    }
}
