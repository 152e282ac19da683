//! Was the reduction of the window a mistake? (DSACK: RFC 3708; timestamps: RFC 3522, Eifel; as Linux combines them.)

use crate::Instant;
use narrows_wire::Seq;
use std::ops::Range;

/// Why a reduction is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoReason {
    /// Every segment that was sent again has been reported as received twice.
    Duplicates,
    /// What was acknowledged is older than the first retransmission: the original was only late.
    Timestamps,
    /// After a timeout, data that was not sent again has arrived (RFC 5682).
    Frto,
}

/// The window before a reduction, and the evidence about it. It can still be taken back after the recovery has ended.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    /// SND.UNA when the reduction was made; `None`: nothing to take back.
    marker: Option<Seq>,
    /// Retransmissions not yet reported as received twice; `None` before the first.
    unreported: Option<u32>,
    /// When the first retransmission left.
    first_retransmission: Option<Instant>,
    window: u32,
    threshold: u32,
}

crate::pack::pack!(Undo { marker, unreported, first_retransmission, window, threshold });

impl Undo {
    /// The window is about to be cut. `out`: retransmissions that are in flight already.
    pub fn begin(&mut self, una: Seq, window: u32, threshold: u32, out: u32) {
        let first_retransmission = self.first_retransmission.filter(|_| out > 0);
        *self = Undo {
            marker: Some(una),
            unreported: (out > 0).then_some(out),
            first_retransmission,
            window,
            threshold,
        };
    }

    /// A segment was sent again.
    pub fn on_retransmitted(&mut self, now: Instant) {
        self.unreported = Some(self.unreported.unwrap_or(0) + 1);
        self.first_retransmission = self.first_retransmission.or(Some(now));
    }

    /// Bytes were reported as received twice.
    pub fn on_duplicate(&mut self, range: &Range<Seq>, mss: u32) {
        let Some(marker) = self.marker else { return };
        if marker.is_before(range.end)
            && let Some(left) = &mut self.unreported
        {
            *left = left.saturating_sub((range.end - range.start).div_ceil(mss.max(1)).max(1));
        }
    }

    /// When the first segment was sent again.
    #[must_use]
    pub fn first_retransmission(&self) -> Option<Instant> {
        self.first_retransmission
    }

    /// All retransmissions were for nothing.
    #[must_use]
    pub fn by_duplicates(&self) -> bool {
        self.marker.is_some() && self.unreported == Some(0)
    }

    /// The ACK echoes a timestamp that was current until `echoed_until`, before anything was sent again.
    #[must_use]
    pub fn by_timestamps(&self, echoed_until: Option<Instant>) -> bool {
        match (self.marker, echoed_until, self.first_retransmission) {
            (Some(_), Some(until), Some(first)) => until <= first,
            _ => false,
        }
    }

    /// Either.
    #[must_use]
    pub fn reason(&self, echoed_until: Option<Instant>) -> Option<UndoReason> {
        if self.by_duplicates() {
            Some(UndoReason::Duplicates)
        } else if self.by_timestamps(echoed_until) {
            Some(UndoReason::Timestamps)
        } else {
            None
        }
    }

    /// There is a reduction that was not taken back.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.marker.is_some()
    }

    /// Takes the reduction back: the window and the threshold before it.
    pub fn take(&mut self) -> Option<(u32, u32)> {
        self.marker.take().map(|_| (self.window, self.threshold))
    }

    /// The network itself has reported congestion: the windows before are not to be restored.
    pub fn forbid(&mut self) {
        (self.window, self.threshold) = (0, 0);
    }

    /// The reduction was for another reason than a loss.
    pub fn forget(&mut self) {
        self.marker = None;
    }

    /// All is well again and nothing sent twice is in flight.
    pub fn on_all_delivered(&mut self) {
        self.first_retransmission = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo() -> Undo {
        let mut undo = Undo::default();
        undo.begin(Seq(1000), 10, 99, 0);
        undo
    }

    #[test]
    fn a_reduction_is_taken_back_once_every_retransmission_was_reported_twice() {
        let mut undo = undo();
        assert_eq!(undo.reason(None), None);
        undo.on_retransmitted(Instant::from_millis(5));
        undo.on_retransmitted(Instant::from_millis(6));
        undo.on_duplicate(&(Seq(1000)..Seq(2000)), 1000);
        assert_eq!(undo.reason(None), None);
        undo.on_duplicate(&(Seq(3000)..Seq(4000)), 1000);
        assert_eq!(undo.reason(None), Some(UndoReason::Duplicates));
        assert_eq!(undo.take(), Some((10, 99)));
        assert_eq!(undo.take(), None);
    }

    #[test]
    fn what_was_received_twice_before_the_reduction_does_not_count() {
        let mut undo = undo();
        undo.on_retransmitted(Instant::ZERO);
        undo.on_duplicate(&(Seq(0)..Seq(1000)), 1000);
        assert_eq!(undo.reason(None), None);
    }

    #[test]
    fn an_echo_from_before_the_first_retransmission_tells_that_the_original_arrived() {
        let mut undo = undo();
        assert!(!undo.by_timestamps(Some(Instant::from_millis(1))));
        undo.on_retransmitted(Instant::from_millis(50));
        assert!(!undo.by_timestamps(Some(Instant::from_millis(51))));
        assert_eq!(undo.reason(Some(Instant::from_millis(50))), Some(UndoReason::Timestamps));
    }
}
