//! When is the end of a flight probed, so that its loss does not cost a retransmission timeout? (RFC 8985 §7, as Linux does it.)

use narrows_wire::Seq;
use std::time::Duration;

/// Added to two round trips when more than one segment is out.
const MARGIN: Duration = Duration::from_millis(2);

/// What the ACK that covers a probe has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Open,
    /// Original and probe have both arrived, or the probe was new data: nothing was lost.
    NoLoss,
    /// The probe has repaired a loss: the window has to be cut as for any other (RFC 8985 §7.4.2).
    Repaired,
}

/// The ACK, as far as a probe is concerned.
#[derive(Clone, Copy, Debug)]
pub struct ProbeAck {
    /// SEG.ACK.
    pub una: Seq,
    /// It reports the probe as received twice.
    pub duplicate_reported: bool,
    /// It changes nothing and carries nothing: a duplicate ACK without news.
    pub bare_duplicate: bool,
}

/// At most one probe is out at a time.
#[derive(Clone, Debug, Default)]
pub struct TailLossProbe {
    /// SND.NXT after the probe.
    end: Option<Seq>,
    /// The probe sent data again, rather than new data.
    repeated: bool,
}

crate::pack::pack!(TailLossProbe { end, repeated });

impl TailLossProbe {
    /// How long after the last transmission to probe. One segment alone may meet a delayed ACK, so `rto_min` is added.
    #[must_use]
    pub fn delay(srtt: Option<Duration>, segments_out: u32, rto_min: Duration) -> Option<Duration> {
        let margin = if segments_out == 1 { rto_min } else { MARGIN };
        srtt.map(|srtt| 2 * srtt + margin)
    }

    /// A probe is out.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.end.is_some()
    }

    /// The probe out was a retransmission and ends here.
    #[must_use]
    pub fn repeated_until(&self) -> Option<Seq> {
        self.end.filter(|_| self.repeated)
    }

    /// A probe was sent; `end` is SND.NXT after it.
    pub fn on_sent(&mut self, end: Seq, repeated: bool) {
        *self = TailLossProbe { end: Some(end), repeated };
    }

    /// Another recovery has begun.
    pub fn forget(&mut self) {
        *self = TailLossProbe::default();
    }

    /// An ACK has come: was there a loss that the probe has hidden?
    pub fn on_ack(&mut self, ack: &ProbeAck) -> Outcome {
        let Some(end) = self.end.filter(|end| end.is_at_or_before(ack.una)) else { return Outcome::Open };
        let outcome = if !self.repeated || ack.duplicate_reported {
            Outcome::NoLoss
        } else if end.is_before(ack.una) {
            Outcome::Repaired
        } else if ack.bare_duplicate {
            Outcome::NoLoss
        } else {
            return Outcome::Open;
        };
        self.forget();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: ProbeAck = ProbeAck { una: Seq(1000), duplicate_reported: false, bare_duplicate: false };

    fn probe(repeated: bool) -> TailLossProbe {
        let mut probe = TailLossProbe::default();
        probe.on_sent(Seq(1000), repeated);
        probe
    }

    #[test]
    fn a_lone_segment_is_given_time_for_a_delayed_ack() {
        let (srtt, rto_min) = (Some(Duration::from_millis(20)), Duration::from_millis(200));
        assert_eq!(TailLossProbe::delay(srtt, 1, rto_min), Some(Duration::from_millis(240)));
        assert_eq!(TailLossProbe::delay(srtt, 2, rto_min), Some(Duration::from_millis(42)));
        assert_eq!(TailLossProbe::delay(None, 2, rto_min), None);
    }

    #[test]
    fn a_probe_with_new_data_hides_no_loss() {
        assert_eq!(probe(false).on_ack(&PLAIN), Outcome::NoLoss);
    }

    #[test]
    fn a_dsack_or_a_bare_duplicate_says_that_both_copies_arrived() {
        assert_eq!(probe(true).on_ack(&ProbeAck { duplicate_reported: true, ..PLAIN }), Outcome::NoLoss);
        assert_eq!(probe(true).on_ack(&ProbeAck { bare_duplicate: true, ..PLAIN }), Outcome::NoLoss);
    }

    #[test]
    fn an_ack_beyond_the_probe_without_a_dsack_tells_of_a_loss_repaired() {
        let mut probe = probe(true);
        assert_eq!(probe.on_ack(&PLAIN), Outcome::Open);
        assert_eq!(probe.on_ack(&ProbeAck { una: Seq(2000), ..PLAIN }), Outcome::Repaired);
        assert!(!probe.is_out());
    }
}
