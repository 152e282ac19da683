//! Which connection does each segment belong to? Holds all connections of a capture, within bounds.

use super::connect::{Folding, Key};
use super::flow::Flow;
use super::segment::Segment;
use crate::{Connection, TooBig};
use narrows_stack::Instant;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How long a closed connection waits for stragglers before it is summarised and freed.
const LINGER: Duration = Duration::from_secs(2);
/// With more open connections than this, those that have long been silent are summarised and freed; should
/// one of them speak again, that counts as another connection, begun in the middle.
const MANY_OPEN: usize = 20_000;
/// How long that is.
const LONG_SILENCE: Duration = Duration::from_secs(60);
/// Connections with fewer events than this are left alone when memory is short.
const SMALL: usize = 32;

/// Bounds of an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnalyzerOptions {
    /// At most this many connections are analysed; segments of further ones are counted.
    pub max_connections: u32,
    /// At most about this many segments are kept at once before they are worked off (40 bytes each).
    pub max_segments: usize,
}

impl Default for AnalyzerOptions {
    fn default() -> Self {
        AnalyzerOptions { max_connections: 500_000, max_segments: 1_000_000 }
    }
}

/// What a capture's segments add up to.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// The connections, by first packet.
    pub connections: Vec<Connection>,
    /// Segments analysed.
    pub segments: u64,
    /// Segments left out because there were more connections than allowed.
    pub segments_left_out: u64,
}

/// Takes a capture's segments in order and gives its connections.
///
/// ```
/// use narrows_trace::{Analyzer, AnalyzerOptions};
/// let analyzer = Analyzer::new(AnalyzerOptions::default());
/// assert!(analyzer.finish().connections.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Analyzer {
    options: AnalyzerOptions,
    /// Where in `flows` a pair of ends is.
    table: HashMap<Key, usize, Folding>,
    flows: Vec<Option<Box<Flow>>>,
    free: Vec<usize>,
    /// Closed connections and when they may go.
    closing: VecDeque<(Instant, Key, u32)>,
    analysis: Analysis,
    started: u32,
    kept: usize,
    /// Where the search for silent connections goes on.
    sweep: usize,
}

impl Analyzer {
    /// An analysis of one capture.
    #[must_use]
    pub fn new(options: AnalyzerOptions) -> Analyzer {
        Analyzer { options, ..Analyzer::default() }
    }

    /// The capture's next segment.
    pub fn push(&mut self, segment: &Segment) {
        while let Some(&(until, key, number)) = self.closing.front()
            && until < segment.time
        {
            self.closing.pop_front();
            self.end(key, number);
        }
        let key = Key::of(segment);
        let mut slot = self.table.get(&key).copied();
        let flow = slot.and_then(|slot| self.flows[slot].as_ref());
        if let Some(number) = flow.filter(|flow| flow.is_replaced_by(segment)).map(|flow| flow.number) {
            self.end(key, number);
            slot = None;
        }
        let Some(slot) = slot.or_else(|| self.start(key, segment)) else {
            self.analysis.segments_left_out += 1;
            return;
        };
        self.analysis.segments += 1;
        let Some(flow) = self.flows[slot].as_mut() else { return };
        let (was_closed, before) = (flow.is_closed(), flow.buffered());
        flow.push(segment);
        if flow.buffered() >= SMALL && self.kept > self.options.max_segments {
            flow.drain();
        }
        self.kept = (self.kept + flow.buffered()).saturating_sub(before);
        if !was_closed && flow.is_closed() {
            self.closing.push_back((segment.time + LINGER, key, flow.number));
        }
    }

    /// A router says that a packet was too big; without a connection that it fits it says nothing.
    pub fn too_big(&mut self, message: &TooBig) {
        let key = Key::between(message.source, message.destination);
        let slot = self.table.get(&key).copied();
        if let Some(flow) = slot.and_then(|slot| self.flows[slot].as_mut()) {
            flow.too_big(message);
        }
    }

    /// How many connections have not been summarised yet.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.table.len()
    }

    /// The capture has ended.
    #[must_use]
    pub fn finish(mut self) -> Analysis {
        let flows = std::mem::take(&mut self.flows);
        let mut connections = std::mem::take(&mut self.analysis.connections);
        connections.extend(flows.into_iter().flatten().map(|mut flow| flow.finish()));
        connections.sort_unstable_by_key(|connection| connection.number);
        self.analysis.connections = connections;
        self.analysis
    }

    fn start(&mut self, key: Key, segment: &Segment) -> Option<usize> {
        if self.started >= self.options.max_connections {
            return None;
        }
        self.started += 1;
        if self.table.len() > MANY_OPEN {
            self.sweep(segment.time);
        }
        let flow = Some(Box::new(Flow::new(self.started, key, segment)));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.flows[slot] = flow;
                slot
            }
            None => {
                self.flows.push(flow);
                self.flows.len() - 1
            }
        };
        self.table.insert(key, slot);
        Some(slot)
    }

    /// Looks at two connections, so that each new one pays for those that are given up.
    fn sweep(&mut self, now: Instant) {
        for _ in 0..2 {
            self.sweep = (self.sweep + 1) % self.flows.len();
            let silent = self.flows[self.sweep].as_ref().filter(|flow| flow.silent_for(now) > LONG_SILENCE);
            if let Some((key, number)) = silent.map(|flow| (flow.key, flow.number)) {
                self.end(key, number);
            }
        }
    }

    /// Summarises the connection `number`, if it has not been already.
    fn end(&mut self, key: Key, number: u32) {
        let Some(&slot) = self.table.get(&key) else { return };
        if self.flows[slot].as_ref().is_none_or(|flow| flow.number != number) {
            return;
        }
        self.table.remove(&key);
        if let Some(mut flow) = self.flows[slot].take() {
            self.kept = self.kept.saturating_sub(flow.buffered());
            self.free.push(slot);
            self.analysis.connections.push(flow.finish());
        }
    }
}
