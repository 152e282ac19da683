//! Were segments of the size that was asked for replaced by smaller ones, as a capture behind the place shows where they
//! vanish?
//!
//! The originals never got there. What did are their bytes, cut anew: pieces of the new size, and behind them what was
//! left of each original, which ends where the original ended.

use super::{LEAST_MTU, Vanishing};

/// A silence shorter than this and a round trip is no retransmission timeout.
const TIMEOUT_NS: u64 = 180_000_000;
/// No sender takes packets for vanished before its third timeout (Linux after 3 s, net.ipv4.tcp_retries1), and each is twice as long as
/// the one before, the first 200 ms at the least. Who sends smaller ones earlier was told to, late.
const THREE_TIMEOUTS_NS: u64 = 1_400_000_000;
/// Packets kept as evidence.
const MAX_NUMBERS: usize = 32;
/// One remainder may be chance, unless a retransmission timeout came before.
const CHANCE: u32 = 1;
/// Silence that makes what is missing at the end of a capture a stall.
const SILENT_END_NS: u64 = 1_000_000_000;

/// Full segments that have not come when something behind them has.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: u64,
    to: u64,
    /// When what came before them did, and what is behind them; nanoseconds.
    since: u64,
    time: u64,
    number: u32,
}

/// A train of segments that may be what replaces an earlier one.
#[derive(Clone, Debug, Default)]
struct Train {
    /// The last thing that could have caused it, whether that was the sender's own, and its first segment.
    since: u64,
    after_own: bool,
    begins: u64,
    /// Where the last original ended.
    boundary: u64,
    first_bytes: u32,
    /// When the second segment came.
    second: Option<u64>,
    /// The size most segments have, bytes of payload.
    piece: u32,
    /// Segments that end where an original of the size asked for ended, and are only the rest of it; and that size.
    remainders: u32,
    original: u32,
    numbers: Vec<u32>,
}

/// What a receiver sees of one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refill {
    /// Payload of a segment as it was asked for, and as it is at the most where the sender's own interface takes less, bytes; 0: not
    /// known.
    asked: u32,
    usual: u32,
    /// That size is only what it commonly is.
    guessed: bool,
    /// IP and TCP headers of a segment, bytes.
    headers: u32,
    /// Segments as large as asked have been seen: nothing of that size vanishes before this place.
    whole: bool,
    /// The largest packet seen.
    largest: u32,
    /// When payload of this side, or what it answers, was last seen; it was its own.
    last: u64,
    own: bool,
    /// Where the peer's payload, or what this side had said, made a new train begin.
    turn: bool,
    next: u64,
    train: Option<Train>,
    kept: Option<Train>,
    /// A segment without payload has shown that so much had been sent which never came.
    ahead: Option<(u64, u64, u32)>,
    /// A segment with payload has, and so far nothing has filled it.
    gap: Option<Gap>,
    /// What the other side is known to have.
    has: u64,
}

impl Refill {
    /// The handshake is over: segments of `asked` bytes were asked for, with `headers` before them; `own` is what the sender
    /// asks for itself, as its interface takes no more, or as its route says (`advmss`), which then binds only the other side.
    pub(crate) fn asked(&mut self, asked: u32, own: u32, headers: u32) {
        (self.asked, self.usual, self.headers) = (asked, asked.min(own), headers);
    }

    /// What was asked for is not known: a sender whose segments were never as large looks as one whose large ones vanish, but for the
    /// timeouts.
    pub(crate) fn guesses(&mut self) {
        self.guessed = true;
    }

    /// The other side has said something at `time`.
    pub(crate) fn heard(&mut self, time: u64) {
        self.last = self.last.max(time);
        (self.own, self.turn) = (false, true);
    }

    /// This side has said at `time` that it is there.
    pub(crate) fn is_there(&mut self, time: u64) {
        self.heard(time);
        self.own = true;
    }

