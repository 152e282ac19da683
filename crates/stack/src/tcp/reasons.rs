//! Why did data wait, and why did ACKs leave: how often, and how long? What the stack decides it can explain.

use super::ack::AckReason;
use super::nagle::HoldReason;
use crate::Instant;
use std::time::Duration;

/// How often and how long data was held back for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Times that it began.
    pub count: u32,
    /// In all, as far as it is over.
    pub time: Duration,
}

crate::pack::pack!(Held { count, time });

/// One connection's reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    holding: Option<(HoldReason, Instant)>,
    held: [Held; Reasons::HOLDS.len()],
    acks: [u32; Reasons::ACKS.len()],
}

crate::pack::pack!(Reasons { holding, held, acks });

impl Reasons {
    /// Every reason for which data is held back, in the order of the type.
    pub const HOLDS: [HoldReason; 9] = [
        HoldReason::Nagle,
        HoldReason::Cork,
        HoldReason::More,
        HoldReason::Window,
        HoldReason::CongestionWindow,
        HoldReason::Pacing,
        HoldReason::Device,
        HoldReason::LargerGroup,
        HoldReason::MtuProbe,
    ];
    /// Every reason for which an ACK leaves without data, in the order of the type.
    pub const ACKS: [AckReason; 15] = [
        AckReason::EverySegment,
        AckReason::Enough,
        AckReason::Quick,
        AckReason::Route,
        AckReason::SocketOption,
        AckReason::OutOfOrder,
        AckReason::GapFilled,
        AckReason::Duplicate,
        AckReason::OutOfWindow,
        AckReason::Fin,
        AckReason::Read,
        AckReason::WindowUpdate,
        AckReason::DelayedTimer,
        AckReason::TimerNear,
        AckReason::CompressedTimer,
    ];

    /// Why data is held back at present, and since when.
    #[must_use]
    pub fn holding(&self) -> Option<(HoldReason, Instant)> {
        self.holding
    }

    /// How data was held back for `reason`.
    #[must_use]
    pub fn held(&self, reason: HoldReason) -> Held {
        self.held[reason as usize]
    }

    /// How often the policy let an ACK go for `reason`.
    #[must_use]
    pub fn acks(&self, reason: AckReason) -> u32 {
        self.acks[reason as usize]
    }

    pub(super) fn note_hold(&mut self, now: Instant, reason: Option<HoldReason>) {
        if self.holding.map(|(held, _)| held) == reason {
            return;
        }
        if let Some((before, since)) = self.holding.take() {
            self.held[before as usize].time += now.since(since);
        }
        if let Some(reason) = reason {
            self.held[reason as usize].count += 1;
            self.holding = Some((reason, now));
        }
    }

    pub(super) fn note_ack(&mut self, reason: AckReason) {
        self.acks[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_complete_and_in_the_order_of_the_types() {
        assert!(Reasons::HOLDS.iter().enumerate().all(|(at, reason)| *reason as usize == at));
        assert!(Reasons::ACKS.iter().enumerate().all(|(at, reason)| *reason as usize == at));
        assert_eq!(HoldReason::MtuProbe as usize + 1, Reasons::HOLDS.len());
        assert_eq!(AckReason::CompressedTimer as usize + 1, Reasons::ACKS.len());
    }

    #[test]
    fn a_wait_lasts_from_its_first_question_to_the_next_answer() {
        let mut reasons = Reasons::default();
        for (at, reason) in [
            (0, Some(HoldReason::Nagle)),
            (3, Some(HoldReason::Nagle)),
            (5, Some(HoldReason::Cork)),
            (9, None),
        ] {
            reasons.note_hold(Instant::from_millis(at), reason);
        }
        let nagle = Held { count: 1, time: Duration::from_millis(5) };
        assert_eq!(reasons.held(HoldReason::Nagle), nagle);
        assert_eq!(reasons.held(HoldReason::Cork).time, Duration::from_millis(4));
        assert_eq!(reasons.holding(), None);
    }
}
