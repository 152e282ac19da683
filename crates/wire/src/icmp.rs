//! What does the network report? ICMP (RFC 792) and ICMPv6 (RFC 4443) messages.
//!
//! The message's body (echoed data, or the quoted packet) is the packet's payload.

use crate::buffer::{HeaderBuffer, pair};
use crate::error::expect;
use crate::{ParseError, Protocol};

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

/// Type and code of "fragmentation needed" (RFC 1191 §4).
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);

impl IcmpMessage {
    /// Bytes of a message before its body.
    pub const BYTES: usize = 8;

    /// Reads the message that begins at byte `base` of a packet; `bytes` is the packet from there on. `protocol` says which version's numbers
    /// count: [`Protocol::Icmpv6`], or any other for ICMP. The checksum is not verified.
    ///
    /// # Errors
    /// [`ParseError`] when the first 8 bytes are not there.
    pub fn parse(protocol: Protocol, bytes: &[u8], base: usize) -> Result<IcmpMessage, ParseError> {
        let &[kind, code, _, _, a, b, c, d] = expect(bytes, 0, base, "an ICMP header of 8 bytes")?;
        let identifier = u16::from_be_bytes([a, b]);
        let sequence = u16::from_be_bytes([c, d]);
        let v6 = protocol == Protocol::Icmpv6;
        Ok(match (v6, kind, code) {
            (false, 8, 0) | (true, 128, 0) => IcmpMessage::EchoRequest { identifier, sequence },
            (false, 0, 0) | (true, 129, 0) => IcmpMessage::EchoReply { identifier, sequence },
            (false, 3, 4) => IcmpMessage::PacketTooBig { mtu: u32::from(sequence) },
            // The code is "set to 0 by the originator and ignored by the receiver" (RFC 4443 §3.2).
            (true, 2, _) => IcmpMessage::PacketTooBig { mtu: u32::from_be_bytes([a, b, c, d]) },
            (false, 3, code) | (true, 1, code) => IcmpMessage::Unreachable { code },
            (false, 11, code) | (true, 3, code) => IcmpMessage::TimeExceeded { code },
            _ => IcmpMessage::Other { kind, code, rest: [a, b, c, d] },
        })
    }

    /// True for the messages whose body quotes the packet that caused them.
    #[must_use]
    pub fn quotes_a_packet(&self) -> bool {
        matches!(
            self,
            IcmpMessage::PacketTooBig { .. }
                | IcmpMessage::Unreachable { .. }
                | IcmpMessage::TimeExceeded { .. }
        )
    }

    /// Writes the message's 8 bytes with checksum 0. An MTU that has no room in ICMP for IPv4 is written as 65535.
    pub(crate) fn put(&self, v6: bool, out: &mut HeaderBuffer) {
        let (kind, code, rest) = match *self {
            IcmpMessage::EchoRequest { identifier, sequence } => {
                (if v6 { 128 } else { 8 }, 0, pair(identifier, sequence))
            }
            IcmpMessage::EchoReply { identifier, sequence } => {
                (if v6 { 129 } else { 0 }, 0, pair(identifier, sequence))
            }
            IcmpMessage::PacketTooBig { mtu } if v6 => (2, 0, mtu),
            IcmpMessage::PacketTooBig { mtu } => {
                let (kind, code) = FRAGMENTATION_NEEDED;
                (kind, code, pair(0, u16::try_from(mtu).unwrap_or(u16::MAX)))
            }
            IcmpMessage::Unreachable { code } => (if v6 { 1 } else { 3 }, code, 0),
            IcmpMessage::TimeExceeded { code } => (if v6 { 3 } else { 11 }, code, 0),
            IcmpMessage::Other { kind, code, rest } => (kind, code, u32::from_be_bytes(rest)),
        };
        out.put([u32::from_be_bytes([kind, code, 0, 0]), rest]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(message: IcmpMessage, v6: bool) -> Vec<u8> {
        let mut buffer = HeaderBuffer::new();
        message.put(v6, &mut buffer);
        buffer.as_slice().to_vec()
    }

    #[test]
    fn the_mtu_stands_where_each_version_has_it() {
        let message = IcmpMessage::PacketTooBig { mtu: 1400 };
        assert_eq!(bytes_of(message, false), [3, 4, 0, 0, 0, 0, 5, 120]);
        assert_eq!(bytes_of(message, true), [2, 0, 0, 0, 0, 0, 5, 120]);
    }

    #[test]
    fn each_kind_is_read_back_in_both_versions() {
        let messages = [
            IcmpMessage::EchoRequest { identifier: 1, sequence: 2 },
            IcmpMessage::EchoReply { identifier: 3, sequence: 4 },
            IcmpMessage::PacketTooBig { mtu: 1280 },
            IcmpMessage::Unreachable { code: 3 },
            IcmpMessage::TimeExceeded { code: 1 },
            IcmpMessage::Other { kind: 200, code: 9, rest: [1, 2, 3, 4] },
        ];
        for message in messages {
            for (protocol, v6) in [(Protocol::Icmp, false), (Protocol::Icmpv6, true)] {
                assert_eq!(IcmpMessage::parse(protocol, &bytes_of(message, v6), 0), Ok(message));
            }
        }
    }

    #[test]
    fn a_cut_message_says_where() {
        let error = IcmpMessage::parse(Protocol::Icmp, &[8, 0, 0], 24).unwrap_err();
        assert!(matches!(error, ParseError::Truncated { offset: 24, end: 27, .. }));
    }
}
