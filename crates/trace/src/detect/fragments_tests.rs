use super::*;
use crate::TunnelKind;
use crate::tcp::sizes::Full;

#[test]
fn losses_of_fragments_multiply() {
    let side = DatagramSide {
        datagrams: 78,
        fragmented: 78,
        incomplete: 22,
        packets: 576,
        fragments: 576,
        missing_fragments: 24,
        largest_packet: 1500,
        most_pieces: 6,
        ..DatagramSide::default()
    };
    let found = of_datagrams(Side::Client, &side, &[7, 13], None, false).unwrap();
    assert_eq!((found.cause, found.count), (Cause::IpFragmentation, 100));
    assert!(
        found.why.contains("(4.0 %), and 22 datagrams with them (22.0 %; 1-(1-p)^n for 6.0"),
        "{}",
        found.why
    );
    assert!(
        found.why.contains("fragments: 21.7 %): datagrams of 1472 bytes would lose 4.0 %"),
        "{}",
        found.why
    );
}

#[test]
fn few_fragments_among_many_datagrams_are_not_worth_a_word() {
    let side = DatagramSide { datagrams: 1000, fragmented: 5, most_pieces: 2, ..DatagramSide::default() };
    assert!(of_datagrams(Side::Client, &side, &[], None, false).is_none());
    assert!(of_connection(Side::Client, &Sent::default(), None, 1).is_none());
}

#[test]
fn an_mss_too_large_for_the_tunnel_is_told_with_what_would_fit() {
    let sent = Sent {
        fragmented_outside: 50,
        pieces: 2,
        largest_outside: 1500,
        full: Full { most: 1448, least: 1448, packet: 1500, count: 50, first: 4 },
        ..Sent::default()
    };
    let outer = Outer { kind: TunnelKind::Vxlan, overhead: 50, pieces: 2, largest_piece: 1500 };
    let found = of_connection(Side::Server, &sent, Some(&outer), 1).unwrap();
    assert_eq!((found.cause, found.side), (Cause::OuterFragmentation, Side::Server));
    assert_eq!(found.path_mtu, Some(PathMtu { least: 1450, most: 1450 }));
    assert!(found.why.ends_with("a payload of 1398 bytes in a segment would fit"), "{}", found.why);
}

#[test]
fn fragments_of_a_tunnel_that_is_encrypted_tell_the_mtu_inside() {
    let side = DatagramSide {
        datagrams: 352,
        fragmented: 207,
        fragments: 414,
        packets: 559,
        largest_packet: 1500,
        most_pieces: 2,
        ..DatagramSide::default()
    };
    for (ipv6, inside) in [(false, 1440), (true, 1420)] {
        let found = of_datagrams(Side::Server, &side, &[10], Some(TunnelKind::WireGuard), ipv6).unwrap();
        assert_eq!((found.cause, found.count), (Cause::OuterFragmentation, 207));
        assert_eq!(found.path_mtu, Some(PathMtu { least: inside, most: inside }));
    }
    let esp = of_datagrams(Side::Server, &side, &[10], Some(TunnelKind::Esp), false).unwrap();
    assert_eq!(esp.cause, Cause::IpFragmentation, "what ESP puts around hangs on its ciphers");
}
