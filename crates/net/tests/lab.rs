//! Do ordinary tokio programs run in the lab, exactly and repeatably?

use narrows_lab::End;
use narrows_net::lab::{Lab, LabError, Link};
use narrows_net::{Host, TcpStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn two(seed: u64, link: Link) -> (Lab, Host, Host) {
    let mut lab = Lab::new(seed);
    let hosts = (lab.host("client"), lab.host("server"));
    lab.link("client", "server", link);
    (lab, hosts.0, hosts.1)
}

/// Sends back what it reads.
fn echo(server: &Host) {
    let listener = server.listen(7).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut reader, mut writer) = stream.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut reader, &mut writer).await });
        }
    });
}

#[test]
fn packets_keep_their_nanoseconds_and_timers_their_milliseconds() {
    let delay = Duration::from_nanos(20_123_457);
    let (mut lab, client, server) = two(1, Link::new().delay(delay));
    lab.run(async move {
        echo(&server);
        let begin = Instant::now();
        let mut stream = client.connect("server:7").await.unwrap();
        assert_eq!(begin.elapsed(), 2 * delay);
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        assert_eq!(begin.elapsed(), 4 * delay);
        // A timer that begins between two ticks ends on one.
        tokio::time::sleep(milliseconds(2)).await;
        let rounded = (4 * delay + milliseconds(2)).as_nanos().div_ceil(1_000_000) * 1_000_000;
        assert_eq!(begin.elapsed().as_nanos(), rounded);
    });
}

#[test]
fn timers_and_packets_happen_in_the_order_of_their_times() {
    let (mut lab, client, server) = two(1, Link::new().delay(Duration::from_micros(2_500)));
    let order = lab.run(async move {
        echo(&server);
        let mut stream = client.connect("server:7").await.unwrap();
        let begin = Instant::now();
        let mut order = Vec::new();
        stream.write_all(b"x").await.unwrap();
        let mut ticks = tokio::time::interval_at(begin + milliseconds(2), milliseconds(2));
        let mut byte = [0];
        for _ in 0..4 {
            tokio::select! {
                biased;
                _ = stream.read_exact(&mut byte) => order.push(("echo", begin.elapsed())),
                _ = ticks.tick() => order.push(("tick", begin.elapsed())),
            }
        }
        order
    });
    let expected = [("tick", 2), ("tick", 4), ("echo", 5), ("tick", 6)];
    assert_eq!(order, expected.map(|(what, at)| (what, milliseconds(at))));
}

#[test]
fn an_hour_of_waiting_takes_no_time_and_a_day_needs_to_be_allowed() {
    let (mut lab, ..) = two(1, Link::new());
    let wall = std::time::Instant::now();
    lab.run(async { tokio::time::sleep(Duration::from_secs(3_500)).await });
    assert_eq!(lab.elapsed(), Duration::from_secs(3_500));
    let day = Duration::from_secs(86_400);
    assert_eq!(
        lab.try_run(async { tokio::time::sleep(day).await }).unwrap_err(),
        LabError::Stuck { last_event: Duration::ZERO }
    );
    lab.time_limit(2 * day);
    lab.run(async { tokio::time::sleep(day / 2).await });
    assert!(wall.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_nobody_will_ever_do_is_reported_and_not_waited_for() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(10)));
    let stuck = lab.try_run(async move {
        let _listener = server.listen(7).unwrap();
        let mut stream = client.connect("server:7").await.unwrap();
        stream.read_exact(&mut [0]).await
    });
    // SYN, SYN-ACK, ACK.
    assert_eq!(stuck.unwrap_err(), LabError::Stuck { last_event: milliseconds(30) });
}

