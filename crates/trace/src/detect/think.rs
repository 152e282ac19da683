//! Does the server's application take most of the time that its answers take?

use super::MAX_EVIDENCE;
use crate::script::duration;
use crate::tcp::event::Event;
use crate::{Cause, Confidence, Finding};
use narrows_lab::Side;

/// Fewer answers than this show no habit.
const LEAST_COUNT: usize = 5;
/// Shorter than this is no work worth naming.
const LEAST_NS: i64 = 25_000_000;
/// An answer that takes longer than this, again and again, is rather one that waits for news (long polling)
/// than one that is being worked on; timing alone cannot tell the two apart.
const MOST_NS: i64 = 1_000_000_000;
/// Samples kept.
const MAX_SAMPLES: usize = 4096;

/// How long the server took for each answer, while it is collected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Thoughts {
    /// Nanoseconds, and the number of the answer's first packet less the connection's first.
    samples: Vec<(i64, u32)>,
}

impl Thoughts {
    /// An answer began `think` after its request had arrived completely.
    pub(crate) fn add(&mut self, think: i64, event: &Event) {
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push((think, event.number));
        }
    }

    /// Names the server's thinking where it is regular and dominant: `duration_ns` is the connection's,
    /// `path` the round trip.
    pub(crate) fn finding(&self, duration_ns: u64, path: u64, first: u64) -> Option<Finding> {
        if self.samples.len() < LEAST_COUNT {
            return None;
        }
        let mut sorted: Vec<i64> = self.samples.iter().map(|(think, _)| *think).collect();
        sorted.sort_unstable();
        let at = |share: usize| sorted[(sorted.len() - 1) * share / 100];
        let (low, median, high) = (at(10), at(50), at(90));
        let regular = high - low <= median;
        // Who waits for news waits first for as long as it happens to take, and then from one piece of news
        // to the next.
        let first_alike = (self.samples[0].0 - median).abs() <= median / 2;
        if !(LEAST_NS..MOST_NS).contains(&median) || !regular || !first_alike || median < path as i64 / 2 {
            return None;
        }
        let slow: Vec<&(i64, u32)> = self.samples.iter().filter(|(think, _)| *think >= median / 2).collect();
        let lost: i64 = slow.iter().map(|(think, _)| *think).sum();
        if (lost as u64) < duration_ns / 4 {
            return None;
        }
        let count = slow.len() as u32;
        Some(Finding {
            cause: Cause::ServerThinkTime,
            side: Side::Server,
            count,
            lost: duration(lost),
            evidence: slow.iter().take(MAX_EVIDENCE).map(|(_, n)| first + u64::from(*n)).collect(),
            confidence: if slow.len() >= 10 { Confidence::High } else { Confidence::Medium },
            why: format!(
                "{count}x: the server's answer left {:.1} ms after the request had arrived (80 % of them within \
                 {:.1} to {:.1} ms), against a round trip of {:.2} ms",
                median as f64 / 1e6,
                low as f64 / 1e6,
                high as f64 / 1e6,
                path as f64 / 1e6
            ),
            path_mtu: None,
        })
    }
}

#[cfg(test)]
#[path = "think_tests.rs"]
mod tests;
