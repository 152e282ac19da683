//! What has been sent and not acknowledged, and which of it is lost? (RFC 2018, RFC 8985, RFC 6675.)
//!
//! One entry per segment as it went onto the wire, in order of sequence numbers. An ACK costs what it acknowledges; a SACK block
//! that is already known costs a binary search, however long it is.

mod flight;
mod resegment;

use super::rack::{Rack, Verdict};
use crate::Instant;
use crate::tcp::congestion::delivery_rate::{DeliveryRate, Departure};
use narrows_wire::Seq;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// Segments that must have arrived behind one for it to count as lost (RFC 5681 §3.2, RFC 6675 §2).
pub const DUPLICATE_THRESHOLD: u32 = 3;

/// A segment in flight.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: Seq,
    end: Seq,
    /// When it was sent last.
    sent: Instant,
    sacked: bool,
    lost: bool,
    /// A retransmission of it is in flight.
    retransmitted: bool,
    /// It has been retransmitted at some time: no round trip can be taken from it (Karn).
    ever_retransmitted: bool,
    departure: Departure,
    /// It left in one large segment with the one before.
    continues: bool,
}

/// What an ACK has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// The ACK moved the left edge.
    pub advanced: bool,
    /// Bytes acknowledged cumulatively (SYN and FIN count as one).
    pub bytes: u32,
    /// Segments acknowledged cumulatively.
    pub segments: u32,
    /// Segments newly known to have arrived, cumulatively or by SACK.
    pub delivered: u32,
    /// Segments newly SACKed.
    pub newly_sacked: u32,
    /// Round trip of the oldest segment acknowledged now, if none of those acknowledged was ever retransmitted. Feeds
    /// the round trip estimate.
    pub rtt: Option<Duration>,
    /// Round trip of the newest such segment. Feeds congestion control.
    pub newest_rtt: Option<Duration>,
    /// A retransmitted segment was acknowledged cumulatively.
    pub retransmitted: bool,
    /// Where the lowest segment ends that was delivered now and never sent again.
    pub original: Option<Seq>,
    /// Where the lowest such segment begins that others, SACKed before, have overtaken.
    pub overtaken: Option<Seq>,
    /// The first block reported bytes received twice (RFC 2883).
    pub dsack: bool,
    /// The longest segment among those delivered, bytes.
    pub longest: u32,
}

impl Acked {
    /// A segment was delivered that was sent once; `front` is where the highest segment SACKed before this ACK ends.
    fn note_original(&mut self, entry: &Entry, front: Option<Seq>) {
        self.original = Some(self.original.map_or(entry.end, |lowest| lowest.earliest(entry.end)));
        if front.is_some_and(|front| entry.start.is_before(front)) {
            self.overtaken = Some(self.overtaken.map_or(entry.start, |lowest| lowest.earliest(entry.start)));
        }
    }
}

/// What [`Scoreboard::mark_overtaken_in_time`] has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overtaken {
    /// Segments newly lost.
    pub newly: u32,
    /// Of those, retransmissions.
    pub again: u32,
    /// When to look again: the longest wait of those that have been overtaken and may yet arrive.
    pub wait: Option<Duration>,
}

/// The queue of sent segments of one connection.
#[derive(Clone, Debug, Default)]
pub struct Scoreboard {
    entries: VecDeque<Entry>,
    /// Runs of SACKed entries, ascending, never touching one another.
    sacked_runs: Vec<Range<Seq>>,
    sacked: u32,
    lost: u32,
    retransmitted: u32,
    /// Everything unSACKed before it has been marked lost.
    loss_edge: Option<Seq>,
    /// Segments sent again, in the order of time; those that have been judged or acknowledged may still be listed.
    repeated: VecDeque<(Instant, Seq)>,
    /// Nothing before it is lost and waiting for retransmission.
    next_retransmission: Option<Seq>,
    /// Segments that duplicate ACKs without SACK stand for.
    duplicates: u32,
    delivery: DeliveryRate,
}

crate::pack::pack!(Scoreboard {
    sacked, lost, retransmitted, loss_edge, next_retransmission, duplicates, delivery,
} empty { entries, sacked_runs, repeated });

