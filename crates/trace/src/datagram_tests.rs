use super::*;
use narrows_wire::{Fragment, IpHeader, OptionOrder, Transport, UdpHeader};

fn headers(from: u8, payload_bytes: u32) -> Headers {
    let (source, destination) = ([10, 0, 0, from], [10, 0, 0, 3 - from]);
    let ports = if from == 1 { (40_000, 53) } else { (53, 40_000) };
    Headers {
        ip: IpHeader {
            source: source.into(),
            destination: destination.into(),
            protocol: Protocol::Udp,
            hop_limit: 64,
            traffic_class: 0,
            fragment: Fragment::default(),
        },
        transport: Transport::Udp(UdpHeader { source_port: ports.0, destination_port: ports.1 }),
        packet_bytes: payload_bytes + 28,
        payload_offset: 28,
        payload_bytes,
        payload_captured: 0,
        length_missing: false,
        options_cut: false,
        options_damaged: false,
        option_order: OptionOrder::default(),
    }
}

fn at(milliseconds: u64) -> Instant {
    Instant::from_nanos(milliseconds * 1_000_000)
}

fn lost(ports: Option<(u16, u16)>, pieces: u16, of: Option<u16>) -> Incomplete {
    Incomplete {
        source: [10, 0, 0, 1].into(),
        destination: [10, 0, 0, 2].into(),
        protocol: Protocol::Udp,
        ports,
        pieces,
        of,
        number: 9,
        began: at(5),
        overlapping: false,
    }
}

#[test]
fn a_flow_has_both_directions_and_what_was_lost() {
    let mut datagrams = Datagrams::default();
    for (number, from, pieces) in [(1, 1, 1), (2, 2, 1), (8, 1, 6), (14, 1, 6), (20, 1, 6)] {
        let headers = headers(from, 8000);
        let datagram = Datagram { number, time: at(number), headers: &headers, pieces, tunnel: None };
        datagrams.take(&datagram);
    }
    datagrams.fragment([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 1500);
    datagrams.incomplete(&lost(Some((40_000, 53)), 5, Some(6)));
    // Without the first fragment, only the hosts are known; without the last, it is taken to have as many as others.
    datagrams.incomplete(&lost(None, 4, None));
    let flows = datagrams.finish();
    assert_eq!(flows.len(), 1);
    let [client, server] = &flows[0].sides;
    assert_eq!((flows[0].client.port(), flows[0].duration), (40_000, Duration::from_millis(19)));
    assert_eq!((client.datagrams, client.fragmented, client.incomplete), (4, 3, 2));
    assert_eq!((client.fragments, client.missing_fragments, client.packets), (27, 3, 28));
    assert_eq!((server.datagrams, server.packets, server.largest_packet), (1, 1, 8028));
    assert_eq!(flows[0].findings.len(), 1);
}

#[test]
fn a_datagram_that_is_lost_first_begins_its_flow() {
    let mut datagrams = Datagrams::default();
    datagrams.incomplete(&lost(Some((40_000, 53)), 5, Some(6)));
    datagrams.incomplete(&Incomplete { protocol: Protocol::Icmp, ..lost(None, 1, None) });
    assert_eq!(datagrams.finish()[0].sides[0].incomplete, 1);
}
