//! Is any sequence of raw IP packets analysed without a panic: fragments put together, tunnels opened, connections and flows
//! summarised? The input is cut into packets by a length byte before each.
//!
//! How to run: `fuzz/Cargo.toml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use narrows_trace::{AnalyzerOptions, examine, read::Capture};
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    let mut file = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    let mut rest = bytes;
    let mut packets: u32 = 0;
    while let Some((&length, behind)) = rest.split_first() {
        let (packet, behind) = behind.split_at(behind.len().min(usize::from(length)));
        for field in [packets / 50, packets % 50 * 20_000_000, packet.len() as u32, packet.len() as u32] {
            file.extend(field.to_le_bytes());
        }
        file.extend(packet);
        (rest, packets) = (behind, packets + 1);
    }
    let capture = Capture::from_reader(Cursor::new(file), "fuzz").expect("a capture");
    let examined = examine(capture, AnalyzerOptions::default(), &mut |_| {});
    for finding in examined.analysis.connections.iter().flat_map(|connection| &connection.findings) {
        assert!(finding.path_mtu.is_none_or(|mtu| mtu.least <= mtu.most));
    }
});
