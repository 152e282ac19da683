//! In what world did this connection live? Path, two hosts with their knobs, and the conversation.

use crate::path::{ETHERNET_MTU, Sizes, behind, headers};
use narrows_lab::{Conversation, Side, Trigger, Turn, Write};
use narrows_stack::knob::MtuProbing;
use narrows_stack::{Knobs, profile::Profile};
use narrows_trace::{Cause, Connection, Finding, Vantage};
use narrows_wire::TcpOptions;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// One end of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The system it looks like, or is taken to be.
    pub profile: &'static str,
    /// Its stack's knobs.
    pub knobs: Knobs,
    /// The capture shows that it holds small segments (Nagle is on).
    pub holds_small_segments: bool,
    /// The median of its delayed ACKs' delays, where the capture shows enough of them.
    pub ack_timer: Option<Duration>,
}

/// What the capture says about the connection as found, for comparing the replay with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The connection's duration (see [`Model::spans_handshake`]).
    pub duration: Duration,
    /// Mean exchange.
    pub exchange: Option<Duration>,
    /// Packets in both directions.
    pub packets: u64,
}

/// The world of one connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What the applications say.
    pub conversation: Conversation,
    /// IPv6 rather than IPv4.
    pub ipv6: bool,
    /// The path's round trip; each direction gets half of it.
    pub round_trip: Duration,
    /// The rate of the path's narrowest link in bits per second of IP packets, by the sending side; `None`: packets
    /// take no time.
    pub rate_bits_per_second: [Option<u64>; 2],
    /// Client and server, by [`Side::index`].
    pub ends: [End; 2],
    /// The end at which the capture was made (the client where it was made in between).
    pub vantage: Side,
    /// What the path does to packets for their size.
    pub sizes: Sizes,
    /// The turn before which its sender was told of the narrow link, where the capture was made behind that.
    pub discovered: Option<usize>,
    /// The capture ends while nothing gets through: it does not show how long the connection takes, nor all that is said.
    pub unfinished: Option<Unfinished>,
    /// The duration counts from the SYN; otherwise from the first write (a capture begun in the middle).
    pub spans_handshake: bool,
    /// As found.
    pub observed: Observed,
}

/// What of a connection that never goes on a replay is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The last time that the sender tried: when its peer's patience ends is no matter of the path.
    LastAttempt,
    /// When that side last read or wrote something: the capture was made behind the place where packets vanish.
    LastSaidTo(Side),
}

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No application data.
    #[error("the applications said nothing that could be replayed")]
    NothingSaid,
    /// The path's round trip is not visible.
    #[error("the round trip is not visible in this capture (one direction only, or too little traffic)")]
    NoRoundTrip,
    /// The capture holds more than the conversation keeps.
    #[error("the connection is too long to be replayed whole")]
    TooLong,
    /// Loss decides.
    #[error(
        "losses decide this connection's time, and which packets a changed connection would lose is unknown"
    )]
    LossDecides,
    /// What vanished was never seen.
    #[error(
        "what was said into the black hole never came to where the capture was made: there is nothing to replay"
    )]
    NeverCame,
}

/// Said when no replay of a model comes to its end.
pub(crate) const NEVER_ENDED: &str = "the replay did not come to its end within the time allowed";

/// Above this share of recovery in the connection's time, a replay without losses says nothing.
const RECOVERY_LIMIT: f64 = 0.10;

impl Model {
    /// Builds the world of a connection.
    ///
    /// # Errors
    /// [`Refusal`] says what the capture lacks.
    pub fn of(connection: &Connection) -> Result<Model, Refusal> {
        let hole = never_recovers(connection);
        if connection.conversation.turns.is_empty() && hole.is_none() {
            return Err(Refusal::NothingSaid);
        }
        if connection.conversation.cut {
            return Err(Refusal::TooLong);
        }
        let round_trip = connection.round_trip.path.ok_or(Refusal::NoRoundTrip)?;
        // A probe that is too large is lost in the replay, too.
        let searches = connection.sides.iter().any(|side| side.upward_probing.is_some());
        let explained = searches || connection.findings.iter().any(|finding| is_of_path_mtu(finding.cause));
        let much =
            connection.account.recovery.as_secs_f64() > RECOVERY_LIMIT * connection.duration.as_secs_f64();
        if much && !explained {
            return Err(Refusal::LossDecides);
        }
        let mut conversation = connection.conversation.clone();
        let mut until = connection.duration;
        let unfinished = match hole {
            None => None,
            Some(hole) if behind(connection, hole) => {
                add_what_never_came(&mut conversation, hole.side, connection)?;
                // What is known of the connection ends where the silence begins.
                until = connection.duration.saturating_sub(hole.lost + round_trip);
                Some(Unfinished::LastSaidTo(hole.side.peer()))
            }
            Some(hole) => {
                conversation.close = None;
                until = connection.side(hole.side).last_payload.unwrap_or(until);
                Some(Unfinished::LastAttempt)
            }
        };
        let sizes = Sizes::of(connection, round_trip);
        let exchange = exchange_as_begun(connection, &sizes);
        let discovered = without_discovery(&mut conversation, connection, &sizes);
        bound_hidden_gaps(&mut conversation, round_trip);
        Ok(Model {
            ipv6: matches!(connection.client.ip(), IpAddr::V6(_)),
            round_trip,
            rate_bits_per_second: connection.rate_bits_per_second,
            ends: [end(connection, Side::Client), end(connection, Side::Server)],
            vantage: if connection.vantage == Vantage::Server { Side::Server } else { Side::Client },
            sizes,
            discovered,
            unfinished,
            spans_handshake: connection.handshake_seen,
            observed: Observed {
                duration: until,
                exchange,
                packets: connection.sides.iter().map(|side| side.packets).sum(),
            },
            conversation,
        })
    }

