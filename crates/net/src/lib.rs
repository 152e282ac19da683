//! tokio's sockets over narrows' own TCP/IP stack: in virtual time on bad links, or on a TUN device.
//!
//! The sockets ([`TcpStream`], [`TcpListener`], [`TcpSocket`]) have the traits and the methods of tokio's, so code that is generic
//! over `AsyncRead + AsyncWrite` runs on them unmodified. [`UdpSocket`] is tokio's for
//! datagrams; with the feature `quinn`, QUIC runs on it. A [`Host`] makes them. There are two kinds of hosts:
//!
//! - Hosts of a [`lab`], in virtual time.
//! - A host on a TUN device of this machine ([`tun`]): browsers and curl can talk to it.
//!
//! # Your service's test, on a real TCP, on a bad network, in a millisecond
//!
//! ```
//! use axum::{Router, routing::get};
//! use http_body_util::{BodyExt, Empty};
//! use hyper_util::rt::TokioIo;
//! use narrows_net::lab::{Lab, Link};
//! use std::time::Duration;
//!
//! # type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//! async fn get_report(client: narrows_net::Host) -> Result<usize> {
//!     let stream = client.connect("server:80").await?;
//!     let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
//!     tokio::spawn(connection);
//!     let request = hyper::Request::get("/report").header("host", "server").body(Empty::<&[u8]>::new())?;
//!     Ok(sender.send_request(request).await?.collect().await?.to_bytes().len())
//! }
//!
//! let mut lab = Lab::new(7); // the same seed, the same losses
//! let (client, server) = (lab.host("client"), lab.host("server"));
//! lab.link("client", "server", Link::new().delay(Duration::from_millis(150)).bits_per_second(2_000_000).loss(0.03));
//!
//! let bytes = lab.run(async move {
//!     let service = Router::new().route("/report", get(|| async { "x".repeat(100_000) }));
//!     tokio::spawn(axum::serve(server.listen(80)?, service).into_future());
//!     tokio::time::timeout(Duration::from_secs(10), get_report(client)).await?
//! });
//! assert_eq!(bytes?, 100_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buffers;
mod error;
mod host;
#[cfg(feature = "lab")]
pub mod lab;
mod state;
mod target;
mod tcp;
#[cfg(all(feature = "tun", target_os = "linux"))]
pub mod tun;
mod udp;
mod unsent;

pub use host::Host;
pub use target::Target;
pub use tcp::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpListener, TcpSocket, TcpStream, WriteHalf,
};
#[cfg(feature = "quinn")]
pub use udp::QuinnRuntime;
pub use udp::UdpSocket;
