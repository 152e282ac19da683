//! In which pieces goes again what was sent in others? In smaller ones after the segment size has fallen, in larger ones where small
//! writes had left alone.

use super::{Entry, Scoreboard};
use narrows_wire::Seq;
use std::collections::VecDeque;
use std::ops::Range;

impl Entry {
    /// Payload bytes; `fin_end` is where the FIN ends that has been sent.
    fn payload(&self, fin_end: Option<Seq>) -> u32 {
        (self.end - self.start) - u32::from(fin_end == Some(self.end))
    }

    /// Lost, and nothing has been done about it yet.
    fn waits(&self) -> bool {
        self.lost && !self.sacked && !self.retransmitted
    }
}

impl Scoreboard {
    /// Marks lost what has more payload than `mss`, sent again already or not. Returns how many are lost in all.
    pub fn mark_oversized(&mut self, mss: u32, fin_end: Option<Seq>) -> u32 {
        for entry in &mut self.entries {
            if entry.sacked || entry.payload(fin_end) <= mss {
                continue;
            }
            self.lost += u32::from(!entry.lost);
            self.retransmitted -= u32::from(entry.retransmitted);
            entry.lost = true;
            entry.retransmitted = false;
        }
        self.next_retransmission = None;
        self.lost
    }

    /// Cuts what is lost and waits to be sent again into segments of `mss`, where it has larger ones. What left as one group is
    /// cut as a whole, so that only its last segment is smaller (as Linux does, which keeps groups in one buffer).
    pub fn recut_lost(&mut self, mss: u32, fin_end: Option<Seq>) {
        if !self.entries.iter().any(|entry| entry.waits() && entry.payload(fin_end) > mss) {
            return;
        }
        let mut cut = VecDeque::with_capacity(self.entries.len() + 8);
        let mut entries = std::mem::take(&mut self.entries).into_iter().peekable();
        while let Some(first) = entries.next() {
            let mut group = vec![first];
            if first.waits() {
                while let Some(next) = entries.next_if(|next| next.continues && next.waits()) {
                    group.push(next);
                }
            }
            if !first.waits() || group.iter().all(|entry| entry.payload(fin_end) <= mss) {
                cut.extend(group);
                continue;
            }
            self.lost -= group.len() as u32;
            let mut rest = Entry {
                end: group.last().map_or(first.end, |last| last.end),
                ever_retransmitted: group.iter().any(|entry| entry.ever_retransmitted),
                ..first
            };
            while rest.payload(fin_end) > mss {
                let end = rest.start + mss;
                cut.push_back(Entry { end, ..rest });
                self.lost += 1;
                rest = Entry { start: end, continues: true, ..rest };
            }
            cut.push_back(rest);
            self.lost += 1;
        }
        self.entries = cut;
        self.next_retransmission = None;
    }

    /// Cuts the segment that begins at `start` after `bytes`: it is about to be sent again and is larger than that.
    pub fn split(&mut self, start: Seq, bytes: u32) {
        let index = self.index_of(start);
        let Some(entry) = self.entries.get_mut(index) else { return };
        let middle = start + bytes;
        if entry.start != start || !middle.is_before(entry.end) {
            return;
        }
        let rest = Entry { start: middle, continues: true, ..*entry };
        entry.end = middle;
        self.lost += u32::from(rest.lost);
        self.sacked += u32::from(rest.sacked);
        self.retransmitted += u32::from(rest.retransmitted);
        self.entries.insert(index + 1, rest);
    }

