//! Does our stack get on with the real kernel? In a network namespace with a TUN device; needs root, and says so where it is not.

mod cookies;
mod endurance;
#[path = "../quic/peer.rs"]
mod peer;
mod stage;
mod udp;

use narrows_lab::End;
use narrows_namespaces::{installed, permitted};
use narrows_net::lab::Link;
use narrows_net::tun;
use stage::Stage;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes that nobody sends by mistake.
fn pattern(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&state.to_be_bytes());
    }
    out.truncate(bytes);
    out
}

/// Each bad link, and none.
fn links() -> [Option<Link>; 3] {
    let short = Link::new().delay(Duration::from_millis(2));
    [
        None,
        Some(short.clone().loss(0.02)),
        Some(short.reorder(0.05, Duration::from_millis(1)).duplicate(0.05).bits_per_second(200_000_000)),
    ]
}

#[test]
fn the_kernel_connects_and_both_send_at_once() {
    if !permitted() {
        return;
    }
    for ipv6 in [false, true] {
        for link in links() {
            let bytes = if link.is_none() { 8_000_000 } else { 600_000 };
            let stage = Stage::new(ipv6, link.clone());
            let address = stage.ours(80);
            let (up, down) = (pattern(bytes, 1), pattern(bytes, 2));
            let (up_sent, down_expected) = (up.clone(), down.clone());
            let kernel = stage.in_namespace(move || {
                let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap();
                let mut reader = stream.try_clone().unwrap();
                let reading = std::thread::spawn(move || {
                    let mut all = Vec::new();
                    reader.read_to_end(&mut all).unwrap();
                    all
                });
                stream.write_all(&up_sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                assert!(reading.join().unwrap() == down_expected, "the kernel read other bytes");
            });
            stage.run(|host| async move {
                let listener = host.listen(80).unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                let (mut reader, mut writer) = stream.into_split();
                let writing = tokio::spawn(async move {
                    writer.write_all(&down).await.unwrap();
                    writer.shutdown().await.unwrap();
                });
                let mut all = Vec::new();
                reader.read_to_end(&mut all).await.unwrap();
                assert!(all == up, "we read other bytes");
                writing.await.unwrap();
                drop((reader, listener));
                assert_eq!(host.open_sockets(), 0);
                if link.is_some() {
                    let counters =
                        [End::First, End::Second].map(|end| tun::link_counters(&host, end).unwrap());
                    let harm: u64 =
                        counters.iter().map(|c| c.lost_randomly + c.reordered + c.duplicated).sum();
                    assert!(harm > 0, "the link was perfect: {counters:?}");
                }
            });
            kernel.join().unwrap();
        }
    }
}

#[test]
fn we_connect_and_close_in_one_direction() {
    if !permitted() {
        return;
    }
    for ipv6 in [false, true] {
        for link in links() {
            let stage = Stage::new(ipv6, link);
            let listener = stage.kernel_listener();
            let address = listener.local_addr().unwrap();
            let kernel = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut question = Vec::new();
                stream.read_to_end(&mut question).unwrap();
                // Half a connection is enough for the answer.
                stream.write_all(&question).unwrap();
            });
            stage.run(|host| async move {
                let question = pattern(300_000, 3);
                let mut stream = host.connect(address).await.unwrap();
                stream.write_all(&question).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                assert!(answer == question);
            });
            kernel.join().unwrap();
        }
    }
}

