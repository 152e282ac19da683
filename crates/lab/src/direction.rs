//! When does a packet arrive, and does it? One direction of a link at work.

use crate::codel::CoDelQueue;
use crate::link::{DirectionConfig, DirectionCounters, Queue};
use crate::loss::LossProcess;
use crate::random::Random;
use crate::schedule::Key;
use narrows_stack::Instant;
use narrows_wire::Packet;
use std::collections::VecDeque;
use std::time::Duration;

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub key: Key,
    /// Which of the packets offered to this direction, from 0.
    pub number: u64,
    pub bytes: u32,
    pub packet: Packet,
}

/// One direction of a link, with the packets that are on it, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Direction {
    pub config: DirectionConfig,
    pub counters: DirectionCounters,
    in_flight: VecDeque<InFlight>,
    /// Packets still waiting: when their transmission begins, and their bytes.
    waiting: VecDeque<(Instant, u32)>,
    waiting_bytes: u64,
    free_at: Instant,
    last_arrival: Instant,
    /// Bytes of the last packet and their transmission time: most packets are as long as the one before.
    last_transmission: (u32, Duration),
    jitter_ns: u64,
    // One stream for each kind of chance: turning one on leaves the others' packets as they were.
    loss: LossProcess,
    bit_errors: Random,
    jitter: Random,
    reorder: Random,
    duplicate: Random,
    codel: Option<Box<CoDel>>,
}

/// The packets that wait where CoDel decides, and when the next one may leave.
#[derive(Debug)]
struct CoDel {
    queue: CoDelQueue<(u64, Packet)>,
    next: Option<Key>,
}

/// A packet that is about to leave: its number, its bytes, and itself.
type Leaving = (u64, u32, Packet);

impl Direction {
    pub fn new(mut config: DirectionConfig, seed: u64, name: &str) -> Direction {
        config.lose.sort_unstable();
        let stream = |purpose: &str| Random::derive(seed, &format!("{name}/{purpose}"));
        let transmission_of_nothing = config.transmission_time(0);
        let jitter_ns = u64::try_from(config.jitter.as_nanos()).unwrap_or(u64::MAX);
        let codel = match config.queue {
            Queue::CoDel(codel) if config.rate_bits_per_second.is_some() => {
                Some(Box::new(CoDel { queue: CoDelQueue::new(codel), next: None }))
            }
            _ => None,
        };
        Direction {
            codel,
            loss: LossProcess::new(config.loss, stream("loss")),
            bit_errors: stream("bit errors"),
            jitter: stream("jitter"),
            reorder: stream("reorder"),
            duplicate: stream("duplicate"),
            config,
            counters: DirectionCounters::default(),
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            free_at: Instant::ZERO,
            last_arrival: Instant::ZERO,
            last_transmission: (0, transmission_of_nothing),
            jitter_ns,
        }
    }

    /// Which number the next offered packet has.
    pub fn next_number(&self) -> u64 {
        self.counters.offered_packets
    }

    /// When the next packet arrives, or something else happens here.
    pub fn next_event(&self) -> Option<Key> {
        let arrival = self.in_flight.front().map(|first| first.key);
        let leaving = self.codel.as_ref().and_then(|codel| codel.next);
        match (arrival, leaving) {
            (Some(arrival), Some(leaving)) => Some(arrival.min(leaving)),
            (arrival, leaving) => arrival.or(leaving),
        }
    }

    /// Lets the next event happen: takes the packet that arrives, if that is what it is.
    pub fn happen(&mut self, sequence: &mut u64) -> Option<InFlight> {
        if let Some(codel) = &self.codel
            && let Some(leaving) = codel.next
            && self.in_flight.front().is_none_or(|first| leaving < first.key)
        {
            self.leave_queue(leaving.time, sequence);
            return None;
        }
        let arrived = self.in_flight.pop_front()?;
        self.counters.delivered_packets += 1;
        self.counters.delivered_bytes += u64::from(arrived.bytes);
        Some(arrived)
    }

    /// A node sends a packet into this direction.
    pub fn offer(&mut self, now: Instant, mut packet: Packet, sequence: &mut u64) {
        let bytes = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let number = self.counters.offered_packets;
        self.counters.offered_packets += 1;
        self.counters.offered_bytes += u64::from(bytes);
        if bytes > self.config.mtu {
            self.counters.dropped_too_large += 1;
            return;
        }
        if self.codel.is_some() {
            return self.enter_queue(now, (number, bytes, packet), sequence);
        }
        match self.transmit(now, bytes) {
            Some(left) => {
                if self.is_long() && mark(&mut packet) {
                    self.counters.marked += 1;
                }
                self.travel(left, (number, bytes, packet), sequence);
            }
            None => self.counters.dropped_queue_full += 1,
        }
    }

    /// When everything that waits here will have left, if nothing else comes and CoDel drops nothing of it.
    pub fn drained_at(&self) -> Instant {
        let managed = self.codel.as_ref().map_or(0, |codel| codel.queue.bytes());
        self.free_at + self.config.transmission_time(u32::try_from(managed).unwrap_or(u32::MAX))
    }

    /// A packet that has not travelled is here: a tunnel's device tells its own host something.
    pub fn tell(&mut self, now: Instant, packet: Packet, sequence: &mut u64) {
        let bytes = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        self.insert(now, (self.counters.offered_packets, bytes), packet, sequence);
    }

