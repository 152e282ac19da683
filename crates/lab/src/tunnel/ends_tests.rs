use super::*;
use narrows_stack::icmp::error_about;
use narrows_wire::{Protocol, Seq, TcpFlags, TcpHeader, TcpOptions, UdpHeader};

fn ends(ipv6: bool) -> [IpAddr; 2] {
    match ipv6 {
        false => [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
        true => ["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()],
    }
}

fn tunnel(kind: Tunnel, df: OuterDf, ipv6: bool, inside_mtu: u32) -> TunnelDirection {
    TunnelDirection::new(kind, df, ends(kind.is_ipv6_outside(ipv6)), [inside_mtu, 1_500])
}

/// A segment of so many bytes with its headers.
fn segment(ipv6: bool, bytes: usize) -> Packet {
    let addresses: [IpAddr; 2] = match ipv6 {
        false => [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()],
        true => ["fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()],
    };
    let header = TcpHeader {
        source_port: 40_000,
        destination_port: 80,
        seq: Seq(7),
        ack: Seq(1),
        flags: TcpFlags::ACK,
        window: 1,
        urgent: 0,
        options: TcpOptions::default(),
    };
    let payload = bytes - if ipv6 { 60 } else { 40 };
    Packet::tcp(addresses[0], addresses[1], header, Bytes::from(vec![3; payload]))
}

#[test]
fn what_goes_in_comes_out_and_takes_its_bytes_outside() {
    for kind in Tunnel::ALL {
        for ipv6 in [false, true].into_iter().filter(|ipv6| *ipv6 || kind != Tunnel::Sit) {
            let fits = kind.inner_mtu(1_500, ipv6);
            let mut tunnel = tunnel(kind, OuterDf::Set, ipv6, fits);
            for bytes in [60, 61, 1_281, fits as usize] {
                let inner = segment(ipv6, bytes);
                let outer = tunnel.enter(Instant::ZERO, inner.clone()).unwrap();
                assert_eq!(outer.len(), 1);
                let expected = kind.outer_bytes(bytes as u32, fits, ipv6) as usize;
                assert_eq!(outer[0].len(), expected, "{kind:?} {ipv6} {bytes}");
                assert!(tunnel.is_for_exit(&outer[0]));
                assert_eq!(tunnel.leave(Instant::ZERO, outer[0].clone()), Some(inner));
            }
        }
    }
}

#[test]
fn the_outer_packets_are_what_a_reader_of_captures_takes_them_for() {
    for (kind, protocol, port) in [
        (Tunnel::Gre, Protocol::Other(47), None),
        (Tunnel::Ipip, Protocol::Other(4), None),
        (Tunnel::Vxlan, Protocol::Udp, Some(4_789)),
        (Tunnel::Geneve, Protocol::Udp, Some(6_081)),
        (Tunnel::WireGuard, Protocol::Udp, Some(51_820)),
        (Tunnel::Esp, Protocol::Other(50), None),
    ] {
        let outer = tunnel(kind, OuterDf::Set, false, 1_400).enter(Instant::ZERO, segment(false, 600));
        let outer = outer.unwrap().remove(0);
        let mut bytes = Vec::new();
        outer.emit(&mut bytes);
        let read = Packet::parse(bytes.into()).unwrap();
        assert_eq!(read, outer, "{kind:?}");
        assert_eq!(read.ip.protocol, protocol);
        assert_eq!(read.destination_socket().map(|socket| socket.port()), port);
    }
    let sit = tunnel(Tunnel::Sit, OuterDf::Set, true, 1_480).enter(Instant::ZERO, segment(true, 600));
    assert_eq!(sit.unwrap()[0].ip.protocol, Protocol::Other(41));
}

#[test]
fn df_outside_is_set_copied_or_not() {
    let mut without = segment(false, 500);
    without.ip.fragment.dont_fragment = false;
    for (df, [inner_df, inner_without, inner_ipv6]) in [
        (OuterDf::Set, [true, true, true]),
        (OuterDf::Inherit, [true, false, true]),
        (OuterDf::Unset, [false, false, false]),
    ] {
        let outer = |inner: Packet| {
            let mut tunnel = tunnel(Tunnel::Gre, df, false, 1_476);
            tunnel.enter(Instant::ZERO, inner).unwrap()[0].ip.fragment.dont_fragment
        };
        assert_eq!((outer(segment(false, 500)), outer(without.clone())), (inner_df, inner_without), "{df:?}");
        let sit = tunnel(Tunnel::Sit, df, true, 1_480).enter(Instant::ZERO, segment(true, 1_400));
        assert_eq!(sit.unwrap()[0].ip.fragment.dont_fragment, inner_ipv6);
    }
}

#[test]
fn without_df_what_does_not_fit_goes_in_pieces_and_one_lost_loses_it() {
    for ipv6 in [false, true] {
        let mut tunnel = tunnel(Tunnel::WireGuard, OuterDf::Unset, ipv6, 1_500);
        let inner = segment(ipv6, 1_500);
        let pieces = tunnel.enter(Instant::ZERO, inner.clone()).unwrap();
        assert_eq!(pieces.len(), 2);
        let outer_header = if ipv6 { 40 } else { 20 };
        let headers = outer_header + if ipv6 { 2 * 8 } else { 0 };
        let all: usize = pieces.iter().map(Packet::len).sum();
        let whole = Tunnel::WireGuard.outer_bytes(1_500, 1_500, ipv6) as usize;
        assert_eq!(all, whole + headers, "each piece has a header of its own");
        assert!(pieces.iter().all(|piece| piece.len() <= 1_500 && tunnel.is_for_exit(piece)));
        assert_eq!(tunnel.leave(Instant::ZERO, pieces[1].clone()), None);
        let next = tunnel.enter(Instant::ZERO, inner.clone()).unwrap();
        assert_eq!(tunnel.leave(Instant::ZERO, next[0].clone()), None, "pieces of two packets are no packet");
        assert_eq!(tunnel.leave(Instant::ZERO, pieces[0].clone()), Some(inner.clone()));
        assert_eq!(tunnel.leave(Instant::ZERO, next[1].clone()), Some(inner));
    }
}

#[test]
fn with_df_what_does_not_fit_does_not_enter_and_its_sender_may_know_why() {
    let mut tunnel = tunnel(Tunnel::Gre, OuterDf::Set, false, 1_500);
    let refused = tunnel.enter(Instant::ZERO, segment(false, 1_500)).unwrap_err();
    assert_eq!(refused.mtu, 1_476);
    assert_eq!(refused.answerable, Some(segment(false, 1_500)));
    let mut without = segment(false, 1_500);
    without.ip.fragment.dont_fragment = false;
    assert_eq!(tunnel.enter(Instant::ZERO, without.clone()).unwrap_err().answerable, Some(without));
    assert!(tunnel.enter(Instant::ZERO, segment(false, 1_476)).is_ok());
}

/// What a router outside says about the outer packet.
fn too_big(outer: &Packet, mtu: u32) -> Packet {
    error_about(outer, IcmpMessage::PacketTooBig { mtu }, [192, 0, 2, 99].into())
}

#[test]
fn what_a_router_outside_says_is_relayed_remembered_and_ages() {
    let from: IpAddr = [10, 0, 0, 9].into();
    for (kind, readable) in [(Tunnel::Gre, true), (Tunnel::Vxlan, true), (Tunnel::WireGuard, false)] {
        let mut tunnel = tunnel(kind, OuterDf::Set, false, kind.inner_mtu(1_500, false));
        let inner = segment(false, 1_420);
        let outer = tunnel.enter(Instant::ZERO, inner.clone()).unwrap().remove(0);
        let told = tunnel.on_too_big(Instant::ZERO, &too_big(&outer, 1_400), from).expect("it is ours");
        let fits = kind.inner_mtu(1_400, false);
        match told {
            Some(relayed) => {
                assert!(readable, "{kind:?}");
                assert_eq!(relayed.transport, Transport::Icmp(IcmpMessage::PacketTooBig { mtu: fits }));
                assert_eq!((relayed.ip.source, relayed.ip.destination), (from, inner.ip.source));
                let quoted = narrows_stack::icmp::Quoted::parse(&relayed.payload).unwrap();
                assert_eq!((quoted.packet_bytes, quoted.seq), (1_420, Seq(7)));
            }
            None => assert!(!readable, "{kind:?}"),
        }
        let later = Instant::ZERO + Duration::from_secs(1);
        assert_eq!(tunnel.enter(later, inner.clone()).unwrap_err().mtu, fits);
        let aged = Instant::ZERO + AGE;
        assert!(tunnel.enter(aged, inner).is_ok());
    }
}

#[test]
fn reports_that_are_not_about_this_tunnel_or_cannot_be_true_change_nothing() {
    let from: IpAddr = [10, 0, 0, 9].into();
    let mut gre = tunnel(Tunnel::Gre, OuterDf::Set, false, 1_476);
    let outer = gre.enter(Instant::ZERO, segment(false, 1_420)).unwrap().remove(0);
    assert_eq!(gre.on_too_big(Instant::ZERO, &too_big(&segment(false, 1_420), 1_000), from), None);
    let mut esp = tunnel(Tunnel::Esp, OuterDf::Set, false, 1_446);
    assert_eq!(esp.on_too_big(Instant::ZERO, &too_big(&outer, 1_400), from), None);
    for mtu in [0, 67, 1_444, 1_500, 9_000] {
        assert_eq!(gre.on_too_big(Instant::ZERO, &too_big(&outer, mtu), from), Some(None), "{mtu}");
    }
    assert_eq!(gre.mtu_for(Instant::ZERO, &segment(false, 1_420)), 1_476);
}

#[test]
fn a_congestion_mark_outside_goes_on_inside_or_drops_what_knows_none() {
    let mut tunnel = tunnel(Tunnel::Gre, OuterDf::Set, false, 1_476);
    for (inside, outcome) in [(0, None), (1, Some(3)), (2, Some(3)), (3, Some(3))] {
        let mut inner = segment(false, 100);
        inner.ip.traffic_class = inside;
        let mut outer = tunnel.enter(Instant::ZERO, inner).unwrap().remove(0);
        assert_eq!(outer.ip.traffic_class, inside);
        outer.ip.traffic_class |= 3;
        let arrived = tunnel.leave(Instant::ZERO, outer);
        assert_eq!(arrived.map(|packet| packet.ip.traffic_class), outcome, "{inside}");
    }
}

#[test]
fn what_ipv6_may_always_send_is_cut_outside_rather_than_refused() {
    let mut sit = tunnel(Tunnel::Sit, OuterDf::Set, true, 1_480);
    let outer = sit.enter(Instant::ZERO, segment(true, 1_400)).unwrap().remove(0);
    let from = "fd00::9".parse().unwrap();
    let told = sit.on_too_big(Instant::ZERO, &too_big(&outer, 1_200), from).unwrap().unwrap();
    assert_eq!(told.transport, Transport::Icmp(IcmpMessage::PacketTooBig { mtu: 1_280 }));
    assert_eq!(sit.enter(Instant::ZERO, segment(true, 1_281)).unwrap_err().mtu, 1_280);
    let pieces = sit.enter(Instant::ZERO, segment(true, 1_280)).unwrap();
    assert_eq!(pieces.iter().map(Packet::len).collect::<Vec<_>>(), [1_196, 124]);
}

#[test]
fn datagrams_and_what_nobody_can_read_pass_as_they_are() {
    let mut tunnel = tunnel(Tunnel::Esp, OuterDf::Inherit, false, 1_446);
    let addresses: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    let header = UdpHeader { source_port: 1, destination_port: 2 };
    let datagram = Packet::udp(addresses[0], addresses[1], header, Bytes::from(vec![9; 33]));
    let outer = tunnel.enter(Instant::ZERO, datagram.clone()).unwrap().remove(0);
    assert_eq!(tunnel.leave(Instant::ZERO, outer), Some(datagram));
    let mut strange = segment(false, 300);
    strange.ip.protocol = Protocol::Tcp;
    strange.transport = Transport::Opaque;
    let outer = tunnel.enter(Instant::ZERO, strange.clone()).unwrap().remove(0);
    assert_eq!(tunnel.leave(Instant::ZERO, outer), Some(strange), "no TCP header, but a length that fits");
}
