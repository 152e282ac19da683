//! Which identification does a packet carry that may be cut? (RFC 6864, RFC 7739.)
//!
//! Unique per source, destination and protocol for as long as possible, and not to be guessed from what goes to others: a secret
//! hash of the three plus a counter that only few other destinations share (RFC 7739 §5.3).

use crate::random::mix;
use std::net::IpAddr;

const COUNTERS: usize = 256;

/// The identifications of one host.
#[derive(Clone, Debug)]
pub struct Identifications {
    secret: u64,
    counters: Vec<u32>,
}

impl Identifications {
    /// A host's; the secret makes them its own.
    #[must_use]
    pub fn new(secret: u64) -> Identifications {
        Identifications { secret: mix(secret ^ 0x1d_e27), counters: Vec::new() }
    }

    /// For the next packet; IPv4 takes the lower 16 bits.
    pub fn next(&mut self, source: IpAddr, destination: IpAddr, protocol: u8) -> u32 {
        if self.counters.is_empty() {
            self.counters = vec![0; COUNTERS];
        }
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let fold = |bits: u128| bits as u64 ^ mix((bits >> 64) as u64);
        let pair = mix(mix(fold(bits(source))) ^ fold(bits(destination)) ^ u64::from(protocol) << 32);
        let offset = mix(self.secret ^ pair);
        let counter = &mut self.counters[mix(self.secret.rotate_left(32) ^ pair) as usize % COUNTERS];
        *counter = counter.wrapping_add(1);
        (offset as u32).wrapping_add(*counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifications_of_one_pair_count_up_and_those_of_two_have_nothing_in_common() {
        let mut identifications = Identifications::new(7);
        let [here, there, elsewhere]: [IpAddr; 3] =
            [[10, 0, 0, 1].into(), [10, 0, 0, 2].into(), [10, 0, 0, 3].into()];
        let first = identifications.next(here, there, 17);
        let mut seen = std::collections::BTreeSet::from([first as u16]);
        for _ in 1..60_000 {
            assert!(seen.insert(identifications.next(here, there, 17) as u16));
        }
        let other = identifications.next(here, elsewhere, 17);
        assert!(first.abs_diff(other) > 60_000 || other.abs_diff(first) > 1_000);
        let again = Identifications::new(8).next(here, there, 17);
        assert_ne!(first, again, "another host's are others");
    }
}
