//! How many packets per second does the lab carry? `cargo bench -p narrows-lab`
//!
//! One bulk connection of 10 s at 100 Mb/s and 20 ms, and the same with loss and with a capture being written; median
//! of seven runs each. Beside it the same connection in ns-3, where that is installed (Debian: `apt install g++ libns3-dev`).

use narrows_lab::bulk::{BulkReceiver, BulkSender};
use narrows_lab::capture::PcapNg;
use narrows_lab::{DirectionConfig, End, LinkConfig, Loss, PacketHash, World};
use narrows_stack::Knobs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const RUNS: usize = 7;
const VIRTUAL_SECONDS: u64 = 10;

#[derive(Clone, Copy)]
enum Watch {
    Nothing,
    Hash,
    Capture,
}

/// Runs the world once: packets that arrived, and wall time.
fn run(loss: Loss, watch: Watch) -> Result<(u64, Duration), Box<dyn std::error::Error>> {
    let direction = DirectionConfig {
        rate_bits_per_second: Some(100_000_000),
        delay: Duration::from_millis(10),
        queue_bytes: 200 * 1_500,
        loss,
        ..DirectionConfig::default()
    };
    let mut builder = World::builder(1);
    let sender = builder.host("sender", Knobs::default());
    let receiver = builder.host("receiver", Knobs::default());
    let link = builder.link("path", sender, receiver, LinkConfig::symmetric(direction));
    let address = builder.address(receiver).ok_or("a host has an address")?;
    builder.app(sender, BulkSender::new(SocketAddr::new(address, 5_001), u64::MAX));
    builder.app(receiver, BulkReceiver::new(5_001));
    let mut world = builder.build()?;
    match watch {
        Watch::Nothing => {}
        Watch::Hash => {
            let hash = world.add_recorder(PacketHash::default());
            world.tap_everywhere(hash);
        }
        Watch::Capture => {
            let capture = world.add_recorder(PcapNg::new(std::io::sink()));
            world.tap(capture, link, End::First);
        }
    }
    let begin = Instant::now();
    world.run_until(narrows_stack::Instant::from_millis(VIRTUAL_SECONDS * 1_000));
    let wall = begin.elapsed();
    let packets =
        [End::First, End::Second].iter().map(|&end| world.link_counters(link, end).delivered_packets).sum();
    Ok((packets, wall))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cases = [
        ("bulk", Loss::None, Watch::Nothing),
        ("bulk, 1 % loss", Loss::Random(0.01), Watch::Nothing),
        ("bulk, hashed", Loss::None, Watch::Hash),
        ("bulk, pcapng", Loss::None, Watch::Capture),
    ];
    println!("{:<16} {:>10} {:>10} {:>18}", "case", "packets", "wall ms", "packets per second");
    for (name, loss, watch) in cases {
        let mut walls = Vec::new();
        let mut packets = 0;
        for _ in 0..RUNS {
            let (count, wall) = run(loss, watch)?;
            packets = count;
            walls.push(wall.as_secs_f64());
        }
        walls.sort_by(f64::total_cmp);
        let wall = walls[RUNS / 2];
        print_row(name, packets, wall);
    }
    match ns3() {
        Ok((packets, wall)) => print_row("ns-3, bulk", packets, wall),
        Err(why) => println!("ns-3 not measured: {why}"),
    }
    Ok(())
}

fn print_row(name: &str, packets: u64, wall: f64) {
    println!("{name:<16} {packets:>10} {:>10.1} {:>18.0}", wall * 1e3, packets as f64 / wall);
}

/// Builds and runs the same connection in ns-3: packets, and the median of three runs' wall seconds.
fn ns3() -> Result<(u64, f64), Box<dyn std::error::Error>> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ns3_bulk");
    let libraries = ["core", "network", "internet", "point-to-point", "applications"];
    let built = Command::new("g++")
        .args(["-O2", "-std=c++17", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ns3_bulk.cc"))
        .args(libraries.map(|library| format!("-lns3-{library}")))
        .output()?;
    if !built.status.success() {
        return Err("g++ cannot build benches/ns3_bulk.cc (apt install g++ libns3-dev)".into());
    }
    let mut walls = Vec::new();
    let mut packets = 0;
    for _ in 0..3 {
        let begin = Instant::now();
        let ran = Command::new(&program).arg(VIRTUAL_SECONDS.to_string()).output()?;
        walls.push(begin.elapsed().as_secs_f64());
        packets = String::from_utf8(ran.stdout)?.trim().parse()?;
    }
    walls.sort_by(f64::total_cmp);
    Ok((packets, walls[1]))
}
