//! What time is it in a world that runs by the clock on the wall?

use narrows_stack::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Maps the monotonic clock to a world's time, and that to the time of day, so that neither ever goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: std::time::Instant,
    zero_wall_ns: u64,
}

impl Clock {
    /// The world's time begins now.
    #[must_use]
    pub fn start() -> Clock {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { zero: std::time::Instant::now(), zero_wall_ns: nanoseconds(since_1970) }
    }

    /// The world's time.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_nanos(nanoseconds(self.zero.elapsed()))
    }

    /// Nanoseconds since 1970 at a time of the world.
    #[must_use]
    pub fn wall_ns(&self, at: Instant) -> u64 {
        self.zero_wall_ns.saturating_add(at.as_nanos())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
