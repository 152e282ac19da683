//! What came of a scenario? Completion, latencies, and what each host sent.

use super::build::{PlayedConnection, PlayedDatagrams, RunError, ScenarioWorld};
use super::{Scenario, Workload};
use crate::acknowledged::{AcknowledgingReceiver, SearchingSender};
use crate::conversation::Side;
use crate::datagrams::{DatagramReceiver, DatagramSender};
use crate::link::DirectionCounters;
use crate::player::{Player, PlayerLog};
use crate::recorder::{Heading, PacketHash, Passage, Recorder};
use crate::world::{End, LinkId, NodeCounters, RecorderId, Stop};
use narrows_stack::plpmtud::State;
use narrows_stack::{Counter, Instant, SocketError, UdpError};
use narrows_wire::{Packet, TcpFlags, Transport};
use std::time::Duration;

/// How a workload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything was said and heard, on all connections.
    Completed,
    /// The time limit came first.
    TimeLimit,
    /// Nothing was left to happen although not everything had been said and heard.
    Stuck,
    /// A connection failed for this side.
    Failed(Side, SocketError),
    /// None of the datagrams could be sent.
    NothingSent(UdpError),
}

/// What came of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatagramReport {
    /// Taken by the client's stack.
    pub sent: u64,
    /// Not taken by it: too long for the path, or in answer to an error that the network has reported.
    pub refused: u64,
    /// Read by the server's application, in all their pieces.
    pub received: u64,
    /// Of them, those that came after one with a higher number, or a second time.
    pub reordered: u64,
    /// What the search for a size has found, where there is one; then `sent` are those that are no probes, and `received` those acknowledged.
    pub search: Option<SearchReport>,
}

/// What a search for the path's size has found (RFC 8899).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchReport {
    /// The largest IP packet that is known to pass, bytes (PLPMTU).
    pub size: u32,
    /// It has come to its end: nothing larger is tried before the raise timer.
    pub complete: bool,
    /// Probes sent.
    pub probes: u64,
    /// How often large datagrams were found to vanish.
    pub black_holes: u64,
}

impl DatagramReport {
    /// The share of those sent that the application read, 0 to 1 (more where the network duplicates).
    #[must_use]
    pub fn delivered(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.received as f64 / self.sent as f64 }
    }
}

/// What came of one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadReport {
    /// Its name.
    pub name: String,
    /// How it ended: the worst of its connections.
    pub ending: Ending,
    /// How many of its connections completed.
    pub completed_connections: u32,
    /// From opening the first connection to the last byte that an application read; zero when nothing was read.
    pub duration: Duration,
    /// The times of all exchanges that were finished, sorted: from the client's first write of a request to its read of the
    /// answer's last byte.
    pub exchanges: Vec<Duration>,
    /// Bytes that the other side's application has read, by who sent them: client, server.
    pub bytes: [u64; 2],
    /// Bytes arrived that were not those written: never, unless the stack is wrong.
    pub corrupted: bool,
    /// What came of its datagrams, where it sends any.
    pub datagrams: Option<DatagramReport>,
}

impl WorkloadReport {
    fn add_ending(&mut self, ending: Ending) {
        match ending {
            Ending::Completed => self.completed_connections += 1,
            worse if self.ending == Ending::Completed => self.ending = worse,
            _ => {}
        }
    }

    /// The exchange time that this share (0 to 1) of all exchanges does not exceed (nearest rank).
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let rank = (share * self.exchanges.len() as f64).ceil().max(1.0) as usize;
        self.exchanges.get(rank.min(self.exchanges.len()).checked_sub(1)?).copied()
    }

    /// The mean exchange time.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let count = u32::try_from(self.exchanges.len()).ok().filter(|&count| count > 0)?;
        Some(self.exchanges.iter().sum::<Duration>() / count)
    }

    /// Application bytes both ways per time, bits per second.
    #[must_use]
    pub fn goodput_bits_per_second(&self) -> f64 {
        let seconds = self.duration.as_secs_f64();
        if seconds > 0.0 { (self.bytes[0] + self.bytes[1]) as f64 * 8.0 / seconds } else { 0.0 }
    }
}