    /// More waits than the queue lets pass unmarked.
    fn is_long(&self) -> bool {
        matches!(self.config.queue, Queue::Mark { above_bytes } if self.waiting_bytes > above_bytes)
    }

    /// With CoDel: waits, or leaves at once where nothing is before it.
    fn enter_queue(&mut self, now: Instant, leaving: Leaving, sequence: &mut u64) {
        let Some(codel) = &mut self.codel else { return };
        let (number, bytes, packet) = leaving;
        let waits = codel.next.is_some() || self.free_at > now;
        if waits && codel.queue.bytes() + u64::from(bytes) > self.config.queue_bytes {
            self.counters.dropped_queue_full += 1;
            return;
        }
        codel.queue.push(now, bytes, (number, packet));
        if !waits {
            return self.leave_queue(now, sequence);
        }
        self.counters.largest_queue_bytes = self.counters.largest_queue_bytes.max(codel.queue.bytes());
        if codel.next.is_none() {
            codel.next = Some(Key { time: self.free_at, sequence: *sequence });
            *sequence += 1;
        }
    }

    /// With CoDel: the link is free for the next packet that is not dropped.
    fn leave_queue(&mut self, now: Instant, sequence: &mut u64) {
        let Some(codel) = &mut self.codel else { return };
        let next = codel.queue.pop(now, |(_, packet)| mark(packet));
        self.counters.dropped_by_codel = codel.queue.dropped;
        self.counters.marked = codel.queue.marked;
        let Some((bytes, (number, packet))) = next else {
            codel.next = None;
            return;
        };
        self.free_at = now + self.config.transmission_time(bytes);
        codel.next = (!codel.queue.is_empty()).then(|| {
            *sequence += 1;
            Key { time: self.free_at, sequence: *sequence - 1 }
        });
        self.travel(self.free_at, (number, bytes, packet), sequence);
    }

    /// The packet has left the sender at `left`; what happens to it on the way.
    fn travel(&mut self, left: Instant, (number, bytes, mut packet): Leaving, sequence: &mut u64) {
        if self.config.bleach_ecn && packet.ip.traffic_class & 3 != 0 {
            packet.ip.traffic_class &= !3;
            self.counters.bleached += 1;
        }
        // Every chance is drawn for every packet: what one packet meets does not depend on what others met.
        let lost = self.loss.next_is_lost();
        let broken = self.config.bit_error_rate > 0.0 && {
            let loss = self.config.loss_to_bit_errors(bytes);
            self.bit_errors.chance(loss)
        };
        let jitter = match self.jitter_ns {
            0 => Duration::ZERO,
            most => Duration::from_nanos(self.jitter.below(most.saturating_add(1))),
        };
        let held_up = self.reorder.chance(self.config.reorder);
        let twice = self.duplicate.chance(self.config.duplicate);
        if self.config.lose.binary_search(&number).is_ok() {
            self.counters.lost_as_listed += 1;
            return;
        }
        if lost {
            self.counters.lost_randomly += 1;
            return;
        }
        if broken {
            self.counters.lost_to_bit_errors += 1;
            return;
        }
        let mut arrival = left + self.config.delay + jitter;
        if held_up {
            self.counters.reordered += 1;
            arrival += self.config.reorder_by;
        } else {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        if twice {
            self.counters.duplicated += 1;
            self.insert(arrival, (number, bytes), packet.clone(), sequence);
        }
        self.insert(arrival, (number, bytes), packet, sequence);
    }

    /// When the packet's last bit has left, or `None` when the queue has no room for it.
    fn transmit(&mut self, now: Instant, bytes: u32) -> Option<Instant> {
        if self.config.rate_bits_per_second.is_none() {
            return Some(now);
        }
        while let Some(&(begin, bytes)) = self.waiting.front()
            && begin <= now
        {
            self.waiting.pop_front();
            self.waiting_bytes -= u64::from(bytes);
        }
        let begin = self.free_at.max(now);
        if begin > now {
            let waiting_bytes = self.waiting_bytes + u64::from(bytes);
            if waiting_bytes > self.config.queue_bytes {
                return None;
            }
            self.waiting_bytes = waiting_bytes;
            self.waiting.push_back((begin, bytes));
            self.counters.largest_queue_bytes = self.counters.largest_queue_bytes.max(waiting_bytes);
        }
        if self.last_transmission.0 != bytes {
            self.last_transmission = (bytes, self.config.transmission_time(bytes));
        }
        self.free_at = begin + self.last_transmission.1;
        Some(self.free_at)
    }

    fn insert(&mut self, arrival: Instant, (number, bytes): (u64, u32), packet: Packet, sequence: &mut u64) {
        let key = Key { time: arrival, sequence: *sequence };
        *sequence += 1;
        let in_flight = InFlight { key, number, bytes, packet };
        if self.in_flight.back().is_none_or(|last| last.key < key) {
            self.in_flight.push_back(in_flight);
        } else {
            let at = self.in_flight.partition_point(|other| other.key < key);
            self.in_flight.insert(at, in_flight);
        }
    }
}

/// Marks a packet, if its sender knows ECN (RFC 3168 §5).
fn mark(packet: &mut Packet) -> bool {
    let capable = packet.ip.traffic_class & 3 != 0;
    if capable {
        packet.ip.traffic_class |= 3;
    }
    capable
}

#[cfg(test)]
#[path = "direction_tests.rs"]
mod tests;
