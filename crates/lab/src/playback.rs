//! How long does this conversation take on that path between those two hosts?

use crate::conversation::{Conversation, Side};
use crate::link::{DirectionConfig, LinkConfig};
use crate::player::{Player, PlayerLog, PlayerOptions};
use crate::recorder::{Heading, PacketHash, Passage, Recorder};
use crate::scenario::{ClampMss, RouterSpec, TooBig};
use crate::world::{
    AppId, BuildError, End, HostOptions, IpVersion, LinkId, NodeId, Stop, World, WorldBuilder,
};
use narrows_stack::{Instant, Knobs, SocketError, TcpInfo};
use narrows_wire::{Packet, TcpFlags, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Where the server listens; a port that means nothing to Wireshark.
const SERVER_PORT: u16 = 7_000;

/// One side of a play.
#[derive(Clone, Debug)]
pub struct SideConfig {
    /// Its host's knobs.
    pub knobs: Knobs,
    /// Its application.
    pub options: PlayerOptions,
    /// Where in a timer tick the origin of time falls, nanoseconds; `None`: from the seed.
    pub tick_phase_ns: Option<u64>,
}

impl SideConfig {
    /// A side with these knobs, an application that does everything at once, and a tick phase from the seed.
    #[must_use]
    pub fn new(knobs: Knobs) -> SideConfig {
        SideConfig { knobs, options: PlayerOptions::default(), tick_phase_ns: None }
    }
}

/// What lies between two hosts whose own links are not all of the path: a router beside each, and the path's link between these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between {
    /// The largest IP packet that the link between the routers takes, bytes.
    pub mtu: u32,
    /// What the routers do with larger ones.
    pub too_big: TooBig,
    /// How much later than at once they say so.
    pub icmp_delay: Duration,
    /// To what the client's router lowers the MSS in SYNs.
    pub clamp_mss: Option<u16>,
    /// The largest IP packet that each host's own link takes, by [`Side::index`].
    pub interface_mtu: [u32; 2],
    /// Time from each host to its router.
    pub to_router: Duration,
}

/// The world that a conversation is played in: two hosts and one link, or routers between them.
#[derive(Clone, Debug)]
pub struct PlayConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// The IP version.
    pub ip_version: IpVersion,
    /// The side that opens the connection.
    pub client: SideConfig,
    /// The other one.
    pub server: SideConfig,
    /// The path; `forward` is from client to server.
    pub link: LinkConfig,
    /// There are routers on the path; its delay is then that of all its links together.
    pub between: Option<Between>,
    /// Stop at this much virtual time.
    pub time_limit: Duration,
    /// Keep every packet ([`Playback::packets`]).
    pub record_packets: bool,
}

impl PlayConfig {
    /// Over IPv4, for at most an hour, without keeping the packets.
    #[must_use]
    pub fn new(seed: u64, client: Knobs, server: Knobs, link: LinkConfig) -> PlayConfig {
        PlayConfig {
            seed,
            ip_version: IpVersion::V4,
            client: SideConfig::new(client),
            server: SideConfig::new(server),
            link,
            between: None,
            time_limit: Duration::from_secs(3_600),
            record_packets: false,
        }
    }

    fn side(&self, side: Side) -> &SideConfig {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

/// How a play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was said and read, and the connection closed as the conversation says.
    Completed,
    /// The time limit came first.
    TimeLimit,
    /// Nothing was left to happen although this turn (its index) had not been said and read.
    Stuck(usize),
    /// Everything was said and read, but the connection did not come to its end.
    NotClosed,
    /// The connection failed for this side.
    Failed(Side, SocketError),
}

/// When one turn was said and heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnTimes {
    /// The speaker began its message: normally its first write call, earlier by that write's own gap.
    pub first_write: Option<Instant>,
    /// The last byte was taken by the speaker's stack.
    pub last_write: Option<Instant>,
    /// The peer read the first byte.
    pub first_read: Option<Instant>,
    /// The peer read the last byte.
    pub last_read: Option<Instant>,
}

/// What one side sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentCounters {
    /// Packets.
    pub packets: u64,
    /// Packets with payload.
    pub data_packets: u64,
    /// Packets without payload, SYN, FIN or RST.
    pub pure_acks: u64,
    /// Payload bytes, every copy counted.
    pub payload_bytes: u64,
    /// Packets that never arrived.
    pub lost_packets: u64,
}