/// What one host sent, all connections together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostReport {
    /// Its name.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes, IP headers counted.
    pub bytes: u64,
    /// Packets with payload.
    pub data_packets: u64,
    /// Packets without payload, SYN, FIN or RST.
    pub acks: u64,
    /// Segments sent again.
    pub retransmissions: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Delayed ACKs that their timer sent.
    pub delayed_acks: u64,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// The workloads, in the scenario's order.
    pub workloads: Vec<WorkloadReport>,
    /// The hosts, in the scenario's order.
    pub hosts: Vec<HostReport>,
    /// What the routers and middleboxes did, in the scenario's order.
    pub routers: Vec<(String, NodeCounters)>,
    /// What the links did, forward and backward, in the scenario's order.
    pub links: Vec<(String, [DirectionCounters; 2])>,
    /// Virtual time at the end.
    pub time: Duration,
    /// Events that the simulation ran.
    pub events: u64,
    /// A hash over all packets and their times at both ends of all links: the same for the same scenario and seed. `None` when it was
    /// not asked for.
    pub packet_hash: Option<u64>,
}

impl RunReport {
    /// All workloads completed.
    #[must_use]
    pub fn completed(&self) -> bool {
        self.workloads.iter().all(|workload| workload.ending == Ending::Completed)
    }

    /// Packets that all hosts sent.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.hosts.iter().map(|host| host.packets).sum()
    }
}

impl Scenario {
    /// Makes the world, lets it run to its end, and reports, with the hash of all packets.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&self) -> Result<RunReport, RunError> {
        let mut world = self.build()?;
        world.hash_packets();
        Ok(world.run())
    }
}

impl ScenarioWorld {
    /// Has the hash of all packets computed.
    pub fn hash_packets(&mut self) {
        let hash = self.world.add_recorder(PacketHash::default());
        self.world.tap_everywhere(hash);
    }

    /// Lets the world run to its end or its time limit, and reports.
    pub fn run(&mut self) -> RunReport {
        let tallies: Vec<(String, RecorderId)> = self
            .scenario
            .hosts
            .iter()
            .map(|host| (host.name.clone(), self.world.add_recorder(Tally::default())))
            .collect();
        for (name, recorder) in &tallies {
            for (link, end) in self.ends_at(name) {
                self.world.tap(*recorder, link, end);
            }
        }
        let stop = self.world.run_until_idle(Instant::ZERO + self.scenario.time_limit);
        let workloads = self.scenario.workloads.iter().enumerate();
        let links = self.scenario.links.iter().enumerate();
        let routers = self.scenario.routers.iter().map(|router| router.name.as_str());
        let middleboxes = self.scenario.middleboxes.iter().map(|middlebox| middlebox.name.as_str());
        let between = routers.chain(middleboxes);
        RunReport {
            workloads: workloads
                .map(|(number, workload)| self.workload_report(number, workload, stop))
                .collect(),
            hosts: tallies.iter().map(|(name, recorder)| self.host_report(name, *recorder)).collect(),
            routers: between
                .map(|name| {
                    let counters = self.node(name).map(|node| self.world.node_counters(node));
                    (name.to_owned(), counters.unwrap_or_default())
                })
                .collect(),
            links: links
                .map(|(number, link)| {
                    let id = LinkId(number as u32);
                    let counters = [End::First, End::Second].map(|end| self.world.link_counters(id, end));
                    (link.name.clone(), counters)
                })
                .collect(),
            time: self.world.now().since(Instant::ZERO),
            events: self.world.events(),
            packet_hash: self.packet_hash(),
        }
    }

    fn packet_hash(&self) -> Option<u64> {
        self.world.recorders().find_map(|id| Some(self.world.recorder::<PacketHash>(id)?.value()))
    }

    fn host_report(&self, name: &str, recorder: RecorderId) -> HostReport {
        let tally = self.world.recorder::<Tally>(recorder).cloned().unwrap_or_default();
        let stack = self.node(name).and_then(|node| self.world.host(node));
        let count = |counter| stack.map_or(0, |stack| stack.counters().get(counter));
        HostReport {
            name: name.to_owned(),
            retransmissions: count(Counter::Retransmitted),
            timeouts: count(Counter::Timeouts),
            delayed_acks: count(Counter::DelayedAcks),
            ..tally.sent
        }
    }

    fn workload_report(&self, number: usize, workload: &Workload, stop: Stop) -> WorkloadReport {
        let mut report = WorkloadReport {
            name: workload.name.clone(),
            ending: Ending::Completed,
            completed_connections: 0,
            duration: Duration::ZERO,
            exchanges: Vec::new(),
            bytes: [0, 0],
            corrupted: false,
            datagrams: None,
        };
        for sending in self.datagrams.iter().filter(|sending| sending.workload == number) {
            self.add_datagrams(sending, stop, &mut report);
        }
        for connection in self.connections.iter().filter(|connection| connection.workload == number) {
            let players = connection.apps.map(|app| self.world.app::<Player>(app));
            let [Some(client), Some(server)] = players else { continue };
            let logs = [client.log(), server.log()];
            report.add_ending(ending(connection, logs, stop));
            let last_read = logs.iter().filter_map(|log| log.last_read).max();
            if let Some(last) = last_read {
                report.duration = report.duration.max(last.since(Instant::ZERO + workload.start));
            }
            report.bytes[0] += server.bytes_read();
            report.bytes[1] += client.bytes_read();
            report.corrupted |= logs.iter().any(|log| log.corrupted);
            for exchange in connection.conversation.exchanges() {
                let begin = logs[0].written.get(exchange.request_turns.start).copied().flatten();
                let end = logs[0].read.get(exchange.answer_turns.end - 1).copied().flatten();
                if let (Some((begin, _)), Some((_, Some(end)))) = (begin, end) {
                    report.exchanges.push(end.since(begin));
                }
            }
        }
        report.exchanges.sort_unstable();
        report
    }

