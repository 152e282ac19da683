//! How does quinn run on a host? Through its own traits: a UDP socket of ours, and a runtime on tokio's clock.
//!
//! quinn's own runtime for tokio asks the clock on the wall for the time and opens sockets of the operating system; this one asks
//! tokio's clock, which the lab moves.

use super::UdpSocket;
use super::socket::copied;
use crate::error::is_message_too_long;
use crate::host::Host;
use narrows_stack::UdpSend;
use narrows_stack::knob::PmtuDiscovery;
use narrows_stack::tcp::ecn::Codepoint;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncTimer, AsyncUdpSocket, EndpointConfig, Runtime, ServerConfig, UdpPoller};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::time::Sleep;

/// quinn's runtime on tokio's clock, virtual in the lab.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuinnRuntime;

impl Runtime for QuinnRuntime {
    fn new_timer(&self, end: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer(Box::pin(tokio::time::sleep_until(end.into()))))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(future);
    }

    /// A socket of the operating system has no place on a host of ours: make the endpoint with [`Host::quic_endpoint`].
    fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let what = "a host's endpoint takes no socket of the operating system: use `Host::quic_endpoint`";
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[derive(Debug)]
struct Timer(Pin<Box<Sleep>>);

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, end: Instant) {
        self.0.as_mut().reset(end.into());
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Future::poll(self.0.as_mut(), context)
    }
}

/// Waits for room in the send buffer.
#[derive(Debug)]
struct Room(Arc<UdpSocket>);

impl UdpPoller for Room {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_send_ready(context)
    }
}

/// Datagrams of one size in one call, each way (as quinn's own sockets on Linux).
const MERGED: usize = 64;

impl AsyncUdpSocket for UdpSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let how = UdpSend {
            ecn: transmit.ecn.map_or(Codepoint::NotEct, |ecn| Codepoint::of(ecn as u8)),
            segment_bytes: transmit.segment_size.and_then(|size| u16::try_from(size).ok()),
            source: transmit.src_ip,
        };
        match self.try_send_with(transmit.contents, transmit.destination, how) {
            // Too big is how a search for the path's MTU learns: the datagram counts as lost, as with quinn's own sockets.
            Err(error) if is_message_too_long(&error) => Ok(()),
            result => result.map(drop),
        }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut received = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let datagram = match self.poll_datagram(context) {
                Poll::Ready(Ok(datagram)) => datagram,
                Poll::Ready(Err(error)) if received == 0 => return Poll::Ready(Err(error)),
                // Pending with something received: the waker that was left wakes the task once more than needed, which is harmless.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            };
            let stride = copied(&datagram, buffer);
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (datagram.from, stride, stride);
            meta.dst_ip = Some(datagram.to.ip());
            meta.ecn = EcnCodepoint::from_bits(datagram.ecn.bits());
            // As a kernel's GRO: more of the same size from the same sender go behind it, the last may be shorter.
            for _ in 1..MERGED {
                let room = buffer[meta.len..].len().min(stride);
                let Some(next) = self.take_alike(&datagram, room) else { break };
                meta.len += copied(&next, &mut buffer[meta.len..]);
                if next.payload.len() < stride {
                    break;
                }
            }
            received += 1;
        }
        if received == 0 { Poll::Pending } else { Poll::Ready(Ok(received)) }
    }

    fn max_transmit_segments(&self) -> usize {
        MERGED
    }

    fn max_receive_segments(&self) -> usize {
        MERGED
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        UdpSocket::local_addr(self)
    }

    fn may_fragment(&self) -> bool {
        !matches!(self.pmtu_discovery(), PmtuDiscovery::Do | PmtuDiscovery::Probe)
    }
}

impl Host {
    /// A QUIC endpoint on a UDP port (0: any free one) of all addresses; with a server's configuration it accepts connections. Its
    /// datagrams are never cut (IP_PMTUDISC_PROBE, as quinn's own sockets), so that quinn can search the path's MTU.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`].
    ///
    /// # Panics
    /// Outside a tokio runtime, as quinn's own.
    pub fn quic_endpoint(
        &self,
        port: u16,
        config: EndpointConfig,
        server: Option<ServerConfig>,
    ) -> io::Result<quinn::Endpoint> {
        let mut knobs = self.knobs();
        knobs.pmtu_discovery = PmtuDiscovery::Probe;
        let socket = UdpSocket::bind_with(self, self.any(port), &knobs)?;
        quinn::Endpoint::new_with_abstract_socket(config, server, Arc::new(socket), Arc::new(QuinnRuntime))
    }
}
