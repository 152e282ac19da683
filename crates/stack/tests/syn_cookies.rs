//! What of a connection survives when its SYN was not remembered, and who is refused?

mod raw;

use narrows_stack::knob::SynCookies;
use narrows_stack::{Counter, Knobs, SocketId};
use narrows_wire::{TcpFlags, TcpOptions, Timestamps};
use raw::*;
use std::time::Duration;

fn always() -> Knobs {
    Knobs { syn_cookies: SynCookies::Always, ..knobs() }
}

fn stamped() -> TcpOptions {
    TcpOptions { timestamps: Some(Timestamps { value: 100, echo: 0 }), ..usual() }
}

fn count(raw: &Raw, counter: Counter) -> u64 {
    raw.host.counters().get(counter)
}

#[test]
fn with_timestamps_a_cookie_carries_scale_and_sack_and_the_mss_of_the_table() {
    let (raw, socket) = Raw::connected(always(), TcpOptions { mss: Some(1452), ..stamped() });
    let info = raw.host.tcp_info(socket).unwrap();
    assert!(info.timestamps && info.sack && info.window_scaling);
    assert_eq!((info.snd_wscale, info.snd_mss), (7, 1440 - 12));
    assert_eq!(info.snd_wnd, 65_535 << 7);
    assert_eq!(count(&raw, Counter::SynCookiesSent), 1);
    assert_eq!(count(&raw, Counter::SynCookiesReceived), 1);
}

#[test]
fn without_timestamps_neither_scale_nor_sack_are_agreed_on() {
    let mut raw = Raw::listening(always(), 4);
    let syn_ack = raw.say(TcpFlags::SYN, usual(), b"");
    assert_eq!(syn_ack[0].tcp().options, TcpOptions { mss: Some(1460), ..TcpOptions::default() });
    let (raw, socket) = Raw::connected(always(), usual());
    let info = raw.host.tcp_info(socket).unwrap();
    assert!(!info.timestamps && !info.sack && !info.window_scaling);
    assert_eq!((info.snd_mss, info.snd_wnd), (1460, 65_535));
}

/// The window that the SYN-ACK has shown holds for the connection that is built from the ACK.
#[test]
fn the_window_of_the_syn_ack_is_kept() {
    for options in [usual(), stamped()] {
        let mut raw = Raw::listening(always(), 4);
        raw.clock = options.timestamps.map(|timestamps| (timestamps.value, 0));
        let shown = raw.say(TcpFlags::SYN, options.clone(), b"")[0].tcp().window;
        let (raw, socket) = Raw::connected(always(), options);
        assert_eq!(raw.host.tcp_info(socket).unwrap().rcv_wnd, u32::from(shown));
    }
}

#[test]
fn nothing_is_kept_of_a_syn_and_its_answer_is_not_repeated() {
    let mut raw = Raw::listening(always(), 4);
    let empty = raw.host.memory_bytes();
    let first = raw.say(TcpFlags::SYN, stamped(), b"");
    raw.drain();
    assert!(raw.host.memory_bytes() <= empty + 1024, "a queue for packets at most");
    assert_eq!(raw.host.poll_timeout(), None);
    assert!(raw.advance(Duration::from_secs(10)).is_empty());
    // The client asks again, and gets the same number within the minute.
    let second = raw.say(TcpFlags::SYN, stamped(), b"");
    assert_eq!(second[0].tcp().seq, first[0].tcp().seq);
}

#[test]
fn data_may_bring_the_cookie_when_the_ack_was_lost() {
    let mut raw = Raw::listening(always(), 4);
    let syn_ack = raw.say(TcpFlags::SYN, usual(), b"");
    raw.seq += 1;
    raw.ack = syn_ack[0].tcp().seq + 1;
    raw.data(b"first");
    let socket = raw.host.tcp_accept(raw.listener).expect("a connection");
    assert_eq!(raw.read(socket), b"first");
    // The ACK that comes late changes nothing.
    raw.data(b" and more");
    assert_eq!(raw.read(socket), b" and more");
}

