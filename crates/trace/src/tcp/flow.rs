//! What is known of one connection while its segments are still coming?

mod summary;

use super::connect::{Key, client_and_server};
use super::direction::Direction;
use super::event::{Event, Marks};
use super::segment::Segment;
use super::sizes::{Asked, Sizes};
use crate::identify::Looks;
use crate::rate::{Pace, header_bytes};
use crate::size::ETHERNET_MTU;
use crate::size::announced::TIMESTAMPS_BYTES;
use crate::vantage::Legs;
use crate::walk::{Setting, Walk};
use crate::{Outer, SideSummary, TooBig};
use narrows_lab::Side;
use narrows_stack::Instant;
use narrows_wire::{OptionOrder, SackBlocks, Seq, TcpFlags};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Events kept before they are walked through. By then both legs have shown their minimum; what comes later
/// is not kept, so that memory stays bounded however long a connection lasts.
const MAX_EVENTS: usize = 1024;
/// Room for a short connection's events.
const EVENTS_AT_FIRST: usize = 14;
/// A retransmission after this much silence came from a timeout: the smallest one in use is 200 ms (Linux;
/// RFC 6298 asks for a second).
const TIMEOUT_NS: u64 = 180_000_000;
/// Timestamps that go back farther than this mean that the clock was set, and not that packets were captured
/// out of order.
const CLOCK_SET_NS: i64 = 1_000_000_000;

/// One side, in the order of the capture.
#[derive(Clone, Debug, Default)]
struct Speaker {
    direction: Direction,
    summary: SideSummary,
    syn: Option<Seq>,
    /// The SYN's number less that of the connection's first packet, and whether it was sent again.
    syn_number: u32,
    syn_again: bool,
    option_order: OptionOrder,
    /// Largest and smallest payload of segments that did not end a write: full ones.
    unfinished: Option<(u32, u32)>,
    last_data: Option<u64>,
    /// When it last said anything.
    last: u64,
}

impl Speaker {
    /// The system it looks like.
    fn looks_like(&self) -> Option<&'static str> {
        let options = self.summary.syn_options.as_ref()?;
        let (window, hop_limit) = (self.summary.syn_window?, self.summary.hop_limit?);
        Looks { order: self.option_order, options, window, hop_limit }.system()
    }
}

/// One connection's working state.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) number: u32,
    pub(super) key: Key,
    client: SocketAddr,
    server: SocketAddr,
    first_packet: u64,
    last_packet: u64,
    start: Instant,
    last_time: u64,
    /// What to add to times since a clock was set back.
    clock_shift: i64,
    times_back: u64,
    speakers: [Speaker; 2],
    legs: Legs,
    /// How fast each side's payload is acknowledged.
    paces: [Pace; 2],
    sizes: Sizes,
    /// The tunnel that its first packet in one was captured in.
    outer: Option<Outer>,
    events: Vec<Event>,
    walk: Option<Box<Walk>>,
    implausible: u64,
}

impl Flow {
    pub(super) fn new(number: u32, key: Key, segment: &Segment) -> Flow {
        let (client, server) = client_and_server(segment);
        let mut flow = Flow {
            number,
            key,
            client,
            server,
            first_packet: segment.number,
            last_packet: segment.number,
            start: segment.time,
            last_time: 0,
            clock_shift: 0,
            times_back: 0,
            speakers: Default::default(),
            legs: Legs::default(),
            paces: Default::default(),
            sizes: Sizes::default(),
            outer: None,
            events: Vec::new(),
            walk: None,
            implausible: 0,
        };
        for (side, address) in [(Side::Client, client), (Side::Server, server)] {
            flow.speakers[side.index()].summary.address = Some(address);
        }
        flow
    }

    /// The segment opens a new connection between the same ends.
    pub(super) fn is_replaced_by(&self, segment: &Segment) -> bool {
        let opens = segment.flags.contains(TcpFlags::SYN) && !segment.flags.contains(TcpFlags::ACK);
        let side = self.side_of(segment);
        let known = &self.speakers[side.index()];
        let same = known.syn == Some(segment.seq);
        // Both ends may open at once (RFC 9293 §3.5); the second SYN then meets a connection that has none
        // from its side.
        let simultaneous = known.syn.is_none()
            && known.direction.base().is_none()
            && self.speakers[side.peer().index()].syn.is_some();
        opens && !same && !simultaneous
    }

