//! Where are a packet's headers put together? In place, before they go out in one piece.
//!
//! All headers are made of 32-bit words (RFC 791 §3.1, RFC 9293 §3.1, …) and are written and added up as such: a checksum that read
//! again what was just written in smaller pieces would wait for the processor's store buffer.

/// Room for the longest headers narrows emits: IPv6 with a fragment header (48) and TCP with all options (60).
const ROOM: usize = 112;

/// Header bytes under construction. What does not fit is not written; [`ROOM`] is enough for every header.
pub(crate) struct HeaderBuffer {
    bytes: [u8; ROOM],
    len: usize,
    sum: u64,
}

/// Two 16-bit fields as one word.
#[inline]
pub(crate) fn pair(first: u16, second: u16) -> u32 {
    u32::from(first) << 16 | u32::from(second)
}

impl HeaderBuffer {
    #[inline]
    pub(crate) fn new() -> HeaderBuffer {
        HeaderBuffer { bytes: [0; ROOM], len: 0, sum: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Appends words, most significant byte first.
    #[inline(always)]
    pub(crate) fn put<const N: usize>(&mut self, words: [u32; N]) {
        for word in words {
            if let Some(room) = self.bytes[self.len..].first_chunk_mut::<4>() {
                *room = word.to_be_bytes();
                self.len += 4;
                self.sum += u64::from(word);
            }
        }
    }

    /// The sum of all words since the last call.
    #[inline]
    pub(crate) fn take_sum(&mut self) -> u64 {
        std::mem::take(&mut self.sum)
    }

    /// Writes over two bytes already put.
    #[inline]
    pub(crate) fn set_u16(&mut self, offset: usize, value: u16) {
        if let Some(room) = self.bytes[..self.len].get_mut(offset..offset + 2) {
            room.copy_from_slice(&value.to_be_bytes());
        }
    }
}
