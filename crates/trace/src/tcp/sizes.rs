//! What do the sizes of one connection's packets show? Feeds both directions' trackers and asks them at the end.

use super::event::{Event, Marks};
use super::segment::Segment;
use crate::size::Vanishing;
use crate::size::passage::Passage;
use crate::size::refill::Refill;
use crate::size::told::Told;
use crate::size::upward::Upward;
use narrows_lab::Side;

/// Full segments: those that end no write, by the size that most of them have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Full {
    /// Payload of the largest, and of the smallest, bytes.
    pub(crate) most: u32,
    pub(crate) least: u32,
    /// IP packet of the largest, bytes.
    pub(crate) packet: u32,
    /// How many are as large as the largest.
    pub(crate) count: u32,
    /// Number of the first of these, less that of the connection's first packet.
    pub(crate) first: u32,
}

impl Full {
    fn add(&mut self, payload: u32, packet: u32, number: u32) {
        self.least = if self.most == 0 { payload } else { self.least.min(payload) };
        if payload > self.most {
            *self = Full { most: payload, packet, count: 0, first: number, ..*self };
        }
        self.count = self.count.saturating_add(u32::from(payload == self.most));
    }

    /// All of them had one size.
    pub(crate) fn constant(&self) -> bool {
        self.most > 0 && self.least == self.most
    }
}

/// How large one side's packets may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// As the other side has asked for, bytes of IP.
    pub(crate) by_peer: u32,
    /// As it asks for itself.
    pub(crate) own: u32,
    /// Payload of a full segment, bytes.
    pub(crate) payload: u32,
    /// The capture has not got what the other side asked for: Ethernet's size stands for it.
    pub(crate) guessed: bool,
}

/// One direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) passage: Passage,
    pub(crate) refill: Refill,
    pub(crate) told: Told,
    pub(crate) full: Full,
    pub(crate) upward: Upward,
    /// Packets that came in several fragments, on the inside or the outside of a tunnel, and the first one's number.
    pub(crate) fragmented: u32,
    pub(crate) fragmented_outside: u32,
    pub(crate) first_fragmented: u32,
    pub(crate) pieces: u16,
    /// Bytes that the tunnel puts around a packet.
    pub(crate) overhead: u32,
    /// The largest outer packet or fragment of it, bytes.
    pub(crate) largest_outside: u32,
}

/// Both directions, by [`Side::index`] of the sender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) sent: [Sent; 2],
    connected: bool,
}

impl Sizes {
    /// The next segment; `path` is the round trip as far as known, nanoseconds.
    pub(crate) fn take(&mut self, event: &Event, segment: &Segment, asked: [Asked; 2], path: u64) {
        let (from, to) = (event.side.index(), event.side.peer().index());
        let (time, number) = (event.time, event.number);
        if event.marks.has(Marks::SYN) {
            self.sent[from].passage.opened(segment.packet_bytes);
        }
        let headers = segment.packet_bytes.saturating_sub(segment.payload_bytes);
        if event.marks.has(Marks::ACK) {
            if !self.connected {
                // Where the capture begins later, a handshake without payload has passed at least.
                self.sent.iter_mut().for_each(|sent| sent.passage.opened(headers));
            }
            self.sent[to].passage.acknowledged(event.ack, time);
            self.sent[to].refill.acknowledged(event.ack);
            if !event.marks.has(Marks::SYN) && !self.connected {
                self.connected = true;
                for side in [Side::Client, Side::Server] {
                    let (asked, sent) = (asked[side.index()], &mut self.sent[side.index()]);
                    let payload = |packet: u32| packet.saturating_sub(headers);
                    sent.refill.asked(payload(asked.by_peer), payload(asked.own), headers);
                    if asked.guessed {
                        sent.refill.guesses();
                    }
                    if side == event.side {
                        sent.refill.is_there(time);
                    } else {
                        sent.refill.heard(time);
                    }
                }
            }
        }
        let sent = &mut self.sent[from];
        if segment.pieces > 1 {
            sent.count_pieces(segment.pieces, number);
            sent.fragmented = sent.fragmented.saturating_add(1);
        }
        if let Some(outer) = &segment.outer {
            sent.overhead = outer.overhead;
            sent.largest_outside = sent.largest_outside.max(outer.largest_piece);
            if outer.pieces > 1 {
                sent.count_pieces(outer.pieces, number);
                sent.fragmented_outside = sent.fragmented_outside.saturating_add(1);
            }
        }
        if event.bytes == 0 {
            sent.refill.small(segment.packet_bytes);
            if event.marks.has(Marks::ACK) && !event.marks.has(Marks::SYN) && !event.marks.has(Marks::PROBE) {
                sent.refill.stands_at(event.offset, time, number);
            }
            return;
        }
        // What a superpacket becomes on the wire is as large as a segment may be.
        let bytes = headers + event.bytes.min(asked[from].payload);
        let again = event.marks.has(Marks::SENT_AGAIN);
        sent.passage.sent(event.offset, event.end(), bytes, time, number, again);
        sent.refill.came(event.offset, event.end(), segment.packet_bytes, time, number, path);
        sent.upward.came(event.offset, event.end(), headers);
        let full = !event.marks.has(Marks::PUSH) && !event.marks.has(Marks::FIN);
        if full {
            if !again {
                sent.upward.sent(event.bytes, segment.packet_bytes);
            }
            sent.full.add(event.bytes, segment.packet_bytes, number);
        }
        self.sent[to].refill.heard(time);
    }

    /// The other side has `start..end` of what `side` has sent, beyond a gap.
    pub(crate) fn acknowledged_beyond(&mut self, side: Side, start: u64, end: u64) {
        self.sent[side.index()].passage.acknowledged_beyond(start, end);
    }

    /// What vanishes of `side`'s packets for their size, whichever end the capture was made at.
    pub(crate) fn vanishing(&mut self, side: Side, end: u64, path: u64) -> Option<Vanishing> {
        let sent = &mut self.sent[side.index()];
        let vanishing = sent.passage.vanishing(end).or_else(|| sent.refill.vanishing(end, path));
        vanishing.filter(|vanishing| vanishing.passed < vanishing.vanished)
    }
}

impl Sent {
    fn count_pieces(&mut self, pieces: u16, number: u32) {
        if self.fragmented == 0 && self.fragmented_outside == 0 {
            self.first_fragmented = number;
        }
        self.pieces = self.pieces.max(pieces);
    }
}
