//! Why did each segment leave when it left? Walks through a connection's segments once, on both ends' own
//! clocks.
//!
//! A segment captured at `t` left its sender half a leg before and reached its receiver half a leg after,
//! where a leg is the smallest time from the vantage to that end and back. At each end arrivals and
//! departures are put in the order in which that end saw them; what an end acknowledges when it sends says
//! what it has received, whatever the clocks say.

mod end;
mod reason;

use crate::account::{Ledger, Part};
use crate::ack_timer::AckDelays;
use crate::detect::nagle::Holds;
use crate::detect::think::Thoughts;
use crate::exchange::Exchanges;
use crate::script::Script;
use crate::tcp::event::{Event, Marks};
use end::{Arrival, End};
use narrows_lab::{Side, Trigger};
use reason::Reason;

/// Segments on their way to one end that are kept before they count as arrived, whatever that end shows.
const MAX_PENDING: usize = 16_384;
/// A pause longer than this between two writes is the application's own turn, a shorter one belongs to the
/// message.
const PAUSE_NS: i64 = 10_000_000;

/// What the walk has to know beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The smallest vantage → side → vantage times, nanoseconds.
    pub(crate) legs: [u64; 2],
    /// How far round trips commonly lie above these minima, nanoseconds.
    pub(crate) jitter: [u64; 2],
    /// The effective MSS of what each side sends.
    pub(crate) segment_bytes: [u32; 2],
    /// Each side's segments change their size on the way: packets that are too large vanish, or the network says so.
    pub(crate) resized: [bool; 2],
    /// The capture has the handshake.
    pub(crate) handshake: bool,
}

/// Everything the walk finds out.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    setting: Setting,
    ends: [End; 2],
    pub(crate) script: Script,
    pub(crate) ledger: Ledger,
    pub(crate) exchanges: Exchanges,
    pub(crate) holds: [Holds; 2],
    pub(crate) thoughts: Thoughts,
    pub(crate) ack_delays: [AckDelays; 2],
}

impl Walk {
    /// A walk through a connection that nothing came through in these `stalls`.
    pub(crate) fn new(setting: Setting, stalls: Vec<(u64, u64)>) -> Walk {
        let end = |side: Side| {
            let n = side.index();
            End::new(setting.legs[n], setting.jitter[n], setting.segment_bytes[n], setting.resized[n])
        };
        Walk {
            setting,
            ends: [end(Side::Client), end(Side::Server)],
            script: Script::default(),
            ledger: Ledger::with_stalls(stalls),
            exchanges: Exchanges::default(),
            holds: [Holds::default(), Holds::default()],
            thoughts: Thoughts::default(),
            ack_delays: [AckDelays::default(), AckDelays::default()],
        }
    }

    /// The next segment in the order of the capture.
    pub(crate) fn push(&mut self, event: &Event) {
        let side = event.side;
        self.depart(event);
        let at = event.time as i64 + self.ends[side.peer().index()].half;
        let pending = &mut self.ends[side.peer().index()].pending;
        pending.push_back(Arrival { at, event: *event });
        if pending.len() > MAX_PENDING
            && let Some(arrival) = pending.pop_front()
        {
            self.arrive(side.peer(), arrival);
        }
    }

    /// The last packet was at `time`: whatever is still on its way arrives.
    pub(crate) fn flush(&mut self) {
        for side in [Side::Client, Side::Server] {
            while let Some(arrival) = self.ends[side.index()].pending.pop_front() {
                self.arrive(side, arrival);
            }
        }
    }

    /// The path's round trip in nanoseconds.
    pub(crate) fn path(&self) -> u64 {
        self.setting.legs[0] + self.setting.legs[1]
    }

    /// Whose application could have said more after the last payload, when all of it had arrived: who kept a
    /// connection open without using it (keep-alives are no payload). A request without an answer is the
    /// server's turn, anything else the client's; a side that has closed has no turn.
    pub(crate) fn turn(&self) -> Option<Side> {
        let [client, server] = &self.ends;
        let arrived = |end: &End| end.established.is_some() && end.acked >= end.next;
        if !arrived(client) || !arrived(server) {
            return None;
        }
        match (server.peer_closed.is_some(), client.peer_closed.is_some()) {
            (true, true) => None,
            (true, false) => Some(Side::Server),
            (false, true) => Some(Side::Client),
            (false, false) if client.sent > server.sent => Some(Side::Server),
            (false, false) => Some(Side::Client),
        }
    }

