//! Which limit was this side sending under, and for how long? Linux's tcpi_busy_time, tcpi_rwnd_limited and tcpi_sndbuf_limited.
//!
//! One limit holds at a time; a later one in [`Limit`] displaces an earlier one. Idle time is none of them.

use crate::Instant;
use crate::tcp::tick::Tick;

/// What holds while there is something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    /// Nothing but the network and congestion control.
    Network,
    /// The peer's window.
    Window,
    /// The send buffer: all of it has been sent, and the application waits for room.
    Buffer,
}

crate::pack::choices!(Limit { Network, Window, Buffer });

/// The clocks of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chrono {
    tick: Tick,
    current: Option<(Limit, u64)>,
    /// Ticks spent under each limit.
    spent: [u64; 3],
}

crate::pack::pack!(Chrono { tick, current, spent });

impl Chrono {
    pub(crate) fn new(tick: Tick) -> Chrono {
        Chrono { tick, current: None, spent: [0; 3] }
    }

    fn change(&mut self, now: Instant, to: Option<Limit>) {
        let number = self.tick.number(now);
        if let Some((limit, since)) = self.current {
            self.spent[limit as usize] += number.saturating_sub(since);
        }
        self.current = to.map(|limit| (limit, number));
    }

    /// A limit begins to hold.
    pub(crate) fn start(&mut self, now: Instant, limit: Limit) {
        if self.current.is_none_or(|(current, _)| current < limit) {
            self.change(now, Some(limit));
        }
    }

    /// A limit no longer holds; `idle`: nothing is sent or unsent any more.
    pub(crate) fn stop(&mut self, now: Instant, limit: Limit, idle: bool) {
        if idle {
            self.change(now, None);
        } else if self.current.is_some_and(|(current, _)| current == limit) {
            self.change(now, Some(Limit::Network));
        }
    }

    fn ticks(&self, now: Instant, limit: Limit) -> u64 {
        let running = match self.current {
            Some((current, since)) if current == limit => self.tick.number(now).saturating_sub(since),
            _ => 0,
        };
        self.spent[limit as usize] + running
    }

    /// Nanoseconds under one limit.
    pub(crate) fn under(&self, now: Instant, limit: Limit) -> u64 {
        u64::try_from(self.tick.duration(self.ticks(now, limit)).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds under any.
    pub(crate) fn busy(&self, now: Instant) -> u64 {
        [Limit::Network, Limit::Window, Limit::Buffer].iter().map(|limit| self.under(now, *limit)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_limit_displaces_the_weaker_and_busy_is_their_sum() {
        let at = Instant::from_millis;
        let mut chrono = Chrono::new(Tick::new(1000, 0));
        chrono.start(at(10), Limit::Network);
        chrono.start(at(20), Limit::Window);
        chrono.start(at(25), Limit::Network);
        chrono.stop(at(50), Limit::Window, false);
        chrono.stop(at(60), Limit::Network, true);
        assert_eq!(chrono.under(at(90), Limit::Window), 30_000_000);
        assert_eq!(chrono.busy(at(90)), 50_000_000);
    }
}
