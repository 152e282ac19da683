//! What becomes of a connection when the network reports an error about one of its segments? (RFC 9293 §3.9.2.2, RFC 5927.)

use super::connection::{Connection, Context, State};
use crate::SocketError;
use crate::counters::Counter;
use narrows_wire::IcmpMessage;

impl Connection {
    /// An error that is neither "too big" nor unbelievable. While a connection is being opened it ends the attempt, as in Linux;
    /// later it changes nothing: the path may come back.
    pub(crate) fn on_unreachable(&mut self, context: &mut Context<'_>, message: IcmpMessage) {
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        if !opening {
            context.counters.count(Counter::IcmpSoftErrors);
            return;
        }
        context.counters.count(Counter::IcmpHardErrors);
        let refused = match message {
            // Port unreachable; in IPv6 that is code 4 (RFC 4443 §3.1).
            IcmpMessage::Unreachable { code } => code == if self.is_ipv6() { 4 } else { 3 },
            _ => false,
        };
        let error = if refused { SocketError::Refused } else { SocketError::Unreachable };
        self.finish(context, Some(error));
    }
}
