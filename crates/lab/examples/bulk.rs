//! One bulk connection, 100 Mb/s, 20 ms round trip, 100 s of virtual time: how fast does the lab run it?
//!
//! `cargo run --release -p narrows-lab --example bulk [SECONDS]`

use narrows_lab::transfer::{TransferConfig, transfer};
use narrows_lab::{DirectionConfig, IpVersion, LinkConfig};
use narrows_stack::Knobs;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(100), |argument| argument.parse())?;
    let direction = DirectionConfig {
        rate_bits_per_second: Some(100_000_000),
        delay: Duration::from_millis(10),
        queue_bytes: 200 * 1_500,
        ..DirectionConfig::default()
    };
    let config = TransferConfig {
        seed: 1,
        ip_version: IpVersion::V4,
        sender: Knobs::default(),
        receiver: Knobs::default(),
        link: LinkConfig::symmetric(direction),
        bytes: u64::MAX,
        time_limit: Duration::from_secs(seconds),
        hash: false,
    };
    let begin = Instant::now();
    let run = transfer(&config)?;
    let wall = begin.elapsed().as_secs_f64();
    println!("virtual time   {seconds} s");
    println!("wall time      {wall:.3} s ({:.0} times real time)", seconds as f64 / wall);
    println!(
        "packets        {} ({:.2} million per second)",
        run.packets(),
        run.packets() as f64 / wall / 1e6
    );
    println!("events         {}", run.events);
    println!("goodput        {:.2} Mb/s", run.goodput_bits_per_second() / 1e6);
    println!(
        "dropped        {} of {} data packets",
        run.link[0].dropped_queue_full, run.link[0].offered_packets
    );
    if let Some(kilobytes) = peak_memory_kilobytes() {
        println!("peak memory    {:.1} MB", f64::from(kilobytes) * 1_024.0 / 1e6);
    }
    if !run.intact {
        return Err("the receiver read other bytes than were written".into());
    }
    Ok(())
}

/// The largest resident memory of this process; known on Linux only.
fn peak_memory_kilobytes() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
