//! Did the application write now, or did something hold back what it wrote before?

use super::Walk;
use super::end::{End, INITIAL_WINDOW, LATE_RELEASE_NS, RELEASE_NS, Release};
use crate::detect::nagle::Hold;
use crate::tcp::event::{Event, Marks};
use narrows_lab::Side;

/// Why new payload left when it left. Times in nanoseconds on the sender's clock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    /// It belongs to a write that had begun before.
    Continues,
    /// Nagle held it until an acknowledgment came.
    Held(Hold),
    /// A small write waited for the congestion or receive window; it was written at most `gap` before.
    Crowded { gap: i64 },
    /// The application wrote `think` after it had heard something new, or after the connection was
    /// established.
    Answers { think: i64 },
    /// The application wrote on its own account, `gap` after its last write.
    Own { gap: i64 },
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
        // A full segment that was not pushed is followed by more of the same write, whatever limits the rate;
        // only a silence with nothing in flight and room in the window is the application's.
        if end.open && (in_flight || clocked || idle <= super::PAUSE_NS || end.acked >= end.window_edge) {
            return Reason::Continues;
        }
        let closed_since = end.peer_closed.is_some_and(|at| end.sent.is_none_or(|sent| at >= sent));
        if event.ack > end.received_at_write || closed_since {
            let since = end.heard.max(end.peer_closed).max(end.sent).unwrap_or(now);
            return Reason::Answers { think: self.between(since, now) };
        }
        let Some(sent) = end.sent else {
            let since = end.established.filter(|_| self.setting.handshake).unwrap_or(now);
            return Reason::Answers { think: self.between(since, now) };
        };
        let gap = self.between(sent, now);
        // Linux pushes full segments in the middle of a long write wherever its own bookkeeping of buffers
        // ends.
        if end.full && (clocked || in_flight) {
            return Reason::Continues;
        }
        let limited = end.may_be_congestion_limited() || event.end() > end.window_edge_before;
        if clocked && limited {
            return Reason::Crowded { gap };
        }
        Reason::Own { gap }
    }

    /// Nagle held this segment if a small one of the same side was in flight (Minshall's test, which Linux
    /// uses; with RFC 896 any segment of the same write), nothing else held it, and it left when the
    /// acknowledgment came, which carried nothing the application could have answered.
    fn held(&self, end: &End, event: &Event, now: i64) -> Option<Hold> {
        if !end.is_small(event) || event.marks.has(Marks::FIN) {
            return None;
        }
        let sent = end.sent?;
        if event.end() > end.window_edge_before || end.may_be_congestion_limited() {
            return None;
        }
        let since = end.heard.map_or(sent, |heard| heard.max(sent));
        let continues = end.open || end.full;
        let minshall = end.small_acked.filter(|release| release.at >= sent);
        let everything = end.all_acked.filter(|_| continues && end.flight_before < INITIAL_WINDOW);
        let released = |(release, asked): (Release, i64)| {
            let (waited, after) = (release.at - since, now - release.at);
            let soon = after <= self.patience(event.side).min(self.most_of(event.side, waited));
            let ack_late = (release.at - asked - self.path() as i64).max(0);
            let hold = Hold { lasted: now - since, after, ack_late, continues };
            (release.pure && waited > 0 && soon).then_some(hold)
        };
        let minshall = minshall.map(|release| (release, end.small_sent));
        let everything = everything.map(|release| (release, sent));
        minshall.and_then(released).or_else(|| everything.and_then(released))
    }

    /// How long after an acknowledgment a segment may leave and still have waited for it, nanoseconds. Where
    /// that has happened again and again, a host that was busy for once, or a path that was slower for once,
    /// does not make it something else.
    fn patience(&self, side: Side) -> i64 {
        let habitual = self.holds[side.index()].habitual();
        self.setting.jitter[side.index()] as i64 + if habitual { LATE_RELEASE_NS } else { RELEASE_NS }
    }

    /// Where a round trip takes microseconds, "soon after" has to be soon even against that.
    fn most_of(&self, side: Side, waited: i64) -> i64 {
        let share = if self.holds[side.index()].habitual() { 2 } else { 4 };
        (waited / share).max(50_000)
    }
}
