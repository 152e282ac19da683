//! How much gets through a path that loses packets, and how do many connections share a link? `cargo bench -p narrows-lab --bench congestion`
//!
//! Both in virtual time, so the numbers are the same on every machine. Losses: a round trip of 100 ms and a receive window of 32 KB,
//! 60 s, the mean of ten seeds. Sharing: 16 connections through 200 Mb/s with a queue of 64 KB (drop-tail) and 100 ms, 60 s; how
//! fair the shares are is said by Jain's index (1: all alike).

use narrows_lab::bulk::{BulkReceiver, BulkSender};
use narrows_lab::{AppId, DirectionConfig, LinkConfig, Loss, World};
use narrows_stack::{Instant, Knobs};
use std::net::SocketAddr;
use std::time::Duration;

const SECONDS: u64 = 60;
const CONTROLS: [&str; 3] = ["cubic", "reno", "bbr"];

/// Bytes that each of `connections` got through.
fn run(
    direction: DirectionConfig,
    knobs: &[(&str, &str)],
    connections: u16,
    seed: u64,
) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let mut settings = Knobs::default();
    for (knob, value) in knobs {
        settings.set(knob, value)?;
    }
    let mut builder = World::builder(seed);
    let sender = builder.host("sender", settings.clone());
    let receiver = builder.host("receiver", settings);
    builder.link("path", sender, receiver, LinkConfig::symmetric(direction));
    let address = builder.address(receiver).ok_or("a host has an address")?;
    let mut receivers: Vec<AppId> = Vec::new();
    for number in 0..connections {
        let port = 5_001 + number;
        builder.app(sender, BulkSender::new(SocketAddr::new(address, port), u64::MAX));
        receivers.push(builder.app(receiver, BulkReceiver::new(port)));
    }
    let mut world = builder.build()?;
    world.run_until(Instant::ZERO + Duration::from_secs(SECONDS));
    let bytes = |app: &AppId| {
        let streams = world.app::<BulkReceiver>(*app).map(BulkReceiver::streams).unwrap_or_default();
        streams.iter().map(|stream| stream.bytes).sum()
    };
    Ok(receivers.iter().map(bytes).collect())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "throughput under loss, 100 ms, 32 KB window, KB/s (Linux CUBIC: 160 at 1 %, 119 at 2 %, 50 at 5 %)"
    );
    for control in CONTROLS {
        let mut line = format!("  {control:6}");
        for loss in [0.01, 0.02, 0.05] {
            let direction = DirectionConfig {
                delay: Duration::from_millis(50),
                rate_bits_per_second: Some(200_000_000),
                loss: Loss::Random(loss),
                ..DirectionConfig::default()
            };
            let mut sum = 0;
            for seed in 1..=10 {
                let knobs = [("congestion_control", control), ("rcvbuf", "32768")];
                sum += run(direction.clone(), &knobs, 1, seed)?.iter().sum::<u64>();
            }
            line += &format!("  {:.0} at {:.0} %", sum as f64 / 10.0 / SECONDS as f64 / 1e3, loss * 100.0);
        }
        println!("{line}");
    }
    println!("16 connections, 200 Mb/s, 64 KB drop-tail, 100 ms");
    for (control, pacing) in
        [("cubic", "false"), ("cubic", "true"), ("reno", "false"), ("reno", "true"), ("bbr", "false")]
    {
        let direction = DirectionConfig {
            delay: Duration::from_millis(50),
            rate_bits_per_second: Some(200_000_000),
            queue_bytes: 64_000,
            ..DirectionConfig::default()
        };
        let shares = run(direction, &[("congestion_control", control), ("pacing", pacing)], 16, 1)?;
        let sum: u64 = shares.iter().sum();
        let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
        let jain = (sum as f64).powi(2) / (shares.len() as f64 * squares);
        let paced = if pacing == "true" || control == "bbr" { ", paced" } else { "" };
        println!(
            "  {control}{paced}: {:.1} MB/s, {:.0} % of the link, Jain {jain:.2}",
            sum as f64 / SECONDS as f64 / 1e6,
            sum as f64 * 8.0 / SECONDS as f64 / 200e6 * 100.0
        );
    }
    Ok(())
}
