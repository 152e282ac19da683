//! A world of hosts and links in virtual time.
//!
//! A [`World`] holds hosts (each a whole TCP/IP stack of its own with every knob), routers, and links with MTU, rate,
//! delay, queue and loss, each direction for itself. Applications are small sans-I/O state machines ([`App`]);
//! [`play`] lets two hosts say a [`Conversation`] to each other and tells how long everything took. The same
//! description with the same seed gives the same packets, byte for byte.
//!
//! ```
//! use narrows_lab::bulk::{BulkReceiver, BulkSender};
//! use narrows_lab::capture::PcapNg;
//! use narrows_lab::{DirectionConfig, End, LinkConfig, World};
//! use narrows_stack::{Instant, Knobs};
//! use std::{net::SocketAddr, time::Duration};
//!
//! let mut builder = World::builder(42);
//! let client = builder.host("client", Knobs::default());
//! let server = builder.host("server", Knobs::default());
//! let road = DirectionConfig {
//!     rate_bits_per_second: Some(10_000_000),
//!     delay: Duration::from_millis(20),
//!     ..DirectionConfig::default()
//! };
//! let path = builder.link("path", client, server, LinkConfig::symmetric(road));
//! let address = builder.address(server).ok_or("a host has an address")?;
//! builder.app(client, BulkSender::new(SocketAddr::new(address, 80), 1_000_000));
//! let sink = builder.app(server, BulkReceiver::new(80));
//! let mut world = builder.build()?;
//! let capture = world.add_recorder(PcapNg::new(Vec::new()));
//! world.tap(capture, path, End::Second);
//!
//! world.run_until_idle(Instant::from_millis(60_000));
//! let stream = &world.app::<BulkReceiver>(sink).ok_or("it is there")?.streams()[0];
//! assert!(stream.ended && stream.intact && stream.bytes == 1_000_000);
//! assert!(stream.last_read > Some(Instant::from_millis(800)), "1 MB at 10 Mb/s");
//! let file = world.take_recorder::<PcapNg<Vec<u8>>>(capture).ok_or("it is there")?.finish()?;
//! assert!(file.len() > 1_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod acknowledged;
mod app;
pub mod bulk;
pub mod capture;
pub mod claims;
mod codel;
pub mod conversation;
pub mod datagrams;
mod direction;
mod hearing;
mod link;
mod loss;
mod middlebox;
mod pattern;
mod playback;
mod player;
mod random;
mod recorder;
mod router;
pub mod scenario;
mod schedule;
pub mod transfer;
mod tunnel;
mod world;

pub use app::{App, AppEvent, Io};
pub use conversation::{Conversation, ExchangeTurns, Side, Trigger, Turn, Write};
pub use hearing::Hearing;
pub use link::{CoDelConfig, DirectionConfig, DirectionCounters, GilbertElliott, LinkConfig, Loss, Queue};
pub use middlebox::Middlebox;
pub use pattern::Pattern;
pub use playback::{
    Between, Outcome, PlayConfig, Playback, PlayedPacket, SentCounters, SideConfig, TurnTimes, play,
};
pub use player::{Player, PlayerLog, PlayerOptions};
pub use random::Random;
pub use recorder::{Heading, PacketHash, Passage, Recorder};
pub use tunnel::{OuterDf, Tunnel};
pub use world::{
    AppId, BuildError, End, HostOptions, HostTimes, IpVersion, Left, LinkId, NodeCounters, NodeId,
    OutsideHost, OutsideInterface, RecorderId, Stop, World, WorldBuilder,
};
