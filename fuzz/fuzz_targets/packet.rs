//! Do packets from outside parse without a panic, and does what parses survive being written and read again?
//!
//! The first two bytes say how long the packet was on the wire; how to run: `fuzz/Cargo.toml`.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use narrows_wire::{ChecksumState, Headers, Offload, Packet};

fuzz_target!(|input: &[u8]| {
    let Some((wire, bytes)) = input.split_first_chunk::<2>() else { return };
    let wire = usize::from(u16::from_be_bytes(*wire));
    if let Ok(headers) = Headers::parse(bytes, wire) {
        assert_eq!(headers.payload(bytes).len(), headers.payload_captured as usize);
        assert!(headers.payload_captured <= headers.payload_bytes);
        assert!(headers.payload_offset + headers.payload_bytes <= headers.packet_bytes);
    }
    let bytes = Bytes::copy_from_slice(bytes);
    let verified = Packet::parse(bytes.clone());
    let Ok(packet) = Packet::parse_with(bytes.clone(), ChecksumState::Device) else {
        assert!(verified.is_err());
        return;
    };
    let headers = Headers::parse(&bytes, bytes.len()).expect("a whole packet has headers");
    assert_eq!(headers.transport, packet.transport);
    assert_eq!(headers.payload(&bytes), packet.payload);
    let packet = Packet { offload: Offload::default(), ..packet };
    let mut emitted = Vec::new();
    packet.emit(&mut emitted);
    assert_eq!(emitted.len(), packet.len());
    let again = Packet::parse(emitted.into()).expect("what was written can be read");
    assert_eq!(again.ip.source, packet.ip.source);
    assert_eq!(again.transport.ports(), packet.transport.ports());
    assert_eq!(again.payload, packet.payload);
});
