//! Fragments that overlap, lengths that lie, tunnels in tunnels: does a whole analysis take any packets without a panic?

use narrows_trace::{AnalyzerOptions, examine, read::Capture};
use proptest::prelude::*;
use std::io::Cursor;

/// A raw-IP pcap file of these packets, a millisecond apart, cut to `snaplen`.
fn file(packets: &[Vec<u8>], snaplen: usize) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_3c4d_u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(65_535_u32.to_le_bytes());
    file.extend(101_u32.to_le_bytes());
    for (n, packet) in packets.iter().enumerate() {
        let kept = &packet[..packet.len().min(snaplen)];
        for field in [7, n as u32 * 1_000_000, kept.len() as u32, packet.len() as u32] {
            file.extend(field.to_le_bytes());
        }
        file.extend(kept);
    }
    file
}

/// An IPv4 packet of few hosts and identifications, so that fragments meet; its length field may lie.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let protocol = prop_oneof![Just(6u8), Just(17), Just(1), Just(4), Just(47), Just(50), any::<u8>()];
    let place = prop_oneof![Just(0u16), Just(0x2000), Just(0x20b9), Just(0x00b9), any::<u16>()];
    let ports = prop_oneof![Just([0x12, 0xb5]), Just([0x17, 0xc1]), Just([0xca, 0x6c]), any::<[u8; 2]>()];
    let carried = proptest::collection::vec(any::<u8>(), 0..160);
    (protocol, place, ports, carried, 0u16..3, any::<Option<u16>>(), any::<bool>()).prop_map(
        |(protocol, place, ports, carried, identification, length, nested)| {
            let mut carried = carried;
            if let Some(destination_port) = carried.get_mut(2..4) {
                destination_port.copy_from_slice(&ports);
            }
            if nested && carried.len() > 40 {
                carried[16..20].copy_from_slice(&[0x45, 0, 0, 60]);
            }
            let length = length.unwrap_or(20 + carried.len() as u16);
            let mut bytes = vec![0x45, 0];
            bytes.extend(length.to_be_bytes());
            bytes.extend(identification.to_be_bytes());
            bytes.extend(place.to_be_bytes());
            bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            bytes.extend(carried);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn any_packets_are_analysed(packets in proptest::collection::vec(packet(), 0..80), snaplen in 20usize..200) {
        let capture = Capture::from_reader(Cursor::new(file(&packets, snaplen)), "hostile").unwrap();
        let examined = examine(capture, AnalyzerOptions::default(), &mut |_| {});
        prop_assert!(examined.error.is_none());
        let carried = examined.carried;
        prop_assert!(carried.udp + carried.other_ip + carried.fragments <= packets.len() as u64);
        for flow in &examined.datagram_flows {
            for side in &flow.sides {
                prop_assert!(side.fragments <= side.packets && side.packets <= packets.len() as u64);
            }
        }
        for finding in examined.analysis.connections.iter().flat_map(|c| &c.findings) {
            prop_assert!(finding.path_mtu.is_none_or(|mtu| mtu.least <= mtu.most), "{finding:?}");
        }
    }
}
