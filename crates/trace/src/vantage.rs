//! Where on the path was the capture made, and how far is each end from there?
//!
//! A round trip belongs to a direction: at the client's own interface, the way to the client and back takes
//! microseconds, that to the server and back the path's whole round trip. The minimum of each tells the
//! vantage, and shifting by half of it turns capture times into each end's own.

use crate::{RoundTrip, Vantage};
use narrows_lab::Side;
use std::time::Duration;

/// How many unacknowledged segments per direction are timed at once.
const TIMED: usize = 4;

/// More than this is not jitter that one could allow for.
const MOST_JITTER_NS: u64 = 5_000_000;
/// How many samples tell how steady a leg is.
const SPREAD: usize = 16;
/// A leg shorter than this is a host's own turnaround.
const TURNAROUND_NS: u64 = 100_000;

/// The way from the vantage to one side and back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leg {
    /// Segments on their way to that side: the offset behind them, and when they were seen.
    timed: [(u64, u64); TIMED],
    count: u8,
    /// A timestamp on its way to that side (RFC 7323), and when it was first seen.
    stamp: Option<(u32, u64)>,
    /// The newest timestamp that has passed.
    last_stamp: Option<u32>,
    /// The smallest time until one came back. Every segment echoes one, also those that a mere acknowledgment
    /// has let go, and those of a side to which nothing is said that it could acknowledge.
    echo_min: Option<u64>,
    /// When the handshake's segment towards that side was seen.
    handshake: Option<u64>,
    min: Option<u64>,
    samples: u32,
    /// The first samples, for their spread; microseconds.
    first: [u32; SPREAD],
}

impl Leg {
    /// New payload up to `end` passes towards that side.
    pub(crate) fn sent(&mut self, end: u64, time: u64) {
        let n = usize::from(self.count);
        if n == TIMED {
            self.timed.rotate_left(1);
            self.timed[TIMED - 1] = (end, time);
        } else {
            self.timed[n] = (end, time);
            self.count += 1;
        }
    }

    /// Something was sent again: what is timed no longer tells which of the two was acknowledged (Karn's
    /// rule, RFC 6298 §3).
    pub(crate) fn sent_again(&mut self) {
        self.count = 0;
    }

    /// SYN or SYN-ACK passes towards that side. A repeated SYN comes a second or more after the first (RFC
    /// 6298 §2), longer than round trips are: the answer is to the last one. A repeated SYN-ACK may cross
    /// payload on its way, and is no longer timed.
    pub(crate) fn handshake_sent(&mut self, time: u64, timed: bool) {
        self.handshake = timed.then_some(time);
    }

    /// That side answered the handshake.
    pub(crate) fn handshake_answered(&mut self, time: u64) {
        if let Some(sent) = self.handshake.take() {
            self.sample(time.saturating_sub(sent));
        }
    }

    /// A segment with timestamp `value` passes towards that side. Only the first one with that value is
    /// timed, as the echo does not say of which it is; the first that a capture shows is one only if it opens
    /// the connection.
    pub(crate) fn stamped(&mut self, value: u32, time: u64, opens: bool) {
        let first = match self.last_stamp {
            None => opens,
            Some(last) if (value.wrapping_sub(last) as i32) <= 0 => return,
            Some(_) => true,
        };
        self.last_stamp = Some(value);
        if first {
            self.stamp.get_or_insert((value, time));
        }
    }

    /// That side echoes the timestamp `echo`.
    pub(crate) fn echoed(&mut self, echo: u32, time: u64) {
        let Some((value, sent)) = self.stamp else { return };
        let later = echo.wrapping_sub(value) as i32;
        if later == 0 {
            let round_trip = time.saturating_sub(sent);
            self.echo_min = Some(self.echo_min.map_or(round_trip, |min| min.min(round_trip)));
        }
        if later >= 0 {
            self.stamp = None;
        }
    }

    /// The smallest time to that side and back.
    fn minimum(&self) -> Option<u64> {
        [self.min, self.echo_min].into_iter().flatten().min()
    }