    /// The other side has everything before `offset`, whether or not it was captured.
    pub(crate) fn acknowledged(&mut self, offset: u64) {
        self.next = self.next.max(offset);
        self.has = self.has.max(offset);
    }

    /// A segment without payload shows that the sender has come to `offset`.
    pub(crate) fn stands_at(&mut self, offset: u64, time: u64, number: u32) {
        if self.usual > 0 && offset >= self.next + u64::from(self.usual) {
            self.ahead = Some((offset, time, number));
        }
    }

    /// A packet of `bytes` came without payload.
    pub(crate) fn small(&mut self, bytes: u32) {
        self.largest = self.largest.max(bytes);
    }

    /// A packet of `bytes` came with payload `start..end`; `path` is the round trip as far as known, nanoseconds.
    pub(crate) fn came(&mut self, start: u64, end: u64, bytes: u32, time: u64, number: u32, path: u64) {
        self.largest = self.largest.max(bytes);
        let payload = (end - start) as u32;
        let sizes = [self.usual, self.asked];
        self.look_for_gap(start, end, time, number);
        if self.usual == 0 || self.whole || payload >= self.usual {
            // A superpacket that is no multiple of what was asked for was merged from something else.
            self.whole |=
                self.usual > 0 && payload > 0 && sizes.iter().any(|&size| payload.is_multiple_of(size));
            self.keep();
            if self.whole {
                self.kept = None;
            }
            (self.last, self.own) = (time, true);
            self.next = self.next.max(end);
            return;
        }
        let silent = time.saturating_sub(self.last) >= TIMEOUT_NS + path && start <= self.next;
        if self.train.is_none() || self.turn || silent {
            self.keep();
            self.train = Some(Train {
                since: self.last,
                after_own: self.own,
                begins: time,
                boundary: start,
                first_bytes: payload,
                piece: payload,
                ..Train::default()
            });
            self.turn = false;
        } else if let Some(train) = &mut self.train {
            train.second.get_or_insert(time);
            if payload > train.piece {
                (train.piece, train.boundary) = (payload, start);
            }
        }
        if let Some(train) = &mut self.train
            && payload < train.piece
            && end > train.boundary
        {
            let whole = |size: &&u32| (end - train.boundary).is_multiple_of(u64::from(**size));
            if let Some(&size) = sizes.iter().find(whole) {
                train.remainders += 1;
                train.original = size;
                if train.numbers.len() < MAX_NUMBERS {
                    train.numbers.push(number);
                }
            }
            train.boundary = end;
        }
        (self.last, self.own) = (time, true);
        self.next = self.next.max(end);
    }

    /// Does the segment leave out as much as full ones carry, or bring some of what is missing?
    fn look_for_gap(&mut self, start: u64, end: u64, time: u64, number: u32) {
        if self.gap.is_some_and(|gap| start < gap.to && gap.from < end) {
            self.gap = None;
        } else if self.gap.is_none() && self.usual > 0 && start > self.next {
            let whole = (start - self.next).is_multiple_of(u64::from(self.usual));
            let gap = Gap { from: self.next, to: start, since: self.last, time, number };
            self.gap = whole.then_some(gap);
        }
    }

    fn keep(&mut self) {
        let silent = |train: &Train| train.begins.saturating_sub(train.since) >= TIMEOUT_NS;
        let tells = |train: &Train| train.remainders > if silent(train) { 0 } else { CHANCE };
        let kept = self.kept.as_ref().map_or(0, |kept| kept.remainders);
        if let Some(train) = self.train.take().filter(tells)
            && (kept == 0 || (kept <= CHANCE && train.remainders > CHANCE))
        {
            self.kept = Some(train);
        }
    }