impl Scoreboard {
    /// Nothing is in flight.
    #[must_use]
    pub fn new() -> Scoreboard {
        Scoreboard::default()
    }

    /// New data, or FIN, was sent: `range` in segments of at most `segment_len` bytes (one large segment still to be cut
    /// is as many entries as it will be segments).
    pub fn on_sent(&mut self, range: Range<Seq>, segment_len: u32, now: Instant, continues: bool) {
        let mut start = range.start;
        let departure = self.delivery.on_sent(now, self.entries.is_empty());
        let first = range.start;
        while start.is_before(range.end) {
            let end = (start + segment_len.max(1)).earliest(range.end);
            self.entries.push_back(Entry {
                start,
                end,
                sent: now,
                sacked: false,
                lost: false,
                retransmitted: false,
                ever_retransmitted: false,
                departure,
                continues: continues || start != first,
            });
            start = end;
        }
    }

    /// A segment was sent again. Entries that lie in `range` count as retransmitted.
    pub fn on_retransmitted(&mut self, range: Range<Seq>, now: Instant) {
        let first = self.entries.partition_point(|entry| !range.start.is_before(entry.end));
        let departure = self.delivery.on_sent(now, false);
        for entry in self.entries.range_mut(first..) {
            if !entry.start.is_before(range.end) {
                break;
            }
            if !entry.sacked {
                self.retransmitted += u32::from(!entry.retransmitted);
                entry.retransmitted = true;
            }
            entry.ever_retransmitted = true;
            entry.sent = now;
            entry.departure = departure;
            self.repeated.push_back((now, entry.start));
        }
    }

    /// The last segment was sent again as a probe, which does not make it lost: it counts once in flight.
    pub fn on_probed(&mut self, now: Instant) {
        if let Some(entry) = self.entries.back_mut() {
            entry.continues = false;
            entry.ever_retransmitted = true;
            entry.sent = now;
            entry.departure = self.delivery.on_sent(now, false);
            self.repeated.push_back((now, entry.start));
        }
    }

    /// An ACK up to `una`, with SACK blocks as the option listed them (the first may be a DSACK). What was delivered is
    /// reported to `rack`; `minimum` is the smallest round trip so far.
    pub fn on_ack(
        &mut self,
        una: Seq,
        sacks: &[Range<Seq>],
        now: Instant,
        rack: &mut Rack,
        minimum: Option<Duration>,
    ) -> Acked {
        let mut acked = Acked::default();
        let front = self.sacked_runs.last().map(|run| run.end);
        let (mut oldest, mut newest, mut in_order) = (None, None, None);
        while let Some(entry) = self.entries.front_mut() {
            if !entry.start.is_before(una) {
                break;
            }
            acked.advanced = true;
            acked.retransmitted |= entry.ever_retransmitted;
            if una.is_before(entry.end) {
                acked.bytes += una - entry.start;
                entry.start = una;
                break;
            }
            if !entry.sacked {
                acked.delivered += 1;
                acked.longest = acked.longest.max(entry.end - entry.start);
                if !entry.ever_retransmitted {
                    oldest = oldest.or(Some(entry.sent));
                    newest = Some(entry.sent);
                    acked.note_original(entry, front);
                }
                let rtt = rack.on_delivered(now, entry.sent, entry.end, entry.ever_retransmitted, minimum);
                in_order = rtt.or(in_order);
                self.delivery.on_delivered(entry.sent, entry.end, entry.departure);
            }
            acked.bytes += entry.end - entry.start;
            acked.segments += 1;
            self.sacked -= u32::from(entry.sacked);
            self.lost -= u32::from(entry.lost);
            self.retransmitted -= u32::from(entry.retransmitted);
            self.entries.pop_front();
        }
        self.forget_before(una);
        if let Some(first) = sacks.first() {
            let inside_second = sacks
                .get(1)
                .is_some_and(|s| !first.start.is_before(s.start) && first.end.is_at_or_before(s.end));
            acked.dsack = first.end.is_at_or_before(una) || inside_second;
        }
        let mut sacked_oldest = None;
        for block in sacks {
            let mut deliver = |entry: &Entry, acked: &mut Acked| {
                if !entry.ever_retransmitted {
                    sacked_oldest = sacked_oldest.or(Some(entry.sent));
                    newest = Some(newest.map_or(entry.sent, |sent: Instant| sent.max(entry.sent)));
                    acked.note_original(entry, front);
                }
                rack.on_delivered(now, entry.sent, entry.end, entry.ever_retransmitted, minimum);
            };
            self.on_sack_block(block, &mut acked, &mut deliver);
        }
        rack.on_in_order_too(in_order);
        if acked.retransmitted {
            oldest = None;
        }
        acked.rtt = oldest.or(sacked_oldest).map(|sent| now.since(sent));
        let said = !acked.retransmitted || sacked_oldest.is_some();
        acked.newest_rtt = newest.filter(|_| said).map(|sent| now.since(sent));
        acked
    }

