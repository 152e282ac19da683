//! Did the last segments get lost, and nothing behind them can tell? Tail loss probes (RFC 8985 §7).
//!
//! When nothing was heard for about two round trips, one more segment goes out: new data, or the last one again. The SACK
//! that it brings back shows the loss long before the retransmission timeout.

use narrows_wire::Seq;
use std::time::Duration;

/// The probe that is on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct TailProbe {
    /// SND.NXT after it was sent.
    high: Option<Seq>,
    /// It was a retransmission.
    resent: bool,
}

/// What an ACK says about the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// Nothing, or nothing that matters.
    Nothing,
    /// The probe filled a hole: a segment had been lost, and the window has to learn of it.
    RepairedLoss,
}

impl TailProbe {
    /// One is on its way.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.high.is_some()
    }

    /// One was sent; `resent` when it was no new data.
    pub fn on_sent(&mut self, snd_nxt: Seq, resent: bool) {
        *self = TailProbe { high: Some(snd_nxt), resent };
    }

    /// Recovery or a timeout has begun: what the probe was for is known.
    pub fn forget(&mut self) {
        *self = TailProbe::default();
    }

    /// An ACK up to `una` has come. `dsack`: it reports something received twice; `pure_duplicate`: it moves nothing.
    pub fn on_ack(&mut self, una: Seq, dsack: bool, pure_duplicate: bool) -> ProbeResult {
        let Some(high) = self.high else { return ProbeResult::Nothing };
        if una.is_before(high) {
            return ProbeResult::Nothing;
        }
        if !self.resent || dsack {
            self.forget();
        } else if high.is_before(una) {
            self.forget();
            return ProbeResult::RepairedLoss;
        } else if pure_duplicate {
            // Both copies have arrived.
            self.forget();
        }
        ProbeResult::Nothing
    }
}

/// How long to wait before a probe: two round trips, and more for a single segment, whose ACK may be delayed; never longer
/// than the retransmission timeout, `rto`.
#[must_use]
pub fn delay(
    srtt: Option<Duration>,
    unacked: u32,
    rto_min: Duration,
    tick: Duration,
    rto: Duration,
) -> Duration {
    let wait = match srtt {
        None => Duration::from_secs(1),
        Some(srtt) if unacked == 1 => 2 * srtt + rto_min,
        Some(srtt) => 2 * srtt + 2 * tick,
    };
    wait.min(rto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_segment_is_given_the_time_of_a_delayed_ack() {
        let ms = Duration::from_millis;
        let wait = |unacked, rto| delay(Some(ms(100)), unacked, ms(200), ms(1), ms(rto));
        assert_eq!(wait(4, 300), ms(202));
        assert_eq!(wait(1, 1000), ms(400));
        assert_eq!(wait(1, 300), ms(300));
    }

    #[test]
    fn a_probe_that_was_needed_is_told_from_one_that_was_not() {
        let mut probe = TailProbe::default();
        probe.on_sent(Seq(100), true);
        assert_eq!(probe.on_ack(Seq(90), false, false), ProbeResult::Nothing);
        assert_eq!(probe.on_ack(Seq(100), true, false), ProbeResult::Nothing);
        assert!(!probe.is_out());
        probe.on_sent(Seq(100), true);
        assert_eq!(probe.on_ack(Seq(150), false, false), ProbeResult::RepairedLoss);
        probe.on_sent(Seq(200), false);
        assert_eq!(probe.on_ack(Seq(250), false, false), ProbeResult::Nothing);
        assert!(!probe.is_out());
    }
}
