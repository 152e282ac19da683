//! Why did a lab not run to its end?

use super::engine::Stopped;
use narrows_lab::BuildError;
use narrows_stack::Instant;
use std::path::Path;
use std::time::Duration;

/// Why a future on a lab was not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabError {
    /// The hosts and links make no sense together.
    #[error(transparent)]
    World(#[from] BuildError),
    /// A link leads to a name that nothing has.
    #[error("nothing is called `{name}` in this lab; there are: {}", known.join(", "))]
    UnknownName {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Hosts, routers and links can only be added before the lab runs for the first time.
    #[error("`{0}` was added after the lab had run: add all hosts, routers and links before")]
    TooLate(String),
    /// A lab was run from within a lab.
    #[error("this lab is running already")]
    Nested,
    /// The capture's file could not be made.
    #[error("{path}: {error}")]
    Capture {
        /// The file.
        path: String,
        /// What the file system says.
        error: String,
    },
    /// tokio could not make a runtime.
    #[error("tokio's runtime: {0}")]
    Runtime(String),
    /// The future waits, and nothing that it could wait for is going to happen.
    #[error(
        "the future is not ready, and nothing happens any more: the last packet or timer of a host was at {last_event:?}, no task can \
         go on (does one wait for something that only another end can do?)"
    )]
    Stuck {
        /// The virtual time of the last packet or timer of a host.
        last_event: Duration,
    },
    /// The future was not ready within the time limit.
    #[error(
        "the future is not ready within the time limit, and packets are still under way (the last was at {last_event:?})"
    )]
    TimeLimit {
        /// The virtual time of the last packet or timer of a host.
        last_event: Duration,
    },
}

impl LabError {
    pub(super) fn capture(path: &Path, error: &std::io::Error) -> LabError {
        LabError::Capture { path: path.display().to_string(), error: error.to_string() }
    }

    pub(super) fn stopped(stop: Stopped, last_event: Instant) -> LabError {
        let last_event = last_event.since(Instant::ZERO);
        match stop {
            Stopped::Limit { busy: true } => LabError::TimeLimit { last_event },
            Stopped::Limit { busy: false } => LabError::Stuck { last_event },
        }
    }
}
