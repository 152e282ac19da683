//! Is this packet what was sent? The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// The one's complement sum of bytes given piece by piece.
///
/// ```
/// use narrows_wire::Checksum;
/// let mut sum = Checksum::new();
/// sum.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]); // RFC 1071 §3
/// assert_eq!(sum.finish(), !0xddf2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum {
    /// Sum of the 16-bit words in the machine's own byte order (RFC 1071 §2 (B): the order does not matter until the end).
    sum: u64,
    /// An odd number of bytes has been added, so the next piece's bytes are the other halves of their words.
    odd: bool,
}

impl Checksum {
    /// The sum of nothing.
    #[must_use]
    pub fn new() -> Checksum {
        Checksum::default()
    }

    /// The pseudo header of RFC 9293 §3.1 (IPv4) and RFC 8200 §8.1 (IPv6); `bytes` is the length of the transport
    /// header and its payload.
    #[must_use]
    pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, bytes: usize) -> Checksum {
        let words = |address: IpAddr| match address {
            IpAddr::V4(address) => u64::from(u32::from(address)),
            IpAddr::V6(address) => address.segments().into_iter().map(u64::from).sum(),
        };
        let mut sum = Checksum::new();
        sum.add_words(words(source) + words(destination) + u64::from(protocol) + bytes as u64);
        sum
    }

    /// Adds the sum of words of 16 or 32 bits, read most significant byte first; an even number of bytes has been added before.
    #[inline]
    pub(crate) fn add_words(&mut self, sum: u64) {
        debug_assert!(!self.odd);
        self.sum += u64::from(fold(sum).to_be());
    }

    /// Adds a piece; pieces of odd length may stand anywhere.
    #[inline]
    pub fn add(&mut self, piece: &[u8]) {
        let words = sum_words(piece);
        // A shifted piece has its bytes in the other halves of the words: swapping the folded sum is the same (RFC 1071 §2 (B)).
        let words = if self.odd { u64::from(fold(words).swap_bytes()) } else { words };
        self.sum += u64::from(fold(words));
        self.odd ^= piece.len() % 2 == 1;
    }

    /// The sum itself, not complemented: what a device that completes the checksum expects to find in the field.
    #[must_use]
    pub fn partial(self) -> u16 {
        u16::from_be(fold(self.sum))
    }

    /// The checksum as it stands in a header. Over bytes that include a right checksum it is 0.
    #[must_use]
    pub fn finish(self) -> u16 {
        !self.partial()
    }
}

/// The sum of the words in native order, not folded; a last odd byte is padded with zero.
#[inline]
fn sum_words(bytes: &[u8]) -> u64 {
    let mut sum = 0u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        if let Some(eight) = chunk.first_chunk::<8>() {
            let eight = u64::from_ne_bytes(*eight);
            sum += (eight & 0xffff_ffff) + (eight >> 32);
        }
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut last = [0u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        let last = u64::from_ne_bytes(last);
        sum += (last & 0xffff_ffff) + (last >> 32);
    }
    sum
}

#[inline]
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            if sum > 0xffff {
                sum -= 0xffff;
            }
        }
        !(sum as u16)
    }

    /// 0 and 0xffff are the same number in one's complement.
    fn same(a: u16, b: u16) -> bool {
        a == b || (a ^ b == 0xffff && (a == 0 || b == 0))
    }

    #[test]
    fn all_ones_do_not_overflow() {
        let mut sum = Checksum::new();
        sum.add(&vec![0xff; 1 << 20]);
        assert_eq!(sum.finish(), 0);
    }

    #[test]
    fn pseudo_headers_of_both_versions() {
        let v4 = Checksum::pseudo_header([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 6, 20);
        assert_eq!(v4.finish(), naive(&[10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 20]));
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let b: IpAddr = "2001:db8::2".parse().unwrap();
        let mut bytes = Vec::new();
        for address in [a, b] {
            let IpAddr::V6(address) = address else { unreachable!() };
            bytes.extend_from_slice(&address.octets());
        }
        bytes.extend_from_slice(&[0, 1, 0x11, 0x70, 0, 0, 0, 17]);
        assert_eq!(Checksum::pseudo_header(a, b, 17, 70_000).finish(), naive(&bytes));
    }

    proptest! {
        #[test]
        fn equals_the_naive_sum_however_it_is_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(0usize..300, 0..4),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut sum = Checksum::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                sum.add(&bytes[from..cut]);
                from = cut;
            }
            prop_assert!(same(sum.finish(), naive(&bytes)));
        }

        #[test]
        fn a_right_checksum_sums_to_zero(mut bytes in proptest::collection::vec(any::<u8>(), 2..200)) {
            bytes[0] = 0;
            bytes[1] = 0;
            let mut sum = Checksum::new();
            sum.add(&bytes);
            bytes[..2].copy_from_slice(&sum.finish().to_be_bytes());
            let mut check = Checksum::new();
            check.add(&bytes);
            prop_assert_eq!(check.finish(), 0);
        }
    }
}
