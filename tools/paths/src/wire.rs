//! A path in user space: two hosts' TAP devices, and links and routers between them, with a delay.
//!
//! (Kernels without netem have no delay; and a path that is different on the way back needs routers that can be told so.)

use crate::ethernet::{arp_answer, frame, neighbour_answer, packet_in};
use crate::packet::{age, clamp, complaint, fragment, may_fragment};
use narrows_namespaces::{Error, go_first};
use narrows_wire::{IcmpMessage, Protocol};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tun_rs::SyncDevice;

/// What routers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmp {
    /// Everything.
    Speaks,
    /// Nothing.
    Silent,
    /// "Time exceeded", but never "too big".
    NoTooBig,
    /// At most this many messages per second, after as many at once.
    Limited(u32),
}

/// Which MTU a router's "too big" names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// That of its next link (RFC 1191 §4).
    #[default]
    Its,
    /// None: the field is zero, as RFC 792 has it.
    Nothing,
    /// Another one.
    Wrong(u32),
}

/// Somebody on the way who sees packets and tells lies about them: "too big", although they go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forger {
    /// The MTU that the lies name. Only about larger packets is lied.
    pub mtu: u32,
    /// Of these one in so many.
    pub one_in: u32,
}

/// One way of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The MTU of each link behind a router, in the order of travel.
    pub links: Vec<u32>,
    /// The MSS that a SYN has at most behind the first router.
    pub clamp: Option<u16>,
    /// One packet in this many is lost (0: none).
    pub loses_one_in: u32,
    /// One packet in this many arrives later than it should (0: none), by this time: others overtake it.
    pub late: (u32, Duration),
    /// Links of the same routers that some flows take instead (ECMP): which is told by [`takes_the_branch`].
    pub branch: Option<Vec<u32>>,
}

impl Way {
    /// Links of these MTUs.
    #[must_use]
    pub fn new(links: &[u32]) -> Way {
        Way { links: links.to_vec(), clamp: None, loses_one_in: 0, late: (0, Duration::ZERO), branch: None }
    }
}

/// What is dropped on the way, whatever its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Echo requests.
    pub echo: bool,
    /// Datagrams.
    pub udp: bool,
    /// TCP.
    pub tcp: bool,
    /// ICMP messages about errors that the peer sends, "port unreachable" above all.
    pub peer_errors: bool,
}

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// To the server.
    pub there: Way,
    /// From the server.
    pub back: Way,
    /// What routers say.
    pub icmp: Icmp,
    /// And which MTU they name.
    pub names: Names,
    /// Who lies to the client.
    pub forger: Option<Forger>,
    /// What is dropped.
    pub filter: Filter,
    /// One way.
    pub delay: Duration,
    /// The routers' addresses, from the client to the server.
    pub routers: Vec<IpAddr>,
    /// Where its losses begin: another number, other packets are lost.
    pub seed: u64,
}

struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * self.per_second).min(self.per_second);
        self.at = now;
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

/// When, in which order, to which device, what.
type UnderWay = Reverse<(Instant, u64, usize, Vec<u8>)>;

/// A path at work.
struct Running<'a> {
    path: &'a Path,
    bucket: Bucket,
    under_way: BinaryHeap<UnderWay>,
    count: u64,
    dice: u64,
}

/// Carries packets between the client (device 0) and the server (device 1) until `stop`.
///
/// # Errors
/// [`Error::Io`] when a device fails.
pub fn carry(path: &Path, devices: [&SyncDevice; 2], stop: &AtomicBool) -> Result<(), Error> {
    go_first();
    let per_second = if let Icmp::Limited(rate) = path.icmp { f64::from(rate) } else { 0.0 };
    let bucket = Bucket { per_second, tokens: per_second, at: Instant::now() };
    let mut running = Running { path, bucket, under_way: BinaryHeap::new(), count: 0, dice: path.seed };
    let mut buffer = vec![0_u8; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        while let Some(Reverse((at, ..))) = running.under_way.peek()
            && *at <= now
        {
            if let Some(Reverse((_, _, to, packet))) = running.under_way.pop() {
                // A host that does not take it has lost it.
                let _ = devices[to].send(&frame(&packet));
            }
        }
        for (from, device) in devices.iter().enumerate() {
            while let Ok(length) = device.recv(&mut buffer) {
                if let Some(packet) = packet_in(&buffer[..length]) {
                    // Only ICMPv6 can be one: everything else is not looked into.
                    if packet.get(6) == Some(&58)
                        && let Some(answer) = neighbour_answer(packet)
                    {
                        let _ = device.send(&answer);
                        continue;
                    }
                    running.enter(from, packet.to_vec());
                } else if let Some(answer) = arp_answer(&buffer[..length]) {
                    let _ = device.send(&answer);
                }
            }
        }
        let next = running.under_way.peek().map(|Reverse((at, ..))| *at);
        let nap = Duration::from_millis(20);
        let sleep = next.map_or(nap, |at| at.saturating_duration_since(Instant::now()).min(nap));
        let mut readable = devices.map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN));
        match ppoll(&mut readable, Some(TimeSpec::from_duration(sleep)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
    }
    Ok(())
}

