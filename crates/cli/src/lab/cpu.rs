//! How much work was that for this machine? The CPU time of the thread that simulates.

use std::time::{Duration, Instant};

/// Measures from its making on; on systems without a clock per thread it is the time that has passed.
#[derive(Debug)]
pub struct CpuClock {
    begun: Instant,
    used: Option<Duration>,
}

impl CpuClock {
    /// Begins.
    pub fn start() -> CpuClock {
        CpuClock { begun: Instant::now(), used: thread_time() }
    }

    /// What has been used since then.
    pub fn elapsed(&self) -> Duration {
        match (self.used, thread_time()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => self.begun.elapsed(),
        }
    }
}

/// Linux counts it in nanoseconds for each thread.
fn thread_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
