//! What happens, in order? Plays the events of a script against the host.

use crate::call::{self, Begun};
use crate::environment::Environment;
use crate::error::ScriptError;
use crate::expect::{IpExpectation, Mapping, Seen, compare, write_expected, write_seen};
use crate::expression::{self, Names};
use crate::inbound::{self, Peer};
use crate::info;
use crate::operation::{Operation, Outcome};
use crate::options::{IpVersion, Settings};
use crate::parser;
use crate::script::{Action, Body, Call, Direction, Event, PacketSpec, Script, TcpSpec};
use crate::tables::Tables;
use crate::time::{Due, seconds};
use crate::world::{File, Role, SERVER_PORT, World};
use narrows_wire::{TcpFlags, Transport};
use std::net::SocketAddr;
use std::path::Path;

/// The port of the first peer that connects; each later one has the next.
const FIRST_PEER_PORT: u16 = 40_000;
/// How long a call may block although the script does not say that it blocks, microseconds.
const PATIENCE: i64 = 1_000_000;
/// How long to look for a packet that comes too late, so that the report can show it, microseconds.
const LATE: i64 = 300_000_000;

/// Runs the script in the file at `path`; paths in its commands begin in its directory.
///
/// # Errors
/// [`ScriptError`]: why it did not pass.
pub fn run_script(path: &Path, settings: &Settings) -> Result<(), ScriptError> {
    run_text(&read(path)?, path.parent(), settings)
}

/// Runs a script; paths in its commands begin in `directory`.
///
/// # Errors
/// [`ScriptError`]: why it did not pass.
pub fn run_text(text: &str, directory: Option<&Path>, settings: &Settings) -> Result<(), ScriptError> {
    run_parsed(&parse(text, settings)?, directory, settings)
}

/// Runs the script in the file at `path` and writes down every packet that has left, with its time in seconds.
///
/// # Errors
/// [`ScriptError`]: why the script did not pass.
pub fn run_with_packets(path: &Path, settings: &Settings) -> (Vec<String>, Result<(), ScriptError>) {
    let settings = Settings { packets: true, ..settings.clone() };
    let mut packets = Vec::new();
    let result = read(path).and_then(|text| {
        let script = parse(&text, &settings)?;
        run(&script, path.parent(), &settings, &mut packets)
    });
    (packets, result)
}

/// Runs a script that has been read already.
///
/// # Errors
/// [`ScriptError`]: why it did not pass.
pub fn run_parsed(script: &Script, directory: Option<&Path>, settings: &Settings) -> Result<(), ScriptError> {
    run(script, directory, settings, &mut Vec::new())
}

fn read(path: &Path) -> Result<String, ScriptError> {
    std::fs::read_to_string(path).map_err(|error| ScriptError::syntax(0, format!("cannot be read: {error}")))
}

fn parse(text: &str, settings: &Settings) -> Result<Script, ScriptError> {
    // Words that stand for what depends on the addresses, as scripts are written for.
    let mut defines = settings.defines.clone();
    let (level, kind) = match settings.ip_version {
        IpVersion::Ipv4 => ("SOL_IP", "IP_RECVERR"),
        IpVersion::Ipv6 | IpVersion::Mapped => ("SOL_IPV6", "IPV6_RECVERR"),
    };
    defines.entry("CMSG_LEVEL_IP".into()).or_insert_with(|| level.into());
    defines.entry("CMSG_TYPE_RECVERR".into()).or_insert_with(|| kind.into());
    parser::parse(text, &defines)
}

