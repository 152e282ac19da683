//! The peer sends in the most expensive way it can: what does the receiver keep, and does the stream stay true?
//! (RFC 9293 §3.10.7.4; Linux's accounting of what a segment really costs.)

mod raw;

use bytes::Bytes;
use narrows_stack::{Counter, InterfaceId, Knobs};
use narrows_wire::{Packet, TcpFlags, TcpOptions, Timestamps};
use proptest::prelude::*;
use raw::*;
use std::time::Duration;

/// The byte at a place of the peer's stream.
fn byte(at: u32) -> u8 {
    (at % 251) as u8
}

fn stream(from: u32, length: u32) -> Vec<u8> {
    (from..from + length).map(byte).collect()
}

/// A segment with the stream's bytes `[from, from + length)`; the handshake's end is 0.
fn piece(raw: &Raw, from: u32, length: u32) -> Packet {
    let mut header = raw.header(ACK, TcpOptions::default());
    header.seq += from;
    Packet::tcp(PEER, HOST, header, Bytes::from(stream(from, length)))
}

#[test]
fn single_bytes_out_of_order_take_no_more_memory_than_the_receive_buffer() {
    for rcvbuf in [0, 100_000] {
        let (mut raw, socket) = Raw::connected(Knobs { rcvbuf, ..knobs() }, usual());
        let before = raw.host.memory_bytes();
        // Every other byte of the whole window, newest first.
        for at in (1..60_000).rev().step_by(2) {
            let packet = piece(&raw, at, 1);
            raw.deliver(packet);
        }
        // One that grows makes room for what lies beyond a gap.
        let buffer = if rcvbuf == 0 { 2 * (60_000 + 30_000) } else { 2 * rcvbuf };
        let taken = raw.host.memory_bytes() - before;
        assert!(taken <= buffer + buffer / 8, "{taken} bytes with a buffer of {buffer}");
        let limits = [Counter::OutOfOrderRefused, Counter::OutOfOrderPruned];
        assert!(limits.iter().any(|limit| raw.host.counters().get(*limit) > 0) || rcvbuf == 0);
        // The honest way on: everything in order, and all of it is right.
        let mut got = Vec::new();
        for from in (0..60_000).step_by(1000) {
            let packet = piece(&raw, from, 1000);
            raw.deliver(packet);
            got.extend(raw.read(socket));
        }
        assert!(got == stream(0, 60_000));
        assert!(raw.host.memory_bytes() < before + 20_000);
    }
}

/// What costs is not the byte but the packet that it came in.
#[test]
fn single_bytes_in_order_that_nobody_reads_do_not_keep_their_packets() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let before = raw.host.memory_bytes();
    let packet_buffer = Bytes::from(vec![0u8; 65_536]);
    for at in 0..30_000u32 {
        let mut packet = piece(&raw, at, 1);
        packet.payload = packet_buffer.slice(at as usize..at as usize + 1);
        raw.host.handle_packet(raw.now, InterfaceId(0), packet);
        raw.drain();
    }
    assert!(raw.host.memory_bytes() < before + 40_000, "{}", raw.host.memory_bytes() - before);
    assert_eq!(raw.read(socket).len(), 30_000);
}

/// Pieces that overlap and disagree: what came first stays, and later copies change nothing (as Linux).
#[test]
fn of_two_versions_of_a_byte_the_first_is_kept() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let mut send = |from: u32, bytes: &[u8]| {
        let mut header = raw.header(ACK, TcpOptions::default());
        header.seq += from;
        raw.inject(header, bytes);
    };
    send(4, b"DDDD");
    send(2, b"ccccccccEE");
    send(6, b"xxxx");
    send(0, b"aaaa");
    send(0, b"zzzzzzzzzzzz");
    assert_eq!(raw.read(socket), b"aaaaDDDDccEE");
}