/// One packet of a play, with its times at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayedPacket {
    /// Who sent it.
    pub from: Side,
    /// When.
    pub sent: Instant,
    /// When it arrived; `None`: never.
    pub received: Option<Instant>,
    /// A copy that the link made: nobody sent it.
    pub duplicate: bool,
    /// The packet.
    pub packet: Packet,
}

/// What came of a play.
#[derive(Clone, Debug)]
pub struct Playback {
    /// How it ended.
    pub outcome: Outcome,
    /// For every turn of the conversation.
    pub turns: Vec<TurnTimes>,
    /// For every exchange: the client's first write, and the read of the answer's last byte.
    pub exchanges: Vec<(Instant, Instant)>,
    /// When the connection was established, by [`Side::index`].
    pub established: [Option<Instant>; 2],
    /// When each side closed its end.
    pub closed: [Option<Instant>; 2],
    /// First and last packet as seen at each side.
    pub span: [Option<(Instant, Instant)>; 2],
    /// When any application last read anything.
    pub last_read: Option<Instant>,
    /// What each side sent.
    pub sent: [SentCounters; 2],
    /// Each side's connection at its end.
    pub info: [Option<TcpInfo>; 2],
    /// Every packet in the order of sending, when asked for.
    pub packets: Vec<PlayedPacket>,
    /// A hash over all packets and their times at both sides.
    pub packet_hash: u64,
    /// Bytes arrived that were not those written: never, unless the stack is wrong.
    pub corrupted: bool,
}

impl Playback {
    /// From the first packet to the last, as a capture at that side shows it.
    #[must_use]
    pub fn duration_at(&self, side: Side) -> Option<Duration> {
        self.span[side.index()].map(|(first, last)| last.since(first))
    }

    /// From the SYN to the last byte read by any application.
    #[must_use]
    pub fn duration_to_last_read(&self) -> Option<Duration> {
        let (first, _) = self.span[Side::Client.index()]?;
        self.last_read.map(|last| last.since(first))
    }

    /// Mean time of the exchanges that were finished.
    #[must_use]
    pub fn mean_exchange(&self) -> Option<Duration> {
        let count = u32::try_from(self.exchanges.len()).ok().filter(|&count| count > 0)?;
        Some(self.exchanges.iter().map(|(begin, end)| end.since(*begin)).sum::<Duration>() / count)
    }

    /// The packets as a capture at that side has them, in its order of time; needs [`PlayConfig::record_packets`].
    #[must_use]
    pub fn packets_at(&self, side: Side) -> Vec<(Instant, &PlayedPacket)> {
        let mut seen: Vec<(Instant, &PlayedPacket)> = self
            .packets
            .iter()
            .filter_map(|played| match (played.from == side, played.duplicate) {
                (true, true) => None,
                (true, false) => Some((played.sent, played)),
                (false, _) => played.received.map(|received| (received, played)),
            })
            .collect();
        seen.sort_by_key(|&(time, _)| time);
        seen
    }
}

/// Plays a conversation between two hosts over one link.
///
/// # Errors
/// [`BuildError::WrongSetting`] when the link makes no sense.
pub fn play(conversation: &Conversation, config: &PlayConfig) -> Result<Playback, BuildError> {
    let mut builder = World::builder(config.seed);
    builder.ip_version(config.ip_version);
    let [client, server] = [Side::Client, Side::Server].map(|side| {
        let SideConfig { knobs, tick_phase_ns, .. } = config.side(side).clone();
        builder.host_with(side.name(), HostOptions { tick_phase_ns, ..HostOptions::new(knobs) })
    });
    let ends = links(&mut builder, [client, server], config);
    let address = builder.address(server).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let shared = Arc::new(conversation.clone());
    let apps = [(Side::Client, client), (Side::Server, server)].map(|(side, host)| {
        let options = config.side(side).options.clone();
        builder.app(host, Player::new(side, shared.clone(), options, SocketAddr::new(address, SERVER_PORT)))
    });
    let mut world = builder.build()?;
    let recorder = world.add_recorder(PlayRecorder::new(config.record_packets, config.between.is_none()));
    world.tap(recorder, ends[0], End::First);
    world.tap(recorder, ends[1], End::Second);
    let stop = world.run_until_idle(Instant::ZERO + config.time_limit);
    let record = world.take_recorder(recorder).unwrap_or_else(|| PlayRecorder::new(false, true));
    Ok(make_playback(conversation, &world, apps, stop, record))
}

