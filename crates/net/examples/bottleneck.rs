//! How does the stack fare where others collapse: with losses on a long path, and with many flows through a short queue?
//!
//!     cargo run --release -p narrows-net --example bottleneck
//!
//! In virtual time, so the figures are the same on every machine.

use narrows_net::Host;
use narrows_net::lab::{Lab, Link};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    println!("100 ms round trip, 32 KB window, one flow, 200 s, median of 5 seeds:");
    for percent in [0.0, 0.1, 1.0, 2.0, 5.0, 10.0] {
        let mut rates: Vec<f64> = (0..5).map(|seed| lossy(seed, percent / 100.0)).collect();
        rates.sort_by(f64::total_cmp);
        println!("  {percent:4.1} % loss  {:8.0} B/s", rates[2]);
    }
    println!("200 Mb/s, 100 ms round trip, 64 KB of drop-tail queue, 60 s:");
    for flows in [1, 4, 16, 64] {
        let rates = shared(flows);
        let total: f64 = rates.iter().sum();
        let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
        let jain = total * total / (flows as f64 * squares);
        println!(
            "  {flows:2} flows  {:6.2} MB/s ({:.0} % of the link), Jain {jain:.3}",
            total / 1e6,
            total / 25e4
        );
    }
}

fn lossy(seed: u64, loss: f64) -> f64 {
    let mut lab = Lab::new(seed);
    let (client, server) = (lab.host("client"), lab.host("server"));
    lab.link("client", "server", Link::new().delay(Duration::from_millis(50)).loss(loss));
    // setsockopt counts half of the buffer as bookkeeping: 32 KB of window.
    rates(&mut lab, &client, &server, 1, Duration::from_secs(200), Some("32768"))[0]
}

fn shared(flows: usize) -> Vec<f64> {
    let mut lab = Lab::new(1);
    let (client, server) = (lab.host("client"), lab.host("server"));
    let road = Link::new().delay(Duration::from_millis(50)).bits_per_second(200_000_000).queue_bytes(65_536);
    lab.link("client", "server", road);
    rates(&mut lab, &client, &server, flows, Duration::from_secs(60), None)
}

/// Bytes per second that arrive of each of some flows that begin together.
fn rates(
    lab: &mut Lab,
    client: &Host,
    server: &Host,
    flows: usize,
    length: Duration,
    rcvbuf: Option<&str>,
) -> Vec<f64> {
    let mut socket = server.tcp_socket().bind(([0, 0, 0, 0], 80).into());
    if let Some(bytes) = rcvbuf {
        socket = socket.knob("rcvbuf", bytes).expect("a knob");
    }
    let listener = socket.listen(1_024).expect("a port");
    lab.run(async {
        let mut readers = Vec::new();
        for _ in 0..flows {
            let client = client.clone();
            tokio::spawn(async move {
                let mut stream = client.connect("server:80").await.expect("a connection");
                let block = vec![0; 65_536];
                while stream.write_all(&block).await.is_ok() {}
            });
            let (mut stream, _) = listener.accept().await.expect("a connection");
            readers.push(tokio::spawn(async move {
                let (mut bytes, mut buffer) = (0, vec![0; 65_536]);
                let end = tokio::time::Instant::now() + length;
                while let Ok(Ok(read)) = tokio::time::timeout_at(end, stream.read(&mut buffer)).await {
                    bytes += read;
                }
                bytes as f64 / length.as_secs_f64()
            }));
        }
        let mut rates = Vec::new();
        for reader in readers {
            rates.push(reader.await.expect("a rate"));
        }
        rates
    })
}