    fn add_datagrams(&self, sending: &PlayedDatagrams, stop: Stop, report: &mut WorkloadReport) {
        if let Some(sender) = self.world.app::<SearchingSender>(sending.apps[0]) {
            return self.add_search(sending, sender, stop, report);
        }
        let sender = self.world.app::<DatagramSender>(sending.apps[0]);
        let receiver = self.world.app::<DatagramReceiver>(sending.apps[1]);
        let (Some(sender), Some(receiver)) = (sender, receiver) else { return };
        let failed = sender.error().or(receiver.error());
        report.add_ending(ending_of_datagrams(sender.sent(), failed, sender.finished(), stop));
        if let Some((_, last)) = receiver.times() {
            let start = self.scenario.workloads[sending.workload].start;
            report.duration = report.duration.max(last.since(Instant::ZERO + start));
        }
        report.bytes[0] += receiver.bytes();
        let datagrams = report.datagrams.get_or_insert_default();
        datagrams.sent += sender.sent();
        datagrams.refused += sender.refused();
        datagrams.received += receiver.received();
        datagrams.reordered += receiver.reordered();
    }
}

impl ScenarioWorld {
    fn add_search(
        &self,
        sending: &PlayedDatagrams,
        sender: &SearchingSender,
        stop: Stop,
        report: &mut WorkloadReport,
    ) {
        let receiver = self.world.app::<AcknowledgingReceiver>(sending.apps[1]);
        let failed = sender.error().or(receiver.and_then(AcknowledgingReceiver::error));
        let (sent, acknowledged) = sender.data();
        report.add_ending(ending_of_datagrams(sent, failed, sender.finished(), stop));
        report.duration = report.duration.max(self.world.now().since(Instant::ZERO + sending.start));
        let datagrams = report.datagrams.get_or_insert_default();
        datagrams.sent += sent;
        datagrams.received += acknowledged;
        datagrams.search = Some(SearchReport {
            size: sender.search().size(),
            complete: sender.search().state() == State::SearchComplete,
            probes: sender.probes_sent(),
            black_holes: sender.black_holes(),
        });
    }
}

fn ending_of_datagrams(sent: u64, failed: Option<UdpError>, finished: bool, stop: Stop) -> Ending {
    match (sent, failed, stop) {
        (0, Some(error), _) => Ending::NothingSent(error),
        _ if finished => Ending::Completed,
        (_, _, Stop::TimeLimit) => Ending::TimeLimit,
        (_, _, Stop::Idle) => Ending::Stuck,
    }
}

fn ending(connection: &PlayedConnection, logs: [&PlayerLog; 2], stop: Stop) -> Ending {
    for (side, log) in [Side::Client, Side::Server].into_iter().zip(logs) {
        if let Some(error) = log.error {
            return Ending::Failed(side, error);
        }
    }
    let closed = connection.conversation.close.is_none() || logs.iter().all(|log| log.closed.is_some());
    match stop {
        _ if closed && logs.iter().all(|log| log.finished) => Ending::Completed,
        Stop::TimeLimit => Ending::TimeLimit,
        Stop::Idle => Ending::Stuck,
    }
}

/// Counts what one host sends.
#[derive(Clone, Debug, Default)]
struct Tally {
    sent: HostReport,
    taps: u32,
}

impl Recorder for Tally {
    fn add_tap(&mut self, _name: &str) -> u32 {
        self.taps += 1;
        self.taps - 1
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        if passage.heading == Heading::Out {
            self.count(passage.packet);
        }
    }
}

impl Tally {
    fn count(&mut self, packet: &Packet) {
        let sent = &mut self.sent;
        sent.packets += 1;
        sent.bytes += packet.len() as u64;
        let control = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        match &packet.transport {
            _ if !packet.payload.is_empty() => sent.data_packets += 1,
            Transport::Tcp(tcp) if !tcp.flags.intersects(control) => sent.acks += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
