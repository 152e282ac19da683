//! Is nothing lost, does nothing hang, does nothing leak? Against the real kernel, in counts that take a while.
//!
//!     cargo build --release -p narrows-net --example endurance
//!     sudo target/release/examples/endurance [GIGABYTES]
//!
//! Makes a network namespace of its own with a TUN device, and leaves nothing behind. Every byte is checked on arrival.

use narrows_lab::End;
use narrows_namespaces::{Error, Namespace};
use narrows_net::lab::Link;
use narrows_net::tun::{TunOptions, link_counters};
use narrows_net::{Host, TcpStream};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a block; its first eight say which block it is, so that one in the wrong place is noticed.
const BLOCK: usize = 65_536;

/// The stream's block number `number`.
fn block(number: u64) -> Vec<u8> {
    let mut block: Vec<u8> =
        (0..BLOCK as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    block[..8].copy_from_slice(&number.to_be_bytes());
    block
}

struct Check {
    expected: Vec<u8>,
    bytes: u64,
}

impl Check {
    fn new() -> Check {
        Check { expected: block(0), bytes: 0 }
    }

    fn take(&mut self, mut data: &[u8]) -> Result<(), Anything> {
        while !data.is_empty() {
            let at = self.bytes as usize % BLOCK;
            if at == 0 {
                let number = self.bytes / BLOCK as u64;
                self.expected[..8].copy_from_slice(&number.to_be_bytes());
            }
            let length = data.len().min(BLOCK - at);
            if data[..length] != self.expected[at..at + length] {
                return Err(format!("another byte than was sent, at {} or after", self.bytes).into());
            }
            self.bytes += length as u64;
            data = &data[length..];
        }
        Ok(())
    }
}

fn main() -> Result<(), Anything> {
    let gigabytes: f64 = std::env::args().nth(1).map_or(Ok(1.0), |argument| argument.parse())?;
    let blocks = (gigabytes * 1e9 / BLOCK as f64) as u64;
    let bad = Link::new()
        .delay(Duration::from_millis(1))
        .loss(0.002)
        .reorder(0.01, Duration::from_micros(500))
        .duplicate(0.01);
    for ipv6 in [false, true] {
        let version = if ipv6 { "IPv6" } else { "IPv4" };
        run(&format!("{version}, offloads"), ipv6, None, blocks, 10_000, 1_000)?;
        run(
            &format!("{version}, loss, reordering, duplication"),
            ipv6,
            Some(bad.clone()),
            blocks / 20,
            500,
            500,
        )?;
    }
    Ok(())
}

fn run(
    name: &str,
    ipv6: bool,
    link: Option<Link>,
    blocks: u64,
    one_by_one: usize,
    at_once: usize,
) -> Result<(), Anything> {
    println!("{name}");
    let (kernel, ours) = if ipv6 { ("fd07::1/64", "fd07::2") } else { ("10.7.0.1/24", "10.7.0.2") };
    let options = TunOptions::new().kernel(kernel).address(ours);
    let bad = link.is_some();
    let (namespace, tun) = Namespace::new(|| {
        narrows_namespaces::ip("link set lo up")?;
        let options = match link {
            Some(link) => options.link(link),
            None => options,
        };
        options.open().map_err(Error::from)
    })?;
    let address = SocketAddr::new(ours.parse()?, 80);
    let kernel = std::thread::spawn(move || {
        namespace.run(|| {
            kernel_side(address, blocks, one_by_one, at_once).map_err(|e| Error::Setup(e.to_string()))
        })
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended: Result<(), Anything> = runtime.block_on(async {
        let host = tun.host()?;
        our_side(&host, blocks, one_by_one + at_once).await?;
        host.drained().await;
        if host.open_sockets() > 0 {
            return Err(format!("{} sockets are left", host.open_sockets()).into());
        }
        if bad {
            for (who, end) in [("us", End::First), ("the kernel", End::Second)] {
                if let Some(c) = link_counters(&host, end) {
                    let harm = [c.lost_randomly, c.reordered, c.duplicated];
                    println!(
                        "  packets from {who}: {} (lost, held up, doubled: {harm:?})",
                        c.offered_packets
                    );
                }
            }
        }
        Ok(())
    });
    ended?;
    kernel.join().map_err(|_| "the kernel's side panicked")??;
    Ok(())
}

/// Reads the stream, sends it, then exchanges a few bytes on many connections.
fn kernel_side(to: SocketAddr, blocks: u64, one_by_one: usize, at_once: usize) -> Result<(), Anything> {
    let mut stream = std::net::TcpStream::connect(to)?;
    let (begin, mut check, mut buffer) = (Instant::now(), Check::new(), vec![0; 1 << 18]);
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        check.take(&buffer[..length])?;
    }
    report("read by the kernel", check.bytes, blocks, begin)?;
    let mut stream = std::net::TcpStream::connect(to)?;
    let begin = Instant::now();
    for number in 0..blocks {
        stream.write_all(&block(number))?;
    }
    stream.shutdown(Shutdown::Write)?;
    stream.read_exact(&mut [0; 1])?;
    report("sent by the kernel", blocks * BLOCK as u64, blocks, begin)?;
    let begin = Instant::now();
    for number in 0..one_by_one {
        exchange(std::net::TcpStream::connect(to)?, number)?;
    }
    println!("  {one_by_one} connections one after the other: {:.1} s", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let all: Result<Vec<_>, _> = (0..at_once).map(|_| std::net::TcpStream::connect(to)).collect();
    for (number, stream) in all?.into_iter().enumerate() {
        exchange(stream, number)?;
    }
    println!("  {at_once} connections at once: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

fn report(what: &str, bytes: u64, blocks: u64, begin: Instant) -> Result<(), Anything> {
    if bytes != blocks * BLOCK as u64 {
        return Err(format!("{what}: {bytes} bytes of {}", blocks * BLOCK as u64).into());
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("  {what}: {bytes} bytes, all as sent, {:.2} Gb/s", bytes as f64 * 8e-9 / seconds);
    Ok(())
}

fn exchange(mut stream: std::net::TcpStream, number: usize) -> Result<(), Anything> {
    let text = number.to_string();
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer == text { Ok(()) } else { Err(format!("`{answer}` instead of `{text}`").into()) }
}

async fn our_side(host: &Host, blocks: u64, connections: usize) -> Result<(), Anything> {
    let listener = host.listen(80)?;
    let (mut stream, _) = listener.accept().await?;
    for number in 0..blocks {
        stream.write_all(&block(number)).await?;
    }
    drop(stream);
    let (mut stream, _) = listener.accept().await?;
    let (mut check, mut buffer) = (Check::new(), vec![0; 1 << 18]);
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        check.take(&buffer[..length])?;
    }
    if check.bytes != blocks * BLOCK as u64 {
        return Err(format!("{} bytes of {}", check.bytes, blocks * BLOCK as u64).into());
    }
    stream.write_all(b"!").await?;
    drop(stream);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (stream, _) = listener.accept().await?;
        tasks.spawn(echo(stream));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn echo(stream: TcpStream) -> std::io::Result<u64> {
    let (mut reader, mut writer) = stream.into_split();
    tokio::io::copy(&mut reader, &mut writer).await
}