    /// Both sides have closed, or one has reset.
    pub(super) fn is_closed(&self) -> bool {
        let reset = self.speakers.iter().any(|s| s.summary.reset);
        reset || self.speakers.iter().all(|s| s.direction.fin.is_some())
    }

    /// Nothing has been seen of it since this long before `now`.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        now.since(self.start + Duration::from_nanos(self.last_time))
    }

    pub(super) fn buffered(&self) -> usize {
        self.events.len()
    }

    fn number_within(&self, number: u64) -> u32 {
        u32::try_from(number.saturating_sub(self.first_packet)).unwrap_or(u32::MAX)
    }

    fn side_of(&self, segment: &Segment) -> Side {
        if segment.source == self.client { Side::Client } else { Side::Server }
    }

    fn time(&mut self, at: Instant) -> u64 {
        let mut time = at.as_nanos() as i64 - self.start.as_nanos() as i64 + self.clock_shift;
        let last = self.last_time as i64;
        if time < last {
            self.times_back += 1;
            if last - time > CLOCK_SET_NS {
                self.clock_shift += last - time;
            }
            time = last;
        }
        self.last_time = time as u64;
        time as u64
    }

    /// Takes the connection's next segment.
    pub(super) fn push(&mut self, segment: &Segment) {
        let side = self.side_of(segment);
        let (from, to) = (side.index(), side.peer().index());
        let time = self.time(segment.time);
        self.last_packet = segment.number;
        let flags = segment.flags;
        let syn = flags.contains(TcpFlags::SYN);
        let rst = flags.contains(TcpFlags::RST);
        self.count(segment, side);

        let mut marks = Marks::default();
        if syn {
            let again = self.speakers[from].syn == Some(segment.seq);
            if again {
                marks.add(Marks::SENT_AGAIN);
            } else {
                self.speakers[from].syn_number = self.number_within(segment.number);
            }
            self.speakers[from].syn_again |= again;
            self.speakers[from].syn = Some(segment.seq);
            let answers = flags.contains(TcpFlags::ACK);
            if answers {
                self.legs.to(side).handshake_answered(time);
            }
            self.legs.to(side.peer()).handshake_sent(time, !(again && answers));
        }
        let Some(placed) = self.speakers[from].direction.take(segment, time) else {
            self.implausible += 1;
            return;
        };
        let mut event = Event {
            time,
            offset: placed.offset,
            ack: self.speakers[to].direction.acked,
            number: self.number_within(segment.number),
            bytes: segment.payload_bytes,
            window: self.window(segment, side),
            marks: placed.marks,
            side,
        };
        if placed.marks.has(Marks::PROBE) {
            event.bytes = 0;
        }
        for (flag, mark) in [
            (TcpFlags::SYN, Marks::SYN),
            (TcpFlags::FIN, Marks::FIN),
            (TcpFlags::RST, Marks::RST),
            (TcpFlags::ACK, Marks::ACK),
            (TcpFlags::PSH, Marks::PUSH),
        ] {
            if flags.contains(flag) {
                event.marks.add(mark);
            }
        }
        if marks.has(Marks::SENT_AGAIN) {
            event.marks.add(Marks::SENT_AGAIN);
        }
        if flags.contains(TcpFlags::ACK) && !rst {
            match self.speakers[to].direction.acknowledged(segment.ack, time) {
                Some(ack) => event.ack = ack,
                None => {
                    self.implausible += 1;
                    return;
                }
            }
            if !syn {
                self.legs.to(side).handshake_answered(time);
            }
            self.legs.to(side).acknowledged(event.ack, time);
            self.paces[to].acknowledged(event.ack, time);
            for &(left, right) in segment.options.sack.as_slice() {
                let place =
                    |seq| self.speakers[to].direction.offset(seq).and_then(|at| u64::try_from(at).ok());
                if let (Some(left), Some(right)) = (place(left), place(right))
                    && left > event.ack
                {
                    self.sizes.acknowledged_beyond(side.peer(), left, right);
                }
            }
            if duplicate_sack(&segment.options.sack, segment.ack) {
                event.marks.add(Marks::DUPLICATE_SACK);
                self.speakers[to].summary.spurious += 1;
            }
        }
        if let Some(stamps) = segment.options.timestamps {
            self.legs.to(side).echoed(stamps.echo, time);
            self.legs.to(side.peer()).stamped(stamps.value, time, syn);
        }
        self.data(&event, placed.new_bytes);
        self.speakers[from].last = time;
        if self.outer.is_none() {
            self.outer = segment.outer;
        }
        let asked = [Side::Client, Side::Server].map(|side| self.asked_packets(side));
        self.sizes.take(&event, segment, asked, self.legs.shifts().iter().sum());
        self.keep(event);
    }

    /// A router says that a packet of the connection was too big. Who cannot have seen the connection can forge that; the
    /// sequence number has to be one that was sent (RFC 5927 §4.1).
    pub(super) fn too_big(&mut self, message: &TooBig) {
        let side = if message.source == self.client { Side::Client } else { Side::Server };
        let direction = &self.speakers[side.index()].direction;
        let offset = direction.offset(message.seq).and_then(|offset| u64::try_from(offset).ok());
        let smallest = if self.client.is_ipv6() { 1280 } else { 68 };
        if offset.is_none_or(|offset| offset >= direction.next.max(1)) || (1..smallest).contains(&message.mtu)
        {
            self.implausible += 1;
            return;
        }
        let time = message.time.as_nanos() as i64 - self.start.as_nanos() as i64 + self.clock_shift;
        let (time, number) = (time.max(0) as u64, self.number_within(message.number));
        self.sizes.sent[side.index()].told.add(message.mtu, time, number);
    }

    fn count(&mut self, segment: &Segment, side: Side) {
        let speaker = &mut self.speakers[side.index()];
        let summary = &mut speaker.summary;
        let flags = segment.flags;
        summary.packets += 1;
        summary.hop_limit.get_or_insert(segment.hop_limit);
        summary.reset |= flags.contains(TcpFlags::RST);
        summary.fin |= flags.contains(TcpFlags::FIN);
        summary.largest_payload = summary.largest_payload.max(segment.payload_bytes);
        if flags.contains(TcpFlags::SYN) {
            summary.syn_options.get_or_insert_with(|| segment.options.clone());
            speaker.option_order = segment.option_order;
            summary.syn_window.get_or_insert(segment.window);
        }
        if segment.payload_bytes > 0 {
            summary.data_packets += 1;
            if !flags.intersects(TcpFlags::PSH | TcpFlags::FIN) {
                let n = segment.payload_bytes;
                let (least, most) = speaker.unfinished.unwrap_or((n, n));
                speaker.unfinished = Some((least.min(n), most.max(n)));
            }
        } else if !flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            summary.pure_acks += 1;
            if segment.window == 0 {
                summary.zero_windows += 1;
            }
        }
    }

    /// Counts and times payload.
    fn data(&mut self, event: &Event, new_bytes: u64) {
        if event.bytes == 0 {
            return;
        }
        let speaker = &mut self.speakers[event.side.index()];
        let leg = self.legs.to(event.side.peer());
        if event.marks.has(Marks::SENT_AGAIN) {
            speaker.summary.retransmissions += 1;
            let silence = event.time - speaker.last_data.unwrap_or(event.time);
            if silence >= TIMEOUT_NS {
                speaker.summary.timeouts += 1;
            }
            leg.sent_again();
        } else {
            leg.sent(event.end(), event.time);
        }
        speaker.summary.payload_bytes += new_bytes;
        speaker.last_data = Some(event.time);
        if event.marks.has(Marks::PUSH) && !event.bytes.is_multiple_of(self.segment_bytes(event.side).max(1))
        {
            self.paces[event.side.index()].train_ends(event.end());
        }
    }

    /// The receive window a segment offers, in bytes.
    fn window(&self, segment: &Segment, side: Side) -> u32 {
        let scale =
            |side: Side| self.speakers[side.index()].summary.syn_options.as_ref().map(|o| o.window_scale);
        let window = u32::from(segment.window);
        if segment.flags.contains(TcpFlags::SYN) {
            return window;
        }
        match (scale(side), scale(side.peer())) {
            (Some(Some(shift)), Some(Some(_))) => window << shift.min(14),
            (Some(_), Some(_)) => window,
            _ => u32::MAX,
        }
    }

    fn keep(&mut self, event: Event) {
        if let Some(walk) = &mut self.walk {
            walk.push(&event);
            return;
        }
        if self.events.is_empty() {
            self.events.reserve_exact(EVENTS_AT_FIRST);
        }
        self.events.push(event);
        if self.events.len() == MAX_EVENTS {
            self.drain();
        }
    }

    /// Walks through what is kept.
    pub(super) fn drain(&mut self) {
        let (setting, stalls) = (self.setting(), self.stalls());
        let walk = self.walk.get_or_insert_with(|| Box::new(Walk::new(setting, stalls)));
        for event in std::mem::take(&mut self.events) {
            walk.push(&event);
        }
    }

    fn setting(&mut self) -> Setting {
        Setting {
            legs: self.legs.shifts(),
            jitter: self.legs.jitter(),
            segment_bytes: [self.segment_bytes(Side::Client), self.segment_bytes(Side::Server)],
            resized: self.resized(),
            handshake: self.handshake_seen(),
        }
    }

    fn handshake_seen(&self) -> bool {
        self.speakers.iter().all(|s| s.syn.is_some())
    }

    /// The most payload that the other side's SYN lets a segment of `side` have.
    fn asked(&self, side: Side) -> Option<u32> {
        let own = self.speakers[side.index()].summary.syn_options.as_ref();
        let peer = self.speakers[side.peer().index()].summary.syn_options.as_ref();
        let stamps =
            own.is_some_and(|o| o.timestamps.is_some()) && peer.is_some_and(|o| o.timestamps.is_some());
        peer.and_then(|o| o.mss)
            .map(|mss| u32::from(mss).saturating_sub(if stamps { TIMESTAMPS_BYTES } else { 0 }).max(1))
    }

    /// How large the packets of `side` may be (RFC 6691 §2: the MSS option leaves the options of each segment aside). Where the capture
    /// has not got the handshake, they are taken to be as large as Ethernet's at the most.
    fn asked_packets(&self, side: Side) -> Asked {
        let packet = |side: Side| {
            let Some(options) = &self.speakers[side.index()].summary.syn_options else { return ETHERNET_MTU };
            // RFC 9293 §3.7.1.
            let default = if self.client.is_ipv4() { 536 } else { 1220 };
            header_bytes(self.client.ip(), false) + options.mss.map_or(default, u32::from)
        };
        let payload = self.asked(side).unwrap_or_else(|| usual_segment_bytes(self.client.ip()));
        let guessed = self.speakers[side.peer().index()].summary.syn_options.is_none();
        Asked { by_peer: packet(side.peer()), own: packet(side), payload, guessed }
    }

    /// The effective MSS of what `side` sends: what its unfinished segments show, else what was announced to
    /// it.
    fn segment_bytes(&self, side: Side) -> u32 {
        let speaker = &self.speakers[side.index()];
        let announced = self.asked(side);
        let usual = usual_segment_bytes(self.client.ip());
        let bound = announced.unwrap_or(usual);
        match speaker.unfinished {
            Some((_, most)) if most <= bound => most,
            Some((least, most)) if announced.is_none() && most.is_multiple_of(least) && least > 536 => least,
            Some((least, _)) if announced.is_none() && least > bound => least,
            _ => bound,
        }
    }
}

/// What a segment carries over Ethernet, with timestamps.
fn usual_segment_bytes(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(_) => 1448,
        IpAddr::V6(_) => 1428,
    }
}

/// The first block lies below what is acknowledged, or within the second (RFC 2883 §4).
fn duplicate_sack(sack: &SackBlocks, ack: Seq) -> bool {
    let Some(&(left, right)) = sack.as_slice().first() else { return false };
    if right.is_at_or_before(ack) {
        return true;
    }
    sack.as_slice().get(1).is_some_and(|&(l, r)| l.is_at_or_before(left) && right.is_at_or_before(r))
}
