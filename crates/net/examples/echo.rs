//! A UDP echo service (RFC 862) on narrows' own stack, for any program on this machine; on a bad line, if you like.
//!
//!     cargo build --release -p narrows-net --example echo
//!     sudo target/release/examples/echo                # perfect
//!     sudo target/release/examples/echo 150 0.02       # 150 ms each way, 2 % loss
//!
//! Then run `nc -u 10.7.0.2 7`, or `socat - UDP:10.7.0.2:7`, and type. Ctrl-C ends it and takes the device away.

use narrows_net::lab::Link;
use narrows_net::tun::TunOptions;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = TunOptions::new().name("narrows0").kernel("10.7.0.1/24").address("10.7.0.2");
    let mut arguments = std::env::args().skip(1);
    if let Some(delay) = arguments.next() {
        let loss = arguments.next().map_or(Ok(0.0), |loss| loss.parse())?;
        options = options.link(Link::new().delay(Duration::from_millis(delay.parse()?)).loss(loss));
    }
    let host = options.open()?.host()?;
    let socket = host.udp_bind(7)?;
    println!("{} 7, UDP", host.ip());
    let mut buffer = vec![0; 65_535];
    let echoing = async {
        loop {
            let (bytes, from) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..bytes], from).await?;
        }
    };
    tokio::select! {
        ended = echoing => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
