//! Does a sender begin with small segments and search upwards for a size that passes (packetization layer path MTU
//! discovery, RFC 4821 §7; `net.ipv4.tcp_mtu_probing=2`)?
//!
//! What gives it away is the order in which larger sizes come: each is half way between the largest that has arrived and the smallest
//! that may not.

use crate::{PathMtu, UpwardProbing};

/// More sizes than a search can have tried (the range is halved each time) belong to no search.
const MOST_SIZES: usize = 12;
/// One size less or more than half way is how the halves are rounded.
const ROUNDING: u32 = 1;
/// A search that begins nearer than this to its end has nothing to find (net.ipv4.tcp_probe_threshold), bytes.
const LEAST_WIDTH: u32 = 8;
/// A search of fewer steps than this may be chance.
const LEAST_STEPS: u32 = 2;

/// The sizes of one direction's new segments, in the order in which they are first seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upward {
    /// Payload and packet of the first full segment, bytes.
    first: Option<(u32, u32)>,
    /// Larger packets than that, each size once, bytes.
    sizes: Vec<u32>,
    /// It is no search: too many sizes, or superpackets.
    other: bool,
}

impl Upward {
    /// A segment with new payload that ends no write: what ends one is as large as what is left.
    pub(crate) fn sent(&mut self, payload: u32, packet: u32) {
        let Some((_, base)) = self.first else {
            self.first = Some((payload, packet));
            return;
        };
        if self.other || packet <= base || self.sizes.contains(&packet) {
            return;
        }
        if self.sizes.len() == MOST_SIZES {
            self.other = true;
            return;
        }
        self.sizes.push(packet);
    }

    /// The search that these sizes show; `largest` is the largest packet that both ends take, `passed` the largest that is known to
    /// have arrived, bytes.
    pub(crate) fn search(&self, largest: u32, passed: u32) -> Option<UpwardProbing> {
        let (base_payload, base) = self.first.filter(|_| !self.other)?;
        if base + LEAST_WIDTH > largest {
            return None;
        }
        let (mut low, mut high, mut before, mut steps) = (base, largest, base, 0);
        for &size in self.sizes.iter().filter(|&&size| size > base) {
            if size < low {
                // The last one did not arrive.
                (low, high) = (before, low - 1);
            }
            // One that is not in the capture did not arrive, either.
            while low < high && size + ROUNDING < low + (high - low) / 2 {
                high = low + (high - low) / 2 - 1;
            }
            if size <= low || size > low + high.saturating_sub(low) / 2 + ROUNDING {
                return None;
            }
            (before, low, steps) = (low, size, steps + 1);
        }
        if low > passed {
            (low, high) = (before, low - 1);
        }
        (steps >= LEAST_STEPS).then_some(UpwardProbing {
            base_payload_bytes: base_payload,
            path_mtu: PathMtu { least: low.min(high), most: high },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(first: u32, sizes: &[u32]) -> Option<(u32, u32, u32)> {
        let mut upward = Upward::default();
        for &packet in [first, first].iter().chain(sizes) {
            upward.sent(packet - 52, packet);
        }
        upward
            .search(1_500, 1_500)
            .map(|found| (found.base_payload_bytes, found.path_mtu.least, found.path_mtu.most))
    }

    #[test]
    fn a_search_is_known_by_its_halves() {
        assert_eq!(searched(1_076, &[1_288, 1_394, 1_447, 1_473]), Some((1_024, 1_473, 1_500)));
        assert_eq!(searched(564, &[1_032, 1_266, 1_032]), Some((512, 1_266, 1_500)));
    }

    #[test]
    fn probes_that_did_not_arrive_bound_the_path() {
        // Seen where they left, and where they did not come to.
        assert_eq!(searched(1_076, &[1_288, 1_394, 1_447, 1_420]), Some((1_024, 1_420, 1_446)));
        assert_eq!(searched(1_076, &[1_288, 1_394, 1_420]), Some((1_024, 1_420, 1_446)));
    }

    #[test]
    fn other_sizes_are_no_search() {
        assert_eq!(searched(1_500, &[]), None);
        assert_eq!(searched(1_076, &[1_288]), None, "one may be chance");
        assert_eq!(searched(1_076, &[1_500, 1_400]), None);
        assert_eq!(searched(1_076, &[1_200, 1_350, 1_500]), None);
        assert_eq!(searched(1_076, &[2_100, 4_148]), None, "superpackets");
        let many: Vec<u32> = (0..20).map(|n| 1_100 + 10 * n).collect();
        assert_eq!(searched(1_076, &many), None);
    }
}
