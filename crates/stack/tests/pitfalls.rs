//! What naive stacks get wrong, where no other test says it, and whether docs/pitfalls.md names tests that exist.

mod raw;

use narrows_stack::knob::SynCookies;
use narrows_stack::{Host, HostConfig, Interface, Knobs};
use narrows_wire::{TcpFlags, TcpOptions, Timestamps};
use raw::*;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

fn with_timestamps() -> TcpOptions {
    TcpOptions { timestamps: Some(Timestamps { value: 1, echo: 0 }), ..usual() }
}

#[test]
fn bare_acks_within_the_window_are_never_answered() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    for n in 0..1_000u32 {
        let mut header = raw.header(ACK, TcpOptions::default());
        header.seq += n * 50;
        header.window = n as u16;
        assert!(raw.inject(header, b"").is_empty(), "segment {n}");
    }
    assert!(raw.advance(Duration::from_secs(5)).is_empty());
    assert_eq!(raw.state(socket), "ESTABLISHED");
}

/// The sender's fast retransmit counts them; what comes after the third may travel together.
#[test]
fn the_first_three_reports_of_a_gap_leave_at_once_and_the_others_together() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    // A round trip long enough for a wait to be worth it.
    raw.write(socket, 100);
    raw.advance(ms(30));
    raw.acknowledge(100);
    raw.advance(ms(1));
    let mut at_once = Vec::new();
    for n in 1..=40u32 {
        let mut header = raw.header(ACK, TcpOptions::default());
        header.seq += n * 1460;
        at_once.push(raw.inject(header, &[1; 1460]).len());
    }
    assert_eq!(at_once[..3], [1, 1, 1]);
    // A window that still grows is told at once, too.
    assert!(at_once[10..].iter().all(|answers| *answers == 0), "{at_once:?}");
    let together = raw.advance(ms(2));
    assert_eq!(together.len(), 1);
    assert!(!together[0].tcp().options.sack.is_empty());
}

#[test]
fn probes_of_a_closed_window_leave_the_congestion_window_alone() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.window = 0;
    raw.say(ACK, TcpOptions::default(), b"");
    raw.write(socket, 5_000);
    let before = raw.host.tcp_info(socket).unwrap();
    // Nobody answers for a while: the probes are repeated.
    assert!(raw.advance(Duration::from_secs(10)).len() >= 4);
    let after = raw.host.tcp_info(socket).unwrap();
    assert_eq!((after.snd_cwnd, after.snd_ssthresh), (before.snd_cwnd, before.snd_ssthresh));
    assert_eq!(after.total_retrans, 0);
}

/// A peer whose window never holds a full segment is served in halves of it, without Nagle and with it.
#[test]
fn a_window_below_a_segment_does_not_freeze_the_sender() {
    for nodelay in [false, true] {
        let mut raw = Raw::listening(Knobs { nodelay, ..knobs() }, 4);
        raw.window = 600;
        let socket = raw.open(TcpOptions { window_scale: None, ..usual() });
        let mut sent = raw.write(socket, 6_000);
        let mut acknowledged = 0;
        for _ in 0..100 {
            let bytes: usize = sent.iter().map(Sent::bytes).sum();
            acknowledged += bytes;
            sent = raw.acknowledge(bytes as u32);
            sent.extend(raw.advance(ms(5)));
        }
        assert_eq!(
            acknowledged, 6_000,
            "nodelay {nodelay}: within half a second, without waiting for timers"
        );
    }
}

/// What is full is decided by the size that the options leave.
#[test]
fn a_full_segment_with_timestamps_does_not_count_as_small() {
    let (mut raw, socket) = Raw::connected(knobs(), with_timestamps());
    assert_eq!(raw.write(socket, 1448).len(), 1);
    assert_eq!(raw.write(socket, 1448).len(), 1, "nothing small is on its way");
    assert_eq!(raw.write(socket, 10).len(), 1, "and behind full ones a small one may leave");
    assert_eq!(raw.write(socket, 10).len(), 0);
}

#[test]
fn options_shorten_the_segments_and_not_the_mss_that_is_announced() {
    let mut raw = Raw::listening(knobs(), 4);
    let answer = raw.say(TcpFlags::SYN, with_timestamps(), b"");
    assert_eq!(answer[0].tcp().options.mss, Some(1460));
    let (mut raw, socket) = Raw::connected(knobs(), with_timestamps());
    assert_eq!(raw.write(socket, 10_000)[0].bytes(), 1448);
}

#[test]
fn the_mss_announced_is_the_interface_s_whatever_the_peer_announced() {
    for theirs in [Some(0), Some(500), Some(9_000), None] {
        let mut raw = Raw::listening(knobs(), 4);
        let answer = raw.say(TcpFlags::SYN, TcpOptions { mss: theirs, ..usual() }, b"");
        assert_eq!(answer[0].tcp().options.mss, Some(1460), "{theirs:?}");
    }
}

