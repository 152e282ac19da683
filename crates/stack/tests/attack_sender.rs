//! The peer lies about what it has received, and about how much it can take: does the sender stay within what RFCs allow, and within
//! bounds? (RFC 5681 §3, RFC 3465, RFC 2018 §8, RFC 9293 §3.8.6; Savage et al., "TCP Congestion Control with a Misbehaving Receiver".)

mod raw;

use narrows_stack::{Counter, Knobs, SocketId};
use narrows_wire::{Seq, TcpFlags, TcpOptions, Timestamps};
use raw::*;
use std::time::Duration;

fn window(raw: &Raw, socket: SocketId) -> u32 {
    raw.host.tcp_info(socket).expect("the connection").snd_cwnd
}

fn bytes(sent: &[Sent]) -> usize {
    sent.iter().map(Sent::bytes).sum()
}

fn both_controls() -> [Knobs; 2] {
    use narrows_stack::knob::CongestionControl::{Cubic, Reno};
    [Cubic, Reno].map(|congestion_control| Knobs { congestion_control, ..knobs() })
}

/// One ACK for each byte of a segment must not count as one ACK for each segment.
#[test]
fn acknowledging_byte_by_byte_grows_the_window_no_faster_than_by_segments() {
    for (knobs, sack_permitted) in both_controls().into_iter().flat_map(|k| [(k.clone(), true), (k, false)]) {
        let grown = |divide: bool| {
            let options = TcpOptions { sack_permitted, ..usual() };
            let (mut raw, socket) = Raw::connected(knobs.clone(), options);
            let flight = bytes(&raw.write(socket, 100_000)) as u32;
            assert_eq!(flight, 10 * 1460);
            raw.advance(ms(50));
            for _ in 0..10 {
                if divide {
                    for _ in 0..1460 {
                        raw.acknowledge(1);
                    }
                } else {
                    raw.acknowledge(1460);
                }
            }
            window(&raw, socket)
        };
        assert_eq!(grown(true), grown(false));
        assert_eq!(grown(false), 20);
    }
}

#[test]
fn acknowledgments_of_what_was_not_sent_are_challenged_and_change_nothing() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let flight = bytes(&raw.write(socket, 100_000)) as u32;
    let before = raw.host.tcp_info(socket).unwrap();
    for ahead in [flight + 1, flight + 1460, 1 << 20, 1 << 30] {
        let mut header = raw.header(ACK, TcpOptions::default());
        header.ack += ahead;
        let answer = raw.inject(header, b"");
        assert_eq!(bytes(&answer), 0, "nothing new may leave");
    }
    let after = raw.host.tcp_info(socket).unwrap();
    assert_eq!((after.snd_cwnd, after.unacked, after.bytes_acked), (before.snd_cwnd, before.unacked, 0));
    assert_eq!(raw.host.counters().get(Counter::BadAck), 4);
    assert_eq!(raw.host.counters().get(Counter::ChallengeAcks), 1);
    // The honest ACK still works.
    assert!(bytes(&raw.acknowledge(1460)) > 0);
}

/// Duplicate ACKs stand for segments that have left: there cannot be more of them than segments.
#[test]
fn spoofed_duplicate_acks_let_no_more_out_than_was_in_flight() {
    for knobs in both_controls() {
        let plain = TcpOptions { sack_permitted: false, ..usual() };
        let (mut raw, socket) = Raw::connected(Knobs { sndbuf: 4_000_000, ..knobs }, plain);
        let flight = bytes(&raw.write(socket, 2_000_000));
        raw.advance(ms(50));
        let mut provoked = Vec::new();
        for _ in 0..10_000 {
            provoked.extend(raw.acknowledge(0));
        }
        assert!(bytes(&provoked) <= flight, "{} bytes for duplicates alone", bytes(&provoked));
        let info = raw.host.tcp_info(socket).unwrap();
        assert!(info.snd_cwnd <= 20, "{}", info.snd_cwnd);
    }
}

#[test]
fn duplicate_acks_with_nothing_in_flight_do_nothing() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let before = window(&raw, socket);
    for _ in 0..1_000 {
        assert!(raw.acknowledge(0).is_empty());
        assert!(raw.sack(&[(10, 20)]).is_empty());
    }
    assert_eq!(window(&raw, socket), before);
    assert_eq!(bytes(&raw.write(socket, 50_000)), 10 * 1460);
}

