//! Where do the capture's bytes come from? A buffer of fixed size over any reader, from which packets are lent out.

use super::error::Stop;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Size of the buffer. Nothing larger is ever asked for ([`super::MAX_BLOCK_BYTES`]).
const BUFFER_BYTES: usize = 512 * 1024;

pub(super) struct Source {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// Offset in the stream of the buffer's first byte.
    base: u64,
}

impl Source {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Source {
        Source { reader, buffer: vec![0; BUFFER_BYTES], begin: 0, end: 0, base: 0 }
    }

    /// Bytes consumed so far.
    pub(super) fn position(&self) -> u64 {
        self.base + self.begin as u64
    }

    /// Bytes read so far, consumed or not.
    pub(super) fn read_position(&self) -> u64 {
        self.base + self.end as u64
    }

    /// True when the next `n` bytes are there; false when the stream ends before.
    #[inline]
    pub(super) fn has(&mut self, n: usize) -> io::Result<bool> {
        if self.end - self.begin >= n { Ok(true) } else { self.fill(n) }
    }

    /// The next bytes, as far as [`Source::has`] has made sure of them.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.begin = (self.begin + n).min(self.end);
    }

    /// Where in the buffer the next byte stands; for [`Source::lend`].
    #[inline]
    pub(super) fn mark(&self) -> usize {
        self.begin
    }

    /// Bytes consumed since `mark`, which stay where they are until the next call of [`Source::has`].
    #[inline]
    pub(super) fn lend(&self, mark: usize, n: usize) -> &[u8] {
        self.buffer.get(mark..mark + n).unwrap_or_default()
    }

    /// The next `n` bytes, or the error that says what is missing from the part that begins at `offset`.
    #[inline]
    pub(super) fn expect(
        &mut self,
        n: usize,
        offset: u64,
        expected: impl FnOnce() -> String,
    ) -> Result<(), Stop> {
        if self.has(n)? { Ok(()) } else { Err(self.truncated(offset, expected())) }
    }

    #[cold]
    pub(super) fn truncated(&self, offset: u64, expected: String) -> Stop {
        Stop::Truncated { offset, expected, end: self.read_position() }
    }

    /// Leaves out `n` bytes; false when the stream ends before.
    pub(super) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        loop {
            let here = n.min((self.end - self.begin) as u64);
            self.begin += here as usize;
            n -= here;
            if n == 0 {
                return Ok(true);
            }
            if !self.has(1)? {
                return Ok(false);
            }
        }
    }

    #[cold]
    fn fill(&mut self, n: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.base += self.begin as u64;
        self.end -= self.begin;
        self.begin = 0;
        if n > self.buffer.len() {
            return Err(io::Error::other("more asked for than the buffer holds"));
        }
        while self.end < n {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end = (self.end + read).min(self.buffer.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Counts the bytes that go through, for progress in a compressed file.
pub(super) struct Counting<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Counting<R> {
    pub(super) fn new(inner: R) -> (Counting<R>, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        (Counting { inner, count: Arc::clone(&count) }, count)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