impl Running<'_> {
    fn send(&mut self, after: Duration, to: usize, packet: Vec<u8>) {
        self.count += 1;
        self.under_way.push(Reverse((Instant::now() + after, self.count, to, packet)));
    }

    /// One time in so many; never, when it is 0.
    fn happens(&mut self, one_in: u32) -> bool {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        one_in > 0 && (self.dice >> 33).is_multiple_of(u64::from(one_in))
    }

    /// A packet leaves a host.
    fn enter(&mut self, from: usize, mut packet: Vec<u8>) {
        let path = self.path;
        let way = if from == 0 { &path.there } else { &path.back };
        if packet.len() < 20 || filtered(&path.filter, from, &packet) || self.happens(way.loses_one_in) {
            return;
        }
        if from == 0 {
            self.lie(&packet);
        }
        let routers = path.routers.len();
        let mut pieces = vec![packet.clone()];
        let links = way.branch.as_ref().filter(|_| takes_the_branch(&packet)).unwrap_or(&way.links);
        for (index, &mtu) in links.iter().enumerate() {
            let Some(first) = pieces.first().cloned() else { return };
            let number = if from == 0 { index } else { routers - 1 - index };
            let router = path.routers[number];
            let back = path.delay * 2 * (index as u32 + 1) / (routers as u32 + 1);
            if !age(&mut packet) {
                self.complain(back, from, router, IcmpMessage::TimeExceeded { code: 0 }, &first);
                return;
            }
            let mut next = Vec::new();
            for mut piece in pieces {
                let as_it_came = piece.clone();
                age(&mut piece);
                if piece.len() <= mtu as usize {
                    next.push(piece);
                } else if may_fragment(&piece) {
                    next.extend(fragment(&piece, mtu as usize));
                } else {
                    let mtu = match path.names {
                        Names::Its => mtu,
                        Names::Nothing => 0,
                        Names::Wrong(other) => other,
                    };
                    let message = IcmpMessage::PacketTooBig { mtu };
                    self.complain(back, from, router, message, &as_it_came);
                }
            }
            pieces = next;
            if index == 0
                && let Some(mss) = way.clamp
            {
                pieces.iter_mut().for_each(|piece| clamp(piece, mss));
            }
        }
        for piece in pieces {
            let late = if self.happens(way.late.0) { way.late.1 } else { Duration::ZERO };
            self.send(path.delay + late, 1 - from, piece);
        }
    }

    /// A forger's message about a packet of the client's. It comes from the middle of the path, before any answer to the packet.
    fn lie(&mut self, about: &[u8]) {
        let path = self.path;
        let Some(forger) = path.forger.filter(|forger| about.len() > forger.mtu as usize) else { return };
        let router = path.routers[path.routers.len() / 2];
        let message = IcmpMessage::PacketTooBig { mtu: forger.mtu };
        if self.happens(forger.one_in)
            && let Some(packet) = complaint(router, message, about)
        {
            self.send(path.delay, 0, packet);
        }
    }

    fn complain(&mut self, after: Duration, to: usize, router: IpAddr, message: IcmpMessage, about: &[u8]) {
        let too_big = matches!(message, IcmpMessage::PacketTooBig { .. });
        let speaks = match self.path.icmp {
            Icmp::Speaks => true,
            Icmp::Silent => false,
            Icmp::NoTooBig => !too_big,
            Icmp::Limited(_) => self.bucket.take(Instant::now()),
        };
        if speaks && let Some(packet) = complaint(router, message, about) {
            self.send(after, to, packet);
        }
    }
}

/// Whether a packet's flow takes the branch: datagrams to odd ports. (Routers hash addresses, protocol and ports, RFC 2992;
/// here the truth has to be the same in every run.)
#[must_use]
pub fn takes_the_branch(packet: &[u8]) -> bool {
    let Ok(parsed) = narrows_wire::IpHeader::parse(packet, packet.len()) else { return false };
    let port = packet.get(parsed.header_bytes + 3).copied().unwrap_or_default();
    parsed.header.protocol == Protocol::Udp && port % 2 == 1
}

fn filtered(filter: &Filter, from: usize, packet: &[u8]) -> bool {
    let Ok(parsed) = narrows_wire::IpHeader::parse(packet, packet.len()) else { return true };
    if parsed.header.destination.is_multicast() {
        return true;
    }
    let kind = packet.get(parsed.header_bytes).copied().unwrap_or_default();
    match parsed.header.protocol {
        Protocol::Icmp if kind == 8 => filter.echo,
        Protocol::Icmpv6 if kind == 128 => filter.echo,
        Protocol::Icmp => from == 1 && kind != 0 && filter.peer_errors,
        Protocol::Icmpv6 => from == 1 && kind < 128 && filter.peer_errors,
        Protocol::Udp => filter.udp,
        Protocol::Tcp => filter.tcp,
        _ => false,
    }
}