    /// What has vanished before this place, judged at the end; `path` is the round trip.
    pub(crate) fn vanishing(&mut self, end: u64, path: u64) -> Option<Vanishing> {
        if self.usual == 0 || self.whole {
            return None;
        }
        self.keep();
        if let Some(train) = &self.kept {
            let silence = train.begins.saturating_sub(train.since);
            let alone = train.second.is_none_or(|second| second.saturating_sub(train.begins) >= path / 2);
            let stalled = silence >= THREE_TIMEOUTS_NS + 2 * path && alone;
            // A server that has thought sends a flight, and one of its writes may end anywhere.
            if !stalled && (self.guessed || train.remainders <= CHANCE) {
                return None;
            }
            return Some(Vanishing {
                passed: self.largest,
                vanished: train.original + self.headers,
                count: train.remainders,
                largest: train.remainders,
                repeated: u32::from(stalled),
                from: train.since,
                until: Some(train.begins),
                restarted_with: Some(train.first_bytes + self.headers),
                numbers: train.numbers.clone(),
                never_came: 0,
                from_behind: true,
                timed_out: silence >= TIMEOUT_NS + path && alone,
                after_own: train.after_own,
            });
        }
        self.never_came(end, path)
    }

    /// What was sent, as something behind it shows, and was never repaired.
    fn never_came(&self, end: u64, path: u64) -> Option<Vanishing> {
        let missing = |bytes: u64, from: u64, number: u32| Vanishing {
            passed: self.largest,
            vanished: self.usual + self.headers,
            count: u32::try_from(bytes / u64::from(self.usual)).unwrap_or(u32::MAX),
            largest: 1,
            repeated: 1,
            from,
            until: None,
            restarted_with: None,
            numbers: vec![number],
            never_came: bytes,
            from_behind: true,
            timed_out: false,
            after_own: false,
        };
        // A sender repairs a loss with one of its first timeouts, unless that does not come through, either.
        let stays = |gap: &Gap| end.saturating_sub(gap.time) >= THREE_TIMEOUTS_NS + 2 * path;
        if let Some(gap) = self.gap.filter(stays)
            && self.has <= gap.from
            && !self.guessed
        {
            return Some(missing(gap.to - gap.from, gap.since, gap.number));
        }
        let (offset, time, number) = self.ahead?;
        let bytes = offset.checked_sub(self.next).filter(|&bytes| bytes >= u64::from(self.usual))?;
        // Where the size is a guess, segments have come that may be as large as this sender's are.
        let full_came = self.guessed && self.largest > LEAST_MTU;
        if end.max(time).saturating_sub(self.last) < SILENT_END_NS || full_came {
            return None;
        }
        Some(missing(bytes, self.last, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn asked() -> Refill {
        let mut refill = Refill::default();
        refill.asked(1448, 1448, 52);
        refill.heard(20 * MS);
        refill
    }

    #[test]
    fn originals_cut_anew_show_after_the_silence() {
        let mut refill = asked();
        refill.came(0, 99, 151, 21 * MS, 1, 20 * MS);
        refill.came(99, 1123, 1076, 3400 * MS, 2, 20 * MS);
        refill.came(16027, 17051, 1076, 3420 * MS, 3, 20 * MS);
        refill.came(1123, 1547, 476, 3440 * MS, 4, 20 * MS);
        refill.came(1547, 2571, 1076, 3440 * MS, 5, 20 * MS);
        refill.came(2571, 2995, 476, 3460 * MS, 6, 20 * MS);
        let found = refill.vanishing(5000 * MS, 20 * MS).unwrap();
        assert_eq!((found.passed, found.vanished, found.repeated), (1076, 1500, 1));
        assert_eq!((found.from, found.until, found.restarted_with), (21 * MS, Some(3400 * MS), Some(1076)));
        assert_eq!(found.numbers, [4, 6]);
    }

    #[test]
    fn a_flight_that_comes_cut_anew_was_told_at_once() {
        let mut refill = asked();
        for n in 0..4u64 {
            let base = n * 2896;
            for (from, to, bytes) in [(0, 1398, 1450), (1398, 2796, 1450), (2796, 2896, 152)] {
                refill.came(base + from, base + to, bytes, (53 + n) * MS, n as u32, 20 * MS);
            }
        }
        let found = refill.vanishing(100 * MS, 20 * MS).unwrap();
        assert_eq!((found.passed, found.vanished, found.repeated, found.count), (1450, 1500, 0, 4));
    }

    #[test]
    fn a_round_trip_as_long_as_a_timeout_is_no_second_silence() {
        let mut refill = Refill::default();
        refill.asked(1448, 1448, 52);
        refill.heard(211 * MS);
        // One segment after the timeouts; its acknowledgment brings what is new, and only then the rest of the first original.
        for (start, end, time) in [
            (0, 1024, 5200),
            (15_928, 16_952, 5400),
            (1024, 1448, 5600),
            (1448, 2472, 5601),
            (2472, 2896, 5801),
            (2896, 3920, 5802),
            (3920, 4344, 6003),
        ] {
            refill.came(start, end, (end - start) as u32 + 52, time * MS, start as u32, 200 * MS);
        }
        let found = refill.vanishing(8000 * MS, 200 * MS).unwrap();
        assert_eq!((found.repeated, found.from, found.until), (1, 211 * MS, Some(5200 * MS)));
        assert_eq!(found.restarted_with, Some(1076));
    }

    #[test]
    fn who_was_told_late_has_not_waited_for_three_timeouts() {
        let mut refill = asked();
        for n in 0..4u64 {
            refill.came(n * 1448, n * 1448 + 1348, 1400, (640 + 20 * n) * MS, 1, 20 * MS);
            refill.came(n * 1448 + 1348, (n + 1) * 1448, 152, (640 + 20 * n) * MS, 2, 20 * MS);
        }
        let found = refill.vanishing(5000 * MS, 20 * MS).unwrap();
        assert_eq!((found.passed, found.vanished, found.repeated), (1400, 1500, 0));
    }

    #[test]
    fn originals_are_as_large_as_the_senders_own_interface_or_as_asked() {
        for (own, original) in [(1348, 1348), (1348, 1448)] {
            let mut refill = Refill::default();
            refill.asked(1448, own, 52);
            refill.heard(20 * MS);
            for n in 0..4u64 {
                let base = n * original;
                refill.came(base, base + 1328, 1380, (53 + n) * MS, n as u32, 20 * MS);
                refill.came(base + 1328, base + original, 72, (53 + n) * MS, n as u32, 20 * MS);
            }
            let found = refill.vanishing(100 * MS, 20 * MS).unwrap();
            assert_eq!((found.passed, u64::from(found.vanished)), (1380, original + 52));
        }
        let mut healthy = Refill::default();
        healthy.asked(1448, 1348, 52);
        healthy.heard(20 * MS);
        for n in 0..9u64 {
            healthy.came(n * 1348, (n + 1) * 1348, 1400, 21 * MS + n, n as u32, 20 * MS);
        }
        healthy.stands_at(20 * 1348, 9000 * MS, 9);
        assert_eq!(healthy.vanishing(9000 * MS, 20 * MS), None);
    }

    #[test]
    fn a_write_that_ends_by_chance_where_an_original_would_shows_nothing() {
        let mut refill = asked();
        refill.came(0, 99, 151, 21 * MS, 1, 20 * MS);
        let mut next = 99;
        for (n, bytes) in [1370, 1370, 1370, 1448 * 3 - 1370 * 3, 1370, 1370].into_iter().enumerate() {
            refill.came(next, next + bytes, bytes as u32 + 52, 4000 * MS, 2 + n as u32, 20 * MS);
            next += bytes;
        }
        assert_eq!(refill.vanishing(5000 * MS, 20 * MS), None);
    }

    #[test]
    fn what_was_sent_and_never_came_shows_at_the_end() {
        let mut refill = asked();
        refill.came(0, 99, 151, 21 * MS, 1, 20 * MS);
        refill.stands_at(99 + 11 * 1448, 12_000 * MS, 2);
        let found = refill.vanishing(12_000 * MS, 20 * MS).unwrap();
        assert_eq!((found.passed, found.vanished, found.count, found.until), (151, 1500, 11, None));
    }

    #[test]
    fn a_first_flight_of_which_only_the_end_is_small_enough_leaves_a_gap() {
        let first_flight = |repaired_at: Option<u64>| {
            let mut refill = asked();
            refill.came(2896, 3552, 708, 21 * MS, 1, 20 * MS);
            if let Some(time) = repaired_at {
                refill.came(0, 1448, 1500, time * MS, 2, 20 * MS);
                refill.acknowledged(1448);
            }
            refill.vanishing(9000 * MS, 20 * MS)
        };
        let found = first_flight(None).unwrap();
        assert_eq!((found.passed, found.vanished, found.count, found.never_came), (708, 1500, 2, 2896));
        assert_eq!((found.from, found.until), (20 * MS, None));
        assert_eq!(first_flight(Some(240)), None);
        let mut missed = asked();
        missed.came(2896, 3552, 708, 21 * MS, 1, 20 * MS);
        missed.acknowledged(3552);
        assert_eq!(missed.vanishing(9000 * MS, 20 * MS), None, "only the capture has not got it");
        let mut odd = asked();
        odd.came(2000, 3552, 1400, 21 * MS, 1, 20 * MS);
        assert_eq!(odd.vanishing(9000 * MS, 20 * MS), None, "what is missing were no full segments");
    }

    #[test]
    fn who_is_told_after_a_timeout_begins_alone() {
        let late = |alone: bool| {
            let mut refill = asked();
            refill.is_there(20 * MS);
            refill.came(0, 1348, 1400, 290 * MS, 1, 20 * MS);
            let then = if alone { 310 } else { 290 };
            for (start, end) in [(1348, 1448), (1448, 2796), (2796, 2896)] {
                refill.came(start, end, (end - start) as u32 + 52, then * MS, 2, 20 * MS);
            }
            refill.vanishing(5000 * MS, 20 * MS).unwrap()
        };
        assert_eq!([late(true), late(false)].map(|found| found.timed_out), [true, false]);
        assert!(late(true).after_own);
    }

    #[test]
    fn a_guessed_size_needs_the_timeouts() {
        // Segments of 1418 bytes in writes of 4245 and 1448 times something, and one that was lost at the end.
        let mut refill = asked();
        refill.guesses();
        let mut next = 0;
        for n in 0..6 {
            for bytes in [1418, 1418, 1418, 90] {
                refill.came(next, next + bytes, bytes as u32 + 52, (21 + n) * MS, 1, 20 * MS);
                next += bytes;
            }
        }
        assert_eq!(refill.clone().vanishing(60 * MS, 20 * MS), None);
        refill.stands_at(next + 1850, 3000 * MS, 30);
        assert_eq!(refill.vanishing(3000 * MS, 20 * MS), None);
        let mut stalled = asked();
        stalled.guesses();
        stalled.came(0, 99, 151, 21 * MS, 1, 20 * MS);
        stalled.came(99, 1123, 1076, 3400 * MS, 2, 20 * MS);
        stalled.came(1123, 1547, 476, 3440 * MS, 4, 20 * MS);
        assert!(stalled.vanishing(5000 * MS, 20 * MS).is_some_and(|found| found.repeated == 1));
    }

    #[test]
    fn small_writes_and_full_segments_show_nothing() {
        let mut refill = asked();
        for n in 0..50 {
            refill.came(n * 724, (n + 1) * 724, 776, 21 * MS + n, n as u32, 20 * MS);
        }
        assert_eq!(refill.vanishing(2000 * MS, 20 * MS), None);
        refill.came(36_200, 37_648, 1500, 30 * MS, 60, 20 * MS);
        assert_eq!(refill.vanishing(2000 * MS, 20 * MS), None);
    }
}
