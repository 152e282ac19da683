//! Which of one side's bytes are new in this segment, which were sent again, and which has the capture
//! missed?
//!
//! Everything here is in the order of the capture and knows nothing of the two ends' own clocks.

use super::event::Marks;
use super::segment::Segment;
use narrows_wire::{Seq, TcpFlags};

/// Bytes that the capture has not got, below the highest one seen.
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: u64,
    end: u64,
    /// When it was noticed, nanoseconds since the connection's first packet.
    since: u64,
}

/// A hole filled within this time was reordering, on the path or in the capture, and not a retransmission:
/// even the quickest one (RACK, RFC 8985) waits a quarter of a round trip longer than the reordering it has
/// seen.
const REORDERING_NS: u64 = 3_000_000;
/// The same data segment again within this time, timestamps included, was captured twice.
const CAPTURED_TWICE_NS: u64 = 1_000_000;
/// Holes kept per direction; more than that, and the oldest count as lost.
const MAX_HOLES: usize = 64;
/// A segment farther than this from the last one does not belong to the connection.
const PLAUSIBLE: i64 = 1 << 30;

/// What [`Direction::take`] says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) offset: u64,
    pub(crate) marks: Marks,
    /// Payload bytes nobody has counted yet.
    pub(crate) new_bytes: u64,
}

/// One direction's sequence space.
#[derive(Clone, Debug, Default)]
pub(crate) struct Direction {
    base: Option<Seq>,
    /// Only an acknowledgment has fixed the base yet.
    tentative: bool,
    /// Behind the highest byte that was sent, as far as the capture tells.
    pub(crate) next: u64,
    /// What the other side has acknowledged.
    pub(crate) acked: u64,
    /// The offset of FIN.
    pub(crate) fin: Option<u64>,
    holes: Vec<Hole>,
    /// Bytes that were acknowledged but never captured.
    pub(crate) missing_bytes: u64,
    last_data: Option<(Seq, u32, u32, u64)>,
}

impl Direction {
    /// The sequence number of the first payload byte, once something has fixed it.
    pub(crate) fn base(&self) -> Option<Seq> {
        self.base
    }

    /// Payload starts here: behind a SYN, or at the first segment of a capture that began later.
    pub(crate) fn set_base(&mut self, base: Seq) {
        self.base = Some(base);
    }

    /// Where `seq` lies relative to the first payload byte; `None` when it is implausibly far away.
    pub(crate) fn offset(&self, seq: Seq) -> Option<i64> {
        let base = self.base?;
        let next = base + self.next as u32;
        let distance = i64::from(seq.distance_from(next));
        (distance.abs() < PLAUSIBLE).then_some(self.next as i64 + distance)
    }

    /// Places a segment of this direction. `None` for what cannot belong here, or was captured twice.
    pub(crate) fn take(&mut self, segment: &Segment, time: u64) -> Option<Placed> {
        let syn = segment.flags.contains(TcpFlags::SYN);
        let first = segment.seq + u32::from(syn);
        // What was on its way when the capture began is not part of it.
        if self.base.is_none() || (self.tentative && self.next == 0) {
            self.set_base(first);
        }
        self.tentative = false;
        let offset = self.offset(first)?;
        let mut marks = Marks::default();
        let mut bytes = u64::from(segment.payload_bytes);
        // A keep-alive repeats the last byte or none at all, one before what is next (RFC 9293 §3.8.4).
        if bytes <= 1
            && offset == self.next as i64 - 1
            && !segment.flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST)
            && self.acked == self.next
        {
            marks.add(Marks::PROBE);
            return Some(Placed { offset: self.next, marks, new_bytes: 0 });
        }
        // What lies before the first byte of a capture that began later is of no use.
        let before = u64::try_from(-offset).unwrap_or(0).min(bytes);
        bytes -= before;
        let offset = (offset + before as i64).max(0) as u64;
        let end = offset + bytes;
        let mut new_bytes = 0;
        if bytes > 0 {
            let stamp = segment.options.timestamps.map_or(0, |t| t.value);
            let same = (segment.seq, segment.payload_bytes, stamp);
            if let Some((seq, length, value, at)) = self.last_data
                && (seq, length, value) == same
                && time.saturating_sub(at) < CAPTURED_TWICE_NS
            {
                return None;
            }
            self.last_data = Some((same.0, same.1, same.2, time));
            let (filled, in_holes) = self.fill(offset, end);
            if offset > self.next {
                self.add_hole(Hole { start: self.next, end: offset, since: time });
            }
            let beyond = end.saturating_sub(self.next.max(offset));
            match filled {
                Some(since) if time.saturating_sub(since) > REORDERING_NS => marks.add(Marks::SENT_AGAIN),
                None if beyond == 0 => marks.add(Marks::SENT_AGAIN),
                _ => {}
            }
            new_bytes = beyond + in_holes;
            self.next = self.next.max(end);
        }
        if segment.flags.contains(TcpFlags::FIN) {
            if self.fin.is_some() && bytes == 0 {
                marks.add(Marks::SENT_AGAIN);
            }
            self.fin.get_or_insert(end);
        }
        Some(Placed { offset, marks, new_bytes })
    }

    /// The other side has acknowledged up to `ack`. Returns the offset without SYN and FIN.
    pub(crate) fn acknowledged(&mut self, ack: Seq, time: u64) -> Option<u64> {
        if self.base.is_none() {
            self.set_base(ack);
            self.tentative = true;
        }
        let offset = self.offset(ack)?.max(0) as u64;
        let offset = self.fin.map_or(offset, |fin| offset.min(fin));
        if offset > self.next {
            self.add_hole(Hole { start: self.next, end: offset, since: time });
            self.next = offset;
        }
        if offset > self.acked {
            self.acked = offset;
            // What is acknowledged but still a hole a little later was missed by the capture, not lost by the
            // network.
            let missing = &mut self.missing_bytes;
            self.holes.retain(|hole| {
                let missed = hole.end <= offset && time.saturating_sub(hole.since) > REORDERING_NS;
                *missing += if missed { hole.end - hole.start } else { 0 };
                !missed
            });
        }
        Some(offset)
    }

    /// At the end of a capture: holes that nothing has filled but that were acknowledged.
    pub(crate) fn missing(&self) -> u64 {
        let open: u64 = self.holes.iter().filter(|h| h.end <= self.acked).map(|h| h.end - h.start).sum();
        self.missing_bytes + open
    }

    fn add_hole(&mut self, hole: Hole) {
        if self.holes.len() == MAX_HOLES {
            let oldest = self.holes.remove(0);
            self.missing_bytes += oldest.end - oldest.start;
        }
        self.holes.push(hole);
    }

    /// Takes `start..end` out of the holes: the time at which the oldest of those touched was noticed, and
    /// how many bytes were in them.
    fn fill(&mut self, start: u64, end: u64) -> (Option<u64>, u64) {
        let (mut touched, mut bytes) = (None, 0);
        let mut n = 0;
        while n < self.holes.len() {
            let hole = self.holes[n];
            if end <= hole.start || hole.end <= start {
                n += 1;
                continue;
            }
            touched = Some(touched.map_or(hole.since, |since: u64| since.min(hole.since)));
            bytes += end.min(hole.end) - start.max(hole.start);
            self.holes.remove(n);
            for (from, to) in [(hole.start, start.max(hole.start)), (end.min(hole.end), hole.end)] {
                if from < to {
                    self.holes.insert(n, Hole { start: from, end: to, since: hole.since });
                    n += 1;
                }
            }
        }
        (touched, bytes)
    }
}
