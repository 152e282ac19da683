//! How much gets through a path that loses packets, and how do many connections share a link? `cargo bench -p narrows-lab --bench congestion`
//!
//! Both in virtual time, so the numbers are the same on every machine. Losses: a round trip of 100 ms and a receive buffer of 32 KB,
//! 60 s, the mean of 200 seeds and how certain it is (its standard error). Sharing: 16 connections through 200 Mb/s with a queue of 64
//! KB (drop-tail) and 100 ms, 60 s, means of ten seeds; how fair the shares are is said by Jain's index (1: all alike).

use narrows_lab::bulk::{BulkReceiver, BulkSender};
use narrows_lab::{AppId, DirectionConfig, LinkConfig, Loss, World};
use narrows_stack::{Instant, Knobs};
use std::net::SocketAddr;
use std::time::Duration;

const SECONDS: u64 = 60;
const CONTROLS: [&str; 3] = ["cubic", "reno", "bbr"];
const CONNECTIONS: u16 = 16;
const SEEDS_OF_LOSSES: u64 = 200;
const SEEDS_OF_SHARES: u64 = 10;

/// Paced as evenly as Linux can, with a smaller first window.
fn gentle(initcwnd: &str) -> [(&str, &str); 5] {
    [
        ("congestion_control", "cubic"),
        ("pacing", "true"),
        ("pacing_ss_ratio", "100"),
        ("pacing_ca_ratio", "100"),
        ("initcwnd", initcwnd),
    ]
}

/// Mean and standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

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
    println!("throughput under loss, 100 ms, 32 KB of receive buffer, KB/s");
    for control in CONTROLS {
        let mut line = format!("  {control:6}");
        for loss in [0.01, 0.02, 0.05] {
            let direction = DirectionConfig {
                delay: Duration::from_millis(50),
                rate_bits_per_second: Some(200_000_000),
                loss: Loss::Random(loss),
                ..DirectionConfig::default()
            };
            let knobs = [("congestion_control", control), ("rcvbuf", "32768")];
            let mut rates = Vec::new();
            for seed in 1..=SEEDS_OF_LOSSES {
                let bytes: u64 = run(direction.clone(), &knobs, 1, seed)?.iter().sum();
                rates.push(bytes as f64 / SECONDS as f64 / 1e3);
            }
            let (mean, error) = mean(&rates);
            line += &format!("  {mean:.0} ± {error:.0} at {:.0} %", loss * 100.0);
        }
        println!("{line}");
    }
    println!("{CONNECTIONS} connections, 200 Mb/s, 64 KB drop-tail, 100 ms");
    for knobs in [
        &[("congestion_control", "cubic")][..],
        &[("congestion_control", "cubic"), ("hystart", "off")],
        &[("congestion_control", "cubic"), ("hystart", "rfc9406")],
        &[("congestion_control", "cubic"), ("pacing", "true")],
        &[("congestion_control", "cubic"), ("pacing", "true"), ("initcwnd", "3")],
        &[
            ("congestion_control", "cubic"),
            ("pacing", "true"),
            ("pacing_ss_ratio", "100"),
            ("pacing_ca_ratio", "100"),
        ],
        &gentle("2"),
        &gentle("3"),
        &gentle("4"),
        &[("congestion_control", "cubic"), ("pacing", "true"), ("hystart", "off")],
        &[("congestion_control", "cubic"), ("pacing", "true"), ("hystart", "rfc9406")],
        &[("congestion_control", "reno")],
        &[("congestion_control", "reno"), ("pacing", "true")],
        &[("congestion_control", "bbr")],
    ] {
        let direction = DirectionConfig {
            delay: Duration::from_millis(50),
            rate_bits_per_second: Some(200_000_000),
            queue_bytes: 64_000,
            // Without it nothing would depend on the seed.
            jitter: Duration::from_micros(100),
            ..DirectionConfig::default()
        };
        let (mut used, mut fairness) = (Vec::new(), Vec::new());
        for seed in 1..=SEEDS_OF_SHARES {
            let shares = run(direction.clone(), knobs, CONNECTIONS, seed)?;
            let sum: u64 = shares.iter().sum();
            let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
            used.push(sum as f64 * 8.0 / SECONDS as f64 / 200e6 * 100.0);
            fairness.push((sum as f64).powi(2) / (shares.len() as f64 * squares));
        }
        let ((used, used_error), (fairness, fairness_error)) = (mean(&used), mean(&fairness));
        let named: Vec<String> = knobs.iter().map(|(knob, value)| format!("{knob}={value}")).collect();
        println!(
            "  {}: {used:.1} ± {used_error:.1} % of the link, Jain {fairness:.2} ± {fairness_error:.2}",
            named.join(" ")
        );
    }
    Ok(())
}