    fn arrive(&mut self, side: Side, arrival: Arrival) {
        let event = arrival.event;
        let end = &mut self.ends[side.index()];
        let unseen = event.ack.saturating_sub(end.next);
        if event.marks.has(Marks::ACK) && unseen > 0 {
            // The capture has missed what this acknowledges; it was said all the same.
            end.next = event.ack;
            if self.script.has_spoken(side) {
                self.script.extend(side, unseen);
            } else {
                self.script.begin(side, Trigger::Connected, 0, unseen, 0);
            }
        }
        let end = &mut self.ends[side.index()];
        end.arrive(arrival);
        if side == Side::Client && event.bytes > 0 {
            self.exchanges.answer(arrival.at);
        }
    }

    fn depart(&mut self, event: &Event) {
        let side = event.side;
        let now = event.time as i64 - self.ends[side.index()].half;
        let received = event.marks.has(Marks::ACK).then_some(event.ack);
        let news = self.ends[side.index()].shows(received);
        while let Some(arrival) = self.ends[side.index()].next_arrival(now, received, news) {
            self.arrive(side, arrival);
        }
        if event.marks.has(Marks::DUPLICATE_SACK) {
            self.ends[side.index()].unhear();
            self.ledger.without_need();
        }
        let leg = self.way(side);
        if event.marks.has(Marks::SYN) {
            if event.marks.has(Marks::SENT_AGAIN) {
                self.ledger.sent_again(event.time);
            } else {
                self.ledger.spend(event.time, Part::Network, 0, leg);
            }
        }
        let closing = event.marks.has(Marks::FIN) || event.marks.has(Marks::RST);
        if event.bytes > 0 && event.marks.has(Marks::SENT_AGAIN) {
            self.ledger.sent_again(event.time);
            self.ends[side.index()].loses();
        } else if event.bytes > 0 && event.end() > self.ends[side.index()].next {
            self.speak(event, now, leg);
        }
        if closing && !event.marks.has(Marks::SENT_AGAIN) {
            self.close(event, now, leg);
        }
        self.acknowledge(event, now);
    }

    /// The capture began in the middle of a connection and has shown no payload yet: keep-alives at most.
    fn unused(&self) -> bool {
        !self.setting.handshake && self.ends.iter().all(|end| end.sent.is_none() && end.peer_closed.is_none())
    }

    /// How long it was from `since` to `now`, without what nothing came through in; never negative.
    fn between(&self, since: i64, now: i64) -> i64 {
        let place = |time: i64| u64::try_from(time).unwrap_or(0);
        ((now - since).max(0) - self.ledger.stalled(place(since), place(now)) as i64).max(0)
    }

    /// How long a segment of `side` may have been under way since something at the other end caused it.
    fn way(&self, side: Side) -> u64 {
        let leg = self.setting.legs[side.index()];
        leg + leg / 4 + 1_000_000
    }

    /// An acknowledgment leaves, alone or with payload.
    fn acknowledge(&mut self, event: &Event, now: i64) {
        if !event.marks.has(Marks::ACK) {
            return;
        }
        let full = self.ends[event.side.peer().index()].full_segment();
        let end = &mut self.ends[event.side.index()];
        let Some((since, bytes)) = end.unacknowledged.take() else { return };
        let delay = now - since;
        let pure = event.bytes == 0 && !event.marks.has(Marks::FIN) && !event.marks.has(Marks::SYN);
        let at_once = bytes >= 2 * u64::from(full);
        // What follows right behind has stood in the same queue.
        let queued =
            end.queued.is_some_and(|(queued, at)| delay <= queued + end::RELEASE_NS && now - at <= queued);
        if pure && at_once {
            end.queued = Some((delay, now));
        }
        if pure && !at_once && !queued {
            self.ack_delays[event.side.index()].add(delay, now);
        } else if pure && end.heard.is_some_and(|heard| heard < now) {
            // Two full segments are acknowledged at once (RFC 9293 §3.8.6.3): a queue on the path made their
            // way longer than the minimum.
            end.heard = Some(now);
            if event.side == Side::Client {
                self.exchanges.answer(now);
            }
        }
    }

