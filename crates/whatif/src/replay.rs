//! How does the model's world come out? Plays it in the lab, once for each of several positions of the timer ticks.

use crate::{Model, Replay, Unfinished};
use narrows_lab::{
    DirectionConfig, IpVersion, LinkConfig, Outcome as Ending, PlayConfig, Playback, PlayerOptions, Side,
    SideConfig, play as play_in_lab,
};
use narrows_stack::Instant;
use std::time::Duration;

/// Where in a tick a host stands is unknown, and a delayed ACK leaves up to a tick sooner or later for it: the plays
/// go through this many positions, evenly spread.
const POSITIONS: u32 = 7;

/// The client's positions are taken in order and the server's in steps of this, so that the pairs spread over the square.
const SERVER_STEP: u32 = 3;

/// A replay may take this many times as long as the capture (plus a minute) before it is given up.
const PATIENCE: u32 = 20;

/// The IPv4 packets that the smallest round trip was measured with: an acknowledgment with timestamps.
const SMALLEST_PACKET: u32 = 52;

/// Room enough that nothing is lost: connections whose losses decide are not replayed, and what the others lost is
/// unknown when something changes.
const QUEUE_BYTES: u64 = 1 << 40;

/// What came of the plays of one model.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The connection's duration in each play, sorted.
    pub durations: Vec<Duration>,
    /// The mean exchange in each play, sorted; empty when there are no exchanges.
    pub exchanges: Vec<Duration>,
    /// Packets in both directions, of the first play.
    pub packets: u64,
}

impl Outcome {
    /// The median duration.
    pub fn median_duration(&self) -> Duration {
        self.durations[self.durations.len() / 2]
    }

    /// The median of the mean exchanges.
    pub fn median_exchange(&self) -> Option<Duration> {
        self.exchanges.get(self.exchanges.len() / 2).copied()
    }
}

/// Plays the model as found: an unfinished one as long as the capture lasted.
pub(crate) fn play_as_found(model: &Model) -> Option<Outcome> {
    // The next packet, after a timeout twice as long as the last, is far behind this.
    play_until(model, model.unfinished.map(|_| model.observed.duration.mul_f64(1.2) + model.round_trip * 2))
}

/// Plays the model; `None` when a play does not come to its end.
pub(crate) fn play(model: &Model) -> Option<Outcome> {
    play_until(model, None)
}

fn play_until(model: &Model, until: Option<Duration>) -> Option<Outcome> {
    let mut outcome = Outcome { durations: Vec::new(), exchanges: Vec::new(), packets: 0 };
    for position in 0..POSITIONS {
        let mut config = config(model, position);
        config.time_limit = until.unwrap_or(config.time_limit);
        let playback = play_in_lab(&model.conversation, &config).ok()?;
        let ended = matches!(playback.outcome, Ending::Completed | Ending::NotClosed);
        let cut_on_purpose = until.is_some() && playback.outcome == Ending::TimeLimit;
        if !ended && !cut_on_purpose {
            return None;
        }
        outcome.durations.push(match (model.unfinished, until) {
            (None, _) | (Some(Unfinished::LastAttempt), Some(_)) => duration(model, &playback)?,
            (Some(Unfinished::LastSaidTo(side)), Some(_)) => last_said(model, &playback, side)?,
            // What comes after the last byte belongs to what the capture does not have.
            (Some(_), None) => playback.duration_to_last_read()?,
        });
        outcome.exchanges.extend(playback.mean_exchange());
        if position == 0 {
            outcome.packets = playback.sent.iter().map(|sent| sent.packets).sum();
        }
    }
    outcome.durations.sort_unstable();
    outcome.exchanges.sort_unstable();
    Some(outcome)
}

fn config(model: &Model, position: u32) -> PlayConfig {
    let side = |side: Side| {
        let end = &model.ends[side.index()];
        let nth = match side {
            Side::Client => position,
            Side::Server => position * SERVER_STEP % POSITIONS,
        };
        let tick = Duration::from_secs(1).checked_div(end.knobs.hz).unwrap_or(Duration::ZERO);
        SideConfig {
            knobs: end.knobs.clone(),
            options: PlayerOptions::default(),
            tick_phase_ns: Some((tick.as_nanos() as u64) * u64::from(nth) / u64::from(POSITIONS)),
        }
    };
    PlayConfig {
        ip_version: if model.ipv6 { IpVersion::V6 } else { IpVersion::V4 },
        client: side(Side::Client),
        server: side(Side::Server),
        between: model.sizes.between(),
        time_limit: model.observed.duration * PATIENCE + Duration::from_secs(60),
        ..PlayConfig::new(
            u64::from(position),
            model.ends[0].knobs.clone(),
            model.ends[1].knobs.clone(),
            link(model),
        )
    }
}

/// The path: half of the round trip each way, of which the rate takes its part.
pub(crate) fn link(model: &Model) -> LinkConfig {
    let direction = |side: Side| DirectionConfig {
        rate_bits_per_second: model.rate_bits_per_second[side.index()],
        queue_bytes: QUEUE_BYTES,
        ..DirectionConfig::default()
    };
    let mut link = LinkConfig {
        forward: direction(Side::Client),
        backward: direction(Side::Server),
        over_network: false,
    };
    let smallest = if model.ipv6 { 20 + SMALLEST_PACKET } else { SMALLEST_PACKET };
    let transmission = link.forward.transmission_time(smallest) + link.backward.transmission_time(smallest);
    let delay = model.round_trip.saturating_sub(transmission) / 2;
    (link.forward.delay, link.backward.delay) = (delay, delay);
    link
}

/// The duration as the capture at its vantage point shows it.
fn duration(model: &Model, playback: &Playback) -> Option<Duration> {
    let (first, last) = playback.span[model.vantage.index()]?;
    if model.spans_handshake {
        return Some(last.since(first));
    }
    let spoken: Instant = playback.turns.first()?.first_write?;
    let arrives_after =
        if model.conversation.turns[0].side == model.vantage { Duration::ZERO } else { model.round_trip / 2 };
    Some(last.since(spoken + arrives_after))
}

/// When `side` last read or wrote something, as the capture at its vantage point counts time.
fn last_said(model: &Model, playback: &Playback, side: Side) -> Option<Duration> {
    let (first, _) = playback.span[model.vantage.index()]?;
    let said = playback.turns.iter().zip(&model.conversation.turns).filter_map(|(times, turn)| {
        if turn.side == side { times.last_write } else { times.last_read.max(times.first_read) }
    });
    // Where nothing came of what was said, the connection was opened at least.
    Some(said.max().or(playback.established[side.index()])?.since(first))
}

/// How far a replay as found is from the capture.
pub(crate) fn compare(model: &Model, outcome: &Outcome) -> Replay {
    let observed = model.observed;
    let relative = |replayed: Duration, captured: Duration| {
        if captured.is_zero() { 0.0 } else { replayed.as_secs_f64() / captured.as_secs_f64() - 1.0 }
    };
    let exchange = observed.exchange.zip(outcome.median_exchange());
    let mut error = relative(outcome.median_duration(), observed.duration);
    if let Some((captured, replayed)) = exchange {
        let of_exchange = relative(replayed, captured);
        if of_exchange.abs() > error.abs() {
            error = of_exchange;
        }
    }
    Replay { duration: (observed.duration, outcome.median_duration()), exchange, error }
}
