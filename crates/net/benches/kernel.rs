//! How fast is the stack against the real kernel over one TUN device? smoltcp on the same device in the same run is the peer.
//!
//!     cargo bench -p narrows-net --bench kernel
//!     cargo bench -p narrows-net --bench kernel -- smoltcp plain sends    (only the rows that one of the words names)
//!
//! Needs root (a network namespace of its own with a TUN device), and says so where it is not. Figures are medians of the rounds, with the
//! best in brackets. The rounds go through all stacks in turn, so that each meets the same noise; what counts are the ratios to the peers.

use narrows_namespaces::{Error, Namespace, sysctl};
use narrows_net::Host;
use narrows_net::tun::{Tun, TunOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[path = "kernel/smoltcp_peer.rs"]
mod smoltcp_peer;
#[path = "kernel/stackless_peer.rs"]
mod stackless_peer;

const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_millis(800);
const EXCHANGES: usize = 10_000;
/// What a program writes, or reads at most, in one call, bytes.
const BLOCK: usize = 1 << 18;
const SEND: u16 = 80;
const RECEIVE: u16 = 81;
const ECHO: u16 = 82;

/// What the kernel's side does with a stack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It reads as fast as it can.
    Sends,
    /// It writes as fast as it can.
    Receives,
    /// One byte there and back, again and again, on processors that fall asleep in between.
    Exchanges,
    /// The same while programs of the lowest priority keep the processors awake.
    Awake,
}

const WORKS: [(&str, Work); 4] = [
    ("sends", Work::Sends),
    ("receives", Work::Receives),
    ("exchanges", Work::Exchanges),
    ("awake", Work::Awake),
];

/// What is measured.
struct Stack {
    name: &'static str,
    run: fn(Work) -> Vec<f64>,
    works: &'static [Work],
}

const STACKS: [Stack; 4] = [
    Stack {
        name: "narrows, offloads",
        run: |work| ours(true, work),
        works: &[Work::Sends, Work::Receives, Work::Exchanges, Work::Awake],
    },
    Stack {
        name: "narrows, plain TUN of MTU 1500",
        run: |work| ours(false, work),
        works: &[Work::Sends, Work::Receives, Work::Exchanges, Work::Awake],
    },
    Stack {
        name: "smoltcp, plain TUN of MTU 1500",
        run: smoltcp,
        works: &[Work::Sends, Work::Receives, Work::Exchanges, Work::Awake],
    },
    Stack { name: "no stack, plain TUN", run: stackless, works: &[Work::Exchanges, Work::Awake] },
];