#[test]
fn a_lossy_link_delivers_every_byte_and_the_same_seed_is_the_same_run() {
    let run = |seed| {
        let line = Link::new()
            .delay(milliseconds(30))
            .bits_per_second(20_000_000)
            .loss(0.02)
            .reorder(0.01, milliseconds(5))
            .duplicate(0.01);
        let (mut lab, client, server) = two(seed, line);
        lab.hash_packets();
        let sent: Vec<u8> = (0..300_000_u32).map(|at| (u64::from(at).pow(2) >> 7) as u8).collect();
        let expected = sent.clone();
        let got = lab.run(async move {
            echo(&server);
            let (mut reader, mut writer) = client.connect("server:7").await.unwrap().into_split();
            tokio::spawn(async move { writer.write_all(&sent).await.unwrap() });
            let mut got = Vec::new();
            reader.read_to_end(&mut got).await.unwrap();
            got
        });
        assert!(got == expected);
        (lab.packet_hash().unwrap(), lab.elapsed())
    };
    let first = run(7);
    assert_eq!(run(7), first);
    assert_ne!(run(8), first);
}

#[test]
fn a_link_counts_what_it_has_done() {
    let mut lab = Lab::new(3);
    let (client, server) = (lab.host("client"), lab.host("server"));
    let line = lab.link("client", "server", Link::new().lose([1]));
    lab.run(async move {
        echo(&server);
        let mut stream = client.connect("server:7").await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    });
    assert_eq!(lab.link_counters(line, End::First).lost_as_listed, 1);
    assert_eq!(lab.link_counters(line, End::Second).lost_as_listed, 1);
}

#[test]
fn connecting_fails_as_on_an_operating_system() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(10)));
    lab.run(async move {
        let kind = |result: std::io::Result<TcpStream>| result.unwrap_err().kind();
        assert_eq!(kind(client.connect("server:7").await), ErrorKind::ConnectionRefused);
        assert_eq!(kind(client.connect("nobody:7").await), ErrorKind::NotFound);
        assert_eq!(kind(client.connect("server").await), ErrorKind::InvalidInput);
        assert_eq!(kind(client.connect("[fd00::9]:7").await), ErrorKind::NetworkUnreachable);
        let first = server.listen(7).unwrap();
        assert_eq!(server.listen(7).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(first);
        server.listen(7).unwrap();
        let elsewhere = client.tcp_socket().bind((server.ip(), 9).into()).listen(1);
        assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    });
    let (mut lab, client, _) = two(1, Link::new().loss(1.0));
    let error = lab.run(async move { client.connect("server:7").await.unwrap_err() });
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // Linux's six retransmissions of the SYN, four of them at the first interval.
    assert!(lab.elapsed() > Duration::from_secs(60), "{:?}", lab.elapsed());
}

#[test]
fn a_connection_can_be_closed_in_one_direction_and_used_in_the_other() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(5)));
    lab.run(async move {
        let listener = server.listen(7).unwrap();
        let mut stream = client.connect("server:7").await.unwrap();
        let (mut accepted, from) = listener.accept().await.unwrap();
        assert_eq!(from, stream.local_addr().unwrap());
        assert_eq!(accepted.local_addr().unwrap(), stream.peer_addr().unwrap());
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut question = String::new();
        accepted.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        assert_eq!(stream.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        accepted.write_all(b"answer").await.unwrap();
        drop(accepted);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        drop((stream, listener));
        assert_eq!((client.open_sockets(), server.open_sockets()), (0, 0));
    });
}

