//! How does a thread get to run when it has to? Ahead of everything that is not in a hurry, where that is allowed.
//!
//! A real-time thread that is awake all the time is stopped by the kernel for the rest of each second in which it has run for
//! `kernel.sched_rt_runtime_us` (0.95 s): 50 ms in which a wire carries nothing, and every queue overflows. So such a thread is an
//! ordinary one, the first among them, for a part of each tenth of a second.

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};
use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};
use thread_priority::{
    NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue,
    ThreadSchedulePolicy,
};

/// Above all ordinary threads, and far below the kernel's own.
const PRIORITY: u8 = 10;
/// In each of these …
const WINDOW: Duration = Duration::from_millis(100);
/// … so much is run ahead of others. Of ten windows in a row at most one is counted with more, where it is cut by the kernel's
/// second: 0.9 s.
const AHEAD: Duration = Duration::from_millis(80);
/// How often the time used is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// A thread that has to be punctual.
#[derive(Debug)]
pub struct Punctual {
    permitted: bool,
    budget: Budget,
    looked: Instant,
    start: Instant,
}

impl Punctual {
    /// Lets the calling thread run ahead of all ordinary ones (SCHED_FIFO). Without the right to do so nothing changes but
    /// how late packets may be on a busy machine.
    #[must_use]
    pub fn new() -> Punctual {
        let fine = nix::sys::prctl::set_timerslack(1).is_ok();
        let start = Instant::now();
        let budget = Budget::new(Duration::ZERO, cpu_time());
        Punctual { permitted: go_first() && fine, budget, looked: start, start }
    }

    /// It had the right.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        self.permitted
    }

    /// To be called all the time by a thread that does not sleep.
    pub fn keep(&mut self) {
        if !self.permitted || self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let before = self.budget.ahead;
        if self.budget.allows(self.start.elapsed(), cpu_time()) != before {
            let _ = if before { go_first_of_ordinary() } else { go_first() };
        }
    }
}

impl Default for Punctual {
    fn default() -> Punctual {
        Punctual::new()
    }
}

/// How much of its window a thread has run ahead of others.
#[derive(Debug)]
struct Budget {
    window: Duration,
    cpu_before: Duration,
    ahead: bool,
}

impl Budget {
    fn new(window: Duration, cpu: Duration) -> Budget {
        Budget { window, cpu_before: cpu, ahead: true }
    }

    /// May it run ahead now? `now`: since the thread began; `cpu`: what it has used.
    fn allows(&mut self, now: Duration, cpu: Duration) -> bool {
        if now >= self.window + WINDOW {
            *self = Budget::new(now, cpu);
        }
        self.ahead &= cpu.saturating_sub(self.cpu_before) < AHEAD;
        self.ahead
    }
}

/// What the calling thread has used of a processor.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Lets the calling thread run ahead of all ordinary ones, if it may: for one that sleeps when it has nothing to do. For one that
/// does not there is [`Punctual`].
pub fn go_first() -> bool {
    let Ok(value) = ThreadPriorityValue::try_from(PRIORITY) else { return false };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), policy).is_ok()
}

fn go_first_of_ordinary() -> bool {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Max, policy).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_thread_that_never_sleeps_is_ahead_for_most_of_each_window_and_never_for_all_of_the_kernels_second() {
        let mut budget = Budget::new(ms(0), ms(0));
        let ahead: Vec<bool> = (0..5_000).map(|now| budget.allows(ms(now), ms(now))).collect();
        assert_eq!(&ahead[78..82], [true, true, false, false]);
        assert!(ahead[100] && !ahead[180]);
        let most = ahead.windows(1_000).map(|second| second.iter().filter(|ahead| **ahead).count()).max();
        assert!((700..950).contains(&most.unwrap()), "{most:?}");
    }

    #[test]
    fn a_thread_that_mostly_sleeps_is_always_ahead() {
        let mut budget = Budget::new(ms(0), ms(0));
        assert!((0..1_000).all(|now| budget.allows(ms(now), ms(now / 2))));
        // Also after a long sleep, and busy from then on.
        assert!((5_000..5_079).all(|now| budget.allows(ms(now), ms(500 + now - 5_000))));
    }
}
