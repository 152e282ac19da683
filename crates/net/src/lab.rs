//! Your service's test, on a real TCP, on a bad network, in a millisecond: tokio in the lab's virtual time.
//!
//! A [`Lab`] has hosts, each a whole TCP/IP stack with every knob, and links between them that delay, lose, reorder and queue
//! packets. [`Lab::run`] runs ordinary tokio code on it: `tokio::spawn`, `tokio::time::sleep`, `tokio::time::timeout`, channels, and
//! anything that is generic over `AsyncRead + AsyncWrite` (hyper, axum, tungstenite, rustls, …). Time is virtual: it
//! passes only when nobody has anything to do, so an hour of waiting takes no time, and a run with the same seed is the same run,
//! packet for packet, nanosecond for nanosecond.
//!
//! ```
//! use narrows_net::lab::{Lab, Link};
//! use std::time::Duration;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let mut lab = Lab::new(7);
//! let (client, server) = (lab.host("client"), lab.host("server"));
//! lab.link("client", "server", Link::new().delay(Duration::from_millis(150)).loss(0.05));
//!
//! let answer = lab.run(async move {
//!     let listener = server.listen(7)?;
//!     tokio::spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         let (mut reader, mut writer) = stream.split();
//!         tokio::io::copy(&mut reader, &mut writer).await
//!     });
//!     let mut stream = client.connect("server:7").await?;
//!     stream.write_all(b"hello").await?;
//!     let mut answer = [0; 5];
//!     stream.read_exact(&mut answer).await?;
//!     std::io::Result::Ok(answer)
//! });
//! assert_eq!(answer?, *b"hello");
//! assert!(lab.elapsed() >= Duration::from_millis(600), "a handshake and an exchange are two round trips");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What to know
//!
//! - Everything runs on the calling thread, on a `current_thread` runtime. `spawn_blocking` works, but what happens on other threads
//!   happens in the time on the wall, and is not repeatable.
//! - tokio's own timers end on whole milliseconds, as they always do; packets keep their nanoseconds.
//! - To see what happened, let the lab write a capture ([`Lab::capture_to`]) and open it in Wireshark, or give it to `narrows explain`.
//! - Chance outside the lab (a `HashMap`'s order, `tokio::select!` without `biased`, random keys of TLS) is not the lab's: it can make
//!   runs differ.

mod engine;
mod error;
mod link;
mod wire;

pub use error::LabError;
pub use link::Link;

use crate::host::Host;
use crate::state::Shared;
use engine::{ENGINE, Engine};
use narrows_lab::capture::PcapNg;
use narrows_lab::{
    DirectionCounters, End, HostOptions, HostTimes, IpVersion, LinkId, NodeId, PacketHash, Random,
    RecorderId, World, WorldBuilder,
};
use narrows_stack::{HostConfig, Instant, Interface, Knobs};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Runtime;
use wire::{LabWire, SharedDesk};

/// How long a lab runs at most where nothing else is asked for.
const TIME_LIMIT: Duration = Duration::from_secs(3_600);

/// Hosts and links in virtual time, for tokio programs.
pub struct Lab {
    seed: u64,
    plan: Plan,
    nodes: Vec<(String, NodeId)>,
    hosts: Vec<(NodeId, Host)>,
    desk: SharedDesk,
    capture: Option<PathBuf>,
    capture_recorder: Option<RecorderId>,
    hash: bool,
    hash_recorder: Option<RecorderId>,
    time_limit: Duration,
    wrong: Option<LabError>,
    /// Dropped before the rest: its tasks hold sockets.
    runtime: Option<Runtime>,
}

enum Plan {
    /// Nothing has run yet.
    Builder(Box<WorldBuilder>),
    Engine(Box<Engine>),
    /// The world could not be built, or runs just now.
    Elsewhere,
}

