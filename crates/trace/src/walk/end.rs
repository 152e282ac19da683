//! What does one end know at this moment, on its own clock: what has arrived, what is acknowledged, what is
//! in flight?

use crate::tcp::event::{Event, Marks};
use std::collections::VecDeque;

/// A segment on its way to this end, with the time of its arrival there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) at: i64,
    pub(super) event: Event,
}

/// How many segments a sender may have in flight without asking its congestion window: the initial window
/// (RFC 6928). What waits although fewer are in flight does not wait for the congestion window, unless
/// something was lost.
pub(super) const INITIAL_WINDOW: usize = 10;
/// A release this long after the ACK that allowed it was still caused by it.
pub(super) const RELEASE_NS: i64 = 1_000_000;

/// The same, where the sender is known to hold small segments.
pub(super) const LATE_RELEASE_NS: i64 = 5_000_000;
/// Two round trips over a quiet path differ by less than this.
const MOST_SLACK_NS: i64 = 200_000;

/// One end of the connection as the walk sees it. Times are nanoseconds on this end's clock since the
/// connection's first packet; offsets are those of [`Event`].
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    /// Half of the smallest time from the vantage to this end and back.
    pub(super) half: i64,
    /// How far round trips to this end commonly lie above the smallest.
    pub(super) jitter: i64,
    /// The effective MSS of what this end sends.
    pub(super) segment_bytes: u32,
    /// What it sends changes its size on the way; then `piece` is the last segment that ended no write.
    resized: bool,
    pub(super) piece: u32,
    pub(super) pending: VecDeque<Arrival>,

    /// When the connection was established, as this end sees it.
    pub(super) established: Option<i64>,
    /// When payload last arrived that it had not before, and before that.
    pub(super) heard: Option<i64>,
    heard_before: Option<i64>,
    heard_end: u64,
    /// How much it has shown to have received in order.
    shown: u64,
    /// When the other end's FIN arrived.
    pub(super) peer_closed: Option<i64>,
    /// How much it had received when it last wrote.
    pub(super) received_at_write: u64,
    /// Arrival of the oldest payload it has not acknowledged, and how much payload that is.
    pub(super) unacknowledged: Option<(i64, u64)>,
    /// How much later than by the leg's minimum something last arrived that is acknowledged at once, and when.
    pub(super) queued: Option<(i64, i64)>,

    /// Behind the last byte it sent.
    pub(super) next: u64,
    /// What the other end has acknowledged.
    pub(super) acked: u64,
    /// When an acknowledgment of something new last arrived.
    pub(super) acked_at: Option<i64>,
    /// Most segments in flight, up to [`INITIAL_WINDOW`], and bytes, since it last sent something new.
    pub(super) flight_before: usize,
    pub(super) flight_bytes_before: u64,
    /// Most bytes it ever had in flight before that, as long as nothing was lost: its congestion window
    /// allowed them.
    pub(super) most_in_flight: u64,
    /// Right edge of the window the other end offered, and before the last acknowledgment.
    pub(super) window_edge: u64,
    pub(super) window_edge_before: u64,
    /// Behind the last small segment it sent, and when it left.
    pub(super) small_end: u64,
    pub(super) small_sent: i64,
    /// When the acknowledgment of the last small segment came: what Minshall's test waits for.
    pub(super) small_acked: Option<Release>,
    /// When the acknowledgment of everything sent came: what RFC 896's test waits for.
    pub(super) all_acked: Option<Release>,
    /// When it last sent something new.
    pub(super) sent: Option<i64>,
    /// Its last segment was full and did not end a write: more was ready.
    pub(super) open: bool,
    /// Its last segment was full, and so was pushed only because the sender's own bookkeeping ended there.
    pub(super) full: bool,
    /// Something was lost since everything was last acknowledged.
    pub(super) recovering_until: u64,
    starts: [u64; INITIAL_WINDOW],
    segments: u64,
}

/// An acknowledgment that may have released a held segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release {
    pub(super) at: i64,
    /// It carried nothing that the application could have answered: no payload and no FIN.
    pub(super) pure: bool,
}

impl End {
    pub(super) fn new(leg: u64, jitter: u64, segment_bytes: u32, resized: bool) -> End {
        End {
            half: (leg / 2) as i64,
            jitter: jitter as i64,
            segment_bytes,
            resized,
            window_edge: u64::MAX,
            window_edge_before: u64::MAX,
            ..End::default()
        }
    }

    /// What a full segment of this end carries at present.
    pub(super) fn full_segment(&self) -> u32 {
        match (self.resized, self.piece) {
            (true, piece @ 1..) => piece.min(self.segment_bytes),
            _ => self.segment_bytes,
        }
    }

    /// A segment that Nagle may hold: it ends a write and is not full. A superpacket counts by what its last segment is.
    pub(super) fn is_small(&self, event: &Event) -> bool {
        let full = match (self.resized, self.piece) {
            (true, piece @ 1..) => event.bytes >= piece,
            _ => event.bytes.is_multiple_of(self.segment_bytes.max(1)),
        };
        event.marks.has(Marks::PUSH) && !full
    }

