//! What does an idle connection take, and does a segment cost the same beside many of them?
//!
//!     cargo run --release -p narrows-stack --example idle [CONNECTIONS [awake]]
//!
//! Both ends of every connection are in this process, and each has asked once and been answered before it fell silent. With 1, 1,000,
//! 100,000 and 1,000,000 connections open (at most as many as said), memory and three costs are measured: a segment of a bulk
//! transfer; a question and its answer, both small, on one connection; and the same on connections that have been silent, each one
//! another. Memory is what the system says that the process takes (Linux only) more than with one connection, with all tables. With
//! `awake` no connection is ever packed away.

use bytes::Bytes;
use narrows_stack::{
    Host, HostConfig, Instant, Interface, InterfaceId, Knobs, ListenerId, SendFlags, SocketId,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const PER_ADDRESS: usize = 25_000;
const STAGES: [usize; 4] = [1, 1_000, 100_000, 1_000_000];
/// Exchanges whose mean is a cost.
const EXCHANGES: usize = 20_000;
const BULK_BYTES: usize = 64 << 20;

struct Pair {
    hosts: [Host; 2],
    now: Instant,
    listener: ListenerId,
    server: SocketAddr,
    clients: Vec<IpAddr>,
    sockets: Vec<[SocketId; 2]>,
}

impl Pair {
    fn new(connections: usize, awake: bool) -> Result<Pair, Box<dyn std::error::Error>> {
        let clients: Vec<IpAddr> = (0..=connections / PER_ADDRESS)
            .map(|number| Ipv4Addr::from(0x0a01_0000 + number as u32).into())
            .collect();
        let server = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 1).into(), 80);
        let mut hosts = [clients.clone(), vec![server.ip()]].map(|addresses| {
            let mut host = Host::new(HostConfig { knobs: Knobs::default(), seed: 1, tick_phase_ns: 0 });
            if awake {
                host.set_awake(usize::MAX, Duration::ZERO);
            }
            host.add_interface(Interface { addresses, mtu: 1_500, segmentation_offload: false });
            host
        });
        let listener = hosts[1].tcp_listen(server, 1_024, Knobs::default())?;
        Ok(Pair { hosts, now: Instant::ZERO, listener, server, clients, sockets: Vec::new() })
    }

    fn flush(&mut self) {
        loop {
            let mut idle = true;
            for side in 0..2 {
                while let Some(transmit) = self.hosts[side].poll_transmit(self.now) {
                    idle = false;
                    self.hosts[1 - side].handle_packet(self.now, InterfaceId(0), transmit.packet);
                }
                while self.hosts[side].poll_event().is_some() {}
            }
            if idle {
                return;
            }
        }
    }

    /// Time passes; timers run.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        for host in &mut self.hosts {
            if host.poll_timeout().is_some_and(|due| due <= self.now) {
                host.handle_timeout(self.now);
            }
        }
        self.flush();
    }

    fn connect(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let from = self.clients[self.sockets.len() / PER_ADDRESS];
        let local = Some(SocketAddr::new(from, 0));
        let socket = self.hosts[0].tcp_connect(self.now, self.server, local, Knobs::default())?;
        self.flush();
        let accepted = self.hosts[1].tcp_accept(self.listener).ok_or("no connection to accept")?;
        self.sockets.push([socket, accepted]);
        self.exchange(self.sockets.len() - 1);
        // A thousand a second: what was freed stays with the process, so those made at once would show as memory ever after.
        self.pass(Duration::from_millis(1));
        Ok(())
    }

    /// The client asks, the server answers, both read.
    fn exchange(&mut self, connection: usize) {
        for side in 0..2 {
            let socket = self.sockets[connection][side];
            let written = self.hosts[side].tcp_send(
                self.now,
                socket,
                Bytes::from_static(&[7; 100]),
                SendFlags::default(),
            );
            assert!(written.is_ok(), "there is room to write");
            self.pass(Duration::from_micros(5));
            let read = self.hosts[1 - side].tcp_recv(self.now, self.sockets[connection][1 - side], 1_000);
            assert!(read.is_ok_and(|bytes| bytes.len() == 100), "what was written has arrived");
        }
    }

    /// Nanoseconds per exchange; `next` says on which connection each is.
    fn exchanges(&mut self, mut next: impl FnMut(usize) -> usize) -> f64 {
        let begin = busy();
        for number in 0..EXCHANGES {
            self.exchange(next(number));
        }
        (busy() - begin).as_nanos() as f64 / EXCHANGES as f64
    }

    /// Nanoseconds per segment of a bulk transfer over the connection made last.
    fn bulk(&mut self) -> f64 {
        let [sender, receiver] = *self.sockets.last().expect("a connection");
        let block = Bytes::from(vec![0; 65_536]);
        let begin = busy();
        let (mut written, mut read, mut rounds) = (0, 0, 0);
        while read < BULK_BYTES {
            rounds += 1;
            while written < BULK_BYTES {
                let piece = block.slice(..block.len().min(BULK_BYTES - written));
                match self.hosts[0].tcp_send(self.now, sender, piece, SendFlags::default()) {
                    Ok(taken) => written += taken,
                    Err(_) => break,
                }
            }
            self.pass(Duration::from_micros(50));
            while let Ok(data) = self.hosts[1].tcp_recv(self.now, receiver, 1 << 20) {
                read += data.len();
            }
            assert!(rounds < 1_000_000, "the transfer stands still");
        }
        (busy() - begin).as_nanos() as f64 / (read as f64 / 1_448.0)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let most: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let awake = std::env::args().nth(2).is_some_and(|argument| argument == "awake");
    let mut pair = Pair::new(most, awake)?;
    println!("connections  bytes per end  bulk, ns per segment  exchange, ns  on another each, ns");
    let mut alone = None;
    for stage in STAGES.into_iter().filter(|stage| *stage <= most) {
        while pair.sockets.len() < stage {
            pair.connect()?;
        }
        // Half a minute later nothing is under way, and what the timers of the handshakes were noted for is over.
        for _ in 0..30 {
            pair.pass(Duration::from_secs(1));
        }
        // Then some packets, with which those that were used last come to rest, too.
        let warm = pair.sockets.len() - 1;
        pair.exchanges(|_| warm);
        pair.bulk();
        let bytes = resident_bytes();
        let alone = *alone.get_or_insert(bytes);
        let each = bytes.saturating_sub(alone).checked_div(2 * (stage - 1));
        let each = each.map_or_else(String::new, |bytes| bytes.to_string());
        let bulk = pair.bulk();
        let on_one = pair.exchanges(|_| warm);
        // A step that is prime to the number of connections: none comes twice before all have come.
        let on_another = pair.exchanges(|number| number * 7_919 % stage);
        println!("{stage:>11}  {each:>13}  {bulk:>20.0}  {on_one:>12.0}  {on_another:>19.0}");
    }
    Ok(())
}

/// How long this process has had a processor, so that what else runs on the machine does not count; elsewhere than on Linux, the time.
fn busy() -> Duration {
    static BEGIN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    let status = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = status.split_whitespace().next().and_then(|text| text.parse().ok());
    nanoseconds.map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

/// Resident memory of this process; known on Linux only.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1_024
}
