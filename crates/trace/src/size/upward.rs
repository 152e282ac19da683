//! Does a sender begin with small segments and search upwards for a size that passes (packetization layer path MTU
//! discovery, RFC 4821 §7; `net.ipv4.tcp_mtu_probing=2`)?
//!
//! What gives it away is the order in which larger sizes come: each is half way between the largest that has arrived and the smallest
//! that may not. Behind the place where they vanish, a probe that was lost is a gap of just that size, which smaller segments fill.

use crate::{PathMtu, UpwardProbing};

/// More sizes than a search can have tried (the range is halved each time) belong to no search.
const MOST_SIZES: usize = 12;
/// One size less or more than half way is how the halves are rounded.
const ROUNDING: u32 = 1;
/// A search that begins nearer than this to its end has nothing to find (net.ipv4.tcp_probe_threshold), bytes.
const LEAST_WIDTH: u32 = 8;
/// A search of fewer steps than this may be chance.
const LEAST_STEPS: u32 = 2;

/// Bytes that have not come when later ones do.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// So many sizes had been seen before.
    after: usize,
    from: u64,
    bytes: u32,
    /// The packet that would hold them, bytes.
    packet: u32,
}

/// The sizes of one direction's new segments, in the order in which they are first seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upward {
    /// Payload and packet of the first full segment, bytes.
    first: Option<(u32, u32)>,
    /// Larger packets than that, each size once, bytes.
    sizes: Vec<u32>,
    /// What may be probes that did not arrive.
    gaps: Vec<Gap>,
    /// Where the stream has come to.
    next: u64,
    /// It is no search: too many sizes, or superpackets.
    other: bool,
}

impl Upward {
    /// A segment with the payload `start..end` came, with `headers` before it: does it leave a gap, or fill one as a whole?
    pub(crate) fn came(&mut self, start: u64, end: u64, headers: u32) {
        if start > self.next && self.first.is_some() {
            let missing = u32::try_from(start - self.next).unwrap_or(u32::MAX);
            if self.gaps.len() == MOST_SIZES {
                self.gaps.remove(0);
            }
            let packet = missing.saturating_add(headers);
            self.gaps.push(Gap { after: self.sizes.len(), from: self.next, bytes: missing, packet });
        } else if start < self.next {
            // A packet of the size in question, late or sent again: it was not lost for its size.
            self.gaps.retain(|gap| gap.from != start || u64::from(gap.bytes) != end - start);
        }
        self.next = self.next.max(end);
    }

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
        let lost = |after: usize, low: u32, high: &mut u32| {
            for gap in self.gaps.iter().filter(|gap| gap.after == after) {
                if gap.packet.abs_diff(low + high.saturating_sub(low) / 2) <= ROUNDING && low < *high {
                    *high = gap.packet - 1;
                }
            }
        };
        for (position, &size) in self.sizes.iter().enumerate() {
            lost(position, low, &mut high);
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
        lost(self.sizes.len(), low, &mut high);
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
    fn a_gap_as_large_as_the_next_probe_is_one_that_was_lost_unless_a_packet_of_that_size_fills_it() {
        let search = |gap: u64, filled_by: &[u64]| {
            let mut upward = Upward::default();
            let mut at = 0;
            for payload in [1_024, 1_236, 1_342] {
                upward.came(at, at + payload, 52);
                upward.sent(payload as u32, payload as u32 + 52);
                at += payload;
            }
            upward.came(at + gap, at + gap + 1_342, 52);
            upward.sent(1_342, 1_394);
            for bytes in filled_by {
                upward.came(at, at + bytes, 52);
                at += bytes;
            }
            upward.search(1_500, 1_500).map(|found| (found.path_mtu.least, found.path_mtu.most))
        };
        assert_eq!(search(1_395, &[1_342, 53]), Some((1_394, 1_446)));
        assert_eq!(search(1_395, &[]), Some((1_394, 1_446)));
        assert_eq!(search(1_395, &[1_395]), Some((1_394, 1_500)), "it was only late");
        assert_eq!(search(1_342, &[1_342]), Some((1_394, 1_500)), "an ordinary segment was lost");
        assert_eq!(search(2_684, &[1_342, 1_342]), Some((1_394, 1_500)), "two were");
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
