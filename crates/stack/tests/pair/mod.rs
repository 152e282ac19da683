//! Two hosts on one link in virtual time, for tests: every packet arrives after a fixed delay unless the link's rule says
//! otherwise.
#![allow(dead_code)]

use bytes::Bytes;
use narrows_stack::icmp::{error_about, may_be_answered};
use narrows_stack::{
    Event, Host, HostConfig, Instant, Interface, InterfaceId, Knobs, ListenerId, SendFlags, SocketId,
};
use narrows_wire::{IcmpMessage, Packet, TcpFlags, TcpHeader, Transport};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// What the link does with a packet: when each of its copies arrives after having been sent; none: it is lost.
pub type Rule = Box<dyn FnMut(usize, &Packet) -> Vec<Duration>>;

/// What the link makes of a packet: what arrives where, and when after it has been sent.
pub type Tamper = Box<dyn FnMut(usize, Packet) -> Vec<(Duration, usize, Packet)>>;

#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub from: usize,
    pub packet: Packet,
}

impl Seen {
    pub fn tcp(&self) -> &TcpHeader {
        tcp(&self.packet)
    }
}

pub fn tcp(packet: &Packet) -> &TcpHeader {
    match &packet.transport {
        Transport::Tcp(header) => header,
        other => panic!("not TCP: {other:?}"),
    }
}

pub struct Pair {
    pub hosts: [Host; 2],
    pub addresses: [IpAddr; 2],
    pub now: Instant,
    pub delay: Duration,
    pub rule: Option<Rule>,
    pub tamper: Option<Tamper>,
    pub log: Vec<Seen>,
    pub events: [Vec<Event>; 2],
    pub keep_log: bool,
    /// The link is two with a router between, the second of this MTU; whether the router says so.
    pub narrow: Option<(u32, bool)>,
    on_the_way: BTreeMap<(Instant, u64), (usize, Packet)>,
    sent: u64,
}

pub fn knobs() -> Knobs {
    Knobs { hz: 0, ..Knobs::default() }
}

impl Pair {
    pub fn new(ipv6: bool, delay: Duration) -> Pair {
        Pair::with(ipv6, delay, 1500, false, 1)
    }

    pub fn with(ipv6: bool, delay: Duration, mtu: u32, offload: bool, seed: u64) -> Pair {
        let addresses: [IpAddr; 2] = if ipv6 {
            ["fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()]
        } else {
            ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()]
        };
        let hosts = [0, 1].map(|side| {
            let config = HostConfig { knobs: knobs(), seed: seed + side as u64, tick_phase_ns: 0 };
            let mut host = Host::new(config);
            host.add_interface(Interface {
                addresses: vec![addresses[side]],
                mtu,
                segmentation_offload: offload,
            });
            host
        });
        Pair {
            hosts,
            addresses,
            now: Instant::ZERO,
            delay,
            rule: None,
            tamper: None,
            log: Vec::new(),
            events: [Vec::new(), Vec::new()],
            keep_log: true,
            narrow: None,
            on_the_way: BTreeMap::new(),
            sent: 0,
        }
    }

    pub fn server_address(&self) -> SocketAddr {
        SocketAddr::new(self.addresses[SERVER], 80)
    }

    /// Sends whatever the hosts have to send at this moment.
    pub fn flush(&mut self) {
        for side in [CLIENT, SERVER] {
            while let Some(transmit) = self.hosts[side].poll_transmit(self.now) {
                self.send(side, transmit.packet);
            }
            while let Some(event) = self.hosts[side].poll_event() {
                self.events[side].push(event);
            }
        }
    }

    fn send(&mut self, from: usize, packet: Packet) {
        if self.keep_log {
            self.log.push(Seen { at: self.now, from, packet: packet.clone() });
        }
        if let Some((mtu, says_so)) = self.narrow
            && packet.len() > mtu as usize
        {
            if says_so && may_be_answered(&packet) {
                let router = if packet.ip.source.is_ipv4() {
                    IpAddr::from([10, 0, 0, 254])
                } else {
                    "fd00::fe".parse().unwrap()
                };
                let error = error_about(&packet, IcmpMessage::PacketTooBig { mtu }, router);
                self.sent += 1;
                // To the router and back.
                self.on_the_way.insert((self.now + 2 * self.delay, self.sent), (from, error));
            }
            return;
        }
        if let Some(tamper) = &mut self.tamper {
            for (delay, to, packet) in tamper(from, packet) {
                self.sent += 1;
                self.on_the_way.insert((self.now + delay, self.sent), (to, packet));
            }
            return;
        }
        let arrivals = match &mut self.rule {
            Some(rule) => rule(from, &packet),
            None => vec![self.delay],
        };
        for delay in arrivals {
            self.sent += 1;
            self.on_the_way.insert((self.now + delay, self.sent), (1 - from, packet.clone()));
        }
    }

