//! How does a connection begin? SYN, SYN-ACK, and both at once (RFC 9293 §3.5).

use super::ack::{AckScheduler, AckStart};
use super::assembler::Assembler;
use super::black_hole::Suspicion;
use super::challenge::AnswerLimit;
use super::chrono::Chrono;
use super::congestion::{Congestion, CongestionConfig};
use super::connection::{Connection, Context, Due, Owner, Receiver, Sender, State, Stats};
use super::ecn::Ecn;
use super::loss_by_size::LossBySize;
use super::mtu_probe::MtuProbe;
use super::nagle::Nagle;
use super::options::{Mss, Negotiated, Offer, TIMESTAMPS_BYTES, TimestampState};
use super::reasons::Reasons;
use super::recovery::Recovery;
use super::rtt::RttEstimator;
use super::segment_size::announced_mss;
use super::send_buffer::SendBuffer;
use super::send_queue::SendQueue;
use super::timer::{Timer, TimerTable};
use super::window::{PeerWindow, ReceiveWindow, WindowScale};
use crate::counters::Counter;
use crate::host::Event;
use crate::path::Path;
use crate::socket::demux::FourTuple;
use crate::{Instant, InterfaceId, Knobs, SocketError, SocketId};
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader};
use std::sync::Arc;

/// What a new connection has to be told.
pub(crate) struct Begin {
    pub(crate) id: SocketId,
    pub(crate) tuple: FourTuple,
    pub(crate) interface: InterfaceId,
    pub(crate) path: Path,
    pub(crate) interface_mtu: u32,
    pub(crate) offload: bool,
    /// The device takes nothing at present.
    pub(crate) device_full: bool,
    pub(crate) owner: Owner,
    pub(crate) knobs: Arc<Knobs>,
    pub(crate) tick_phase_ns: u64,
    /// Initial sequence number.
    pub(crate) iss: Seq,
    pub(crate) timestamp_offset: u32,
}

impl Connection {
    /// A connection that sends its SYN next.
    pub(crate) fn connect(now: Instant, begin: Begin) -> Connection {
        let mut connection = Connection::new(now, begin, State::SynSent);
        connection.due.handshake = true;
        connection
    }

    /// A connection that answers a SYN.
    pub(crate) fn answer(now: Instant, begin: Begin, syn: &TcpHeader) -> Connection {
        let mut connection = Connection::new(now, begin, State::SynReceived);
        connection.passive = true;
        connection.take_syn(now, syn);
        connection.ecn.on_syn(syn.flags);
        connection.due.handshake = true;
        connection
    }

    /// The handshake goes on where it stood: the SYN-ACK left at `begun`, and `repetitions` times since.
    pub(crate) fn resume_handshake(&mut self, begun: Instant, repetitions: u32, answers: AnswerLimit) {
        let _ = self.send_handshake(begun);
        self.answers = answers;
        self.stats.retransmits = repetitions;
        self.stats.total_retransmits = repetitions;
        self.stats.segments_out += u64::from(repetitions);
        self.identification = self.identification.wrapping_add(repetitions as u16);
    }

    /// The handshake goes on after a SYN-ACK of which nothing is known but that it left: it measures no round trip.
    pub(crate) fn resume_from_cookie(&mut self, now: Instant) {
        let _ = self.send_handshake(now);
        self.handshake_sent = None;
    }

    /// The handshake's segment has to leave.
    pub(crate) fn wants_handshake(&self) -> bool {
        self.due.handshake
    }

    /// The limit for answers as it stands.
    pub(crate) fn answers(&self) -> AnswerLimit {
        self.answers
    }

