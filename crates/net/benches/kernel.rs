//! How fast is the stack against the real kernel over one TUN device? smoltcp on the same device in the same run is the peer.
//!
//!     cargo bench -p narrows-net --bench kernel
//!
//! Needs root (a network namespace of its own with a TUN device), and says so where it is not. Figures are medians of the rounds, with the
//! best in brackets.

use narrows_namespaces::{Error, Namespace, sysctl};
use narrows_net::Host;
use narrows_net::tun::{Tun, TunOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[path = "kernel/smoltcp_peer.rs"]
mod smoltcp_peer;

const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_millis(800);
const EXCHANGES: usize = 10_000;
const SEND: u16 = 80;
const RECEIVE: u16 = 81;
const ECHO: u16 = 82;

fn main() {
    if !nix::unistd::geteuid().is_root() || !std::path::Path::new("/dev/net/tun").exists() {
        println!("skipped: a network namespace and a TUN device need root and /dev/net/tun");
        return;
    }
    let mut results: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut add = |name: &'static str, value: f64| match results.iter_mut().find(|(known, _)| *known == name)
    {
        Some((_, values)) => values.push(value),
        None => results.push((name, vec![value])),
    };
    let mut exchanges = Vec::new();
    for _ in 0..ROUNDS {
        let [sent, received] = ours(true, &mut exchanges);
        add("narrows, offloads: sends", sent);
        add("narrows, offloads: receives", received);
        let [sent, received] = ours(false, &mut Vec::new());
        add("narrows, plain TUN of MTU 1500: sends", sent);
        add("narrows, plain TUN of MTU 1500: receives", received);
        let [sent, received] = smoltcp();
        add("smoltcp, plain TUN of MTU 1500: sends", sent);
        add("smoltcp, plain TUN of MTU 1500: receives", received);
    }
    for (name, mut values) in results {
        values.sort_by(f64::total_cmp);
        println!("{name:<42} {:6.2} Gb/s ({:.2})", values[values.len() / 2], values[values.len() - 1]);
    }
    exchanges.sort_unstable();
    let at = |part: f64| exchanges[(exchanges.len() as f64 * part) as usize].as_secs_f64() * 1e6;
    println!("{:<42} {:6.1} µs, p99 {:.1} µs", "narrows, one byte there and back: p50", at(0.5), at(0.99));
}

fn device_with(change: impl FnOnce(TunOptions) -> TunOptions + Send) -> (Namespace, Tun) {
    let options = change(TunOptions::new().kernel("10.7.0.1/24").address("10.7.0.2"));
    Namespace::new(|| {
        // Where it may be set; the kernel's own choice where not.
        let _ = sysctl("net/ipv4/tcp_congestion_control", "cubic");
        options.open().map_err(Error::from)
    })
    .expect("a namespace with a device")
}

/// Gb/s that the kernel reads, and that it writes; and its exchanges of one byte.
fn kernel_side(exchanges: bool) -> ([f64; 2], Vec<Duration>) {
    let connect = |port| {
        (0..500)
            .find_map(|_| {
                let to = SocketAddr::from(([10, 7, 0, 2], port));
                TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok().or_else(|| {
                    std::thread::sleep(Duration::from_millis(10));
                    None
                })
            })
            .expect("a connection")
    };
    let mut buffer = vec![0; 1 << 18];
    let rate = |bytes: usize, begin: Instant| bytes as f64 * 8e-9 / begin.elapsed().as_secs_f64();
    let mut stream = connect(SEND);
    let (begin, mut bytes) = (Instant::now(), 0);
    while begin.elapsed() < LENGTH {
        bytes += stream.read(&mut buffer).expect("bytes");
    }
    let read = rate(bytes, begin);
    drop(stream);
    let mut stream = connect(RECEIVE);
    let (begin, mut bytes) = (Instant::now(), 0);
    while begin.elapsed() < LENGTH {
        bytes += stream.write(&buffer).expect("room");
    }
    let written = rate(bytes, begin);
    drop(stream);
    let mut times = Vec::new();
    if exchanges {
        let mut stream = connect(ECHO);
        stream.set_nodelay(true).expect("an option");
        for _ in 0..EXCHANGES {
            let begin = Instant::now();
            stream.write_all(b"x").expect("room");
            stream.read_exact(&mut [0]).expect("a byte");
            times.push(begin.elapsed());
        }
    }
    ([read, written], times)
}

fn ours(offload: bool, exchanges: &mut Vec<Duration>) -> [f64; 2] {
    let (namespace, tun) = device_with(|options| options.offload(offload));
    let kernel = std::thread::spawn(move || namespace.run(|| Ok::<_, Error>(kernel_side(offload))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        serve(&tun.host().expect("a host"));
        while !kernel.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (rates, times) = kernel.join().expect("the kernel's side").expect("its namespace");
    exchanges.extend(times);
    rates
}

fn serve(host: &Host) {
    let [sending, receiving, echoing] = [SEND, RECEIVE, ECHO].map(|port| host.listen(port).expect("a port"));
    tokio::spawn(async move {
        let block = vec![0; 1 << 18];
        while let Ok((mut stream, _)) = sending.accept().await {
            while stream.write(&block).await.is_ok() {}
        }
    });
    tokio::spawn(async move {
        let mut block = vec![0; 1 << 18];
        while let Ok((mut stream, _)) = receiving.accept().await {
            while stream.read(&mut block).await.is_ok_and(|bytes| bytes > 0) {}
        }
    });
    tokio::spawn(async move {
        let mut byte = [0];
        while let Ok((mut stream, _)) = echoing.accept().await {
            stream.set_nodelay(true).expect("an option");
            while stream.read(&mut byte).await.is_ok_and(|bytes| bytes > 0) {
                if stream.write(&byte).await.is_err() {
                    break;
                }
            }
        }
    });
}

fn smoltcp() -> [f64; 2] {
    // Its device cannot leave the thread that makes it; threads started there are in the same network.
    let made = Namespace::new(|| {
        let _ = sysctl("net/ipv4/tcp_congestion_control", "cubic");
        let device = smoltcp_peer::device().map_err(Error::from)?;
        narrows_namespaces::ip("link set bench0 mtu 1500 up\naddress add 10.7.0.1/24 dev bench0\n")?;
        let kernel = std::thread::spawn(|| kernel_side(false));
        smoltcp_peer::serve(device, || kernel.is_finished());
        Ok::<_, Error>(kernel.join().expect("the kernel's side").0)
    });
    made.expect("a namespace with a device").1
}
