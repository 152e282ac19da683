//! Do the programs that people write run unmodified on a bad link? HTTP, server-sent events, WebSocket, TLS.

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use narrows_net::Host;
use narrows_net::lab::{Lab, Link};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_tungstenite::tungstenite::Message;

const ROUND_TRIP: Duration = Duration::from_millis(80);

fn lab(seed: u64, loss: f64) -> (Lab, Host, Host) {
    let mut lab = Lab::new(seed);
    let hosts = (lab.host("client"), lab.host("server"));
    let line = Link::new().delay(ROUND_TRIP / 2).bits_per_second(50_000_000).loss(loss);
    lab.link("client", "server", line);
    (lab, hosts.0, hosts.1)
}

async fn request(client: &Host, path: &str) -> hyper::Response<hyper::body::Incoming> {
    let stream = client.connect("server:80").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(path).header("host", "server").body(Empty::<&[u8]>::new()).unwrap();
    sender.send_request(request).await.unwrap()
}

#[test]
fn axum_answers_hyper_over_a_lossy_link() {
    for seed in 0..5 {
        let (mut lab, client, server) = lab(seed, 0.03);
        let bytes = lab.run(async move {
            let service = Router::new().route("/", get(|| async { "x".repeat(500_000) }));
            tokio::spawn(axum::serve(server.listen(80).unwrap(), service).into_future());
            request(&client, "/").await.collect().await.unwrap().to_bytes().len()
        });
        assert_eq!(bytes, 500_000);
    }
}

#[test]
fn events_arrive_half_a_round_trip_after_they_were_sent() {
    let (mut lab, client, server) = lab(1, 0.0);
    lab.run(async move {
        let events = || async {
            let ticks = futures_util::stream::unfold(0, |n| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok::<_, Infallible>(Event::default().data(n.to_string())), n + 1))
            });
            Sse::new(ticks.take(3))
        };
        let service = Router::new().route("/", get(events));
        tokio::spawn(axum::serve(server.listen(80).unwrap(), service).into_future());
        let mut answer = request(&client, "/").await.into_body();
        let begin = Instant::now();
        let mut text = Vec::new();
        while let Some(frame) = answer.frame().await {
            text.extend_from_slice(frame.unwrap().data_ref().map_or(&[][..], |data| data));
        }
        assert_eq!(String::from_utf8(text).unwrap(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
        assert!(begin.elapsed() >= Duration::from_secs(3) && begin.elapsed() < Duration::from_millis(3_100));
    });
}

#[test]
fn a_websocket_echoes_after_two_round_trips_of_opening() {
    let (mut lab, client, server) = lab(1, 0.0);
    lab.run(async move {
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
        let begin = Instant::now();
        let stream = client.connect("server:80").await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async("ws://server/", stream).await.unwrap();
        assert!(
            begin.elapsed() >= 2 * ROUND_TRIP && begin.elapsed() < 2 * ROUND_TRIP + Duration::from_millis(1)
        );
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
        socket.close(None).await.unwrap();
    });
}

fn tls() -> (tokio_rustls::TlsConnector, tokio_rustls::TlsAcceptor) {
    let certified = rcgen::generate_simple_self_signed(vec!["server".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(client).into(), Arc::new(server).into())
}

#[test]
fn tls_1_3_costs_one_round_trip_more_and_survives_losses() {
    for (loss, exact) in [(0.0, true), (0.05, false)] {
        let (connector, acceptor) = tls();
        let (mut lab, client, server) = lab(3, loss);
        lab.run(async move {
            let listener = server.listen(443).unwrap();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.unwrap();
                stream.write_all(&vec![b'x'; 100_000]).await.unwrap();
                stream.shutdown().await.unwrap();
            });
            let begin = Instant::now();
            let stream = client.connect("server:443").await.unwrap();
            let mut stream =
                connector.connect(ServerName::try_from("server").unwrap(), stream).await.unwrap();
            let opened = begin.elapsed();
            assert!(!exact || opened > 2 * ROUND_TRIP && opened < 2 * ROUND_TRIP + Duration::from_millis(2));
            stream.write_all(b"get\n").await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer.len(), 100_000);
        });
    }
}