    fn new(now: Instant, begin: Begin, state: State) -> Connection {
        let Begin {
            id,
            tuple,
            interface,
            path,
            interface_mtu,
            offload,
            owner,
            knobs,
            tick_phase_ns,
            iss,
            ..
        } = begin;
        let ipv6 = tuple.local.is_ipv6();
        let tick = knobs.tick(tick_phase_ns);
        let (buffer, limit) = knobs.receive_buffer();
        let window = ReceiveWindow::new(buffer, limit);
        let mss = announced_mss(interface_mtu, ipv6, &knobs);
        let offer = Offer {
            mss,
            window_scale: knobs.window_scaling.then_some(window.scale),
            sack: knobs.sack,
            timestamps: knobs.timestamps,
        };
        let ack_config = knobs.ack_config(tick);
        let start = AckStart { now, rcv_nxt: Seq(0), rcv_wnd: 0, advmss: 0, snd_mss: 0 };
        Connection {
            id,
            tuple,
            interface,
            owner,
            state,
            passive: false,
            error: None,
            tick,
            path,
            interface_mtu,
            next_route: None,
            mtu_probe: MtuProbe::off(now),
            loss_by_size: LossBySize::default(),
            suspicion: Suspicion::default(),
            offload,
            negotiated: Negotiated {
                peer_mss: Mss::default_for(ipv6),
                peer_scale: None,
                sack: false,
                timestamps: false,
            },
            offer,
            timestamps: TimestampState::new(begin.timestamp_offset),
            timers: TimerTable::default(),
            rtt: RttEstimator::new(knobs.rto_limits(), tick),
            ecn: Ecn::new(knobs.ecn),
            snd: Sender {
                iss,
                una: iss,
                nxt: iss,
                buffer: SendBuffer::default(),
                queue: SendQueue::default(),
                pushed: 0,
                window: PeerWindow::default(),
                nagle: Nagle::new(knobs.nagle, knobs.nodelay, knobs.cork),
                recovery: Recovery::new(false, knobs.recovery),
                congestion: Congestion::new(CongestionConfig::new(&knobs, tick), now),
                sent_in_round: false,
                fin_wanted: false,
                fin_sent: false,
                more: false,
                group_end: None,
                group_start: None,
                group_push: None,
                write_blocked: false,
                capacity: knobs.send_buffer().into(),
                last_transmission: now,
                last_data: None,
            },
            rcv: Receiver {
                irs: Seq(0),
                assembler: Assembler::default(),
                window,
                ack: AckScheduler::new(ack_config, start),
                fin_at: None,
                fin_taken: false,
                last_ack_sent: Seq(0),
                last_arrival: now,
                last_data: now,
                told_readable: false,
                read: 0,
                reading: 0,
            },
            due: Due::default(),
            answers: AnswerLimit::default(),
            stats: Stats::default(),
            chrono: Chrono::new(tick),
            reasons: Reasons::default(),
            unanswered_since: None,
            probing_since: None,
            device_full: begin.device_full,
            handshake_sent: None,
            time_wait: None,
            identification: iss.0 as u16,
            mss_floor: Mss::floor(&knobs).bytes(),
            is_listed: false,
            knobs,
        }
    }

    /// The MSS that this side's segments have from the peer's point of view, options subtracted.
    pub(super) fn advertised_mss(&self) -> u32 {
        let option_bytes = if self.negotiated.timestamps { TIMESTAMPS_BYTES } else { 0 };
        u32::from(self.offer.mss.bytes()).saturating_sub(option_bytes)
    }

    /// The peer's SYN, with or without ACK, has come.
    fn take_syn(&mut self, now: Instant, header: &TcpHeader) {
        self.negotiated = self.offer.negotiate(&header.options, self.is_ipv6());
        self.rcv.irs = header.seq;
        if self.negotiated.timestamps
            && let Some(timestamps) = header.options.timestamps
        {
            self.timestamps.remember(timestamps.value, header.seq, header.seq, now);
        }
        self.rcv.window.agree(self.negotiated.peer_scale.is_some());
        self.rcv.last_ack_sent = self.rcv.nxt();
        self.rcv.last_arrival = now;
        // The window of a segment with SYN is never scaled (RFC 7323 §2.2).
        self.snd.window = PeerWindow::start(u32::from(header.window), header.seq, header.ack);
    }

