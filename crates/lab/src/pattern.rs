//! Which bytes does an application send when their meaning does not matter? Such that a reader notices any mistake.

use crate::random::Random;
use bytes::Bytes;

/// A prime, so that no segment size divides it; short, so that making one costs little beside any play.
const PERIOD: usize = 4_093;
/// What one piece of [`Pattern::at`] has at most.
const LONGEST: usize = 65_536;

/// An endless sequence of bytes that is the same for everyone. Pieces of it share their memory.
#[derive(Clone, Debug)]
pub struct Pattern {
    block: Bytes,
}

impl Default for Pattern {
    fn default() -> Pattern {
        Pattern::new()
    }
}

impl Pattern {
    /// The one that there is.
    #[must_use]
    pub fn new() -> Pattern {
        let mut random = Random::derive(0, "pattern");
        // Letters, so that a capture of it looks like nothing else.
        let mut block: Vec<u8> = (0..PERIOD).map(|_| b'a' + random.below(26) as u8).collect();
        while block.len() < PERIOD + LONGEST {
            block.extend_from_within(..PERIOD.min(PERIOD + LONGEST - block.len()));
        }
        Pattern { block: Bytes::from(block) }
    }

    /// The bytes from `offset` on: as many as asked for, but at most 64 KiB.
    #[must_use]
    pub fn at(&self, offset: u64, bytes: usize) -> Bytes {
        let begin = (offset % PERIOD as u64) as usize;
        self.block.slice(begin..begin + bytes.min(LONGEST))
    }

    /// Whether `data` is what stands at `offset`.
    #[must_use]
    pub fn matches(&self, mut offset: u64, mut data: &[u8]) -> bool {
        while !data.is_empty() {
            let expected = self.at(offset, data.len());
            let (now, later) = data.split_at(expected.len());
            if now != expected {
                return false;
            }
            offset += now.len() as u64;
            data = later;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_together_and_mistakes_are_noticed() {
        let pattern = Pattern::new();
        let mut all = Vec::new();
        while all.len() < 300_000 {
            all.extend_from_slice(&pattern.at(all.len() as u64, 1_000 + all.len() % 70_000));
        }
        assert!(pattern.matches(0, &all));
        assert!(pattern.matches(4_092, &all[4_092..]));
        assert!(!pattern.matches(1, &all), "shifted");
        all[123_456] ^= 1;
        assert!(!pattern.matches(0, &all), "changed");
        assert_eq!(pattern.at(4_092, 1 << 20).len(), 65_536);
    }
}
