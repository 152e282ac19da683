//! tokio's UDP socket over a host's stack, and quinn's.

#[cfg(feature = "quinn")]
mod quinn;
mod socket;

#[cfg(feature = "quinn")]
pub use self::quinn::QuinnRuntime;
pub use socket::UdpSocket;
