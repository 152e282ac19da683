//! When did the last byte of each write leave, and when was it acknowledged? SO_TIMESTAMPING as far as TCP has it: notices on the
//! socket's error queue (Linux's Documentation/networking/timestamping.rst).

use std::collections::VecDeque;

const TX_SOFTWARE: i64 = 2;
const OPT_ID: i64 = 128;
const TX_SCHED: i64 = 256;
const TX_ACK: i64 = 512;
const OPT_TSONLY: i64 = 2048;
const OPT_ID_TCP: i64 = 65_536;

/// SCM_TSTAMP_SND, SCM_TSTAMP_SCHED, SCM_TSTAMP_ACK.
const SENT: i64 = 0;
const SCHEDULED: i64 = 1;
const ACKNOWLEDGED: i64 = 2;

/// A notice on the error queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// SCM_TSTAMP_SND, _SCHED or _ACK.
    pub kind: i64,
    /// Which byte it is about, counted from when identifiers were asked for; 0 without them.
    pub key: u32,
    /// When it happened, microseconds of the script.
    pub at: i64,
    /// It comes with the bytes themselves.
    pub with_data: bool,
}

/// The last byte of a write.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Position after it.
    end: u64,
    sent: bool,
}

/// What one socket wants to know, and has come to know.
#[derive(Clone, Debug, Default)]
pub struct Stamps {
    flags: i64,
    /// The position of the byte with identifier 0.
    first: u64,
    marks: VecDeque<Mark>,
    queue: VecDeque<Notice>,
}

impl Stamps {
    /// setsockopt: `written` and `acknowledged` bytes so far.
    pub fn configure(&mut self, flags: i64, written: u64, acknowledged: u64) {
        if flags & OPT_ID != 0 && self.flags & OPT_ID == 0 {
            self.first = if flags & OPT_ID_TCP != 0 { written } else { acknowledged };
        }
        self.flags = flags;
    }

    /// A write has put bytes up to `end` into the send buffer. A mark that is still there joins the new one's buffer.
    pub fn on_write(&mut self, end: u64) {
        if self.flags & (TX_SOFTWARE | TX_SCHED | TX_ACK) == 0 {
            return;
        }
        if self.marks.back().is_some_and(|mark| !mark.sent) {
            self.marks.pop_back();
        }
        self.marks.push_back(Mark { end, sent: false });
    }

    /// Bytes up to `end` have left.
    pub fn on_sent(&mut self, end: u64, now: i64) {
        let mut notices = Vec::new();
        for mark in self.marks.iter_mut().filter(|mark| !mark.sent && mark.end <= end) {
            mark.sent = true;
            notices.push(mark.end);
        }
        for end in notices {
            self.tell(TX_SCHED, SCHEDULED, end, now);
            self.tell(TX_SOFTWARE, SENT, end, now);
        }
    }

    /// Bytes up to `end` were acknowledged.
    pub fn on_acknowledged(&mut self, end: u64, now: i64) {
        while let Some(mark) = self.marks.front().copied().filter(|mark| mark.sent && mark.end <= end) {
            self.marks.pop_front();
            self.tell(TX_ACK, ACKNOWLEDGED, mark.end, now);
        }
    }

    fn tell(&mut self, wanted: i64, kind: i64, end: u64, at: i64) {
        if self.flags & wanted != 0 {
            let key = if self.flags & OPT_ID == 0 { 0 } else { end.wrapping_sub(1 + self.first) as u32 };
            self.queue.push_back(Notice { kind, key, at, with_data: self.flags & OPT_TSONLY == 0 });
        }
    }

    /// The oldest notice.
    pub fn take(&mut self) -> Option<Notice> {
        self.queue.pop_front()
    }

    /// There is a notice.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: i64 = TX_SOFTWARE | TX_SCHED | TX_ACK | OPT_ID;

    #[test]
    fn the_last_byte_of_each_write_is_reported_when_it_leaves_and_when_it_is_acknowledged() {
        let mut stamps = Stamps::default();
        stamps.configure(ALL, 0, 0);
        stamps.on_write(2000);
        stamps.on_sent(1000, 10);
        assert!(!stamps.is_waiting());
        stamps.on_sent(2000, 20);
        stamps.on_acknowledged(1999, 25);
        stamps.on_acknowledged(2000, 30);
        let seen: Vec<_> = std::iter::from_fn(|| stamps.take()).map(|n| (n.kind, n.key, n.at)).collect();
        assert_eq!(seen, [(SCHEDULED, 1999, 20), (SENT, 1999, 20), (ACKNOWLEDGED, 1999, 30)]);
    }

    #[test]
    fn writes_that_leave_together_are_reported_as_one() {
        let mut stamps = Stamps::default();
        stamps.configure(ALL, 500, 500);
        stamps.on_write(600);
        stamps.on_write(700);
        stamps.on_sent(700, 5);
        assert_eq!(stamps.take().map(|notice| notice.key), Some(199));
        assert_eq!(stamps.take().map(|notice| notice.kind), Some(SENT));
        assert_eq!(stamps.take(), None);
    }
}
