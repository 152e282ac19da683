//! Is every program the same run from the same seed, on a bad link? HTTP/1.1, HTTP/2, WebSocket, TLS 1.3; QUIC is in `quic/main.rs`.
//!
//! Compared is when each run ended and what became of its packets, not what they carried: HTTP's `date` is the wall clock's, TLS's and
//! WebSocket's keys are new every time.

use axum::Router;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use narrows_lab::{DirectionCounters, End};
use narrows_net::lab::{Lab, Link};
use narrows_net::{Host, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_tungstenite::tungstenite::Message;

/// Bytes that each program brings to the client.
const BYTES: usize = 200_000;

type Run = (Duration, [DirectionCounters; 2]);

/// How a program's run on a link that loses, holds up and doubles packets looks from outside.
fn run<F: Future<Output = ()>>(seed: u64, program: impl FnOnce(Host, Host) -> F) -> Run {
    let mut lab = Lab::new(seed);
    let (client, server) = (lab.host("client"), lab.host("server"));
    let line = Link::new()
        .delay(Duration::from_millis(40))
        .bits_per_second(20_000_000)
        .loss(0.02)
        .reorder(0.02, Duration::from_millis(2))
        .duplicate(0.01);
    let line = lab.link("client", "server", line);
    lab.time_limit(Duration::from_secs(300));
    lab.run(program(client, server));
    (lab.elapsed(), [End::First, End::Second].map(|end| lab.link_counters(line, end)))
}

/// The same seed is the same run, with losses in it; another is another.
fn is_repeatable<F: Future<Output = ()>>(program: impl Fn(Host, Host) -> F) {
    let first = run(1, &program);
    assert!(first.1.iter().any(|counters| counters.lost_randomly > 0), "nothing was lost: {first:?}");
    for _ in 0..3 {
        assert_eq!(run(1, &program), first);
    }
    assert_ne!(run(2, &program), first);
}

fn serve(server: &Host) {
    let service = Router::new().route("/", get(|| async { "x".repeat(BYTES / 4) }));
    tokio::spawn(axum::serve(server.listen(80).unwrap(), service).into_future());
}

fn request() -> hyper::Request<Empty<&'static [u8]>> {
    hyper::Request::get("http://server/").header("host", "server").body(Empty::new()).unwrap()
}

#[test]
fn http_1_1_requests_one_after_the_other() {
    is_repeatable(|client, server| async move {
        serve(&server);
        let stream = client.connect("server:80").await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..4 {
            let response = sender.send_request(request()).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), BYTES / 4);
        }
    });
}

#[test]
fn http_2_streams_share_one_connection() {
    is_repeatable(|client, server| async move {
        serve(&server);
        let stream = client.connect("server:80").await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let streams: Vec<_> = (0..4)
            .map(|_| {
                let mut sender = sender.clone();
                tokio::spawn(async move {
                    let response = sender.send_request(request()).await.unwrap();
                    assert_eq!(response.version(), hyper::Version::HTTP_2);
                    response.into_body().collect().await.unwrap().to_bytes().len()
                })
            })
            .collect();
        for stream in streams {
            assert_eq!(stream.await.unwrap(), BYTES / 4);
        }
        assert_eq!(client.open_sockets(), 1);
    });
}

#[test]
fn websocket_messages_there_and_back() {
    is_repeatable(|client, server| async move {
        let listener = server.listen(80).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    socket.send(message).await.unwrap();
                }
            }
        });
        let stream = client.connect("server:80").await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async("ws://server/", stream).await.unwrap();
        for number in 0..20 {
            let message = Message::text(format!("{number:010}").repeat(BYTES / 200));
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
    });
}

/// Ed25519, whose signatures have one size; ECDSA's vary, and packets with them.
fn tls() -> (tokio_rustls::TlsConnector, tokio_rustls::TlsAcceptor) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["server".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    // A session that is resumed has other messages than a first one.
    client.resumption = Resumption::disabled();
    (Arc::new(client).into(), Arc::new(server).into())
}

async fn answer(stream: TcpStream, acceptor: tokio_rustls::TlsAcceptor) {
    let mut stream = acceptor.accept(stream).await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    stream.write_all(&vec![b'x'; BYTES]).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[test]
fn tls_1_3() {
    let (connector, acceptor) = tls();
    is_repeatable(|client, server| {
        let (connector, acceptor) = (connector.clone(), acceptor.clone());
        async move {
            let listener = server.listen(443).unwrap();
            tokio::spawn(async move { answer(listener.accept().await.unwrap().0, acceptor).await });
            let stream = client.connect("server:443").await.unwrap();
            let name = ServerName::try_from("server").unwrap();
            let mut stream = connector.connect(name, stream).await.unwrap();
            stream.write_all(b"get\n").await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all.len(), BYTES);
        }
    });
}
