//! Do packets of some size vanish on the path without a word from the router that drops them (RFC 2923 §2.1)? And does the
//! sender get around it by trying smaller ones (RFC 4821)?

use super::MAX_EVIDENCE;
use super::wording::{bytes_between, counted, milliseconds, narrowest, seconds};
use crate::size::Vanishing;
use crate::{Cause, Confidence, Finding, PathMtu};
use narrows_lab::Side;
use std::time::Duration;

/// Fewer packets than this that vanish are chance.
const LEAST_COUNT: u32 = 3;

/// What else has been seen of the connection, to tell a black hole from a peer that is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    /// The last packet, and the round trip; nanoseconds.
    pub(crate) end: u64,
    pub(crate) path: u64,
    /// When the other side was last seen to say anything.
    pub(crate) peer_last: u64,
    /// The handshake was finished on both sides.
    pub(crate) connected: bool,
    /// A router said that packets were too big.
    pub(crate) told: bool,
    /// The connection's first packet.
    pub(crate) first: u64,
}

/// The stall that these vanished packets made, if it is a black hole: from when until when, nanoseconds.
pub(crate) fn stall(vanishing: &Vanishing, around: &Around) -> Option<(u64, u64)> {
    let named = around.connected && !around.told && vanishing.repeated > 0 && vanishing.passed > 0;
    let several = vanishing.count >= LEAST_COUNT || vanishing.from_behind;
    (named && several && vanishing.passed < vanishing.vanished)
        .then(|| (vanishing.from, vanishing.until.unwrap_or(around.end)))
}

/// Names the black hole and, where the sender found a size that passes, that it did.
pub(crate) fn findings(side: Side, vanishing: &Vanishing, around: &Around) -> Vec<Finding> {
    let Some((from, until)) = stall(vanishing, around) else { return Vec::new() };
    // A round trip of it would have passed anyway.
    let lost = Duration::from_nanos(until.saturating_sub(from).saturating_sub(around.path));
    let path_mtu = PathMtu { least: vanishing.passed, most: vanishing.vanished - 1 };
    let evidence: Vec<u64> =
        vanishing.numbers.iter().take(MAX_EVIDENCE).map(|&n| around.first + u64::from(n)).collect();
    let went_on = vanishing.until.is_some();
    let peer_lives = around.peer_last > vanishing.from + around.path;
    let confidence = match (went_on, vanishing.from_behind) {
        (true, false) => Confidence::High,
        (true, true) => Confidence::Medium,
        (false, _) if peer_lives => Confidence::Medium,
        (false, _) => Confidence::Low,
    };
    let mut found = vec![Finding {
        cause: Cause::PathMtuBlackHole,
        side,
        count: vanishing.count,
        lost,
        evidence: evidence.clone(),
        confidence,
        why: why(side, vanishing, path_mtu, lost),
        path_mtu: Some(path_mtu),
    }];
    if let Some(bytes) = vanishing.restarted_with {
        found.push(Finding {
            cause: Cause::MtuProbingRecovers,
            side,
            count: 1,
            lost: Duration::ZERO,
            evidence,
            confidence,
            why: format!(
                "after {} without progress the {} sent the same bytes again in packets of {bytes} bytes, and these \
                 arrived; since then packets of up to {} bytes have",
                seconds(lost),
                side.name(),
                vanishing.passed,
            ),
            path_mtu: Some(path_mtu),
        });
    }
    found
}

fn why(side: Side, vanishing: &Vanishing, path_mtu: PathMtu, lost: Duration) -> String {
    let us = side.name();
    let count = counted(vanishing.count, "packet");
    let how_seen = if vanishing.from_behind {
        format!("{count} of {} bytes that the {us} must have sent never got here", vanishing.vanished)
    } else {
        format!("{count} of the {us} of {} bytes and more were never acknowledged", vanishing.vanished)
    };
    let end = if vanishing.until.is_some() {
        format!("nothing went on for {}", seconds(lost))
    } else {
        format!("nothing went on for {} and until the capture ends", milliseconds(lost))
    };
    let verb = if vanishing.from_behind { "did" } else { "were" };
    format!(
        "{how_seen}, and packets of up to {} bytes {verb}: a link on the way takes {}{}, and no ICMP says so; {end}",
        vanishing.passed,
        bytes_between(path_mtu),
        narrowest(path_mtu),
    )
}

#[cfg(test)]
#[path = "black_hole_tests.rs"]
mod tests;
