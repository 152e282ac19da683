//! Has the network marked what arrives, and what is said about it? (RFC 3168 §6.1, as Linux does it.)

use crate::knob::EcnMode;
use narrows_wire::TcpFlags;

/// The ECN field of an IP packet (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codepoint {
    /// The transport does not take part: a full queue drops.
    #[default]
    NotEct,
    /// It takes part; ECT(1), which RFC 9331 uses for something else.
    Ect1,
    /// It takes part.
    Ect0,
    /// A queue has marked it instead of dropping it.
    Ce,
}

impl Codepoint {
    /// The two lowest bits of a traffic class.
    #[must_use]
    pub fn of(traffic_class: u8) -> Codepoint {
        match traffic_class & 3 {
            0 => Codepoint::NotEct,
            1 => Codepoint::Ect1,
            2 => Codepoint::Ect0,
            _ => Codepoint::Ce,
        }
    }

    /// As the two lowest bits of a traffic class.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Codepoint::NotEct => 0,
            Codepoint::Ect1 => 1,
            Codepoint::Ect0 => 2,
            Codepoint::Ce => 3,
        }
    }
}

/// Explicit congestion notification on one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ecn {
    mode: EcnMode,
    negotiated: bool,
    /// A mark has come, and the sender has not yet said that it has reduced its window.
    echoing: bool,
    /// The sender marks its data as ECN-capable.
    seen: bool,
}

crate::pack::pack!(Ecn { mode, negotiated, echoing, seen });

impl Ecn {
    /// Nothing is negotiated yet.
    #[must_use]
    pub fn new(mode: EcnMode) -> Ecn {
        Ecn { mode, ..Ecn::default() }
    }

    /// Both sides take part.
    #[must_use]
    pub fn is_negotiated(&self) -> bool {
        self.negotiated
    }

    /// The flags of our SYN. A repeated one no longer asks: something on the way may drop SYNs that do (RFC 3168 §6.1.1.1).
    #[must_use]
    pub fn syn_flags(&self, repeated: bool) -> TcpFlags {
        if self.mode == EcnMode::On && !repeated {
            TcpFlags::ECE | TcpFlags::CWR
        } else {
            TcpFlags::default()
        }
    }

    /// The peer's SYN has come.
    pub fn on_syn(&mut self, flags: TcpFlags) {
        self.negotiated = self.mode != EcnMode::Off && flags.contains(TcpFlags::ECE | TcpFlags::CWR);
    }

    /// The flags of our SYN-ACK.
    #[must_use]
    pub fn syn_ack_flags(&self) -> TcpFlags {
        if self.negotiated { TcpFlags::ECE } else { TcpFlags::default() }
    }

    /// The peer's SYN-ACK has come.
    pub fn on_syn_ack(&mut self, flags: TcpFlags) {
        let agrees = flags.contains(TcpFlags::ECE) && !flags.contains(TcpFlags::CWR);
        self.negotiated = self.mode == EcnMode::On && agrees;
    }

    /// What a segment that leaves carries: its field and its flags. `fresh`: data that were never sent; `reduced`: the window was
    /// cut since the last of these (then the answer is taken to be said).
    #[must_use]
    pub fn outgoing(&self, fresh: bool, reduced: bool) -> (Codepoint, TcpFlags) {
        if !self.negotiated {
            return (Codepoint::NotEct, TcpFlags::default());
        }
        let mut flags = if self.echoing { TcpFlags::ECE } else { TcpFlags::default() };
        if !fresh {
            // RFC 3168 §6.1.4, §6.1.5: neither bare ACKs nor repetitions may be marked.
            return (Codepoint::NotEct, flags);
        }
        if reduced {
            flags |= TcpFlags::CWR;
        }
        (Codepoint::Ect0, flags)
    }

    /// Data has arrived. True when ACKs have to leave quickly for a while: the sender's window may be very small now.
    pub fn on_data(&mut self, codepoint: Codepoint) -> bool {
        if !self.negotiated {
            return false;
        }
        match codepoint {
            // A sender that marks its data sends repetitions unmarked.
            Codepoint::NotEct => self.seen,
            Codepoint::Ce => {
                self.seen = true;
                !std::mem::replace(&mut self.echoing, true)
            }
            Codepoint::Ect0 | Codepoint::Ect1 => {
                self.seen = true;
                false
            }
        }
    }

    /// The sender says that it has reduced its window: marks are no longer echoed. True when it did.
    pub fn on_flags(&mut self, flags: TcpFlags) -> bool {
        let reduced = self.negotiated && flags.contains(TcpFlags::CWR);
        self.echoing &= !reduced;
        reduced
    }

    /// The segment echoes a mark: our window has to be cut.
    #[must_use]
    pub fn is_echo(&self, flags: TcpFlags) -> bool {
        self.negotiated && flags.contains(TcpFlags::ECE) && !flags.contains(TcpFlags::SYN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: TcpFlags = TcpFlags(0);

    fn agreed() -> (Ecn, Ecn) {
        let (mut client, mut server) = (Ecn::new(EcnMode::On), Ecn::new(EcnMode::Accept));
        server.on_syn(client.syn_flags(false));
        client.on_syn_ack(server.syn_ack_flags());
        (client, server)
    }

    #[test]
    fn both_take_part_where_one_asks_and_the_other_accepts() {
        let (client, server) = agreed();
        assert!(client.is_negotiated() && server.is_negotiated());
        for (asks, answers) in
            [(EcnMode::Accept, EcnMode::On), (EcnMode::Off, EcnMode::On), (EcnMode::On, EcnMode::Off)]
        {
            let (mut client, mut server) = (Ecn::new(asks), Ecn::new(answers));
            server.on_syn(client.syn_flags(false));
            client.on_syn_ack(server.syn_ack_flags());
            assert!(!client.is_negotiated() && !server.is_negotiated(), "{asks:?} {answers:?}");
        }
    }

    #[test]
    fn a_repeated_syn_no_longer_asks_and_a_mirrored_one_is_no_answer() {
        let mut client = Ecn::new(EcnMode::On);
        assert_eq!(client.syn_flags(true), NONE);
        client.on_syn_ack(client.syn_flags(false));
        assert!(!client.is_negotiated());
    }

    #[test]
    fn a_mark_is_echoed_until_the_sender_says_that_it_has_reduced() {
        let (mut client, mut server) = agreed();
        assert!(!server.on_data(client.outgoing(true, false).0));
        assert!(server.on_data(Codepoint::Ce));
        // One mark is as many.
        assert!(!server.on_data(Codepoint::Ce));
        let echo = server.outgoing(false, false);
        assert_eq!(echo, (Codepoint::NotEct, TcpFlags::ECE));
        assert!(client.is_echo(echo.1) && !client.on_flags(echo.1));
        let (codepoint, flags) = client.outgoing(true, true);
        assert_eq!((codepoint, flags), (Codepoint::Ect0, TcpFlags::CWR));
        assert!(server.on_flags(flags));
        assert_eq!(server.outgoing(false, false).1, NONE);
    }

    #[test]
    fn repetitions_are_not_marked_and_are_acknowledged_quickly() {
        let (client, mut server) = agreed();
        assert_eq!(client.outgoing(false, true), (Codepoint::NotEct, NONE));
        assert!(!server.on_data(Codepoint::NotEct));
        server.on_data(Codepoint::Ect0);
        assert!(server.on_data(Codepoint::NotEct));
    }
}
