//! In which state is a connection, and what does it consist of? The states of RFC 9293 §3.3.2, and the order in which the
//! parts beside this file are asked.
//!
//! `handshake.rs` begins a connection, `input.rs` says what a segment changes, `output.rs` what may leave now,
//! `timeouts.rs` what happens when nothing comes, `calls.rs` what the application may ask for.

use super::ack::{AckContext, AckScheduler};
use super::assembler::Assembler;
use super::black_hole::Suspicion;
use super::challenge::{AnswerLimit, ChallengeBudget};
use super::chrono::Chrono;
use super::congestion::Congestion;
use super::ecn::{Codepoint, Ecn};
use super::loss_by_size::LossBySize;
use super::mtu_probe::MtuProbe;
use super::nagle::Nagle;
use super::options::{Mss, Negotiated, Offer, TIMESTAMPS_BYTES, TimestampState, sack_bytes};
use super::reasons::Reasons;
use super::recovery::Recovery;
use super::rtt::RttEstimator;
use super::segment_size::NextRoute;
use super::send_buffer::{Position, SendBuffer};
use super::send_queue::SendQueue;
use super::tick::Tick;
use super::time_wait::TimeWait;
use super::timer::{Timer, TimerTable};
use super::window::{PeerWindow, ReceiveWindow};
use crate::counters::{Counter, Counters};
use crate::host::Event;
use crate::path::Path;
use crate::random::Random;
use crate::socket::demux::FourTuple;
use crate::{Instant, InterfaceId, Knobs, ListenerId, SocketError, SocketId, Transmit};
use narrows_wire::{Packet, Seq};
use std::collections::VecDeque;
use std::sync::Arc;

/// A connection's state (RFC 9293 §3.3.2). LISTEN belongs to listeners, TIME-WAIT to `time_wait.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// SYN sent, waiting for SYN-ACK.
    SynSent,
    /// SYN received and answered, waiting for the ACK.
    SynReceived,
    /// Open.
    Established,
    /// Closed here first; FIN not yet acknowledged.
    FinWait1,
    /// Closed here, FIN acknowledged; the peer may still send.
    FinWait2,
    /// The peer has closed, this side has not.
    CloseWait,
    /// Both have closed at once; FIN not yet acknowledged.
    Closing,
    /// The peer closed first, then this side; FIN not yet acknowledged.
    LastAck,
    /// Over; what has arrived can still be read.
    #[default]
    Closed,
}

crate::pack::choices!(State {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    Closed,
});

impl State {
    /// The name in RFC 9293.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::Closed => "CLOSED",
        }
    }

    /// Both sides know each other's sequence numbers.
    pub(crate) fn is_synchronized(self) -> bool {
        !matches!(self, State::SynSent | State::SynReceived | State::Closed)
    }

    /// The peer has not closed: data may still come.
    pub(crate) fn may_receive(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }
}

/// Who holds the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Not accepted yet.
    Listener(ListenerId),
    /// The application.
    Application,
    /// Closed by the application; only the protocol's end is left.
    Nobody,
}

/// What a call on a connection may use of its host.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    /// The ECN field of the packet that has arrived, if that is what the call is about.
    pub(crate) codepoint: Codepoint,
    pub(crate) random: &'a mut Random,
    pub(crate) counters: &'a mut Counters,
    pub(crate) challenges: &'a mut ChallengeBudget,
    pub(crate) events: &'a mut VecDeque<Event>,
    pub(crate) replies: &'a mut VecDeque<Transmit>,
}

/// The sending half.
#[derive(Debug)]
pub(super) struct Sender {
    /// Initial sequence number.
    pub(super) iss: Seq,
    /// SND.UNA: the oldest unacknowledged sequence number.
    pub(super) una: Seq,
    /// SND.NXT: the next sequence number to be sent for the first time.
    pub(super) nxt: Seq,
    pub(super) buffer: SendBuffer,
    /// The memory it takes.
    pub(super) queue: SendQueue,
    /// The last position that PSH was set at by a write.
    pub(super) pushed: Position,
    pub(super) window: PeerWindow,
    pub(super) nagle: Nagle,
    pub(super) recovery: Recovery,
    pub(super) congestion: Congestion,
    /// New data has left since the congestion control was last told.
    pub(super) sent_in_round: bool,
    /// The application has closed; FIN follows the last byte.
    pub(super) fin_wanted: bool,
    pub(super) fin_sent: bool,
    /// The last write carried MSG_MORE and nothing has released it since.
    pub(super) more: bool,
    /// New data up to here have been let go as one group; its segments leave one by one.
    pub(super) group_end: Option<Seq>,
    /// Where the group began that is leaving, or left last.
    pub(super) group_start: Option<Seq>,
    /// Where PSH is set because a group ends there.
    pub(super) group_push: Option<Seq>,
    /// A write was cut short.
    pub(super) write_blocked: bool,
    /// The buffer's size in bytes.
    pub(super) capacity: u64,
    /// When anything last left.
    pub(super) last_transmission: Instant,
    /// When something with data last left.
    pub(super) last_data: Option<Instant>,
}

