//! What is a world made of? Hosts, routers and links by name, addresses and routes of their own accord.

use super::host_times::{HostTimes, Waiting};
use super::{AppId, HostNode, LinkId, Node, NodeCounters, NodeId, NodeKind, Road, World};
use crate::app::{App, HostCore};
use crate::direction::Direction;
use crate::link::{DirectionConfig, LinkConfig};
use crate::middlebox::Middlebox;
use crate::random::Random;
use crate::router::Router;
use crate::scenario::{MiddleboxSpec, RouterSpec};
use crate::schedule::Schedule;
use narrows_stack::{Host, HostConfig, Instant, Interface, InterfaceId, Knobs};
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod tunnels;

pub(super) use tunnels::tunnels_first;

/// Which version of IP a world speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4, hosts at 10.0.0.1, 10.0.0.2, …
    #[default]
    V4,
    /// IPv6, hosts at fd00::1, fd00::2, …
    V6,
}

/// What makes a host; what is `None` follows from the world's seed and the host's name or place.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Defaults of all its sockets.
    pub knobs: Knobs,
    /// Seed of everything random in its stack.
    pub seed: Option<u64>,
    /// Where in a timer tick the origin of time falls, nanoseconds.
    pub tick_phase_ns: Option<u64>,
    /// Its address, of the world's IP version.
    pub address: Option<IpAddr>,
    /// How long it takes over what arrives.
    pub times: HostTimes,
}

impl HostOptions {
    /// A host with these knobs that takes no time.
    #[must_use]
    pub fn new(knobs: Knobs) -> HostOptions {
        HostOptions { knobs, seed: None, tick_phase_ns: None, address: None, times: HostTimes::default() }
    }
}

/// Why a description is not a world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two things have the same name, and would have the same chances.
    #[error("there are two called `{0}`: give each host, router and link a name of its own")]
    SameName(String),
    /// Two hosts have the same address.
    #[error("host `{0}` has the address of another host: {1}")]
    SameAddress(String, IpAddr),
    /// An address is not of the world's IP version.
    #[error("host `{0}` has the address {1}, which is not of the world's IP version")]
    WrongVersion(String, IpAddr),
    /// A link leads to a node that is not of this world, or back to where it began.
    #[error("link `{0}` must join two different nodes of this world")]
    WrongEnds(String),
    /// A middlebox translates addresses towards a link that is not its own.
    #[error("middlebox `{0}`: there is no link `{1}` at it to translate addresses towards")]
    WrongOutside(String, String),
    /// An application was put on something that is not a host.
    #[error("an application was put on {0:?}, which is not a host of this world")]
    NotAHost(NodeId),
    /// A setting of a link makes no sense.
    #[error("link `{link}`, {direction}: wrong `{setting}`: expected {expected}")]
    WrongSetting {
        /// The link's name.
        link: String,
        /// `forward` or `backward`.
        direction: &'static str,
        /// The setting's name.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
    },
}

enum Plan {
    Host { options: Box<HostOptions>, apps: Vec<Box<dyn App>> },
    Router(RouterSpec),
    Middlebox(MiddleboxSpec),
}

/// Describes a [`World`].
pub struct WorldBuilder {
    seed: u64,
    version: IpVersion,
    nodes: Vec<(String, Plan)>,
    links: Vec<tunnels::Link>,
    wrong: Option<BuildError>,
}

impl WorldBuilder {
    pub(super) fn new(seed: u64) -> WorldBuilder {
        WorldBuilder { seed, version: IpVersion::V4, nodes: Vec::new(), links: Vec::new(), wrong: None }
    }

    /// Which version of IP the world speaks.
    pub fn ip_version(&mut self, version: IpVersion) -> &mut WorldBuilder {
        self.version = version;
        self
    }

    /// Adds a host.
    pub fn host(&mut self, name: &str, knobs: Knobs) -> NodeId {
        self.host_with(name, HostOptions::new(knobs))
    }

    /// Adds a host with a seed, a tick phase or an address of its own.
    pub fn host_with(&mut self, name: &str, options: HostOptions) -> NodeId {
        self.add(name, Plan::Host { options: Box::new(options), apps: Vec::new() })
    }

