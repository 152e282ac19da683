//! Do packets travel in fragments, and what does losing one of them cost? One lost fragment wastes all of its datagram: of
//! n fragments that are lost with probability p each, a datagram is lost with 1-(1-p)^n.

use super::MAX_EVIDENCE;
use crate::datagram::DatagramSide;
use crate::tcp::sizes::Sent;
use crate::{Cause, Confidence, Finding, Outer, PathMtu, TunnelKind};
use narrows_lab::Side;
use std::time::Duration;

/// Fewer fragmented packets than this are not worth a word.
const LEAST_COUNT: u64 = 3;
/// Nor is a smaller share of all.
const LEAST_SHARE: f64 = 0.02;

/// A connection whose segments are fragmented, on the outside of a tunnel or as they are.
pub(crate) fn of_connection(side: Side, sent: &Sent, outer: Option<&Outer>, first: u64) -> Option<Finding> {
    let (count, outside) = match (sent.fragmented_outside, sent.fragmented) {
        (0, count) => (count, None),
        (count, _) => (count, outer),
    };
    if u64::from(count) < LEAST_COUNT {
        return None;
    }
    let pieces = sent.pieces;
    let (cause, why) = match outside {
        Some(outer) => {
            let name = outer.kind.name();
            let full = sent.full.packet + outer.overhead;
            let fits = sent.largest_outside.saturating_sub(outer.overhead);
            let headers = sent.full.packet.saturating_sub(sent.full.most);
            (
                Cause::OuterFragmentation,
                format!(
                    "{count} packets of the {} were {pieces} fragments each on the outside of the {name} tunnel: its \
                     {} bytes make {full} of the {} of a full packet, and a fragment has {} at the most; a payload of \
                     {} bytes in a segment would fit",
                    side.name(),
                    outer.overhead,
                    sent.full.packet,
                    sent.largest_outside,
                    fits.saturating_sub(headers),
                ),
            )
        }
        None => (
            Cause::IpFragmentation,
            format!("{count} segments of the {} came in up to {pieces} IP fragments each", side.name()),
        ),
    };
    let path_mtu = outside.map(|outer| {
        let fits = sent.largest_outside.saturating_sub(outer.overhead);
        PathMtu { least: fits, most: fits }
    });
    Some(Finding {
        cause,
        side,
        count,
        lost: Duration::ZERO,
        evidence: vec![first + u64::from(sent.first_fragmented)],
        confidence: Confidence::High,
        why,
        path_mtu,
    })
}

/// The datagrams of one side of a flow
/// that is this tunnel, if any, over this IP version.
pub(crate) fn of_datagrams(
    side: Side,
    sent: &DatagramSide,
    evidence: &[u64],
    tunnel: Option<TunnelKind>,
    ipv6: bool,
) -> Option<Finding> {
    let count = sent.fragmented + sent.incomplete;
    let all = sent.datagrams + sent.incomplete;
    if count < LEAST_COUNT || (count as f64) < LEAST_SHARE * all as f64 {
        return None;
    }
    let mut why = format!(
        "{count} of the {}'s {all} datagrams came in up to {} fragments, of {} bytes at the most",
        side.name(),
        sent.most_pieces,
        sent.largest_packet,
    );
    if let Some(loss) = sent.fragment_loss() {
        let n = sent.usual_pieces();
        let multiplied = 1.0 - (1.0 - loss).powf(n);
        let measured = sent.incomplete as f64 / all as f64;
        let payload = sent.largest_packet.saturating_sub(28);
        why.push_str(&format!(
            "; {} fragments were missing ({:.1} %), and {} datagrams with them ({:.1} %; 1-(1-p)^n for {n:.1} \
             fragments: {:.1} %): datagrams of {payload} bytes would lose {:.1} %",
            sent.missing_fragments,
            loss * 100.0,
            sent.incomplete,
            measured * 100.0,
            multiplied * 100.0,
            loss * 100.0,
        ));
    }
    let outside = 8 + if ipv6 { 40 } else { 20 };
    let around = match tunnel {
        // Type, receiver, counter and tag (16 + 16 bytes) behind UDP's and IP's own.
        Some(TunnelKind::WireGuard) => 32 + outside,
        // Operation and peer, packet number and the tag of the usual ciphers, AES-GCM and ChaCha20-Poly1305 (4 + 4 + 16 bytes).
        Some(TunnelKind::OpenVpn) => 24 + outside,
        _ => 0,
    };
    let fits = sent.largest_packet.saturating_sub(around);
    if around > 0 {
        why.push_str(&format!(
            "; the tunnel puts {around} around each packet: an MTU of {fits} inside of it would fit"
        ));
    }
    let path_mtu = PathMtu { least: fits, most: fits };
    Some(Finding {
        cause: if around > 0 { Cause::OuterFragmentation } else { Cause::IpFragmentation },
        side,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        lost: Duration::ZERO,
        evidence: evidence.iter().take(MAX_EVIDENCE).copied().collect(),
        confidence: Confidence::High,
        why,
        path_mtu: (sent.largest_packet > 0).then_some(path_mtu),
    })
}

#[cfg(test)]
#[path = "fragments_tests.rs"]
mod tests;
