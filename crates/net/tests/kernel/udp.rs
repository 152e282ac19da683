//! Do datagrams and QUIC of ours get on with the real kernel?

use super::peer::{Identity, endpoint_config, exchange_on_stream, serve_echo};
use super::stage::Stage;
use narrows_lab::End;
use narrows_namespaces::permitted;
use narrows_net::UdpSocket;
use narrows_net::lab::Link;
use narrows_net::tun::link_counters;
use narrows_stack::UdpSend;
use narrows_stack::tcp::ecn::Codepoint;
use nix::sys::socket::{setsockopt, sockopt};
use quinn::Endpoint;
use std::io::ErrorKind;
use std::net::UdpSocket as KernelSocket;
use std::time::Duration;

/// Small, exactly a packet of 1500 bytes with IPv4, and several pieces.
const SIZES: [usize; 6] = [0, 1, 1_200, 1_472, 4_000, 20_000];

fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at as u8).wrapping_mul(17)).collect()
}

#[test]
fn datagrams_of_every_size_go_to_the_kernel_and_come_back() {
    if !permitted() {
        return;
    }
    for ipv6 in [false, true] {
        let stage = Stage::new(ipv6, None);
        let to = stage.kernel(7);
        let kernel = stage.in_namespace(move || {
            let socket = KernelSocket::bind(to).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut buffer = vec![0; 65_536];
            for _ in SIZES {
                let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
                socket.send_to(&buffer[..bytes], from).unwrap();
            }
        });
        stage.run(|host| async move {
            let socket = host.udp_bind(0).unwrap();
            socket.connect(to).await.unwrap();
            // Until the kernel's socket is there, its port refuses.
            let mut buffer = vec![0; 65_536];
            for size in SIZES {
                let sent = payload(size);
                loop {
                    match socket.send(&sent).await {
                        Ok(bytes) => assert_eq!(bytes, size),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                            continue;
                        }
                    }
                    match socket.recv(&mut buffer).await {
                        Ok(bytes) => {
                            assert!(buffer[..bytes] == sent, "{size} bytes came back as others");
                            break;
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
            }
        });
        kernel.join().unwrap();
    }
}

#[test]
fn each_is_refused_by_a_closed_port_of_the_other() {
    if !permitted() {
        return;
    }
    for ipv6 in [false, true] {
        let stage = Stage::new(ipv6, None);
        let (to, ours) = (stage.kernel(9), stage.ours(9));
        let (ended, wait) = tokio::sync::oneshot::channel();
        let kernel = stage.in_namespace(move || {
            let socket = KernelSocket::bind((to.ip(), 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket.connect(ours).unwrap();
            socket.send(b"x").unwrap();
            let refused = socket.recv(&mut [0]).unwrap_err();
            ended.send(()).unwrap();
            refused.kind()
        });
        stage.run(|host| async move {
            let socket = UdpSocket::bind(&host, (host.ip(), 0).into()).unwrap();
            socket.connect(to).await.unwrap();
            socket.send(b"x").await.unwrap();
            assert_eq!(socket.recv(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            wait.await.unwrap();
        });
        assert_eq!(kernel.join().unwrap(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn several_datagrams_in_one_call_arrive_one_by_one_on_both_sides() {
    if !permitted() {
        return;
    }
    for (ipv6, offload) in [(false, true), (true, true), (false, false)] {
        let stage = Stage::with(ipv6, |options| options.offload(offload));
        let to = stage.kernel(7);
        let (ready, wait) = tokio::sync::oneshot::channel();
        let kernel = stage.in_namespace(move || {
            let socket = KernelSocket::bind(to).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            ready.send(()).unwrap();
            let mut buffer = vec![0; 65_536];
            let mut sizes = Vec::new();
            let mut all = Vec::new();
            while all.len() < 20_500 {
                let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
                sizes.push(bytes);
                all.extend_from_slice(&buffer[..bytes]);
                if all.len() == 20_500 {
                    setsockopt(&socket, sockopt::UdpGsoSegment, &700).unwrap();
                    socket.send_to(&all, from).unwrap();
                }
            }
            (sizes, all)
        });
        stage.run(|host| async move {
            wait.await.unwrap();
            let socket = host.udp_bind(0).unwrap();
            let how = UdpSend { ecn: Codepoint::Ect0, segment_bytes: Some(1_000), source: None };
            socket.try_send_with(&payload(20_500), to, how).unwrap();
            let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
            while all.len() < 20_500 {
                let bytes = socket.recv(&mut buffer).await.unwrap();
                assert_eq!(bytes, (20_500 - all.len()).min(700));
                all.extend_from_slice(&buffer[..bytes]);
            }
            assert!(all == payload(20_500));
        });
        let (sizes, all) = kernel.join().unwrap();
        assert_eq!(sizes, [&[1_000; 20][..], &[500]].concat(), "offloads: {offload}");
        assert!(all == payload(20_500));
    }
}

#[test]
fn a_link_to_the_kernel_that_is_slower_than_the_sender_fills_its_send_buffer() {
    if !permitted() {
        return;
    }
    let stage = Stage::new(false, Some(Link::new().bits_per_second(1_000_000)));
    let to = stage.kernel(7);
    stage.run(|host| async move {
        let socket = host.udp_bind(0).unwrap();
        let mut sent = 0;
        let full = loop {
            match socket.try_send_to(&[0; 1_472], to) {
                Ok(_) => sent += 1,
                Err(error) => break error,
            }
        };
        // One leaves every 12 ms, also while this loop is held up.
        assert_eq!((full.kind(), sent >= 93), (ErrorKind::WouldBlock, true), "{sent}");
        let begin = std::time::Instant::now();
        socket.writable().await.unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(500), "{:?}", begin.elapsed());
        socket.try_send_to(&[0; 1_472], to).unwrap();
    });
}

/// Bytes each way on each of four streams.
const STREAM: usize = 500_000;

/// Streams there and back; how often the client was told to slow down.
async fn exchange(endpoint: Endpoint, to: std::net::SocketAddr, identity: &Identity) -> u64 {
    let connection = endpoint.connect_with(identity.client(), to, "server").unwrap().await.unwrap();
    let mut streams = tokio::task::JoinSet::new();
    for number in 0..4 {
        let connection = connection.clone();
        streams.spawn(async move { exchange_on_stream(&connection, number, STREAM).await });
    }
    while let Some(ended) = streams.join_next().await {
        ended.unwrap();
    }
    let told = connection.stats().path.congestion_events;
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    told
}

#[test]
fn marks_of_a_queue_between_reach_quinn_on_both_sides_and_the_counts_come_back() {
    if !permitted() {
        return;
    }
    for ipv6 in [false, true] {
        // The echo comes back as fast as the line let it go there: hardly more than the packets that leave together wait on the way back.
        let line =
            Link::new().delay(Duration::from_millis(5)).bits_per_second(100_000_000).mark_above(10_000);
        let stage = Stage::new(ipv6, Some(line));
        let there = stage.kernel(443);
        let identity = std::sync::Arc::new(Identity::new());
        let theirs = std::sync::Arc::clone(&identity);
        let (ready, wait) = tokio::sync::oneshot::channel();
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let kernel = stage.in_namespace(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = Endpoint::server(theirs.server(), there).unwrap();
                serve_echo(&server);
                ready.send(()).unwrap();
                let _ = finished.await;
            });
        });
        stage.run(|host| async move {
            wait.await.unwrap();
            let client = host.quic_endpoint(0, endpoint_config(2), None).unwrap();
            let told = exchange(client, there, &identity).await;
            let [ours, kernels] = [End::First, End::Second].map(|end| link_counters(&host, end).unwrap());
            // The kernel's sockets told their quinn of our marks, and it told ours; and what the kernel's quinn sent was marked, too.
            assert!(ours.marked > 0 && kernels.marked > 0, "{ours:?}, {kernels:?}");
            assert_eq!((ours.dropped_queue_full, kernels.dropped_queue_full), (0, 0));
            assert!(told > 0, "{ours:?}");
            finish.send(()).unwrap();
        });
        kernel.join().unwrap();
    }
}

#[test]
fn quinn_on_our_stack_and_quinn_on_the_kernels_sockets_exchange_streams_in_both_roles() {
    if !permitted() {
        return;
    }
    for (ipv6, offload) in [(false, true), (true, true), (false, false), (true, false)] {
        let stage = Stage::with(ipv6, |options| options.offload(offload));
        let (there, here) = (stage.kernel(443), stage.ours(443));
        let identity = std::sync::Arc::new(Identity::new());
        let theirs = std::sync::Arc::clone(&identity);
        let (ready, wait) = tokio::sync::oneshot::channel();
        let (finish, finished) = tokio::sync::oneshot::channel();
        let kernel = stage.in_namespace(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = Endpoint::server(theirs.server(), there).unwrap();
                serve_echo(&server);
                ready.send(()).unwrap();
                let client = Endpoint::client((there.ip(), 0).into()).unwrap();
                exchange(client, here, &theirs).await;
                let _: Result<(), _> = finished.await;
            });
        });
        stage.run(|host| async move {
            let server = host.quic_endpoint(443, endpoint_config(1), Some(identity.server())).unwrap();
            serve_echo(&server);
            wait.await.unwrap();
            let client = host.quic_endpoint(0, endpoint_config(2), None).unwrap();
            exchange(client, there, &identity).await;
            finish.send(()).unwrap();
            while !kernel.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            kernel.join().unwrap();
        });
    }
}
