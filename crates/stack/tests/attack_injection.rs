//! Somebody who sees nothing of a connection but knows its two ends, sends into it: does it go on unharmed?
//! (RFC 5961; RFC 9293 §3.5.3; CVE-2016-5696.)

mod pair;
mod raw;

use bytes::Bytes;
use narrows_stack::{Counter, Event, InterfaceId, SendFlags, SocketError, SocketId};
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps};
use pair::{CLIENT, Pair, SERVER, both};
use raw::{Numbers, Raw, ms, usual};
use std::time::Duration;

/// A connection in use, with an attacker beside it.
struct Scene {
    pair: Pair,
    sockets: [SocketId; 2],
    numbers: Numbers,
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Scene {
    fn new(ipv6: bool) -> Scene {
        let mut pair = Pair::new(ipv6, ms(5));
        let sockets = pair.connect(pair::knobs(), pair::knobs());
        pair.keep_log = false;
        Scene { pair, sockets, numbers: Numbers(9), sent: Vec::new(), got: Vec::new() }
    }

    /// A segment with the right ports and addresses, from `to`'s peer, and everything else guessed.
    fn guess(&mut self, to: usize, flags: TcpFlags) -> TcpHeader {
        let (local, remote) =
            self.pair.hosts[to].tcp_addresses(self.sockets[to]).expect("the connection is there");
        TcpHeader {
            source_port: remote.port(),
            destination_port: local.port(),
            seq: Seq(self.numbers.next() as u32),
            ack: Seq(self.numbers.next() as u32),
            flags,
            window: self.numbers.next() as u16,
            urgent: 0,
            options: TcpOptions::default(),
        }
    }

    fn inject(&mut self, to: usize, header: TcpHeader, payload: Bytes) {
        let packet = Packet::tcp(self.pair.addresses[1 - to], self.pair.addresses[to], header, payload);
        self.pair.hosts[to].handle_packet(self.pair.now, InterfaceId(0), packet);
        self.pair.flush();
    }

    /// The honest conversation goes on for a while.
    fn talk(&mut self) {
        let from = self.sent.len();
        let data: Vec<u8> = (from..from + 700).map(|at| (at % 251) as u8).collect();
        let socket = self.sockets[CLIENT];
        let now = self.pair.now;
        let written =
            self.pair.hosts[CLIENT].tcp_send(now, socket, data.clone().into(), SendFlags::default());
        assert_eq!(written, Ok(700));
        self.sent.extend(data);
        self.pair.run(ms(20));
        let read = self.pair.read(SERVER, self.sockets[SERVER]);
        self.got.extend(read);
    }

    fn count(&self, side: usize, counter: Counter) -> u64 {
        self.pair.hosts[side].counters().get(counter)
    }

    fn is_unharmed(&mut self) {
        self.pair.run(ms(2_000));
        let read = self.pair.read(SERVER, self.sockets[SERVER]);
        self.got.extend(read);
        assert!(self.got == self.sent, "{} of {} bytes", self.got.len(), self.sent.len());
        for side in [CLIENT, SERVER] {
            let info = self.pair.hosts[side].tcp_info(self.sockets[side]).expect("still there");
            assert_eq!(info.state.name(), "ESTABLISHED");
        }
    }
}

#[test]
fn blind_resets_end_nothing() {
    both(|ipv6| {
        let mut scene = Scene::new(ipv6);
        for round in 0..20 {
            for _ in 0..500 {
                for to in [CLIENT, SERVER] {
                    let flags = if round % 2 == 0 { TcpFlags::RST } else { TcpFlags::RST | TcpFlags::ACK };
                    let header = scene.guess(to, flags);
                    scene.inject(to, header, Bytes::new());
                }
            }
            scene.talk();
        }
        scene.is_unharmed();
    });
}

/// A guess that hits the window, which is far more likely than one that hits the number.
#[test]
fn resets_anywhere_in_the_window_are_challenged_twice_a_second_at_most() {
    both(|ipv6| {
        let mut scene = Scene::new(ipv6);
        scene.talk();
        let next = scene.next_expected(SERVER);
        let begun = scene.pair.now;
        for ahead in 1..5_000u32 {
            let mut header = scene.guess(SERVER, TcpFlags::RST);
            header.seq = next + ahead;
            scene.inject(SERVER, header, Bytes::new());
            if ahead % 50 == 0 {
                scene.pair.run(ms(20));
            }
        }
        let seconds = scene.pair.now.since(begun).as_secs_f64();
        let challenges = scene.count(SERVER, Counter::ChallengeAcks);
        assert!(challenges as f64 <= 2.0 * seconds + 1.0, "{challenges} in {seconds} s");
        assert!(challenges >= 2);
        scene.is_unharmed();
    });
}

impl Scene {
    /// RCV.NXT of a side that nothing is on its way to.
    fn next_expected(&mut self, side: usize) -> Seq {
        self.pair.keep_log = true;
        self.pair.take_log();
        self.talk();
        let log = self.pair.take_log();
        self.pair.keep_log = false;
        log.iter().rev().find(|seen| seen.from == side).expect("an ACK").tcp().ack
    }
}

#[test]
fn blind_syns_end_nothing() {
    both(|ipv6| {
        let mut scene = Scene::new(ipv6);
        let next = scene.next_expected(SERVER);
        for n in 0..4_000u32 {
            let mut header = scene.guess(SERVER, TcpFlags::SYN);
            header.options = usual();
            if n % 4 == 0 {
                header.seq = next + n;
            }
            scene.inject(SERVER, header, Bytes::new());
            if n % 400 == 0 {
                scene.talk();
            }
        }
        scene.is_unharmed();
    });
}

/// Data are taken only with an acknowledgment that the peer may have sent (RFC 5961 §5).
#[test]
fn blind_data_do_not_get_into_the_stream() {
    both(|ipv6| {
        let mut scene = Scene::new(ipv6);
        let next = scene.next_expected(SERVER);
        for n in 0..4_000u32 {
            let mut header = scene.guess(SERVER, TcpFlags::ACK | TcpFlags::PSH);
            // In the window every time: only the acknowledgment is guessed.
            header.seq = next + n % 3 * 700;
            scene.inject(SERVER, header, Bytes::from_static(&[0xee; 900]));
        }
        assert!(scene.count(SERVER, Counter::BadAck) >= 3_990);
        scene.talk();
        scene.is_unharmed();
    });
}

/// Whoever hits the window may not decide which timestamps are old: then the honest peer's would be.
#[test]
fn a_forged_timestamp_does_not_shut_the_peer_out() {
    both(|ipv6| {
        let mut scene = Scene::new(ipv6);
        let next = scene.next_expected(SERVER);
        for n in 1..200u32 {
            let mut header = scene.guess(SERVER, TcpFlags::ACK);
            header.seq = next;
            header.options.timestamps = Some(Timestamps { value: n << 24, echo: 0 });
            scene.inject(SERVER, header, Bytes::from_static(b"x"));
        }
        let refused = scene.count(SERVER, Counter::Paws);
        for _ in 0..3 {
            scene.talk();
        }
        scene.is_unharmed();
        assert_eq!(scene.count(SERVER, Counter::Paws), refused, "something of the honest client was refused");
    });
}

#[test]
fn a_blind_answer_to_a_syn_neither_opens_nor_refuses() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(50));
        let listener = pair.listen(pair::knobs());
        let client = pair.open(pair::knobs());
        pair.flush();
        let (local, remote) = pair.hosts[CLIENT].tcp_addresses(client).unwrap();
        let mut numbers = Numbers(3);
        for n in 0..3_000 {
            let flags =
                [TcpFlags::RST | TcpFlags::ACK, TcpFlags::SYN | TcpFlags::ACK, TcpFlags::RST, TcpFlags::ACK];
            let header = TcpHeader {
                source_port: remote.port(),
                destination_port: local.port(),
                seq: Seq(numbers.next() as u32),
                ack: Seq(numbers.next() as u32),
                flags: flags[n % 4],
                window: 1000,
                urgent: 0,
                options: TcpOptions::default(),
            };
            let packet = Packet::tcp(remote.ip(), local.ip(), header, Bytes::new());
            pair.hosts[CLIENT].handle_packet(pair.now, InterfaceId(0), packet);
        }
        pair.run(ms(300));
        assert_eq!(pair.hosts[CLIENT].tcp_info(client).unwrap().state.name(), "ESTABLISHED");
        assert!(pair.hosts[SERVER].tcp_accept(listener).is_some());
        assert!(!pair.events[CLIENT].contains(&Event::Closed(client, Some(SocketError::Refused))));
    });
}

