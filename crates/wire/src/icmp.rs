//! What does the network report? ICMP (RFC 792) and ICMPv6 (RFC 4443) messages.
//!
//! The message's body (echoed data, or the quoted packet) is the packet's payload.

/// An ICMP message of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpMessage {
    /// Echo request.
    EchoRequest {
        /// Identifier.
        identifier: u16,
        /// Sequence number.
        sequence: u16,
    },
    /// Echo reply.
    EchoReply {
        /// Identifier.
        identifier: u16,
        /// Sequence number.
        sequence: u16,
    },
    /// "Fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443 §3.2).
    PacketTooBig {
        /// Next-hop MTU in bytes; 0 from routers older than RFC 1191.
        mtu: u32,
    },
    /// Destination unreachable, other than "fragmentation needed".
    Unreachable {
        /// The code, with the meaning of the IP version.
        code: u8,
    },
    /// Time exceeded.
    TimeExceeded {
        /// 0: in transit; 1: in reassembly.
        code: u8,
    },
    /// Any other message.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four bytes after the checksum.
        rest: [u8; 4],
    },
}
