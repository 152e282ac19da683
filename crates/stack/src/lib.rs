//! One host's TCP/IP stack, sans-I/O: packets and calls in, packets and events out, time passed in.

pub mod counters;
pub mod host;
pub mod knob;
pub mod profile;
mod random;
mod socket;
pub mod tcp;
mod time;
mod timer_queue;

pub use counters::{Counter, Counters};
pub use host::{
    Event, Host, HostConfig, Interface, InterfaceId, ListenerId, SendFlags, SocketError, SocketId, Transmit,
};
pub use knob::Knobs;
pub use profile::Profile;
pub use tcp::TcpInfo;
pub use time::Instant;
