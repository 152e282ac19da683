//! Whatever arrives, a host neither panics nor stops, and the same arrivals have the same consequences. An honest connection into
//! which an outsider lies goes on, and delivers exactly what was written.

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
fn a_protocol_that_the_host_does_not_speak_is_counted_and_dropped() {
    let mut pair = Pair::new(false, ms(1));
    let [from, to] = pair.addresses;
    let udp = UdpHeader { source_port: 1, destination_port: 2 };
    let mut packet = Packet::udp(from, to, udp, Bytes::new());
    packet.ip.protocol = narrows_wire::Protocol::Other(132);
    packet.transport = Transport::Opaque;
    pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), packet);
    assert_eq!(pair.hosts[SERVER].counters().get(narrows_stack::Counter::NotForUs), 1);
    assert!(pair.hosts[SERVER].poll_transmit(pair.now).is_none());
}

#[test]
fn a_datagram_that_nobody_waits_for_is_answered_with_port_unreachable() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(1));
        let [from, to] = pair.addresses;
        let udp = UdpHeader { source_port: 1, destination_port: 2 };
        pair.hosts[SERVER].handle_packet(pair.now, InterfaceId(0), Packet::udp(from, to, udp, Bytes::new()));
        let answer = pair.hosts[SERVER].poll_transmit(pair.now).unwrap().packet;
        let code = if ipv6 { 4 } else { 3 };
        assert_eq!(answer.transport, Transport::Icmp(IcmpMessage::Unreachable { code }));
        assert_eq!((answer.ip.source, answer.ip.destination), (to, from));
    });
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

/// What somebody may send into a connection who is not one of its ends. All of it is refused or harmless: what only an end can know
/// (the exact number of a RST or FIN, an acknowledgment that could be true, data with such an acknowledgment) is not among it.
#[derive(Clone, Debug)]
enum Lie {
    /// A segment that was sent before, again.
    Replay { back: usize },
    /// A part of one.
    Part { back: usize, from: usize, length: usize },
    /// RST beside the exact number.
    Reset { off: i32 },
    /// SYN anywhere.
    Syn { off: i32, acknowledges: bool, scale: u8 },
    /// Other data for bytes in the window, with an acknowledgment of what was never sent.
    Data { off: i32, length: usize, ack: u32, fin: bool, timestamp: u32 },
    /// The latest ACK with another window.
    Window { value: u16 },
    /// The latest ACK with blocks of its own.
    Sack { blocks: Vec<(u16, u16)> },
    /// A segment before the window.
    KeepAlive { bytes: usize },
    /// Flags without ACK.
    Nonsense { flags: u8, off: i32, length: usize },
}

fn lie() -> impl Strategy<Value = Lie> {
    let near = || prop_oneof![4 => -3000i32..3000, 1 => any::<i32>()];
    prop_oneof![
        (0usize..40).prop_map(|back| Lie::Replay { back }),
        (0usize..20, 0usize..1500, 1usize..1500).prop_map(|(back, from, length)| Lie::Part {
            back,
            from,
            length
        }),
        near().prop_map(|off| Lie::Reset { off }),
        (near(), any::<bool>(), any::<u8>()).prop_map(|(off, acknowledges, scale)| Lie::Syn {
            off,
            acknowledges,
            scale
        }),
        (near(), 0usize..2000, 1u32..1 << 30, any::<bool>(), any::<u32>())
            .prop_map(|(off, length, ack, fin, timestamp)| Lie::Data { off, length, ack, fin, timestamp }),
        prop_oneof![Just(0u16), any::<u16>()].prop_map(|value| Lie::Window { value }),
        proptest::collection::vec((any::<u16>(), any::<u16>()), 1..4).prop_map(|blocks| Lie::Sack { blocks }),
        (0usize..2).prop_map(|bytes| Lie::KeepAlive { bytes }),
        (any::<u8>(), near(), 0usize..100).prop_map(|(flags, off, length)| Lie::Nonsense {
            flags,
            off,
            length
        }),
    ]
}

