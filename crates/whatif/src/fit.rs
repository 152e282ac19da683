//! Which settings that the capture does not show directly make the replay come out as the capture did?
//!
//! A capture shows a held segment, not TCP_NODELAY; a quick ACK, not the route's `quickack`; late ACKs, not the system's
//! rule for them. Where the evidence leaves a setting open, the replay decides: the likeliest combination that agrees with
//! the capture is taken.

use crate::Model;
use crate::replay::{Outcome, compare, play_as_found};
use narrows_lab::Side;
use narrows_stack::knob::{AckPolicyKind, QuickAck};

/// A replay this close to the capture needs no better explanation.
const GOOD_ENOUGH: f64 = 0.02;

/// An unusual setting must explain this much more of the capture for each departure from the usual ones.
const UNUSUAL: f64 = 0.01;

/// Differences in the number of packets count with this weight: they tell policies of acknowledging apart where the
/// times agree.
const PACKETS: f64 = 0.2;

/// The model whose replay agrees best with the capture, and that replay. `None` when no replay ends.
pub(crate) fn fit(model: &Model) -> Option<(Model, Outcome)> {
    let mut best: Option<(f64, Model, Outcome)> = None;
    for (departures, candidate) in candidates(model) {
        let Some(outcome) = play_as_found(&candidate) else { continue };
        let error = compare(&candidate, &outcome).error.abs();
        let packets = (outcome.packets as f64 / candidate.observed.packets.max(1) as f64 - 1.0).abs();
        let score = error + PACKETS * packets + UNUSUAL * f64::from(departures);
        let done = departures == 0 && error <= GOOD_ENOUGH && PACKETS * packets <= GOOD_ENOUGH;
        if best.as_ref().is_none_or(|(least, ..)| score < *least) {
            best = Some((score, candidate, outcome));
        }
        if done {
            break;
        }
    }
    best.map(|(_, model, outcome)| (model, outcome))
}

/// The models to try, the likeliest first, with the number of unusual settings in each.
fn candidates(model: &Model) -> Vec<(u32, Model)> {
    let mut candidates = vec![(0, model.clone())];
    for side in [Side::Client, Side::Server] {
        if !model.ends[side.index()].holds_small_segments {
            vary(&mut candidates, |candidate| candidate.end_mut(side).knobs.nodelay = true);
        }
        vary(&mut candidates, |candidate| candidate.end_mut(side).knobs.quickack = QuickAck::Route);
        if let Some(timer) = model.ends[side.index()].ack_timer {
            vary(&mut candidates, |candidate| {
                let knobs = &mut candidate.end_mut(side).knobs;
                knobs.ack_policy = AckPolicyKind::Delayed;
                knobs.ack_delay_max = timer;
                knobs.hz = 0;
            });
        }
    }
    candidates.sort_by_key(|(departures, _)| *departures);
    candidates
}

/// Adds each candidate once more with one setting changed.
fn vary(candidates: &mut Vec<(u32, Model)>, change: impl Fn(&mut Model)) {
    for at in 0..candidates.len() {
        let (departures, mut candidate) = candidates[at].clone();
        change(&mut candidate);
        candidates.push((departures + 1, candidate));
    }
}
