//! Which socket gets this segment? Lookup by 4-tuple and by listening address, in constant time.

use crate::random::mix;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The two ends of a connection, as this host sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FourTuple {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

crate::pack::pack!(FourTuple { local, remote });

/// A 4-tuple for hashing. With IPv4, also in its mapped form, it takes a third of the memory, and there may be a million.
enum TupleKey {
    V4(KeyV4),
    V6(KeyV6),
}

/// Both addresses, both ports.
type KeyV4 = (u32, u32, u32);
/// The same, each address in halves.
type KeyV6 = (u64, u64, u64, u64, u32);

impl From<&FourTuple> for TupleKey {
    fn from(tuple: &FourTuple) -> TupleKey {
        let ports = u32::from(tuple.local.port()) << 16 | u32::from(tuple.remote.port());
        match (tuple.local.ip().to_canonical(), tuple.remote.ip().to_canonical()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                TupleKey::V4((local.to_bits(), remote.to_bits(), ports))
            }
            (local, remote) => {
                let (local, remote) = (packed(local), packed(remote));
                let high = |address: u128| (address >> 64) as u64;
                TupleKey::V6((high(local), local as u64, high(remote), remote as u64, ports))
            }
        }
    }
}

pub(crate) fn packed(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => 0xffff_0000_0000 | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A hasher that depends on the host's seed and on nothing else, so that runs repeat exactly and an outsider who does
/// not know the seed cannot aim at one bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(u64);

pub(crate) struct SeededHasher(u64);

impl BuildHasher for Seeded {
    type Hasher = SeededHasher;
    fn build_hasher(&self) -> SeededHasher {
        SeededHasher(self.0)
    }
}

impl SeededHasher {
    fn add(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for SeededHasher {
    fn finish(&self) -> u64 {
        mix(self.0)
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut value = [0; 8];
            value[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(value));
        }
    }
    fn write_u16(&mut self, value: u16) {
        self.add(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }
    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }
    fn write_u128(&mut self, value: u128) {
        self.add(value as u64);
        self.add((value >> 64) as u64);
    }
}

/// Finds sockets. Holds indices into the host's tables.
#[derive(Debug)]
pub(crate) struct Demux {
    v4: HashMap<KeyV4, u32, Seeded>,
    v6: HashMap<KeyV6, u32, Seeded>,
    listeners: HashMap<(u128, u16), usize, Seeded>,
}

impl Demux {
    pub(crate) fn new(seed: u64) -> Demux {
        let seeded = Seeded(mix(seed));
        Demux {
            v4: HashMap::with_hasher(seeded),
            v6: HashMap::with_hasher(seeded),
            listeners: HashMap::with_hasher(seeded),
        }
    }

    pub(crate) fn connection(&self, tuple: &FourTuple) -> Option<usize> {
        let slot = match TupleKey::from(tuple) {
            TupleKey::V4(key) => self.v4.get(&key),
            TupleKey::V6(key) => self.v6.get(&key),
        };
        slot.map(|slot| *slot as usize)
    }

    pub(crate) fn add_connection(&mut self, tuple: &FourTuple, slot: usize) {
        // A socket's id has 32 bits for its slot.
        let slot = slot as u32;
        match TupleKey::from(tuple) {
            TupleKey::V4(key) => self.v4.insert(key, slot),
            TupleKey::V6(key) => self.v6.insert(key, slot),
        };
    }

    /// Removes the entry if it belongs to `slot`.
    pub(crate) fn remove_connection(&mut self, tuple: &FourTuple, slot: usize) {
        if self.connection(tuple) == Some(slot) {
            match TupleKey::from(tuple) {
                TupleKey::V4(key) => self.v4.remove(&key),
                TupleKey::V6(key) => self.v6.remove(&key),
            };
        }
    }

    /// The listener for a SYN to `local`: an exact address beats the wildcard of its family, and that beats the IPv6
    /// wildcard, which receives IPv4 too (RFC 3493 §3.7).
    pub(crate) fn listener(&self, local: SocketAddr) -> Option<usize> {
        if self.listeners.is_empty() {
            return None;
        }
        let family_wildcard = wildcard_of(local.ip());
        [local.ip(), family_wildcard, IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
            .iter()
            .find_map(|address| self.listeners.get(&(packed(*address), local.port())).copied())
    }

    /// True when a listener on `local` would collide with one that is there: the same address, or the two wildcards,
    /// as the IPv6 one receives IPv4 too.
    pub(crate) fn listener_collides(&self, local: SocketAddr) -> bool {
        let taken = |address: IpAddr| self.listeners.contains_key(&(packed(address), local.port()));
        taken(local.ip())
            || local.ip().is_unspecified()
                && (taken(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) || taken(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
    }

    pub(crate) fn add_listener(&mut self, local: SocketAddr, index: usize) {
        self.listeners.insert((packed(local.ip()), local.port()), index);
    }

    pub(crate) fn remove_listener(&mut self, local: SocketAddr) {
        self.listeners.remove(&(packed(local.ip()), local.port()));
    }
}

/// The wildcard address of the same family.
pub(crate) fn wildcard_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a socket address")
    }

    #[test]
    fn an_exact_listening_address_beats_the_wildcard() {
        let mut demux = Demux::new(1);
        demux.add_listener(address("0.0.0.0:80"), 1);
        demux.add_listener(address("10.0.0.1:80"), 2);
        assert_eq!(demux.listener(address("10.0.0.1:80")), Some(2));
        assert_eq!(demux.listener(address("10.0.0.2:80")), Some(1));
        assert_eq!(demux.listener(address("10.0.0.2:81")), None);
        assert_eq!(demux.listener(address("[fd00::1]:80")), None);
    }

    #[test]
    fn the_ipv6_wildcard_receives_ipv4_too_and_collides_with_its_wildcard() {
        let mut demux = Demux::new(1);
        demux.add_listener(address("[::]:80"), 1);
        assert_eq!(demux.listener(address("10.0.0.1:80")), Some(1));
        assert!(demux.listener_collides(address("0.0.0.0:80")));
        assert!(!demux.listener_collides(address("10.0.0.1:80")));
        demux.remove_listener(address("[::]:80"));
        assert!(!demux.listener_collides(address("0.0.0.0:80")));
    }

    #[test]
    fn a_tuple_is_removed_only_by_its_owner() {
        let mut demux = Demux::new(1);
        let tuple = FourTuple { local: address("10.0.0.1:80"), remote: address("10.0.0.2:1024") };
        demux.add_connection(&tuple, 3);
        demux.remove_connection(&tuple, 4);
        assert_eq!(demux.connection(&tuple), Some(3));
        demux.remove_connection(&tuple, 3);
        assert_eq!(demux.connection(&tuple), None);
    }
}
