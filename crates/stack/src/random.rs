//! What is unpredictable to others, and the same for the same seed? The host's source of random values.

use siphasher::sip::SipHasher24;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

/// A stream of values derived from a seed (SplitMix64: passes statistical tests, is not for keys).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A value in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(bound)) >> 32) as u32
    }
}

/// A host's key. Whoever sees values made with it cannot work back to it, nor to other values (SipHash-2-4, as Linux): that is what
/// makes initial sequence numbers and ports hard to guess (RFC 6528 §3, RFC 6056 §3.3.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret(u64, u64);

impl Secret {
    pub(crate) fn new(seed: u64) -> Secret {
        let mut random = Random::new(mix(seed));
        Secret(random.next_u64(), random.next_u64())
    }

    /// A value that depends on the two ends of a connection.
    pub(crate) fn of(&self, local: SocketAddr, remote: SocketAddr) -> u64 {
        self.hasher(local, remote).finish()
    }

    /// A value that depends on the two ends of a connection and on a count, of time for instance.
    pub(crate) fn of_with(&self, local: SocketAddr, remote: SocketAddr, count: u32) -> u64 {
        let mut hasher = self.hasher(local, remote);
        hasher.write(&count.to_be_bytes());
        hasher.finish()
    }

    fn hasher(&self, local: SocketAddr, remote: SocketAddr) -> SipHasher24 {
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        for end in [local, remote] {
            let bits = match end.ip() {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
                IpAddr::V6(v6) => v6.to_bits(),
            };
            hasher.write(&bits.to_be_bytes());
            hasher.write(&end.port().to_be_bytes());
        }
        hasher
    }
}

/// A bijection of 64-bit values in which every input bit reaches every output bit.
pub(crate) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_seed_others() {
        let (mut a, mut b, mut c) = (Random::new(1), Random::new(1), Random::new(2));
        let first: Vec<u64> = (0..4).map(|_| a.next_u64()).collect();
        assert_eq!(first, (0..4).map(|_| b.next_u64()).collect::<Vec<_>>());
        assert_ne!(first, (0..4).map(|_| c.next_u64()).collect::<Vec<_>>());
    }

    #[test]
    fn a_secret_gives_each_pair_of_ends_a_value_of_its_own() {
        let end = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let (a, b) = (end("10.0.0.1:80"), end("10.0.0.2:80"));
        let secret = Secret::new(1);
        assert_eq!(secret.of(a, b), Secret::new(1).of(a, b));
        assert_ne!(secret.of(a, b), secret.of(b, a));
        assert_ne!(secret.of(a, b), secret.of(a, end("10.0.0.2:81")));
        assert_ne!(secret.of(a, b), Secret::new(2).of(a, b));
        assert_ne!(secret.of(a, b), secret.of(a, end("[::2]:80")));
    }

    #[test]
    fn a_bound_is_never_reached() {
        let mut random = Random::new(7);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }
}
