//! Did path MTU discovery do its work (RFC 1191, 8201), and what did it cost? Information, not an alarm.

use super::MAX_EVIDENCE;
use super::black_hole::{Around, stall};
use super::wording::{bytes_between, milliseconds, narrowest};
use crate::size::Vanishing;
use crate::size::told::Told;
use crate::{Cause, Confidence, Finding, PathMtu};
use narrows_lab::Side;
use std::time::Duration;

/// Fewer full packets than this that vanish together are no flight.
const LEAST_FLIGHT: u32 = 3;
/// No host goes below when it is told (`net.ipv4.route.min_pmtu` of Linux is the lowest in use), bytes: smaller packets
/// that carry the same bytes again were written so, or are the rest of something.
const LEAST_TOLD: u32 = 552;

/// More than a round trip and this is not how long an answer of the path takes.
const LATE_NS: u64 = 100_000_000;

/// Names a discovery that has come to its end: told by ICMP in the capture, or, behind the narrow link, by segments that
/// come cut anew without a timeout before them.
pub(crate) fn finding(
    side: Side,
    told: &Told,
    vanishing: Option<&Vanishing>,
    around: &Around,
) -> Option<Finding> {
    let us = side.name();
    if told.count > 0 {
        let until = vanishing.and_then(|v| v.until).unwrap_or(told.first);
        let from = vanishing.map_or(told.first, |v| v.from);
        // What the sender lost is the way to the router and back; the resent segments' own way is not lost.
        let lost = Duration::from_nanos(told.first.min(until).saturating_sub(from));
        let largest = vanishing.map_or(told.mtu, |v| v.vanished);
        let path_mtu = (told.mtu > 0).then_some(PathMtu { least: told.mtu, most: told.mtu });
        let size = path_mtu.map_or_else(
            || "without an MTU in it".to_owned(),
            |mtu| format!("that a link takes {}{}", bytes_between(mtu), narrowest(mtu)),
        );
        return Some(Finding {
            cause: Cause::PathMtuDiscovery,
            side,
            count: told.count,
            lost,
            evidence: told.numbers.iter().take(MAX_EVIDENCE).map(|&n| around.first + u64::from(n)).collect(),
            confidence: Confidence::High,
            why: format!(
                "ICMP told the {us} {}x {size}; it had sent packets of {largest} bytes and sent their bytes again \
                 in smaller ones, {} after the first had left",
                told.count,
                milliseconds(lost),
            ),
            path_mtu,
        });
    }
    let seen = vanishing.filter(|v| v.until.is_some() && v.repeated == 0 && stall(v, around).is_none())?;
    let path_mtu = PathMtu { least: seen.passed, most: seen.vanished - 1 };
    let evidence: Vec<u64> =
        seen.numbers.iter().take(MAX_EVIDENCE).map(|&n| around.first + u64::from(n)).collect();
    if !seen.from_behind {
        // A probe of a larger size is lost alone (RFC 4821 §7.2).
        if seen.largest < LEAST_FLIGHT || seen.passed < LEAST_TOLD {
            return None;
        }
        let until = seen.until.unwrap_or(seen.from);
        // The way of what was sent again and of its acknowledgment is not lost.
        let lost = Duration::from_nanos(until.saturating_sub(seen.from).saturating_sub(around.path));
        return Some(Finding {
            cause: Cause::PathMtuDiscovery,
            side,
            count: seen.count,
            lost,
            evidence,
            confidence: Confidence::Medium,
            why: format!(
                "{} packets of the {us} of {} bytes and more were never acknowledged, and their bytes were sent again, \
                 without a timeout, in packets of {} bytes and less: ICMP that the capture has not got told the {us}",
                seen.count, seen.vanished, seen.passed,
            ),
            path_mtu: Some(path_mtu),
        });
    }
    // How long the server's application took is in it, so that a round trip is the most that discovery can have cost.
    let waited = seen.until.unwrap_or(seen.from).saturating_sub(seen.from);
    let lost = Duration::from_nanos(waited.min(around.path));
    let cost = if waited >= around.path + LATE_NS {
        format!(
            "{}, or, where it spoke late, up to {}",
            milliseconds(lost),
            milliseconds(Duration::from_nanos(waited))
        )
    } else {
        format!("{} at the most", milliseconds(lost))
    };
    Some(Finding {
        cause: Cause::PathMtuDiscovery,
        side,
        count: seen.count,
        lost,
        evidence,
        confidence: Confidence::Medium,
        why: format!(
            "the {us}'s first packets of {} bytes did not get here; their bytes came in packets of up to {} bytes, \
             cut where the larger ones had ended, and sooner than after timeouts: a router had told the {us}, which cost \
             {cost}",
            seen.vanished, seen.passed,
        ),
        path_mtu: Some(path_mtu),
    })
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
