//! What travels: IPv4 and IPv6, ICMP, UDP, TCP and its options, byte for byte.
//!
//! A [`Packet`] is one IP packet as structured values plus a shared payload. Inside one process packets move
//! as such values; bytes are made ([`Packet::emit`]) and read ([`Packet::parse`]) only where a packet
//! really crosses a border: a capture file, a TUN device.

mod checksum;
mod icmp;
mod ip;
mod packet;
mod seq;
mod tcp;
mod tcp_options;
mod udp;

pub use icmp::*;
pub use ip::*;
pub use packet::*;
pub use seq::Seq;
pub use tcp::*;
pub use tcp_options::*;
pub use udp::*;
