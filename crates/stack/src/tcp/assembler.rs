//! What has arrived, in which order, and what is to be reported about it? Received bytes, in order and out of order.
//!
//! Also makes the SACK blocks: the block with the newest segment first (RFC 2018 §4), a duplicate before all others
//! (RFC 2883 §4).

use super::send_buffer::Position;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};

/// What a segment's bytes changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The stream grew. `from_gap`: bytes were, or still are, waiting beyond a gap.
    InOrder { from_gap: bool },
    /// Kept beyond a gap.
    OutOfOrder,
    /// Nothing new in it.
    Duplicate,
    /// Dropped: too many small pieces wait already.
    Refused,
}

/// What one waiting piece costs beside its bytes, so that many tiny pieces cannot take more memory than the receive
/// buffer allows.
const PIECE_COST: u64 = 256;
/// A piece below this size is copied where it is kept for long, bytes: a slice would keep the whole packet buffer.
const SMALL_PIECE: usize = 512;
/// From so many unread pieces on, small ones are gathered.
const LOOSE_PIECES: usize = 64;
/// Room for gathered pieces, bytes.
const GATHERED: usize = 4096;
/// What is reported behind so many blocks should have been in an ACK before (Linux's TCP_SACK_BLOCKS_EXPECTED).
const SURE_BLOCKS: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Assembler {
    ready: VecDeque<Bytes>,
    /// Small pieces in order, behind those in `ready`: so many unread ones are copied together.
    gathered: BytesMut,
    ready_bytes: u64,
    /// Position of the next byte expected: RCV.NXT.
    next: Position,
    /// Disjoint pieces beyond a gap.
    waiting: BTreeMap<Position, Bytes>,
    waiting_bytes: u64,
    /// What `waiting` covers, adjacent pieces joined: first position, position after the last.
    ranges: BTreeMap<Position, Position>,
    /// First positions of the ranges that changed last, newest first.
    recent: Vec<Position>,
    duplicate: Option<(Position, Position)>,
}

crate::pack::pack!(Assembler {
    ready_bytes, next, waiting_bytes, duplicate,
} empty { ready, gathered, waiting, ranges, recent });

impl Assembler {
    pub(crate) fn next(&self) -> Position {
        self.next
    }

