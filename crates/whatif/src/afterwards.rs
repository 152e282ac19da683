//! What does a black hole cost once its stall is over? The sender goes on with a congestion window of one segment and a slow start
//! threshold that each timeout has halved (RFC 5681 §3.1), in smaller packets, and looks for the size that passes.
//!
//! A capture shows the stall. How fast the rest would have gone without it shows only a replay: the same connection on the same path,
//! where packets of every size pass.

use crate::replay::{Outcome, play};
use crate::{Model, Replay};
use narrows_lab::Side;
use narrows_trace::{Cause, Connection};
use std::time::Duration;

/// Time that was lost between a stall and the connection's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Afterwards {
    /// Whose packets had vanished.
    pub side: Side,
    /// The likeliest.
    pub lost: Duration,
    /// The least that it can be: what is surely lost.
    pub low: Duration,
    /// The most.
    pub high: Duration,
}

/// What was lost after the stalls of a connection that went on; `None` where nothing was lost for sure. `spread` is the share by which
/// a replay may be wrong.
pub(crate) fn afterwards(
    connection: &Connection,
    model: &Model,
    replay: &Replay,
    spread: f64,
) -> Option<Afterwards> {
    let stalls = || connection.findings.iter().filter(|finding| finding.cause == Cause::PathMtuBlackHole);
    let side = stalls().next()?.side;
    if model.unfinished.is_some() {
        return None;
    }
    let mut open = model.clone();
    open.sizes.narrow = None;
    let without: Outcome = play(&open)?;
    let (captured, replayed) = replay.duration;
    let stalled: Duration = stalls().map(|finding| finding.lost).sum();
    // By how much the replay as found is off is not known to be before the stall's end or after it.
    let off = captured.abs_diff(replayed);
    let beyond = |rest: Duration| captured.saturating_sub(stalled).saturating_sub(rest);
    let (quickest, slowest) = (*without.durations.first()?, *without.durations.last()?);
    let low = beyond(slowest.mul_f64(1.0 + spread)).saturating_sub(off);
    let found = Afterwards {
        side,
        lost: beyond(without.median_duration()),
        low,
        high: beyond(quickest.mul_f64(1.0 - spread)) + off,
    };
    (!low.is_zero()).then_some(found)
}
