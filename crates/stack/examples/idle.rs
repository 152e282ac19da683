//! What does an idle connection take, and does a segment cost the same beside many of them?
//!
//!     cargo run --release -p narrows-stack --example idle [SOCKETS]
//!
//! Both ends of every connection are in this process; each counts as a socket. 1,000,000 sockets where nothing else is said.

use bytes::Bytes;
use narrows_stack::{
    Host, HostConfig, Instant, Interface, InterfaceId, Knobs, ListenerId, SendFlags, SocketId,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const PER_ADDRESS: usize = 25_000;

struct Pair {
    hosts: [Host; 2],
    now: Instant,
    listener: ListenerId,
    sockets: Vec<[SocketId; 2]>,
}

impl Pair {
    fn exchange(&mut self) {
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

    fn connect(&mut self, from: IpAddr, to: SocketAddr) {
        self.now += Duration::from_micros(1);
        let local = Some(SocketAddr::new(from, 0));
        let socket = self.hosts[0].tcp_connect(self.now, to, local, Knobs::default()).expect("a free port");
        self.exchange();
        let accepted = self.hosts[1].tcp_accept(self.listener).expect("a connection");
        self.sockets.push([socket, accepted]);
    }

    /// Nanoseconds per segment of a bulk transfer over the connection made last.
    fn bulk(&mut self) -> f64 {
        let [sender, receiver] = *self.sockets.last().expect("a connection");
        let block = Bytes::from(vec![0; 65_536]);
        let begin = std::time::Instant::now();
        let (mut read, mut rounds) = (0, 0);
        while read < 64 << 20 {
            rounds += 1;
            self.now += Duration::from_micros(50);
            while self.hosts[0].tcp_send(self.now, sender, block.clone(), SendFlags::default()).is_ok() {}
            self.exchange();
            while let Ok(data) = self.hosts[1].tcp_recv(self.now, receiver, 1 << 20) {
                read += data.len();
            }
            for host in &mut self.hosts {
                if host.poll_timeout().is_some_and(|due| due <= self.now) {
                    host.handle_timeout(self.now);
                }
            }
            assert!(rounds < 1_000_000, "the transfer stands still");
        }
        begin.elapsed().as_nanos() as f64 / (read as f64 / 1_448.0)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sockets: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let connections = sockets / 2;
    let client_addresses: Vec<IpAddr> = (0..=connections / PER_ADDRESS)
        .map(|number| Ipv4Addr::from(0x0a01_0000 + number as u32).into())
        .collect();
    let server = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1));
    let mut hosts = [client_addresses.clone(), vec![server]].map(|addresses| {
        let mut host = Host::new(HostConfig { knobs: Knobs::default(), seed: 1, tick_phase_ns: 0 });
        host.add_interface(Interface { addresses, mtu: 1_500, segmentation_offload: false });
        host
    });
    let to = SocketAddr::new(server, 80);
    let listener = hosts[1].tcp_listen(to, 1_024, Knobs::default())?;
    let mut pair = Pair { hosts, now: Instant::ZERO, listener, sockets: Vec::with_capacity(connections) };
    pair.connect(client_addresses[0], to);
    let alone = pair.bulk();
    let before = resident_bytes();
    let begin = std::time::Instant::now();
    for number in 1..connections {
        pair.connect(client_addresses[number / PER_ADDRESS], to);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let bytes = resident_bytes().saturating_sub(before);
    println!("sockets                     {sockets} ({connections} connections, both ends)");
    println!("made in                     {seconds:.1} s, {:.0} connections/s", connections as f64 / seconds);
    println!("memory of an idle socket    {} bytes", bytes / sockets.max(1));
    println!("a segment alone             {alone:.0} ns (both ends, ACKs included)");
    println!("a segment beside all these  {:.0} ns", pair.bulk());
    Ok(())
}

/// Resident memory of this process; known on Linux only.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1_024
}
