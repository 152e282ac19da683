//! How do a host's packets reach the device, and when? At once, or over a link in between.

use super::device::Device;
use crate::state::{State, Wire};
use crate::unsent::Unsent;
use narrows_lab::{End, LinkConfig, LinkId, NodeId, World};
use narrows_stack::{Instant, InterfaceId, Transmit};
use narrows_wire::Packet;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::TimerFd;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// The only interface of the host.
pub(super) const ONLY: InterfaceId = InterfaceId(0);

/// Packets, or so many bytes, that are read before any is answered: acknowledgments are decided once for all of them.
const BATCH_PACKETS: usize = 64;
const BATCH_BYTES: usize = 512 * 1024;

pub(super) struct TunWire {
    pub(super) device: Arc<Device>,
    pub(super) timer: Arc<TimerFd>,
    pub(super) beginning: std::time::Instant,
    /// When the timer ends.
    pub(super) armed: Instant,
    pub(super) scratch: Vec<u8>,
    pub(super) between: Option<Between>,
    pub(super) unsent: Unsent,
    /// Packets that the device did not take.
    pub(super) refused: u64,
    /// Those who read the device and wait for the timer.
    pub(super) tasks: Vec<AbortHandle>,
}

/// A link between the host and the device, run by the clock on the wall.
pub(super) struct Between {
    world: World,
    link: LinkId,
    /// The host, and the kernel.
    nodes: [NodeId; 2],
    interface: InterfaceId,
}

impl Between {
    pub(super) fn new(link: LinkConfig, seed: u64, ipv6: bool) -> Result<Between, narrows_lab::BuildError> {
        let mut builder = World::builder(seed);
        if ipv6 {
            builder.ip_version(narrows_lab::IpVersion::V6);
        }
        let nodes = ["host", "kernel"].map(|name| builder.host(name, narrows_stack::Knobs::default()));
        let link = builder.link("between", nodes[0], nodes[1], link);
        let mut world = builder.build()?;
        for node in nodes {
            world.open_host(node);
        }
        Ok(Between { world, link, nodes, interface: ONLY })
    }

    /// A packet comes from that end; when it will have been sent.
    fn enter(&mut self, now: Instant, from: usize, packet: Packet) -> Option<Instant> {
        self.world.enter(now, self.nodes[from], self.interface, packet)
    }
}

impl TunWire {
    fn write(&mut self, packet: &mut Packet) {
        // A full queue, a device that is down: as with any link, TCP repeats what is lost.
        if self.device.write(packet, &mut self.scratch).is_err() {
            self.refused += 1;
        }
    }

    /// The next packet that is due at the host, from the link in between; those that are due at the kernel are written on the way.
    fn arrived(&mut self, now: Instant) -> Option<Packet> {
        let between = self.between.as_mut()?;
        between.world.run_until(now);
        while let Some(left) = self.between.as_mut().and_then(|between| between.world.take_left()) {
            let mut packet = left.packet;
            if self.between.as_ref().is_some_and(|between| between.nodes[0] == left.host) {
                return Some(packet);
            }
            self.write(&mut packet);
        }
        None
    }

    fn arm(&mut self, now: Instant, next: Instant) {
        if next >= self.armed {
            return;
        }
        self.armed = next;
        // Zero would stop the timer.
        let after = next.since(now).max(std::time::Duration::from_nanos(1));
        let set = self.timer.set(Expiration::OneShot(after.into()), TimerSetTimeFlags::empty());
        debug_assert!(set.is_ok(), "{set:?}");
    }
}

impl Wire for TunWire {
    fn now(&self) -> Instant {
        Instant::ZERO + self.beginning.elapsed()
    }

    fn transmit(&mut self, now: Instant, transmit: Transmit) {
        let Transmit { mut packet, memory, .. } = transmit;
        match &mut self.between {
            Some(between) => {
                if let Some(sent) = between.enter(now, 0, packet) {
                    self.unsent.keep(sent, memory);
                }
            }
            // The kernel has it when this returns.
            None => self.write(&mut packet),
        }
    }

    fn release(&mut self, now: Instant, awaited: bool) {
        self.unsent.release(now, awaited);
    }

    fn settled(&mut self, now: Instant, next: Option<Instant>) {
        let link = self.between.as_ref().and_then(|between| between.world.next_event());
        if let Some(next) = next.into_iter().chain(link).chain(self.unsent.next()).min() {
            self.arm(now, next);
        }
    }

    fn resolve(&self, _: &str) -> Option<IpAddr> {
        None
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

impl Drop for TunWire {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The wire of a host that is on a TUN device.
fn wire(state: &mut State) -> Option<&mut TunWire> {
    state.wire.as_any().downcast_mut()
}

/// Reads a batch of packets into `packets`; false when nothing more is there.
pub(super) fn read(device: &Device, packets: &mut Vec<Packet>) -> bool {
    let (mut looked_at, mut bytes) = (0, 0);
    while packets.len() < BATCH_PACKETS && bytes < BATCH_BYTES {
        if !device.read(packets) {
            return false;
        }
        bytes += packets[looked_at..].iter().map(Packet::len).sum::<usize>();
        looked_at = packets.len();
    }
    true
}

/// What the kernel has sent.
pub(super) fn receive(state: &mut State, now: Instant, packets: &mut Vec<Packet>) {
    for packet in packets.drain(..) {
        match wire(state).and_then(|wire| wire.between.as_mut()) {
            Some(between) => {
                between.enter(now, 1, packet);
            }
            None => state.stack.handle_packet(now, ONLY, packet),
        }
    }
    from_between(state, now);
}

/// The timer has ended.
pub(super) fn on_timer(state: &mut State, now: Instant) {
    if let Some(wire) = wire(state) {
        wire.armed = Instant::FAR_FUTURE;
    }
    from_between(state, now);
    state.stack.handle_timeout(now);
}

fn from_between(state: &mut State, now: Instant) {
    while let Some(packet) = wire(state).and_then(|wire| wire.arrived(now)) {
        state.stack.handle_packet(now, ONLY, packet);
        // As a real host: each packet is answered before the next arrives.
        state.settle(now);
    }
}

/// The tasks that drive the host end with it.
pub(super) fn keep(state: &mut State, tasks: [AbortHandle; 2]) {
    if let Some(wire) = wire(state) {
        wire.tasks.extend(tasks);
    }
}

/// What has happened on the link in between to packets of the host (first) or of the kernel (second).
pub(super) fn counters(state: &mut State, from: End) -> Option<narrows_lab::DirectionCounters> {
    let between = wire(state)?.between.as_ref()?;
    Some(between.world.link_counters(between.link, from))
}