    fn on_sack_block(
        &mut self,
        block: &Range<Seq>,
        acked: &mut Acked,
        deliver: &mut impl FnMut(&Entry, &mut Acked),
    ) {
        let (Some(front), Some(back)) = (self.entries.front(), self.entries.back()) else { return };
        let (front, back) = (front.start, back.end);
        // Blocks behind the left edge are DSACKs or old; one that ends before it begins, or beyond what was sent, is
        // nonsense.
        if !block.start.is_before(block.end) || block.end.is_at_or_before(front) || back.is_before(block.end)
        {
            return;
        }
        let start = block.start.latest(front);
        let mut index = self.entries.partition_point(|entry| entry.start.is_before(start));
        let mut covered: Option<Range<Seq>> = None;
        while let Some(entry) = self.entries.get_mut(index) {
            if block.end.is_before(entry.end) {
                break;
            }
            let begin = covered.as_ref().map_or(entry.start, |range| range.start);
            if entry.sacked {
                let end = self.run_end(index);
                covered = Some(begin..end);
                index = self.entries.partition_point(|entry| entry.start.is_before(end));
                continue;
            }
            entry.sacked = true;
            self.sacked += 1;
            acked.newly_sacked += 1;
            acked.delivered += 1;
            acked.longest = acked.longest.max(entry.end - entry.start);
            if entry.lost {
                entry.lost = false;
                self.lost -= 1;
            }
            if entry.retransmitted {
                entry.retransmitted = false;
                self.retransmitted -= 1;
            }
            deliver(entry, acked);
            self.delivery.on_delivered(entry.sent, entry.end, entry.departure);
            covered = Some(begin..entry.end);
            index += 1;
        }
        if let Some(range) = covered {
            self.add_run(range);
        }
    }

    /// Where the run of SACKed entries around entry `index` ends.
    fn run_end(&self, index: usize) -> Seq {
        let start = self.entries[index].start;
        let run = self.sacked_runs.partition_point(|run| run.end.is_at_or_before(start));
        self.sacked_runs.get(run).map_or(self.entries[index].end, |run| run.end)
    }

    fn add_run(&mut self, mut range: Range<Seq>) {
        let first = self.sacked_runs.partition_point(|run| run.end.is_before(range.start));
        let last = self.sacked_runs.partition_point(|run| run.start.is_at_or_before(range.end));
        if first < last {
            range.start = range.start.earliest(self.sacked_runs[first].start);
            range.end = range.end.latest(self.sacked_runs[last - 1].end);
        }
        self.sacked_runs.splice(first..last, [range]);
    }

    fn forget_before(&mut self, una: Seq) {
        let gone = self.sacked_runs.partition_point(|run| run.end.is_at_or_before(una));
        self.sacked_runs.drain(..gone);
        if let Some(run) = self.sacked_runs.first_mut() {
            run.start = run.start.latest(una);
        }
        // Detection by counting never looks at this list.
        while self.repeated.front().is_some_and(|(_, start)| start.is_before(una)) {
            self.repeated.pop_front();
        }
        for edge in [&mut self.loss_edge, &mut self.next_retransmission] {
            *edge = edge.filter(|edge| una.is_before(*edge));
        }
    }

