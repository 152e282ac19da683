//! What is left of a segment once it belongs to a connection? A few numbers, relative to the connection.

use narrows_lab::Side;

/// What a segment was, as far as the capture's order tells. Several can hold at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u16);

impl Marks {
    pub(crate) const SYN: Marks = Marks(1);
    pub(crate) const FIN: Marks = Marks(1 << 1);
    pub(crate) const RST: Marks = Marks(1 << 2);
    pub(crate) const ACK: Marks = Marks(1 << 3);
    pub(crate) const PUSH: Marks = Marks(1 << 4);
    /// Its bytes had been sent before (also where only the hole they left was seen).
    pub(crate) const SENT_AGAIN: Marks = Marks(1 << 5);
    /// It says that something arrived twice (RFC 2883).
    pub(crate) const DUPLICATE_SACK: Marks = Marks(1 << 6);
    /// A keep-alive or a zero-window probe: it asks, and carries nothing new.
    pub(crate) const PROBE: Marks = Marks(1 << 7);

    pub(crate) fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 == mark.0
    }

    pub(crate) fn add(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }
}

/// One segment of a connection. Offsets count payload bytes since the first one seen; times are nanoseconds
/// since the connection's first packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) time: u64,
    pub(crate) offset: u64,
    /// How much of the other side's payload the sender has received in order.
    pub(crate) ack: u64,
    /// Packet number less that of the connection's first packet.
    pub(crate) number: u32,
    pub(crate) bytes: u32,
    /// The sender's receive window in bytes; `u32::MAX` when its scale is not known.
    pub(crate) window: u32,
    pub(crate) marks: Marks,
    pub(crate) side: Side,
}

impl Event {
    /// The offset behind its payload.
    pub(crate) fn end(&self) -> u64 {
        self.offset + u64::from(self.bytes)
    }
}