/// The packet that a lie is, sent towards `to`.
fn told(pair: &Pair, to: usize, lie: &Lie) -> Option<Packet> {
    let sent: Vec<&Seen> = pair.log.iter().filter(|seen| seen.from != to).collect();
    let latest = sent.last()?;
    let mut header = latest.tcp().clone();
    // Where the peer's next byte would be.
    let next = header.seq
        + latest.packet.payload.len() as u32
        + u32::from(header.flags.contains(TcpFlags::SYN))
        + u32::from(header.flags.contains(TcpFlags::FIN));
    let mut payload = Bytes::new();
    let beyond = |off: i32| Seq(next.0.wrapping_add(off as u32));
    match lie {
        Lie::Replay { back } => {
            let packet = &sent[sent.len().checked_sub(back + 1)?].packet;
            // A RST, once true, is true for ever.
            return (!tcp(packet).flags.contains(TcpFlags::RST)).then(|| packet.clone());
        }
        Lie::Part { back, from, length } => {
            let seen = sent[sent.len().checked_sub(back + 1)?];
            let whole = &seen.packet.payload;
            if *from >= whole.len() || seen.tcp().flags.intersects(TcpFlags::SYN | TcpFlags::RST) {
                return None;
            }
            header = seen.tcp().clone();
            header.flags = TcpFlags::ACK;
            header.seq += *from as u32;
            payload = whole.slice(*from..(from + length).min(whole.len()));
        }
        Lie::Reset { off } => {
            // The window is at most so wide; a guess within it hits the exact number, or the edge of what was SACKed, once in a while.
            if off.unsigned_abs() < 1_000_000 && *off % 7 == 0 {
                return None;
            }
            header.flags = TcpFlags::RST;
            header.seq = if *off > 0 { beyond(*off) + 10_000_000 } else { beyond(*off) - 10_000_000 };
        }
        Lie::Syn { off, acknowledges, scale } => {
            if header.flags.contains(TcpFlags::SYN) {
                return None;
            }
            header.flags = if *acknowledges { TcpFlags::SYN | TcpFlags::ACK } else { TcpFlags::SYN };
            header.seq = beyond(*off);
            header.options.window_scale = Some(*scale);
        }
        Lie::Data { off, length, ack, fin, timestamp } => {
            header.flags = if *fin { TcpFlags::ACK | TcpFlags::FIN } else { TcpFlags::ACK };
            header.seq = beyond(*off);
            header.ack += 10_000_000 + ack;
            header.options.timestamps =
                header.options.timestamps.map(|t| Timestamps { value: *timestamp, ..t });
            payload = Bytes::from(vec![0xee; *length]);
        }
        Lie::Window { value } => {
            header.flags = TcpFlags::ACK;
            header.seq = next;
            header.window = *value;
        }
        Lie::Sack { blocks } => {
            header.flags = TcpFlags::ACK;
            header.seq = next;
            header.options.sack = SackBlocks::default();
            for (left, right) in blocks {
                header.options.sack.push(header.ack + u32::from(*left), header.ack + u32::from(*right));
            }
        }
        Lie::KeepAlive { bytes } => {
            // Before what the receiver has acknowledged, so that a byte in it is no news.
            let taken = pair.log.iter().rev().find(|seen| seen.from == to)?.tcp().ack;
            header.flags = TcpFlags::ACK;
            header.seq = taken - 1;
            payload = Bytes::from(vec![0; *bytes]);
        }
        Lie::Nonsense { flags, off, length } => {
            header.flags = TcpFlags(flags & !(TcpFlags::ACK | TcpFlags::RST | TcpFlags::SYN).0);
            header.seq = beyond(*off);
            payload = Bytes::from(vec![0xee; *length]);
        }
    }
    Some(Packet::tcp(pair.addresses[1 - to], pair.addresses[to], header, payload))
}

/// Two honest programs say `amounts` bytes to each other on a bad link, and somebody lies in between.
fn among_liars(
    ipv6: bool,
    knobs: Knobs,
    amounts: [usize; 2],
    seed: u64,
    lies: &[(usize, Lie, u64)],
) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(ipv6, ms(10));
    let sockets = pair.connect(knobs.clone(), knobs);
    let mut random = seed;
    pair.rule = Some(Box::new(move |_, _| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match random >> 60 {
            0 => vec![],
            1 => vec![ms(10), ms(11)],
            2 => vec![ms(25)],
            _ => vec![ms(10)],
        }
    }));
    let text = |side: usize| -> Vec<u8> { (0..amounts[side]).map(|at| (at % 249 + side) as u8).collect() };
    let texts = [text(0), text(1)];
    let mut written = [0, 0];
    let mut got = [Vec::new(), Vec::new()];
    let mut lies = lies.iter();
    let mut closed = [false, false];
    for _ in 0..3_000 {
        if let Some((to, lie, wait)) = lies.next() {
            if let Some(packet) = told(&pair, *to, lie) {
                pair.inject(*to, packet);
            }
            pair.run(ms(*wait));
        } else {
            pair.run(ms(500));
        }
        for side in [CLIENT, SERVER] {
            let rest = Bytes::copy_from_slice(&texts[side][written[side]..]);
            if !rest.is_empty() {
                written[side] +=
                    pair.hosts[side].tcp_send(pair.now, sockets[side], rest, Default::default()).unwrap_or(0);
            } else if !closed[side] {
                closed[side] = pair.hosts[side].tcp_shutdown(pair.now, sockets[side]).is_ok();
            }
            let read = pair.read(side, sockets[side]);
            got[1 - side].extend(read);
            let bound = 3 * (amounts[0] + amounts[1]) as u64 + 300_000;
            prop_assert!(pair.hosts[side].memory_bytes() < bound);
        }
        if got[0].len() >= amounts[0] && got[1].len() >= amounts[1] {
            break;
        }
    }
    prop_assert!(
        got[0] == texts[0],
        "{} of {} bytes, wrong from {:?}",
        got[0].len(),
        amounts[0],
        got[0].iter().zip(&texts[0]).position(|(a, b)| a != b)
    );
    prop_assert!(got[1] == texts[1], "{} of {} bytes", got[1].len(), amounts[1]);
    let packets = (amounts[0] + amounts[1]) / 500 + 20 * lies.len() + 1_000;
    prop_assert!(pair.log.len() < packets * 4, "{} packets", pair.log.len());
    // The end is an end: nothing left that could wake a host.
    pair.run(std::time::Duration::from_secs(1_500));
    for side in [CLIENT, SERVER] {
        prop_assert_eq!(pair.hosts[side].poll_timeout(), None);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_honest_connection_among_liars_delivers_what_was_written(
        ipv6 in any::<bool>(),
        timestamps in any::<bool>(),
        sack in any::<bool>(),
        nodelay in any::<bool>(),
        rcvbuf in prop_oneof![2 => Just(0u64), 1 => Just(4_000)],
        amounts in [0usize..100_000, 0usize..3_000],
        seed in any::<u64>(),
        lies in proptest::collection::vec((0usize..2, lie(), 0u64..60), 0..60),
    ) {
        let ours = Knobs { timestamps, sack, nodelay, rcvbuf, ..knobs() };
        among_liars(ipv6, ours, amounts, seed, &lies)?;
    }
}
