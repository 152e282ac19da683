//! The captures of real kernels that lie beside the repository where they are at hand.

use super::*;
use std::path::PathBuf;

/// The folder of captures, beside the workspace or one floor above it.
fn captures() -> Option<PathBuf> {
    let workspace = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    ["../shared/captures", "../../shared/captures"]
        .iter()
        .map(|relative| workspace.join(relative))
        .find(|folder| folder.is_dir())
}

/// Counts the records of a little-endian pcap file by their lengths alone.
fn records(bytes: &[u8]) -> u64 {
    let (mut at, mut count) = (24, 0);
    while let Some(header) = bytes.get(at..at + 16) {
        at += 16 + u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        count += u64::from(at <= bytes.len());
    }
    count
}

#[test]
fn every_capture_is_read_to_its_end_without_complaint() {
    let Some(folder) = captures() else {
        println!("skipped: there is no ../shared/captures beside the workspace");
        return;
    };
    let mut files = 0;
    for scenario in std::fs::read_dir(folder).unwrap() {
        let scenario = scenario.unwrap().path();
        if !scenario.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(scenario).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "pcap") {
                continue;
            }
            files += 1;
            let mut packets = PacketHeaders::new(Capture::open(&path).unwrap());
            let mut bytes = 0u64;
            while let Some(packet) = packets.next_packet() {
                bytes += u64::from(packet.unwrap().headers.packet_bytes);
            }
            let counts = *packets.counts();
            assert_eq!(counts.packets, records(&std::fs::read(&path).unwrap()), "{}", path.display());
            assert_eq!(counts.unreadable, Unreadable::default(), "{}", path.display());
            assert_eq!((counts.options_damaged, counts.without_time), (0, 0), "{}", path.display());
            assert!(counts.tcp + counts.udp + counts.fragments > 0 && bytes > 0, "{}", path.display());
            let progress = packets.progress();
            assert_eq!(progress.file_size, Some(progress.capture_bytes));
            assert_eq!(progress.file_size, Some(progress.file_bytes));
        }
    }
    assert!(files > 0);
    println!("{files} captures read");
}