    /// How many segments are in flight, up to [`INITIAL_WINDOW`].
    pub(super) fn flight(&self) -> usize {
        let sent = self.segments.min(INITIAL_WINDOW as u64) as usize;
        (1..=sent)
            .take_while(|back| {
                let n = (self.segments - *back as u64) % INITIAL_WINDOW as u64;
                self.starts[n as usize] >= self.acked
            })
            .count()
    }

    /// When something new last left or came, or else the connection was established.
    pub(super) fn last_word(&self) -> Option<i64> {
        self.heard.max(self.sent).or(self.established)
    }

    /// This end shows to have received so much in order; true when that is more than before.
    pub(super) fn shows(&mut self, received: Option<u64>) -> bool {
        let before = self.shown;
        self.shown = before.max(received.unwrap_or(0));
        self.shown > before
    }

    /// Lets everything arrive that must have arrived by `now`, or that the end shows to have received
    /// (`received`; `news`: more than before).
    pub(super) fn next_arrival(&mut self, now: i64, received: Option<u64>, news: bool) -> Option<Arrival> {
        let front = self.pending.front()?;
        let event = &front.event;
        let known =
            received.is_some_and(|r| event.bytes > 0 && event.end() <= r && event.end() > self.heard_end);
        // A queue or a slow link makes some arrivals later than the leg's minimum says; that this end does
        // not acknowledge them yet shows it, unless something before them is missing.
        let not_yet = received.is_some_and(|r| event.bytes > 0 && event.end() > r)
            && (news || now - front.at < RELEASE_NS.max(self.half / 2));
        // The minimum comes from other segments than these; what this end sent because of an arrival can seem
        // to leave a little before it.
        let slack = (self.half / 10).min(MOST_SLACK_NS).max(self.jitter.min(self.half / 2));
        if known || (front.at <= now + slack && !not_yet) {
            let mut arrival = self.pending.pop_front()?;
            arrival.at = arrival.at.min(now);
            return Some(arrival);
        }
        None
    }

    /// A segment from the other end has arrived.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { at, event } = arrival;
        // A SYN alone opens nothing yet: who accepts hears of the connection when the handshake's last ACK arrives.
        if self.established.is_none() && event.marks.has(Marks::ACK) {
            self.established = Some(at);
        }
        if event.marks.has(Marks::DUPLICATE_SACK) {
            self.recovering_until = 0;
        }
        if event.marks.has(Marks::FIN) {
            self.peer_closed.get_or_insert(at);
        }
        if event.marks.has(Marks::ACK) {
            if event.ack > self.acked {
                let release = Release { at, pure: event.bytes == 0 && !event.marks.has(Marks::FIN) };
                if self.flight_before < INITIAL_WINDOW {
                    self.flight_before = self.flight().max(self.flight_before);
                }
                self.flight_bytes_before = self.flight_bytes_before.max(self.next.saturating_sub(self.acked));
                self.window_edge_before = self.window_edge;
                self.acked_at = Some(at);
                if self.acked < self.small_end && self.small_end <= event.ack {
                    self.small_acked = Some(release);
                }
                if event.ack >= self.next {
                    self.all_acked = Some(release);
                }
                self.acked = event.ack;
            }
            let edge = event.ack.saturating_add(u64::from(event.window));
            self.window_edge = if event.window == u32::MAX { u64::MAX } else { edge };
        }
        if event.bytes > 0 && !event.marks.has(Marks::PROBE) {
            self.heard_before = self.heard;
            self.heard = Some(at);
            self.heard_end = self.heard_end.max(event.end());
            let (since, bytes) = self.unacknowledged.unwrap_or((at, 0));
            self.unacknowledged = Some((since, bytes + u64::from(event.bytes)));
        }
    }

    /// This end says that what it heard last had arrived before (RFC 2883): it does not count as heard.
    pub(super) fn unhear(&mut self) {
        if self.heard_before.is_some() {
            self.heard = self.heard_before;
        }
    }

    /// The congestion window may have been what limits it, as far as one can tell from outside.
    pub(super) fn may_be_congestion_limited(&self) -> bool {
        let initial = INITIAL_WINDOW as u64 * u64::from(self.segment_bytes);
        let shown = self.flight_bytes_before > initial && self.flight_bytes_before <= self.most_in_flight;
        self.acked < self.recovering_until || (self.flight_before >= INITIAL_WINDOW && !shown)
    }

    /// Something was lost: the congestion window is smaller now.
    pub(super) fn loses(&mut self) {
        self.recovering_until = self.next;
        self.most_in_flight = 0;
    }

    /// New payload leaves: `start..end`, in segments of `segment_bytes`.
    pub(super) fn sends(&mut self, now: i64, start: u64, end: u64, pushed: bool, small: bool) {
        let step = u64::from(self.segment_bytes.max(1));
        let pieces = (end - start).div_ceil(step).min(INITIAL_WINDOW as u64);
        for piece in 0..pieces {
            let n = self.segments % INITIAL_WINDOW as u64;
            self.starts[n as usize] = end.saturating_sub((pieces - piece) * step).max(start);
            self.segments += 1;
        }
        self.next = end;
        self.most_in_flight = self.most_in_flight.max(self.flight_bytes_before);
        (self.flight_before, self.flight_bytes_before) = (0, 0);
        self.sent = Some(now);
        self.open = !pushed;
        self.full = !small;
        self.small_acked = None;
        self.all_acked = None;
        if small {
            self.small_end = end;
            self.small_sent = now;
        }
    }
}
