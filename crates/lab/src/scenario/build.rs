//! Which world is that scenario? Hosts with their applications, nodes between, links.

use super::{Datagrams, HostSpec, Scenario};
use crate::conversation::{Conversation, Side};
use crate::datagrams::{DatagramReceiver, DatagramSender};
use crate::player::{Player, PlayerOptions};
use crate::world::{AppId, BuildError, End, HostOptions, LinkId, NodeId, World};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The description makes no sense as a whole.
    #[error(transparent)]
    World(#[from] BuildError),
    /// A name that nothing has. (A scenario from a file never has one.)
    #[error("`{place}`: there is nothing called `{name}`")]
    UnknownName {
        /// Where it stands.
        place: String,
        /// The name.
        name: String,
    },
    /// Nobody says anything.
    #[error("the scenario has no workload: add one, as [workload.rpc]")]
    NoWorkload,
}

/// One connection of a workload, as it is being played.
#[derive(Clone, Debug)]
pub struct PlayedConnection {
    /// Which of the scenario's workloads.
    pub workload: usize,
    /// Which of its connections, from 0.
    pub number: u16,
    /// What is said, shared by all connections of the workload.
    pub conversation: Arc<Conversation>,
    /// The applications of client and server, by [`Side::index`]; both are [`Player`]s.
    pub apps: [AppId; 2],
    /// Where the server listens.
    pub server: SocketAddr,
    /// When it is opened.
    pub start: Duration,
}

/// Datagrams of a workload, as they are being sent.
#[derive(Clone, Copy, Debug)]
pub struct PlayedDatagrams {
    /// Which of the scenario's workloads.
    pub workload: usize,
    /// Which of its senders, from 0.
    pub number: u16,
    /// What is sent.
    pub datagrams: Datagrams,
    /// The applications of client and server: a [`DatagramSender`] and a [`DatagramReceiver`].
    pub apps: [AppId; 2],
    /// Where the server waits.
    pub server: SocketAddr,
    /// When the first one is sent.
    pub start: Duration,
}

/// A scenario as a world, before, while and after it runs.
#[derive(Debug)]
pub struct ScenarioWorld {
    /// The world: add recorders and taps before it runs.
    pub world: World,
    /// Every connection of every workload, in order.
    pub connections: Vec<PlayedConnection>,
    /// Every sender of datagrams of every workload, in order.
    pub datagrams: Vec<PlayedDatagrams>,
    pub(super) nodes: BTreeMap<String, NodeId>,
    pub(super) scenario: Scenario,
}

impl Scenario {
    /// Makes the world; nothing has happened in it yet.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn build(&self) -> Result<ScenarioWorld, RunError> {
        if self.workloads.is_empty() {
            return Err(RunError::NoWorkload);
        }
        self.build_network()
    }

    /// Makes the world, also when nobody says anything in it: for programs that come from elsewhere.
    ///
    /// # Errors
    /// [`RunError`], but not [`RunError::NoWorkload`].
    pub fn build_network(&self) -> Result<ScenarioWorld, RunError> {
        let mut builder = World::builder(self.seed);
        builder.ip_version(self.ip_version);
        let mut nodes = BTreeMap::new();
        for host in &self.hosts {
            nodes.insert(host.name.clone(), builder.host_with(&host.name, host.options()));
        }
        for router in &self.routers {
            nodes.insert(router.name.clone(), builder.router_with(router));
        }
        for middlebox in &self.middleboxes {
            nodes.insert(middlebox.name.clone(), builder.middlebox(middlebox));
        }
        let node = |place: String, name: &str| {
            nodes.get(name).copied().ok_or_else(|| RunError::UnknownName { place, name: name.to_owned() })
        };
        for link in &self.links {
            let place = || format!("link.{}.between", link.name);
            let [first, second] = [node(place(), &link.between[0])?, node(place(), &link.between[1])?];
            builder.link(&link.name, first, second, link.config.clone());
        }
        let (mut connections, mut datagrams) = (Vec::new(), Vec::new());
        for (workload, spec) in self.workloads.iter().enumerate() {
            let place = |key: &str| format!("workload.{}.{key}", spec.name);
            let hosts = [node(place("client"), &spec.client)?, node(place("server"), &spec.server)?];
            let not_a_host = || RunError::UnknownName { place: place("server"), name: spec.server.clone() };
            let address = builder.address(hosts[1]).ok_or_else(not_a_host)?;
            let each = (0..spec.connections).map(|number| {
                let server = SocketAddr::new(address, spec.port.saturating_add(number));
                (number, server, spec.start + spec.every * u32::from(number))
            });
            if let Some(sent) = spec.datagrams_in(self) {
                datagrams.extend(each.clone().map(|(number, server, start)| {
                    let sender = DatagramSender::new(server, sent.count, sent.size as usize, sent.interval);
                    let apps = [
                        builder.app(hosts[0], sender.starting_after(start)),
                        builder.app(hosts[1], DatagramReceiver::new(server.port())),
                    ];
                    PlayedDatagrams { workload, number, datagrams: sent, apps, server, start }
                }));
            }
            let Some(conversation) = spec.conversation_in(self).map(Arc::new) else { continue };
            for (number, server, start) in each {
                let apps = [Side::Client, Side::Server].map(|side| {
                    let start_offset = if side == Side::Client { start } else { Duration::ZERO };
                    let options =
                        PlayerOptions { start_offset, patience: spec.patience, ..PlayerOptions::default() };
                    let player = Player::new(side, Arc::clone(&conversation), options, server);
                    builder.app(hosts[side.index()], player)
                });
                let conversation = Arc::clone(&conversation);
                connections.push(PlayedConnection { workload, number, conversation, apps, server, start });
            }
        }
        Ok(ScenarioWorld { world: builder.build()?, connections, datagrams, nodes, scenario: self.clone() })
    }
}

impl HostSpec {
    /// The host as a world's builder takes it.
    #[must_use]
    pub fn options(&self) -> HostOptions {
        HostOptions {
            knobs: self.stack_knobs(),
            seed: None,
            tick_phase_ns: self.tick_phase.map(|phase| u64::try_from(phase.as_nanos()).unwrap_or(u64::MAX)),
            address: self.address,
            times: self.times,
        }
    }
}

impl ScenarioWorld {
    /// The scenario that this is.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The host, router or middlebox of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.get(name).copied()
    }

    /// The ends of links at which a host (or any node) can be watched, in the order of the links. Where a tunnel over the network begins, that is
    /// the tunnel's device, and not the link that carries its packets: each packet is seen once.
    #[must_use]
    pub fn ends_at(&self, name: &str) -> Vec<(LinkId, End)> {
        let mut ends = Vec::new();
        for (number, link) in self.scenario.links.iter().enumerate() {
            let id = LinkId(number as u32);
            for (end, place) in [(End::First, 0), (End::Second, 1)] {
                if link.between[place] == name {
                    ends.push((id, end));
                }
            }
        }
        let carriers: Vec<LinkId> =
            ends.iter().filter_map(|(link, end)| self.world.tunnel_carrier(*link, *end)).collect();
        ends.retain(|(link, _)| !carriers.contains(link));
        ends
    }
}