    /// Adds a node that forwards packets, and says so when one does not fit.
    pub fn router(&mut self, name: &str) -> NodeId {
        self.router_with(&RouterSpec::new(name))
    }

    /// Adds a node that forwards packets as described.
    pub fn router_with(&mut self, spec: &RouterSpec) -> NodeId {
        self.add(&spec.name, Plan::Router(spec.clone()))
    }

    /// Adds a node that forwards packets and changes or drops some on purpose; it leaves the hop limit as it is.
    pub fn middlebox(&mut self, spec: &MiddleboxSpec) -> NodeId {
        self.add(&spec.name, Plan::Middlebox(spec.clone()))
    }

    fn add(&mut self, name: &str, plan: Plan) -> NodeId {
        self.nodes.push((name.to_string(), plan));
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Joins two nodes by a link; `forward` is from the first to the second.
    pub fn link(&mut self, name: &str, first: NodeId, second: NodeId, config: LinkConfig) -> LinkId {
        self.links.push((name.to_string(), [first, second], config));
        LinkId(self.links.len() as u32 - 1)
    }

    /// How many links have been added.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// Puts an application on a host. Applications start in the order of their hosts, then of adding.
    pub fn app(&mut self, host: NodeId, app: impl App) -> AppId {
        match self.nodes.get_mut(host.0 as usize) {
            Some((_, Plan::Host { apps, .. })) => {
                apps.push(Box::new(app));
                AppId { host, index: apps.len() as u32 - 1 }
            }
            _ => {
                self.wrong.get_or_insert(BuildError::NotAHost(host));
                AppId { host, index: u32::MAX }
            }
        }
    }

    /// The address that a host, or a middlebox that translates addresses, will have; `None` for others.
    #[must_use]
    pub fn address(&self, host: NodeId) -> Option<IpAddr> {
        let number = host.0 + 1;
        let by_place = address_by_place(number, self.version);
        match self.nodes.get(host.0 as usize)? {
            (_, Plan::Host { options, .. }) => Some(options.address.unwrap_or(by_place)),
            (_, Plan::Middlebox(spec)) => spec.nat_outside.as_ref().map(|_| by_place),
            (_, Plan::Router(_)) => None,
        }
    }

    /// Makes the world.
    ///
    /// # Errors
    /// [`BuildError`] names the first thing that makes no sense.
    pub fn build(self) -> Result<World, BuildError> {
        let addresses = self.check()?;
        let WorldBuilder { seed, version, links, nodes: plans, .. } = self;
        let mut roads = make_roads(seed, &links);
        let link_names: Vec<String> = links.iter().map(|(name, ..)| name.clone()).collect();
        let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); plans.len()];
        for (number, (_, ends, _)) in links.iter().enumerate() {
            leaving[ends[0].0 as usize].push(2 * number);
            leaving[ends[1].0 as usize].push(2 * number + 1);
        }
        let at_host = |node: NodeId| matches!(plans[node.0 as usize].1, Plan::Host { .. });
        let overlay = tunnels::lay(&mut roads, &links, &leaving, version, &addresses, &at_host)?;
        let ways = tunnels_first(&roads, &leaving);
        let next_roads: tunnels::Routes = addresses
            .iter()
            .enumerate()
            .filter_map(|(node, address)| Some(((*address)?, next_road_towards(node, &roads, &ways))))
            .collect();
        let mut nodes = Vec::with_capacity(plans.len());
        for (number, (name, plan)) in plans.into_iter().enumerate() {
            let routes_in = |all: &tunnels::Routes| -> Vec<(IpAddr, usize)> {
                all.iter().filter_map(|(address, next)| Some((*address, next[number]?))).collect()
            };
            let routes = routes_in(&next_roads);
            // Who forwards has to know where tunnels end, too.
            let all_routes = || routes.iter().copied().chain(routes_in(&overlay.routes)).collect();
            let kind = match (plan, addresses[number]) {
                (Plan::Host { options, apps }, Some(address)) => {
                    let waiting = Waiting::new(options.times);
                    let mut core = make_host(seed, &name, *options, address);
                    for &road in &leaving[number] {
                        core.stack.add_interface(Interface {
                            addresses: vec![address],
                            mtu: interface_mtu(
                                core.knobs.mtu,
                                &roads[road].direction.config,
                                address.is_ipv6(),
                            ),
                            segmentation_offload: false,
                        });
                    }
                    if leaving[number].len() > 1 {
                        for &(destination, road) in &routes {
                            let prefix_len = if destination.is_ipv4() { 32 } else { 128 };
                            let interface = interface_of(&leaving[number], road);
                            core.stack.add_route(destination, prefix_len, interface);
                        }
                    }
                    NodeKind::Host(Box::new(HostNode { core, apps, waiting }))
                }
                (Plan::Middlebox(spec), address) => {
                    let outside = leaving[number].iter().copied().find(|&road| {
                        spec.nat_outside.as_ref().is_some_and(|name| *name == link_names[road / 2])
                    });
                    let middlebox = Box::new(Middlebox::new(&spec, address.zip(outside)));
                    NodeKind::Middlebox { routes: all_routes(), middlebox }
                }
                (Plan::Router(spec), _) => {
                    let own = [IpVersion::V4, IpVersion::V6].map(|v| router_address(number, v, &addresses));
                    NodeKind::Router(Box::new(Router::new(&spec, own, all_routes())))
                }
                // A host without an address there is not: `check` has given it one.
                (Plan::Host { .. }, None) => continue,
            };
            let roads = std::mem::take(&mut leaving[number]);
            nodes.push(Node { name, kind, roads, counters: NodeCounters::default() });
        }
        let schedule = Schedule::with_sources(roads.len() + nodes.len());
        let (now, recorders, left) = (Instant::ZERO, Vec::new(), VecDeque::new());
        Ok(World {
            now,
            sequence: 0,
            events: 0,
            started: false,
            roads,
            nodes,
            tunnel_exits: overlay.exits,
            schedule,
            recorders,
            left,
            forwarded: Vec::new(),
        })
    }

    /// Checks everything; the hosts' addresses.
    fn check(&self) -> Result<Vec<Option<IpAddr>>, BuildError> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        let mut names: Vec<&str> = self.nodes.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let mut link_names: Vec<&str> = self.links.iter().map(|(name, ..)| name.as_str()).collect();
        link_names.sort_unstable();
        for pair in names.windows(2).chain(link_names.windows(2)) {
            if pair[0] == pair[1] {
                return Err(BuildError::SameName(pair[0].to_string()));
            }
        }
        for (name, ends, config) in &self.links {
            let known = ends.iter().all(|end| (end.0 as usize) < self.nodes.len());
            if !known || ends[0] == ends[1] {
                return Err(BuildError::WrongEnds(name.clone()));
            }
            for (direction, config) in [("forward", &config.forward), ("backward", &config.backward)] {
                if let Some((setting, expected)) = config.wrong_setting(self.version == IpVersion::V6) {
                    let link = name.clone();
                    return Err(BuildError::WrongSetting { link, direction, setting, expected });
                }
            }
        }
        for (number, (name, plan)) in self.nodes.iter().enumerate() {
            if let Plan::Middlebox(MiddleboxSpec { nat_outside: Some(outside), .. }) = plan {
                let own = |ends: &[NodeId; 2]| ends.contains(&NodeId(number as u32));
                if !self.links.iter().any(|(link, ends, _)| link == outside && own(ends)) {
                    return Err(BuildError::WrongOutside(name.clone(), outside.clone()));
                }
            }
        }
        let mut addresses = Vec::with_capacity(self.nodes.len());
        for (number, (name, _)) in self.nodes.iter().enumerate() {
            let address = self.address(NodeId(number as u32));
            if let Some(address) = address {
                if address.is_ipv4() != (self.version == IpVersion::V4) {
                    return Err(BuildError::WrongVersion(name.clone(), address));
                }
                if addresses.contains(&Some(address)) {
                    return Err(BuildError::SameAddress(name.clone(), address));
                }
            }
            addresses.push(address);
        }
        Ok(addresses)
    }
}

