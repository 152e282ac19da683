use super::*;
use crate::{Headers, Seq, TcpFlags, TcpOptions};
use crate::{SackBlocks, tcp_options::tests::any_options};
use proptest::prelude::*;

fn bytes_of(packet: &Packet) -> Bytes {
    let mut bytes = Vec::new();
    packet.emit(&mut bytes);
    assert_eq!(bytes.len(), packet.len());
    bytes.into()
}

fn a() -> IpAddr {
    [192, 0, 2, 1].into()
}

fn b() -> IpAddr {
    [192, 0, 2, 2].into()
}

#[test]
fn a_datagram_has_the_bytes_of_the_rfcs() {
    let header = UdpHeader { source_port: 1, destination_port: 2 };
    let packet = Packet::udp(a(), b(), header, Bytes::from_static(b"hi"));
    // IP: !(4500+001e+4000+4011+c000+0201+c000+0202) = b6cb; UDP: !(addresses 8404 + 0011+000a + 0001+0002+000a + 6869) = 136a.
    let expected = [
        0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0xb6, 0xcb, 192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2, 0, 10,
        0x13, 0x6a, b'h', b'i',
    ];
    assert_eq!(&bytes_of(&packet)[..], expected);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let header = UdpHeader { source_port: 1, destination_port: 2 };
    let good = bytes_of(&Packet::udp(a(), b(), header, Bytes::from_static(b"hello")));
    for bit in 0..good.len() * 8 {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Packet::parse(bad.into()).is_err(), "bit {bit}");
    }
}

#[test]
fn a_device_may_vouch_for_the_checksums() {
    let header = UdpHeader { source_port: 1, destination_port: 2 };
    let mut packet = Packet::udp(a(), b(), header, Bytes::from_static(b"hello"));
    packet.offload.checksum = ChecksumState::Device;
    let bytes = bytes_of(&packet);
    assert_eq!(Packet::parse(bytes.clone()).unwrap_err(), ParseError::Checksum { of: "UDP", offset: 26 });
    assert_eq!(Packet::parse_with(bytes.clone(), ChecksumState::Device), Ok(packet.clone()));
    // The device sums from the transport header on, over what stands in the field.
    let mut sum = Checksum::new();
    sum.add(&bytes[20..]);
    packet.offload.checksum = ChecksumState::Full;
    assert_eq!(sum.finish().to_be_bytes(), bytes_of(&packet)[26..28]);
}

#[test]
fn a_missing_udp_checksum_is_fine_in_ipv4_only() {
    let header = UdpHeader { source_port: 1, destination_port: 2 };
    let mut v4 = bytes_of(&Packet::udp(a(), b(), header, Bytes::new())).to_vec();
    v4[26..28].fill(0);
    assert!(Packet::parse(v4.into()).is_ok());
    let loopback = IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
    let mut v6 = bytes_of(&Packet::udp(loopback, loopback, header, Bytes::new())).to_vec();
    v6[46..48].fill(0);
    assert_eq!(Packet::parse(v6.into()), Err(ParseError::Checksum { of: "UDP", offset: 46 }));
}

#[test]
fn padding_is_ignored_and_cuts_are_not() {
    let packet = Packet::icmp(a(), b(), IcmpMessage::Unreachable { code: 1 }, Bytes::from_static(b"quote"));
    let mut bytes = bytes_of(&packet).to_vec();
    bytes.extend_from_slice(&[0; 13]);
    assert_eq!(Packet::parse(bytes.clone().into()), Ok(packet.clone()));
    bytes.truncate(packet.len() - 1);
    assert!(matches!(Packet::parse(bytes.into()), Err(ParseError::Truncated { offset: 32, end: 32, .. })));
}

#[test]
fn the_payload_is_shared() {
    let bytes = bytes_of(&Packet::icmp(
        a(),
        b(),
        IcmpMessage::EchoRequest { identifier: 1, sequence: 1 },
        Bytes::from(vec![1; 100]),
    ));
    let packet = Packet::parse(bytes.clone()).unwrap();
    assert_eq!(packet.payload.as_ptr(), bytes[28..].as_ptr());
}

fn any_ip(piece: bool) -> impl Strategy<Value = IpHeader> {
    let addresses = prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
    ];
    (addresses, any::<u8>(), any::<u8>(), any::<u32>(), any::<bool>(), any::<bool>(), 1u16..0x1fff).prop_map(
        move |((source, destination), hop_limit, traffic_class, id, df, more, eighths)| {
            let v4 = source.is_ipv4();
            let identification = match (v4, piece) {
                (true, _) => id & 0xffff,
                (false, true) => id,
                (false, false) => 0,
            };
            let fragment = Fragment {
                identification,
                dont_fragment: df || !v4,
                more: more && piece,
                offset_bytes: if piece { eighths * 8 } else { 0 },
            };
            let protocol = Protocol::Other(200);
            IpHeader { source, destination, protocol, hop_limit, traffic_class, fragment }
        },
    )
}

