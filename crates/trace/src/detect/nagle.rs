//! Did Nagle hold small segments (RFC 896, RFC 9293 §3.7.4), and did it wait for a delayed acknowledgment
//! (RFC 1122 §4.2.3.2) or only for a round trip?

use super::MAX_EVIDENCE;
use crate::ack_timer::DELAYED_NS;
use crate::script::duration;
use crate::tcp::event::Event;
use crate::{Cause, Confidence, Finding};
use narrows_lab::Side;
use std::time::Duration;

/// Fewer than this are not a pattern: a server's session tickets and its first answer are one such pair on
/// any TLS connection.
const LEAST_COUNT: u32 = 3;

/// A segment that Nagle held. Nanoseconds on the sender's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// From when it can have been written to when it left.
    pub(crate) lasted: i64,
    /// From the acknowledgment's arrival to when it left.
    pub(crate) after: i64,
    /// How long the acknowledgment took beyond the path's round trip.
    pub(crate) ack_late: i64,
    /// It is the last part of a write whose full segments had left.
    pub(crate) continues: bool,
}

impl Hold {
    /// The acknowledgment was a delayed one.
    pub(crate) fn late(&self) -> bool {
        self.ack_late >= DELAYED_NS
    }
}

#[derive(Clone, Debug, Default)]
struct Class {
    count: u32,
    lost: i64,
    after: i64,
    ack_late: i64,
    evidence: Vec<u64>,
}

/// The segments of one side that Nagle held, by what they waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    delayed: Class,
    prompt: Class,
    /// Small segments that left although a small one was in flight.
    not_held: u32,
}

impl Holds {
    /// A segment was held.
    pub(crate) fn add(&mut self, hold: &Hold, event: &Event) {
        let class = if hold.late() { &mut self.delayed } else { &mut self.prompt };
        class.count = class.count.saturating_add(1);
        class.lost = class.lost.saturating_add(hold.lasted);
        class.after = class.after.saturating_add(hold.after);
        class.ack_late = class.ack_late.saturating_add(hold.ack_late);
        if class.evidence.len() < MAX_EVIDENCE {
            class.evidence.push(u64::from(event.number));
        }
    }

    /// A small segment left where Nagle would have held it.
    pub(crate) fn not_held(&mut self) {
        self.not_held = self.not_held.saturating_add(1);
    }

    /// This side has been seen to hold small segments, and never not to.
    pub(crate) fn habitual(&self) -> bool {
        self.delayed.count + self.prompt.count >= LEAST_COUNT && self.not_held == 0
    }

    /// Names what is worth naming. `path` is the path's round trip, `first` the number of the connection's
    /// first packet.
    pub(crate) fn findings(&self, side: Side, path: u64, first: u64, certain: bool) -> Vec<Finding> {
        let all = self.delayed.count + self.prompt.count;
        // With Nagle on, small segments never leave while one is in flight; where they do, what looked like a
        // release was chance.
        if self.not_held >= all {
            return Vec::new();
        }
        let classes =
            [(Cause::NagleDelayedAck, &self.delayed), (Cause::NagleWithoutDelayedAck, &self.prompt)];
        let worth = |class: &Class| class.count >= LEAST_COUNT && class.count >= all / 4;
        classes
            .into_iter()
            .filter(|(_, class)| worth(class))
            .map(|(cause, class)| {
                let confidence = match (certain, self.not_held) {
                    (true, 0) => Confidence::High,
                    _ => Confidence::Medium,
                };
                Finding {
                    cause,
                    side,
                    count: class.count,
                    lost: duration(class.lost),
                    evidence: class.evidence.iter().map(|n| n + first).collect(),
                    confidence,
                    why: why(cause, side, class, path),
                    path_mtu: None,
                }
            })
            .collect()
    }
}

fn why(cause: Cause, side: Side, class: &Class, path: u64) -> String {
    let mean = |sum: i64| milliseconds(duration(sum / i64::from(class.count.max(1))));
    let (us, peer) = (side.name(), side.peer().name());
    let count = class.count;
    let held = mean(class.lost);
    let after = mean(class.after);
    let path = milliseconds(Duration::from_nanos(path));
    let ack = match cause {
        Cause::NagleDelayedAck => format!("and an ACK delayed by {} ms", mean(class.ack_late)),
        _ => "with an ACK that came at once".to_string(),
    };
    format!(
        "{count}x: the {us} wrote a small segment while one was unacknowledged; it left {after} ms after the \
         {peer}'s ACK, {held} ms after it was ready: the round trip of {path} ms {ack}"
    )
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
#[path = "nagle_tests.rs"]
mod tests;