/// The device cuts; loss is a matter of the pieces.
#[test]
fn of_a_large_segment_only_the_piece_that_is_missing_is_sent_again() {
    let mut raw = Raw::listening(knobs(), 4);
    raw.host = Host::new(HostConfig { knobs: knobs(), seed: 7, tick_phase_ns: 0 });
    raw.host.add_interface(Interface { addresses: vec![HOST], mtu: 1500, segmentation_offload: true });
    raw.listener = raw.host.tcp_listen(raw.local, 4, knobs()).unwrap();
    let socket = raw.open(usual());
    let sent = raw.write(socket, 14_600);
    let flight: usize = sent.iter().map(Sent::bytes).sum();
    assert!(sent.len() < 10 && flight == 14_600, "large segments");
    raw.advance(ms(20));
    let again: Vec<Sent> = (2..10).flat_map(|n| raw.sack(&[(1460, n * 1460)])).collect();
    let lost: Vec<&Sent> = again.iter().filter(|sent| sent.bytes() > 0).collect();
    assert_eq!(lost.len(), 1);
    assert_eq!((lost[0].tcp().seq, lost[0].bytes()), (raw.ack, 1460));
}

/// Without Fast Open data on a SYN are not kept, so they must not be acknowledged.
#[test]
fn data_on_a_syn_are_not_acknowledged_unless_they_are_kept() {
    let mut raw = Raw::listening(knobs(), 4);
    let answer = raw.say(TcpFlags::SYN, usual(), b"early");
    assert_eq!(answer[0].tcp().ack, raw.seq + 1);
    raw.seq += 1;
    raw.ack = answer[0].tcp().seq + 1;
    raw.data(b"early");
    let socket = raw.host.tcp_accept(raw.listener).unwrap();
    assert_eq!(raw.read(socket), b"early");
}

#[test]
fn a_third_ack_dropped_for_a_full_queue_is_made_good_when_the_syn_ack_comes_again() {
    let knobs = || Knobs { syn_cookies: SynCookies::Never, ..knobs() };
    let mut raw = Raw::listening(knobs(), 0);
    let mut answers = Vec::new();
    for port in [5000, 5001] {
        raw.remote.set_port(port);
        answers.extend(raw.say(TcpFlags::SYN, usual(), b""));
    }
    // Only one handshake is remembered with a backlog of nothing; a second one with one more.
    assert_eq!(answers.len(), 1);
    let mut raw = Raw::listening(knobs(), 1);
    let mut acks = Vec::new();
    for port in [5000, 5001] {
        raw.remote.set_port(port);
        acks.push(raw.say(TcpFlags::SYN, usual(), b"")[0].tcp().seq + 1);
    }
    raw.seq += 1;
    for port in [5010, 5011] {
        let (seq, before) = (raw.seq, raw.remote);
        raw.remote.set_port(port);
        raw.seq = seq - 1;
        if let Some(answer) = raw.say(TcpFlags::SYN, usual(), b"").first() {
            raw.ack = answer.tcp().seq + 1;
            raw.seq = seq;
            raw.say(ACK, TcpOptions::default(), b"");
        }
        (raw.seq, raw.remote) = (seq, before);
    }
    // Fill the accept queue with the two, then a third handshake's end is dropped.
    for (port, ack) in [5000, 5001].into_iter().zip(&acks) {
        raw.remote.set_port(port);
        raw.ack = *ack;
        raw.say(ACK, TcpOptions::default(), b"");
    }
    let mut accepted = 0;
    while raw.host.tcp_accept(raw.listener).is_some() {
        accepted += 1;
    }
    assert_eq!(accepted, 2);
    let dropped = raw.host.counters().get(narrows_stack::Counter::AckDroppedQueueFull);
    let again = raw.advance(ms(1_100));
    assert_eq!(again.len() as u64, dropped, "each handshake whose end was dropped hears the SYN-ACK again");
    for sent in again {
        assert!(sent.tcp().flags.contains(TcpFlags::SYN | ACK));
        raw.remote.set_port(sent.tcp().destination_port);
        raw.ack = sent.tcp().seq + 1;
        raw.say(ACK, TcpOptions::default(), b"");
        assert!(raw.host.tcp_accept(raw.listener).is_some());
    }
}

/// A receiver that acknowledges seldom must not slow the sender's start (RFC 3465).
#[test]
fn one_ack_for_ten_segments_grows_the_window_as_ten_acks_do() {
    let grown = |step: u32| {
        let (mut raw, socket) = Raw::connected(knobs(), usual());
        raw.write(socket, 100_000);
        raw.advance(ms(50));
        for _ in 0..10 / step {
            raw.acknowledge(step * 1460);
        }
        raw.host.tcp_info(socket).unwrap().snd_cwnd
    };
    assert_eq!((grown(1), grown(10)), (20, 20));
}

