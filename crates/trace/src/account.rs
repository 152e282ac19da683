//! Where did the time go? Every nanosecond from the first packet to the last is given to exactly one part.

use crate::TimeAccount;
use narrows_lab::Side;
use std::time::Duration;

/// What a stretch of time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Network,
    DelayedAck,
    Nagle,
    Thinking(Side),
    Recovery,
    Transmission,
    Unexplained,
}

impl Part {
    fn index(self) -> usize {
        match self {
            Part::Network => 0,
            Part::DelayedAck => 1,
            Part::Nagle => 2,
            Part::Thinking(side) => 3 + side.index(),
            Part::Recovery => 5,
            Part::Transmission => 6,
            Part::Unexplained => 7,
        }
    }
}

/// The account while it is being kept. Times are the capture's, in nanoseconds since the connection's first
/// packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Everything before is accounted for.
    cursor: u64,
    /// Something was sent again at this time, and nothing says yet that it was without need.
    sent_again: Option<u64>,
    /// Nanoseconds of each part, by [`Part::index`].
    spent: [u64; 8],
    /// Stretches in which nothing came through whatever anybody did, in order.
    stalls: Vec<(u64, u64)>,
}

impl Ledger {
    /// An account of a connection with these stalls: what seems to have been anything else within them was repair.
    pub(crate) fn with_stalls(stalls: Vec<(u64, u64)>) -> Ledger {
        Ledger { stalls, ..Ledger::default() }
    }

    /// How much of `from..until` nothing came through.
    pub(crate) fn stalled(&self, from: u64, until: u64) -> u64 {
        let within = |&(begins, ends): &(u64, u64)| ends.min(until).saturating_sub(begins.max(from));
        self.stalls.iter().map(within).sum::<u64>().min(until.saturating_sub(from))
    }

    /// Up to `time` the last `nanoseconds` were spent on `part`; before that a segment was on its way for at
    /// most `way`, and what is left has no explanation.
    pub(crate) fn spend(&mut self, time: u64, part: Part, nanoseconds: i64, way: u64) {
        self.split(time, (part, nanoseconds), way, Part::Unexplained);
    }

    /// The time up to `time`: at its end the last nanoseconds of a part, before that the way, before that the rest.
    fn split(&mut self, time: u64, (part, nanoseconds): (Part, i64), way: u64, rest: Part) {
        self.settle();
        let stalled = self.stalled(self.cursor, time);
        self.add(Part::Recovery, stalled);
        let whole = time.saturating_sub(self.cursor) - stalled;
        let own = u64::try_from(nanoseconds).unwrap_or(0).min(whole);
        let way = way.min(whole - own);
        self.add(part, own);
        self.add(Part::Network, way);
        self.add(rest, whole - own - way);
        self.cursor = self.cursor.max(time);
    }

    /// All the time up to `time` was spent on `part`.
    pub(crate) fn spend_all(&mut self, time: u64, part: Part) {
        self.spend(time, part, i64::MAX, 0);
    }

    /// Up to `time` nobody had anything under way but at most `way` of travelling: `side` was silent.
    pub(crate) fn silence(&mut self, time: u64, side: Side, way: u64) {
        self.split(time, (Part::Network, 0), way, Part::Thinking(side));
    }

    /// A segment was sent again at `time`.
    pub(crate) fn sent_again(&mut self, time: u64) {
        self.sent_again = Some(time);
    }

    /// It turns out that what was sent again had arrived (D-SACK): nothing waited for it.
    pub(crate) fn without_need(&mut self) {
        self.sent_again = None;
    }

    /// The account up to the last packet at `time`; what follows the last payload was at most `way` of
    /// travelling, and then the silence of the side whose `turn` it was, where one can tell.
    pub(crate) fn finish(mut self, time: u64, way: u64, turn: Option<Side>) -> TimeAccount {
        match turn {
            Some(side) => self.silence(time, side, way),
            None => self.spend(time, Part::Network, 0, way),
        }
        let of = |part: Part| Duration::from_nanos(self.spent[part.index()]);
        TimeAccount {
            network: of(Part::Network),
            delayed_ack: of(Part::DelayedAck),
            nagle: of(Part::Nagle),
            client_thinking: of(Part::Thinking(Side::Client)),
            server_thinking: of(Part::Thinking(Side::Server)),
            recovery: of(Part::Recovery),
            transmission: of(Part::Transmission),
            unexplained: of(Part::Unexplained),
        }
    }

    fn settle(&mut self) {
        if let Some(time) = self.sent_again.take() {
            let recovery = time.saturating_sub(self.cursor);
            self.add(Part::Recovery, recovery);
            self.cursor = self.cursor.max(time);
        }
    }

    fn add(&mut self, part: Part, nanoseconds: u64) {
        self.spent[part.index()] += nanoseconds;
    }
}
