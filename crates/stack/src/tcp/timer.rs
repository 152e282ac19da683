//! Which timers does a connection have, and which is due first?

use crate::Instant;

/// A connection's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Nothing was acknowledged for an RTO: send the first unacknowledged segment again (RFC 6298 §5); in SYN-SENT and
    /// SYN-RECEIVED the SYN or SYN-ACK.
    Retransmit,
    /// The end of the flight is not acknowledged: probe it (RFC 8985 §7.2).
    LossProbe,
    /// Segments were overtaken and had time enough to arrive (RFC 8985 §6.3).
    Reordering,
    /// The time of the next group has come (Linux's internal pacing).
    Pacing,
    /// An ACK has waited long enough for company (RFC 9293 §3.8.6.3).
    DelayedAck,
    /// The peer's window is closed, or data are held back and nothing is in flight: ask, or send (RFC 9293 §3.8.6.1).
    Persist,
    /// Nothing was heard for long: is the peer still there? (RFC 9293 §3.8.4)
    KeepAlive,
    /// Nobody owns the connection any more and the peer does not close (FIN-WAIT-2; RFC 9293 §3.6).
    Orphan,
}

impl Timer {
    /// All timers, in the order in which those that are due at one instant run.
    pub const ALL: [Timer; 8] = [
        Timer::DelayedAck,
        Timer::Pacing,
        Timer::Reordering,
        Timer::LossProbe,
        Timer::Retransmit,
        Timer::Persist,
        Timer::KeepAlive,
        Timer::Orphan,
    ];
}

/// When each timer is due.
#[derive(Clone, Debug)]
pub(crate) struct TimerTable([Instant; Timer::ALL.len()]);

crate::pack::pack!(TimerTable { 0 });

impl Default for TimerTable {
    fn default() -> TimerTable {
        TimerTable([Instant::FAR_FUTURE; Timer::ALL.len()])
    }
}

impl TimerTable {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = Instant::FAR_FUTURE;
    }

    pub(crate) fn stop_all(&mut self) {
        *self = TimerTable::default();
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        let at = self.0[timer as usize];
        (at != Instant::FAR_FUTURE).then_some(at)
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// The earliest of all.
    pub(crate) fn next(&self) -> Option<Instant> {
        let at = self.0.iter().copied().min().unwrap_or(Instant::FAR_FUTURE);
        (at != Instant::FAR_FUTURE).then_some(at)
    }

    /// Stops a timer if it is due, and says whether it was.
    pub(crate) fn take_due(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.get(timer).is_some_and(|at| at <= now);
        if due {
            self.stop(timer);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_timer_is_next_and_a_due_one_is_taken_once() {
        let mut timers = TimerTable::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Retransmit, Instant::from_millis(200));
        timers.set(Timer::DelayedAck, Instant::from_millis(40));
        assert_eq!(timers.next(), Some(Instant::from_millis(40)));
        assert!(!timers.take_due(Timer::DelayedAck, Instant::from_millis(39)));
        assert!(timers.take_due(Timer::DelayedAck, Instant::from_millis(40)));
        assert!(!timers.take_due(Timer::DelayedAck, Instant::from_millis(41)));
        assert_eq!(timers.next(), Some(Instant::from_millis(200)));
    }
}
