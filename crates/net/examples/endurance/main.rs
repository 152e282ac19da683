//! Is nothing lost, does nothing hang, does nothing leak? Against the real kernel, in counts that take a few minutes.
//!
//!     cargo build --release -p narrows-net --example endurance
//!     sudo target/release/examples/endurance [GIGABYTES]
//!
//! Makes two network namespaces of its own with a TUN device each, one with offloads and one behind a link that loses, reorders and doubles
//! packets, and leaves nothing behind. Every byte is compared on arrival. Connections are opened by the kernel and by us, over IPv4 and
//! IPv6, and end in each way there is; what they took has to be given back.

mod exchange;
mod stream;
mod world;

use exchange::{Counts, Ending, Failure};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use world::{Opener, VERSIONS, World, bad_link};

const NAMES: [&str; 2] = ["offloads", "loss, reordering, duplication"];
const COUNTS: Counts = Counts { one_by_one: 10_000, at_once: 1_000, ending: None };
/// A twentieth of the bytes goes over the bad link.
const BAD_SHARE: f64 = 0.05;

/// TIME-WAIT is a minute. A connection that leaks is noticed after it, be it a single one.
const A_MINUTE_AND_MORE: Duration = Duration::from_secs(90);
/// What the host may have grown by: queues of packets and events are as large as they once had to be. 3 bytes a connection.
const HOST_BYTES: u64 = 1 << 16;
/// What the process may have grown by: up to 4 MB per host wait to be used again for what is written, and its allocator keeps some. 95
/// bytes for each of 44,000 connections; what is smaller is counted by the host itself.
const PROCESS_BYTES: u64 = 4 << 20;

fn main() -> Result<(), Failure> {
    let gigabytes: f64 = std::env::args().nth(1).map_or(Ok(1.0), |argument| argument.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worlds = [World::new(None, &runtime)?, World::new(Some(bad_link()), &runtime)?];
    let bytes = [gigabytes * 1e9, gigabytes * 1e9 * BAD_SHARE].map(stream::blocks_of);
    for (world, blocks) in worlds.iter().zip(bytes) {
        warm_up(world, &runtime, blocks)?;
    }
    rest(&worlds, &runtime)?;
    let before = (worlds.each_ref().map(|world| world.host.memory_bytes()), resident_bytes());
    for ((world, blocks), name) in worlds.iter().zip(bytes).zip(NAMES) {
        println!("{name}");
        work(world, &runtime, blocks)?;
    }
    rest(&worlds, &runtime)?;
    println!("when all connections are over");
    for ((world, before), name) in worlds.iter().zip(before.0).zip(NAMES) {
        report_memory(name, before, world.host.memory_bytes(), HOST_BYTES)?;
    }
    report_memory("resident, the process", before.1, resident_bytes(), PROCESS_BYTES)
}

/// Tables grow to what they will need: at least as many connections in TIME-WAIT at the host as there will be, and as many open.
fn warm_up(world: &World, runtime: &Runtime, blocks: u64) -> Result<(), Failure> {
    for version in 0..VERSIONS.len() {
        world.streams(runtime, version, blocks)?;
    }
    let many = Counts { one_by_one: 0, ending: Some(Ending::ServerCloses), ..COUNTS };
    for _ in 0..=COUNTS.one_by_one / COUNTS.at_once {
        world.connections(runtime, Opener::Kernel, many)?;
    }
    let each = Counts { one_by_one: 40, ..COUNTS };
    world.connections(runtime, Opener::Us, each)?;
    world.connections(runtime, Opener::Kernel, each)?;
    Ok(())
}

fn work(world: &World, runtime: &Runtime, blocks: u64) -> Result<(), Failure> {
    for (version, name) in VERSIONS.into_iter().enumerate() {
        let [to_kernel, from_kernel] = world.streams(runtime, version, blocks)?;
        println!(
            "  {name}: {blocks} blocks of 64 KB each way, all as sent: {to_kernel:.2} Gb/s to the kernel, {from_kernel:.2} from it"
        );
    }
    for (opener, name) in [(Opener::Kernel, "the kernel"), (Opener::Us, "us")] {
        let begin = Instant::now();
        let [one_by_one, at_once] = world.connections(runtime, opener, COUNTS)?;
        println!(
            "  opened by {name}: {} connections one after the other in {:.1} s, {} at once in {:.1} s, all over after {:.1} s",
            COUNTS.one_by_one,
            one_by_one.as_secs_f64(),
            COUNTS.at_once,
            at_once.as_secs_f64(),
            begin.elapsed().as_secs_f64()
        );
    }
    for (who, [all, lost, held_up, doubled]) in ["us", "the kernel"].into_iter().zip(world.harm()) {
        println!("  packets from {who}: {all}; {lost} lost, {held_up} held up, {doubled} doubled");
    }
    Ok(())
}

/// Waits until the hosts know of no connection, not even in TIME-WAIT.
fn rest(worlds: &[World], runtime: &Runtime) -> Result<(), Failure> {
    for world in worlds {
        world.has_no_sockets(runtime)?;
        let begin = Instant::now();
        while world.host.connections() > 0 {
            if begin.elapsed() > A_MINUTE_AND_MORE {
                return Err(format!("{} connections are left", world.host.connections()).into());
            }
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
        }
    }
    Ok(())
}

fn report_memory(what: &str, before: u64, after: u64, allowed: u64) -> Result<(), Failure> {
    println!("  {what}: {after} bytes, {before} before");
    if after > before + allowed {
        return Err(format!("{what}: {} bytes are left, more than {allowed}", after - before).into());
    }
    Ok(())
}

/// Resident memory of this process.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
}