    /// Joins the segment at `index`'s followers to it while they left alone too, have not arrived, `bytes` hold all and `end` is not
    /// passed (Linux's tcp_retrans_try_collapse). `fin_end` is where the FIN ends that has been sent. Returns the segment as it is now.
    pub fn join(&mut self, start: Seq, bytes: u32, end: Seq, fin_end: Option<Seq>) -> Option<Range<Seq>> {
        let index = self.index_of(start);
        let first = self.entries.get(index).filter(|entry| entry.start == start && !entry.sacked)?;
        let mut room = bytes.saturating_sub(first.payload(fin_end));
        while self.is_alone(index)
            && let Some(next) = self.entries.get(index + 1).copied()
            && !next.sacked
            && self.is_alone(index + 1)
            && next.payload(fin_end) <= room
            && next.end.is_at_or_before(end)
        {
            room -= next.payload(fin_end);
            self.lost -= u32::from(next.lost);
            self.retransmitted -= u32::from(next.retransmitted);
            // Without SACK nobody knows which one had arrived.
            self.duplicates = self.duplicates.saturating_sub(1);
            self.entries.remove(index + 1);
            let joined = &mut self.entries[index];
            joined.end = next.end;
            joined.ever_retransmitted |= next.ever_retransmitted;
        }
        self.entries.get(index).map(|entry| entry.start..entry.end)
    }

