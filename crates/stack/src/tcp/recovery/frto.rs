//! Was the retransmission timeout spurious? (RFC 5682, F-RTO with SACK, as Linux does it.)

/// An ACK that comes after a timeout.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// A segment that was in flight at the timeout and was never sent again has arrived.
    pub original_arrived: bool,
    /// New data has been sent since the timeout.
    pub sent_new: bool,
    /// The ACK selects segments, or is a duplicate.
    pub out_of_order: bool,
    /// The left edge has moved.
    pub advanced: bool,
    /// All that was in flight at the timeout is acknowledged.
    pub repaired: bool,
    /// There is new data, and the peer's window has room for it.
    pub new_data: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The timeout was a mistake: undo it.
    Spurious,
    /// Send new data instead of repeating more: its ACK will tell (RFC 5682 §3.1, step 2b).
    SendNew,
    /// Repeat what is lost.
    Repeat,
}

/// Is the question still open?
#[derive(Clone, Copy, Debug, Default)]
pub struct Frto {
    open: bool,
}

crate::pack::pack!(Frto { open });

impl Frto {
    /// The retransmission timer has expired; `first`: for the first time for this data, or again without any answer.
    pub fn on_timeout(&mut self, first: bool) {
        self.open = first;
    }

    /// There was no new data to send after all.
    pub fn give_up(&mut self) {
        self.open = false;
    }

    /// An ACK after the timeout.
    pub fn on_ack(&mut self, ack: &Situation) -> Verdict {
        if !self.open {
            return Verdict::Repeat;
        }
        if ack.original_arrived {
            self.open = false;
            return Verdict::Spurious;
        }
        if ack.sent_new {
            self.open &= !ack.out_of_order;
        } else if ack.advanced && !ack.repaired {
            if ack.new_data {
                return Verdict::SendNew;
            }
            self.open = false;
        }
        Verdict::Repeat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Situation = Situation {
        original_arrived: false,
        sent_new: false,
        out_of_order: false,
        advanced: false,
        repaired: false,
        new_data: true,
    };

    fn after_timeout() -> Frto {
        let mut frto = Frto::default();
        frto.on_timeout(true);
        frto
    }

    #[test]
    fn the_first_ack_that_advances_lets_new_data_go_instead_of_more_repetitions() {
        let mut frto = after_timeout();
        assert_eq!(frto.on_ack(&Situation { advanced: true, ..QUIET }), Verdict::SendNew);
        let next = Situation { sent_new: true, advanced: true, original_arrived: true, ..QUIET };
        assert_eq!(frto.on_ack(&next), Verdict::Spurious);
    }

    #[test]
    fn a_duplicate_after_the_new_data_tells_that_the_loss_was_real() {
        let mut frto = after_timeout();
        assert_eq!(frto.on_ack(&Situation { sent_new: true, out_of_order: true, ..QUIET }), Verdict::Repeat);
        let late = Situation { sent_new: true, original_arrived: true, ..QUIET };
        assert_eq!(frto.on_ack(&late), Verdict::Repeat);
    }

    #[test]
    fn without_new_data_there_is_nothing_to_find_out() {
        let mut frto = after_timeout();
        assert_eq!(frto.on_ack(&Situation { advanced: true, new_data: false, ..QUIET }), Verdict::Repeat);
        assert_eq!(frto.on_ack(&Situation { advanced: true, ..QUIET }), Verdict::Repeat);
    }
}
