//! What does `explain` say about a capture? The calls that are scored.

use crate::Error;
use narrows_trace::read::Capture;
use narrows_trace::{AnalyzerOptions, Connection, examine};
use narrows_whatif::{Model, Turning, WhatIf};
use std::path::Path;

/// What is scored.
pub trait Analyst {
    /// Reads a capture: its connections with their findings.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    fn connections(&self, capture: &Path) -> Result<Vec<Connection>, Error>;

    /// The replay of a connection has this knob.
    fn can_turn(&self, connection: &Connection, turning: &Turning) -> bool;

    /// Replays a connection, and turns these knobs besides those that fit its findings.
    fn predict(&self, connection: &Connection, asked: &[Turning]) -> WhatIf;
}

/// The crates that `narrows explain` is made of.
pub struct Explain;

impl Analyst for Explain {
    fn connections(&self, capture: &Path) -> Result<Vec<Connection>, Error> {
        let unusable = |e: &dyn std::fmt::Display| Error::Unusable(format!("{}: {e}", capture.display()));
        let file = Capture::open(capture).map_err(|e| unusable(&e))?;
        let examined = examine(file, AnalyzerOptions::default(), &mut |_| {});
        match examined.error {
            Some(error) => Err(unusable(&error)),
            None => Ok(examined.analysis.connections),
        }
    }

    fn can_turn(&self, connection: &Connection, turning: &Turning) -> bool {
        // A connection that cannot be replayed has all knobs: what is not predicted for that reason has to show.
        Model::of(connection).map_or(true, |model| model.turned(turning).is_ok())
    }

    fn predict(&self, connection: &Connection, asked: &[Turning]) -> WhatIf {
        narrows_whatif::predict(connection, asked)
            .unwrap_or_else(|error| WhatIf { refused: Some(error.to_string()), ..WhatIf::default() })
    }
}
