//! Which two ends does a segment belong to, and which of them opened the connection?

use super::segment::Segment;
use narrows_wire::TcpFlags;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};

/// The two ends of a connection, whichever of them sent the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    addresses: [u128; 2],
    ports: u32,
    ipv6: bool,
}

impl Key {
    pub(super) fn of(segment: &Segment) -> Key {
        Key::between(segment.source, segment.destination)
    }

    /// The key of a connection between these two.
    pub(super) fn between(source: SocketAddr, destination: SocketAddr) -> Key {
        let end = |address: SocketAddr| {
            let ip = match address.ip() {
                IpAddr::V4(ip) => u128::from(u32::from(ip)),
                IpAddr::V6(ip) => u128::from(ip),
            };
            (ip, u32::from(address.port()))
        };
        let ipv6 = source.is_ipv6();
        let (source, destination) = (end(source), end(destination));
        let (low, high) = if source <= destination { (source, destination) } else { (destination, source) };
        Key { addresses: [low.0, high.0], ports: low.1 << 16 | high.1, ipv6 }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for address in self.addresses {
            state.write_u64(address as u64);
            if self.ipv6 {
                state.write_u64((address >> 64) as u64);
            }
        }
        state.write_u32(self.ports);
    }
}

/// Hashes keys by multiplying and folding, from a start that an attacker cannot know: a capture cannot be
/// made so that all its connections fall into one place. Nothing is iterated, so the start does not show in
/// any result.
#[derive(Clone, Debug)]
pub(super) struct Folding {
    start: u64,
}

impl Default for Folding {
    fn default() -> Folding {
        Folding { start: RandomState::new().hash_one(0) }
    }
}

impl BuildHasher for Folding {
    type Hasher = Folder;
    fn build_hasher(&self) -> Folder {
        Folder(self.start)
    }
}

/// The hash so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folder(u64);

impl Hasher for Folder {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // The fractional part of the golden ratio: odd, and with its bits well spread.
        let product = u128::from(self.0 ^ value) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ self.0.rotate_left(23);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Client and server, judged by the connection's first segment: SYN and SYN-ACK say it; without a handshake
/// the server is the end with a well-known port, else the one with the lower port (systems choose clients'
/// ports from the upper range, RFC 6335 §6), else the one that did not speak first.
pub(super) fn client_and_server(segment: &Segment) -> (SocketAddr, SocketAddr) {
    let (from, to) = (segment.source, segment.destination);
    if segment.flags.contains(TcpFlags::SYN) {
        return if segment.flags.contains(TcpFlags::ACK) { (to, from) } else { (from, to) };
    }
    if from.port() < to.port() { (to, from) } else { (from, to) }
}
