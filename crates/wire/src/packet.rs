//! One IP packet as a value: header, transport header, shared payload, offload metadata.

use crate::{IcmpMessage, IpHeader, TcpHeader, UdpHeader};
use bytes::Bytes;

/// What an IP packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment's header.
    Tcp(TcpHeader),
    /// A UDP datagram's header.
    Udp(UdpHeader),
    /// An ICMP message.
    Icmp(IcmpMessage),
    /// A fragment, or a protocol narrows does not know: everything is in the payload.
    Opaque,
}

/// What a device has done, or is asked to do, in the sender's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Checksums have been verified by the device, or are left to it.
    pub checksum: ChecksumState,
    /// Payload bytes per segment where the packet is a large segment still to be cut (GSO) or already merged
    /// (GRO); `None` for an ordinary packet.
    pub segment_bytes: Option<u16>,
}

/// Who vouches for the checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumState {
    /// Software: computed on emit, verified on parse.
    #[default]
    Full,
    /// The device computes or has verified it.
    Device,
}

/// One IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IP header.
    pub ip: IpHeader,
    /// Transport header.
    pub transport: Transport,
    /// What follows the transport header; shared, never copied on the way.
    pub payload: Bytes,
    /// Offload metadata.
    pub offload: Offload,
}