/// Joins the hosts; the link that each of them is at.
fn links(builder: &mut WorldBuilder, hosts: [NodeId; 2], config: &PlayConfig) -> [LinkId; 2] {
    let [client, server] = hosts;
    let Some(between) = &config.between else {
        return [builder.link("path", client, server, config.link.clone()); 2];
    };
    let router = |name: &str, clamp: Option<u16>| RouterSpec {
        too_big: between.too_big,
        icmp_delay: between.icmp_delay,
        clamp_mss: clamp.map(ClampMss::Bytes),
        ..RouterSpec::new(name)
    };
    let near = builder.router_with(&router("near", between.clamp_mss));
    let far = builder.router_with(&router("far", None));
    let own = |side: Side| {
        LinkConfig::symmetric(DirectionConfig {
            mtu: between.interface_mtu[side.index()],
            delay: between.to_router,
            ..DirectionConfig::default()
        })
    };
    let mut path = config.link.clone();
    for direction in [&mut path.forward, &mut path.backward] {
        direction.mtu = between.mtu;
        direction.delay = direction.delay.saturating_sub(between.to_router * 2);
    }
    let ends = [
        builder.link("client-link", client, near, own(Side::Client)),
        builder.link("server-link", far, server, own(Side::Server)),
    ];
    builder.link("path", near, far, path);
    ends
}

fn make_playback(
    conversation: &Conversation,
    world: &World,
    apps: [AppId; 2],
    stop: Stop,
    record: PlayRecorder,
) -> Playback {
    let nothing = PlayerLog::default();
    let players = apps.map(|app| world.app::<Player>(app));
    let logs = players.map(|player| player.map_or(&nothing, Player::log));
    let turns: Vec<TurnTimes> = conversation
        .turns
        .iter()
        .enumerate()
        .map(|(number, turn)| {
            let written = logs[turn.side.index()].written.get(number).copied().flatten();
            let read = logs[turn.side.peer().index()].read.get(number).copied().flatten();
            TurnTimes {
                first_write: written.map(|(first, _)| first),
                last_write: written.and_then(|(_, last)| last),
                first_read: read.map(|(first, _)| first),
                last_read: read.and_then(|(_, last)| last),
            }
        })
        .collect();
    let exchanges = conversation
        .exchanges()
        .into_iter()
        .filter_map(|exchange| {
            let begin = turns[exchange.request_turns.start].first_write?;
            Some((begin, turns[exchange.answer_turns.end - 1].last_read?))
        })
        .collect();
    let info = [0, 1].map(|side| {
        let open = players[side].and_then(|player| {
            let stack = world.host(apps[side].host)?;
            stack.tcp_info(player.socket()?).ok()
        });
        open.or_else(|| logs[side].info.clone())
    });
    Playback {
        outcome: outcome(conversation, &turns, logs, stop),
        turns,
        exchanges,
        established: logs.map(|log| log.established),
        closed: logs.map(|log| log.closed),
        span: record.span,
        last_read: logs.iter().filter_map(|log| log.last_read).max(),
        sent: record.sent,
        info,
        packets: record.packets,
        packet_hash: record.hash.value(),
        corrupted: logs.iter().any(|log| log.corrupted),
    }
}

fn outcome(conversation: &Conversation, turns: &[TurnTimes], logs: [&PlayerLog; 2], stop: Stop) -> Outcome {
    for side in [Side::Client, Side::Server] {
        if let Some(error) = logs[side.index()].error {
            return Outcome::Failed(side, error);
        }
    }
    let said = turns.iter().zip(&conversation.turns).position(|(times, turn)| {
        times.last_write.is_none() || (times.last_read.is_none() && turn.bytes() > 0)
    });
    let closed = conversation.close.is_none() || logs.iter().all(|log| log.closed.is_some());
    match (said, stop) {
        (None, _) if closed && logs.iter().all(|log| log.finished) => Outcome::Completed,
        (_, Stop::TimeLimit) => Outcome::TimeLimit,
        (Some(turn), Stop::Idle) => Outcome::Stuck(turn),
        (None, Stop::Idle) => Outcome::NotClosed,
    }
}

