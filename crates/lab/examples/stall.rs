//! A conversation that Nagle and delayed ACKs slow down, as found and with TCP_NODELAY, and what a capture of it shows.
//!
//! `cargo run -p narrows-lab --example stall [FILE.pcapng]`

use narrows_lab::capture::PcapNg;
use narrows_lab::{Conversation, Heading, LinkConfig, PlayConfig, Side, Trigger, Turn, Write, play};
use narrows_stack::Knobs;
use std::fs::File;
use std::io::BufWriter;
use std::time::Duration;

fn turn(side: Side, trigger: Trigger, writes: &[u32]) -> Turn {
    let write = |&bytes| Write { bytes, gap: Duration::ZERO, gap_latest: Duration::ZERO };
    Turn { side, trigger, think: Duration::ZERO, writes: writes.iter().map(write).collect() }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut conversation =
        Conversation { close: Some((Side::Client, Duration::ZERO)), ..Conversation::default() };
    for number in 0..50 {
        let asked = if number == 0 { Trigger::Connected } else { Trigger::Received(64 * number) };
        conversation.turns.push(turn(Side::Client, asked, &[12, 180]));
        conversation.turns.push(turn(Side::Server, Trigger::Received(192 * (number + 1)), &[64]));
    }
    let path = LinkConfig::with_delay(Duration::from_micros(500));
    let mut config = PlayConfig::new(1, Knobs::default(), Knobs::default(), path);
    config.record_packets = true;
    for nodelay in [false, true] {
        config.client.knobs.nodelay = nodelay;
        let playback = play(&conversation, &config)?;
        let mean = playback.mean_exchange().ok_or("no exchange was finished")?;
        let packets: u64 = playback.sent.iter().map(|sent| sent.packets).sum();
        println!(
            "client.nodelay={nodelay}: {mean:.3?} per exchange, {packets} packets, {:?}",
            playback.outcome
        );
        if let (false, Some(path)) = (nodelay, std::env::args().nth(1)) {
            let mut file = PcapNg::new(BufWriter::new(File::create(&path)?));
            let client = file.add_interface("client");
            for (time, played) in playback.packets_at(Side::Client) {
                let heading = if played.from == Side::Client { Heading::Out } else { Heading::In };
                file.write(client, time, heading, &played.packet);
            }
            file.finish()?;
        }
    }
    Ok(())
}