fn run(
    script: &Script,
    directory: Option<&Path>,
    settings: &Settings,
    packets: &mut Vec<String>,
) -> Result<(), ScriptError> {
    let settings = settings.with_options(&script.options)?;
    let mut environment = Environment::new();
    if let Some(command) = &script.init {
        environment.run(command, directory, &Tables::default())?;
    }
    let mut runner = Runner {
        world: World::new(settings, environment),
        directory,
        pending: None,
        under_test: UnderTest::Nothing,
        next_peer_port: FIRST_PEER_PORT,
        names: Names::new(),
        before: 0,
        last_inbound: None,
    };
    let result = runner.play(script);
    if let UnderTest::Connection(peer) = &runner.under_test {
        let log = std::mem::take(&mut runner.world.log);
        packets.extend(log.into_iter().filter_map(|(at, packet)| {
            let Transport::Tcp(header) = &packet.transport else { return None };
            let (seq, len) = (header.seq, packet.payload.len());
            let seen = Seen { last: packet, seq, len, cwr: false };
            Some(format!("{} {}", seconds(at), write_seen(&seen, IpExpectation::default(), &peer.mapping)))
        }));
    }
    result
}

/// The connection that the script's packets belong to.
enum UnderTest {
    Nothing,
    /// The next packet from outside begins a connection.
    Listening,
    Connection(Box<Peer>),
}

/// A call that blocks.
struct Pending {
    operation: Operation,
    call: Call,
    line: usize,
    due: Due,
}

struct Runner<'a> {
    world: World,
    directory: Option<&'a Path>,
    pending: Option<Pending>,
    under_test: UnderTest,
    next_peer_port: u16,
    names: Names,
    /// When the event before happened.
    before: i64,
    /// When the event before was due, if it was a packet from outside.
    last_inbound: Option<i64>,
}

