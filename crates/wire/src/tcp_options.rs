//! What else does this segment say? TCP options (RFC 9293 §3.2, 7323, 2018, 7413).

use crate::Seq;

/// Timestamps option (RFC 7323 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval.
    pub value: u32,
    /// TSecr.
    pub echo: u32,
}

/// Up to four SACK blocks (RFC 2018 §3), kept in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    pub(crate) blocks: [(Seq, Seq); 4],
    pub(crate) count: u8,
}

impl SackBlocks {
    /// The most blocks that fit into TCP's option space.
    pub const MAX: usize = 4;

    /// Adds the block `[left, right)`; returns false when there is no room.
    pub fn push(&mut self, left: Seq, right: Seq) -> bool {
        let n = usize::from(self.count);
        if n == Self::MAX {
            return false;
        }
        self.blocks[n] = (left, right);
        self.count += 1;
        true
    }

    /// The blocks, in the order of the option.
    #[must_use]
    pub fn as_slice(&self) -> &[(Seq, Seq)] {
        &self.blocks[..usize::from(self.count)]
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The options narrows knows, as values. Unknown options are skipped in parsing and not emitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size (kind 2).
    pub mss: Option<u16>,
    /// Window scale shift (kind 3), as on the wire; values above 14 count as 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    /// SACK permitted (kind 4).
    pub sack_permitted: bool,
    /// SACK blocks (kind 5).
    pub sack: SackBlocks,
    /// Timestamps (kind 8).
    pub timestamps: Option<Timestamps>,
}
