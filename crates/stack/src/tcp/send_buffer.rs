//! Which bytes come next, and where did a write end? The bytes from the first unacknowledged one to the last written.
//!
//! A queue of shared chunks: a segment that lies within one write is a slice of it, nothing is copied.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// A position in the stream: bytes since the connection's first.
pub(crate) type Position = u64;

#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    /// Chunks with the position of their first byte; the first chunk may begin before `start`.
    chunks: VecDeque<(Position, Bytes)>,
    /// Ends of writes that carry PSH, ascending.
    push_marks: VecDeque<Position>,
    /// Ends of records (MSG_EOR), ascending: no segment reaches beyond one.
    record_ends: VecDeque<Position>,
    /// The chunk that contained the last byte read, where the next read most likely begins.
    cursor: usize,
    start: Position,
    end: Position,
}

crate::pack::pack!(SendBuffer { cursor, start, end } empty { chunks, push_marks, record_ends });

impl SendBuffer {
    /// First position still kept.
    pub(crate) fn start(&self) -> Position {
        self.start
    }

    /// Position after the last byte written.
    pub(crate) fn end(&self) -> Position {
        self.end
    }

    /// Bytes kept.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// No byte is kept, nor where any write ended.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.chunks.is_empty() && self.push_marks.is_empty() && self.record_ends.is_empty()
    }

    /// Appends one write. `sent` is the position up to which bytes have left: an unsent end of the write before loses its
    /// mark, because these bytes will travel together with the new ones (as Linux clears PSH when it appends).
    /// True when a mark was lost.
    pub(crate) fn write(&mut self, data: Bytes, push: bool, sent: Position) -> bool {
        if data.is_empty() {
            return false;
        }
        let joins = self.record_ends.back() != Some(&self.end);
        let lost = joins && self.push_marks.back() == Some(&self.end) && self.end > sent;
        if lost {
            self.push_marks.pop_back();
        }
        let begin = self.end;
        self.end += data.len() as u64;
        self.chunks.push_back((begin, data));
        if push {
            self.push_marks.push_back(self.end);
        }
        lost
    }

    /// A record ends with the last byte written.
    pub(crate) fn end_record(&mut self) {
        if self.record_ends.back() != Some(&self.end) && self.end > self.start {
            self.record_ends.push_back(self.end);
        }
    }

    /// The first end of a record behind `from`.
    pub(crate) fn record_end(&self, from: Position) -> Option<Position> {
        let index = self.record_ends.partition_point(|end| *end <= from);
        self.record_ends.get(index).copied()
    }

    /// Marks the position `at` to carry PSH, if the buffer reaches so far.
    pub(crate) fn mark_push(&mut self, at: Position) {
        if at <= self.start || at > self.end {
            return;
        }
        let index = self.push_marks.partition_point(|mark| *mark < at);
        if self.push_marks.get(index) != Some(&at) {
            self.push_marks.insert(index, at);
        }
    }

    /// The bytes in `(from, to]` leave as one group: ends of writes within it are not pushed for themselves.
    pub(crate) fn join_pushed(&mut self, from: Position, to: Position) {
        let begin = self.push_marks.partition_point(|mark| *mark <= from);
        let end = self.push_marks.partition_point(|mark| *mark < to);
        self.push_marks.drain(begin..end);
    }

    /// True when the bytes in `(from, to]` include the end of a pushed write.
    pub(crate) fn is_pushed(&self, from: Position, to: Position) -> bool {
        match self.push_marks.front() {
            None => false,
            Some(first) if *first > to => false,
            Some(first) if *first > from => true,
            Some(_) => {
                let index = self.push_marks.partition_point(|mark| *mark <= from);
                self.push_marks.get(index).is_some_and(|mark| *mark <= to)
            }
        }
    }

    /// The bytes `[from, from + length)`, shared when they lie within one write. Less at the end of the buffer, empty
    /// outside it.
    pub(crate) fn read(&mut self, from: Position, length: usize) -> Bytes {
        if from < self.start || from >= self.end || length == 0 {
            return Bytes::new();
        }
        let length = length.min((self.end - from) as usize);
        let mut index = self.chunk_at(from);
        let (begin, chunk) = &self.chunks[index];
        let offset = (from - begin) as usize;
        if offset + length <= chunk.len() {
            let bytes = chunk.slice(offset..offset + length);
            self.cursor = index;
            return bytes;
        }
        let mut gathered = BytesMut::with_capacity(length);
        gathered.extend_from_slice(&chunk[offset..]);
        while gathered.len() < length {
            index += 1;
            let chunk = &self.chunks[index].1;
            let rest = length - gathered.len();
            gathered.extend_from_slice(&chunk[..rest.min(chunk.len())]);
        }
        self.cursor = index;
        gathered.freeze()
    }

    fn chunk_at(&self, position: Position) -> usize {
        for index in [self.cursor, self.cursor + 1] {
            if let Some((begin, chunk)) = self.chunks.get(index)
                && *begin <= position
                && position < begin + chunk.len() as u64
            {
                return index;
            }
        }
        self.chunks.partition_point(|(begin, _)| *begin <= position) - 1
    }

    /// Everything before `position` has been acknowledged.
    pub(crate) fn acknowledge(&mut self, position: Position) {
        let position = position.min(self.end);
        if position <= self.start {
            return;
        }
        self.start = position;
        while let Some((begin, chunk)) = self.chunks.front()
            && begin + chunk.len() as u64 <= position
        {
            self.chunks.pop_front();
            self.cursor = self.cursor.saturating_sub(1);
        }
        while self.push_marks.front().is_some_and(|mark| *mark <= position) {
            self.push_marks.pop_front();
        }
        while self.record_ends.front().is_some_and(|end| *end <= position) {
            self.record_ends.pop_front();
        }
    }

    /// Memory beside the struct itself, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let lists = self.chunks.capacity() * size_of::<(Position, Bytes)>()
            + self.push_marks.capacity() * size_of::<Position>();
        lists as u64 + self.len()
    }

    /// Forgets everything (the connection is gone).
    pub(crate) fn clear(&mut self) {
        self.start = self.end;
        self.chunks.clear();
        self.push_marks.clear();
        self.record_ends.clear();
        self.cursor = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_segment_within_one_write_is_shared_and_not_copied() {
        let mut buffer = SendBuffer::default();
        let data = Bytes::from(vec![7; 3000]);
        buffer.write(data.clone(), true, 0);
        let segment = buffer.read(1000, 1460);
        assert_eq!(segment.as_ptr(), data[1000..].as_ptr());
    }

    #[test]
    fn the_end_of_a_write_is_pushed_unless_the_next_write_joins_it_before_it_left() {
        let mut buffer = SendBuffer::default();
        buffer.write(Bytes::from_static(b"abc"), true, 0);
        buffer.write(Bytes::from_static(b"def"), true, 0);
        assert!(!buffer.is_pushed(0, 5));
        assert!(buffer.is_pushed(0, 6));
        buffer.write(Bytes::from_static(b"ghi"), true, 6);
        assert!(buffer.is_pushed(3, 6));
        assert!(!buffer.is_pushed(6, 8));
        buffer.acknowledge(6);
        assert!(!buffer.is_pushed(0, 8));
        assert!(buffer.is_pushed(8, 9));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..20),
            reads in proptest::collection::vec((0u64..400, 0usize..60, 0u64..400), 1..40),
        ) {
            let mut buffer = SendBuffer::default();
            let mut all = Vec::new();
            for write in writes {
                all.extend_from_slice(&write);
                buffer.write(Bytes::from(write), true, 0);
            }
            for (from, length, acknowledged) in reads {
                let got = buffer.read(from, length);
                if from >= buffer.start() && from < buffer.end() {
                    let to = (from as usize + length).min(all.len());
                    prop_assert_eq!(&got[..], &all[from as usize..to]);
                } else {
                    prop_assert!(got.is_empty());
                }
                buffer.acknowledge(acknowledged);
            }
        }
    }
}
