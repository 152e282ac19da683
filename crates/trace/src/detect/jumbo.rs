//! Do both ends have jumbo frames that the path between them does not carry? Information.

use crate::tcp::sizes::Sent;
use crate::{Cause, Confidence, Finding, PathMtu};
use narrows_lab::Side;
use std::time::Duration;

/// An MSS as large as this is asked for only by interfaces with jumbo frames.
const JUMBO_MSS: u32 = 4000;
/// Fewer full segments than this show no habit.
const LEAST_SEGMENTS: u32 = 20;

/// `own` and `peers` are both sides' MSS options.
pub(crate) fn finding(
    side: Side,
    sent: &Sent,
    own: u32,
    peers: u32,
    headers: u32,
    first: u64,
) -> Option<Finding> {
    let full = &sent.full;
    let asked = own.min(peers);
    let small = full.count >= LEAST_SEGMENTS && full.packet * 2 <= asked + headers;
    (asked >= JUMBO_MSS && small).then(|| Finding {
        cause: Cause::JumboUnused,
        side,
        count: full.count,
        lost: Duration::ZERO,
        evidence: vec![first + u64::from(full.first)],
        confidence: Confidence::Medium,
        why: format!(
            "both ends ask for an MSS of {asked} and more, and the {}'s full packets have {} bytes: one link on the way \
             takes no jumbo frames, and {:.1} times as many packets are sent for it",
            side.name(),
            full.packet,
            f64::from(asked) / f64::from(full.most.max(1)),
        ),
        path_mtu: Some(PathMtu { least: full.packet, most: full.packet }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::sizes::Full;

    fn sent(packet: u32, count: u32) -> Sent {
        let full = Full { most: packet - 52, least: packet - 52, packet, count, first: 3 };
        Sent { full, ..Sent::default() }
    }

    #[test]
    fn jumbo_ends_with_a_small_path_are_told() {
        let found = finding(Side::Server, &sent(1500, 400), 8960, 8960, 40, 1).unwrap();
        assert_eq!((found.cause, found.evidence), (Cause::JumboUnused, vec![4]));
        assert!(finding(Side::Server, &sent(9000, 400), 8960, 8960, 40, 1).is_none());
        assert!(finding(Side::Server, &sent(1500, 400), 8960, 1460, 40, 1).is_none());
        assert!(finding(Side::Server, &sent(1500, 4), 8960, 8960, 40, 1).is_none());
    }
}
