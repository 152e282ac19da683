//! Which socket has to be looked at next, and when? A heap with one entry per socket.
//!
//! Deadlines move later with nearly every packet (each ACK restarts the retransmission timer). An entry is moved only when
//! its deadline becomes *earlier*; a later one is noticed when the entry reaches the top. So a packet costs nothing
//! here in the common case, however many sockets there are.

use crate::Instant;

const ABSENT: usize = usize::MAX;

#[derive(Debug, Default)]
pub(crate) struct TimerQueue {
    heap: Vec<(Instant, usize)>,
    /// Where in the heap each slot's entry is.
    place: Vec<usize>,
}

impl TimerQueue {
    /// Notes that `slot` has to be looked at no later than `deadline`; keeps an earlier note.
    pub(crate) fn note(&mut self, slot: usize, deadline: Instant) {
        if slot >= self.place.len() {
            self.place.resize(slot + 1, ABSENT);
        }
        let at = self.place[slot];
        if at == ABSENT {
            self.place[slot] = self.heap.len();
            self.heap.push((deadline, slot));
            self.sift_up(self.heap.len() - 1);
        } else if deadline < self.heap[at].0 {
            self.heap[at].0 = deadline;
            self.sift_up(at);
        }
    }

    /// The entry that may be due first; its real deadline may be later than the noted one.
    pub(crate) fn first(&self) -> Option<(Instant, usize)> {
        self.heap.first().copied()
    }

    /// Replaces the first entry's deadline, or removes the entry.
    pub(crate) fn correct_first(&mut self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => {
                if let Some(first) = self.heap.first_mut() {
                    first.0 = deadline;
                    self.sift_down(0);
                }
            }
            None => {
                if let Some(&(_, slot)) = self.heap.first() {
                    self.remove(slot);
                }
            }
        }
    }

    /// Forgets `slot`.
    pub(crate) fn remove(&mut self, slot: usize) {
        let Some(&at) = self.place.get(slot) else { return };
        if at == ABSENT {
            return;
        }
        self.place[slot] = ABSENT;
        let last = self.heap.len() - 1;
        self.heap.swap_remove(at);
        if at != last {
            self.place[self.heap[at].1] = at;
            self.sift_down(at);
            self.sift_up(at);
        }
    }

    fn sift_up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent] <= self.heap[at] {
                break;
            }
            self.swap(parent, at);
            at = parent;
        }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.heap[child] < self.heap[least] {
                    least = child;
                }
            }
            if least == at {
                break;
            }
            self.swap(least, at);
            at = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place[self.heap[a].1] = a;
        self.place[self.heap[b].1] = b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_earlier_note_moves_the_entry_and_a_later_one_does_not() {
        let mut queue = TimerQueue::default();
        queue.note(5, Instant::from_millis(10));
        queue.note(5, Instant::from_millis(20));
        assert_eq!(queue.first(), Some((Instant::from_millis(10), 5)));
        queue.note(5, Instant::from_millis(3));
        assert_eq!(queue.first(), Some((Instant::from_millis(3), 5)));
    }

    proptest! {
        #[test]
        fn entries_come_out_in_the_order_of_their_deadlines(
            operations in proptest::collection::vec((0usize..20, 0u64..100, 0u8..4), 1..200)
        ) {
            let mut queue = TimerQueue::default();
            let mut model: BTreeMap<usize, Instant> = BTreeMap::new();
            for (slot, at, kind) in operations {
                let at = Instant::from_nanos(at);
                match kind {
                    0 => { queue.remove(slot); model.remove(&slot); }
                    1 => if let Some((_, first)) = queue.first() {
                        queue.correct_first(Some(at));
                        model.insert(first, at);
                    },
                    _ => {
                        queue.note(slot, at);
                        let entry = model.entry(slot).or_insert(at);
                        *entry = at.min(*entry);
                    }
                }
                prop_assert_eq!(queue.first(), model.iter().map(|(slot, at)| (*at, *slot)).min());
            }
            while let Some(first) = queue.first() {
                prop_assert_eq!(Some(first), model.iter().map(|(slot, at)| (*at, *slot)).min());
                model.remove(&first.1);
                queue.correct_first(None);
            }
            prop_assert!(model.is_empty());
        }
    }
}