impl Runner<'_> {
    fn play(&mut self, script: &Script) -> Result<(), ScriptError> {
        for event in &script.events {
            self.event(event)?;
        }
        if self.pending.is_some() {
            self.wait_for_pending()?;
        }
        self.world.collect();
        if self.world.settings.no_leftovers
            && let Some(leftover) = self.next_sent()
            && let UnderTest::Connection(peer) = &self.under_test
        {
            let (at, seen) = leftover;
            let text = write_seen(&seen, IpExpectation::default(), &peer.mapping);
            let line = script.events.last().map_or(0, |event| event.line);
            let problem = format!("at {} s a packet was left over that nobody expected: {text}", seconds(at));
            return Err(ScriptError::mismatch(line, problem));
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), ScriptError> {
        let inbound =
            matches!(&event.action, Action::Packet(PacketSpec { direction: Direction::Inbound, .. }));
        let reference = self.last_inbound.filter(|_| inbound).unwrap_or(self.world.now());
        let due = Due::new(event.time, reference, self.before);
        self.last_inbound = None;
        if let Action::Packet(spec @ PacketSpec { direction: Direction::Outbound, .. }) = &event.action {
            let at = self.expect_packet(spec, due, event.line)?;
            self.before = at;
            return Ok(());
        }
        if matches!(event.action, Action::Call(_)) && self.pending.is_some() {
            self.wait_until(due.start(self.world.now()))?;
            self.wait_for_pending()?;
        }
        let start = due.start(self.world.now());
        self.wait_until(start)?;
        due.check(self.world.now(), self.world.settings.tolerance)
            .map_err(|problem| ScriptError::mismatch(event.line, problem))?;
        match &event.action {
            Action::Packet(spec) => {
                self.last_inbound = Some(start);
                self.inject(spec, event.line)?;
            }
            Action::Call(call) => self.call(call, reference, event.line)?,
            Action::Command(command) => {
                self.world.command(command, self.directory)?;
            }
            Action::Code(code) => self.code(code, event.line)?,
        }
        self.before = self.world.now();
        Ok(())
    }

    /// Lets time pass until `time`. Calls that block are tried again after each thing that happens.
    fn wait_until(&mut self, time: i64) -> Result<(), ScriptError> {
        loop {
            let limit = match self.pending.as_ref().and_then(|pending| pending.operation.until()) {
                Some(until) if until > self.world.now() => time.min(until),
                _ => time,
            };
            while self.world.step(limit) {
                self.try_pending()?;
            }
            self.world.arrive(limit);
            self.try_pending()?;
            if limit >= time {
                return Ok(());
            }
        }
    }

    fn try_pending(&mut self) -> Result<(), ScriptError> {
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        match pending.operation.attempt(&mut self.world) {
            None => {
                self.pending = Some(pending);
                Ok(())
            }
            Some(outcome) => {
                pending.due.check(self.world.now(), self.world.settings.tolerance).map_err(|problem| {
                    ScriptError::mismatch(pending.line, format!("{} returned: {problem}", pending.call.name))
                })?;
                self.finish_call(&pending.call, &outcome, pending.line)
            }
        }
    }

    fn wait_for_pending(&mut self) -> Result<(), ScriptError> {
        let tolerance = self.world.settings.tolerance;
        let due = self.pending.as_ref().and_then(|pending| pending.due.latest(tolerance)).unwrap_or(0);
        let patience = due.max(self.world.now() + PATIENCE);
        while self.pending.is_some() && self.world.step(patience) {
            self.try_pending()?;
        }
        if self.pending.is_some() {
            self.wait_until(patience)?;
        }
        match &self.pending {
            None => Ok(()),
            Some(pending) => {
                Err(ScriptError::mismatch(pending.line, format!("{} has not returned", pending.call.name)))
            }
        }
    }

    fn call(&mut self, call: &Call, reference: i64, line: usize) -> Result<(), ScriptError> {
        let now = self.world.now();
        let outcome = match call::begin(&mut self.world, call, line)? {
            Begun::Done(outcome) => outcome,
            Begun::Operation(operation) => {
                let mut operation = operation;
                self.note_connect(&operation);
                let first = operation.attempt(&mut self.world);
                if let Some(returns) = call.returns {
                    let end = reference + returns;
                    let due = Due::Between { from: end, to: end, gap: end - now };
                    let pending = Pending { operation, call: call.clone(), line, due };
                    match first {
                        None => {
                            self.pending = Some(pending);
                            return Ok(());
                        }
                        Some(outcome) => {
                            due.check(now, self.world.settings.tolerance).map_err(|problem| {
                                ScriptError::mismatch(line, format!("{} returned: {problem}", call.name))
                            })?;
                            outcome
                        }
                    }
                } else {
                    match first {
                        Some(outcome) => outcome,
                        None => self.block(operation, call, line)?,
                    }
                }
            }
        };
        if call.name == "connect" {
            self.note_connection();
        }
        self.finish_call(call, &outcome, line)
    }

    /// A call that the script does not expect to block may still wait for a timer.
    fn block(&mut self, mut operation: Operation, call: &Call, line: usize) -> Result<Outcome, ScriptError> {
        let patience = operation.until().unwrap_or(self.world.now() + PATIENCE);
        while self.world.step(patience) {
            if let Some(outcome) = operation.attempt(&mut self.world) {
                return Ok(outcome);
            }
        }
        self.world.arrive(patience);
        operation
            .attempt(&mut self.world)
            .ok_or_else(|| ScriptError::mismatch(line, format!("{} blocks", call.name)))
    }

    fn finish_call(&mut self, call: &Call, outcome: &Outcome, line: usize) -> Result<(), ScriptError> {
        let opens = matches!(call.name.as_str(), "socket" | "accept" | "epoll_create" | "epoll_create1");
        let mut outcome = outcome.clone();
        if let (true, Some(number @ 0..), 0..) = (opens, call.result, outcome.value)
            && !self.world.files.contains_key(&number)
            && let Some(file) = self.world.files.remove(&outcome.value)
        {
            // Which number a new file gets is the script's choice.
            self.world.files.insert(number, file);
            outcome.value = number;
        }
        let show = |value: i64, errno: Option<&str>| match errno {
            Some(errno) => format!("{value} {errno}"),
            None => value.to_string(),
        };
        let same_error = match (call.errno.as_deref(), outcome.errno) {
            (None, _) => true,
            (Some(expected), Some(seen)) => {
                let number = crate::world::errno_number(expected);
                if number.is_none() {
                    return Err(ScriptError::syntax(line, format!("error \"{expected}\" is not known")));
                }
                number == crate::world::errno_number(seen)
            }
            (Some(_), None) => false,
        };
        if call.result.is_some_and(|expected| expected != outcome.value) || !same_error {
            let expected = show(call.result.unwrap_or(0), call.errno.as_deref());
            let seen = show(outcome.value, outcome.errno);
            let problem = format!("{} returns\n expected: {expected}\n     seen: {seen}", call.name);
            return Err(ScriptError::mismatch(line, problem));
        }
        if let Some(problem) = &outcome.problem {
            return Err(ScriptError::mismatch(line, format!("{}: {problem}", call.name)));
        }
        match call.name.as_str() {
            "socket" => self.under_test = UnderTest::Nothing,
            "listen" if outcome.value == 0 => self.under_test = UnderTest::Listening,
            "accept" if outcome.value >= 0 => self.note_accepted(outcome.value),
            _ => {}
        }
        Ok(())
    }

    fn note_connect(&mut self, operation: &Operation) {
        if let Operation::Connect { .. } = operation {
            self.note_connection();
        }
    }

    /// The newest socket that connects is under test.
    fn note_connection(&mut self) {
        let newest = self.world.files.values().rev().find_map(|file| match file {
            File::Socket(socket) => match socket.role {
                Role::Connection(id) => Some(id),
                _ => None,
            },
            File::Epoll(_) => None,
        });
        let Some(id) = newest else { return };
        let Ok((local, remote)) = self.world.host.tcp_addresses(id) else { return };
        if let UnderTest::Connection(peer) = &self.under_test
            && (peer.local, peer.remote) == (local, remote)
        {
            return;
        }
        let mapping = Mapping::default();
        self.under_test = UnderTest::Connection(Box::new(Peer { local, remote, mapping, socket: Some(id) }));
    }

    fn note_accepted(&mut self, number: i64) {
        if let UnderTest::Connection(peer) = &mut self.under_test
            && let Some(File::Socket(socket)) = self.world.files.get(&number)
            && let Role::Connection(id) = socket.role
            && self.world.host.tcp_addresses(id).is_ok_and(|ends| ends == (peer.local, peer.remote))
        {
            peer.socket = Some(id);
        }
    }

    fn code(&mut self, code: &str, line: usize) -> Result<(), ScriptError> {
        let socket = match &self.under_test {
            UnderTest::Connection(peer) => peer.socket,
            _ => None,
        };
        let values = socket.and_then(|id| self.world.host.tcp_info_at(self.world.instant(), id).ok());
        expression::run(code, &mut self.names, &|name| info::look_up(name, values.as_ref()))
            .map_err(|problem| ScriptError::mismatch(line, problem))
    }

    fn inject(&mut self, spec: &PacketSpec, line: usize) -> Result<(), ScriptError> {
        if let UnderTest::Listening = self.under_test {
            let local = SocketAddr::new(self.world.settings.local_address(), SERVER_PORT);
            let remote = SocketAddr::new(self.world.settings.remote_address(), self.next_peer_port);
            self.next_peer_port = self.next_peer_port.wrapping_add(1);
            let mapping = Mapping::default();
            self.under_test = UnderTest::Connection(Box::new(Peer { local, remote, mapping, socket: None }));
        }
        let UnderTest::Connection(peer) = &self.under_test else {
            return Err(ScriptError::mismatch(
                line,
                "there is no connection that the packet could belong to",
            ));
        };
        let mut packet = match &spec.body {
            Body::Tcp(tcp) => inbound::segment(tcp, peer, line)?,
            Body::Icmp(icmp) => inbound::icmp(icmp, peer),
        };
        let class = spec.tos.or(spec.ecn.map(crate::script::Ecn::bits));
        packet.ip.traffic_class = class.unwrap_or(0);
        packet.offload.segment_bytes = match self.world.settings.inbound_segment {
            Some(size) if packet.payload.len() > usize::from(size) => Some(size),
            _ => None,
        };
        self.world.deliver(packet);
        self.try_pending()
    }

    /// The next packet of the connection under test.
    fn next_sent(&mut self) -> Option<(i64, Seen)> {
        while let Some((at, packet)) = self.world.sent.pop_front() {
            let UnderTest::Connection(peer) = &mut self.under_test else { continue };
            let ours = packet.source_socket() == Some(peer.local)
                && packet.destination_socket() == Some(peer.remote);
            let Transport::Tcp(header) = &packet.transport else { continue };
            if !ours {
                continue;
            }
            let (seq, cwr) = (header.seq, header.flags.contains(TcpFlags::CWR));
            return Some((at, Seen { len: packet.payload.len(), seq, cwr, last: packet }));
        }
        None
    }

    /// Waits for a packet until `limit`.
    fn await_sent(&mut self, limit: i64) -> Result<Option<(i64, Seen)>, ScriptError> {
        loop {
            self.world.collect();
            if let Some(seen) = self.next_sent() {
                return Ok(Some(seen));
            }
            let until = self.pending.as_ref().and_then(|pending| pending.operation.until());
            let next =
                until.filter(|until| *until > self.world.now()).map_or(limit, |until| until.min(limit));
            if self.world.step(next) {
                self.try_pending()?;
            } else if next < limit {
                self.world.arrive(next);
                self.try_pending()?;
            } else {
                return Ok(None);
            }
        }
    }

    fn expect_packet(&mut self, spec: &PacketSpec, due: Due, line: usize) -> Result<i64, ScriptError> {
        let Body::Tcp(tcp) = &spec.body else {
            return Err(ScriptError::syntax(line, "only TCP segments can be expected"));
        };
        let ip = IpExpectation { ecn: spec.ecn.map(crate::script::Ecn::bits), tos: spec.tos };
        let tolerance = self.world.settings.tolerance;
        let limit = due.latest(tolerance).unwrap_or(self.world.now() + LATE);
        let Some((mut at, mut seen)) = self.await_sent(limit)? else {
            return Err(self.missing(tcp, ip, limit, line));
        };
        let strict = self.world.settings.strict_segments;
        while !strict && seen.len > 0 && seen.len < tcp.len as usize {
            // What is missing must follow directly: a part of the same data, as large as the first.
            let Some((later, next)) = self.await_sent(limit)? else { break };
            let follows = next.seq == seen.seq + seen.len as u32;
            let (len, seq, cwr) = (seen.len + next.len, seen.seq, seen.cwr);
            let size = seen.last.payload.len();
            if !follows || next.len == 0 || next.len > size || len > tcp.len as usize {
                self.world.sent.push_front((later, next.last));
                break;
            }
            at = later;
            let ends = next.len < size && len < tcp.len as usize;
            seen = Seen { last: next.last, seq, len, cwr };
            if ends {
                break;
            }
        }
        let UnderTest::Connection(peer) = &mut self.under_test else {
            return Err(self.missing(tcp, ip, limit, line));
        };
        if let Some(header) = seen.header()
            && header.flags.contains(TcpFlags::SYN)
        {
            peer.mapping.local_offset = header.seq.0.wrapping_sub(tcp.seq);
            peer.mapping.known = true;
        }
        let tick = self.world.settings.timestamp_tick;
        if let Err(differences) = compare(tcp, ip, &seen, &mut peer.mapping, tick) {
            let problem = format!(
                "packet at {} s differs in {}\n expected: {}\n     seen: {}",
                seconds(at),
                differences.join(", "),
                write_expected(tcp, ip),
                write_seen(&seen, ip, &peer.mapping)
            );
            return Err(ScriptError::mismatch(line, problem));
        }
        due.check(at, tolerance)
            .map_err(|problem| ScriptError::mismatch(line, format!("packet: {problem}")))?;
        Ok(at)
    }

    /// No packet came in time; one that comes later is shown.
    fn missing(&mut self, tcp: &TcpSpec, ip: IpExpectation, limit: i64, line: usize) -> ScriptError {
        let later = self.await_sent(limit + LATE);
        let seen = match (&self.under_test, later) {
            (UnderTest::Connection(peer), Ok(Some((at, seen)))) => {
                format!("{} at {} s", write_seen(&seen, ip, &peer.mapping), seconds(at))
            }
            _ => "none".into(),
        };
        let problem = format!(
            "no packet by {} s\n expected: {}\n     seen: {seen}",
            seconds(limit),
            write_expected(tcp, ip)
        );
        ScriptError::mismatch(line, problem)
    }
}