    /// One end.
    #[must_use]
    pub fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side.index()]
    }
}

fn is_of_path_mtu(cause: Cause) -> bool {
    matches!(cause, Cause::PathMtuBlackHole | Cause::PathMtuDiscovery)
}

/// The black hole that lasts until the capture ends.
fn never_recovers(connection: &Connection) -> Option<&Finding> {
    let of = |cause| connection.findings.iter().find(|finding| finding.cause == cause);
    of(Cause::PathMtuBlackHole).filter(|_| of(Cause::MtuProbingRecovers).is_none())
}

/// The mean exchange. Behind the narrow link a request is seen from the first packet on that got through; what its router was told about
/// began it.
fn exchange_as_begun(connection: &Connection, sizes: &Sizes) -> Option<Duration> {
    let mean = connection.mean_exchange?;
    if connection.vantage != Vantage::Server || never_recovers(connection).is_some() {
        return Some(mean);
    }
    let told = |finding: &&Finding| finding.cause == Cause::PathMtuDiscovery && finding.side == Side::Client;
    let times = connection.findings.iter().filter(told).count() as u32;
    Some(mean + sizes.told_after() * times / connection.exchanges.max(1))
}

/// What a side is known to have sent, and nobody here has seen, is the end of what it said last.
fn add_what_never_came(
    conversation: &mut Conversation,
    side: Side,
    connection: &Connection,
) -> Result<(), Refusal> {
    let bytes = u32::try_from(connection.side(side).never_came_bytes).ok().filter(|&bytes| bytes > 0);
    let Some(bytes) = bytes else { return Err(Refusal::NeverCame) };
    // Who gives up and closes does so because of the hole.
    conversation.close = None;
    let last = conversation.turns.iter().rposition(|turn| turn.side == side);
    let answers = conversation.turns.iter().rposition(|turn| turn.side != side);
    match last.filter(|_| last > answers) {
        Some(last) => conversation.turns[last].writes.push(now(bytes)),
        None => {
            let heard = conversation.turns.iter().filter(|turn| turn.side != side).map(Turn::bytes).sum();
            let trigger = if heard == 0 { Trigger::Connected } else { Trigger::Received(heard) };
            conversation.turns.push(Turn { side, trigger, think: Duration::ZERO, writes: vec![now(bytes)] });
        }
    }
    Ok(())
}

fn now(bytes: u32) -> Write {
    Write { bytes, gap: Duration::ZERO, gap_latest: Duration::ZERO }
}

/// Behind the narrow link the way to its router and back looks like thinking: the turn before which discovery took place is
/// ready so much earlier. That turn.
fn without_discovery(
    conversation: &mut Conversation,
    connection: &Connection,
    sizes: &Sizes,
) -> Option<usize> {
    let told = connection.findings.iter().find(|finding| finding.cause == Cause::PathMtuDiscovery);
    let told = told.filter(|told| behind(connection, told))?;
    let large = connection.side(told.side).segment_bytes;
    let bulk = |turn: &Turn| turn.side == told.side && turn.bytes() > u64::from(large);
    let turn = conversation.turns.iter().position(bulk)?;
    let think = &mut conversation.turns[turn].think;
    *think = think.saturating_sub(sizes.told_after());
    Some(turn)
}

/// Fewer delayed ACKs than this say nothing about a side's timer.
const ENOUGH_DELAYED_ACKS: u32 = 3;

