//! How does the window grow by one segment per round trip, and halve on loss? (RFC 5681 §3.1, §3.2.)

/// Congestion avoidance: `acked` segments were acknowledged, and one more may be in flight per `per_segment` of them.
/// Returns the new window and the credit left over.
#[must_use]
pub fn avoid(window: u32, credit: u32, per_segment: u32, acked: u32) -> (u32, u32) {
    let per_segment = per_segment.max(1);
    let (mut window, mut credit) = (window, credit);
    // Credit gathered while more ACKs were asked for per segment is worth one segment, no more.
    if credit >= per_segment {
        credit = 0;
        window = window.saturating_add(1);
    }
    credit = credit.saturating_add(acked);
    let grown = credit / per_segment;
    (window.saturating_add(grown), credit % per_segment)
}

/// The threshold after a loss: half of the window, at least two segments.
#[must_use]
pub fn threshold(window: u32) -> u32 {
    (window / 2).max(2)
}
