//! How much may still be written? The buffers that what is written is put into, and the memory they take.
//!
//! As in Linux's tcp_sendmsg: bytes join the last buffer while it is unsent and not full; a new one is opened only while all
//! together take less than SO_SNDBUF and little enough is unsent. So a short write ends with a full buffer, not in its middle.

use super::send_buffer::Position;
use crate::sk_buff::{SK_BUFF, SMALL_HEAD};
use std::collections::VecDeque;

/// What a buffer takes beside its bytes: an empty sk_buff (measured by SO_MEMINFO with one byte that TCP_CORK holds back: 832).
const BUFFER_COST: u64 = SK_BUFF + SMALL_HEAD;

/// The buffers between the oldest unacknowledged byte and the last one written.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// Where each ends, ascending.
    ends: VecDeque<Position>,
    /// Where the last one begins.
    tail_start: Position,
    /// The last one takes nothing more (MSG_EOR, or sent).
    closed: bool,
}

crate::pack::pack!(SendQueue { tail_start, closed } empty { ends });

/// What a write has to respect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Memory for all buffers, bytes.
    pub(crate) capacity: u64,
    /// Bytes in a full buffer.
    pub(crate) goal: u64,
    /// No new buffer while so much or more is unsent, bytes.
    pub(crate) unsent: u64,
}

impl SendQueue {
    /// There is no buffer.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Memory that all buffers take; `start` is the oldest unacknowledged byte.
    pub(crate) fn used(&self, start: Position) -> u64 {
        let end = self.ends.back().copied().unwrap_or(start);
        end.saturating_sub(start) + BUFFER_COST * self.ends.len() as u64
    }

    /// Bytes in the last buffer that have not been sent.
    fn tail(&self) -> Option<u64> {
        self.ends.back().filter(|_| !self.closed).map(|end| end - self.tail_start)
    }

    /// What is written next joins the last buffer.
    pub(crate) fn joins(&self, goal: u64) -> bool {
        self.tail().is_some_and(|length| length < goal)
    }

    /// How many bytes may be appended before the question has to be asked again.
    pub(crate) fn room(&self, start: Position, unsent: u64, limits: &Limits) -> u64 {
        match self.tail() {
            Some(length) if length < limits.goal => limits.goal - length,
            _ if self.used(start) < limits.capacity && unsent < limits.unsent => limits.goal,
            _ => 0,
        }
    }

    /// `bytes` were appended; the last byte is now at `end`. True when the last buffer is full.
    pub(crate) fn append(&mut self, bytes: u64, end: Position, goal: u64) -> bool {
        match self.tail() {
            Some(length) if length < goal => {
                if let Some(last) = self.ends.back_mut() {
                    *last = end;
                }
            }
            _ => {
                self.tail_start = end - bytes;
                self.ends.push_back(end);
                self.closed = false;
            }
        }
        end - self.tail_start >= goal
    }

    /// Bytes from `position` to the end of the buffer they are in, and whether that is the last one.
    pub(crate) fn next_buffer(&self, position: Position) -> (u64, bool) {
        let index = self.ends.partition_point(|end| *end <= position);
        let length = self.ends.get(index).map_or(0, |end| end - position);
        (length, index + 1 >= self.ends.len())
    }

    /// A record ends with the last byte.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Everything before the last buffer has been sent up to `sent`.
    pub(crate) fn tail_is_next(&self, sent: Position) -> bool {
        self.tail_start <= sent
    }

    /// A group that ends at `at` was sent: what follows in the same buffer is a buffer of its own.
    pub(crate) fn split(&mut self, at: Position) {
        let index = self.ends.partition_point(|end| *end < at);
        match self.ends.get(index) {
            Some(end) if *end > at => {
                self.ends.insert(index, at);
                if index + 2 == self.ends.len() {
                    self.tail_start = at;
                }
            }
            Some(_) if index + 1 == self.ends.len() => self.closed = true,
            _ => {}
        }
    }

    /// What lies between `from` and `to` goes again as one segment: it is in one buffer from then on.
    pub(crate) fn join(&mut self, from: Position, to: Position) {
        let first = self.ends.partition_point(|end| *end <= from);
        let last = self.ends.partition_point(|end| *end < to);
        if first < last {
            self.ends.drain(first..last);
        }
    }

    /// Everything before `at` was acknowledged.
    pub(crate) fn acknowledge(&mut self, at: Position) {
        while self.ends.front().is_some_and(|end| *end <= at) {
            self.ends.pop_front();
        }
        self.closed |= self.ends.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { capacity: 50_000, goal: 16_000, unsent: u64::MAX };

    /// Writes `bytes` as far as there is room; nothing is sent.
    fn write(queue: &mut SendQueue, end: &mut Position, bytes: u64, limits: &Limits) -> u64 {
        let mut written = 0;
        while written < bytes {
            let room = queue.room(0, *end, limits).min(bytes - written);
            if room == 0 {
                break;
            }
            *end += room;
            queue.append(room, *end, limits.goal);
            written += room;
        }
        written
    }

    #[test]
    fn a_buffer_that_was_opened_is_filled_even_beyond_the_limit() {
        let (mut queue, mut end) = (SendQueue::default(), 0);
        let limits = Limits { capacity: 35_000, ..LIMITS };
        assert_eq!(write(&mut queue, &mut end, 59_000, &limits), 48_000);
        let (mut queue, mut end) = (SendQueue::default(), 0);
        let limits = Limits { unsent: 4_000, ..LIMITS };
        assert_eq!(write(&mut queue, &mut end, 59_000, &limits), 16_000);
    }

    #[test]
    fn a_group_that_leaves_makes_room_in_the_last_buffer() {
        let mut queue = SendQueue::default();
        assert!(queue.append(16_000, 16_000, 16_000));
        queue.split(2_000);
        assert_eq!(queue.used(0), 16_000 + 2 * BUFFER_COST);
        assert_eq!(queue.room(0, 14_000, &LIMITS), 2_000);
        queue.acknowledge(2_000);
        assert_eq!(queue.used(2_000), 14_000 + BUFFER_COST);
        queue.split(16_000);
        assert_eq!(queue.room(2_000, 0, &LIMITS), 16_000);
    }

    #[test]
    fn what_goes_again_as_one_takes_the_memory_of_one() {
        let mut queue = SendQueue::default();
        for end in [100, 200, 300] {
            queue.append(100, end, 16_000);
            queue.split(end);
        }
        queue.join(0, 200);
        assert_eq!(queue.used(0), 300 + 2 * BUFFER_COST);
        assert_eq!(queue.next_buffer(0), (200, false));
    }

    #[test]
    fn a_record_that_has_ended_takes_no_more() {
        let mut queue = SendQueue::default();
        queue.append(100, 100, 16_000);
        queue.close();
        queue.append(200, 300, 16_000);
        assert_eq!(queue.used(0), 300 + 2 * BUFFER_COST);
    }
}