/// The end as the capture shows it: the profile it looks like, and what its behaviour says about single knobs.
fn end(connection: &Connection, side: Side) -> End {
    let summary = connection.side(side);
    let profile = summary.looks_like.and_then(Profile::by_name).unwrap_or_else(Profile::linux);
    let mut knobs = profile.knobs.clone();
    knobs.nodelay = false;
    let probed = connection.findings.iter().any(|f| f.cause == Cause::MtuProbingRecovers && f.side == side);
    knobs.mtu_probing = if probed { MtuProbing::BlackHole } else { MtuProbing::Off };
    if let Some(search) = summary.upward_probing {
        knobs.mtu_probing = MtuProbing::Always;
        knobs.base_mss = search.base_payload_bytes;
    }
    knobs.advmss = own_advmss(connection, side);
    if let Some(options) = &summary.syn_options {
        // What a SYN-ACK lacks may only answer a SYN that lacks it.
        let asked = connection.side(Side::Client).syn_options.as_ref().filter(|_| side == Side::Server);
        let offers = |has: fn(&TcpOptions) -> bool| has(options) || asked.is_some_and(|asked| !has(asked));
        knobs.sack &= offers(|options| options.sack_permitted);
        knobs.timestamps &= offers(|options| options.timestamps.is_some());
        knobs.window_scaling &= offers(|options| options.window_scale.is_some());
    }
    // Linux timers run on ticks; where the capture shows how long they are, it decides.
    knobs.hz = summary.tick_hz.unwrap_or(knobs.hz);
    let holds_small_segments =
        connection.findings.iter().any(|finding| finding.side == side && is_of_nagle(finding.cause));
    let timer = summary.ack_timer;
    End {
        profile: profile.name,
        knobs,
        holds_small_segments,
        ack_timer: (timer.count >= ENOUGH_DELAYED_ACKS).then_some(timer.median),
    }
}

/// The MSS that a side announces of its own accord, where it is less than its interface takes (`advmss` on the route); 0: it is
/// not.
fn own_advmss(connection: &Connection, side: Side) -> u32 {
    let clamps = connection.findings.iter().filter(|finding| finding.cause == Cause::MssClamped);
    let clamp = clamps.filter_map(|finding| finding.path_mtu).map(|mtu| mtu.most).max();
    let mss = connection.side(side).syn_options.as_ref().and_then(|options| options.mss).map_or(0, u32::from);
    let headers = headers(connection);
    // What is less than a clamp leaves was not made by it.
    let lowered = clamp.is_some_and(|clamp| mss + headers >= clamp);
    if lowered || mss + headers >= ETHERNET_MTU { 0 } else { mss }
}

fn is_of_nagle(cause: Cause) -> bool {
    matches!(cause, Cause::NagleDelayedAck | Cause::NagleWithoutDelayedAck)
}

/// Nagle hides when a held piece was written: any time until its release. Two things bound it, for an application that
/// does the same thing each time: the same piece of the same message shape was held for different times in different
/// turns and was always ready at the release, so the shortest hold is an upper bound; and an application that answers at
/// once before its messages is not taken to pause within one for longer than a round trip.
fn bound_hidden_gaps(conversation: &mut Conversation, round_trip: Duration) {
    let mut shortest: BTreeMap<(Side, usize, usize), Duration> = BTreeMap::new();
    for turn in &conversation.turns {
        for (position, write) in turn.writes.iter().enumerate() {
            if write.gap_latest > write.gap {
                let bound =
                    shortest.entry((turn.side, turn.writes.len(), position)).or_insert(write.gap_latest);
                *bound = (*bound).min(write.gap_latest);
            }
        }
    }
    let pace =
        [Side::Client, Side::Server].map(|side| pace_before_messages(conversation, side).max(round_trip));
    for turn in &mut conversation.turns {
        let pieces = turn.writes.len();
        for (position, write) in turn.writes.iter_mut().enumerate() {
            if let Some(&bound) = shortest.get(&(turn.side, pieces, position)) {
                let latest = write.gap_latest.min(bound).min(pace[turn.side.index()]);
                write.gap_latest = latest.max(write.gap);
            }
        }
    }
}

/// A host under load needs this long now and then between two system calls.
const LEAST_PACE: Duration = Duration::from_millis(1);

/// The 90th percentile of the time a side's application takes before its messages.
fn pace_before_messages(conversation: &Conversation, side: Side) -> Duration {
    let mut thinking: Vec<Duration> =
        conversation.turns.iter().filter(|turn| turn.side == side).map(|turn| turn.think).collect();
    thinking.sort_unstable();
    thinking.get(thinking.len() * 9 / 10).copied().unwrap_or(Duration::ZERO).max(LEAST_PACE)
}

#[cfg(test)]
mod tests;
