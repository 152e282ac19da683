//! One host's TCP/IP stack, sans-I/O: packets and calls in, packets and events out, time passed in.

pub mod host;
pub mod knob;
pub mod profile;
pub mod tcp;
mod time;

pub use host::{
    Event, Host, HostConfig, Interface, InterfaceId, ListenerId, SendFlags, SocketError, SocketId, TcpInfo,
    Transmit,
};
pub use knob::Knobs;
pub use profile::Profile;
pub use time::Instant;