    /// Marks lost what three segments have overtaken (RFC 6675 IsLost). Returns how many are newly lost.
    pub fn mark_overtaken(&mut self) -> u32 {
        let Some(edge) = self.overtaken_before() else { return 0 };
        let from = self.loss_edge.map_or(0, |done| self.index_of(done));
        let to = self.index_of(edge);
        let mut newly = 0;
        let mut first = None;
        for entry in self.entries.range_mut(from.min(to)..to) {
            if !entry.sacked && !entry.lost {
                entry.lost = true;
                newly += 1;
                first = first.or(Some(entry.start));
            }
        }
        if let (Some(first), Some(next)) = (first, &mut self.next_retransmission) {
            *next = next.earliest(first);
        }
        self.lost += newly;
        self.delivery.on_lost(newly);
        self.loss_edge = Some(self.loss_edge.map_or(edge, |done| done.latest(edge)));
        newly
    }

    /// Marks lost what was overtaken in time (RFC 8985 §6.2 step 5). Returns how many are newly lost, of which how many had
    /// been sent again, and how long to wait before looking again.
    pub fn mark_overtaken_in_time(&mut self, rack: &Rack, now: Instant, window: Duration) -> Overtaken {
        let mut found = Overtaken::default();
        self.judge_repeated(rack, now, window, &mut found);
        if self.sacked_runs.is_empty() {
            return found;
        }
        // Segments sent once lie in the order of time: the first that is not lost ends the search for lost ones.
        let mut index = self.loss_edge.map_or(0, |edge| self.index_of(edge));
        let mut losing = true;
        while let Some(entry) = self.entries.get(index) {
            if entry.sacked {
                let end = self.run_end(index);
                index = self.index_of(end);
                continue;
            }
            if !entry.lost && !entry.ever_retransmitted {
                match rack.judge(now, entry.sent, entry.end, window) {
                    Verdict::NotOvertaken => break,
                    Verdict::Wait(left) => {
                        losing = false;
                        found.wait = found.wait.max(Some(left));
                    }
                    Verdict::Lost => self.mark_lost(index, &mut found),
                }
            }
            index += 1;
            if losing {
                self.loss_edge = self.entries.get(index).map(|entry| entry.start);
            }
        }
        found
    }

    fn judge_repeated(&mut self, rack: &Rack, now: Instant, window: Duration, found: &mut Overtaken) {
        let mut waiting = 0;
        while let Some((sent, start)) = self.repeated.get(waiting).copied() {
            let index = self.index_of(start);
            let current = self.entries.get(index).filter(|entry| {
                entry.start == start
                    && entry.sent == sent
                    && !entry.sacked
                    && (entry.retransmitted || !entry.lost)
            });
            let verdict = current.map(|entry| rack.judge(now, sent, entry.end, window));
            match verdict {
                Some(Verdict::NotOvertaken) => break,
                Some(Verdict::Wait(left)) => {
                    found.wait = found.wait.max(Some(left));
                    waiting += 1;
                    continue;
                }
                Some(Verdict::Lost) => self.mark_lost(index, found),
                None => {}
            }
            self.repeated.remove(waiting);
        }
    }

    fn mark_lost(&mut self, index: usize, found: &mut Overtaken) {
        let entry = &mut self.entries[index];
        found.newly += 1;
        self.delivery.on_lost(1);
        if entry.retransmitted {
            entry.retransmitted = false;
            self.retransmitted -= 1;
            found.again += 1;
        }
        if !entry.lost {
            entry.lost = true;
            self.lost += 1;
        }
        if let Some(next) = &mut self.next_retransmission {
            *next = next.earliest(entry.start);
        }
    }

    /// The start of the third SACKed segment from the top: what lies before it has been overtaken by three.
    fn overtaken_before(&self) -> Option<Seq> {
        let mut wanted = DUPLICATE_THRESHOLD as usize;
        for run in self.sacked_runs.iter().rev() {
            let (first, end) = (self.index_of(run.start), self.index_of(run.end));
            if end - first >= wanted {
                return self.entries.get(end - wanted).map(|entry| entry.start);
            }
            wanted -= end - first;
        }
        None
    }