    /// The segment at `index` is the only one of its group that stands as it does: none of its neighbours that left in one large
    /// segment with it has shared its fate.
    fn is_alone(&self, index: usize) -> bool {
        let Some(entry) = self.entries.get(index) else { return false };
        let with_before = entry.continues
            && index.checked_sub(1).is_some_and(|before| self.entries[before].sacked == entry.sacked);
        let with_next =
            self.entries.get(index + 1).is_some_and(|next| next.continues && next.sacked == entry.sacked);
        !with_before && !with_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    /// Groups of segments of 1000 bytes, from sequence number 0.
    fn board(groups: &[u32]) -> (Scoreboard, Seq) {
        let (mut board, mut next) = (Scoreboard::new(), Seq(0));
        for segments in groups {
            let end = next + 1_000 * segments;
            board.on_sent(next..end, 1_000, Instant::ZERO, false);
            next = end;
        }
        (board, next)
    }

    fn sizes(board: &Scoreboard) -> Vec<u32> {
        board.entries.iter().map(|entry| entry.end - entry.start).collect()
    }

    #[test]
    fn a_group_is_cut_as_a_whole_and_what_fits_is_left_alone() {
        let (mut board, _) = board(&[2, 1]);
        assert_eq!(board.mark_oversized(900, None), 3);
        board.recut_lost(900, None);
        assert_eq!(sizes(&board), [900, 900, 200, 900, 100]);
        assert_eq!((board.lost(), board.unacked(), board.in_flight()), (5, 5, 0));
        board.recut_lost(900, None);
        assert_eq!(sizes(&board), [900, 900, 200, 900, 100]);
    }

    #[test]
    fn what_has_arrived_is_not_touched_and_what_was_sent_again_is_lost_again() {
        let (mut board, end) = board(&[3]);
        let mut rack = super::super::Rack::default();
        board.on_ack(Seq(0), &[Seq(1_000)..Seq(2_000)], Instant::ZERO, &mut rack, None);
        board.mark_all_lost(None);
        board.on_retransmitted(Seq(0)..Seq(1_000), Instant::ZERO);
        assert_eq!((board.lost(), board.retransmitted()), (2, 1));
        board.mark_oversized(600, None);
        assert_eq!((board.lost(), board.retransmitted()), (2, 0));
        board.recut_lost(600, None);
        assert_eq!(sizes(&board), [600, 400, 1_000, 600, 400]);
        assert_eq!((board.lost(), board.sacked(), board.in_flight()), (4, 1, 0));
        let acked = board.on_ack(end, &[], Instant::ZERO, &mut rack, None);
        assert_eq!((acked.bytes, board.lost(), board.sacked()), (3_000, 0, 0));
    }

    #[test]
    fn the_fin_is_no_payload() {
        let mut board = Scoreboard::new();
        board.on_sent(Seq(0)..Seq(1_001), 1_001, Instant::ZERO, false);
        assert_eq!(board.mark_oversized(1_000, Some(Seq(1_001))), 0);
        assert_eq!(board.mark_oversized(600, Some(Seq(1_001))), 1);
        board.recut_lost(600, Some(Seq(1_001)));
        assert_eq!(sizes(&board), [600, 401]);
    }

    #[test]
    fn a_segment_that_leaves_again_in_part_keeps_its_rest() {
        let (mut board, _) = board(&[1]);
        board.mark_all_lost(None);
        board.split(Seq(0), 300);
        board.on_retransmitted(Seq(0)..Seq(300), Instant::ZERO);
        assert_eq!(sizes(&board), [300, 700]);
        assert_eq!((board.lost(), board.retransmitted(), board.in_flight()), (2, 1, 1));
        assert_eq!(board.next_lost(), Some(Seq(300)..Seq(1_000)));
    }

    /// Segments of these lengths, each of a group of its own.
    fn small(lengths: &[u32]) -> Scoreboard {
        let (mut board, mut next) = (Scoreboard::new(), Seq(0));
        for length in lengths {
            board.on_sent(next..next + *length, 1_000, Instant::ZERO, false);
            next += *length;
        }
        board
    }

    #[test]
    fn what_left_alone_is_joined_as_far_as_it_fits() {
        let mut board = small(&[300, 300, 400, 200]);
        board.mark_all_lost(None);
        assert_eq!(board.join(Seq(0), 1_000, Seq(1_200), None), Some(Seq(0)..Seq(1_000)));
        assert_eq!(sizes(&board), [1_000, 200]);
        board.on_retransmitted(Seq(0)..Seq(1_000), Instant::ZERO);
        assert_eq!((board.unacked(), board.lost(), board.retransmitted()), (2, 2, 1));
        assert_eq!(board.next_lost(), Some(Seq(1_000)..Seq(1_200)));
    }

    #[test]
    fn a_limit_a_group_or_an_arrival_ends_what_is_joined() {
        let mut board = small(&[100, 100, 100]);
        assert_eq!(board.join(Seq(0), 1_000, Seq(299), None), Some(Seq(0)..Seq(200)));
        let mut rack = super::super::Rack::default();
        let mut board = small(&[100, 100, 100]);
        board.on_ack(Seq(0), &[Seq(100)..Seq(200)], Instant::ZERO, &mut rack, None);
        assert_eq!(board.join(Seq(0), 1_000, Seq(300), None), Some(Seq(0)..Seq(100)));
        let (mut board, _) = board_with_group();
        assert_eq!(board.join(Seq(0), 1_000, Seq(2_000), None), Some(Seq(0)..Seq(100)));
        assert_eq!(board.join(Seq(1_100), 1_000, Seq(2_000), None), Some(Seq(1_100)..Seq(1_200)));
    }

    /// 100 bytes, a group of 1000 and 100, and 100 more.
    fn board_with_group() -> (Scoreboard, Seq) {
        let mut board = small(&[100]);
        board.on_sent(Seq(100)..Seq(1_200), 1_000, Instant::ZERO, false);
        board.on_sent(Seq(1_200)..Seq(1_300), 1_000, Instant::ZERO, false);
        (board, Seq(1_300))
    }

    #[test]
    fn of_a_group_that_has_arrived_in_part_the_rest_is_joined() {
        let (mut board, end) = board_with_group();
        let mut rack = super::super::Rack::default();
        board.on_ack(Seq(0), &[Seq(100)..Seq(1_100)], Instant::ZERO, &mut rack, None);
        assert_eq!(board.join(Seq(1_100), 1_000, end, None), Some(Seq(1_100)..Seq(1_300)));
        let (mut board, end) = board_with_group();
        board.on_ack(Seq(1_100), &[], Instant::ZERO, &mut rack, None);
        assert_eq!(board.join(Seq(1_100), 1_000, end, None), Some(Seq(1_100)..Seq(1_300)));
    }

    #[test]
    fn a_fin_takes_no_room() {
        let mut board = small(&[1_000]);
        board.on_sent(Seq(1_000)..Seq(1_001), 1_000, Instant::ZERO, false);
        assert_eq!(board.join(Seq(0), 1_000, Seq(1_001), Some(Seq(1_001))), Some(Seq(0)..Seq(1_001)));
    }
}
