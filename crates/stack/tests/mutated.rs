//! A path that does to an honest connection's packets whatever a path may do, and much that none does: does each byte arrive, and does the
//! connection end? Segments lost, doubled, late, cut in two or into fragments, with options removed or turned round, old
//! acknowledgments, smaller windows, other timestamps, offload sizes that are lies, and ICMP errors about them.

mod pair;

use narrows_stack::icmp::error_about;
use narrows_stack::ip::fragment::{At, cut};
use narrows_stack::knob::{CongestionControl, EcnMode};
use narrows_stack::{Knobs, SendFlags};
use narrows_wire::{IcmpMessage, Packet, SackBlocks, TcpFlags, TcpHeader, Transport};
use pair::*;
use proptest::prelude::*;
use std::time::Duration;

/// A path that mutates so many of 256 packets.
struct Path {
    random: u64,
    mutates: u64,
    /// Identifications of what is cut here.
    cut: u32,
}

impl Path {
    fn below(&mut self, bound: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound.max(1)
    }

    fn carry(&mut self, from: usize, packet: Packet) -> Vec<(Duration, usize, Packet)> {
        let to = 1 - from;
        if self.below(256) >= self.mutates {
            return vec![(ms(10), to, packet)];
        }
        match self.below(10) {
            0 => Vec::new(),
            1 => vec![(ms(10), to, packet.clone()), (ms(10 + self.below(300)), to, packet)],
            2 => vec![(ms(10 + self.below(60)), to, packet)],
            3 => self.halves(packet).into_iter().map(|half| (ms(10 + self.below(4)), to, half)).collect(),
            4 => {
                self.fragments(packet).into_iter().map(|piece| (ms(10 + self.below(4)), to, piece)).collect()
            }
            5 => {
                let error = self.error(&packet);
                vec![(ms(10), to, packet), (ms(self.below(30)), from, error)]
            }
            6 => {
                let mut packet = packet;
                packet.offload.segment_bytes = Some([0, 1, 7, 536, 1_448, u16::MAX][self.below(6) as usize]);
                vec![(ms(10), to, packet)]
            }
            _ => vec![(ms(10), to, self.with_other_header(packet))],
        }
    }

    /// The same bytes in two segments, perhaps overlapping.
    fn halves(&mut self, packet: Packet) -> Vec<Packet> {
        let (bytes, header) = (packet.payload.len(), tcp(&packet).clone());
        if bytes < 2 || header.flags.contains(TcpFlags::SYN) {
            return vec![packet];
        }
        let at = 1 + self.below(bytes as u64 - 1) as usize;
        let overlap = self.below(at as u64 + 1).min(self.below(20)) as usize;
        let mut first = packet.clone();
        first.payload = packet.payload.slice(..at);
        first.transport = Transport::Tcp(TcpHeader {
            flags: TcpFlags(header.flags.0 & !TcpFlags::FIN.0),
            ..header.clone()
        });
        let mut second = packet;
        second.payload = second.payload.slice(at - overlap..);
        second.transport = Transport::Tcp(TcpHeader { seq: header.seq + (at - overlap) as u32, ..header });
        vec![first, second]
    }

    fn fragments(&mut self, mut packet: Packet) -> Vec<Packet> {
        self.cut += 1;
        packet.ip.fragment.identification = self.cut;
        packet.ip.fragment.dont_fragment = false;
        cut(&packet, 100 + self.below(1_000) as u32, At::Sender).unwrap_or_else(|_| vec![packet])
    }

    /// An error about a segment with data, from a router; of "too big" not a real one, as the packet goes on.
    fn error(&mut self, packet: &Packet) -> Packet {
        let router =
            if packet.ip.source.is_ipv4() { [10, 0, 0, 254].into() } else { ROUTER.parse().unwrap() };
        let opens = tcp(packet).flags.contains(TcpFlags::SYN);
        let message = match self.below(if opens { 1 } else { 4 }) {
            0 => IcmpMessage::Other { kind: 200, code: 1, rest: [1; 4] },
            1 => IcmpMessage::PacketTooBig { mtu: [0, 68, 552, 1_280, 1_400, 9_000][self.below(6) as usize] },
            2 => IcmpMessage::Unreachable { code: self.below(6) as u8 },
            _ => IcmpMessage::TimeExceeded { code: self.below(2) as u8 },
        };
        error_about(packet, message, router)
    }

