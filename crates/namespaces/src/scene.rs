//! Which world is a scenario, and who says what in it? The same for both kinds of hosts.

use crate::error::Error;
use crate::speaker::Part;
use narrows_lab::scenario::Scenario;
use narrows_lab::{
    AppId, Conversation, HostOptions, NodeId, Player, PlayerOptions, Side, World, WorldBuilder,
};
use narrows_stack::Knobs;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One connection of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    /// Client, server.
    pub nodes: [NodeId; 2],
    pub server: SocketAddr,
    pub start: Duration,
    pub knobs: [Knobs; 2],
    pub conversation: Arc<Conversation>,
}

impl Talk {
    /// One side's part.
    pub fn part(&self, side: Side) -> (NodeId, Part) {
        let start_offset = if side == Side::Client { self.start } else { Duration::ZERO };
        let part = Part {
            side,
            conversation: Arc::clone(&self.conversation),
            options: PlayerOptions { start_offset, ..PlayerOptions::default() },
            server: self.server,
            knobs: self.knobs[side.index()].clone(),
        };
        (self.nodes[side.index()], part)
    }

    /// Puts both sides into a world of our stack.
    fn play(&self, builder: &mut WorldBuilder) -> [AppId; 2] {
        [Side::Client, Side::Server].map(|side| {
            let (node, part) = self.part(side);
            builder.app(node, Player::new(side, part.conversation, part.options, part.server))
        })
    }
}

/// A scenario's world with its applications.
pub(crate) struct Scene {
    pub world: World,
    pub talks: Vec<Talk>,
    /// Per talk: the client's and the server's application.
    pub apps: Vec<[AppId; 2]>,
}

/// Builds the world; with `seed` instead of the scenario's own.
pub(crate) fn scene(scenario: &Scenario, seed: u64) -> Result<Scene, Error> {
    let wrong = |why: String| Error::Setup(format!("scenario `{}`: {why}", scenario.name));
    if !scenario.middleboxes.is_empty() {
        return Err(wrong("middleboxes".to_owned()));
    }
    let mut builder = World::builder(seed);
    builder.ip_version(scenario.ip_version);
    let mut nodes = HashMap::new();
    for host in &scenario.hosts {
        let tick_phase_ns = host.tick_phase.and_then(|phase| u64::try_from(phase.as_nanos()).ok());
        let options =
            HostOptions { knobs: host.stack_knobs(), seed: None, tick_phase_ns, address: host.address };
        nodes.insert(host.name.as_str(), builder.host_with(&host.name, options));
    }
    for router in &scenario.routers {
        nodes.insert(router.name.as_str(), builder.router(&router.name));
    }
    let node = |name: &str| nodes.get(name).copied().ok_or_else(|| wrong(format!("no node `{name}`")));
    for link in &scenario.links {
        let [first, second] = [node(&link.between[0])?, node(&link.between[1])?];
        builder.link(&link.name, first, second, link.config.clone());
    }
    let mut talks = Vec::new();
    for workload in &scenario.workloads {
        let nodes = [node(&workload.client)?, node(&workload.server)?];
        let address = builder.address(nodes[1]).ok_or_else(|| wrong(format!("`{}` is no host", workload.server)))?;
        let knobs = [&workload.client, &workload.server]
            .map(|name| scenario.host(name).map(|host| host.stack_knobs()).unwrap_or_default());
        let conversation = Arc::new(workload.conversation_in(scenario));
        for number in 0..workload.connections {
            let port = workload
                .port
                .checked_add(number)
                .ok_or_else(|| wrong(format!("workload `{}`: no ports left", workload.name)))?;
            talks.push(Talk {
                nodes,
                server: SocketAddr::new(address, port),
                start: workload.start + workload.every * u32::from(number),
                knobs: knobs.clone(),
                conversation: Arc::clone(&conversation),
            });
        }
    }
    let apps = talks.iter().map(|talk| talk.play(&mut builder)).collect();
    let world = builder.build().map_err(|error| wrong(error.to_string()))?;
    Ok(Scene { world, talks, apps })
}
