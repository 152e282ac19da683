//! In which pieces goes again what was sent in larger ones? For the time after the segment size has fallen.

use super::{Entry, Scoreboard};
use narrows_wire::Seq;
use std::collections::VecDeque;

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
}
