//! How did the scenario go, once with our stack and once with real hosts?

use crate::clock::Clock;
use crate::datagrams::Count;
use crate::error::{Error, joined};
use crate::host::open_hosts;
use crate::scene::{flow, part, scene};
use crate::stage::Stage;
use crate::tally::{Sent, Tally};
use crate::waves::Passes;
use crate::wire::{WireOptions, WireReport, carry};
use narrows_lab::capture::PcapNg;
use narrows_lab::datagrams::{DatagramReceiver, DatagramSender};
use narrows_lab::scenario::{DatagramReport, PlayedDatagrams, Scenario, ScenarioWorld};
use narrows_lab::{End, LinkId, NodeId, Passage, Player, PlayerLog, Recorder, RecorderId, Side, Stop, World};
use narrows_stack::Instant;
use narrows_stack::counters::Counter;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

/// The kernel's counter of retransmission timeouts.
pub(crate) const TIMEOUTS: &str = "TcpExtTCPTimeouts";

/// What came of one run of a scenario.
#[derive(Clone, Debug)]
pub struct Take {
    /// From the first packet to the last read of any application; to the last packet where not everything was said.
    pub completion: Duration,
    /// Everything was said; only with [`TakeOptions::unfinished`] it need not be.
    pub finished: bool,
    /// All exchanges of all connections: from the client's first write to the last byte of the answer read.
    pub exchanges: Vec<Duration>,
    /// What came of all datagrams, where there are any.
    pub datagrams: Option<DatagramReport>,
    /// What the applications of each connection have read by the end, both sides together, bytes.
    pub read: Vec<u64>,
    /// What each host sent, in the scenario's order.
    pub sent: Vec<(String, Sent)>,
    /// The packets at all ends of links, as pcapng, if they were to be kept.
    pub capture: Option<Vec<u8>>,
    /// Of real hosts: what the wire did.
    pub wire: Option<WireReport>,
    /// TCP counters, by host: of real hosts their kernels', of our stack those that are compared.
    pub counters: Vec<(String, BTreeMap<String, u64>)>,
}

/// How a run is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct TakeOptions {
    /// Instead of the scenario's own.
    pub seed: u64,
    /// Keep all packets.
    pub capture: bool,
    /// For how long after the last event wire and programs of real hosts stay awake; zero: they always sleep until the next one.
    pub awake: Duration,
    /// That not everything was said at the scenario's time limit is a result and no error.
    pub unfinished: bool,
}

/// Somebody who does not look at any packet.
#[derive(Debug, Default)]
struct Nobody;

impl Recorder for Nobody {
    fn add_tap(&mut self, _name: &str) -> u32 {
        0
    }

