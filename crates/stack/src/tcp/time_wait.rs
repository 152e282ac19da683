//! Is this an old duplicate, the peer's repeated FIN, or a new connection? TIME-WAIT, without the connection's memory.

use super::challenge::AnswerLimit;
use super::options::TimestampState;
use crate::socket::demux::FourTuple;
use crate::{Instant, InterfaceId};
use narrows_wire::{Seq, TcpFlags, TcpHeader};
use std::time::Duration;

/// What remains of a connection in TIME-WAIT.
#[derive(Clone, Debug)]
pub(crate) struct TimeWait {
    pub(crate) tuple: FourTuple,
    pub(crate) interface: InterfaceId,
    pub(crate) snd_nxt: Seq,
    pub(crate) rcv_nxt: Seq,
    /// As on the wire.
    pub(crate) window: u16,
    pub(crate) timestamps: Option<TimestampState>,
    pub(crate) answers: AnswerLimit,
    pub(crate) length: Duration,
    pub(crate) until: Instant,
}

/// What a segment does to a TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeWaitAction {
    /// Nothing.
    Drop,
    /// Acknowledge again.
    Acknowledge,
    /// It is over: a RST at exactly RCV.NXT ends it, as on Linux with tcp_rfc1337=0.
    End,
    /// A new connection may take its place; its initial sequence number must be beyond this one's (RFC 6191).
    NewConnection {
        /// Initial sequence number.
        initial_seq: Seq,
    },
}

impl TimeWait {
    /// Judges a segment with `payload_bytes` of data.
    pub(crate) fn on_segment(
        &mut self,
        now: Instant,
        header: &TcpHeader,
        payload_bytes: usize,
    ) -> TimeWaitAction {
        let flags = header.flags;
        let (syn, reset, ack) =
            (flags.contains(TcpFlags::SYN), flags.contains(TcpFlags::RST), flags.contains(TcpFlags::ACK));
        let value = header.options.timestamps.map(|timestamps| timestamps.value);
        let old = match (&self.timestamps, value) {
            (Some(state), Some(value)) => state.is_old(value, now),
            _ => false,
        };
        let occupies = payload_bytes > 0 || flags.intersects(TcpFlags::SYN | TcpFlags::FIN);
        if !old && header.seq == self.rcv_nxt && (reset || !occupies) {
            if reset {
                return TimeWaitAction::End;
            }
            self.until = now + self.length;
            return TimeWaitAction::Drop;
        }
        let newer_timestamp = match (self.timestamps.and_then(|state| state.recent()), value) {
            (Some(recent), Some(value)) => (recent.wrapping_sub(value) as i32) < 0,
            _ => false,
        };
        if syn && !reset && !ack && !old && (self.rcv_nxt.is_before(header.seq) || newer_timestamp) {
            return TimeWaitAction::NewConnection { initial_seq: self.snd_nxt + 65_537 };
        }
        if reset {
            return TimeWaitAction::Drop;
        }
        if old || ack {
            self.until = now + self.length;
        }
        if self.answers.allows(now) { TimeWaitAction::Acknowledge } else { TimeWaitAction::Drop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_wire::TcpOptions;

    fn time_wait() -> TimeWait {
        let address = |text: &str| text.parse().expect("an address");
        TimeWait {
            tuple: FourTuple { local: address("10.0.0.1:80"), remote: address("10.0.0.2:1024") },
            interface: InterfaceId(0),
            snd_nxt: Seq(500),
            rcv_nxt: Seq(1000),
            window: 500,
            timestamps: None,
            answers: AnswerLimit::default(),
            length: Duration::from_secs(60),
            until: Instant::ZERO + Duration::from_secs(60),
        }
    }

    fn segment(flags: TcpFlags, seq: u32) -> TcpHeader {
        TcpHeader {
            source_port: 1024,
            destination_port: 80,
            seq: Seq(seq),
            ack: Seq(500),
            flags,
            window: 100,
            urgent: 0,
            options: TcpOptions::default(),
        }
    }

    #[test]
    fn a_repeated_fin_is_acknowledged_again_and_restarts_the_wait() {
        let mut wait = time_wait();
        let now = Instant::from_millis(10_000);
        let fin = segment(TcpFlags::FIN | TcpFlags::ACK, 999);
        assert_eq!(wait.on_segment(now, &fin, 0), TimeWaitAction::Acknowledge);
        assert_eq!(wait.until, now + Duration::from_secs(60));
    }

    #[test]
    fn a_later_syn_begins_a_new_connection_and_an_earlier_one_does_not() {
        let now = Instant::from_millis(10);
        let syn = |seq| segment(TcpFlags::SYN, seq);
        assert_eq!(
            time_wait().on_segment(now, &syn(5000), 0),
            TimeWaitAction::NewConnection { initial_seq: Seq(500 + 65_537) }
        );
        assert_eq!(time_wait().on_segment(now, &syn(900), 0), TimeWaitAction::Acknowledge);
    }

    #[test]
    fn only_a_reset_at_exactly_the_next_byte_ends_it() {
        let now = Instant::from_millis(10);
        let reset = |seq| segment(TcpFlags::RST, seq);
        assert_eq!(time_wait().on_segment(now, &reset(1000), 0), TimeWaitAction::End);
        assert_eq!(time_wait().on_segment(now, &reset(1001), 0), TimeWaitAction::Drop);
    }
}
