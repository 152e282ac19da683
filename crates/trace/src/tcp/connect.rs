//! Which two ends does a segment belong to, and which of them opened the connection?

use super::segment::Segment;
use narrows_wire::TcpFlags;
use std::net::{IpAddr, SocketAddr};

/// The two ends of a connection, whichever of them sent the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    low: (IpAddr, u16),
    high: (IpAddr, u16),
}

impl Key {
    pub(super) fn of(segment: &Segment) -> Key {
        let source = (segment.source.ip(), segment.source.port());
        let destination = (segment.destination.ip(), segment.destination.port());
        let (low, high) = if source <= destination { (source, destination) } else { (destination, source) };
        Key { low, high }
    }
}

/// Client and server, judged by the connection's first segment: SYN and SYN-ACK say it; without a handshake the server is the end with a
/// well-known port, else the one with the lower port (systems choose clients' ports from the upper range, RFC 6335 §6), else the
/// one that did not speak first.
pub(super) fn client_and_server(segment: &Segment) -> (SocketAddr, SocketAddr) {
    let (from, to) = (segment.source, segment.destination);
    if segment.flags.contains(TcpFlags::SYN) {
        return if segment.flags.contains(TcpFlags::ACK) { (to, from) } else { (from, to) };
    }
    if from.port() < to.port() { (to, from) } else { (from, to) }
}
