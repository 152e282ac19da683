//! Are datagrams in the lab what tokio's and Linux's are?

use narrows_net::lab::{Lab, LabError, Link};
use narrows_net::{Host, UdpSocket};
use narrows_stack::Knobs;
use narrows_stack::knob::PmtuDiscovery;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{Interest, ReadBuf};
use tokio::time::Instant;

/// Linux's number; its error kind has no name.
const EMSGSIZE: i32 = 90;

fn two(link: Link) -> (Lab, Host, Host) {
    let mut lab = Lab::new(1);
    let hosts = (lab.host("client"), lab.host("server"));
    lab.link("client", "server", link);
    (lab, hosts.0, hosts.1)
}

fn knobs(changes: &[(&str, &str)]) -> Knobs {
    let mut knobs = Knobs::default();
    changes.iter().for_each(|(name, value)| knobs.set(name, value).unwrap());
    knobs
}

#[test]
fn datagrams_arrive_whole_with_their_sender_after_the_links_delay() {
    for ipv6 in [false, true] {
        let mut lab = Lab::new(1);
        if ipv6 {
            lab = lab.ipv6();
        }
        let (client, server) = (lab.host("client"), lab.host("server"));
        let delay = Duration::from_nanos(20_123_457);
        lab.link("client", "server", Link::new().delay(delay));
        lab.run(async move {
            let (asking, answering) = (client.udp_bind(0).unwrap(), server.udp_bind(53).unwrap());
            assert_eq!(asking.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
            assert!(asking.send(b"x").await.is_err(), "to nobody");
            asking.connect("server:53").await.unwrap();
            assert_eq!(asking.peer_addr().unwrap(), (server.ip(), 53).into());
            let begin = Instant::now();
            for payload in [&b"first"[..], b"", b"third"] {
                assert_eq!(asking.send(payload).await.unwrap(), payload.len());
            }
            let mut buffer = [0; 8];
            for payload in [&b"first"[..], b"", b"third"] {
                let (bytes, from) = answering.recv_from(&mut buffer).await.unwrap();
                assert_eq!(&buffer[..bytes], payload);
                assert_eq!(from, asking.local_addr().unwrap());
                assert_eq!(from.ip(), client.ip());
            }
            assert_eq!(begin.elapsed(), delay);
            assert_eq!(answering.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
            // What does not fit is lost; the next datagram is not touched by that.
            answering.send_to(b"longer than the room", asking.local_addr().unwrap()).await.unwrap();
            answering.send_to(b"next", asking.local_addr().unwrap()).await.unwrap();
            assert_eq!(asking.recv(&mut buffer[..6]).await.unwrap(), 6);
            assert_eq!(&buffer[..6], b"longer");
            asking.readable().await.unwrap();
            let mut room = ReadBuf::new(&mut buffer);
            std::future::poll_fn(|context| asking.poll_recv(context, &mut room)).await.unwrap();
            assert_eq!(room.filled(), b"next");
            drop((asking, answering));
            assert_eq!((client.open_sockets(), server.open_sockets()), (0, 0));
        });
    }
}

#[test]
fn a_connected_socket_hears_its_peer_only_and_an_address_is_bound_once() {
    let (mut lab, client, server) = two(Link::new());
    lab.run(async move {
        let (peer, stranger) = (client.udp_bind(1_000).unwrap(), client.udp_bind(1_001).unwrap());
        let socket = server.udp_bind(53).unwrap();
        assert_eq!(server.udp_bind(53).unwrap_err().kind(), ErrorKind::AddrInUse);
        let elsewhere = UdpSocket::bind(&server, (client.ip(), 0).into());
        assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        socket.connect("client:1000").await.unwrap();
        stranger.send_to(b"stranger", "server:53").await.unwrap();
        peer.send_to(b"peer", "server:53").await.unwrap();
        let mut buffer = [0; 16];
        let bytes = socket.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..bytes], b"peer");
        drop(socket);
        assert!(server.udp_bind(53).is_ok(), "closed, so it is free again");
    });
}