fn main() {
    if !narrows_namespaces::permitted() {
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let named = |name: &str| words.iter().any(|word| name.contains(word.as_str()));
    let all_works = !WORKS.iter().any(|(name, _)| named(name));
    let all_stacks = !STACKS.iter().any(|stack| named(stack.name));
    for (what, work) in WORKS.into_iter().filter(|(name, _)| all_works || named(name)) {
        let stacks = STACKS.iter().filter(|stack| stack.works.contains(&work));
        let stacks: Vec<&Stack> = stacks.filter(|stack| all_stacks || named(stack.name)).collect();
        let awake = (work == Work::Awake).then(Spinners::start);
        let mut measured = vec![Vec::new(); stacks.len()];
        for _ in 0..ROUNDS {
            for (stack, all) in stacks.iter().zip(&mut measured) {
                all.extend((stack.run)(work));
            }
        }
        drop(awake);
        print(what, work, &stacks, &mut measured);
    }
}

/// A row per stack, and how it stands to the peers that were measured with it.
fn print(what: &str, work: Work, stacks: &[&Stack], measured: &mut [Vec<f64>]) {
    measured.iter_mut().for_each(|all| all.sort_by(f64::total_cmp));
    let at = |all: &[f64], part: f64| all[((all.len() as f64 * part) as usize).min(all.len() - 1)];
    let bulk = matches!(work, Work::Sends | Work::Receives);
    let (first, second) = if bulk { (0.5, 1.0) } else { (0.5, 0.99) };
    for (stack, all) in stacks.iter().zip(&*measured) {
        let (a, b) = (at(all, first), at(all, second));
        let mut row = match bulk {
            true => format!("{:<31} {what:<9} {a:6.2} Gb/s ({b:.2})", stack.name),
            false => format!("{:<31} {what:<9} p50 {a:5.1} µs, p99 {b:5.1} µs", stack.name),
        };
        let peers = stacks.iter().zip(&*measured).filter(|(peer, _)| !peer.name.starts_with("narrows"));
        for (peer, theirs) in peers.filter(|(peer, _)| peer.name != stack.name) {
            let name = peer.name.split(',').next().unwrap_or(peer.name);
            row += &format!("; {:.2}", a / at(theirs, first));
            if !bulk {
                row += &format!(" and {:.2}", b / at(theirs, second));
            }
            row += &format!(" of {name}'s");
        }
        println!("{row}");
    }
}

/// Programs of the lowest priority that keep the processors from falling asleep: waking one up costs more than all that is measured.
struct Spinners(Vec<std::process::Child>);

impl Spinners {
    fn start() -> Spinners {
        let count = std::thread::available_parallelism().map_or(2, usize::from);
        let spin = |_| {
            let mut command = std::process::Command::new("chrt");
            command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
            command.spawn().expect("chrt, of util-linux")
        };
        Spinners((0..count).map(spin).collect())
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only when it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
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

fn connect(port: u16) -> TcpStream {
    let once = |_| {
        let to = SocketAddr::from(([10, 7, 0, 2], port));
        TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok().or_else(|| {
            std::thread::sleep(Duration::from_millis(10));
            None
        })
    };
    (0..500).find_map(once).expect("a connection")
}

/// The kernel reads what the stack sends, sends to it, or exchanges single bytes with it: Gb/s, or microseconds of each exchange.
fn kernel_side(work: Work) -> Vec<f64> {
    let mut buffer = vec![0; BLOCK];
    let rate = |bytes: usize, begin: Instant| vec![bytes as f64 * 8e-9 / begin.elapsed().as_secs_f64()];
    match work {
        Work::Sends => {
            let mut stream = connect(SEND);
            let (begin, mut bytes) = (Instant::now(), 0);
            while begin.elapsed() < LENGTH {
                bytes += stream.read(&mut buffer).expect("bytes");
            }
            rate(bytes, begin)
        }
        Work::Receives => {
            let mut stream = connect(RECEIVE);
            let (begin, mut bytes) = (Instant::now(), 0);
            while begin.elapsed() < LENGTH {
                bytes += stream.write(&buffer).expect("room");
            }
            rate(bytes, begin)
        }
        Work::Exchanges | Work::Awake => {
            let mut stream = connect(ECHO);
            stream.set_nodelay(true).expect("an option");
            let exchange = |_| {
                let begin = Instant::now();
                stream.write_all(b"x").expect("room");
                stream.read_exact(&mut [0]).expect("a byte");
                begin.elapsed().as_secs_f64() * 1e6
            };
            (0..EXCHANGES).map(exchange).collect()
        }
    }
}

/// The kernel's programs run in a thread of their own.
fn kernel_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::Builder::new().name("kernel's side".to_owned()).spawn(work).expect("a thread")
}

fn ours(offload: bool, work: Work) -> Vec<f64> {
    let (namespace, tun) = device_with(|options| options.offload(offload));
    let kernel = kernel_thread(move || namespace.run(|| Ok::<_, Error>(kernel_side(work))));
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
        let block = vec![0; BLOCK];
        while let Ok((mut stream, _)) = sending.accept().await {
            while stream.write(&block).await.is_ok() {}
        }
    });
    tokio::spawn(async move {
        let mut block = vec![0; BLOCK];
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

/// A peer on smoltcp's device. The device cannot leave the thread that makes it; threads started there are in the same network.
fn on_smoltcp_device(
    work: Work,
    serve: impl Fn(smoltcp::phy::TunTapInterface, &dyn Fn() -> bool) + Sync,
) -> Vec<f64> {
    let made = Namespace::new(|| {
        let _ = sysctl("net/ipv4/tcp_congestion_control", "cubic");
        let device = smoltcp_peer::device().map_err(Error::from)?;
        narrows_namespaces::ip("link set bench0 mtu 1500 up\naddress add 10.7.0.1/24 dev bench0\n")?;
        let kernel = kernel_thread(move || kernel_side(work));
        serve(device, &|| kernel.is_finished());
        Ok::<_, Error>(kernel.join().expect("the kernel's side"))
    });
    made.expect("a namespace with a device").1
}

fn smoltcp(work: Work) -> Vec<f64> {
    on_smoltcp_device(work, |device, over| smoltcp_peer::serve(device, over))
}

fn stackless(work: Work) -> Vec<f64> {
    on_smoltcp_device(work, |device, over| stackless_peer::serve(device, over))
}
