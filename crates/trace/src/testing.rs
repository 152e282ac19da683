//! What would a capture show of this? Plays what two ends send, on their own clocks, and captures it anywhere
//! on the path.

use crate::{Analyzer, AnalyzerOptions, Connection, Segment};
use narrows_lab::Side;
use narrows_stack::Instant;
use narrows_wire::{OptionOrder, Seq, TcpFlags, TcpOptions};
use std::net::SocketAddr;

/// The capture's time at which the play begins, nanoseconds.
const ORIGIN: u64 = 1_700_000_000_000_000_000;
const FIRST: [Seq; 2] = [Seq(0xffff_ff00), Seq(77)];

#[derive(Clone, Debug)]
struct Sent {
    side: Side,
    /// When it left, on the one clock that both ends of the play have; microseconds.
    at: u64,
    offset: u64,
    bytes: u32,
    flags: TcpFlags,
    /// It gets only so far from its sender, microseconds.
    lost_after: Option<u64>,
}

/// A play of segments, in any order. All times in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    one_way: u64,
    next: [u64; 2],
    sent: Vec<Sent>,
}

impl Play {
    /// A connection over a path with this round trip, opened at 0: the client is connected after one round
    /// trip, the server after one and a half.
    pub(crate) fn open(round_trip: u64) -> Play {
        let mut play = Play { one_way: round_trip / 2, next: [0; 2], sent: Vec::new() };
        play.add(Side::Client, 0, 0, TcpFlags::SYN);
        play.add(Side::Server, play.one_way + 5, 0, TcpFlags::SYN | TcpFlags::ACK);
        play.add(Side::Client, round_trip + 10, 0, TcpFlags::ACK);
        play
    }

    /// `side` sends `bytes` at `at`, and pushes them.
    pub(crate) fn say(&mut self, side: Side, at: u64, bytes: u32) -> &mut Play {
        self.add(side, at, bytes, TcpFlags::ACK | TcpFlags::PSH)
    }

    /// `side` sends a full segment at `at` which does not end a write.
    pub(crate) fn full(&mut self, side: Side, at: u64) -> &mut Play {
        self.add(side, at, 1460, TcpFlags::ACK)
    }

    /// `side` sends a pure acknowledgment at `at`.
    pub(crate) fn ack(&mut self, side: Side, at: u64) -> &mut Play {
        self.add(side, at, 0, TcpFlags::ACK)
    }

    /// `side` closes at `at`.
    pub(crate) fn close(&mut self, side: Side, at: u64) -> &mut Play {
        self.add(side, at, 0, TcpFlags::ACK | TcpFlags::FIN)
    }

    /// `side` sends again at `at` the last `bytes` it sent.
    pub(crate) fn again(&mut self, side: Side, at: u64, bytes: u32) -> &mut Play {
        let offset = self.next[side.index()] - u64::from(bytes);
        self.sent.push(Sent {
            side,
            at,
            offset,
            bytes,
            flags: TcpFlags::ACK | TcpFlags::PSH,
            lost_after: None,
        });
        self
    }

    /// `side` sends these bytes at `at`, whatever it has sent before; they end no write.
    pub(crate) fn piece(&mut self, side: Side, at: u64, offset: u64, bytes: u32) -> &mut Play {
        let next = &mut self.next[side.index()];
        *next = (*next).max(offset + u64::from(bytes));
        self.sent.push(Sent { side, at, offset, bytes, flags: TcpFlags::ACK, lost_after: None });
        self
    }

    /// What was sent last gets only a tenth of the way.
    pub(crate) fn lost(&mut self) -> &mut Play {
        let one_way = self.one_way;
        if let Some(last) = self.sent.last_mut() {
            last.lost_after = Some(one_way / 10);
        }
        self
    }

    /// How much `side` has sent.
    pub(crate) fn said(&self, side: Side) -> u64 {
        self.next[side.index()]
    }