#[test]
fn a_wrong_or_old_cookie_is_refused() {
    let mut raw = Raw::listening(always(), 4);
    let syn_ack = raw.say(TcpFlags::SYN, usual(), b"");
    raw.seq += 1;
    // The numbers beside a cookie are cookies for another MSS, as on Linux.
    for wrong in [5, 100, 1 << 24] {
        raw.ack = syn_ack[0].tcp().seq + wrong;
        let answer = raw.say(ACK, TcpOptions::default(), b"");
        assert_eq!((answer[0].tcp().flags, answer[0].tcp().seq), (TcpFlags::RST, raw.ack));
    }
    assert_eq!(count(&raw, Counter::SynCookiesFailed), 3);
    raw.advance(Duration::from_secs(125));
    raw.ack = syn_ack[0].tcp().seq + 1;
    let answer = raw.say(ACK, TcpOptions::default(), b"");
    assert_eq!(answer[0].tcp().flags, TcpFlags::RST);
    assert!(raw.host.tcp_accept(raw.listener).is_none());
    // So long after the last cookie nobody looks any more.
    assert_eq!(count(&raw, Counter::SynCookiesFailed), 3);
}

#[test]
fn a_listener_that_sends_no_cookies_takes_none() {
    let mut raw = Raw::listening(always(), 4);
    let syn_ack = raw.say(TcpFlags::SYN, usual(), b"");
    raw.host.tcp_configure_listener(raw.listener, knobs()).unwrap();
    raw.seq += 1;
    raw.ack = syn_ack[0].tcp().seq + 1;
    // One of ours, from a moment ago: it is taken although none would be sent now.
    raw.say(ACK, TcpOptions::default(), b"");
    assert!(raw.host.tcp_accept(raw.listener).is_some());
    let never = Knobs { syn_cookies: SynCookies::Never, ..knobs() };
    raw.host.tcp_configure_listener(raw.listener, never).unwrap();
    raw.remote.set_port(4001);
    let answer = raw.say(ACK, TcpOptions::default(), b"");
    assert_eq!(answer[0].tcp().flags, TcpFlags::RST);
    assert_eq!(count(&raw, Counter::SynCookiesFailed), 0);
}

/// A full accept queue: SYNs are dropped even with cookies, and an ACK is, too, until there is room for what the client sends next.
#[test]
fn with_a_full_accept_queue_syns_and_cookies_are_dropped_and_data_bring_the_cookie_again() {
    let mut raw = Raw::listening(always(), 0);
    let late = raw.say(TcpFlags::SYN, usual(), b"")[0].tcp().clone();
    raw.remote.set_port(4001);
    let first = raw.say(TcpFlags::SYN, usual(), b"")[0].tcp().clone();
    raw.seq += 1;
    raw.ack = first.seq + 1;
    raw.say(ACK, TcpOptions::default(), b"");
    raw.remote.set_port(4002);
    assert!(raw.say(TcpFlags::SYN, usual(), b"").is_empty());
    assert_eq!(count(&raw, Counter::SynDroppedQueueFull), 1);
    raw.remote.set_port(4000);
    raw.ack = late.seq + 1;
    assert!(raw.say(ACK, TcpOptions::default(), b"").is_empty());
    assert_eq!(count(&raw, Counter::AckDroppedQueueFull), 1);
    assert!(raw.host.tcp_accept(raw.listener).is_some());
    raw.data(b"again");
    let socket = raw.host.tcp_accept(raw.listener).expect("room by now");
    assert_eq!(raw.read(socket), b"again");
}

#[test]
fn without_cookies_the_last_quarter_of_the_system_s_backlog_stays_free() {
    let mut knobs = Knobs { syn_cookies: SynCookies::Never, ..knobs() };
    knobs.system.max_syn_backlog = 16;
    let mut raw = Raw::listening(knobs, 100);
    let answered = (0..50).filter(|port| {
        raw.remote.set_port(5000 + port);
        !raw.say(TcpFlags::SYN, usual(), b"").is_empty()
    });
    assert_eq!(answered.count(), 13);
}