fn address_by_place(number: u32, version: IpVersion) -> IpAddr {
    match version {
        IpVersion::V4 => IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | number & 0x00ff_ffff)),
        IpVersion::V6 => IpAddr::V6(Ipv6Addr::from(0xfd_u128 << 120 | u128::from(number))),
    }
}

/// The address that a router's own messages come from: that of its place, or the next that no host has.
fn router_address(node: usize, version: IpVersion, taken: &[Option<IpAddr>]) -> IpAddr {
    let nodes = taken.len() as u32;
    let places = (0..=nodes).map(|round| node as u32 + 1 + round * nodes);
    let mut free = places.map(|place| address_by_place(place, version));
    free.find(|address| !taken.contains(&Some(*address)))
        .unwrap_or(address_by_place(node as u32 + 1, version))
}

fn make_roads(seed: u64, links: &[tunnels::Link]) -> Vec<Road> {
    let mut roads = Vec::with_capacity(2 * links.len());
    let mut interfaces: HashMap<NodeId, u32> = HashMap::new();
    for (name, ends, config) in links {
        let mut interface = |node: NodeId| {
            let next = interfaces.entry(node).or_default();
            *next += 1;
            InterfaceId(*next - 1)
        };
        let at = [interface(ends[0]), interface(ends[1])];
        for (direction, config, to) in [("forward", &config.forward, 1), ("backward", &config.backward, 0)] {
            let stream = format!("link/{name}/{direction}");
            roads.push(Road {
                direction: Direction::new(config.clone(), seed, &stream),
                tunnel: None,
                to: ends[to],
                to_interface: at[to],
                on_send: Vec::new(),
                on_arrival: Vec::new(),
            });
        }
    }
    roads
}