#[test]
fn a_large_segment_over_many_tiny_ones_is_taken_once() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    for at in (1..800).step_by(2) {
        let packet = piece(&raw, at, 1);
        raw.deliver(packet);
    }
    for _ in 0..2_000 {
        let packet = piece(&raw, 1, 799);
        raw.deliver(packet);
    }
    assert_eq!(raw.host.tcp_info(socket).unwrap().bytes_received, 0);
    let packet = piece(&raw, 0, 1);
    raw.deliver(packet);
    assert!(raw.read(socket) == stream(0, 800));
}

/// The window is a promise: what is beyond it is not kept, except for the rest of one segment when nothing is unread (as Linux).
#[test]
fn nothing_beyond_the_window_is_kept_while_something_is_unread() {
    let (mut raw, socket) = Raw::connected(Knobs { rcvbuf: 4_000, ..knobs() }, usual());
    let edge = raw.host.tcp_info(socket).unwrap().rcv_wnd;
    let mut packet = piece(&raw, 0, 1);
    raw.deliver(packet);
    for (from, length) in [(1, 60_000), (edge, 100), (10_000, 100), (1 << 20, 100), (1 << 30, 100)] {
        packet = piece(&raw, from, length);
        raw.deliver(packet);
    }
    assert!(raw.read(socket).len() as u32 <= edge);
    let edge = raw.host.tcp_info(socket).unwrap().rcv_wnd;
    packet = piece(&raw, edge + 100, 60_000);
    raw.deliver(packet);
    assert!(raw.read(socket).is_empty());
}

/// Every ACK stands for a segment of its own that asked for it, so nobody can be made to send more than was sent to him. The ACK of one
/// segment may have waited for others (compressed SACKs) and leave just before that of a later one, so two may leave together
/// (Linux's tcp_sack_new_ofo_skb does so before __tcp_ack_snd_check sends the other one); but all that wait share one ACK, so whatever
/// stretch of segments one looks at, they are answered at most once more often than there are segments.
#[test]
fn answers_are_never_more_than_questions() {
    const QUESTIONS: usize = 3_000;
    let mut together = 0;
    for seed in 1..=10 {
        let (mut raw, socket) = Raw::connected(knobs(), usual());
        let mut numbers = Numbers(seed);
        // Answers beyond one for each segment, in the stretch that ends here and has most of them.
        let (mut answers, mut beyond) = (0, 0);
        for n in 1..=QUESTIONS {
            let mut header = raw.header(ACK, TcpOptions::default());
            header.seq += numbers.next() as u32 % 70_000;
            header.flags = TcpFlags(numbers.next() as u8 | TcpFlags::ACK.0);
            if header.flags.contains(TcpFlags::RST) || header.flags.contains(TcpFlags::FIN) {
                header.flags = ACK;
            }
            let payload = vec![0; numbers.next() as usize % 50];
            let now = raw.inject(header, &payload);
            answers += now.len();
            beyond = beyond.max(0) + now.len() as i64 - 1;
            assert!(
                beyond <= 1 && answers <= n,
                "seed {seed}, segment {n}: {answers} answers, {beyond} beyond"
            );
            if let [waited, answer] = &now[..] {
                assert_ne!(waited.tcp().options.sack, answer.tcp().options.sack, "one ACK, sent twice");
                together += 1;
            }
        }
        // What still waits is one ACK.
        let late = raw.advance(Duration::from_secs(10)).len();
        assert!(late <= 1 && answers + late <= QUESTIONS, "seed {seed}: {late} after the last segment");
        assert_eq!(raw.state(socket), "ESTABLISHED");
    }
    assert!(together > 0, "two never left together: the bound could be one for each segment");
}

/// A large segment whose pieces are said to be of one byte each, or of none.
#[test]
fn offload_sizes_that_make_no_sense_are_survived() {
    for size in [0, 1, 7, u16::MAX] {
        let (mut raw, socket) = Raw::connected(knobs(), usual());
        for n in 0..20 {
            let mut packet = piece(&raw, n * 1000, 1000);
            packet.offload.segment_bytes = Some(size);
            raw.deliver(packet);
        }
        raw.advance(ms(500));
        assert!(raw.read(socket) == stream(0, 20_000), "{size}");
        let info = raw.host.tcp_info(socket).unwrap();
        assert!(info.rcv_mss >= 1 && info.state.name() == "ESTABLISHED");
    }
}