    /// SYN or SYN-ACK, also sent again.
    pub(crate) fn send_handshake(&mut self, now: Instant) -> Packet {
        self.due.handshake = false;
        let answering = self.state == State::SynReceived;
        // Whoever opened itself offers everything again when the peer opens at the same time (as Linux).
        let offer =
            if answering && self.passive { self.offer.restricted_to(&self.negotiated) } else { self.offer };
        let repeated = self.handshake_sent.is_some() || self.stats.retransmits > 0;
        if self.rcv.window.right_edge() == 0 {
            let mss = self.advertised_mss();
            self.rcv.window.initial(now, mss, self.knobs.initcwnd);
            if answering {
                self.rcv.window.agree(self.negotiated.peer_scale.is_some());
            }
        }
        let options = offer.options(self.timestamps.option(now));
        let (flags, ack) = if answering {
            self.due.ack = false;
            (TcpFlags::SYN | TcpFlags::ACK | self.ecn.syn_ack_flags(), self.rcv.nxt())
        } else {
            (TcpFlags::SYN | self.ecn.syn_flags(repeated), Seq(0))
        };
        self.snd.nxt = self.snd.iss + 1;
        let window = self.rcv.window.right_edge().min(65_535) as u16;
        self.handshake_sent = Some(now);
        if !self.timers.is_set(Timer::Retransmit) {
            self.start_timer(Timer::Retransmit, now, self.rtt.rto());
        }
        if repeated {
            self.stats.total_retransmits += 1;
        }
        self.packet(self.snd.iss, ack, flags, window, options, bytes::Bytes::new(), None)
    }

    /// A segment in SYN-SENT (RFC 9293 §3.10.7.3). True when the segment's data and FIN are still to be looked at.
    pub(super) fn in_syn_sent(&mut self, context: &mut Context<'_>, header: &TcpHeader) -> bool {
        let flags = header.flags;
        let acknowledges = flags.contains(TcpFlags::ACK);
        let acceptable = self.snd.iss.is_before(header.ack) && header.ack.is_at_or_before(self.snd.nxt);
        if acknowledges && !acceptable {
            if !flags.contains(TcpFlags::RST) {
                self.reset_at(context, header.ack);
            }
            // The reset makes the peer forget what it had: the SYN goes again at once (as Linux).
            if self.stats.retransmits == 0 {
                self.start_timer(
                    Timer::Retransmit,
                    context.now,
                    self.tick.duration(2).max(std::time::Duration::from_millis(2)),
                );
            }
            return false;
        }
        if flags.contains(TcpFlags::RST) {
            if acknowledges {
                context.counters.count(Counter::ResetsIn);
                self.finish(context, Some(SocketError::Refused));
            }
            return false;
        }
        if !flags.contains(TcpFlags::SYN) {
            context.counters.count(Counter::NoFlags);
            return false;
        }
        self.take_syn(context.now, header);
        if !acknowledges {
            // Both sides opened at once (RFC 9293 §3.5, figure 7).
            self.state = State::SynReceived;
            self.handshake_sent = None;
            self.due.handshake = true;
            return false;
        }
        self.ecn.on_syn_ack(header.flags);
        self.snd.una = header.ack;
        self.establish(context, header);
        self.due.ack = true;
        true
    }

    /// The handshake is complete: the parts that need both sides' values begin.
    pub(super) fn establish(&mut self, context: &mut Context<'_>, header: &TcpHeader) {
        let now = context.now;
        self.state = if self.snd.fin_wanted { State::FinWait1 } else { State::Established };
        self.timers.stop(Timer::Retransmit);
        self.rtt.reset_backoff();
        let sample = match self.handshake_sent {
            Some(sent) if self.stats.retransmits == 0 => Some(now.since(sent)),
            _ => self.echoed_round_trip(header, now),
        };
        match sample {
            Some(sample) => self.rtt.on_sample(sample, self.snd.una, self.snd.nxt),
            None => self.rtt.on_handshake_without_sample(),
        }
        self.stats.retransmits = 0;
        self.stats.delivered += 1;
        self.unanswered_since = None;
        self.rcv.last_ack_sent = self.rcv.nxt();
        self.begin_mtu_probing(now);
        self.rcv.last_data = now;
        let start = AckStart {
            now,
            rcv_nxt: self.rcv.nxt(),
            rcv_wnd: self.rcv.window.open(0),
            advmss: self.advertised_mss(),
            snd_mss: self.effective_mss(),
        };
        self.rcv.ack = AckScheduler::new(self.knobs.ack_config(self.tick), start);
        self.begin_sending(now);
        self.rcv.window.open_for_data(self.offer.mss.bytes().into());
        self.note_arrival(now);
        self.tell(context, Event::Connected(self.id));
        if self.snd.write_blocked {
            self.snd.write_blocked = false;
            self.tell(context, Event::Writable(self.id));
        }
    }

    /// The shift of the windows in the peer's segments.
    pub(super) fn peer_scale(&self) -> u8 {
        self.negotiated.peer_scale.map_or(0, WindowScale::shift)
    }
}