/// The MTU of a host's interface: what its link takes, unless the knob `mtu` says otherwise, rightly or wrongly.
pub(super) fn interface_mtu(knob: u32, config: &DirectionConfig, ipv6: bool) -> u32 {
    if knob > 0 { knob } else { config.inner_mtu(ipv6) }
}

fn make_host(seed: u64, name: &str, options: HostOptions, address: IpAddr) -> HostCore {
    let mut random = Random::derive(seed, &format!("host/{name}"));
    let own_seed = random.next_u64();
    // Ten milliseconds is the longest tick there is (HZ=100) and a multiple of most others.
    let phase = random.below(10_000_000);
    let config = HostConfig {
        knobs: options.knobs.clone(),
        seed: options.seed.unwrap_or(own_seed),
        tick_phase_ns: options.tick_phase_ns.unwrap_or(phase),
    };
    HostCore {
        stack: Host::new(config),
        address,
        knobs: options.knobs,
        random,
        outbox: Vec::new(),
        timers: BinaryHeap::new(),
        timer_sequence: 0,
        socket_owner: HashMap::default(),
        listener_owner: HashMap::default(),
        udp_owner: HashMap::default(),
    }
}

/// For every node, the road that the shortest way to `destination` leaves by (by number of links; of equals, the one
/// found first).
pub(super) fn next_road_towards(
    destination: usize,
    roads: &[Road],
    leaving: &[Vec<usize>],
) -> Vec<Option<usize>> {
    let mut next = vec![None; leaving.len()];
    let mut seen = vec![false; leaving.len()];
    let mut reached = VecDeque::from([destination]);
    seen[destination] = true;
    while let Some(node) = reached.pop_front() {
        for &road in &leaving[node] {
            let neighbour = roads[road].to.0 as usize;
            if !std::mem::replace(&mut seen[neighbour], true) {
                // The other direction of the same link leads back here.
                next[neighbour] = Some(road ^ 1);
                reached.push_back(neighbour);
            }
        }
    }
    next
}

fn interface_of(leaving: &[usize], road: usize) -> InterfaceId {
    let at = leaving.iter().position(|&other| other == road).unwrap_or(0);
    InterfaceId(at as u32)
}
