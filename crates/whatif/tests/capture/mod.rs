//! What would `narrows explain` have made of a playback? Its capture, written as pcap and analysed.

use narrows_lab::capture::Pcap;
use narrows_lab::{Playback, Side};
use narrows_trace::{AnalyzerOptions, Connection, examine, read::Capture};
use std::io::Cursor;

/// The playback's one connection, as a capture at `vantage` shows it.
pub fn captured(playback: &Playback, vantage: Side) -> Connection {
    let mut pcap = Pcap::new(Vec::new());
    for (time, packet) in playback.packets_at(vantage) {
        pcap.write(time, &packet.packet);
    }
    let capture = Capture::from_reader(Cursor::new(pcap.finish().unwrap()), "the lab's capture").unwrap();
    let mut examined = examine(capture, AnalyzerOptions::default(), &mut |_| {});
    assert!(examined.error.is_none());
    assert_eq!(examined.analysis.connections.len(), 1);
    examined.analysis.connections.remove(0)
}
