//! How much may leave per ACK while a loss is repaired? (RFC 6937 with the changes of RFC 9937, as Linux does it.)

/// Proportional rate reduction: the window comes down to the threshold in proportion to what arrives, instead of waiting
/// for half a window of ACKs and then sending at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProportionalRate {
    /// Segments delivered since recovery began.
    delivered: u32,
    /// Segments sent since recovery began.
    sent: u32,
    /// Window when recovery began.
    window_before: u32,
}

crate::pack::pack!(ProportionalRate { delivered, sent, window_before });

/// One ACK during recovery.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Segments newly delivered.
    pub delivered: u32,
    /// Segments in flight after the ACK.
    pub in_flight: u32,
    /// Slow start threshold, segments.
    pub threshold: u32,
    /// The left edge has moved.
    pub advanced: bool,
    /// More was found to be lost.
    pub more_lost: bool,
}

impl ProportionalRate {
    /// Recovery begins with this window.
    #[must_use]
    pub fn new(window_before: u32) -> ProportionalRate {
        ProportionalRate { delivered: 0, sent: 0, window_before: window_before.max(1) }
    }

    /// A segment was sent, for the first time or again.
    pub fn on_sent(&mut self, segments: u32) {
        self.sent = self.sent.saturating_add(segments);
    }

    /// The window after this ACK; `None`: as it was, since nothing was delivered.
    pub fn on_ack(&mut self, progress: &Progress) -> Option<u32> {
        if progress.delivered == 0 {
            return None;
        }
        self.delivered = self.delivered.saturating_add(progress.delivered);
        let allowed = if progress.in_flight > progress.threshold {
            let share = u64::from(progress.threshold) * u64::from(self.delivered);
            let share = share.div_ceil(u64::from(self.window_before));
            u32::try_from(share).unwrap_or(u32::MAX).saturating_sub(self.sent)
        } else {
            let behind = self.delivered.saturating_sub(self.sent).max(progress.delivered);
            let slow_start = u32::from(progress.advanced && !progress.more_lost);
            (behind + slow_start).min(progress.threshold - progress.in_flight)
        };
        // The first retransmission leaves whatever the arithmetic says.
        let allowed = if self.sent == 0 { allowed.max(1) } else { allowed };
        Some(progress.in_flight.saturating_add(allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_falls_in_proportion_to_what_arrives() {
        // Ten in flight, one lost, threshold 7: seven segments leave for the ten that arrive or are lost.
        let mut rate = ProportionalRate::new(10);
        let mut in_flight = 8;
        let mut sent = 0;
        for _ in 0..8 {
            let progress = Progress {
                delivered: 1,
                in_flight: in_flight - 1,
                threshold: 7,
                advanced: false,
                more_lost: false,
            };
            let window = rate.on_ack(&progress).unwrap();
            in_flight -= 1;
            while in_flight < window {
                in_flight += 1;
                sent += 1;
                rate.on_sent(1);
            }
        }
        assert!((6..=8).contains(&sent), "{sent}");
        assert!(in_flight <= 7, "{in_flight}");
    }

    #[test]
    fn the_first_retransmission_always_leaves() {
        let mut rate = ProportionalRate::new(100);
        let progress =
            Progress { delivered: 1, in_flight: 95, threshold: 1, advanced: false, more_lost: true };
        assert_eq!(rate.on_ack(&progress), Some(96));
    }

    #[test]
    fn an_ack_that_delivers_nothing_changes_nothing() {
        let mut rate = ProportionalRate::new(10);
        let progress =
            Progress { delivered: 0, in_flight: 5, threshold: 7, advanced: false, more_lost: false };
        assert_eq!(rate.on_ack(&progress), None);
    }
}
