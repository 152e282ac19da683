//! How many handshakes may be under way at a listener, and how patient may it be with each? (RFC 4987 §3; Linux's rules.)
//!
//! A handshake is young until its SYN-ACK has been sent a second time. Half of the queue is kept for the young ones: where more
//! than half is taken, the old ones get fewer repetitions, so that a flood of SYNs that nobody will ever answer cannot
//! keep honest clients out for longer than it takes to notice.

use super::syn_cookies::REMEMBERED;
use crate::Instant;

/// Fewest repetitions of a SYN-ACK, however full the queue is (Linux).
const FEWEST_RETRIES: u32 = 2;
/// Queues up to this length are never thought crowded (Linux).
const ALWAYS_ROOMY: u32 = 8;

/// The handshakes under way at one listener, counted.
#[derive(Debug)]
pub(crate) struct SynQueue {
    backlog: u32,
    waiting: u32,
    young: u32,
    /// When a SYN was last answered with a cookie.
    overflowed: Option<Instant>,
}

impl SynQueue {
    pub(crate) fn new(backlog: u32) -> SynQueue {
        SynQueue { backlog, waiting: 0, young: 0, overflowed: None }
    }

    /// No further SYN can be remembered. As with the accept queue, one more than the backlog fits.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting > self.backlog
    }

    /// No handshake is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// So many are under way that another would belong to the last quarter of `most` (Linux without SYN cookies).
    pub(crate) fn takes_last_quarter_of(&self, most: u32) -> bool {
        most.saturating_sub(self.waiting) < most / 4
    }

    /// A SYN was answered with a cookie.
    pub(crate) fn on_overflow(&mut self, now: Instant) {
        self.overflowed = Some(now);
    }

    /// A cookie that is still good may come back.
    pub(crate) fn has_overflowed(&self, now: Instant) -> bool {
        self.overflowed.is_some_and(|then| now.since(then) <= REMEMBERED)
    }

    /// A SYN has been answered.
    pub(crate) fn on_begun(&mut self) {
        self.waiting += 1;
        self.young += 1;
    }

    /// A SYN-ACK was repeated for the first time.
    pub(crate) fn on_grown_old(&mut self) {
        self.young = self.young.saturating_sub(1);
    }

    /// A handshake is complete, or given up.
    pub(crate) fn on_ended(&mut self, young: bool) {
        self.waiting = self.waiting.saturating_sub(1);
        self.young = self.young.saturating_sub(u32::from(young));
    }

    /// How often a SYN-ACK may be repeated at present, of `usual` times.
    pub(crate) fn retries(&self, usual: u32) -> u32 {
        let mut retries = usual;
        if self.waiting.saturating_mul(2) <= self.backlog.max(ALWAYS_ROOMY) {
            return retries;
        }
        // Each repetition given up must be justified by twice as many young ones.
        let mut young = self.young.saturating_mul(2);
        while retries > FEWEST_RETRIES && self.waiting >= young {
            retries -= 1;
            young = young.saturating_mul(2);
        }
        retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(backlog: u32, waiting: u32, old: u32) -> SynQueue {
        let mut queue = SynQueue::new(backlog);
        (0..waiting).for_each(|_| queue.on_begun());
        (0..old).for_each(|_| queue.on_grown_old());
        queue
    }

    #[test]
    fn a_queue_of_n_remembers_n_plus_one() {
        assert!(!queue(4, 4, 0).is_full());
        assert!(queue(4, 5, 0).is_full());
        let mut full = queue(4, 5, 1);
        full.on_ended(false);
        assert!(!full.is_full());
    }

    #[test]
    fn old_handshakes_lose_their_repetitions_where_the_queue_is_more_than_half_full() {
        assert_eq!(queue(100, 50, 50).retries(5), 5);
        assert_eq!(queue(100, 51, 51).retries(5), 2);
        // As long as most are young, nobody is given up early.
        assert_eq!(queue(100, 60, 20).retries(5), 5);
        // 60 wait; 20 young ones justify one round less, and 80 of them would have to wait for another.
        assert_eq!(queue(100, 60, 40).retries(5), 4);
        assert_eq!(queue(4, 4, 4).retries(5), 5, "a short queue is never crowded");
    }
}