/// CVE-2016-5696: the attacker has a connection of his own and counts the challenge ACKs that he gets in a second, after having
/// guessed into somebody else's. What he gets must not depend on whether he guessed right.
#[test]
fn challenge_acks_tell_nothing_about_other_connections() {
    let gets = |guessed_right: bool| {
        let mut scene = Scene::new(false);
        let next = scene.next_expected(SERVER);
        let other = scene.pair.open(pair::knobs());
        scene.pair.run(ms(50));
        let (mine, _) = scene.pair.hosts[CLIENT].tcp_addresses(other).unwrap();
        let mut own = Vec::new();
        for second in 0..10u64 {
            scene.pair.run_until(narrows_stack::Instant::from_millis(10_000 + second * 1000));
            for n in 0..200u32 {
                let mut header = scene.guess(SERVER, TcpFlags::SYN);
                header.seq = if guessed_right { next + n } else { next - (1 << 30) };
                if !guessed_right {
                    header.flags = TcpFlags::RST;
                }
                scene.inject(SERVER, header, Bytes::new());
            }
            let before = scene.count(SERVER, Counter::ChallengeAcks);
            for _ in 0..200 {
                let mut header = scene.guess(SERVER, TcpFlags::SYN);
                header.source_port = mine.port();
                scene.inject(SERVER, header, Bytes::new());
            }
            own.push(scene.count(SERVER, Counter::ChallengeAcks) - before);
        }
        own
    };
    assert_eq!(gets(true), gets(false));
}