#[test]
fn resets_arrive_on_both_sides() {
    if !permitted() {
        return;
    }
    let stage = Stage::new(false, None);
    let listener = stage.kernel_listener();
    let (address, ours) = (listener.local_addr().unwrap(), stage.ours(80));
    let kernel = stage.in_namespace(move || {
        // Data that nobody reads: the kernel resets.
        let (stream, _) = listener.accept().unwrap();
        stream.peek(&mut [0]).unwrap();
        drop((stream, listener));
        // We reset, perhaps before `connect` has returned.
        let reset = TcpStream::connect(ours).and_then(|mut stream| stream.read(&mut [0]));
        assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset);
        // Nobody listens.
        let nobody = TcpStream::connect((ours.ip(), 81)).unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::ConnectionRefused);
    });
    stage.run(|host| async move {
        let listener = host.listen(80).unwrap();
        let mut stream = host.connect(address).await.unwrap();
        stream.write_all(b"unread").await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let (accepted, _) = listener.accept().await.unwrap();
        accepted.set_linger(Some(Duration::ZERO)).unwrap();
        drop(accepted);
        while host.counters().get(narrows_stack::Counter::NoSocket) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let refused = host.connect((address.ip(), 1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
    kernel.join().unwrap();
}

#[test]
fn a_device_without_offloads_and_a_large_mtu_carry_the_same() {
    if !permitted() {
        return;
    }
    for (offload, mtu) in [(false, 1_500), (false, 9_000), (true, 9_000)] {
        let stage = Stage::with(false, |options| options.offload(offload).mtu(mtu));
        let address = stage.ours(80);
        let data = pattern(2_000_000, 4);
        let expected = data.clone();
        let kernel = stage.in_namespace(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            assert!(all == expected);
            stream.write_all(&all).unwrap();
        });
        stage.run(|host| async move {
            let (stream, _) = host.listen(80).unwrap().accept().await.unwrap();
            let (mut reader, mut writer) = stream.into_split();
            writer.write_all(&data).await.unwrap();
            drop(writer);
            let mut all = Vec::new();
            reader.read_to_end(&mut all).await.unwrap();
            assert!(all == data);
        });
        kernel.join().unwrap();
    }
}

#[test]
fn many_connections_one_after_the_other_and_at_once() {
    if !permitted() {
        return;
    }
    const ONE_BY_ONE: usize = 1_000;
    const AT_ONCE: usize = 200;
    let stage = Stage::new(false, None);
    let address = stage.ours(80);
    let kernel = stage.in_namespace(move || {
        for number in 0..ONE_BY_ONE {
            exchange(TcpStream::connect(address).unwrap(), number);
        }
        let all: Vec<TcpStream> = (0..AT_ONCE).map(|_| TcpStream::connect(address).unwrap()).collect();
        all.into_iter().enumerate().for_each(|(number, stream)| exchange(stream, number));
    });
    stage.run(|host| async move {
        let listener = host.listen(80).unwrap();
        for _ in 0..ONE_BY_ONE + AT_ONCE {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.into_split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            });
        }
        drop(listener);
        while host.open_sockets() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    kernel.join().unwrap();
}

fn exchange(mut stream: TcpStream, number: usize) {
    let text = number.to_string();
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, text);
}

#[test]
fn a_listener_of_the_kernel_is_not_disturbed_by_our_coming_and_going() {
    if !permitted() {
        return;
    }
    let stage = Stage::new(true, None);
    let listener: TcpListener = stage.kernel_listener();
    let address = listener.local_addr().unwrap();
    let kernel = std::thread::spawn(move || {
        for number in 0..300 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, number.to_string());
        }
    });
    stage.run(|host| async move {
        for number in 0..300 {
            let mut stream = host.connect(address).await.unwrap();
            stream.write_all(number.to_string().as_bytes()).await.unwrap();
        }
        assert_eq!(host.open_sockets(), 0);
    });
    kernel.join().unwrap();
}

