//! Whatever arrives, a host neither panics nor stops, and the same arrivals have the same consequences.

mod pair;

use bytes::Bytes;
use narrows_stack::{InterfaceId, Knobs, SocketId};
use narrows_wire::{
    IcmpMessage, Packet, SackBlocks, Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps, Transport, UdpHeader,
};
use pair::*;
use proptest::prelude::*;

/// A segment near what the connection expects.
#[derive(Clone, Debug)]
struct Forgery {
    to: usize,
    seq: i64,
    ack: i64,
    flags: u8,
    window: u16,
    payload: usize,
    timestamp: Option<(i32, i32)>,
    sack: Vec<(i32, i32)>,
    mss: Option<u16>,
    wait_ms: u64,
    segment_bytes: Option<u16>,
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0i64), 4 => -3i64..4, 2 => -3000i64..3000, 1 => any::<i32>().prop_map(i64::from)]
}

fn forgery() -> impl Strategy<Value = Forgery> {
    let numbers = (0usize..2, offset(), offset(), any::<u8>(), prop_oneof![Just(0u16), any::<u16>()]);
    let rest = (
        prop_oneof![Just(0usize), 0usize..3000, 0usize..100_000],
        proptest::option::of((-100i32..100, -100i32..100)),
        proptest::collection::vec((-5000i32..5000, -5000i32..5000), 0..5),
        proptest::option::of(any::<u16>()),
        0u64..400,
        proptest::option::of(any::<u16>()),
    );
    (numbers, rest).prop_map(
        |((to, seq, ack, flags, window), (payload, timestamp, sack, mss, wait_ms, segment_bytes))| Forgery {
            to,
            seq,
            ack,
            flags,
            window,
            payload,
            timestamp,
            sack,
            mss,
            wait_ms,
            segment_bytes,
        },
    )
}

/// Where each side stands, from the last segment that it has sent.
fn last_sent(pair: &Pair, side: usize) -> Option<TcpHeader> {
    pair.log.iter().rev().find(|seen| seen.from == side).map(|seen| seen.tcp().clone())
}

fn forge(pair: &Pair, forgery: &Forgery) -> Option<Packet> {
    let from = 1 - forgery.to;
    let model = last_sent(pair, from)?;
    let mut sack = SackBlocks::default();
    for (left, right) in &forgery.sack {
        sack.push(Seq(model.ack.0.wrapping_add(*left as u32)), Seq(model.ack.0.wrapping_add(*right as u32)));
    }
    let timestamps = forgery.timestamp.map(|(value, echo)| {
        let known = model.options.timestamps.unwrap_or(Timestamps { value: 0, echo: 0 });
        Timestamps {
            value: known.value.wrapping_add(value as u32),
            echo: known.echo.wrapping_add(echo as u32),
        }
    });
    let header = TcpHeader {
        seq: Seq(model.seq.0.wrapping_add(forgery.seq as u32)),
        ack: Seq(model.ack.0.wrapping_add(forgery.ack as u32)),
        flags: TcpFlags(forgery.flags),
        window: forgery.window,
        urgent: 9,
        options: TcpOptions { mss: forgery.mss, sack, timestamps, ..TcpOptions::default() },
        ..model
    };
    let payload = Bytes::from(vec![0xee; forgery.payload]);
    let mut packet = Packet::tcp(pair.addresses[from], pair.addresses[forgery.to], header, payload);
    packet.offload.segment_bytes = forgery.segment_bytes;
    Some(packet)
}

fn attack(ipv6: bool, ours: Knobs, forgeries: &[Forgery]) -> Vec<String> {
    let mut pair = Pair::new(ipv6, ms(10));
    let listener = pair.listen(ours.clone());
    let client = pair.open(ours);
    let mut sockets: [Option<SocketId>; 2] = [Some(client), None];
    for (round, forgery) in forgeries.iter().enumerate() {
        if let Some(packet) = forge(&pair, forgery) {
            pair.inject(forgery.to, packet);
        }
        pair.run(ms(forgery.wait_ms));
        if sockets[SERVER].is_none() {
            sockets[SERVER] = pair.hosts[SERVER].tcp_accept(listener);
        }
        for side in [CLIENT, SERVER] {
            let Some(socket) = sockets[side] else { continue };
            let data = Bytes::from(vec![1; 700 * (round % 4)]);
            let _ = pair.hosts[side].tcp_send(pair.now, socket, data, Default::default());
            if round % 3 == 0 {
                while pair.hosts[side].tcp_recv(pair.now, socket, 900).is_ok_and(|data| !data.is_empty()) {}
            }
            if round == 20 {
                let _ = pair.hosts[side].tcp_shutdown(pair.now, socket);
            }
        }
        pair.flush();
    }
    pair.run(ms(2_000));
    pair.lines()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn forged_segments_neither_panic_nor_loop(
        ipv6 in any::<bool>(),
        timestamps in any::<bool>(),
        sack in any::<bool>(),
        rcvbuf in prop_oneof![Just(0u64), Just(2_000)],
        forgeries in proptest::collection::vec(forgery(), 1..40),
    ) {
        let ours = Knobs { timestamps, sack, rcvbuf, ..Knobs::default() };
        let first = attack(ipv6, ours.clone(), &forgeries);
        // Each forgery may be answered, and each answer once more; two hosts must not answer each other without end.
        prop_assert!(first.len() < 4_000, "{} packets", first.len());
        prop_assert_eq!(first, attack(ipv6, ours, &forgeries));
    }
}

#[test]
fn what_is_neither_tcp_nor_icmp_is_counted_and_dropped() {
    let mut pair = Pair::new(false, ms(1));
    let [from, to] = pair.addresses;
    let udp = UdpHeader { source_port: 1, destination_port: 2 };
    pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), Packet::udp(from, to, udp, Bytes::new()));
    assert_eq!(pair.hosts[SERVER].counters().get(narrows_stack::Counter::NotForUs), 1);
    assert!(pair.hosts[SERVER].poll_transmit(pair.now).is_none());
}

#[test]
fn a_ping_is_answered_with_what_it_carried_and_one_for_somebody_else_is_not() {
    let mut pair = Pair::new(false, ms(1));
    let [from, to] = pair.addresses;
    let ping = IcmpMessage::EchoRequest { identifier: 1, sequence: 7 };
    let body = Bytes::from_static(b"as it came");
    let packet = Packet::icmp(from, to, ping, body.clone());
    pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), packet.clone());
    let answer = pair.hosts[SERVER].poll_transmit(pair.now).unwrap().packet;
    assert_eq!((answer.ip.source, answer.ip.destination, &answer.payload), (to, from, &body));
    let reply = IcmpMessage::EchoReply { identifier: 1, sequence: 7 };
    assert_eq!(answer.transport, Transport::Icmp(reply));
    pair.hosts[CLIENT].handle_packet(pair.now, InterfaceId(0), packet);
    assert!(pair.hosts[CLIENT].poll_transmit(pair.now).is_none());
}
