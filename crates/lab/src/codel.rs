//! Has the queue been standing for too long? CoDel (RFC 8289): drops at the head at a growing pace until it is not.

use crate::link::CoDelConfig;
use narrows_stack::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// A queue no longer than this never stands (RFC 8289 §4.4, one MTU).
const SHORT_QUEUE_BYTES: u64 = 1_500;

/// A queue of things with bytes, whose head is taken by CoDel's rules.
#[derive(Debug)]
pub(crate) struct CoDelQueue<T> {
    config: CoDelConfig,
    waiting: VecDeque<(Instant, u32, T)>,
    bytes: u64,
    /// When it will have been above the target for an interval; `None`: it is not above it.
    first_above: Option<Instant>,
    dropping: bool,
    drop_next: Instant,
    count: u32,
    last_count: u32,
    /// Dropped by CoDel.
    pub dropped: u64,
    /// Marked instead.
    pub marked: u64,
}

impl<T> CoDelQueue<T> {
    pub fn new(config: CoDelConfig) -> CoDelQueue<T> {
        CoDelQueue {
            config,
            waiting: VecDeque::new(),
            bytes: 0,
            first_above: None,
            dropping: false,
            drop_next: Instant::ZERO,
            count: 0,
            last_count: 0,
            dropped: 0,
            marked: 0,
        }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts something at the end.
    pub fn push(&mut self, now: Instant, bytes: u32, thing: T) {
        self.bytes += u64::from(bytes);
        self.waiting.push_back((now, bytes, thing));
    }

    /// What may leave now; what CoDel drops before it is gone (RFC 8289 §5.6). What lets itself be marked (`mark` gives true)
    /// is not dropped.
    pub fn pop(&mut self, now: Instant, mark: impl Fn(&mut T) -> bool) -> Option<(u32, T)> {
        let (mut next, mut may_drop) = self.take(now);
        if self.dropping {
            if !may_drop {
                self.dropping = false;
            }
            while self.dropping && now >= self.drop_next {
                if self.marks(&mut next, &mark) {
                    self.count = self.count.saturating_add(1);
                    self.drop_next = self.control_law(self.drop_next);
                    return next;
                }
                self.dropped += u64::from(next.is_some());
                self.count = self.count.saturating_add(1);
                (next, may_drop) = self.take(now);
                if may_drop {
                    self.drop_next = self.control_law(self.drop_next);
                } else {
                    self.dropping = false;
                }
            }
        } else if may_drop {
            if !self.marks(&mut next, &mark) {
                self.dropped += u64::from(next.is_some());
                (next, _) = self.take(now);
            }
            self.dropping = true;
            // Where the last episode ended a short while ago, its pace was the right one.
            let before = self.count.saturating_sub(self.last_count);
            let recent = now.since(self.drop_next) < self.config.interval * 16;
            self.count = if before > 1 && recent { before } else { 1 };
            self.drop_next = self.control_law(now);
            self.last_count = self.count;
        }
        next
    }

    /// Marks what would be dropped, where that is wanted and possible.
    fn marks(&mut self, next: &mut Option<(u32, T)>, mark: &impl Fn(&mut T) -> bool) -> bool {
        let marked = self.config.ecn && next.as_mut().is_some_and(|(_, thing)| mark(thing));
        self.marked += u64::from(marked);
        marked
    }

    /// Takes the head, and says whether CoDel would rather drop it.
    fn take(&mut self, now: Instant) -> (Option<(u32, T)>, bool) {
        let Some((since, bytes, thing)) = self.waiting.pop_front() else {
            self.first_above = None;
            return (None, false);
        };
        self.bytes -= u64::from(bytes);
        let mut may_drop = false;
        if now.since(since) < self.config.target || self.bytes <= SHORT_QUEUE_BYTES {
            self.first_above = None;
        } else {
            match self.first_above {
                None => self.first_above = Some(now + self.config.interval),
                Some(time) => may_drop = now >= time,
            }
        }
        (Some((bytes, thing)), may_drop)
    }

    /// The interval divided by the root of how many have been dropped (RFC 8289 §3.2). The square root is exact to the
    /// last bit on every machine (IEEE 754).
    fn control_law(&self, time: Instant) -> Instant {
        let nanoseconds = self.config.interval.as_nanos() as f64 / f64::from(self.count.max(1)).sqrt();
        time + Duration::from_nanos((nanoseconds as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(milliseconds: u64) -> Instant {
        Instant::from_millis(milliseconds)
    }

    /// One packet in and one out each millisecond, with `standing` packets between; the times of the drops.
    fn drops(standing: u64, milliseconds: u64) -> Vec<u64> {
        let mut queue = CoDelQueue::new(CoDelConfig::default());
        for number in 0..standing {
            queue.push(ms(0), 1_500, number);
        }
        let mut times = Vec::new();
        for now in 0..milliseconds {
            queue.push(ms(now), 1_500, now);
            let before = queue.dropped;
            queue.pop(ms(now), |_| false);
            times.extend((before..queue.dropped).map(|_| now));
            // What is dropped is made up for, so that the queue keeps standing.
            for _ in before..queue.dropped {
                queue.push(ms(now), 1_500, now);
            }
        }
        times
    }

    #[test]
    fn a_short_queue_is_left_alone() {
        assert_eq!(drops(4, 2_000), Vec::<u64>::new());
    }

    #[test]
    fn a_standing_queue_is_dropped_from_at_a_growing_pace() {
        let times = drops(20, 1_000);
        // Above the target from 5 ms on, for an interval of 100 ms; then 100 ms / sqrt(count) apart.
        assert_eq!(times[..5], [105, 205, 276, 334, 384]);
        assert!(times.len() > 10);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order_or_is_counted(
            steps in proptest::collection::vec((0u64..40, 40u32..1_500, 0usize..4), 1..200)
        ) {
            let mut queue = CoDelQueue::new(CoDelConfig::default());
            let (mut now, mut last, mut out) = (0, None, 0u64);
            for (number, (pause, bytes, pops)) in steps.iter().enumerate() {
                now += pause;
                queue.push(ms(now), *bytes, number);
                for _ in 0..*pops {
                    if let Some((_, number)) = queue.pop(ms(now), |_| false) {
                        prop_assert!(last < Some(number));
                        last = Some(number);
                        out += 1;
                    }
                }
            }
            prop_assert_eq!(out + queue.dropped + queue.waiting.len() as u64, steps.len() as u64);
            prop_assert_eq!(queue.bytes(), queue.waiting.iter().map(|(_, bytes, _)| u64::from(*bytes)).sum::<u64>());
        }
    }
}