    /// What a middlebox, or a copy from earlier, might say instead.
    fn with_other_header(&mut self, mut packet: Packet) -> Packet {
        let how = self.below(7);
        let back = self.below(3_000) as u32;
        let Transport::Tcp(header) = &mut packet.transport else { return packet };
        let opens = header.flags.contains(TcpFlags::SYN);
        let options = &mut header.options;
        match how {
            0 if !opens => options.sack = SackBlocks::default(),
            1 => {
                let mut turned = SackBlocks::default();
                options.sack.as_slice().iter().rev().for_each(|(left, right)| {
                    turned.push(*left, *right);
                });
                options.sack = turned;
            }
            // A duplicate that nobody has sent (RFC 2883).
            2 if !opens => {
                let mut sack = SackBlocks::default();
                sack.push(header.ack - back, header.ack - back / 2);
                options.sack.as_slice().iter().take(3).for_each(|(left, right)| {
                    sack.push(*left, *right);
                });
                options.sack = sack;
            }
            3 if !opens => header.ack = header.ack - back,
            4 if !opens => header.window = (u32::from(header.window) * back / 3_000) as u16,
            5 => {
                if let Some(timestamps) = &mut options.timestamps {
                    timestamps.value = timestamps.value.wrapping_sub(back / 100);
                    timestamps.echo = timestamps.echo.wrapping_sub(back / 10);
                }
            }
            _ => {
                let harmless = TcpFlags::PSH.0 | if opens { 0 } else { TcpFlags::ECE.0 | TcpFlags::CWR.0 };
                header.flags = TcpFlags(header.flags.0 ^ harmless & back as u8);
            }
        }
        packet
    }
}

const ROUTER: &str = "fd00::fe";
/// A patient peer resends for a quarter of an hour; nothing here needs half of it.
const LIMIT: Duration = Duration::from_secs(400);

fn pattern(from: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| ((at + from).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Both ends write, close, and read all of it; every line that was on the link.
fn talk(ipv6: bool, offload: bool, knobs: &[Knobs; 2], path: Path, bytes: [usize; 2]) -> Vec<String> {
    let mut pair = Pair::with(ipv6, ms(10), 1_500, offload, path.random | 1);
    let mut path = path;
    pair.tamper = Some(Box::new(move |from, packet| path.carry(from, packet)));
    let listener = pair.listen(knobs[SERVER].clone());
    let mut sockets = [Some(pair.open(knobs[CLIENT].clone())), None];
    let (mut written, mut read, mut closed) = ([0; 2], [Vec::new(), Vec::new()], [false; 2]);
    let mut connected = false;
    while pair.now.as_secs_f64() < LIMIT.as_secs_f64() {
        pair.run(ms(7));
        connected |=
            pair.events[CLIENT].iter().any(|event| matches!(event, narrows_stack::Event::Connected(_)));
        sockets[SERVER] = sockets[SERVER].or_else(|| pair.hosts[SERVER].tcp_accept(listener));
        for side in [CLIENT, SERVER] {
            let Some(socket) = sockets[side].filter(|_| connected || side == SERVER) else { continue };
            let data = pattern(written[side], 3_000.min(bytes[side] - written[side]));
            if let Ok(taken) = pair.hosts[side].tcp_send(pair.now, socket, data.into(), SendFlags::default())
            {
                written[side] += taken;
            }
            if written[side] == bytes[side] && !closed[side] {
                closed[side] = pair.hosts[side].tcp_shutdown(pair.now, socket).is_ok();
            }
            read[side].extend(pair.read(side, socket));
        }
        pair.flush();
        let ended = |side: usize| {
            sockets[side].is_some_and(|socket| {
                pair.hosts[side].tcp_status(socket).is_ok_and(|status| status.end_of_stream)
            })
        };
        if ended(CLIENT) && ended(SERVER) {
            break;
        }
    }
    for side in [CLIENT, SERVER] {
        assert!(
            read[side] == pattern(0, bytes[1 - side]),
            "{} of {} bytes",
            read[side].len(),
            bytes[1 - side]
        );
        assert!(pair.hosts[side].memory_bytes() < 2_000_000);
    }
    pair.log.iter().map(|seen| format!("{:?} {} {:?}", seen.at, seen.from, seen.packet)).collect()
}

fn cases() -> u32 {
    std::env::var("MUTATED_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn an_honest_connection_survives_whatever_a_path_does(
        ipv6 in any::<bool>(),
        offload in any::<bool>(),
        random in any::<u64>(),
        mutates in 0..100u64,
        bytes in (0..150_000usize, 0..150_000usize),
        (sack, timestamps, ecn, hz) in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        congestion in prop_oneof![
            Just(CongestionControl::Cubic), Just(CongestionControl::Reno), Just(CongestionControl::Bbr)
        ],
        rcvbuf in prop_oneof![3 => Just(0u64), 1 => Just(4_000u64)],
    ) {
        let knobs = Knobs {
            sack,
            timestamps,
            ecn: if ecn { EcnMode::On } else { EcnMode::Off },
            hz: if hz { 250 } else { 0 },
            congestion_control: congestion,
            ..Knobs::default()
        };
        let knobs = [Knobs { rcvbuf, ..knobs.clone() }, knobs];
        let path = || Path { random, mutates, cut: 0x9_0000 };
        let first = talk(ipv6, offload, &knobs, path(), [bytes.0, bytes.1]);
        prop_assert!(first.len() < 20_000, "{} packets", first.len());
        if random % 8 == 0 {
            prop_assert!(first == talk(ipv6, offload, &knobs, path(), [bytes.0, bytes.1]), "not the same again");
        }
    }
}
