//! One host's TCP/IP stack, sans-I/O: packets and calls in, packets and events out, time passed in.
//!
//! A [`Host`] has no clock, no thread and does no I/O: the caller hands it packets and the time, and takes packets and
//! events out of it. The same calls with the same seed give the same packets, byte for byte.
//!
//! Two hosts, one write:
//!
//! ```
//! use narrows_stack::{Host, HostConfig, Instant, Interface, InterfaceId, Knobs, SendFlags};
//! use std::net::{IpAddr, SocketAddr};
//!
//! let addresses: [IpAddr; 2] = ["10.0.0.1".parse()?, "10.0.0.2".parse()?];
//! let mut hosts = addresses.map(|address| {
//!     let mut host = Host::new(HostConfig { knobs: Knobs::default(), seed: 1, tick_phase_ns: 0 });
//!     host.add_interface(Interface { addresses: vec![address], mtu: 1500, segmentation_offload: false });
//!     host
//! });
//!
//! let now = Instant::ZERO;
//! let server = SocketAddr::new(addresses[1], 80);
//! let listener = hosts[1].tcp_listen(server, 16, Knobs::default())?;
//! let client = hosts[0].tcp_connect(now, server, None, Knobs::default())?;
//! hosts[0].tcp_send(now, client, "hello".into(), SendFlags::default())?;
//!
//! // A link without delay: what one host sends, the other receives.
//! loop {
//!     let sent = [hosts[0].poll_transmit(now), hosts[1].poll_transmit(now)];
//!     if sent.iter().all(Option::is_none) {
//!         break;
//!     }
//!     for (from, transmit) in sent.into_iter().enumerate() {
//!         if let Some(transmit) = transmit {
//!             hosts[1 - from].handle_packet(now, InterfaceId(0), transmit.packet);
//!         }
//!     }
//! }
//!
//! let accepted = hosts[1].tcp_accept(listener).expect("the handshake is over");
//! assert_eq!(hosts[1].tcp_recv(now, accepted, 1024)?, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod counters;
pub mod host;
pub mod icmp;
pub mod ip;
pub mod knob;
pub(crate) mod pack;
pub mod path;
pub mod plpmtud;
pub mod profile;
mod random;
mod sk_buff;
mod socket;
pub mod tcp;
mod time;
mod timer_queue;
pub mod udp;

pub use counters::{Counter, Counters};
pub use host::{
    Event, Host, HostConfig, Interface, InterfaceId, ListenerId, SendFlags, SocketError, SocketId, Transmit,
};
pub use knob::Knobs;
pub use profile::Profile;
pub use tcp::TcpInfo;
pub use time::Instant;
pub use udp::{Datagram, SendMemory, UdpError, UdpEvent, UdpSend, UdpSocketId};
