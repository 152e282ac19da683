//! A world of hosts and links in virtual time.
//!
//! A [`World`] holds hosts (each a whole TCP/IP stack of its own with every knob), routers, and links with MTU, rate,
//! delay, queue and loss, each direction for itself. Applications are small sans-I/O state machines ([`App`]);
//! [`play`] lets two hosts say a [`Conversation`] to each other and tells how long everything took. The same
//! description with the same seed gives the same packets, byte for byte.

mod app;
pub mod bulk;
pub mod capture;
pub mod conversation;
mod direction;
mod link;
mod pattern;
mod playback;
mod player;
mod random;
mod recorder;
mod schedule;
mod world;

pub use app::{App, AppEvent, Io};
pub use conversation::{Conversation, ExchangeTurns, Side, Trigger, Turn, Write};
pub use link::{DirectionConfig, DirectionCounters, LinkConfig, Loss};
pub use playback::{
    Outcome, PlayConfig, Playback, PlayedPacket, SentCounters, SideConfig, TurnTimes, play,
};
pub use player::{Player, PlayerLog, PlayerOptions};
pub use random::Random;
pub use recorder::{Heading, PacketHash, Passage, Recorder};
pub use world::{
    AppId, BuildError, End, HostOptions, IpVersion, LinkId, NodeCounters, NodeId, RecorderId, Stop, World,
    WorldBuilder,
};