#[test]
fn sack_blocks_beyond_what_was_sent_and_blocks_that_make_no_sense_select_nothing() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let flight = bytes(&raw.write(socket, 100_000)) as u32;
    raw.advance(ms(10));
    let nonsense =
        [(flight, flight + 1460), (0, flight + 1), (1460, 1 << 20), (2920, 1460), (1460, 1460), (1 << 31, 0)];
    for block in nonsense {
        let answer = raw.sack(&[block]);
        assert_eq!(bytes(&answer), 0, "{block:?}");
        let info = raw.host.tcp_info(socket).unwrap();
        assert_eq!((info.sacked, info.lost, info.unacked), (0, 0, 10), "{block:?}");
    }
    raw.sack(&[(1460, 2920)]);
    assert_eq!(raw.host.tcp_info(socket).unwrap().sacked, 1);
}

/// CVE-2019-11478: blocks of one byte must not cut what was sent into ever smaller pieces.
#[test]
fn sack_blocks_of_single_bytes_cost_nothing() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let flight = bytes(&raw.write(socket, 100_000)) as u32;
    raw.advance(ms(10));
    let before = raw.host.memory_bytes();
    let mut provoked = 0;
    for at in (0..flight - 8).step_by(3) {
        provoked += bytes(&raw.sack(&[(at, at + 1), (at + 2, at + 3), (at + 4, at + 5)]));
    }
    let info = raw.host.tcp_info(socket).unwrap();
    assert_eq!((info.sacked, info.unacked), (0, 10));
    assert!(provoked <= 1460, "{provoked}");
    assert!(raw.host.memory_bytes() <= before + 4096);
}

/// The receiver may throw away what it has SACKed (RFC 2018 §8): all of it can still be sent again.
#[test]
fn a_receiver_that_takes_its_sacks_back_gets_everything_again() {
    for recovery in [narrows_stack::knob::LossDetection::RackTlp, narrows_stack::knob::LossDetection::Rfc6675]
    {
        let (mut raw, socket) = Raw::connected(Knobs { recovery, ..knobs() }, usual());
        let flight = bytes(&raw.write(socket, 14_600)) as u32;
        assert_eq!(flight, 14_600);
        let first = raw.ack;
        raw.advance(ms(50));
        raw.sack(&[(1460, flight)]);
        // The hole is filled, but all that was SACKed is gone.
        raw.acknowledge(1460);
        let mut missing: Vec<bool> = vec![true; 10];
        missing[0] = false;
        let note = |sent: &[Sent], missing: &mut Vec<bool>| {
            for packet in sent.iter().filter(|sent| sent.bytes() > 0) {
                let index = (packet.tcp().seq - first) as usize / 1460;
                missing[index] = false;
            }
        };
        for _ in 0..200 {
            let sent = raw.advance(ms(100));
            note(&sent, &mut missing);
            let got = missing.iter().take_while(|missing| !**missing).count() as u32;
            raw.ack = first + got * 1460;
            let sent = raw.say(ACK, TcpOptions::default(), b"");
            note(&sent, &mut missing);
        }
        assert!(missing.iter().all(|missing| !missing), "{recovery:?}: {missing:?}");
        assert_eq!(raw.host.tcp_info(socket).unwrap().unacked, 0);
    }
}

/// A peer that reports everything as received twice must not widen the sender's patience or its window without bound.
#[test]
fn forged_reports_of_duplicates_neither_grow_the_window_nor_end_it() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.write(socket, 500_000);
    raw.advance(ms(50));
    raw.acknowledge(1460);
    for n in 0..5_000u32 {
        let back = 1 + n % 1460;
        raw.sack(&[(0u32.wrapping_sub(back), 0)]);
    }
    let info = raw.host.tcp_info(socket).unwrap();
    assert!(info.snd_cwnd <= 11, "{}", info.snd_cwnd);
    for _ in 0..400 {
        raw.advance(ms(50));
        let unacked = raw.host.tcp_info(socket).unwrap().unacked;
        raw.acknowledge(unacked.min(10) * 1460);
    }
    let info = raw.host.tcp_info(socket).unwrap();
    assert_eq!((info.unacked, info.notsent_bytes), (0, 0), "all of it has arrived");
}