crate::pack::pack!(Sender {
    iss,
    una,
    nxt,
    buffer,
    queue,
    pushed,
    window,
    nagle,
    recovery,
    congestion,
    sent_in_round,
    fin_wanted,
    fin_sent,
    more,
    group_end,
    group_start,
    group_push,
    write_blocked,
    capacity,
    last_transmission,
    last_data,
});

impl Sender {
    /// The sequence number of a position of the stream.
    pub(super) fn seq_of(&self, position: Position) -> Seq {
        self.iss + (position as u32).wrapping_add(1)
    }

    /// The position of a sequence number at or after the buffer's start; FIN is one beyond the last byte.
    pub(super) fn position_of(&self, seq: Seq) -> Position {
        let start = self.buffer.start();
        let distance = seq.distance_from(self.seq_of(start));
        start.saturating_add_signed(i64::from(distance))
    }

    /// Bytes written and not yet sent.
    pub(super) fn unsent(&self) -> u64 {
        if self.fin_sent { 0 } else { self.buffer.end().saturating_sub(self.position_of(self.nxt)) }
    }

    pub(super) fn in_flight(&self) -> bool {
        self.una != self.nxt
    }
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Initial sequence number of the peer.
    pub(super) irs: Seq,
    pub(super) assembler: Assembler,
    pub(super) window: ReceiveWindow,
    pub(super) ack: AckScheduler,
    /// Where the peer's FIN is, once it has come, in order or not.
    pub(super) fin_at: Option<Position>,
    /// FIN has been taken in order.
    pub(super) fin_taken: bool,
    /// The acknowledgment that left last (Last.ACK.sent of RFC 7323 §4.3).
    pub(super) last_ack_sent: Seq,
    /// When something last arrived.
    pub(super) last_arrival: Instant,
    /// When data last arrived.
    pub(super) last_data: Instant,
    /// A readable event is out and nothing was read since.
    pub(super) told_readable: bool,
    /// Bytes read by the application.
    pub(super) read: Position,
    /// Of them those that Linux's read(2) would still be copying: the application's buffer has room, and more waits.
    pub(super) reading: u32,
}

crate::pack::pack!(Receiver {
    irs,
    assembler,
    window,
    ack,
    fin_at,
    fin_taken,
    last_ack_sent,
    last_arrival,
    last_data,
    told_readable,
    read,
    reading,
});

impl Receiver {
    /// RCV.NXT.
    pub(super) fn nxt(&self) -> Seq {
        self.seq_of(self.assembler.next()) + u32::from(self.fin_taken)
    }

    pub(super) fn seq_of(&self, position: Position) -> Seq {
        self.irs + (position as u32).wrapping_add(1)
    }

    /// End of the largest window that was ever advertised.
    pub(super) fn right_edge(&self) -> Seq {
        self.seq_of(self.window.right_edge())
    }
}

/// What has to leave, beside data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// SYN or SYN-ACK.
    pub(super) handshake: bool,
    /// A bare ACK.
    pub(super) ack: bool,
    /// Data has arrived: the acknowledgment policy is to be asked.
    pub(super) ack_question: bool,
    /// A probe of the peer: a bare segment before the window (zero window, keep-alive).
    pub(super) probe: bool,
    /// A probe of the end of the flight (RFC 8985 §7).
    pub(super) loss_probe: bool,
    /// A small packet in place of a large one that is not answered.
    pub(super) size_test: bool,
    /// An ACK has made room for more to be written; it is looked at once all that it lets go has left.
    pub(super) space: bool,
    /// A group leaves even if a larger one could be made.
    pub(super) one_group: bool,
    /// A small piece of data although the window or a policy would hold it (persist timer).
    pub(super) push_small: bool,
}

