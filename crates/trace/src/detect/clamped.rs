//! Has something on the way lowered the MSS that was asked for? Information: it is how narrow links are usually dealt with.

use crate::{Cause, Confidence, Finding, PathMtu};
use narrows_lab::Side;
use std::time::Duration;

/// Fewer full segments than this show no habit.
const LEAST_SEGMENTS: u32 = 8;

/// What one side's SYN asks for, and what its peer makes of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// The MSS option of this side's SYN as captured.
    pub(crate) option: u32,
    /// What the rest of that SYN says that it was, where that is more.
    pub(crate) before: Option<u32>,
    /// The SYN's number, less that of the connection's first packet.
    pub(crate) number: u32,
    /// What the other side's SYN asks for: its interface takes as much.
    pub(crate) peer_option: u32,
    /// IP and TCP headers without options.
    pub(crate) headers: u32,
    /// The other side's full segments: the packet's bytes, how many, whether all have one size, and the first one's
    /// number.
    pub(crate) used: u32,
    pub(crate) segments: u32,
    pub(crate) constant: bool,
    pub(crate) first_used: u32,
    /// Something else explains the size: the network told the sender, or larger packets vanished.
    pub(crate) explained: bool,
}

/// Names an MSS that was lowered on the way, by either side's SYN.
pub(crate) fn finding(asked: [Asked; 2], first: u64) -> Option<Finding> {
    let mut evidence = Vec::new();
    let mut reasons = Vec::new();
    let mut confidence = Confidence::High;
    let mut used = Vec::new();
    for side in [Side::Client, Side::Server] {
        let Asked { option, before, number, .. } = asked[side.index()];
        if let Some(before) = before {
            evidence.push(first + u64::from(number));
            used.push((side.peer(), option + asked[side.index()].headers));
            reasons.push(format!(
                "the {}'s SYN asks for {option}, but its window counts in the {before} that its interface has",
                side.name()
            ));
        }
    }
    if reasons.is_empty() {
        confidence = Confidence::Medium;
        for side in [Side::Client, Side::Server] {
            let it = &asked[side.index()];
            let largest = it.option.min(it.peer_option) + it.headers;
            let smaller = it.option > 0 && it.peer_option > 0 && it.used + 4 <= largest;
            if smaller && it.constant && it.segments >= LEAST_SEGMENTS && !it.explained {
                evidence.push(first + u64::from(it.first_used));
                used.push((side.peer(), it.used));
                reasons.push(format!(
                    "the {} asked for an MSS of {} and the {}'s own is {}, yet all {} full packets of the {} have {} \
                     bytes from the first on, as after an MSS of {}",
                    side.name(),
                    it.option,
                    side.peer().name(),
                    it.peer_option,
                    it.segments,
                    side.peer().name(),
                    it.used,
                    it.used - it.headers,
                ));
            }
        }
    }
    let (side, bytes) = used.into_iter().min_by_key(|(_, bytes)| *bytes)?;
    Some(Finding {
        cause: Cause::MssClamped,
        side,
        count: reasons.len() as u32,
        lost: Duration::ZERO,
        evidence,
        confidence,
        why: format!("{}: something on the way lowered it", reasons.join("; ")),
        path_mtu: Some(PathMtu { least: bytes, most: bytes }),
    })
}

#[cfg(test)]
#[path = "clamped_tests.rs"]
mod tests;