#[test]
fn unread_data_and_a_linger_of_zero_reset_the_connection() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(5)));
    lab.run(async move {
        let listener = server.listen(7).unwrap();
        for linger in [false, true] {
            let mut stream = client.connect("server:7").await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            if linger {
                accepted.set_linger(Some(Duration::ZERO)).unwrap();
            } else {
                stream.write_all(b"nobody reads this").await.unwrap();
                accepted.readable().await.unwrap();
            }
            drop(accepted);
            let error = stream.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn closing_with_a_linger_waits_for_the_last_acknowledgment_or_until_its_time_is_up() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(30)));
    lab.run(async move {
        let listener = server.listen(7).unwrap();
        for (linger, takes, complete) in [
            (None, 0..1, true),
            (Some(Duration::ZERO), 0..1, true),
            // A round trip, and the ACK of the FIN may be delayed.
            (Some(milliseconds(500)), 60..110, true),
            (Some(milliseconds(45)), 45..46, false),
        ] {
            let mut stream = client.connect("server:7").await.unwrap();
            let (mut accepted, _) = listener.accept().await.unwrap();
            stream.write_all(b"the last words").await.unwrap();
            stream.set_linger(linger).unwrap();
            assert_eq!(stream.linger().unwrap(), linger);
            let before = tokio::time::Instant::now();
            let closed = stream.close().await;
            let waited = before.elapsed().as_millis();
            assert!(takes.contains(&waited), "{linger:?}: {waited} ms");
            assert_eq!(closed.err().map(|error| error.kind()), (!complete).then_some(ErrorKind::TimedOut));
            let mut heard = String::new();
            let read = accepted.read_to_string(&mut heard).await;
            // The time of waiting changes nothing of what arrives; a time of zero is a reset.
            assert_eq!(read.is_err(), linger == Some(Duration::ZERO));
            assert!(read.is_err() || heard == "the last words");
        }
        // Who stops to wait has closed all the same.
        let mut stream = client.connect("server:7").await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        stream.write_all(b"the last words").await.unwrap();
        stream.set_linger(Some(Duration::from_secs(5))).unwrap();
        assert!(tokio::time::timeout(milliseconds(10), stream.close()).await.is_err());
        let mut heard = String::new();
        accepted.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "the last words");
        drop(accepted);
        tokio::time::sleep(milliseconds(200)).await;
        assert_eq!((client.open_sockets(), server.open_sockets()), (0, 0));
    });
}

#[test]
fn a_dropped_attempt_to_connect_leaves_nothing_behind() {
    let (mut lab, client, _) = two(1, Link::new().delay(milliseconds(500)).loss(1.0));
    lab.run(async move {
        let attempt = tokio::time::timeout(milliseconds(300), client.connect("server:7")).await;
        assert!(attempt.is_err());
        assert_eq!(client.open_sockets(), 0);
    });
}

#[test]
fn knobs_are_those_of_the_table_and_can_be_turned_at_any_time() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(5)));
    lab.run(async move {
        echo(&server);
        let stream = client.connect("server:7").await.unwrap();
        assert!(!stream.nodelay().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        stream.set_knob("keepalive", "true").unwrap();
        assert!(stream.knobs().unwrap().keepalive);
        assert_eq!(stream.set_knob("nodelays", "true").unwrap_err().kind(), ErrorKind::InvalidInput);
        let wrong = client.tcp_socket().knob("initcwnd", "many").unwrap_err();
        assert!(wrong.to_string().contains("segments"), "{wrong}");
        assert_eq!(stream.info().unwrap().rtt_ns, 10_000_000);
    });
}

#[test]
fn halves_can_be_put_together_again_and_only_with_their_own() {
    let (mut lab, client, server) = two(1, Link::new());
    lab.run(async move {
        echo(&server);
        let (a_read, a_write) = client.connect("server:7").await.unwrap().into_split();
        let (b_read, b_write) = client.connect("server:7").await.unwrap().into_split();
        let error = a_read.reunite(b_write).unwrap_err();
        let (a_read, b_write) = (error.0, error.1);
        let mut a = a_read.reunite(a_write).unwrap();
        a.write_all(b"still open").await.unwrap();
        drop(b_write);
        let mut rest = Vec::new();
        let mut b_read = b_read;
        assert_eq!(b_read.read_to_end(&mut rest).await.unwrap(), 0);
        a.read_exact(&mut [0; 10]).await.unwrap();
    });
}

