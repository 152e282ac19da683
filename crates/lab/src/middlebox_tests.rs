use super::*;
use bytes::Bytes;
use narrows_wire::{Seq, TcpHeader, TcpOptions, Timestamps};

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn segment(from: u8, to: u8, ports: (u16, u16), flags: TcpFlags, payload: &'static [u8]) -> Packet {
    let mut options = TcpOptions {
        mss: Some(1_460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 1, echo: 2 }),
        ..TcpOptions::default()
    };
    options.sack.push(Seq(1), Seq(2));
    let header = TcpHeader {
        source_port: ports.0,
        destination_port: ports.1,
        seq: Seq(0),
        ack: Seq(0),
        flags,
        window: 1_000,
        urgent: 0,
        options,
    };
    Packet::tcp(address(from), address(to), header, Bytes::from_static(payload))
}

fn options(packet: &Packet) -> &TcpOptions {
    match &packet.transport {
        Transport::Tcp(tcp) => &tcp.options,
        other => panic!("not TCP: {other:?}"),
    }
}

#[test]
fn the_mss_of_a_syn_is_lowered_and_never_raised() {
    let clamped = |clamp, mtu, flags| {
        let spec = MiddleboxSpec { clamp_mss: Some(clamp), ..MiddleboxSpec::default() };
        let mut packet = segment(1, 2, (5, 6), flags, b"");
        assert!(Middlebox::new(&spec, None).leave(&mut packet, false, mtu));
        options(&packet).mss
    };
    assert_eq!(clamped(ClampMss::Bytes(1_200), 1_500, TcpFlags::SYN), Some(1_200));
    assert_eq!(clamped(ClampMss::Bytes(9_000), 1_500, TcpFlags::SYN), Some(1_460));
    assert_eq!(clamped(ClampMss::Path, 1_400, TcpFlags::SYN | TcpFlags::ACK), Some(1_360));
    assert_eq!(clamped(ClampMss::Path, 1_400, TcpFlags::ACK), Some(1_460), "only SYNs have one");
}

#[test]
fn options_are_taken_out_one_by_one() {
    for option in StripOption::ALL {
        let spec = MiddleboxSpec { strip: vec![option], ..MiddleboxSpec::default() };
        let mut packet = segment(1, 2, (5, 6), TcpFlags::SYN, b"");
        assert!(Middlebox::new(&spec, None).enter(&mut packet, false));
        let left = options(&packet);
        assert_eq!(left.mss.is_none(), option == StripOption::Mss);
        assert_eq!(left.window_scale.is_none(), option == StripOption::WindowScale);
        assert_eq!(!left.sack_permitted && left.sack.is_empty(), option == StripOption::Sack);
        assert_eq!(left.timestamps.is_none(), option == StripOption::Timestamps);
    }
}

#[test]
fn a_syn_with_data_is_dropped_where_that_is_asked_for() {
    for drop_syn_data in [false, true] {
        let spec = MiddleboxSpec { drop_syn_data, ..MiddleboxSpec::default() };
        let mut middlebox = Middlebox::new(&spec, None);
        let mut pass = |flags, payload| middlebox.enter(&mut segment(1, 2, (5, 6), flags, payload), false);
        assert_eq!(pass(TcpFlags::SYN, b"data"), !drop_syn_data);
        assert!(pass(TcpFlags::SYN, b"") && pass(TcpFlags::ACK, b"data"));
    }
}

#[test]
fn addresses_are_translated_out_and_back_in() {
    let mut middlebox = Middlebox::new(&MiddleboxSpec::default(), Some((address(9), 4)));
    let mut out = |from, port| {
        let mut packet = segment(from, 2, (port, 80), TcpFlags::SYN, b"");
        assert!(middlebox.enter(&mut packet, false) && middlebox.leave(&mut packet, true, 1_500));
        assert_eq!(packet.ip.source, address(9));
        packet.transport.ports().map(|(source, _)| source)
    };
    let first = out(1, 5_000);
    assert_eq!(out(1, 5_000), first, "the same inside is the same outside");
    let other = out(3, 5_000);
    assert_ne!(other, first);
    let mut back = |port: Option<u16>| {
        let mut packet = segment(2, 9, (80, port.unwrap_or(0)), TcpFlags::ACK, b"");
        middlebox.enter(&mut packet, true).then_some((packet.ip.destination, packet.transport.ports()))
    };
    assert_eq!(back(first), Some((address(1), Some((80, 5_000)))));
    assert_eq!(back(other), Some((address(3), Some((80, 5_000)))));
    assert_eq!(back(Some(1_000)), None, "nobody inside is meant");
    assert_eq!(back(Some(60_000)), None);
}
