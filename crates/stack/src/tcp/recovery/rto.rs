//! When is the oldest unacknowledged segment sent again without any sign from the peer? (RFC 6298 §5.)

use crate::Instant;
use crate::tcp::rtt::RttEstimator;
use crate::tcp::tick::Tick;

/// The retransmission timer of one connection. It also serves as the timer of zero-window probes, which back off alike.
#[derive(Clone, Debug)]
pub struct RetransmissionTimer {
    tick: Tick,
    deadline: Option<Instant>,
    /// Expiries since something new was acknowledged (tcpi_retransmits).
    expiries: u32,
}

impl RetransmissionTimer {
    /// Off.
    #[must_use]
    pub fn new(tick: Tick) -> RetransmissionTimer {
        RetransmissionTimer { tick, deadline: None, expiries: 0 }
    }

    /// When it expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Expiries in a row.
    #[must_use]
    pub fn expiries(&self) -> u32 {
        self.expiries
    }

    /// Data was sent: starts the timer if it is off (RFC 6298 §5.1).
    pub fn on_sent(&mut self, now: Instant, rtt: &RttEstimator) {
        if self.deadline.is_none() {
            self.restart(now, rtt);
        }
    }

    /// Something new was acknowledged: stops when all is, else starts anew (RFC 6298 §5.2, §5.3).
    pub fn on_progress(&mut self, now: Instant, rtt: &mut RttEstimator, all_acknowledged: bool) {
        self.expiries = 0;
        rtt.reset_backoff();
        if all_acknowledged {
            self.deadline = None;
        } else {
            self.restart(now, rtt);
        }
    }

    /// Starts the timer anew.
    pub fn restart(&mut self, now: Instant, rtt: &RttEstimator) {
        self.deadline = Some(self.tick.timer(now, rtt.rto()));
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.deadline = None;
    }

    /// Whether it has expired by `now`. If so it backs off and starts anew (RFC 6298 §5.5, §5.6), and the caller sends the
    /// oldest segment again.
    pub fn expire(&mut self, now: Instant, rtt: &mut RttEstimator) -> bool {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        self.expiries += 1;
        rtt.back_off();
        self.restart(now, rtt);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::rtt::RtoLimits;
    use narrows_wire::Seq;
    use std::time::Duration;

    #[test]
    fn without_an_answer_the_segment_is_sent_again_after_1_3_and_7_seconds() {
        let mut rtt = RttEstimator::new(RtoLimits::default(), Tick::Exact);
        let mut timer = RetransmissionTimer::new(Tick::Exact);
        timer.on_sent(Instant::ZERO, &rtt);
        let mut at = Vec::new();
        for _ in 0..3 {
            let now = timer.deadline().unwrap();
            assert!(!timer.expire(now - Duration::from_nanos(1), &mut rtt));
            assert!(timer.expire(now, &mut rtt));
            at.push(now.as_nanos() / 1_000_000_000);
        }
        assert_eq!(at, [1, 3, 7]);
        assert_eq!(timer.expiries(), 3);
    }

    #[test]
    fn progress_ends_the_backoff_and_the_last_ack_stops_the_timer() {
        let mut rtt = RttEstimator::new(RtoLimits::default(), Tick::Exact);
        rtt.on_sample(Duration::from_millis(100), Seq(1), Seq(2));
        let mut timer = RetransmissionTimer::new(Tick::Exact);
        timer.on_sent(Instant::ZERO, &rtt);
        assert!(timer.expire(Instant::from_millis(300), &mut rtt));
        assert_eq!(timer.deadline(), Some(Instant::from_millis(900)));
        timer.on_progress(Instant::from_millis(400), &mut rtt, false);
        assert_eq!(timer.deadline(), Some(Instant::from_millis(700)));
        timer.on_sent(Instant::from_millis(500), &rtt);
        assert_eq!(timer.deadline(), Some(Instant::from_millis(700)));
        timer.on_progress(Instant::from_millis(600), &mut rtt, true);
        assert_eq!(timer.deadline(), None);
    }
}
