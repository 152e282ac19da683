//! What would each knob be worth? Replays the world as found, then once more for each turned knob.

use crate::afterwards::afterwards;
use crate::fit::fit;
use crate::model::NEVER_ENDED;
use crate::replay::{Outcome, compare, play};
use crate::turn::{TurnError, turnings_for};
use crate::{Estimate, MODEL_ERROR_LIMIT, Model, Prediction, Replay, Turning, WhatIf};
use narrows_lab::{Conversation, Side, Trigger};
use narrows_trace::Connection;
use std::time::Duration;

/// No range is narrower than this share on each side: repeated measurements of one setting on real hosts differ by
/// as much.
const SPREAD_FLOOR: f64 = 0.05;

/// Nor is it narrower than this on each side of an exchange: a host is as late as that now and then.
const HOST_JITTER: Duration = Duration::from_micros(50);

/// No retransmission timeout of Linux is shorter (TCP_RTO_MIN).
const LEAST_TIMEOUT: Duration = Duration::from_millis(200);

/// Pauses of the client between an answer and its next request up to this are the cost of reading and writing, not
/// thinking.
const HOST_COST_LIMIT: Duration = Duration::from_millis(1);

/// Predicts what turning knobs would give: those that fit the connection's findings, and `asked` ones.
///
/// # Errors
/// [`TurnError`] when one of the `asked` turnings cannot be turned.
pub fn predict(connection: &Connection, asked: &[Turning]) -> Result<WhatIf, TurnError> {
    let mut turnings: Vec<Turning> = Vec::new();
    for turning in connection
        .findings
        .iter()
        .flat_map(|finding| turnings_for(finding, connection.client.is_ipv6()))
        .chain(asked.iter().cloned())
    {
        if !turnings.contains(&turning) {
            turnings.push(turning);
        }
    }
    let model = match Model::of(connection) {
        Ok(model) => model,
        Err(refusal) => return Ok(WhatIf { refused: Some(refusal.to_string()), ..WhatIf::default() }),
    };
    let Some((model, found)) = fit(&model) else {
        return Ok(WhatIf { refused: Some(NEVER_ENDED.to_owned()), ..WhatIf::default() });
    };
    let replay = compare(&model, &found);
    if replay.error.abs() > MODEL_ERROR_LIMIT {
        return Ok(WhatIf {
            replay: Some(replay),
            refused: Some(format!(
                "replayed unchanged, the model is {:+.0} % off the capture: something decides here that it does not contain",
                replay.error * 100.0
            )),
            ..WhatIf::default()
        });
    }
    let mut predictions = Vec::with_capacity(turnings.len());
    for turning in &turnings {
        let turned = model.turned(turning)?;
        // What is already in effect is no advice; who asks for it gets it.
        if turned == model && !asked.contains(turning) {
            continue;
        }
        if let Some(prediction) = worth(&model, &turned, turning, &replay) {
            predictions.push(prediction);
        }
    }
    predictions.sort_by_key(|prediction| {
        prediction.exchange.map_or(prediction.duration.after, |exchange| exchange.after)
    });
    let afterwards = afterwards(connection, &model, &replay, spread(&replay));
    Ok(WhatIf { replay: Some(replay), predictions, afterwards, refused: None })
}

/// By how much, as a share, a replay may be wrong on each side.
fn spread(replay: &Replay) -> f64 {
    replay.error.abs().max(SPREAD_FLOOR)
}

fn worth(model: &Model, turned: &Model, turning: &Turning, replay: &Replay) -> Option<Prediction> {
    let guessed = play(turned)?;
    let mut late = turned.clone();
    let latest = if write_at_the_latest(&mut late.conversation) { play(&late) } else { None };
    let told_late = told_late(turned).and_then(|told| play(&told));
    let spread = spread(replay);
    let estimate = |before: Duration, median: Duration, of: fn(&Outcome) -> &[Duration]| {
        let others = || latest.iter().chain(&told_late);
        let values = || of(&guessed).iter().chain(others().flat_map(of)).copied();
        Estimate {
            before,
            after: median,
            low: values().min().unwrap_or(median).mul_f64(1.0 - spread),
            high: values().max().unwrap_or(median).mul_f64(1.0 + spread),
        }
    };
    let exchange = model.observed.exchange.zip(guessed.median_exchange()).map(|(before, median)| {
        let mut exchange = estimate(before, median, |outcome| &outcome.exchanges);
        exchange.low = exchange.low.saturating_sub(HOST_JITTER);
        exchange.high += HOST_JITTER + host_cost(&model.conversation);
        exchange
    });
    let duration = estimate(model.observed.duration, guessed.median_duration(), |outcome| &outcome.durations);
    let packets = (model.observed.packets, guessed.packets);
    let at_least = model.unfinished.is_some();
    // An exchange that the capture has not got to its end is none to compare with.
    let exchange = exchange.filter(|_| !at_least);
    Some(Prediction { turning: turning.clone(), duration, exchange, packets, at_least })
}

/// Behind a narrow link an application that thought cannot be told from a router that spoke late, as long as that was before the sender's
/// timeout: the same world, and it was the router.
fn told_late(model: &Model) -> Option<Model> {
    let turn = model.discovered?;
    let mut late = model.clone();
    let think = &mut late.conversation.turns.get_mut(turn)?.think;
    // A tail loss probe after two round trips sets the timer anew (RFC 8985 §7.2).
    let hidden = (*think).min(LEAST_TIMEOUT + model.round_trip * 3);
    *think -= hidden;
    late.sizes.icmp_delay += hidden;
    (hidden > HOST_COST_LIMIT).then_some(late)
}

/// Every write whose time the capture hides comes as late as it can have come. False when there is none.
fn write_at_the_latest(conversation: &mut Conversation) -> bool {
    let mut any = false;
    for write in conversation.turns.iter_mut().flat_map(|turn| &mut turn.writes) {
        any |= write.gap_latest > write.gap;
        write.gap = write.gap.max(write.gap_latest);
    }
    any
}

/// What the client's host needs between reading an answer and its next request: an application's own clock counts
/// it with the exchange, a capture does not.
fn host_cost(conversation: &Conversation) -> Duration {
    let mut costs: Vec<Duration> = conversation
        .turns
        .iter()
        .filter(|turn| turn.side == Side::Client && matches!(turn.trigger, Trigger::Received(_)))
        .map(|turn| turn.think)
        .filter(|&think| think <= HOST_COST_LIMIT)
        .collect();
    costs.sort_unstable();
    costs.get(costs.len() / 2).copied().unwrap_or(Duration::ZERO)
}
