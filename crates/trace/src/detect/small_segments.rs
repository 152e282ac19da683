//! Is much of what a bulk sender sends headers, as its full segments are small (RFC 879's default of 536 bytes, an MSS
//! clamped too low)? Information.

use crate::rate::{header_time, more_packets};
use crate::tcp::sizes::Sent;
use crate::{Cause, Confidence, Finding, PathMtu};
use narrows_lab::Side;

/// Full segments that carry no more than this waste much: what fits into the smallest packet that every IPv4 host takes.
const SMALL: u32 = 576;
/// Fewer of them than this are no bulk transfer.
const LEAST_SEGMENTS: u32 = 100;
/// What a segment carries over Ethernet.
const USUAL: u32 = 1448;

/// `rate` is that of the narrowest link in bits per second, where it is known; `headers` those without options.
pub(crate) fn finding(
    side: Side,
    sent: &Sent,
    headers: u32,
    rate: Option<u64>,
    first: u64,
) -> Option<Finding> {
    let full = &sent.full;
    if full.most == 0 || full.most > SMALL || full.count < LEAST_SEGMENTS || !full.constant() {
        return None;
    }
    let around = full.packet.saturating_sub(full.most).max(headers);
    let payload = u64::from(full.count) * u64::from(full.most);
    let more = more_packets(payload, full.most, USUAL);
    let share = |bytes: u32| 100.0 * f64::from(around) / f64::from(bytes + around);
    Some(Finding {
        cause: Cause::SmallSegments,
        side,
        count: full.count,
        lost: header_time(more, around, rate),
        evidence: vec![first + u64::from(full.first)],
        confidence: Confidence::High,
        why: format!(
            "{} full segments of the {} carry {} bytes each behind {around} of headers: {:.1} % of what is sent, where \
             segments of {USUAL} bytes would need {:.1} % and {:.1} times fewer packets",
            full.count,
            side.name(),
            full.most,
            share(full.most),
            share(USUAL),
            f64::from(USUAL) / f64::from(full.most),
        ),
        path_mtu: Some(PathMtu { least: full.packet, most: full.packet }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::sizes::Full;
    use std::time::Duration;

    fn sent(most: u32, least: u32, count: u32) -> Sent {
        Sent { full: Full { most, least, packet: most + 52, count, first: 3 }, ..Sent::default() }
    }

    #[test]
    fn a_bulk_transfer_in_small_segments_wastes_headers() {
        let found = finding(Side::Client, &sent(536, 536, 1000), 40, Some(10_000_000), 1).unwrap();
        assert_eq!((found.cause, found.count), (Cause::SmallSegments, 1000));
        // 629 packets more than with 1448 bytes each, of 52 bytes of headers.
        assert!(found.lost.abs_diff(Duration::from_micros(26_166)) < Duration::from_micros(50), "{found:?}");
    }

    #[test]
    fn full_sizes_few_and_different_ones_do_not() {
        assert!(finding(Side::Client, &sent(1448, 1448, 1000), 40, None, 1).is_none());
        assert!(finding(Side::Client, &sent(536, 536, 20), 40, None, 1).is_none());
        assert!(finding(Side::Client, &sent(536, 100, 1000), 40, None, 1).is_none());
    }
}