/// Watches both ends of the link of a play; tap 0 is the client's.
struct PlayRecorder {
    hash: PacketHash,
    taps: u32,
    /// Both taps are at one link, so that a packet has the same number at both.
    matches: bool,
    span: [Option<(Instant, Instant)>; 2],
    sent: [SentCounters; 2],
    keep: bool,
    packets: Vec<PlayedPacket>,
    /// Where in `packets` each packet offered to a direction is.
    numbers: [Vec<usize>; 2],
    /// Which of the packets of each direction have arrived.
    arrived: [Vec<bool>; 2],
}

impl PlayRecorder {
    fn new(keep: bool, matches: bool) -> PlayRecorder {
        PlayRecorder {
            hash: PacketHash::default(),
            taps: 0,
            matches,
            span: [None; 2],
            sent: [SentCounters::default(); 2],
            keep,
            packets: Vec::new(),
            numbers: [Vec::new(), Vec::new()],
            arrived: [Vec::new(), Vec::new()],
        }
    }

    /// A packet came that may have been changed, cut or made on the way: the copy that was sent, if it is still known,
    /// has arrived.
    fn received(&mut self, from: Side, passage: &Passage<'_>) {
        self.sent[from.index()].lost_packets = self.sent[from.index()].lost_packets.saturating_sub(1);
        let same = |played: &&mut PlayedPacket| {
            played.from == from
                && played.received.is_none()
                && played.packet.transport == passage.packet.transport
                && played.packet.payload.len() == passage.packet.payload.len()
        };
        if self.keep
            && let Some(played) = self.packets.iter_mut().find(same)
        {
            played.received = Some(passage.time);
        }
    }

    fn count_sent(&mut self, from: Side, packet: &Packet) {
        let sent = &mut self.sent[from.index()];
        sent.packets += 1;
        sent.lost_packets += 1;
        sent.payload_bytes += packet.payload.len() as u64;
        let control = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        if !packet.payload.is_empty() {
            sent.data_packets += 1;
        } else if let Transport::Tcp(tcp) = &packet.transport
            && !tcp.flags.intersects(control)
        {
            sent.pure_acks += 1;
        }
    }
}

impl Recorder for PlayRecorder {
    fn add_tap(&mut self, name: &str) -> u32 {
        self.hash.add_tap(name);
        self.taps += 1;
        self.taps - 1
    }

    fn record(&mut self, tap: u32, passage: &Passage<'_>) {
        self.hash.record(tap, passage);
        let at = if tap == 0 { Side::Client } else { Side::Server };
        let span = self.span[at.index()].get_or_insert((passage.time, passage.time));
        span.1 = passage.time;
        let number = passage.number as usize;
        match passage.heading {
            Heading::Out => {
                self.count_sent(at, passage.packet);
                self.arrived[at.index()].push(false);
                if self.keep {
                    self.numbers[at.index()].push(self.packets.len());
                    self.packets.push(PlayedPacket {
                        from: at,
                        sent: passage.time,
                        received: None,
                        duplicate: false,
                        packet: passage.packet.clone(),
                    });
                }
            }
            Heading::In => {
                let from = at.peer();
                if !self.matches {
                    return self.received(from, passage);
                }
                let Some(arrived) = self.arrived[from.index()].get_mut(number) else { return };
                let duplicate = std::mem::replace(arrived, true);
                if !duplicate {
                    self.sent[from.index()].lost_packets -= 1;
                }
                let Some(&place) = self.numbers[from.index()].get(number) else { return };
                let Some(played) = self.packets.get_mut(place) else { return };
                if duplicate {
                    let copy =
                        PlayedPacket { duplicate: true, received: Some(passage.time), ..played.clone() };
                    self.packets.push(copy);
                } else {
                    played.received = Some(passage.time);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "playback_tests.rs"]
mod tests;
