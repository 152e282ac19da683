//! What has a host's device not sent yet? The memory that such packets take of their sockets' send buffers, until they have left.

use narrows_stack::{Instant, SendMemory};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Unsent {
    /// By the time at which it is given back.
    memory: BTreeMap<Instant, Vec<Arc<SendMemory>>>,
    /// Somebody waits for room.
    awaited: bool,
}

impl Unsent {
    /// The device will have sent the packet at that time.
    pub(crate) fn keep(&mut self, until: Instant, memory: Option<Arc<SendMemory>>) {
        if let Some(memory) = memory {
            self.memory.entry(until).or_default().push(memory);
        }
    }

    /// Gives back what has been sent by now; from now on somebody waits for more, or nobody does.
    pub(crate) fn release(&mut self, now: Instant, awaited: bool) {
        self.awaited = awaited;
        while let Some(first) = self.memory.first_entry()
            && *first.key() <= now
        {
            first.remove();
        }
    }

    /// When something is given back that somebody waits for.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.memory.keys().next().copied().filter(|_| self.awaited)
    }
}
