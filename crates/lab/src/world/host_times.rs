//! How long does a host take over what arrives? Its kernel until it has looked at a packet, its programs until they run.
//!
//! In a world of its own a host takes no time; real ones take some microseconds, which is a part of what is measured on a
//! short path. `narrows lab compare` measures them on the machine that it runs on.

use narrows_stack::{Event, Instant, InterfaceId, UdpEvent};
use narrows_wire::Packet;
use std::collections::VecDeque;
use std::time::Duration;

/// A host's own times: pure delays, in which nothing queues for the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostTimes {
    /// From the arrival of a packet until the stack has it, and answers it.
    pub processing: Duration,
    /// From there until an application that waits for it runs. Timers of applications are punctual.
    pub wakeup: Duration,
}

/// What a stack has to tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Tcp(Event),
    Udp(UdpEvent),
}

/// What has arrived at a host and is not yet looked at.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    times: HostTimes,
    packets: VecDeque<(Instant, InterfaceId, Packet)>,
    events: VecDeque<(Instant, Told)>,
}

impl Waiting {
    pub(super) fn new(times: HostTimes) -> Waiting {
        Waiting { times, ..Waiting::default() }
    }

    /// A packet has arrived; it is given back when the stack shall have it at once.
    pub(super) fn on_packet(&mut self, now: Instant, from: InterfaceId, packet: Packet) -> Option<Packet> {
        if self.times.processing.is_zero() {
            return Some(packet);
        }
        self.packets.push_back((now + self.times.processing, from, packet));
        None
    }

    /// The stack has something to tell; it is given back when the application shall be told at once.
    pub(super) fn on_event(&mut self, now: Instant, event: Told) -> Option<Told> {
        if self.times.wakeup.is_zero() {
            return Some(event);
        }
        self.events.push_back((now + self.times.wakeup, event));
        None
    }

    /// The next packet whose time has come.
    pub(super) fn take_packet(&mut self, now: Instant) -> Option<(InterfaceId, Packet)> {
        let due = self.packets.front().is_some_and(|(at, ..)| *at <= now);
        if due { self.packets.pop_front().map(|(_, from, packet)| (from, packet)) } else { None }
    }

    /// The next event whose time has come.
    pub(super) fn take_event(&mut self, now: Instant) -> Option<Told> {
        let due = self.events.front().is_some_and(|(at, _)| *at <= now);
        if due { self.events.pop_front().map(|(_, event)| event) } else { None }
    }

    /// When the next of all is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let packet = self.packets.front().map(|(at, ..)| *at);
        let event = self.events.front().map(|(at, _)| *at);
        packet.into_iter().chain(event).min()
    }
}
