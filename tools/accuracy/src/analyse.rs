//! What does `explain` say about a capture? The calls that are scored.

use crate::Error;
use narrows_trace::read::Capture;
use narrows_trace::{AnalyzerOptions, Connection, DatagramFlow, examine};
use narrows_whatif::{Model, Turning, WhatIf};
use std::path::Path;

/// What is in a capture.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// TCP.
    pub connections: Vec<Connection>,
    /// UDP.
    pub datagram_flows: Vec<DatagramFlow>,
}

/// What is scored.
pub trait Analyst {
    /// Reads a capture: its connections and UDP flows with their findings.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    fn read(&self, capture: &Path) -> Result<Seen, Error>;

    /// The replay of a connection has this knob.
    fn can_turn(&self, connection: &Connection, turning: &Turning) -> bool;

    /// Replays a connection, and turns these knobs besides those that fit its findings.
    fn predict(&self, connection: &Connection, asked: &[Turning]) -> WhatIf;
}

/// The crates that `narrows explain` is made of.
pub struct Explain;

impl Analyst for Explain {
    fn read(&self, capture: &Path) -> Result<Seen, Error> {
        let unusable = |e: &dyn std::fmt::Display| Error::Unusable(format!("{}: {e}", capture.display()));
        let file = Capture::open(capture).map_err(|e| unusable(&e))?;
        let examined = examine(file, AnalyzerOptions::default(), &mut |_| {});
        match examined.error {
            Some(error) => Err(unusable(&error)),
            None => Ok(Seen {
                connections: examined.analysis.connections,
                datagram_flows: examined.datagram_flows,
            }),
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