impl Lab {
    /// An empty lab. Everything random in it (losses, jitter, ports, sequence numbers) follows from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Lab {
        Lab {
            seed,
            plan: Plan::Builder(Box::new(World::builder(seed))),
            nodes: Vec::new(),
            hosts: Vec::new(),
            desk: SharedDesk::default(),
            capture: None,
            capture_recorder: None,
            hash: false,
            hash_recorder: None,
            time_limit: TIME_LIMIT,
            wrong: None,
            runtime: None,
        }
    }

    /// The lab speaks IPv6 instead of IPv4. To be called before hosts are added.
    #[must_use]
    pub fn ipv6(mut self) -> Lab {
        if let Plan::Builder(builder) = &mut self.plan {
            builder.ip_version(IpVersion::V6);
        }
        self
    }

    /// Adds a host with Linux's knobs.
    pub fn host(&mut self, name: &str) -> Host {
        self.host_with(name, Knobs::default())
    }

    /// Adds a host with other knobs, those of a [`Profile`](narrows_stack::Profile) for instance.
    pub fn host_with(&mut self, name: &str, knobs: Knobs) -> Host {
        let mut random = Random::derive(self.seed, &format!("net/{name}"));
        let seed = random.next_u64();
        // Ten milliseconds is the longest tick there is (HZ=100) and a multiple of most others.
        let config = HostConfig { knobs: knobs.clone(), seed, tick_phase_ns: random.below(10_000_000) };
        let Plan::Builder(builder) = &mut self.plan else {
            self.wrong.get_or_insert(LabError::TooLate(name.to_owned()));
            return self.place(NodeId(u32::MAX), config, None);
        };
        let options = HostOptions {
            knobs,
            seed: Some(seed),
            tick_phase_ns: None,
            address: None,
            times: HostTimes::default(),
        };
        let node = builder.host_with(name, options);
        let address = builder.address(node);
        if let Some(address) = address {
            self.desk.lock().names.insert(name.to_owned(), address);
        }
        self.nodes.push((name.to_owned(), node));
        let host = self.place(node, config, address);
        self.hosts.push((node, host.clone()));
        host
    }

    fn place(&self, node: NodeId, config: HostConfig, address: Option<std::net::IpAddr>) -> Host {
        let number = {
            let mut desk = self.desk.lock();
            desk.deadlines.push(None);
            desk.unsent.push(Default::default());
            desk.deadlines.len() - 1
        };
        let wire = LabWire { desk: self.desk.clone(), node, number };
        let shared = Shared::new(narrows_stack::Host::new(config), Box::new(wire));
        Host::new(shared, address.into_iter().collect())
    }

    /// Adds a router: a node that forwards packets, for more than one link between two hosts, or more than two hosts.
    pub fn router(&mut self, name: &str) {
        match &mut self.plan {
            Plan::Builder(builder) => self.nodes.push((name.to_owned(), builder.router(name))),
            _ => {
                self.wrong.get_or_insert(LabError::TooLate(name.to_owned()));
            }
        }
    }

    /// Puts a link between two hosts or routers.
    pub fn link(&mut self, first: &str, second: &str, link: impl Into<narrows_lab::LinkConfig>) -> LinkId {
        let nowhere = LinkId(u32::MAX);
        let [Some(a), Some(b)] = [first, second].map(|name| self.node(name)) else { return nowhere };
        let Plan::Builder(builder) = &mut self.plan else {
            self.wrong.get_or_insert(LabError::TooLate(format!("{first}-{second}")));
            return nowhere;
        };
        // Any number of links may join the same two; their names say which is which, and give each its own chances.
        let next = builder.link_count();
        let name = if next == 0 { format!("{first}-{second}") } else { format!("{first}-{second}-{next}") };
        builder.link(&name, a, b, link.into())
    }

    fn node(&mut self, name: &str) -> Option<NodeId> {
        let found = self.nodes.iter().find(|(known, _)| known == name).map(|(_, node)| *node);
        if found.is_none() {
            let known = self.nodes.iter().map(|(known, _)| known.clone()).collect();
            self.wrong.get_or_insert(LabError::UnknownName { name: name.to_owned(), known });
        }
        found
    }

    /// Writes all packets, as both ends of every link see them, to a pcapng file. It is complete when the lab is dropped, also when
    /// a test fails.
    pub fn capture_to(&mut self, path: impl Into<PathBuf>) {
        self.capture = Some(path.into());
    }

    /// Computes a hash over all packets with their times, for [`Lab::packet_hash`].
    pub fn hash_packets(&mut self) {
        self.hash = true;
    }

    /// The virtual time after which [`Lab::run`] gives up, counted from the lab's beginning. One hour where nothing else is said.
    pub fn time_limit(&mut self, limit: Duration) {
        self.time_limit = limit;
    }

    /// Runs a future on the lab until it is ready. Tasks that it spawned stay, and go on when the lab runs again.
    ///
    /// # Panics
    /// When the lab makes no sense (a link to a host that is not there), and when the future is not ready within the time limit: with
    /// the [`LabError`] that [`Lab::try_run`] returns.
    pub fn run<F: Future>(&mut self, future: F) -> F::Output {
        match self.try_run(future) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`Lab::run`].
    ///
    /// # Errors
    /// [`LabError`], where [`Lab::run`] panics.
    pub fn try_run<F: Future>(&mut self, future: F) -> Result<F::Output, LabError> {
        let (runtime, mut engine) = self.start()?;
        engine.limit = limit(self.time_limit);
        engine.stop = None;
        self.desk.lock().beginning = Some(engine.beginning);
        let running = Running { lab: self, runtime: Some(runtime) };
        ENGINE.set(Some(*engine));
        let Some(runtime) = &running.runtime else { return Err(LabError::Nested) };
        let mut future = std::pin::pin!(future);
        runtime.block_on(std::future::poll_fn(|context| {
            let stopped = ENGINE.with_borrow(|engine| {
                engine.as_ref().and_then(|engine| engine.stop.map(|stop| (stop, engine.last_event)))
            });
            if let Some((stop, last_event)) = stopped {
                return Poll::Ready(Err(LabError::stopped(stop, last_event)));
            }
            let polled = future.as_mut().poll(context);
            if polled.is_pending() {
                ENGINE.with_borrow_mut(|engine| {
                    if let Some(engine) = engine {
                        engine.root = Some(context.waker().clone());
                    }
                });
            }
            polled.map(Ok)
        }))
    }

    /// The runtime and the world, made when they are first needed.
    fn start(&mut self) -> Result<(Runtime, Box<Engine>), LabError> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        match std::mem::replace(&mut self.plan, Plan::Elsewhere) {
            Plan::Engine(engine) => match self.runtime.take() {
                Some(runtime) => Ok((runtime, engine)),
                None => Err(LabError::Nested),
            },
            Plan::Builder(builder) => match self.build(*builder) {
                Ok(built) => Ok(built),
                Err(wrong) => {
                    self.wrong = Some(wrong.clone());
                    Err(wrong)
                }
            },
            Plan::Elsewhere => Err(LabError::Nested),
        }
    }

    fn build(&mut self, builder: WorldBuilder) -> Result<(Runtime, Box<Engine>), LabError> {
        let mut world = builder.build().map_err(LabError::World)?;
        if let Some(path) = &self.capture {
            let file = File::create(path).map_err(|error| LabError::capture(path, &error))?;
            let recorder = world.add_recorder(PcapNg::new(BufWriter::new(file)));
            world.tap_everywhere(recorder);
            self.capture_recorder = Some(recorder);
        }
        if self.hash {
            let recorder = world.add_recorder(PacketHash::default());
            world.tap_everywhere(recorder);
            self.hash_recorder = Some(recorder);
        }
        let mut of_node = Vec::new();
        for (number, (node, host)) in self.hosts.iter().enumerate() {
            let Some(place) = world.open_host(*node) else { continue };
            let mut state = host.shared.lock();
            for interface in &place.interfaces {
                state.stack.add_interface(Interface {
                    addresses: vec![place.address],
                    mtu: interface.mtu,
                    segmentation_offload: false,
                });
            }
            for (destination, interface) in place.routes {
                let prefix_len = if destination.is_ipv4() { 32 } else { 128 };
                state.stack.add_route(destination, prefix_len, interface);
            }
            of_node.resize(of_node.len().max(node.0 as usize + 1), None);
            of_node[node.0 as usize] = Some(number);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_park(engine::on_park)
            .build()
            .map_err(|error| LabError::Runtime(error.to_string()))?;
        let beginning = {
            let _inside = runtime.enter();
            tokio::time::Instant::now()
        };
        let engine = Engine {
            world,
            hosts: self.hosts.iter().map(|(_, host)| host.shared.clone()).collect(),
            of_node,
            desk: self.desk.clone(),
            beginning,
            limit: limit(self.time_limit),
            last_event: Instant::ZERO,
            guard: None,
            stop: None,
            root: None,
        };
        Ok((runtime, Box::new(engine)))
    }

    /// How much virtual time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.desk.lock().now().since(Instant::ZERO)
    }

    fn world(&self) -> Option<&World> {
        match &self.plan {
            Plan::Engine(engine) => Some(&engine.world),
            _ => None,
        }
    }

    /// What has happened on a link to the packets sent from its first or its second end: carried, lost, dropped, …
    #[must_use]
    pub fn link_counters(&self, link: LinkId, from: End) -> DirectionCounters {
        self.world().map(|world| world.link_counters(link, from)).unwrap_or_default()
    }

    /// The hash over all packets so far, if it is computed ([`Lab::hash_packets`]): equal when two runs were the same, byte for byte.
    #[must_use]
    pub fn packet_hash(&self) -> Option<u64> {
        Some(self.world()?.recorder::<PacketHash>(self.hash_recorder?)?.value())
    }

    /// Completes the capture.
    ///
    /// # Errors
    /// What the file system says.
    pub fn finish_capture(&mut self) -> io::Result<()> {
        let Plan::Engine(engine) = &mut self.plan else { return Ok(()) };
        let Some(recorder) = self.capture_recorder.take() else { return Ok(()) };
        match engine.world.take_recorder::<PcapNg<BufWriter<File>>>(recorder) {
            Some(capture) => capture.finish()?.into_inner().map(drop).map_err(|error| error.into_error()),
            None => Ok(()),
        }
    }
}

/// Whole ticks, at least one.
fn limit(limit: Duration) -> Instant {
    Instant::from_millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX / 2_000_000).max(1))
}

/// Gives the lab its engine and its runtime back, however a run ends.
struct Running<'a> {
    lab: &'a mut Lab,
    runtime: Option<Runtime>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(engine) = ENGINE.take() {
            if let Some(runtime) = &self.runtime {
                let _inside = runtime.enter();
                let mut desk = self.lab.desk.lock();
                desk.stopped = engine.now();
                desk.beginning = None;
            }
            self.lab.plan = Plan::Engine(Box::new(engine));
        }
        self.lab.runtime = self.runtime.take();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Tasks give their sockets up while the world is still there.
        drop(self.runtime.take());
        if let Err(error) = self.finish_capture() {
            eprintln!("the lab's capture is incomplete: {error}");
        }
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.nodes.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Lab")
            .field("seed", &self.seed)
            .field("nodes", &names)
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}