/// Counts of one connection, with the names of Linux's TCP_INFO.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stats {
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_retransmitted: u64,
    pub(super) segments_out: u64,
    pub(super) segments_in: u64,
    pub(super) data_segments_out: u64,
    pub(super) data_segments_in: u64,
    pub(super) total_retransmits: u32,
    /// Segments known to have arrived at the peer.
    pub(super) delivered: u32,
    /// Of those, with an ACK that echoed a mark (ECN).
    pub(super) delivered_marked: u32,
    /// Timeouts in a row without an answer.
    pub(super) retransmits: u32,
    /// Probes in a row without an answer.
    pub(super) probes: u32,
    /// How often the wait between two probes of a closed window has doubled; not for those that the device refused.
    pub(super) probe_backoff: u32,
}

crate::pack::pack!(Stats {
    bytes_acked,
    bytes_received,
    bytes_retransmitted,
    segments_out,
    segments_in,
    data_segments_out,
    data_segments_in,
    total_retransmits,
    delivered,
    delivered_marked,
    retransmits,
    probes,
    probe_backoff,
});

/// One TCP connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: SocketId,
    pub(crate) tuple: FourTuple,
    pub(crate) interface: InterfaceId,
    pub(crate) owner: Owner,
    pub(crate) state: State,
    /// Opened by the peer.
    pub(crate) passive: bool,
    pub(super) error: Option<SocketError>,
    pub(super) knobs: Arc<Knobs>,
    pub(super) tick: Tick,
    /// What is known about the way to the peer.
    pub(super) path: Path,
    /// The interface's MTU, bytes.
    pub(super) interface_mtu: u32,
    /// Another, which does not count yet.
    pub(super) next_route: Option<Box<NextRoute>>,
    /// The search for the largest segment that gets through.
    pub(super) mtu_probe: MtuProbe,
    pub(super) loss_by_size: LossBySize,
    pub(super) suspicion: Suspicion,
    /// The device cuts large segments.
    pub(super) offload: bool,
    pub(super) offer: Offer,
    pub(super) negotiated: Negotiated,
    pub(super) timestamps: TimestampState,
    pub(super) timers: TimerTable,
    pub(super) rtt: RttEstimator,
    pub(super) ecn: Ecn,
    pub(super) snd: Sender,
    pub(super) rcv: Receiver,
    pub(super) due: Due,
    pub(super) answers: AnswerLimit,
    pub(super) stats: Stats,
    pub(super) chrono: Chrono,
    pub(super) reasons: Reasons,
    /// When the first of the present series of unanswered transmissions left.
    pub(super) unanswered_since: Option<Instant>,
    /// When the first probe of a window that is still closed was due.
    pub(super) probing_since: Option<Instant>,
    /// The device takes nothing at present: what would leave stays here.
    pub(crate) device_full: bool,
    /// When the handshake's segment left, and whether only once (Karn).
    pub(super) handshake_sent: Option<Instant>,
    /// TIME-WAIT has begun and the host has not taken it over yet.
    pub(super) time_wait: Option<Box<TimeWait>>,
    /// The least segment size, options included, as it was when the size was last looked up (Linux's tcp_min_snd_mss).
    pub(super) mss_floor: u16,
    /// Identification of the next IPv4 packet.
    pub(super) identification: u16,
    /// It is among those that the host may let rest.
    pub(crate) is_listed: bool,
}

impl Connection {
    pub(crate) fn is_ipv6(&self) -> bool {
        self.tuple.local.is_ipv6()
    }

    /// When [`Connection::handle_timeout`] has to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Memory of the connection with all that it holds, bytes. A payload counts as long as it is, whatever buffer it is
    /// part of.
    pub(crate) fn memory_bytes(&self) -> u64 {
        size_of::<Connection>() as u64
            + self.rcv.assembler.memory_bytes()
            + self.snd.buffer.memory_bytes()
            + self.snd.recovery.scoreboard().memory_bytes()
    }

    /// The MSS of our own segments' payload: what the peer takes and the path lets through, less our options.
    pub(crate) fn effective_mss(&self) -> u32 {
        let mss = self.unadapted_mss();
        self.loss_by_size.limit().map_or(mss, |limit| mss.min(limit))
    }

