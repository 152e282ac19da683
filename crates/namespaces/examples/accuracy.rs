//! How punctual is the wire? Prints the added one-way error at several loads: what a datagram's way took longer than its link says.
//!
//! `cargo run --release -p narrows-namespaces --example accuracy`, as root.

use narrows_lab::{DirectionConfig, LinkConfig, World};
use narrows_namespaces::{Clock, Error, Lateness, Punctual, WireOptions, carry, open_hosts};
use narrows_stack::{Instant, Knobs};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes of a datagram's payload; the packet has 28 more.
const PAYLOAD: usize = 1_472;
const RATE: u64 = 1_000_000_000;
const DELAY: Duration = Duration::from_millis(5);
const TIME: Duration = Duration::from_secs(1);

fn main() -> Result<(), Error> {
    println!("link: 1 Gb/s, 5 ms; packets of 1500 bytes, {} s each", TIME.as_secs());
    println!("{:>10} {:>9} {:>9} {:>9} {:>9} {:>9}", "load", "packets", "lost", "median", "p99", "max");
    for megabits in [1, 10, 100, 300, 600, 950] {
        let (sent, error) = measure(megabits)?;
        println!(
            "{:>5} Mb/s {:>9} {:>9} {:>6} µs {:>6} µs {:>6} µs",
            megabits,
            sent,
            sent - error.count(),
            error.quantile(0.5).as_micros(),
            error.quantile(0.99).as_micros(),
            error.max().as_micros(),
        );
    }
    Ok(())
}

/// Packets sent, and the error of those that arrived.
fn measure(megabits: u64) -> Result<(u64, Lateness), Error> {
    let (clock, stop) = (Clock::start(), AtomicBool::new(false));
    let (sockets, receive) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let stop = &stop;
        let wire = scope.spawn(move || {
            let road = DirectionConfig {
                rate_bits_per_second: Some(RATE),
                delay: DELAY,
                ..DirectionConfig::default()
            };
            let mut builder = World::builder(1);
            let [a, b] = ["a", "b"].map(|name| builder.host(name, Knobs::default()));
            builder.link("path", a, b, LinkConfig::symmetric(road));
            let mut world = builder.build().map_err(|e| Error::Setup(e.to_string()))?;
            let hosts = open_hosts(&mut world)?;
            let [from, to] = [&hosts[0], &hosts[1]];
            let bind = |host: &narrows_namespaces::RealHost| {
                let address = SocketAddr::new(host.place.address, 9_000);
                host.namespace.run(|| Ok::<_, Error>((UdpSocket::bind(address)?, address)))
            };
            let (sender, _) = bind(from)?;
            let (receiver, address) = bind(to)?;
            for socket in [&sender, &receiver] {
                socket2::SockRef::from(socket).set_recv_buffer_size(4 << 20)?;
                socket.set_nonblocking(true)?;
            }
            sender.connect(address)?;
            let _ = sockets.send((sender, receiver));
            carry(&mut world, &hosts, clock, WireOptions::default(), stop, None)
        });
        let Ok((sender, receiver)) = receive.recv() else {
            return Err(match wire.join() {
                Ok(Err(error)) => error,
                _ => Error::Setup("the wire is gone".to_owned()),
            });
        };
        let probed = probe(&sender, &receiver, clock, megabits);
        stop.store(true, Ordering::Relaxed);
        let _ = wire.join();
        probed
    })
}

/// Sends at a steady pace and receives in the same thread, so that one clock and no waking is between.
fn probe(
    sender: &UdpSocket,
    receiver: &UdpSocket,
    clock: Clock,
    megabits: u64,
) -> Result<(u64, Lateness), Error> {
    let transmission = Duration::from_nanos((PAYLOAD as u64 + 28) * 8 * 1_000_000_000 / RATE);
    let gap = Duration::from_nanos((PAYLOAD as u64 + 28) * 8 * 1_000 / megabits);
    let mut payload = [0_u8; PAYLOAD];
    let (mut sent, mut error, mut free) = (0, Lateness::default(), Instant::ZERO);
    let begin = clock.now();
    let mut next = begin;
    let mut punctual = Punctual::new();
    loop {
        punctual.keep();
        let now = clock.now();
        if now.since(begin) >= TIME + Duration::from_millis(200) {
            return Ok((sent, error));
        }
        if now >= next && now.since(begin) < TIME {
            next += gap;
            // The link's own arithmetic, for a packet sent now: after the one before, its time on the link, the delay.
            free = free.max(now) + transmission;
            payload[..8].copy_from_slice(&(free + DELAY).as_nanos().to_be_bytes());
            match sender.send(&payload) {
                Ok(_) => sent += 1,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
        let mut got = [0_u8; PAYLOAD];
        match receiver.recv(&mut got) {
            Ok(_) => {
                let due = u64::from_be_bytes(got[..8].try_into().unwrap_or_default());
                let now = clock.now().as_nanos();
                // Early would be an error as well.
                error.add(Duration::from_nanos(now.abs_diff(due)));
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
    }
}
