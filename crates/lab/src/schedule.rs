//! What happens next? A priority queue with at most one entry per source.

use narrows_stack::Instant;

/// Entries of a [`Schedule`] are ordered by time, then by sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub time: Instant,
    pub sequence: u64,
}

/// The next event of every source (a direction of a link, a node's timers), as an indexed binary heap.
///
/// Each source keeps its own later events in order and shows only the first one here: the heap stays as small as the
/// world and not as large as the traffic.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    heap: Vec<(Key, u32)>,
    position: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;

impl Schedule {
    pub fn with_sources(sources: usize) -> Schedule {
        Schedule { heap: Vec::with_capacity(sources), position: vec![ABSENT; sources] }
    }

    /// The earliest entry.
    pub fn peek(&self) -> Option<(Key, usize)> {
        self.heap.first().map(|&(key, source)| (key, source as usize))
    }

    /// The entry of one source.
    pub fn get(&self, source: usize) -> Option<Key> {
        let at = self.position[source];
        (at != ABSENT).then(|| self.heap[at as usize].0)
    }

    /// Sets, moves or removes the entry of one source.
    pub fn set(&mut self, source: usize, key: Option<Key>) {
        let at = self.position[source];
        match (at, key) {
            (ABSENT, None) => {}
            (ABSENT, Some(key)) => {
                let end = self.heap.len();
                self.heap.push((key, source as u32));
                self.position[source] = end as u32;
                self.up(end);
            }
            (at, Some(key)) => {
                let at = at as usize;
                let before = std::mem::replace(&mut self.heap[at].0, key);
                if key < before {
                    self.up(at);
                } else {
                    self.down(at);
                }
            }
            (at, None) => {
                let at = at as usize;
                self.position[source] = ABSENT;
                self.heap.swap_remove(at);
                if let Some(&(_, moved)) = self.heap.get(at) {
                    self.position[moved as usize] = at as u32;
                    self.up(at);
                    self.down(self.position[moved as usize] as usize);
                }
            }
        }
    }

    fn up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent].0 <= self.heap[at].0 {
                break;
            }
            self.swap(at, parent);
            at = parent;
        }
    }

    fn down(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let child =
                if right < self.heap.len() && self.heap[right].0 < self.heap[left].0 { right } else { left };
            if self.heap[at].0 <= self.heap[child].0 {
                break;
            }
            self.swap(at, child);
            at = child;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.position[self.heap[a].1 as usize] = a as u32;
        self.position[self.heap[b].1 as usize] = b as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_earliest_entry_is_always_in_front(
            changes in proptest::collection::vec((0usize..12, proptest::option::of(0u64..50)), 1..300)
        ) {
            let mut schedule = Schedule::with_sources(12);
            let mut model = [None; 12];
            for (sequence, (source, time)) in changes.into_iter().enumerate() {
                let key = time.map(|t| Key { time: Instant::from_nanos(t), sequence: sequence as u64 });
                schedule.set(source, key);
                model[source] = key;
                let first = model.iter().enumerate().filter_map(|(s, k)| k.map(|k| (k, s))).min();
                prop_assert_eq!(schedule.peek(), first);
                for (source, key) in model.iter().enumerate() {
                    prop_assert_eq!(schedule.get(source), *key);
                }
            }
        }
    }
}
