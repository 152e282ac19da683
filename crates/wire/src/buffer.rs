//! Where are a packet's headers put together? In place, before they go out in one piece.

/// Room for the longest headers narrows emits: IPv6 with a fragment header (48) and TCP with all options (60).
const ROOM: usize = 112;

/// Header bytes under construction. What does not fit is not written; [`ROOM`] is enough for every header.
pub(crate) struct HeaderBuffer {
    bytes: [u8; ROOM],
    len: usize,
}

impl HeaderBuffer {
    pub(crate) fn new() -> HeaderBuffer {
        HeaderBuffer { bytes: [0; ROOM], len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, piece: [u8; N]) {
        if let Some(room) = self.bytes[self.len..].first_chunk_mut::<N>() {
            *room = piece;
            self.len += N;
        }
    }

    #[inline]
    pub(crate) fn put_slice(&mut self, piece: &[u8]) {
        if let Some(room) = self.bytes[self.len..].get_mut(..piece.len()) {
            room.copy_from_slice(piece);
            self.len += piece.len();
        }
    }

    /// Writes over two bytes already put.
    pub(crate) fn set_u16(&mut self, offset: usize, value: u16) {
        if let Some(room) = self.bytes[..self.len].get_mut(offset..offset + 2) {
            room.copy_from_slice(&value.to_be_bytes());
        }
    }
}