    /// The same, whatever is lost.
    pub(super) fn unadapted_mss(&self) -> u32 {
        let on_path = Mss::for_mtu(self.largest_packet(), self.is_ipv6());
        let mut mss = u32::from(self.negotiated.peer_mss.min(on_path).bytes());
        if self.knobs.mss > 0 {
            mss = mss.min(self.knobs.mss);
        }
        mss = mss.max(self.mss_floor.into());
        if self.negotiated.timestamps {
            mss -= TIMESTAMPS_BYTES;
        }
        let mss = super::nagle::bound_to_half_window(mss, self.snd.window.largest);
        if self.rcv.assembler.has_sack_blocks() {
            let blocks = self.rcv.assembler.sack_block_count().min(self.sack_room());
            return mss.saturating_sub(sack_bytes(blocks)).max(8);
        }
        mss
    }

    /// How many SACK blocks fit beside the other options (RFC 2018 §3).
    pub(super) fn sack_room(&self) -> usize {
        match (self.negotiated.sack, self.negotiated.timestamps) {
            (false, _) => 0,
            (true, true) => 3,
            (true, false) => 4,
        }
    }

    /// What the acknowledgment policy needs to know.
    pub(super) fn ack_context(&self, now: Instant) -> AckContext {
        let held = self.rcv.assembler.held_bytes();
        let next = self.rcv.assembler.next();
        let segment = self.rcv.ack.rcv_mss();
        let open_edge = self.rcv.seq_of(self.rcv.window.open_edge());
        let advertised = open_edge.distance_from(self.rcv.last_ack_sent).max(0) as u32;
        AckContext {
            now,
            rcv_nxt: self.rcv.nxt(),
            rcv_wnd: advertised,
            window_now: self.rcv.window.after_advertising(next, held, segment),
            window_clamp: self.rcv.window.clamp(),
            crowded: self.rcv.window.is_crowded(held),
            buffered: held as u32,
            readable: self.rcv.assembler.ready_bytes() as u32,
            low_water: 1,
            out_of_order: self.rcv.assembler.has_gap(),
            sack: self.negotiated.sack,
            receiver_round_trip: self.rcv.window.round_trip(),
            srtt: self.rtt.srtt(),
            rto: self.rtt.rto(),
        }
    }

    pub(super) fn start_timer(&mut self, timer: Timer, now: Instant, delay: std::time::Duration) {
        self.timers.set(timer, self.tick.timer(now, delay));
    }

    /// Restarts the retransmission timer, or stops it when nothing is in flight (RFC 6298 §5.2, §5.3).
    pub(super) fn restart_retransmission_timer(&mut self, now: Instant) {
        if self.snd.in_flight() {
            self.start_timer(Timer::Retransmit, now, self.rtt.rto());
        } else {
            self.timers.stop(Timer::Retransmit);
            self.timers.stop(Timer::LossProbe);
            self.timers.stop(Timer::Reordering);
        }
        self.schedule_loss_probe(now);
    }

    /// Tells the application, if it is the application's.
    pub(super) fn tell(&self, context: &mut Context<'_>, event: Event) {
        if self.owner == Owner::Application {
            context.events.push_back(event);
        }
    }

    pub(super) fn tell_readable(&mut self, context: &mut Context<'_>) {
        if !self.rcv.told_readable && self.owner == Owner::Application {
            self.rcv.told_readable = true;
            context.events.push_back(Event::Readable(self.id));
        }
    }

    /// The connection is over. What has arrived stays readable, what was to be sent is forgotten.
    pub(super) fn finish(&mut self, context: &mut Context<'_>, error: Option<SocketError>) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.error = error;
        self.timers.stop_all();
        self.due = Due::default();
        self.snd.buffer.clear();
        self.snd.queue = SendQueue::default();
        self.snd.recovery = Recovery::new(false, self.knobs.recovery);
        self.snd.group_end = None;
        if error == Some(SocketError::TimedOut) {
            context.counters.count(Counter::TimedOut);
        }
        self.tell(context, Event::Closed(self.id, error));
    }

    /// Sends a packet outside the usual order (RST).
    pub(super) fn reply(&self, context: &mut Context<'_>, packet: Packet) {
        context.replies.push_back(Transmit::new(self.interface, packet));
    }
}