    fn index_of(&self, seq: Seq) -> usize {
        self.entries.partition_point(|entry| entry.start.is_before(seq))
    }

    /// Marks the oldest segment lost (fast retransmit without SACK, and a partial ACK: RFC 6582).
    pub fn mark_first_lost(&mut self) -> bool {
        let Some(entry) = self.entries.front_mut() else { return false };
        let newly = !entry.lost && !entry.sacked;
        if newly {
            entry.lost = true;
            self.lost += 1;
            self.delivery.on_lost(1);
            self.next_retransmission = None;
        }
        newly
    }

    /// The retransmission timer has expired: everything not SACKed is lost, earlier retransmissions included. With `spare`
    /// what was sent less than a round trip ago is not, except for the oldest (RFC 8985 §6.3).
    pub fn mark_all_lost(&mut self, spare: Option<(&Rack, Instant)>) {
        self.lost = 0;
        self.retransmitted = 0;
        self.duplicates = 0;
        let mut spared = None;
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let recent = index > 0 && spare.is_some_and(|(rack, now)| rack.is_recent(now, entry.sent));
            if recent && !entry.sacked {
                spared = spared.or(Some(entry.start));
            } else {
                let newly = !entry.sacked && (!entry.lost || entry.retransmitted);
                self.delivery.on_lost(u32::from(newly));
                entry.retransmitted = false;
                entry.lost = !entry.sacked;
            }
            self.lost += u32::from(entry.lost);
            self.retransmitted += u32::from(entry.retransmitted);
        }
        self.next_retransmission = None;
        self.loss_edge = spared.or(self.entries.back().map(|entry| entry.end));
    }

    /// The losses were none: nothing counts as lost any more. What was sent again stays counted until it is acknowledged.
    pub fn unmark_lost(&mut self) {
        for entry in &mut self.entries {
            entry.lost = false;
        }
        self.lost = 0;
        self.next_retransmission = None;
        self.loss_edge = None;
    }

    /// The receiver has thrown away what it had SACKed (RFC 2018 §8: it may).
    pub fn forget_sacks(&mut self) {
        for entry in &mut self.entries {
            entry.sacked = false;
        }
        self.sacked = 0;
        self.sacked_runs.clear();
        self.loss_edge = None;
    }

    /// The lowest lost segment that has not been sent again.
    #[must_use]
    pub fn next_lost(&mut self) -> Option<Range<Seq>> {
        if self.lost == 0 {
            return None;
        }
        let from = self.next_retransmission.map_or(0, |seq| self.index_of(seq));
        let found = self
            .entries
            .range(from..)
            .find(|entry| entry.lost && !entry.retransmitted)
            .map(|entry| entry.start..entry.end);
        // The next search begins here: nothing before is waiting.
        let end = self.entries.back().map(|entry| entry.end);
        self.next_retransmission = found.as_ref().map(|range| range.start).or(end);
        found
    }

    /// How fast the path delivers.
    #[must_use]
    pub fn delivery(&self) -> &DeliveryRate {
        &self.delivery
    }

    /// The same, to be told what only others know.
    pub fn delivery_mut(&mut self) -> &mut DeliveryRate {
        &mut self.delivery
    }

    /// How many lost segments from `start` on belong to one group, at most `room`, and where they end. The group is
    /// cut there.
    pub fn split_group(&mut self, start: Seq, room: u32) -> (u32, Seq) {
        let from = self.index_of(start);
        let mut count = 0;
        let mut end = start;
        for entry in self.entries.range_mut(from..) {
            let joins = count == 0 || entry.continues && count < room;
            if !joins || entry.sacked || !entry.lost || entry.retransmitted {
                entry.continues = false;
                break;
            }
            count += 1;
            end = entry.end;
        }
        (count, end)
    }

    /// How many segments duplicate ACKs stand for where there is no SACK; never all of those in flight and not lost.
    pub(super) fn set_duplicates(&mut self, duplicates: u32) {
        self.duplicates = duplicates.min(self.unacked().saturating_sub(self.lost.max(1)));
    }

    pub(super) fn duplicates(&self) -> u32 {
        self.duplicates
    }
}
