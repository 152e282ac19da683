//! From whom, to whom, and in how many pieces? IPv4 (RFC 791) and IPv6 (RFC 8200) headers as one value.

use std::net::IpAddr;

/// The protocol above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// ICMP for IPv4.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP for IPv6.
    Icmpv6,
    /// Any other protocol number.
    Other(u8),
}

/// Where a packet stands in its datagram (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Identification; 16 bits in IPv4. In IPv6 only meaningful when `offset_bytes > 0 || more`.
    pub identification: u32,
    /// IPv4's DF; always true for IPv6.
    pub dont_fragment: bool,
    /// More fragments follow.
    pub more: bool,
    /// Offset of this piece, in bytes (a multiple of 8).
    pub offset_bytes: u16,
}

impl Fragment {
    /// True when the packet is only a piece of a datagram.
    #[must_use]
    pub fn is_piece(&self) -> bool {
        self.more || self.offset_bytes != 0
    }
}

/// An IP header of either version; the version is that of the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Sender.
    pub source: IpAddr,
    /// Receiver; the same version as `source`.
    pub destination: IpAddr,
    /// What the payload is.
    pub protocol: Protocol,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN (the IPv4 TOS byte, the IPv6 traffic class).
    pub traffic_class: u8,
    /// Fragmentation.
    pub fragment: Fragment,
}