#[test]
fn writes_wait_for_room_and_nonblocking_calls_say_so() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(20)).bits_per_second(10_000_000));
    lab.run(async move {
        let listener = server.listen(7).unwrap();
        let stream = client.tcp_socket().knob("sndbuf", "20000").unwrap().connect("server:7").await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let block = vec![7; 1_000_000];
        assert_eq!(accepted.try_read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut written = 0;
        loop {
            match stream.try_write(&block) {
                Ok(bytes) => written += bytes,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert!((20_000..60_000).contains(&written), "{written}");
        stream.writable().await.unwrap();
        assert!(stream.try_write(&block).unwrap() > 0);
        accepted.readable().await.unwrap();
        assert!(accepted.try_read(&mut [0; 10]).unwrap() == 10);
    });
}

#[test]
fn several_writes_gathered_are_one_write() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(20)));
    lab.run(async move {
        let listener = server.listen(7).unwrap();
        let mut stream = client.connect("server:7").await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        let slices = [std::io::IoSlice::new(b"head"), std::io::IoSlice::new(b"body")];
        assert_eq!(stream.write_vectored(&slices).await.unwrap(), 8);
        assert_eq!(accepted.read(&mut [0; 20]).await.unwrap(), 8);
        assert_eq!(stream.info().unwrap().data_segs_out, 1);
    });
}

#[test]
fn routers_and_ipv6_and_three_hosts() {
    let mut lab = Lab::new(1).ipv6();
    let (client, server, other) = (lab.host("client"), lab.host("server"), lab.host("other"));
    lab.router("router");
    for name in ["client", "server", "other"] {
        lab.link(name, "router", Link::new().delay(milliseconds(5)));
    }
    assert!(client.ip().is_ipv6());
    lab.run(async move {
        echo(&server);
        for host in [client, other] {
            let begin = Instant::now();
            host.connect("server:7").await.unwrap();
            assert_eq!(begin.elapsed(), milliseconds(20));
        }
    });
}

#[test]
fn a_lab_that_makes_no_sense_says_what_is_wrong() {
    let mut lab = Lab::new(1);
    lab.host("client");
    lab.link("client", "sever", Link::new());
    let error = lab.try_run(async {}).unwrap_err().to_string();
    assert!(error.contains("`sever`") && error.contains("client"), "{error}");
    let mut lab = Lab::new(1);
    lab.host("twice");
    lab.host("twice");
    assert!(matches!(lab.try_run(async {}), Err(LabError::World(_))));
    let (mut lab, ..) = two(1, Link::new());
    lab.run(async {});
    lab.host("late");
    assert_eq!(lab.try_run(async {}).unwrap_err(), LabError::TooLate("late".to_owned()));
}

#[test]
fn tasks_stay_between_runs_and_time_goes_on() {
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(5)));
    lab.run(async { echo(&server) });
    let mut stream = lab.run(client.connect("server:7")).unwrap();
    assert_eq!(lab.elapsed(), milliseconds(10));
    // Calls between runs happen at the time at which the lab stands.
    stream.try_write(b"x").unwrap();
    lab.run(stream.read_exact(&mut [0])).unwrap();
    assert_eq!(lab.elapsed(), milliseconds(20));
    drop(lab);
    assert!(stream.try_write(b"x").is_ok(), "the host lives as long as its sockets");
}

#[test]
fn a_panic_in_the_future_leaves_the_lab_usable_and_the_capture_readable() {
    let path = std::env::temp_dir().join(format!("narrows-net-{}.pcapng", std::process::id()));
    let (mut lab, client, server) = two(1, Link::new().delay(milliseconds(5)));
    lab.capture_to(&path);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        lab.run(async {
            echo(&server);
            client.connect("server:7").await.unwrap();
            panic!("the test fails");
        });
    }));
    assert!(failed.is_err());
    assert_eq!(lab.elapsed(), milliseconds(10));
    lab.run(client.connect("server:7")).unwrap();
    drop(lab);
    let written = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written[..4], 0x0a0d_0d0a_u32.to_le_bytes());
    assert!(written.len() > 1_000);
}