/// Both sides believe in numbers that the other does not: each answer provokes an answer.
#[test]
fn two_hosts_that_disagree_do_not_answer_each_other_without_end() {
    both(|ipv6| {
        let mut scene = Scene::new(ipv6);
        // Data that the client never sent: somebody on the path put it there.
        let expected = scene.next_expected(SERVER);
        let (_, peer) = scene.pair.hosts[SERVER].tcp_addresses(scene.sockets[SERVER]).unwrap();
        let mut header = scene.guess(SERVER, TcpFlags::ACK | TcpFlags::PSH);
        header.seq = expected;
        header.source_port = peer.port();
        header.ack = scene.next_expected(CLIENT);
        scene.pair.keep_log = true;
        scene.inject(SERVER, header, Bytes::from_static(&[1; 500]));
        scene.pair.run(Duration::from_secs(20));
        // Each side may send two such ACKs in a second.
        let bare = scene.pair.log.iter().filter(|seen| seen.packet.payload.is_empty()).count();
        assert!(bare <= 2 * 2 * 20 + 8, "{bare} packets in 20 s");
        assert!(scene.pair.hosts[SERVER].memory_bytes() < 100_000);
    });
}

/// Whoever sees the connection's numbers can end it; whoever sees only the window cannot end it faster than by trying all.
#[test]
fn an_exact_reset_is_believed() {
    let (mut raw, socket) = Raw::connected(raw::knobs(), usual());
    let reset = raw.header(TcpFlags::RST, TcpOptions::default());
    assert!(raw.inject(reset, b"").is_empty());
    assert_eq!(raw.host.tcp_recv(raw.now, socket, 1), Err(SocketError::Reset));
}

/// Data lie beyond a gap: a peer that gives up says so behind all that it has sent.
#[test]
fn a_reset_behind_what_arrived_out_of_order_is_believed() {
    let (mut raw, socket) = Raw::connected(raw::knobs(), usual());
    let mut beyond = raw.header(TcpFlags::ACK, TcpOptions::default());
    beyond.seq += 100;
    raw.inject(beyond.clone(), &[1; 100]);
    beyond.flags = TcpFlags::RST;
    beyond.seq += 50;
    assert_eq!(raw.inject(beyond.clone(), b"").len(), 1, "in the middle it is challenged");
    beyond.seq += 50;
    raw.inject(beyond, b"");
    assert_eq!(raw.host.tcp_recv(raw.now, socket, 1), Err(SocketError::Reset));
}

/// macOS sends RST with the number of its FIN.
#[test]
fn a_reset_that_does_not_count_its_fin_is_believed() {
    let (mut raw, socket) = Raw::connected(raw::knobs(), usual());
    raw.say(TcpFlags::ACK | TcpFlags::FIN, TcpOptions::default(), b"");
    assert_eq!(raw.state(socket), "CLOSE-WAIT");
    let reset = raw.header(TcpFlags::RST, TcpOptions::default());
    raw.inject(reset, b"");
    assert_eq!(raw.state(socket), "CLOSED");
}

/// A peer that has lost its memory sends a SYN: the challenge brings its RST, and the way is free (RFC 5961 §4.2).
#[test]
fn a_peer_that_has_forgotten_the_connection_gets_rid_of_it() {
    both(|ipv6| {
        let mut pair = Pair::new(ipv6, ms(5));
        let [client, server] = pair.connect(pair::knobs(), pair::knobs());
        let (local, remote) = pair.hosts[CLIENT].tcp_addresses(client).unwrap();
        // The client forgets without a word.
        pair.rule = Some(Box::new(|_, _| vec![]));
        pair.hosts[CLIENT].tcp_abort(pair.now, client).unwrap();
        pair.flush();
        pair.rule = None;
        let again = pair.hosts[CLIENT].tcp_connect(pair.now, remote, Some(local), pair::knobs()).unwrap();
        pair.run(ms(3_000));
        assert!(pair.events[SERVER].contains(&Event::Closed(server, Some(SocketError::Reset))));
        assert_eq!(pair.hosts[CLIENT].tcp_info(again).unwrap().state.name(), "ESTABLISHED");
    });
}