    fn add(&mut self, side: Side, at: u64, bytes: u32, flags: TcpFlags) -> &mut Play {
        let offset = self.next[side.index()];
        self.next[side.index()] += u64::from(bytes);
        self.sent.push(Sent { side, at, offset, bytes, flags, lost_after: None });
        self
    }

    /// What a capture shows that was made `from_client` microseconds away from the client.
    pub(crate) fn captured(&self, from_client: u64) -> Vec<Segment> {
        let away = [from_client, self.one_way - from_client];
        let gets_here = |sent: &&Sent| sent.lost_after.is_none_or(|after| away[sent.side.index()] <= after);
        let mut segments: Vec<Segment> =
            self.sent.iter().filter(gets_here).map(|sent| self.segment(sent, away)).collect();
        segments.sort_by_key(|segment| segment.time);
        for (n, segment) in segments.iter_mut().enumerate() {
            segment.number = n as u64 + 1;
        }
        segments
    }

    /// The one connection that a capture at that place shows.
    pub(crate) fn connection(&self, from_client: u64) -> Connection {
        let mut connections = analysed(&self.captured(from_client));
        assert_eq!(connections.len(), 1);
        connections.remove(0)
    }

    /// The connection as captured at the client, in the middle, and at the server.
    pub(crate) fn everywhere(&self) -> [Connection; 3] {
        [0, self.one_way / 3, self.one_way].map(|away| self.connection(away))
    }

    fn segment(&self, sent: &Sent, away: [u64; 2]) -> Segment {
        let (from, to) = (sent.side.index(), sent.side.peer().index());
        let heard = self
            .sent
            .iter()
            .filter(|s| s.side != sent.side && s.at + self.one_way <= sent.at && s.lost_after.is_none());
        let mut pieces: Vec<(u64, u64)> =
            heard.clone().map(|s| (s.offset, s.offset + u64::from(s.bytes))).collect();
        pieces.sort_unstable();
        let ack = pieces.iter().fold(0, |ack, &(from, to)| if from <= ack { ack.max(to) } else { ack });
        let fin = heard.clone().any(|s| s.flags.contains(TcpFlags::FIN));
        let own_fin = self.sent.iter().any(|s| {
            s.side == sent.side && s.at < sent.at && s.flags.contains(TcpFlags::FIN) && s.bytes == 0
        });
        let syn = sent.flags.contains(TcpFlags::SYN);
        let options = TcpOptions {
            mss: syn.then_some(1460),
            window_scale: syn.then_some(7),
            sack_permitted: syn,
            ..TcpOptions::default()
        };
        let address = |n: usize| SocketAddr::from(([10, 0, 0, n as u8 + 1], [40_000, 443][n]));
        Segment {
            number: 0,
            time: Instant::from_nanos(ORIGIN + 1000 * (sent.at + away[from])),
            source: address(from),
            destination: address(to),
            seq: FIRST[from] + sent.offset as u32 + u32::from(!syn) + u32::from(own_fin),
            ack: FIRST[to] + ack as u32 + 1 + u32::from(fin),
            flags: sent.flags,
            window: 60_000,
            payload_bytes: sent.bytes,
            options,
            option_order: OptionOrder::default(),
            hop_limit: 64,
            packet_bytes: sent.bytes + 40,
            pieces: 1,
            outer: None,
        }
    }
}

/// All connections of these segments.
pub(crate) fn analysed(segments: &[Segment]) -> Vec<Connection> {
    let mut analyzer = Analyzer::new(AnalyzerOptions::default());
    for segment in segments {
        analyzer.push(segment);
    }
    analyzer.finish().connections
}

/// The parts of an account together.
pub(crate) fn sum(connection: &Connection) -> std::time::Duration {
    let a = &connection.account;
    a.network
        + a.delayed_ack
        + a.nagle
        + a.client_thinking
        + a.server_thinking
        + a.recovery
        + a.transmission
        + a.unexplained
}
