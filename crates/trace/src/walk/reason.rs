//! Did the application write now, or did something hold back what it wrote before?

use super::Walk;
use super::end::{End, INITIAL_WINDOW, LATE_RELEASE_NS, RELEASE_NS};
use crate::detect::nagle::Hold;
use crate::tcp::event::{Event, Marks};

/// Why new payload left when it left. Times in nanoseconds on the sender's clock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    /// It belongs to a write that had begun before.
    Continues,
    /// Nagle held it until an acknowledgment came.
    Held(Hold),
    /// A small write waited for the congestion or receive window; it was written at most `gap` before.
    Crowded { gap: i64 },
    /// The application wrote `think` after it had heard something new, or after the connection was established.
    Answers { think: i64 },
    /// The application wrote on its own account, `gap` after its last write.
    Own { gap: i64 },
}

/// A segment that Nagle may hold: it ends a write and is not full. A superpacket counts by what its last segment is.
pub(super) fn small(event: &Event, segment_bytes: u32) -> bool {
    event.marks.has(Marks::PUSH) && !event.bytes.is_multiple_of(segment_bytes.max(1))
}

impl Walk {
    pub(super) fn reason(&self, event: &Event, now: i64) -> Reason {
        let end = &self.ends[event.side.index()];
        if let Some(hold) = self.held(end, event, now) {
            return Reason::Held(hold);
        }
        let clocked = end.acked_at.is_some_and(|at| now - at <= RELEASE_NS && Some(at) >= end.sent);
        let idle = end.sent.max(end.acked_at).map_or(i64::MAX, |t| now - t);
        let in_flight = end.acked < end.next;
        // A full segment that was not pushed is followed by more of the same write, whatever limits the rate; only a silence with nothing in flight and
        // room in the window is the application's.
        if end.open && (in_flight || clocked || idle <= super::PAUSE_NS || end.acked >= end.window_edge) {
            return Reason::Continues;
        }
        let closed_since = end.peer_closed.is_some_and(|at| end.sent.is_none_or(|sent| at >= sent));
        if event.ack > end.received_at_write || closed_since {
            let since = end.heard.max(end.peer_closed).max(end.sent).unwrap_or(now);
            return Reason::Answers { think: (now - since).max(0) };
        }
        let Some(sent) = end.sent else {
            let since = end.established.filter(|_| self.setting.handshake).unwrap_or(now);
            return Reason::Answers { think: (now - since).max(0) };
        };
        let gap = (now - sent).max(0);
        // Linux pushes full segments in the middle of a long write wherever its own bookkeeping of buffers ends.
        if end.full && (clocked || in_flight) {
            return Reason::Continues;
        }
        let limited = end.may_be_congestion_limited() || event.end() > end.window_edge_before;
        if clocked && limited {
            return Reason::Crowded { gap };
        }
        Reason::Own { gap }
    }

    /// Nagle held this segment if a small one of the same side was in flight (Minshall's test, which Linux uses; with RFC 896 any
    /// segment of the same write), nothing else held it, and it left when the acknowledgment came, which carried nothing the application could have
    /// answered.
    fn held(&self, end: &End, event: &Event, now: i64) -> Option<Hold> {
        if !small(event, end.segment_bytes) || event.marks.has(Marks::FIN) {
            return None;
        }
        let sent = end.sent?;
        let minshall = end.small_acked.filter(|release| release.at >= sent);
        let everything = end.all_acked.filter(|_| end.open);
        let release = minshall.or(everything)?;
        let since = end.heard.map_or(sent, |heard| heard.max(sent));
        let lasted = now - since;
        let waited = release.at - since;
        let after = now - release.at;
        // Where a round trip takes microseconds, "soon after" has to be soon even against that. Where it has happened again and again, a host
        // that was busy for once, or a path that was slower for once, does not make it something else.
        let (patience, share) = match self.holds[event.side.index()].habitual() {
            true => (LATE_RELEASE_NS, 2),
            false => (RELEASE_NS, 4),
        };
        let jitter = self.setting.jitter[event.side.index()] as i64;
        let soon = after <= (patience + jitter).min((waited / share).max(50_000));
        let crowded = event.end() > end.window_edge_before
            || end.may_be_congestion_limited()
            || (minshall.is_none() && end.flight_before >= INITIAL_WINDOW);
        if !release.pure || waited <= 0 || !soon || crowded {
            return None;
        }
        let since_sent = if minshall.is_some() { end.small_sent } else { sent };
        let ack_late = release.at - since_sent - self.path() as i64;
        Some(Hold { lasted, after, ack_late: ack_late.max(0), continues: end.open })
    }
}