#[test]
fn a_window_held_closed_for_ever_costs_a_probe_now_and_then_and_no_memory() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.window = 0;
    raw.say(ACK, TcpOptions::default(), b"");
    raw.write(socket, 200_000);
    raw.advance(ms(1_000));
    let before = raw.host.memory_bytes();
    let mut packets = 0;
    for _ in 0..3 * 3600 {
        let sent = raw.advance(Duration::from_secs(1));
        packets += sent.len();
        if !sent.is_empty() {
            assert!(bytes(&sent) == 0);
            raw.say(ACK, TcpOptions::default(), b"");
        }
    }
    assert!((90..120).contains(&packets), "{packets} probes in three hours");
    assert!(raw.host.memory_bytes() <= before);
    assert_eq!(raw.state(socket), "ESTABLISHED");
    raw.window = 1000;
    assert!(bytes(&raw.say(ACK, TcpOptions::default(), b"")) > 0);
}

/// Nobody owns the connection any more: then a closed window is no reason to keep it for ever (as Linux).
#[test]
fn an_abandoned_connection_does_not_wait_for_a_window_for_ever() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.window = 0;
    raw.say(ACK, TcpOptions::default(), b"");
    raw.write(socket, 10_000);
    raw.host.tcp_close(raw.now, socket).unwrap();
    let begun = raw.now;
    for _ in 0..1800 {
        // It says more often than any timer fires that it is there.
        raw.advance(Duration::from_secs(1));
        raw.say(ACK, TcpOptions::default(), b"");
        if raw.host.counters().get(Counter::TimedOut) > 0 {
            break;
        }
    }
    let lasted = raw.now.since(begun).as_secs();
    assert!((100..400).contains(&lasted), "{lasted} s");
    assert_eq!(raw.host.poll_timeout(), None);
}

/// The peer takes back a window into which data have been sent. It answers, so it lives (RFC 9293 §3.8.6.1, MUST-37).
#[test]
fn a_window_that_shrinks_under_data_in_flight_does_not_end_the_connection() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let flight = bytes(&raw.write(socket, 14_600)) as u32;
    raw.window = 0;
    raw.say(ACK, TcpOptions::default(), b"");
    let mut packets = 0;
    for _ in 0..6 * 3600 {
        let sent = raw.advance(Duration::from_secs(1));
        packets += sent.len();
        if !sent.is_empty() {
            raw.say(ACK, TcpOptions::default(), b"");
        }
    }
    assert_eq!(raw.state(socket), "ESTABLISHED");
    assert!(packets < 300, "{packets} packets in six hours");
    raw.window = 1000;
    raw.say(ACK, TcpOptions::default(), b"");
    for _ in 0..40 {
        raw.acknowledge(0);
        raw.advance(Duration::from_secs(5));
        let left = raw.host.tcp_info(socket).unwrap().unacked;
        raw.acknowledge(if left > 0 { 1460 } else { 0 });
    }
    assert_eq!(raw.host.tcp_info(socket).unwrap().bytes_acked, u64::from(flight));
}

/// Windows of a byte: no stream of one-byte segments (silly window syndrome, RFC 9293 §3.8.6.2.1).
#[test]
fn a_window_of_one_byte_gets_a_byte_now_and_then() {
    for nodelay in [false, true] {
        let (mut raw, socket) =
            Raw::connected(Knobs { nodelay, ..knobs() }, TcpOptions { window_scale: None, ..usual() });
        raw.write(socket, 1);
        raw.window = 1;
        raw.acknowledge(1);
        let first = bytes(&raw.write(socket, 10_000));
        assert!(first <= 1);
        let mut sent_in_a_minute = first;
        let mut packets = 0;
        for _ in 0..600 {
            let sent = raw.advance(ms(100));
            packets += sent.len();
            let len = bytes(&sent);
            sent_in_a_minute += len;
            if len > 0 {
                packets += raw.acknowledge(len as u32).len();
            }
        }
        assert!((20..400).contains(&sent_in_a_minute), "nodelay {nodelay}: {sent_in_a_minute} bytes");
        assert!(packets < 400, "{packets}");
    }
}