/// Runs a program in the namespace; what it printed.
fn program(stage: &Stage, line: &[&str]) -> std::thread::JoinHandle<String> {
    let line: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
    stage.in_namespace(move || {
        let out = std::process::Command::new(&line[0]).args(&line[1..]).output().expect("a program");
        assert!(out.status.success(), "{line:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    })
}

#[test]
fn curl_reads_and_writes_an_axum_service() {
    if !permitted() || !installed("curl") {
        return;
    }
    for (ipv6, link) in [(false, None), (true, None), (false, links()[1].clone())] {
        let stage = Stage::new(ipv6, link);
        let url = format!("http://{}/", stage.ours(80));
        let reading = program(&stage, &["curl", "-sS", "--max-time", "30", &url]);
        let data = "0123456789".repeat(20_000);
        let writing =
            program(&stage, &["curl", "-sS", "--max-time", "30", "--data-raw", &data[..100_000], &url]);
        let (read, written) = stage.run(|host| async move {
            let get = axum::routing::get(|| async { "x".repeat(200_000) });
            let both = get.post(|body: axum::body::Bytes| async move { body.len().to_string() });
            let service = axum::Router::new().route("/", both);
            tokio::spawn(axum::serve(host.listen(80).unwrap(), service).into_future());
            tokio::task::spawn_blocking(move || (reading.join().unwrap(), writing.join().unwrap()))
                .await
                .unwrap()
        });
        assert_eq!(read, "x".repeat(200_000));
        assert_eq!(written, "100000");
    }
}

#[test]
fn nginx_answers_us() {
    if !permitted() || !installed("nginx") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("narrows-net-nginx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("page"), pattern(3_000_000, 5)).unwrap();
    let path = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {path}/pid; error_log {path}/error; events {{ }}\n\
         http {{ access_log off; client_body_temp_path {path}; proxy_temp_path {path}; fastcgi_temp_path {path};\n\
         uwsgi_temp_path {path}; scgi_temp_path {path}; server {{ listen 80; listen [::]:80; root {path}; }} }}\n"
    );
    std::fs::write(folder.join("conf"), config).unwrap();
    for ipv6 in [false, true] {
        for link in links() {
            let stage = Stage::new(ipv6, link);
            let address = stage.kernel(80);
            let conf = folder.join("conf");
            let (send, receive) = std::sync::mpsc::channel();
            let nginx = stage.in_namespace(move || {
                let mut child = std::process::Command::new("nginx").arg("-c").arg(conf).spawn().unwrap();
                let _: Result<(), _> = receive.recv();
                child.kill().unwrap();
                child.wait().unwrap();
            });
            stage.run(|host| async move {
                let mut stream = loop {
                    match host.connect(address).await {
                        Ok(stream) => break stream,
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                };
                stream.write_all(b"GET /page HTTP/1.0\r\n\r\n").await.unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                let body = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
                assert!(answer.starts_with(b"HTTP/1.1 200") && answer[body..] == pattern(3_000_000, 5));
            });
            drop(send);
            nginx.join().unwrap();
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Joins two streams until both have ended.
async fn join(mut one: impl Duplex, mut other: impl Duplex) {
    // A reset is how iperf3 ends some of its connections.
    let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
}

trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Duplex for T {}

#[test]
fn iperf3_measures_both_ways_in_both_roles() {
    if !permitted() || !installed("iperf3") {
        return;
    }
    let mut stage = Stage::new(false, None);
    let tun = stage.take();
    let (ours, kernel) = (stage.ours(5_201), stage.kernel(5_201));
    // Our side needs sockets of the kernel, too: iperf3's server listens there.
    let runs = stage.in_namespace(move || {
        let mut server = std::process::Command::new("iperf3")
            .arg("--server")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let results = runtime.block_on(async move {
            let host = tun.host().unwrap();
            // The kernel connects to us …
            let listener = host.listen(5_201).unwrap();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    // Until the server listens, its clients are turned away and come again.
                    if let Ok(server) = tokio::net::TcpStream::connect("127.0.0.1:5201").await {
                        tokio::spawn(join(stream, server));
                    }
                }
            });
            // … and we to the kernel.
            let entrance = tokio::net::TcpListener::bind("127.0.0.1:5202").await.unwrap();
            tokio::spawn(async move {
                while let Ok((stream, _)) = entrance.accept().await {
                    tokio::spawn(join(stream, host.connect(kernel).await.unwrap()));
                }
            });
            let mut results = Vec::new();
            for (address, port) in [(ours.ip().to_string(), "5201"), ("127.0.0.1".to_owned(), "5202")] {
                for reverse in [&[][..], &["--reverse"][..]] {
                    let mut tries = 0;
                    let text = loop {
                        let out = tokio::process::Command::new("iperf3")
                            .args(["--client", &address, "--port", port, "--time", "1", "--json"])
                            .args(reverse)
                            .output()
                            .await
                            .unwrap();
                        tries += 1;
                        // The server needs a moment to listen, and between two clients; some versions call that a success.
                        let text = String::from_utf8(out.stdout).unwrap();
                        if out.status.success() && text.contains("\"sum_received\"") || tries == 100 {
                            break text;
                        }
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    };
                    results.push(text);
                }
            }
            results
        });
        server.kill().unwrap();
        server.wait().unwrap();
        results
    });
    for text in runs.join().unwrap() {
        let received = text.split("\"sum_received\"").nth(1).expect("a result");
        let bytes: u64 = received
            .split("\"bytes\":")
            .nth(1)
            .and_then(|rest| rest.trim_start().split(|c: char| !c.is_ascii_digit()).next())
            .and_then(|digits| digits.parse().ok())
            .expect("bytes received");
        assert!(bytes > 10_000_000, "{bytes} bytes in a second");
    }
}