#[test]
fn a_client_may_be_reset_for_a_full_accept_queue() {
    let mut knobs = knobs();
    knobs.system.abort_on_overflow = true;
    let mut raw = Raw::listening(knobs, 0);
    let open = |raw: &mut Raw, port| {
        raw.remote.set_port(port);
        raw.say(TcpFlags::SYN, usual(), b"")[0].tcp().seq + 1
    };
    let acks = [open(&mut raw, 4000), open(&mut raw, 4001)];
    raw.seq += 1;
    raw.ack = acks[1];
    assert!(raw.say(ACK, TcpOptions::default(), b"").is_empty());
    raw.remote.set_port(4000);
    raw.ack = acks[0];
    let answer = raw.say(ACK, TcpOptions::default(), b"");
    assert_eq!((answer[0].tcp().flags, answer[0].tcp().seq), (TcpFlags::RST, acks[0]));
    assert!(raw.advance(Duration::from_secs(100)).is_empty(), "the handshake is forgotten");
}

/// The option bits make the SYN-ACK's timestamp up to 127 ms old, and the round trip seen in its echo that much longer (as on Linux).
#[test]
fn the_first_round_trip_is_that_of_the_timestamp() {
    let (raw, socket) = Raw::connected(always(), stamped());
    let rtt = raw.host.tcp_info(socket).unwrap().rtt_ns / 1_000_000;
    assert!((10..10 + 128).contains(&rtt), "{rtt} ms");
    let (raw, socket) = Raw::connected(always(), usual());
    let info = raw.host.tcp_info(socket).unwrap();
    assert_eq!((info.rtt_ns, info.rto_ns), (0, 3_000_000_000), "RFC 6298 §5.7");
}

#[test]
fn a_host_with_cookies_serves_ipv6_clients() {
    use bytes::Bytes;
    use narrows_stack::{Host, HostConfig, Instant, Interface, SendFlags};
    use std::net::SocketAddr;
    let end = |text: &str| text.parse::<SocketAddr>().unwrap();
    let host = |address: &str, knobs: Knobs, seed| {
        let mut host = Host::new(HostConfig { knobs, seed, tick_phase_ns: 0 });
        let addresses = vec![end(address).ip()];
        let interface = host.add_interface(Interface { addresses, mtu: 1500, segmentation_offload: false });
        (host, interface)
    };
    let (mut server, at_server) = host("[fd00::1]:0", always(), 1);
    let (mut client, at_client) = host("[fd00::2]:0", knobs(), 2);
    let listener = server.tcp_listen(end("[fd00::1]:80"), 4, always()).unwrap();
    let now = Instant::from_millis(5);
    let socket = client.tcp_connect(now, end("[fd00::1]:80"), None, knobs()).unwrap();
    let exchange = |client: &mut Host, server: &mut Host| {
        loop {
            let sent =
                client.poll_transmit(now).map(|sent| server.handle_packet(now, at_server, sent.packet));
            let back =
                server.poll_transmit(now).map(|sent| client.handle_packet(now, at_client, sent.packet));
            if sent.is_none() && back.is_none() {
                return;
            }
        }
    };
    exchange(&mut client, &mut server);
    client.tcp_send(now, socket, Bytes::from_static(b"question"), SendFlags::default()).unwrap();
    exchange(&mut client, &mut server);
    let accepted: SocketId = server.tcp_accept(listener).expect("a connection");
    assert_eq!(&server.tcp_recv(now, accepted, 100).unwrap()[..], b"question");
    let info = server.tcp_info(accepted).unwrap();
    assert!(info.sack && info.window_scaling && info.timestamps);
    assert_eq!(info.snd_mss, 1440 - 12);
}