/// CVE-2019-11479: a peer that announces a tiny segment size.
#[test]
fn segments_are_never_smaller_than_the_least_mss_whatever_the_peer_announces() {
    for (announced, least) in
        [(Some(0), 48), (Some(1), 48), (Some(47), 48), (Some(48), 48), (Some(49), 49), (None, 536)]
    {
        let (mut raw, socket) = Raw::connected(knobs(), TcpOptions { mss: announced, ..usual() });
        let sent = raw.write(socket, 5_000);
        assert_eq!(sent.len(), 10, "{announced:?}");
        assert!(sent[..9].iter().all(|sent| sent.bytes() == least), "{announced:?}");
    }
    let timestamps = Some(Timestamps { value: 1, echo: 0 });
    let (mut raw, socket) = Raw::connected(knobs(), TcpOptions { mss: Some(1), timestamps, ..usual() });
    assert!(raw.write(socket, 5_000).iter().all(|sent| sent.bytes() == 36));
    // SACK blocks of our own leave eight bytes of data at least (as Linux).
    let mut beyond = raw.header(ACK, TcpOptions::default());
    for n in 1..8u32 {
        beyond.seq = raw.seq + n * 100;
        raw.inject(beyond.clone(), &[1; 10]);
    }
    let sent = raw.acknowledge(360);
    assert!(sent.iter().filter(|sent| sent.bytes() > 0).all(|sent| sent.bytes() >= 8));
}

#[test]
fn window_scales_above_fourteen_count_as_fourteen() {
    for shift in [14, 15, 31, 32, 64, 255] {
        let (raw, socket) = Raw::connected(knobs(), TcpOptions { window_scale: Some(shift), ..usual() });
        let info = raw.host.tcp_info(socket).unwrap();
        assert_eq!((info.snd_wscale, info.snd_wnd), (14, 65_535 << 14), "{shift}");
    }
}

/// Echoes of timestamps that were never sent.
#[test]
fn lies_about_timestamps_leave_the_timeout_within_its_bounds() {
    let lies = [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1, 12_345];
    for lie in lies {
        let timestamps = Some(Timestamps { value: 77, echo: 0 });
        let (mut raw, socket) = Raw::connected(knobs(), TcpOptions { timestamps, ..usual() });
        raw.write(socket, 300_000);
        for n in 0..200u32 {
            raw.advance(ms(20));
            if let Some((value, echo)) = &mut raw.clock {
                *value += 20;
                *echo = lie ^ n;
            }
            let unacked = raw.host.tcp_info(socket).unwrap().unacked;
            // Only every other time something of a segment: the sender has to use the echo.
            raw.acknowledge(if unacked > 0 { 724 } else { 0 });
        }
        let info = raw.host.tcp_info(socket).unwrap();
        assert!((200_000_000..=120_000_000_000).contains(&info.rto_ns), "{lie}: {} ns", info.rto_ns);
        assert_eq!(info.state.name(), "ESTABLISHED");
    }
}

/// Nothing is acknowledged, ever: fewer and fewer packets, and an end.
#[test]
fn a_silent_receiver_is_given_up_and_all_memory_is_free_again() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.write(socket, 60_000);
    let sent = raw.advance(Duration::from_secs(2_000));
    assert!(sent.len() < 60, "{} packets", sent.len());
    assert_eq!(raw.state(socket), "CLOSED");
    raw.host.tcp_close(raw.now, socket).unwrap();
    assert_eq!(raw.host.poll_timeout(), None);
    assert!(raw.host.memory_bytes() < 40_000, "{}", raw.host.memory_bytes());
}

/// A peer may acknowledge the FIN again and again, or send beyond it: nothing wakes up.
#[test]
fn segments_after_the_end_provoke_two_answers_a_second_at_most() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.host.tcp_shutdown(raw.now, socket).unwrap();
    assert!(raw.drain()[0].tcp().flags.contains(TcpFlags::FIN));
    raw.acknowledge(1);
    raw.say(ACK | TcpFlags::FIN, TcpOptions::default(), b"");
    raw.seq += 1;
    let mut answers = 0;
    for n in 0..2_000u32 {
        let mut header =
            raw.header(if n % 2 == 0 { ACK | TcpFlags::FIN } else { ACK }, TcpOptions::default());
        header.seq = Seq(header.seq.0.wrapping_sub(n % 5));
        answers += raw.inject(header, b"").len();
        raw.advance(ms(5));
    }
    assert!(answers <= 22, "{answers} answers in ten seconds");
}
