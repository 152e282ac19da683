//! What travels: IPv4 and IPv6, ICMP, UDP, TCP and its options, byte for byte.
//!
//! A [`Packet`] is one IP packet as structured values plus a shared payload. Inside one process packets move
//! as such values; bytes are made ([`Packet::emit`]) and read ([`Packet::parse`]) only where a packet
//! really crosses a border: a capture file, a TUN device. Where only headers are wanted, and the bytes may have been cut by a
//! capture's snap length, [`Headers::parse`] reads them without allocating; [`link::strip`] finds the packet in a captured frame.
//!
//! ```
//! use bytes::Bytes;
//! use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, TcpOptions, Transport};
//!
//! let header = TcpHeader {
//!     source_port: 40000,
//!     destination_port: 80,
//!     seq: Seq(1),
//!     ack: Seq(1),
//!     flags: TcpFlags::ACK | TcpFlags::PSH,
//!     window: 512,
//!     urgent: 0,
//!     options: TcpOptions::default(),
//! };
//! let packet = Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, Bytes::from_static(b"ping"));
//! let mut bytes = Vec::new();
//! packet.emit(&mut bytes);
//! assert_eq!(bytes.len(), packet.len());
//! assert_eq!(Packet::parse(bytes.into())?, packet);
//! # Ok::<(), narrows_wire::ParseError>(())
//! ```

mod buffer;
mod checksum;
mod error;
mod headers;
mod icmp;
mod ip;
pub mod link;
mod option_order;
mod packet;
mod seq;
mod tcp;
mod tcp_options;
mod udp;

pub use checksum::Checksum;
pub use error::ParseError;
pub use headers::Headers;
pub use icmp::*;
pub use ip::*;
pub use option_order::OptionOrder;
pub use packet::*;
pub use seq::Seq;
pub use tcp::*;
pub use tcp_options::*;
pub use udp::*;
