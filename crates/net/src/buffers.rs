//! Which memory is used again? Buffers lent to packets, or to what a program has written, that come home when nobody reads them any more.
//!
//! The memory of a large buffer that is freed goes back to the operating system; asking for it again costs a page fault for every
//! 4 KB, as much as the copy itself.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that wait to be used again.
pub(crate) struct Buffers {
    free: Mutex<Free>,
    /// At most so many bytes wait.
    most_bytes: usize,
}

#[derive(Default)]
struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// At most `most_bytes` wait to be used again.
    pub(crate) fn new(most_bytes: usize) -> Arc<Buffers> {
        Arc::new(Buffers { free: Mutex::default(), most_bytes })
    }

    /// The one used last, which is still in the processor's cache; as it was left, of any size.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = free.buffers.pop()?;
        free.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// To be used again, if there is room.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.bytes + buffer.capacity() <= self.most_bytes {
            free.bytes += buffer.capacity();
            free.buffers.push(buffer);
        }
    }

    /// The buffer's bytes, shared; it comes home when all of them are gone.
    pub(crate) fn lend(self: &Arc<Buffers>, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: Arc::clone(self) })
    }

    /// How many buffers are lent, when nobody else holds this but who asks.
    pub(crate) fn lent(self: &Arc<Buffers>) -> usize {
        Arc::strong_count(self) - 1
    }

    /// A copy of `pieces`, one behind the other, `bytes` in all.
    pub(crate) fn copy<'a>(
        self: &Arc<Buffers>,
        bytes: usize,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Bytes {
        // One that is much too large would keep memory that nobody sees; one that is too small is made anew.
        let fits = |buffer: &Vec<u8>| (bytes..=bytes.saturating_mul(2)).contains(&buffer.capacity());
        let mut buffer = self.take().filter(fits).unwrap_or_else(|| Vec::with_capacity(bytes));
        buffer.clear();
        pieces.for_each(|piece| buffer.extend_from_slice(piece));
        self.lend(buffer)
    }
}

struct Lent {
    buffer: Vec<u8>,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(home: &Arc<Buffers>, data: &[u8]) -> Bytes {
        home.copy(data.len(), std::iter::once(data))
    }

    #[test]
    fn a_buffer_is_used_again_once_its_last_slice_is_gone() {
        let home = Buffers::new(1 << 20);
        let first = copy(&home, &[1; 1000]);
        let (place, slice) = (first.as_ptr(), first.slice(10..20));
        drop(first);
        let second = copy(&home, &[2; 1000]);
        assert_ne!(second.as_ptr(), place);
        assert_eq!((&slice[..], home.lent()), (&[1; 10][..], 2));
        drop(slice);
        let third = copy(&home, &[3; 900]);
        assert_eq!((third.as_ptr(), &third[..]), (place, &[3; 900][..]));
    }

    #[test]
    fn no_more_than_allowed_waits_and_nothing_much_too_large_is_lent() {
        let home = Buffers::new(2_500);
        let lent: Vec<Bytes> = (0..5).map(|_| copy(&home, &[0; 1000])).collect();
        drop(lent);
        assert_eq!(home.free.lock().unwrap().buffers.len(), 2);
        let small = copy(&home, &[0; 100]);
        drop(small);
        assert!(home.free.lock().unwrap().bytes <= 2_500);
        let pieces = [&b"ab"[..], b"", b"cde"];
        assert_eq!(&home.copy(5, pieces.into_iter())[..], b"abcde");
    }
}
