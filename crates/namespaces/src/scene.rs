//! Which world is a scenario, and who says what in it? The same for both kinds of hosts.

use crate::error::Error;
use crate::speaker::Part;
use narrows_lab::scenario::{PlayedConnection, Scenario, ScenarioWorld};
use narrows_lab::{NodeId, PlayerOptions, Side};
use std::sync::Arc;
use std::time::Duration;

/// Builds the world; with `seed` instead of the scenario's own.
pub(crate) fn scene(scenario: &Scenario, seed: u64) -> Result<ScenarioWorld, Error> {
    let seeded = Scenario { seed, ..scenario.clone() };
    let world =
        seeded.build().map_err(|error| Error::Setup(format!("scenario `{}`: {error}", scenario.name)))?;
    if let Some(sending) = world.datagrams.first() {
        let workload = scenario.workloads.get(sending.workload).map_or("", |workload| &workload.name);
        return Err(Error::Setup(format!(
            "scenario `{}`: `workload.{workload}` sends datagrams, and real hosts speak TCP only here: take it out, or use `narrows lab run`",
            scenario.name
        )));
    }
    Ok(world)
}

/// One side's part in a connection of a scenario, and where it plays.
pub(crate) fn part(scenario: &Scenario, connection: &PlayedConnection, side: Side) -> (NodeId, Part) {
    let workload = scenario.workloads.get(connection.workload);
    let host = workload.and_then(|workload| {
        scenario.host(if side == Side::Client { &workload.client } else { &workload.server })
    });
    let start_offset = if side == Side::Client { connection.start } else { Duration::ZERO };
    let part = Part {
        side,
        conversation: Arc::clone(&connection.conversation),
        options: PlayerOptions {
            start_offset,
            patience: workload.and_then(|workload| workload.patience),
            ..PlayerOptions::default()
        },
        server: connection.server,
        knobs: host.map(|host| host.stack_knobs()).unwrap_or_default(),
    };
    (connection.apps[side.index()].host, part)
}
