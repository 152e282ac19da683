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

/// What shows that the sender was told, and what it cost.
struct Discovered<'a> {
    count: u32,
    lost: Duration,
    /// Packets' numbers, less that of the connection's first.
    numbers: &'a [u32],
    confidence: Confidence,
    why: String,
    path_mtu: Option<PathMtu>,
}

/// Names a discovery that has come to its end: told by ICMP in the capture, or, behind the narrow link, by segments that
/// come cut anew without a timeout before them.
pub(crate) fn finding(
    side: Side,
    told: &Told,
    vanishing: Option<&Vanishing>,
    around: &Around,
) -> Option<Finding> {
    let discovered = if told.count > 0 {
        by_icmp(side, told, vanishing)
    } else {
        let ended = |v: &&Vanishing| v.until.is_some() && v.repeated == 0 && stall(v, around).is_none();
        let seen = vanishing.filter(ended)?;
        if seen.from_behind {
            behind_the_link(side, seen, around)
        } else {
            before_the_link(side, seen, around)?
        }
    };
    let Discovered { count, lost, numbers, confidence, why, path_mtu } = discovered;
    let evidence = numbers.iter().take(MAX_EVIDENCE).map(|&n| around.first + u64::from(n)).collect();
    Some(Finding { cause: Cause::PathMtuDiscovery, side, count, lost, evidence, confidence, why, path_mtu })
}

fn by_icmp<'a>(side: Side, told: &'a Told, vanishing: Option<&Vanishing>) -> Discovered<'a> {
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
    let why = format!(
        "ICMP told the {} {}x {size}; it had sent packets of {largest} bytes and sent their bytes again in smaller \
         ones, {} after the first had left",
        side.name(),
        told.count,
        milliseconds(lost),
    );
    Discovered {
        count: told.count,
        lost,
        numbers: &told.numbers,
        confidence: Confidence::High,
        why,
        path_mtu,
    }
}

/// What inference from sizes shows: nobody said it here.
fn inferred(seen: &Vanishing, lost: Duration, why: String) -> Discovered<'_> {
    Discovered {
        count: seen.count,
        lost,
        numbers: &seen.numbers,
        confidence: Confidence::Medium,
        why,
        // Who was told fills packets up to just that size.
        path_mtu: Some(PathMtu {
            least: seen.passed,
            most: if seen.count > 1 { seen.passed } else { seen.vanished - 1 },
        }),
    }
}

/// The capture has the packets that vanished, and not the ICMP about them.
fn before_the_link<'a>(side: Side, seen: &'a Vanishing, around: &Around) -> Option<Discovered<'a>> {
    // A probe of a larger size is lost alone (RFC 4821 §7.2).
    if seen.largest < LEAST_FLIGHT || seen.passed < LEAST_TOLD {
        return None;
    }
    let us = side.name();
    // The way of what was sent again and of its acknowledgment is not lost.
    let lost = Duration::from_nanos(waited(seen).saturating_sub(around.path));
    let why = format!(
        "{} packets of the {us} of {} bytes and more were never acknowledged, and their bytes were sent again, without a \
         timeout, in packets of {} bytes and less: ICMP that the capture has not got told the {us}",
        seen.count, seen.vanished, seen.passed,
    );
    Some(inferred(seen, lost, why))
}

/// The packets that vanished did not get to where the capture was made.
fn behind_the_link<'a>(side: Side, seen: &'a Vanishing, around: &Around) -> Discovered<'a> {
    let us = side.name();
    // How long the server's application took is in it, so that a round trip is the most that discovery can have cost; unless there was a
    // timeout before, which no application makes.
    let lost = match (seen.timed_out, seen.after_own) {
        (true, true) => waited(seen),
        (true, false) => waited(seen).saturating_sub(around.path),
        (false, _) => waited(seen).min(around.path),
    };
    let lost = Duration::from_nanos(lost);
    let cost = if seen.timed_out {
        format!("{}: it spoke after a timeout", milliseconds(lost))
    } else if waited(seen) >= around.path + LATE_NS {
        let most = milliseconds(Duration::from_nanos(waited(seen)));
        format!("{}, or, where it spoke late, up to {most}", milliseconds(lost))
    } else {
        format!("{} at the most", milliseconds(lost))
    };
    let why = format!(
        "the {us}'s first packets of {} bytes did not get here; their bytes came in packets of up to {} bytes, cut where \
         the larger ones had ended, and sooner than after three timeouts: a router had told the {us}, which cost {cost}",
        seen.vanished, seen.passed,
    );
    inferred(seen, lost, why)
}

fn waited(seen: &Vanishing) -> u64 {
    seen.until.unwrap_or(seen.from).saturating_sub(seen.from)
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
