use super::*;
use bytes::Bytes;
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, TcpOptions, UdpHeader};
use proptest::prelude::*;
use std::net::IpAddr;

fn inner() -> Vec<u8> {
    let header = TcpHeader {
        source_port: 40_000,
        destination_port: 80,
        seq: Seq(1),
        ack: Seq(1),
        flags: TcpFlags::ACK,
        window: 512,
        urgent: 0,
        options: TcpOptions::default(),
    };
    let payload = Bytes::from(vec![0; 100]);
    let packet = Packet::tcp([192, 168, 0, 1].into(), [192, 168, 0, 2].into(), header, payload);
    let mut bytes = Vec::new();
    packet.emit(&mut bytes);
    bytes
}

fn ends() -> (IpAddr, IpAddr) {
    ([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
}

fn in_udp(port: u16, payload: Vec<u8>) -> Vec<u8> {
    let header = UdpHeader { source_port: 33_333, destination_port: port };
    let packet = Packet::udp(ends().0, ends().1, header, payload.into());
    let mut bytes = Vec::new();
    packet.emit(&mut bytes);
    bytes
}

fn in_ip(protocol: u8, payload: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend(payload);
    bytes
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn opened(bytes: &[u8]) -> Option<(TunnelKind, Option<u32>)> {
    let headers = Headers::parse(bytes, bytes.len()).unwrap();
    let kind = kind(&headers, bytes)?;
    Some((kind, inside(kind, &headers, bytes).map(|inner| inner.headers.payload_bytes)))
}

#[test]
fn each_kind_is_opened_or_named() {
    let mut frame = vec![2; 12];
    frame.extend([8, 0]);
    frame.extend(inner());
    let vxlan = in_udp(4789, joined(&[&[8, 0, 0, 0, 0, 0, 5, 0], &frame]));
    let geneve = in_udp(6081, joined(&[&[1, 0, 0x65, 0x58, 0, 0, 5, 0, 0, 0, 0, 0], &frame]));
    let gre = in_ip(47, joined(&[&[0, 0, 8, 0], &inner()]));
    let keyed = in_ip(47, joined(&[&[0x20, 0, 8, 0, 0, 0, 0, 9], &inner()]));
    let wireguard = in_udp(51_820, joined(&[&[4, 0, 0, 0], &[7; 60]]));
    for (bytes, kind, payload) in [
        (vxlan, TunnelKind::Vxlan, Some(100)),
        (geneve, TunnelKind::Geneve, Some(100)),
        (gre, TunnelKind::Gre, Some(100)),
        (keyed, TunnelKind::Gre, Some(100)),
        (in_ip(4, inner()), TunnelKind::IpInIp, Some(100)),
        (wireguard, TunnelKind::WireGuard, None),
        (in_udp(1194, joined(&[&[0x48, 0, 0, 1, 0, 0, 0, 9], &[7; 60]])), TunnelKind::OpenVpn, None),
        (in_udp(1194, joined(&[&[0x38], &[7; 8], &[0; 5]])), TunnelKind::OpenVpn, None),
        (in_ip(50, vec![1; 80]), TunnelKind::Esp, None),
    ] {
        assert_eq!(opened(&bytes), Some((kind, payload)));
    }
    assert_eq!(opened(&in_udp(53, vec![0; 40])), None);
    assert_eq!(opened(&in_udp(1194, vec![0; 40])), None, "no packet of OpenVPN begins so");
    assert_eq!(opened(&in_udp(1194, vec![0x38; 9])), None, "too short for a session's number");
    assert_eq!(opened(&inner()), None);
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(port in prop_oneof![Just(4789u16), Just(6081), Just(51_820), Just(1194), Just(4500), any::<u16>()],
                            protocol: u8, payload in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = opened(&in_udp(port, payload.clone()));
        let bytes = in_ip(protocol, payload);
        if let Ok(headers) = Headers::parse(&bytes, bytes.len())
            && let Some(kind) = kind(&headers, &bytes)
        {
            let _ = inside(kind, &headers, &bytes);
        }
    }
}