fn any_transport() -> impl Strategy<Value = Transport> {
    let tcp = (any::<(u16, u16, u32, u32, u8, u16, u16)>(), any_options()).prop_map(|(fields, options)| {
        let (source_port, destination_port, seq, ack, flags, window, urgent) = fields;
        let fitting = TcpOptions { fast_open: None, sack: SackBlocks::default(), ..options.clone() };
        let options = if options.sack_blocks_emitted() == options.sack.as_slice().len()
            && options.len() > fitting.len()
            && options.sack.is_empty() != options.fast_open.is_none()
        {
            options
        } else {
            fitting
        };
        let (seq, ack, flags) = (Seq(seq), Seq(ack), TcpFlags(flags));
        Transport::Tcp(TcpHeader { source_port, destination_port, seq, ack, flags, window, urgent, options })
    });
    let udp = any::<(u16, u16)>().prop_map(|(source_port, destination_port)| {
        Transport::Udp(UdpHeader { source_port, destination_port })
    });
    let icmp = prop_oneof![
        any::<(u16, u16)>()
            .prop_map(|(identifier, sequence)| IcmpMessage::EchoRequest { identifier, sequence }),
        any::<(u16, u16)>()
            .prop_map(|(identifier, sequence)| IcmpMessage::EchoReply { identifier, sequence }),
        any::<u16>().prop_map(|mtu| IcmpMessage::PacketTooBig { mtu: u32::from(mtu) }),
        (5u8..16).prop_map(|code| IcmpMessage::Unreachable { code }),
        any::<u8>().prop_map(|code| IcmpMessage::TimeExceeded { code }),
        any::<(u8, [u8; 4])>().prop_map(|(code, rest)| IcmpMessage::Other { kind: 200, code, rest }),
    ]
    .prop_map(Transport::Icmp);
    prop_oneof![tcp, udp, icmp, Just(Transport::Opaque)]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let payload = || proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let whole = (any_ip(false), any_transport(), payload()).prop_map(|(mut ip, transport, payload)| {
        ip.protocol = match transport {
            Transport::Tcp(_) => Protocol::Tcp,
            Transport::Udp(_) => Protocol::Udp,
            Transport::Icmp(_) if ip.source.is_ipv4() => Protocol::Icmp,
            Transport::Icmp(_) => Protocol::Icmpv6,
            Transport::Opaque => Protocol::Other(200),
        };
        Packet { ip, transport, payload, offload: Offload::default() }
    });
    let piece = (any_ip(true), payload()).prop_map(|(ip, payload)| {
        let transport = Transport::Opaque;
        Packet { ip, transport, payload, offload: Offload::default() }
    });
    prop_oneof![4 => whole, 1 => piece]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_emitted_is_read_back(packet in any_packet()) {
        prop_assert_eq!(Packet::parse(bytes_of(&packet)), Ok(packet));
    }

    #[test]
    fn the_header_view_agrees_with_the_packet(packet in any_packet(), keep in 0usize..300) {
        let bytes = bytes_of(&packet);
        let captured = &bytes[..keep.min(bytes.len())];
        let headers_end = packet.len() - packet.payload.len();
        match Headers::parse(captured, bytes.len()) {
            Ok(headers) => {
                prop_assert_eq!(&headers.ip, &packet.ip);
                prop_assert_eq!(headers.packet_bytes as usize, packet.len());
                prop_assert_eq!(headers.payload_offset as usize, headers_end);
                prop_assert_eq!(headers.payload_bytes as usize, packet.payload.len());
                prop_assert_eq!(headers.payload_captured as usize, captured.len().saturating_sub(headers_end));
                prop_assert_eq!(headers.options_cut, captured.len() < headers_end);
                if !headers.options_cut {
                    prop_assert_eq!(&headers.transport, &packet.transport);
                    prop_assert_eq!(headers.payload(captured), &packet.payload[..headers.payload_captured as usize]);
                }
            }
            Err(error) => {
                prop_assert!(captured.len() < headers_end);
                let is_truncated = matches!(error, ParseError::Truncated { end, .. } if end == captured.len());
                prop_assert!(is_truncated);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(0x45u8), Just(0x46), Just(0x4f), Just(0x60), any::<u8>()],
        protocol in prop_oneof![Just(6u8), Just(17), Just(1), Just(58), Just(0), Just(43), Just(44), Just(51), Just(60), any::<u8>()],
        short in any::<bool>(),
        wire in 0usize..100_000,
    ) {
        let mut bytes = bytes;
        let length = bytes.len() as u8;
        for (at, value) in [(0, version), (if version == 0x60 { 6 } else { 9 }, protocol)] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if short && bytes.len() > 5 {
            let field = if version == 0x60 { 4 } else { 2 };
            bytes[field] = 0;
            bytes[field + 1] = if version == 0x60 { length.saturating_sub(40) } else { length };
        }
        if let Ok(headers) = Headers::parse(&bytes, wire) {
            prop_assert!(headers.payload(&bytes).len() == headers.payload_captured as usize);
            prop_assert!(headers.payload_captured <= headers.payload_bytes);
            prop_assert!(headers.payload_offset + headers.payload_bytes <= headers.packet_bytes);
        }
        let bytes = Bytes::from(bytes);
        if let Ok(packet) = Packet::parse_with(bytes.clone(), ChecksumState::Device) {
            let emitted = bytes_of(&Packet { offload: Offload::default(), ..packet });
            prop_assert!(Packet::parse(emitted).is_ok());
        }
        let _ = Packet::parse(bytes);
    }
}
