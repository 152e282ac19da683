//! How large is a buffer that the application has asked for? (socket(7): SO_RCVBUF, SO_SNDBUF.)
//!
//! Linux takes at most `rmem_max` and `wmem_max`, doubles the value for its own bookkeeping, and has a least size. Whoever sets one
//! ends its growing.

use crate::Knobs;

/// The least receive buffer of Linux, bytes (SOCK_MIN_RCVBUF).
const LEAST_RECEIVE_BUFFER: u32 = 2304;
/// The least send buffer, bytes (SOCK_MIN_SNDBUF).
const LEAST_SEND_BUFFER: u32 = 4608;

impl Knobs {
    /// The receive buffer at first, and at most, bytes.
    #[must_use]
    pub fn receive_buffer(&self) -> (u32, u32) {
        match self.rcvbuf {
            0 => self.system.receive_buffer,
            asked => {
                let fixed = doubled(asked, self.system.rmem_max).max(LEAST_RECEIVE_BUFFER);
                (fixed, fixed)
            }
        }
    }

    /// The send buffer at first, bytes.
    #[must_use]
    pub fn send_buffer(&self) -> u32 {
        match self.sndbuf {
            0 => self.system.send_buffer.0,
            asked => doubled(asked, self.system.wmem_max).max(LEAST_SEND_BUFFER),
        }
    }
}

fn doubled(asked: u64, most: u32) -> u32 {
    // Half of the largest int: what is doubled must fit into one (as Linux).
    2 * u32::try_from(asked).unwrap_or(u32::MAX).min(most).min(u32::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rcvbuf: u64, sndbuf: u64) -> (u32, u32) {
        let knobs = Knobs { rcvbuf, sndbuf, ..Knobs::default() };
        (knobs.receive_buffer().0, knobs.send_buffer())
    }

    #[test]
    fn what_is_asked_for_is_doubled_and_kept_within_the_system_s_limits() {
        assert_eq!(with(20_000, 30_000), (40_000, 60_000));
        assert_eq!(with(1, 1), (2304, 4608));
        assert_eq!(with(1 << 40, 1 << 40), (8 << 20, 8 << 20));
        let mut forced = Knobs { rcvbuf: 1 << 40, ..Knobs::default() };
        forced.system.rmem_max = u32::MAX;
        assert_eq!(forced.receive_buffer(), (0x7fff_fffe, 0x7fff_fffe));
    }

    #[test]
    fn a_buffer_that_nobody_has_asked_for_may_grow() {
        let (first, most) = Knobs::default().receive_buffer();
        assert!(first < most);
        assert_eq!(Knobs { rcvbuf: 5000, ..Knobs::default() }.receive_buffer(), (10_000, 10_000));
    }
}