    /// New payload leaves.
    fn speak(&mut self, event: &Event, now: i64, leg: u64) {
        let side = event.side;
        let reason = self.reason(event, now);
        let end = &mut self.ends[side.index()];
        let start = end.next;
        let bytes = event.end() - start;
        let news = event.ack > end.received_at_write;
        let after_close = end.peer_closed.is_some();
        let trigger = match event.ack {
            _ if after_close => Trigger::Closed,
            0 => Trigger::Connected,
            received => Trigger::Received(received),
        };
        match reason {
            Reason::Continues => self.script.extend(side, bytes),
            Reason::Held(hold) if hold.continues => self.script.extend(side, bytes),
            Reason::Held(hold) if news || !self.script.has_spoken(side) => {
                self.script.begin(side, trigger, 0, bytes, hold.lasted);
            }
            Reason::Held(hold) => {
                let gap = self.script.usual_gap(side).min(hold.lasted);
                self.script.write(side, bytes, gap, hold.lasted);
            }
            Reason::Crowded { gap } => self.script.write(side, bytes, 0, gap),
            Reason::Answers { think } => self.script.begin(side, trigger, think, bytes, 0),
            Reason::Own { gap } if gap <= PAUSE_NS && self.script.has_spoken(side) => {
                self.script.free_gap(side, gap);
                self.script.write(side, bytes, gap, gap);
            }
            Reason::Own { gap } => self.script.begin(side, Trigger::Own, gap, bytes, 0),
        }
        match reason {
            Reason::Continues | Reason::Crowded { .. } => {
                self.ledger.spend_all(event.time, Part::Transmission);
            }
            Reason::Held(hold) => {
                let part = if hold.late() { Part::DelayedAck } else { Part::Nagle };
                self.ledger.spend(event.time, part, hold.lasted, leg);
                self.holds[side.index()].add(&hold, event);
            }
            Reason::Answers { think } => {
                if self.think(event, think, leg) && side == Side::Server {
                    self.thoughts.add(think, event);
                }
            }
            Reason::Own { gap } => self.ledger.spend(event.time, Part::Thinking(side), gap, leg),
        }
        if side == Side::Client {
            // What was asked while nothing came through was asked before.
            let since = self.ends[side.index()].last_word().unwrap_or(now);
            self.exchanges.request(since + self.between(since, now));
        }
        self.ack_delays[side.index()].spoke(now);
        let end = &mut self.ends[side.index()];
        let pushed = event.marks.has(Marks::PUSH);
        let small = end.is_small(event);
        if small && end.acked < end.small_end && !event.marks.has(Marks::FIN) {
            self.holds[side.index()].not_held();
        }
        if !pushed {
            end.piece = event.bytes;
        }
        end.sends(now, start, event.end(), pushed, small);
        end.received_at_write = event.ack;
    }

    /// The sender's application has taken so long; false on a connection that nobody has used yet, where what went by was its silence,
    /// and how much of that it thought is not known.
    fn think(&mut self, event: &Event, lasted: i64, leg: u64) -> bool {
        let known = !self.unused();
        if known {
            self.ledger.spend(event.time, Part::Thinking(event.side), lasted, leg);
        } else {
            self.ledger.silence(event.time, event.side, leg);
        }
        known
    }

    /// FIN or RST leaves.
    fn close(&mut self, event: &Event, now: i64, leg: u64) {
        let since = self.ends[event.side.index()].last_word();
        let after = since.map_or(0, |since| self.between(since, now));
        self.script.close(event.side, after);
        if event.bytes == 0 {
            self.think(event, after, leg);
        }
    }
}

#[cfg(test)]
mod tests;