    fn record(&mut self, _tap: u32, _passage: &Passage<'_>) {}
}

/// What watches a world's packets.
struct Watch {
    hosts: Vec<(NodeId, String)>,
    tally: RecorderId,
    extra: RecorderId,
    capture: Option<RecorderId>,
}

/// What a watch has seen: by host; the first packet's time; all packets.
struct Seen {
    sent: Vec<(String, Sent)>,
    first: Instant,
    last: Instant,
    capture: Option<Vec<u8>>,
}

fn watch(scenario: &Scenario, world: &mut World, capture: bool, extra: impl Recorder) -> Watch {
    let hosts: Vec<(NodeId, String)> =
        world.hosts().into_iter().map(|node| (node, world.name(node).to_owned())).collect();
    let tally = world.add_recorder(Tally::default());
    let extra = world.add_recorder(extra);
    for (number, link) in scenario.links.iter().enumerate() {
        for (end, name) in [End::First, End::Second].into_iter().zip(&link.between) {
            if hosts.iter().any(|(_, host)| host == name) {
                world.tap(tally, LinkId(number as u32), end);
                world.tap(extra, LinkId(number as u32), end);
            }
        }
    }
    let capture = capture.then(|| {
        let recorder = world.add_recorder(PcapNg::new(Vec::new()));
        world.tap_everywhere(recorder);
        recorder
    });
    Watch { hosts, tally, extra, capture }
}

impl Watch {
    /// What was seen.
    fn end(self, world: &mut World) -> Result<Seen, Error> {
        let tally = world.take_recorder::<Tally>(self.tally).unwrap_or_default();
        let first = tally.first().unwrap_or_default();
        let last = tally.last().unwrap_or(first);
        let of = |name: &String| {
            let taps = tally.taps().iter().filter(|(tap, _)| tap == name);
            taps.fold(Sent::default(), |sum, (_, sent)| Sent {
                packets: sum.packets + sent.packets,
                bytes: sum.bytes + sent.bytes,
                fragments: sum.fragments + sent.fragments,
                data_packets: sum.data_packets + sent.data_packets,
                acks: sum.acks + sent.acks,
                retransmissions: sum.retransmissions + sent.retransmissions,
                reductions: sum.reductions + sent.reductions,
                marks: sum.marks + sent.marks,
            })
        };
        let sent = self.hosts.iter().map(|(_, name)| (name.clone(), of(name))).collect();
        let capture = self.capture.and_then(|recorder| world.take_recorder::<PcapNg<Vec<u8>>>(recorder));
        let capture = capture.map(PcapNg::finish).transpose()?;
        Ok(Seen { sent, first, last, capture })
    }
}

/// Runs the scenario on our stack, in virtual time.
///
/// # Errors
/// [`Error::Setup`] for a scenario that makes no world, [`Error::Program`] when not everything was said.
pub fn ours(scenario: &Scenario, options: TakeOptions) -> Result<Take, Error> {
    ours_watched::<Nobody>(scenario, options).map(|(take, Nobody)| take)
}

/// As [`ours`]; somebody watches what passes at the ends of links at hosts.
pub(crate) fn ours_watched<R: Recorder + Default>(
    scenario: &Scenario,
    options: TakeOptions,
) -> Result<(Take, R), Error> {
    let ScenarioWorld { mut world, connections, datagrams, .. } = scene(scenario, options.seed)?;
    let watch = watch(scenario, &mut world, options.capture, R::default());
    let extra = watch.extra;
    let limit = Instant::ZERO + scenario.time_limit;
    let stop = match connections.is_empty() {
        false => world.run_until_idle(limit),
        // Real hosts are gone before they give up what is incomplete: so are ours.
        true => run_until_sent(&mut world, &datagrams, limit, linger(scenario)),
    };
    let nothing = PlayerLog::default();
    let logs: Vec<PlayerLog> = (connections.iter().flat_map(|connection| &connection.apps))
        .map(|app| world.app::<Player>(*app).map_or(&nothing, Player::log).clone())
        .collect();
    if let Some(error) = logs.iter().find_map(|log| log.error) {
        return Err(Error::Program(format!("a connection of our stack failed: {error}")));
    }
    let counts = datagrams.iter().flat_map(|sending| counted(&world, sending)).collect::<Vec<_>>();
    let finished = logs.iter().all(|log| log.finished) && all_sent(&datagrams, &counts);
    let read_bytes = connections.iter().map(|connection| {
        let players = connection.apps.iter().filter_map(|app| world.app::<Player>(*app));
        players.map(Player::bytes_read).sum()
    });
    let read = read_bytes.collect();
    if !finished && !options.unfinished {
        let why = match stop {
            Stop::TimeLimit => "not before the scenario's time limit",
            Stop::Idle => "and nothing was left to happen",
        };
        return Err(Error::Program(format!("on our stack not everything was said: {why}")));
    }
    let counters = watch.hosts.iter().map(|(node, name)| {
        let timeouts = world.host(*node).map_or(0, |host| host.counters().get(Counter::Timeouts));
        (name.clone(), BTreeMap::from([(TIMEOUTS.to_owned(), timeouts)]))
    });
    let counters = counters.collect();
    let Seen { sent, first, last, capture } = watch.end(&mut world)?;
    let conversations: Vec<_> = connections.iter().map(|connection| &*connection.conversation).collect();
    let (completion, exchanges) = times(&conversations, &logs, &counts, first);
    let completion = if finished { completion } else { last.since(first) };
    let datagrams = sum(&counts);
    let take = Take { completion, finished, exchanges, datagrams, read, sent, capture, wire: None, counters };
    Ok((take, world.take_recorder(extra).unwrap_or_default()))
}

/// From the programs' logs (client, server, client, …): completion and exchanges.
fn times(
    conversations: &[&narrows_lab::Conversation],
    logs: &[PlayerLog],
    counts: &[Count],
    first: Instant,
) -> (Duration, Vec<Duration>) {
    let datagrams = counts.iter().filter_map(|count| count.last);
    let last = logs.iter().filter_map(|log| log.last_read).chain(datagrams).max().unwrap_or(first);
    let mut exchanges = Vec::new();
    for (conversation, pair) in conversations.iter().zip(logs.chunks_exact(2)) {
        for exchange in conversation.exchanges() {
            let begin = pair[0].written.get(exchange.request_turns.start).copied().flatten();
            let end = pair[0].read.get(exchange.answer_turns.end - 1).copied().flatten();
            if let (Some((begin, _)), Some((_, Some(end)))) = (begin, end) {
                exchanges.push(end.since(begin));
            }
        }
    }
    (last.since(first), exchanges)
}

/// What both sides of datagrams on our stack have done and seen.
fn counted(world: &World, sending: &PlayedDatagrams) -> [Count; 2] {
    let sender = world.app::<DatagramSender>(sending.apps[0]);
    let receiver = world.app::<DatagramReceiver>(sending.apps[1]);
    let sent = sender.map_or_else(Count::default, |sender| Count {
        sent: sender.sent(),
        refused: sender.refused(),
        ..Count::default()
    });
    let received = receiver.map_or_else(Count::default, |receiver| Count {
        received: receiver.received(),
        reordered: receiver.reordered(),
        last: receiver.times().map(|(_, last)| last),
        ..Count::default()
    });
    [sent, received]
}

/// Every sender has handed all to its kernel, taken or not; counts are those of client, server, client, …
fn all_sent(datagrams: &[PlayedDatagrams], counts: &[Count]) -> bool {
    let pairs = datagrams.iter().zip(counts.chunks_exact(2));
    pairs.into_iter().all(|(sending, pair)| pair[0].sent + pair[0].refused >= sending.datagrams.count)
}

fn sum(counts: &[Count]) -> Option<DatagramReport> {
    let add = |sum: DatagramReport, count: &Count| DatagramReport {
        sent: sum.sent + count.sent,
        refused: sum.refused + count.refused,
        received: sum.received + count.received,
        reordered: sum.reordered + count.reordered,
        search: None,
    };
    (!counts.is_empty()).then(|| counts.iter().fold(DatagramReport::default(), add))
}

/// What is said last still has to cross the links, and to be acknowledged: a delayed ACK takes up to 200 ms.
const LINGER: Duration = Duration::from_millis(220);

fn linger(scenario: &Scenario) -> Duration {
    let delays = scenario.links.iter().map(|link| link.config.forward.delay + link.config.backward.delay);
    LINGER + 2 * delays.sum::<Duration>()
}

/// Lets everything happen until all datagrams are sent, and for `linger` longer.
fn run_until_sent(
    world: &mut World,
    datagrams: &[PlayedDatagrams],
    limit: Instant,
    linger: Duration,
) -> Stop {
    loop {
        let sent = |sending: &PlayedDatagrams| {
            world.app::<DatagramSender>(sending.apps[0]).is_some_and(DatagramSender::finished)
        };
        if datagrams.iter().all(sent) {
            return world.run_until_idle(limit.min(world.now() + linger));
        }
        match world.step() {
            Some(now) if now > limit => return Stop::TimeLimit,
            Some(_) => {}
            None => return Stop::Idle,
        }
    }
}

/// Runs the scenario between real hosts, in real time.
///
/// # Errors
/// [`Error::NotPermitted`] without the right to make namespaces and devices; [`Error::Setup`] when something is
/// refused; [`Error::Program`] when not everything was said in time.
pub fn linux(scenario: &Scenario, options: TakeOptions) -> Result<Take, Error> {
    linux_watched::<Nobody>(scenario, options).map(|(take, Nobody)| take)
}

/// As [`linux`]; somebody watches what passes at the ends of links at hosts.
pub(crate) fn linux_watched<R: Recorder + Default + Send>(
    scenario: &Scenario,
    options: TakeOptions,
) -> Result<(Take, R), Error> {
    // In a thread of its own: it goes ahead of others, which the caller's shall not.
    thread::scope(|scope| joined(scope.spawn(|| real(scenario, options, None)).join()))
}

/// As [`linux`], in the calling thread, which from then on goes ahead of others; begins and ends when others do.
pub(crate) fn linux_beside(
    scenario: &Scenario,
    options: TakeOptions,
    mut others: Passes<'_>,
) -> Result<Take, Error> {
    real(scenario, options, Some(&mut others)).map(|(take, Nobody)| take)
}

fn real<R: Recorder + Default>(
    scenario: &Scenario,
    options: TakeOptions,
    mut others: Option<&mut Passes<'_>>,
) -> Result<(Take, R), Error> {
    let ScenarioWorld { mut world, connections, datagrams, .. } = scene(scenario, options.seed)?;
    let watch = watch(scenario, &mut world, options.capture, R::default());
    let extra = watch.extra;
    let hosts = open_hosts(&mut world)?;
    let parts = connections
        .iter()
        .flat_map(|connection| [Side::Client, Side::Server].map(|side| part(scenario, connection, side)));
    let limit = Instant::ZERO + scenario.time_limit;
    let mut stage = Stage::prepare(&hosts, parts.collect(), limit, linger(scenario))?;
    let flows = datagrams
        .iter()
        .flat_map(|sending| [Side::Client, Side::Server].map(|side| flow(scenario, sending, side)));
    stage.add_flows(&hosts, flows.collect())?;
    if options.unfinished {
        stage.end_at_limit();
    }
    let wire_options = WireOptions { awake: options.awake, ..WireOptions::default() };
    let never = AtomicBool::new(false);
    if let Some(others) = &mut others {
        others.begin();
    }
    let wire = carry(&mut world, &hosts, Clock::start(), wire_options, &never, Some(&mut stage))?;
    if let Some(others) = others {
        others.end();
    }
    let (logs, counts) = (stage.logs(), stage.counts());
    let read = stage.read_bytes().chunks_exact(2).map(|sides| sides.iter().sum()).collect();
    let Seen { sent, first, last, capture } = watch.end(&mut world)?;
    let counters = hosts
        .iter()
        .map(|host| Ok((host.place.name.clone(), host.namespace.counters()?)))
        .collect::<Result<_, Error>>()?;
    let conversations: Vec<_> = connections.iter().map(|connection| &*connection.conversation).collect();
    let (completion, exchanges) = times(&conversations, &logs, &counts, first);
    let finished = logs.iter().all(|log| log.finished) && all_sent(&datagrams, &counts);
    let completion = if finished { completion } else { last.since(first) };
    let datagrams = sum(&counts);
    let take =
        Take { completion, finished, exchanges, datagrams, read, sent, capture, wire: Some(wire), counters };
    Ok((take, world.take_recorder(extra).unwrap_or_default()))
}
