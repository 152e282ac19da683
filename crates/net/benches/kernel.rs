//! How fast is the stack against the real kernel over one TUN device? smoltcp on the same device in the same run is the peer.
//!
//!     cargo bench -p narrows-net --bench kernel
//!     cargo bench -p narrows-net --bench kernel -- smoltcp     (only the rows whose name holds that word)
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
    if !narrows_namespaces::permitted() {
        return;
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let stacks: Vec<&Stack> = STACKS.iter().filter(|stack| stack.name.contains(&wanted)).collect();
    let mut measured: Vec<Measured> = stacks.iter().map(|_| Measured::default()).collect();
    for _ in 0..ROUNDS {
        for (stack, all) in stacks.iter().zip(&mut measured) {
            let Measured { sent, received, exchanges } = (stack.run)();
            all.sent.extend(sent);
            all.received.extend(received);
            all.exchanges.extend(exchanges);
        }
    }
    for (stack, mut all) in stacks.iter().zip(measured) {
        for (what, rates) in [("sends", &mut all.sent), ("receives", &mut all.received)] {
            rates.sort_by(f64::total_cmp);
            let (median, best) = (rates[rates.len() / 2], rates[rates.len() - 1]);
            println!("{:<32} {what:<9} {median:6.2} Gb/s ({best:.2})", stack.name);
        }
        all.exchanges.sort_unstable();
        let at = |part: f64| all.exchanges[(all.exchanges.len() as f64 * part) as usize].as_secs_f64() * 1e6;
        println!("{:<32} one byte there and back: p50 {:.1} µs, p99 {:.1} µs", stack.name, at(0.5), at(0.99));
    }
}

/// What is measured.
struct Stack {
    name: &'static str,
    run: fn() -> Measured,
}

const STACKS: [Stack; 3] = [
    Stack { name: "narrows, offloads", run: || ours(true) },
    Stack { name: "narrows, plain TUN of MTU 1500", run: || ours(false) },
    Stack { name: "smoltcp, plain TUN of MTU 1500", run: smoltcp },
];

/// What the kernel's side has seen: rates in Gb/s, and how long each exchange of one byte took.
#[derive(Default)]
struct Measured {
    sent: Vec<f64>,
    received: Vec<f64>,
    exchanges: Vec<Duration>,
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

/// The kernel reads what the stack sends, sends to it, and exchanges single bytes with it.
fn kernel_side() -> Measured {
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
    let mut stream = connect(ECHO);
    stream.set_nodelay(true).expect("an option");
    let exchange = |_| {
        let begin = Instant::now();
        stream.write_all(b"x").expect("room");
        stream.read_exact(&mut [0]).expect("a byte");
        begin.elapsed()
    };
    let exchanges = (0..EXCHANGES).map(exchange).collect();
    Measured { sent: vec![read], received: vec![written], exchanges }
}

/// The kernel's programs run in a thread of their own.
fn kernel_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::Builder::new().name("kernel's side".to_owned()).spawn(work).expect("a thread")
}

fn ours(offload: bool) -> Measured {
    let (namespace, tun) = device_with(|options| options.offload(offload));
    let kernel = kernel_thread(move || namespace.run(|| Ok::<_, Error>(kernel_side())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        serve(&tun.host().expect("a host"));
        while !kernel.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    kernel.join().expect("the kernel's side").expect("its namespace")
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

fn smoltcp() -> Measured {
    // Its device cannot leave the thread that makes it; threads started there are in the same network.
    let made = Namespace::new(|| {
        let _ = sysctl("net/ipv4/tcp_congestion_control", "cubic");
        let device = smoltcp_peer::device().map_err(Error::from)?;
        narrows_namespaces::ip("link set bench0 mtu 1500 up\naddress add 10.7.0.1/24 dev bench0\n")?;
        let kernel = kernel_thread(kernel_side);
        smoltcp_peer::serve(device, || kernel.is_finished());
        Ok::<_, Error>(kernel.join().expect("the kernel's side"))
    });
    made.expect("a namespace with a device").1
}