    /// Bytes that can be read now.
    pub(crate) fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    /// Bytes that take room in the receive buffer.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.ready_bytes + self.waiting_bytes
    }

    /// How far beyond the next byte expected the bytes reach that wait behind a gap.
    pub(crate) fn reach(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, end)| end - self.next)
    }

    /// Nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.gathered.is_empty() && self.waiting.is_empty() && self.ranges.is_empty()
    }

    pub(crate) fn has_gap(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether another piece of so many bytes may wait beyond a gap, where `memory` bounds all of them.
    pub(crate) fn has_room(&self, bytes: usize, memory: u64) -> bool {
        self.waiting_bytes + (self.waiting.len() as u64 + 1) * PIECE_COST + bytes as u64 <= memory
    }

    /// Takes a segment's bytes. `memory` bounds what may wait beyond a gap, in bytes.
    pub(crate) fn insert(&mut self, from: Position, data: Bytes, memory: u64) -> Arrival {
        let end = from + data.len() as u64;
        if end <= self.next {
            self.duplicate = Some((from, end));
            return Arrival::Duplicate;
        }
        if from <= self.next {
            if from < self.next {
                self.duplicate = Some((from, self.next));
            }
            let fresh = data.slice((self.next - from) as usize..);
            let from_gap = self.has_gap();
            self.append(fresh);
            if from_gap {
                self.join();
            }
            return Arrival::InOrder { from_gap };
        }
        if !self.has_room(data.len(), memory) {
            return Arrival::Refused;
        }
        if !self.keep(from, data) {
            self.duplicate = Some((from, end));
            return Arrival::Duplicate;
        }
        self.note_range(from, end);
        Arrival::OutOfOrder
    }

    /// What the pieces beyond a gap cost beside their bytes.
    pub(crate) fn pieces_cost(&self) -> u64 {
        self.waiting.len() as u64 * PIECE_COST
    }

    /// Drops pieces beyond a gap, the farthest first and none before `from`, at least `step` bytes, until `enough` says so. True when
    /// something was dropped; then no block is reported until something comes again.
    pub(crate) fn prune(&mut self, from: Position, step: u64, enough: impl Fn(&Assembler) -> bool) -> bool {
        let mut dropped = 0;
        let mut pruned = false;
        while let Some(entry) = self.waiting.last_entry().filter(|entry| *entry.key() >= from) {
            let bytes = entry.remove().len() as u64;
            self.waiting_bytes -= bytes;
            dropped += bytes + PIECE_COST;
            pruned = true;
            if dropped >= step {
                if enough(self) {
                    break;
                }
                dropped = 0;
            }
        }
        if pruned {
            self.forget_ranges_beyond_pieces();
        }
        pruned
    }

    fn forget_ranges_beyond_pieces(&mut self) {
        let end = self.waiting.last_key_value().map_or(self.next, |(from, data)| from + data.len() as u64);
        while let Some(mut last) = self.ranges.last_entry() {
            if *last.key() < end {
                *last.get_mut() = end.min(*last.get());
                break;
            }
            last.remove();
        }
        self.recent.clear();
    }

    fn append(&mut self, data: Bytes) {
        self.next += data.len() as u64;
        self.ready_bytes += data.len() as u64;
        let gather = data.len() < SMALL_PIECE && self.ready.len() >= LOOSE_PIECES;
        let joins = gather && self.gathered.len() + data.len() <= GATHERED;
        if !joins && !self.gathered.is_empty() {
            self.ready.push_back(self.gathered.split().freeze());
        }
        if gather {
            self.gathered.reserve(GATHERED.saturating_sub(self.gathered.len()));
            self.gathered.extend_from_slice(&data);
        } else {
            self.ready.push_back(data);
        }
    }

    /// Moves over what is no longer beyond a gap.
    fn join(&mut self) {
        while let Some(entry) = self.waiting.first_entry() {
            let from = *entry.key();
            if from > self.next {
                break;
            }
            let data = entry.remove();
            self.waiting_bytes -= data.len() as u64;
            let known = ((self.next - from) as usize).min(data.len());
            if known > 0 {
                self.extend_duplicate(from, from + known as u64);
            }
            if known < data.len() {
                self.append(data.slice(known..));
            }
        }
        while let Some(entry) = self.ranges.first_entry() {
            if *entry.key() > self.next {
                break;
            }
            entry.remove();
        }
        let next = self.next;
        self.recent.retain(|from| *from > next);
    }

    /// Bytes of the segment just taken were there already. One report covers what is adjacent (tcp_dsack_extend).
    fn extend_duplicate(&mut self, from: Position, end: Position) {
        match &mut self.duplicate {
            None => self.duplicate = Some((from, end)),
            Some((first, last)) if from <= *last && *first <= end => {
                *first = from.min(*first);
                *last = end.max(*last);
            }
            Some(_) => {}
        }
    }

    /// The stream has ended: what waits beyond its end, and reports, are dropped.
    pub(crate) fn forget_reports(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.ranges.clear();
        self.recent.clear();
        self.duplicate = None;
    }

    /// Keeps the parts of a segment that are not there yet; false when there was none.
    fn keep(&mut self, from: Position, data: Bytes) -> bool {
        let end = from + data.len() as u64;
        let mut at = from;
        let mut kept = false;
        while at < end {
            if let Some((_, stop)) = self.ranges.range(..=at).next_back()
                && *stop > at
            {
                at = *stop;
                continue;
            }
            let stop = self.ranges.range(at..).next().map_or(end, |(begin, _)| end.min(*begin));
            let mut piece = data.slice((at - from) as usize..(stop - from) as usize);
            if piece.len() < SMALL_PIECE {
                piece = Bytes::copy_from_slice(&piece);
            }
            self.waiting_bytes += piece.len() as u64;
            self.waiting.insert(at, piece);
            kept = true;
            at = stop;
        }
        kept
    }

    /// Joins `[from, end)` into the ranges and puts the result first.
    fn note_range(&mut self, from: Position, end: Position) {
        let (mut from, mut end) = (from, end);
        if let Some((begin, stop)) = self.ranges.range(..=from).next_back()
            && *stop >= from
        {
            (from, end) = (*begin, end.max(*stop));
        }
        while let Some((begin, stop)) = self.ranges.range(from..=end).next().map(|(a, b)| (*a, *b)) {
            end = end.max(stop);
            self.ranges.remove(&begin);
            self.recent.retain(|known| *known != begin);
        }
        self.ranges.insert(from, end);
        self.recent.insert(0, from);
        self.recent.truncate(4);
    }

    /// Would a segment `[from, end)` beyond a gap push what two blocks report to the third place, or come from there itself?
    pub(crate) fn hides_reports(&self, from: Position, end: Position) -> bool {
        let touches =
            |begin: &Position| self.ranges.get(begin).is_some_and(|stop| *begin <= end && from <= *stop);
        self.recent.iter().position(touches).unwrap_or(self.recent.len()) >= SURE_BLOCKS
    }

    /// The blocks to report, at most `room`, most important first; a duplicate is reported once.
    pub(crate) fn sack_blocks(&mut self, room: usize) -> impl Iterator<Item = (Position, Position)> + '_ {
        let duplicate = self.duplicate.take();
        let ranges = &self.ranges;
        let blocks = self.recent.iter().filter_map(|from| ranges.get(from).map(|end| (*from, *end)));
        duplicate.into_iter().chain(blocks).take(room)
    }

    /// True when there is something to report.
    pub(crate) fn has_sack_blocks(&self) -> bool {
        self.duplicate.is_some() || !self.recent.is_empty()
    }

    /// Memory beside the struct itself, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let ready = self.ready.capacity() * size_of::<Bytes>() + self.gathered.capacity();
        let waiting = self.waiting.len() as u64 * PIECE_COST;
        ready as u64 + self.ready_bytes + waiting + self.waiting_bytes
    }

    /// A segment came whose bytes were all acknowledged long ago.
    pub(crate) fn note_duplicate(&mut self, from: Position, end: Position) {
        self.duplicate = Some((from, end));
    }

    /// How many blocks there are to report.
    pub(crate) fn sack_block_count(&self) -> usize {
        usize::from(self.duplicate.is_some()) + self.recent.len()
    }

    /// Bytes in order, at most `max`; at most one segment's, so that nothing is copied.
    pub(crate) fn read(&mut self, max: usize) -> Option<Bytes> {
        if self.ready.is_empty() && !self.gathered.is_empty() {
            self.ready.push_back(std::mem::take(&mut self.gathered).freeze());
        }
        let front = self.ready.front_mut()?;
        let data = if front.len() <= max { self.ready.pop_front()? } else { front.split_to(max) };
        self.ready_bytes -= data.len() as u64;
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn insert(assembler: &mut Assembler, from: u64, length: u64) -> Arrival {
        let bytes: Vec<u8> = (from..from + length).map(|position| position as u8).collect();
        assembler.insert(from, Bytes::from(bytes), 1 << 20)
    }

    fn blocks(assembler: &mut Assembler) -> Vec<(u64, u64)> {
        assembler.sack_blocks(4).collect()
    }

    #[test]
    fn the_block_with_the_newest_segment_comes_first() {
        let mut assembler = Assembler::default();
        insert(&mut assembler, 10, 5);
        insert(&mut assembler, 30, 5);
        assert_eq!(blocks(&mut assembler), [(30, 35), (10, 15)]);
        insert(&mut assembler, 15, 5);
        assert_eq!(blocks(&mut assembler), [(10, 20), (30, 35)]);
        insert(&mut assembler, 20, 10);
        assert_eq!(blocks(&mut assembler), [(10, 35)]);
    }

    #[test]
    fn a_third_block_hides_reports_and_what_extends_one_of_the_first_two_does_not() {
        let mut assembler = Assembler::default();
        assert!(!assembler.hides_reports(10, 15));
        insert(&mut assembler, 10, 5);
        assert!(!assembler.hides_reports(30, 35));
        insert(&mut assembler, 30, 5);
        assert!(assembler.hides_reports(50, 55));
        assert!(!assembler.hides_reports(15, 20) && !assembler.hides_reports(35, 40));
        insert(&mut assembler, 50, 5);
        // [10, 15) is the third by now, and what joins the first to it extends the first.
        assert!(assembler.hides_reports(15, 20) && !assembler.hides_reports(15, 50));
    }

    #[test]
    fn a_duplicate_is_reported_first_and_once() {
        let mut assembler = Assembler::default();
        insert(&mut assembler, 0, 10);
        insert(&mut assembler, 20, 10);
        assert_eq!(insert(&mut assembler, 2, 4), Arrival::Duplicate);
        assert_eq!(blocks(&mut assembler), [(2, 6), (20, 30)]);
        assert_eq!(blocks(&mut assembler), [(20, 30)]);
        assert_eq!(insert(&mut assembler, 22, 3), Arrival::Duplicate);
        assert_eq!(blocks(&mut assembler), [(22, 25), (20, 30)]);
    }

    #[test]
    fn many_tiny_pieces_are_refused_before_they_take_more_memory_than_allowed() {
        let mut assembler = Assembler::default();
        let refused = (1..1000)
            .filter(|n| assembler.insert(n * 2, Bytes::from_static(b"x"), 10_000) == Arrival::Refused)
            .count();
        assert_eq!(refused, 999 - 38);
    }

    #[test]
    fn what_lies_farthest_beyond_a_gap_makes_room_for_what_lies_nearer() {
        let mut assembler = Assembler::default();
        for from in [10, 20, 30, 40, 41] {
            insert(&mut assembler, from, if from == 40 { 1 } else { 5 });
        }
        // Nothing before 30, and no more than it takes: the two farthest cost 1 + 5 bytes and their bookkeeping.
        assert!(assembler.prune(30, 2 * PIECE_COST, |_| true));
        assert_eq!(assembler.reach(), 35);
        assert_eq!(assembler.held_bytes(), 15);
        assert_eq!(blocks(&mut assembler), [], "what was selected counts no more");
        assert!(assembler.prune(25, 1, |_| false), "never enough: down to where it begins");
        assert!(!assembler.prune(25, 1, |_| false));
        assert_eq!(assembler.reach(), 25);
        insert(&mut assembler, 25, 5);
        assert_eq!(blocks(&mut assembler), [(20, 30)]);
        insert(&mut assembler, 0, 10);
        assert_eq!(assembler.next(), 15);
    }

    #[test]
    fn single_bytes_that_nobody_reads_are_gathered_and_read_in_order() {
        let mut assembler = Assembler::default();
        for at in 0..20_000 {
            insert(&mut assembler, at, 1);
        }
        insert(&mut assembler, 20_000, 1000);
        insert(&mut assembler, 21_000, 3);
        assert!(assembler.ready.len() < LOOSE_PIECES + 20_000 / GATHERED + 3, "{}", assembler.ready.len());
        let mut read = Vec::new();
        while let Some(bytes) = assembler.read(100_000) {
            read.extend_from_slice(&bytes);
        }
        assert_eq!(read.len(), 21_003);
        assert!(read.iter().enumerate().all(|(at, byte)| *byte == at as u8));
        assert_eq!((assembler.ready_bytes(), assembler.gathered.capacity()), (0, 0));
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_gives_the_stream(
            pieces in proptest::collection::vec((0u64..300, 1u64..60), 1..80)
        ) {
            let mut assembler = Assembler::default();
            let mut have = [false; 400];
            for (from, length) in pieces {
                insert(&mut assembler, from, length);
                have[from as usize..(from + length) as usize].fill(true);
                let next = have.iter().position(|have| !have).unwrap_or(400) as u64;
                prop_assert_eq!(assembler.next(), next);
                let held = have.iter().filter(|have| **have).count() as u64;
                prop_assert_eq!(assembler.held_bytes(), held);
                for (from, to) in assembler.sack_blocks(4) {
                    prop_assert!(have[from as usize..to as usize].iter().all(|have| *have));
                }
            }
            let mut read = Vec::new();
            while let Some(bytes) = assembler.read(17) {
                read.extend_from_slice(&bytes);
            }
            prop_assert!(read.iter().enumerate().all(|(at, byte)| *byte == at as u8));
            prop_assert_eq!(read.len() as u64, assembler.next());
        }
    }
}