    /// Puts a packet of the test's making on the link.
    pub fn inject(&mut self, to: usize, packet: Packet) {
        self.sent += 1;
        self.on_the_way.insert((self.now, self.sent), (to, packet));
    }

    /// When something happens next.
    pub fn next(&mut self) -> Option<Instant> {
        self.flush();
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let timers = [CLIENT, SERVER].map(|side| self.hosts[side].poll_timeout());
        [arrival, timers[0], timers[1]].into_iter().flatten().min()
    }

    /// Lets the next thing happen if it is not later than `limit`.
    pub fn step(&mut self, limit: Instant) -> bool {
        let Some(at) = self.next() else { return false };
        if at > limit {
            return false;
        }
        self.now = self.now.max(at);
        for side in [CLIENT, SERVER] {
            if self.hosts[side].poll_timeout().is_some_and(|due| due <= self.now) {
                self.hosts[side].handle_timeout(self.now);
                assert!(
                    self.hosts[side].poll_timeout().is_none_or(|due| due > self.now),
                    "a timer is due again at once"
                );
            }
        }
        self.flush();
        while let Some(entry) = self.on_the_way.first_entry()
            && entry.key().0 <= self.now
        {
            let (to, packet) = entry.remove();
            self.hosts[to].handle_packet(self.now, InterfaceId(0), packet);
            self.flush();
        }
        true
    }

    pub fn run_until(&mut self, limit: Instant) {
        while self.step(limit) {}
        self.now = self.now.max(limit);
    }

    pub fn run(&mut self, length: Duration) {
        self.run_until(self.now + length);
    }

    /// A listener, a connection to it, and both ends of it.
    pub fn connect(&mut self, client: Knobs, server: Knobs) -> [SocketId; 2] {
        let listener = self.listen(server);
        let socket = self.open(client);
        self.run(self.delay * 4 + Duration::from_millis(1));
        let accepted = self.hosts[SERVER].tcp_accept(listener).expect("a connection to accept");
        self.flush();
        [socket, accepted]
    }

    pub fn listen(&mut self, knobs: Knobs) -> ListenerId {
        let address = self.server_address();
        self.hosts[SERVER].tcp_listen(address, 16, knobs).expect("a free port")
    }

    pub fn open(&mut self, knobs: Knobs) -> SocketId {
        let address = self.server_address();
        self.hosts[CLIENT].tcp_connect(self.now, address, None, knobs).expect("a route")
    }

    pub fn write(&mut self, side: usize, socket: SocketId, bytes: usize) -> usize {
        let data = Bytes::from(vec![0x5a; bytes]);
        let written = self.hosts[side].tcp_send(self.now, socket, data, SendFlags::default());
        self.flush();
        written.expect("room to write")
    }

    pub fn write_more(&mut self, side: usize, socket: SocketId, bytes: usize) {
        let data = Bytes::from(vec![0x5a; bytes]);
        self.hosts[side]
            .tcp_send(self.now, socket, data, SendFlags { more: true, ..SendFlags::default() })
            .expect("room to write");
        self.flush();
    }

    /// Reads all there is.
    pub fn read(&mut self, side: usize, socket: SocketId) -> Vec<u8> {
        let mut all = Vec::new();
        while let Ok(bytes) = self.hosts[side].tcp_recv(self.now, socket, 65_536)
            && !bytes.is_empty()
        {
            all.extend_from_slice(&bytes);
        }
        self.flush();
        all
    }

    pub fn take_log(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.log)
    }

    /// The log as lines: time in milliseconds, side, flags, relative numbers, payload.
    pub fn lines(&self) -> Vec<String> {
        self.log.iter().map(line).collect()
    }
}

pub fn line(seen: &Seen) -> String {
    let header = seen.tcp();
    let flags: String = [
        (TcpFlags::SYN, 'S'),
        (TcpFlags::FIN, 'F'),
        (TcpFlags::RST, 'R'),
        (TcpFlags::PSH, 'P'),
        (TcpFlags::ACK, '.'),
    ]
    .iter()
    .filter(|(flag, _)| header.flags.contains(*flag))
    .map(|(_, letter)| *letter)
    .collect();
    let side = if seen.from == CLIENT { '>' } else { '<' };
    format!("{:.1} {side} {flags} {}", seen.at.as_secs_f64() * 1000.0, seen.packet.payload.len())
}

/// Runs a test for both versions of IP.
pub fn both(test: impl Fn(bool)) {
    test(false);
    test(true);
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