#[test]
fn a_closed_port_refuses_a_connected_socket_once_and_wakes_who_waits() {
    let (mut lab, client, server) = two(Link::new().delay(Duration::from_millis(10)));
    lab.run(async move {
        let socket = client.udp_bind(0).unwrap();
        socket.send_to(b"x", "server:9").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let unconnected = socket.try_recv(&mut [0]).unwrap_err();
        assert_eq!(unconnected.kind(), ErrorKind::WouldBlock, "not connected: not told");
        socket.connect("server:9").await.unwrap();
        socket.send(b"x").await.unwrap();
        let begin = Instant::now();
        assert_eq!(socket.recv(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(begin.elapsed(), Duration::from_millis(20));
        assert_eq!(socket.try_recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "told once");
        // Whichever call comes next is told.
        socket.send(b"x").await.unwrap();
        socket.readable().await.unwrap();
        assert_eq!(socket.send(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let _there = server.udp_bind(9).unwrap();
        assert!(socket.send(b"x").await.is_ok());
    });
}

#[test]
fn pmtu_discovery_decides_what_becomes_of_a_datagram_larger_than_the_path() {
    // The second link is smaller; the lab's router reports what is too big, and cuts nothing. Whether the second datagram is taken, and
    // how many arrive.
    for (mode, taken, arrive) in [("do", false, 0), ("probe", true, 0), ("want", true, 1), ("dont", true, 1)]
    {
        let mut lab = Lab::new(1);
        let client = lab.host_with("client", knobs(&[("pmtu_discovery", mode)]));
        let server = lab.host("server");
        lab.router("router");
        lab.link("client", "router", Link::new().delay(Duration::from_millis(1)));
        lab.link("router", "server", Link::new().mtu(1_280));
        lab.run(async move {
            let (socket, there) = (client.udp_bind(0).unwrap(), server.udp_bind(7).unwrap());
            socket.connect("server:7").await.unwrap();
            assert_eq!(socket.path_mtu("server:7").unwrap(), 1_500);
            let large = [7; 1_400];
            assert!(socket.send(&large).await.is_ok(), "{mode}: nobody knows the path yet");
            tokio::time::sleep(Duration::from_millis(10)).await;
            let told = socket.try_recv(&mut [0]).unwrap_err();
            assert_eq!(told.raw_os_error() == Some(EMSGSIZE), mode != "dont", "{mode}: {told}");
            assert_eq!(socket.path_mtu("server:7").unwrap(), 1_280, "{mode}");
            let again = socket.send(&large).await;
            assert_eq!(again.is_ok(), taken, "{mode}");
            if let Err(error) = again {
                assert_eq!(error.raw_os_error(), Some(EMSGSIZE), "{mode}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            let (mut buffer, mut arrived) = ([0; 2_000], 0);
            while let Ok(bytes) = there.try_recv(&mut buffer) {
                assert_eq!(&buffer[..bytes], &large);
                arrived += 1;
            }
            assert_eq!(arrived, arrive, "{mode}");
        });
    }
}

#[test]
fn a_full_queue_drops_what_comes_and_counts_it() {
    let mut lab = Lab::new(1);
    let (client, server) = (lab.host("client"), lab.host_with("server", knobs(&[("rcvbuf", "20000")])));
    lab.link("client", "server", Link::new());
    lab.run(async move {
        let (socket, there) = (client.udp_bind(0).unwrap(), server.udp_bind(7).unwrap());
        for number in 0..100_u8 {
            socket.send_to(&[number; 1_000], "server:7").await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (mut buffer, mut kept) = ([0; 1_000], 0);
        while there.try_recv(&mut buffer).is_ok() {
            assert_eq!(buffer[0], kept, "the first ones are kept, in their order");
            kept += 1;
        }
        assert!((5..=20).contains(&kept), "{kept}");
        assert_eq!(there.dropped(), 100 - u64::from(kept));
    });
}

#[test]
fn any_number_of_tasks_may_read_one_socket() {
    let (mut lab, client, server) = two(Link::new().delay(Duration::from_millis(5)));
    let sum = lab.run(async move {
        let there = std::sync::Arc::new(server.udp_bind(7).unwrap());
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let there = there.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 1];
                    there.recv_from(&mut buffer).await.unwrap();
                    u32::from(buffer[0])
                })
            })
            .collect();
        let socket = client.udp_bind(0).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        for number in 0..8 {
            socket.send_to(&[number], "server:7").await.unwrap();
        }
        let mut sum = 0;
        for reader in readers {
            sum += reader.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, (0..8).sum());
}

#[test]
fn who_waits_for_a_datagram_that_was_lost_is_told_that_nothing_happens() {
    let (mut lab, client, server) = two(Link::new().loss(1.0));
    let result = lab.try_run(async move {
        let there = server.udp_bind(7).unwrap();
        client.udp_bind(0).unwrap().send_to(b"x", "server:7").await.unwrap();
        there.recv(&mut [0]).await
    });
    assert!(matches!(result, Err(LabError::Stuck { .. })), "{result:?}");
}

#[test]
fn a_datagram_can_be_looked_at_before_it_is_taken_and_sockets_say_what_they_are_ready_for() {
    let (mut lab, client, server) = two(Link::new().delay(Duration::from_millis(5)));
    lab.run(async move {
        let (asking, answering) = (client.udp_bind(0).unwrap(), server.udp_bind(53).unwrap());
        asking.connect("server:53").await.unwrap();
        asking.writable().await.unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        assert!(asking.ready(both).await.unwrap().is_writable());
        assert!(!asking.ready(both).await.unwrap().is_readable());
        let mut buffer = [0; 8];
        assert_eq!(answering.try_peek_from(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        asking.send(b"first").await.unwrap();
        asking.send(b"second").await.unwrap();
        assert!(answering.ready(Interest::READABLE).await.unwrap().is_readable());
        for _ in 0..2 {
            let (bytes, from) = answering.peek_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..bytes], from), (&b"first"[..], asking.local_addr().unwrap()));
        }
        assert_eq!(answering.recv(&mut buffer).await.unwrap(), 5);
        assert_eq!(answering.peek(&mut buffer[..3]).await.unwrap(), 3);
        assert_eq!(answering.recv(&mut buffer).await.unwrap(), 6);
    });
}

#[test]
fn knobs_of_a_socket_can_be_turned_after_it_was_bound() {
    let (mut lab, client, server) = two(Link::new());
    lab.run(async move {
        let (sending, receiving) = (client.udp_bind(0).unwrap(), server.udp_bind(53).unwrap());
        receiving.set_knob("rcvbuf", "3000").unwrap();
        sending.set_knob("pmtu_discovery", "do").unwrap();
        assert_eq!(sending.pmtu_discovery(), PmtuDiscovery::Do);
        let too_long = sending.send_to(&[0; 2_000], "server:53").await.unwrap_err();
        assert_eq!(too_long.raw_os_error(), Some(EMSGSIZE));
        for _ in 0..5 {
            sending.send_to(&[0; 1_000], "server:53").await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(receiving.dropped(), 3, "1,768 bytes each; full is more than 3,000");
        for (name, value) in [("nodelay", "true"), ("rcvbuf", "much"), ("nothing", "1")] {
            assert_eq!(sending.set_knob(name, value).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        }
    });
}

/// Sends until there is no room; how many datagrams found some.
fn fill(socket: &UdpSocket, bytes: usize) -> usize {
    let payload = vec![0; bytes];
    let error = (0..1_000).find_map(|sent| socket.try_send(&payload).err().map(|error| (sent, error)));
    let (sent, error) = error.expect("a buffer that fills");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    sent
}

#[test]
fn a_slow_link_fills_the_send_buffer_as_on_linux_and_half_of_it_wakes_the_sender() {
    let (mut lab, client, server) = two(Link::new().bits_per_second(1_000_000));
    lab.run(async move {
        let _receiving = server.udp_bind(9).unwrap();
        let sending = client.udp_bind(0).unwrap();
        sending.connect("server:9").await.unwrap();
        assert_eq!(fill(&sending, 1_472), 93);
        // Each takes 2,304 of 212,992 bytes, and 12 ms: 47 have to go until half is free.
        let begin = Instant::now();
        sending.writable().await.unwrap();
        assert_eq!(begin.elapsed(), Duration::from_millis(47 * 12));
        assert_eq!(fill(&sending, 1_472), 47);
        // Who does not wait for the socket sees the room that there is by then.
        tokio::time::sleep(Duration::from_millis(12)).await;
        assert_eq!(fill(&sending, 1_472), 1);
    });
}

#[test]
fn a_sender_that_waits_for_room_loses_nothing_in_its_own_queue() {
    let mut lab = Lab::new(1);
    let (client, server) = (lab.host("client"), lab.host("server"));
    let line = lab.link("client", "server", Link::new().bits_per_second(1_000_000).queue_bytes(160_000));
    let received = lab.run(async move {
        let receiving = server.udp_bind(9).unwrap();
        let sending = client.udp_bind(0).unwrap();
        sending.connect("server:9").await.unwrap();
        let begin = Instant::now();
        let sender = tokio::spawn(async move {
            for _ in 0..500 {
                sending.send(&[0; 1_472]).await.unwrap();
            }
            begin.elapsed()
        });
        let mut buffer = [0; 1_472];
        for _ in 0..500 {
            assert_eq!(receiving.recv(&mut buffer).await.unwrap(), 1_472);
        }
        assert_eq!(begin.elapsed(), Duration::from_millis(500 * 12), "the link is never idle");
        sender.await.unwrap()
    });
    assert!(received >= Duration::from_millis((500 - 93) * 12), "{received:?}");
    assert_eq!(lab.link_counters(line, narrows_lab::End::First).dropped_queue_full, 0);
}

#[test]
fn sndbuf_says_how_many_datagrams_wait_as_linux_counts_them() {
    // SO_SNDBUF, bytes of each, and how many a non-blocking socket of Linux 6.18 took for a neighbour that did not answer.
    let measured = [
        (5_000, 0, 13),
        (5_000, 1_000, 5),
        (50_000, 0, 121),
        (50_000, 1_400, 44),
        (0, 0, 256),
        (0, 1_000, 93),
    ];
    for (sndbuf, bytes, taken) in measured {
        let (mut lab, client, server) = two(Link::new().bits_per_second(1_000_000));
        lab.run(async move {
            let _receiving = server.udp_bind(9).unwrap();
            let knobs = knobs(&[("sndbuf", &sndbuf.to_string())]);
            let sending = UdpSocket::bind_with(&client, (client.ip(), 0).into(), &knobs).unwrap();
            sending.connect((server.ip(), 9)).await.unwrap();
            assert_eq!(fill(&sending, bytes), taken, "SO_SNDBUF {sndbuf}, {bytes} bytes");
            sending.writable().await.unwrap();
            // In pieces at most twice the buffer (ENOBUFS).
            let pieces = sending.try_send(&[0; 60_000]);
            assert_eq!(pieces.err().and_then(|error| error.raw_os_error()), (sndbuf == 5_000).then_some(105));
        });
    }
}