#[test]
fn a_reset_is_believed_whatever_its_timestamp() {
    let (mut raw, socket) = Raw::connected(knobs(), with_timestamps());
    raw.advance(ms(100));
    raw.clock = Some((5_000, 0));
    raw.data(b"later");
    raw.clock = Some((1, 0));
    raw.say(TcpFlags::RST, TcpOptions::default(), b"");
    assert_eq!(raw.state(socket), "CLOSED");
}

#[test]
fn a_lost_fin_is_sent_again_until_it_is_acknowledged() {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.write(socket, 100);
    raw.acknowledge(100);
    raw.host.tcp_shutdown(raw.now, socket).unwrap();
    let fin = raw.drain();
    assert!(fin[0].tcp().flags.contains(TcpFlags::FIN));
    let again = raw.advance(Duration::from_secs(3));
    assert!(again.len() >= 2);
    assert!(
        again
            .iter()
            .all(|sent| sent.tcp().flags.contains(TcpFlags::FIN) && sent.tcp().seq == fin[0].tcp().seq)
    );
    raw.acknowledge(1);
    assert_eq!(raw.state(socket), "FIN-WAIT-2");
    // The other half goes on.
    raw.data(b"still here");
    assert_eq!(raw.read(socket), b"still here");
}

/// Whoever knows one port of a host must not know the next (RFC 6056), nor the sequence numbers (RFC 6528).
#[test]
fn ports_and_sequence_numbers_of_one_destination_say_nothing_about_another() {
    let mut host = host(11);
    let now = narrows_stack::Instant::from_millis(5);
    let mut begin = |destination: &str| {
        let remote: SocketAddr = destination.parse().unwrap();
        let socket = host.tcp_connect(now, remote, None, knobs()).unwrap();
        let seq = tcp(&host.poll_transmit(now).unwrap().packet).seq;
        (host.tcp_addresses(socket).unwrap().0.port(), seq)
    };
    let one: Vec<_> = (1..20).map(|n| begin(&format!("10.9.0.{n}:80"))).collect();
    let gaps: BTreeSet<u16> = one.windows(2).map(|pair| pair[1].0.wrapping_sub(pair[0].0)).collect();
    assert!(gaps.len() > 15, "ports in a row: {one:?}");
    let seqs: BTreeSet<u32> = one.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    assert!(seqs.len() > 15 && seqs.iter().filter(|gap| **gap < 1 << 20).count() < 2);
}

/// Each row of docs/pitfalls.md names tests; each of them is there.
#[test]
fn every_pitfall_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut names = BTreeSet::new();
    for part in ["crates/stack", "crates/lab", "crates/net", "crates/wire"] {
        collect(&root.join(part), &mut names);
    }
    for document in ["docs/pitfalls.md", "docs/security.md"] {
        let text = std::fs::read_to_string(root.join(document)).expect("the page");
        let mut rows = 0;
        for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
            let tests = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or("");
            let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
            if line.starts_with("| #") || line.starts_with("| attack") {
                continue;
            }
            rows += 1;
            assert!(!named.is_empty() || tests.starts_with("later: "), "{document}: no test in {line}");
            for name in named {
                assert!(names.contains(name), "{document}: there is no test {name}");
            }
        }
        assert!(rows >= if document.contains("pitfalls") { 60 } else { 20 }, "{document}: {rows} rows");
    }
}

/// The names of all tests and scripts below a directory.
fn collect(directory: &Path, names: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let mut test = false;
            for line in text.lines().map(str::trim) {
                test |= line.ends_with("test]") && line.starts_with("#[");
                if let Some(rest) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) {
                    if test {
                        names.insert(rest.split('(').next().unwrap_or("").to_owned());
                    }
                    test = false;
                }
            }
        }
    }
}

/// Pieces of one read: Linux's read(2) says at its end how far the window is open, and not while it copies.
#[test]
fn a_read_in_pieces_opens_the_window_once() {
    let (mut raw, socket) = Raw::connected(Knobs { rcvbuf: 10_000, ..knobs() }, usual());
    for _ in 0..7 {
        raw.data(&[1; 1_000]);
    }
    let read = |raw: &mut Raw, max: usize| -> (usize, Vec<u16>) {
        let length = raw.host.tcp_recv(raw.now, socket, max).map_or(0, |data| data.len());
        (length, raw.drain().iter().map(|sent| sent.tcp().window).collect())
    };
    let told: Vec<(usize, Vec<u16>)> = (0..7).map(|_| read(&mut raw, 65_536)).collect();
    assert!(told[..6].iter().all(|(length, windows)| *length == 1_000 && windows.is_empty()), "{told:?}");
    assert!(matches!(told[6].1[..], [window] if window >= 7_000), "{told:?}");
    // A buffer that is full ends a read, too.
    for _ in 0..7 {
        raw.data(&[1; 1_000]);
    }
    let told: Vec<(usize, Vec<u16>)> = (0..4).map(|_| read(&mut raw, 4_000)).collect();
    assert!(told[..3].iter().all(|(_, windows)| windows.is_empty()), "{told:?}");
    assert_eq!(told[3].1.len(), 1, "{told:?}");
}