/// The peer's clock decides how long a round trip seems to the receiver: any number of bytes may be read in it.
#[test]
fn a_receiver_that_is_told_of_endless_round_trips_grows_its_buffer_to_its_limit_and_no_further() {
    let timestamps = Some(Timestamps { value: 1, echo: 0 });
    let (mut raw, socket) = Raw::connected(knobs(), TcpOptions { timestamps, ..usual() });
    let limit = knobs().system.receive_buffer.1;
    let mut got = 0u64;
    for n in 0..2_000u32 {
        raw.advance(ms(50));
        let old = raw.clock.map(|(_, echo)| echo.wrapping_sub(n * 1_000_000));
        if let (Some(clock), Some(old)) = (&mut raw.clock, old) {
            *clock = (clock.0 + 50, old);
        }
        for _ in 0..4 {
            raw.data(&[7; 1448]);
        }
        got += raw.read(socket).len() as u64;
    }
    assert_eq!(got, 2_000 * 4 * 1448);
    assert!(raw.host.tcp_info(socket).unwrap().rcv_space <= limit);
}

#[test]
fn keep_alives_without_end_are_answered_twice_a_second_at_most() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let before = raw.host.memory_bytes();
    let mut answers = 0;
    for _ in 0..10_000 {
        let mut header = raw.header(ACK, TcpOptions::default());
        header.seq = header.seq - 1;
        answers += raw.inject(header, b"").len();
        answers += raw.advance(ms(1)).len();
    }
    assert!((19..=22).contains(&answers), "{answers} in ten seconds");
    assert!(raw.host.memory_bytes() <= before);
    assert_eq!(raw.state(socket), "ESTABLISHED");
}

#[test]
fn a_fin_beyond_a_gap_takes_effect_when_the_gap_closes() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let mut fin = raw.header(ACK | TcpFlags::FIN, TcpOptions::default());
    fin.seq += 10;
    raw.inject(fin.clone(), &stream(10, 5));
    raw.inject(fin, &stream(10, 5));
    assert_eq!(raw.state(socket), "ESTABLISHED");
    let packet = piece(&raw, 0, 10);
    raw.deliver(packet);
    assert_eq!(raw.state(socket), "CLOSE-WAIT");
    assert!(raw.read(socket) == stream(0, 15));
    assert!(raw.host.tcp_recv(raw.now, socket, 10).is_ok_and(|end| end.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Any pieces in any order, with copies and overlaps: what can be read is the stream's beginning, and what is kept
    /// fits into the buffer.
    #[test]
    fn whatever_pieces_come_the_stream_is_true_and_memory_is_bounded(
        pieces in proptest::collection::vec((0u32..40_000, prop_oneof![1u32..3, 1u32..1500, 1u32..20_000]), 1..300),
        reads in 1usize..20,
        rcvbuf in prop_oneof![Just(0u64), Just(3_000), Just(30_000)],
    ) {
        let (mut raw, socket) = Raw::connected(Knobs { rcvbuf, ..knobs() }, usual());
        let before = raw.host.memory_bytes();
        let mut got = Vec::new();
        for (n, (from, length)) in pieces.iter().enumerate() {
            let packet = piece(&raw, *from, *length);
            raw.deliver(packet);
            if n % reads == 0 {
                got.extend(raw.read(socket));
            }
            // The largest segment may come on top.
            let bound = if rcvbuf == 0 { 500_000 } else { 4 * rcvbuf + 40_000 };
            prop_assert!(raw.host.memory_bytes() - before <= bound, "{} bytes", raw.host.memory_bytes() - before);
        }
        got.extend(raw.read(socket));
        prop_assert!(got == stream(0, got.len() as u32));
        raw.advance(Duration::from_secs(5));
    }
}
