//! Do captures from outside (pcap, pcapng, gzip, zstd) read without a panic, in bounded memory, with every packet counted?
//!
//! How to run: `fuzz/Cargo.toml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use narrows_trace::read::{Capture, MAX_CAPTURED_BYTES, PacketHeaders};
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    let open = || Capture::from_reader(Cursor::new(bytes.to_vec()), "fuzz");
    let Ok(mut capture) = open() else { return };
    let mut packets = 0;
    while let Some(next) = capture.next_packet() {
        let Ok(packet) = next else { break };
        packets += 1;
        assert_eq!(packet.number, packets);
        assert!(packet.captured.len() <= MAX_CAPTURED_BYTES as usize);
        assert!(packet.captured.len() <= packet.wire_len as usize);
    }
    assert!(capture.next_packet().is_none());
    let mut headers = PacketHeaders::new(open().expect("it could be opened before"));
    while let Some(next) = headers.next_packet() {
        if next.is_err() {
            break;
        }
    }
    let counts = headers.counts();
    assert_eq!(counts.packets, packets);
    let counted = counts.tcp + counts.udp + counts.icmp + counts.other_ip + counts.fragments + counts.not_ip;
    assert_eq!(counted + counts.unreadable.total(), packets);
});
