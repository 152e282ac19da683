//! How do a lab's hosts reach its world? Packets and deadlines on a desk between them.

use crate::state::Wire;
use crate::unsent::Unsent;
use narrows_lab::NodeId;
use narrows_stack::{Instant, Transmit};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What hosts put down for the world, and the world for hosts.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Packets that have left, in the order of leaving.
    pub(super) leaving: Vec<(NodeId, Transmit)>,
    /// When each host wants to be looked at again.
    pub(super) deadlines: Vec<Option<Instant>>,
    /// What has not left each host yet.
    pub(super) unsent: Vec<Unsent>,
    pub(super) names: HashMap<String, IpAddr>,
    /// tokio's time at the world's beginning, while the lab runs.
    pub(super) beginning: Option<tokio::time::Instant>,
    /// The time when the lab ran last.
    pub(super) stopped: Instant,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SharedDesk(Arc<Mutex<Desk>>);

impl SharedDesk {
    pub(super) fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// When something happens at that host: its stack's deadline, or room for a datagram that waits.
    pub(super) fn due(&self, host: usize) -> Option<Instant> {
        self.deadlines[host].into_iter().chain(self.unsent[host].next()).min()
    }

    pub(super) fn now(&self) -> Instant {
        match self.beginning {
            Some(beginning) => {
                let passed = tokio::time::Instant::now().saturating_duration_since(beginning);
                Instant::ZERO + passed
            }
            None => self.stopped,
        }
    }
}

/// The wire of one host.
#[derive(Debug)]
pub(super) struct LabWire {
    pub(super) desk: SharedDesk,
    pub(super) node: NodeId,
    pub(super) number: usize,
}

impl Wire for LabWire {
    fn now(&self) -> Instant {
        self.desk.lock().now()
    }

    fn transmit(&mut self, _: Instant, transmit: Transmit) {
        self.desk.lock().leaving.push((self.node, transmit));
    }

    fn release(&mut self, now: Instant, awaited: bool) {
        self.desk.lock().unsent[self.number].release(now, awaited);
    }

    fn settled(&mut self, _: Instant, next: Option<Instant>) {
        self.desk.lock().deadlines[self.number] = next;
    }

    fn resolve(&self, name: &str) -> Option<IpAddr> {
        self.desk.lock().names.get(name).copied()
    }

    #[cfg(all(feature = "tun", target_os = "linux"))]
    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}