    /// That side acknowledges up to `ack`. Only an acknowledgment of exactly a segment's end is a sample.
    pub(crate) fn acknowledged(&mut self, ack: u64, time: u64) {
        let n = usize::from(self.count);
        let covered = self.timed[..n].iter().take_while(|(end, _)| *end <= ack).count();
        if covered == 0 {
            return;
        }
        let (end, sent) = self.timed[covered - 1];
        if end == ack {
            self.sample(time.saturating_sub(sent));
        }
        self.timed.copy_within(covered..n, 0);
        self.count -= covered as u8;
    }

    /// How far round trips commonly lie above the minimum, nanoseconds: twice the lower quartile, as the
    /// upper ones hold delayed acknowledgments and thinking.
    fn jitter(&self) -> u64 {
        let n = (self.samples as usize).min(SPREAD);
        let mut first = self.first;
        first[..n].sort_unstable();
        let quartile = u64::from(first[n / 4]) * 1000;
        let min = self.min.unwrap_or(0);
        (2 * quartile.saturating_sub(min)).min(min / 4).min(MOST_JITTER_NS)
    }

    fn sample(&mut self, round_trip: u64) {
        if let Some(first) = self.first.get_mut(self.samples as usize) {
            *first = u32::try_from(round_trip / 1000).unwrap_or(u32::MAX);
        }
        self.samples = self.samples.saturating_add(1);
        self.min = Some(self.min.map_or(round_trip, |min| min.min(round_trip)));
    }
}

/// Both legs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Legs([Leg; 2]);

impl Legs {
    pub(crate) fn to(&mut self, side: Side) -> &mut Leg {
        &mut self.0[side.index()]
    }

    /// The smallest vantage → side → vantage time in nanoseconds; zero when not known.
    pub(crate) fn minimum(&self, side: Side) -> u64 {
        self.0[side.index()].minimum().unwrap_or(0)
    }

    /// The legs by which capture times are shifted. An end's own turnaround at its own interface is not
    /// distance: there the capture's order is the end's order.
    pub(crate) fn shifts(&self) -> [u64; 2] {
        let [client, server] = [Side::Client, Side::Server].map(|side| self.minimum(side));
        let near = client.min(server);
        // Without quick ACKs, only the application's own answers show how near an end is.
        let turnaround = near < TURNAROUND_NS || (near < 10 * TURNAROUND_NS && near < (client + server) / 5);
        match (turnaround, near == client) {
            (false, _) => [client, server],
            (true, true) => [0, server],
            (true, false) => [client, 0],
        }
    }

    /// How far the round trips of each leg commonly lie above its minimum, nanoseconds.
    pub(crate) fn jitter(&self) -> [u64; 2] {
        [self.0[0].jitter(), self.0[1].jitter()]
    }

    /// Both directions were seen answering.
    pub(crate) fn known(&self) -> bool {
        self.0.iter().all(|leg| leg.minimum().is_some())
    }

    /// The legs as the summary has them.
    pub(crate) fn round_trip(&self) -> RoundTrip {
        let [client, server] = self.0.map(|leg| leg.minimum().map(Duration::from_nanos));
        RoundTrip {
            client_leg: client,
            server_leg: server,
            path: client.zip(server).map(|(c, s)| c + s),
            samples: self.0[0].samples.saturating_add(self.0[1].samples),
        }
    }

    /// The vantage; `hop_limits` by side decides where the legs are alike.
    pub(crate) fn vantage(&self, hop_limits: [Option<u8>; 2]) -> Vantage {
        let fresh = hop_limits.map(|limit| limit.is_some_and(|l| matches!(l, 32 | 64 | 128 | 255)));
        let by_hops = match fresh {
            [true, false] => Some(Vantage::Client),
            [false, true] => Some(Vantage::Server),
            _ => None,
        };
        if !self.known() {
            return by_hops.unwrap_or(Vantage::Unknown);
        }
        let (client, server) = (self.minimum(Side::Client), self.minimum(Side::Server));
        // An end's own turnaround is tens of microseconds, so where the whole path takes less than a few
        // times that, both legs look alike.
        let small = ((client + server) / 5).max(50_000);
        match (client <= small, server <= small) {
            (true, false) => Vantage::Client,
            (false, true) => Vantage::Server,
            (true, true) => {
                by_hops.unwrap_or(if client <= server { Vantage::Client } else { Vantage::Server })
            }
            (false, false) => Vantage::Middle,
        }
    }
}
