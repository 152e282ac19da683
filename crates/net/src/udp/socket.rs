//! How do datagrams come and go? As with `tokio::net::UdpSocket`.

use crate::error::udp_error;
use crate::host::Host;
use crate::state::State;
use crate::target::Target;
use bytes::Bytes;
use narrows_stack::knob::PmtuDiscovery;
use narrows_stack::{Datagram, Host as Stack, Instant, Knobs, UdpError, UdpSend, UdpSocketId};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// A UDP socket. Dropping it closes it: what waits to be read is gone, what was sent still goes.
///
/// What has arrived waits in a queue of `rcvbuf` bytes (Linux's 212,992 where the knob says `auto`); what finds no room is dropped and
/// counted ([`UdpSocket::dropped`]). What is sent takes room in a send buffer (`sndbuf`, doubled as Linux does, or 212,992 bytes) until it has
/// left the host, in Linux's sizes: 832 bytes for a short datagram, 2,304 for one of 1,472 bytes. A link slower than the sender fills it:
/// then sending waits, and the `try_` forms return [`io::ErrorKind::WouldBlock`]. Those who wait are woken when half of it is free. A lab's link
/// takes what a task has sent when the task waits; a TUN device takes it at once.
///
/// Of the knobs `pmtu_discovery` (IP_MTU_DISCOVER), `rcvbuf` and `sndbuf` count. An error that the network reports comes out of the next
/// call on a connected socket, once, as with Linux: nobody on the port is [`io::ErrorKind::ConnectionRefused`], a packet too big for
/// the path EMSGSIZE.
///
/// ```
/// # use narrows_net::lab::{Lab, Link};
/// # use std::time::Duration;
/// # let mut lab = Lab::new(1);
/// # let (client, server) = (lab.host("client"), lab.host("server"));
/// # lab.link("client", "server", Link::new().delay(Duration::from_millis(20)));
/// lab.run(async move {
///     let answering = server.udp_bind(53)?;
///     tokio::spawn(async move {
///         let mut question = [0; 512];
///         let (bytes, from) = answering.recv_from(&mut question).await?;
///         answering.send_to(&question[..bytes], from).await
///     });
///     let asking = client.udp_bind(0)?;
///     asking.connect("server:53").await?;
///     asking.send(b"who?").await?;
///     let mut answer = [0; 512];
///     let bytes = asking.recv(&mut answer).await?;
///     assert_eq!(&answer[..bytes], b"who?");
///     # Ok::<(), std::io::Error>(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    host: Host,
    socket: UdpSocketId,
}

impl UdpSocket {
    /// A socket on an address of the host (unspecified: all of them; port 0: any free one), with the host's knobs.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`], [`io::ErrorKind::AddrNotAvailable`].
    pub fn bind(host: &Host, local: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind_with(host, local, &host.knobs())
    }

    /// As [`UdpSocket::bind`], with other knobs.
    ///
    /// # Errors
    /// As [`UdpSocket::bind`].
    pub fn bind_with(host: &Host, local: SocketAddr, knobs: &Knobs) -> io::Result<UdpSocket> {
        let bound = host.shared.call(|state, _| {
            let socket = state.stack.udp_bind(local, knobs)?;
            state.hold_udp(socket);
            Ok(socket)
        });
        let socket = bound.map_err(|error| match error {
            UdpError::Unreachable => io::Error::new(io::ErrorKind::AddrNotAvailable, error),
            error => udp_error(error),
        })?;
        Ok(UdpSocket { host: host.clone(), socket })
    }

    /// From now on it sends to `target` by [`UdpSocket::send`], hears only that, and is told of errors. May be called again.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`], [`io::ErrorKind::NetworkUnreachable`]; [`io::ErrorKind::NotFound`] for a name that no host has.
    pub async fn connect(&self, target: impl Into<Target>) -> io::Result<()> {
        let remote = self.host.resolve(target.into())?;
        let connected = self.host.shared.call(|state, _| state.stack.udp_connect(self.socket, remote));
        connected.map_err(udp_error)
    }

    /// Its own address; of a connected socket the one that it uses with its peer.
    ///
    /// # Errors
    /// None in practice; the signature is tokio's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.host.shared.lock().stack.udp_local_address(self.socket).map_err(udp_error)
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let peer = self.host.shared.lock().stack.udp_peer_address(self.socket);
        peer.map_err(|error| io::Error::new(io::ErrorKind::NotConnected, error))
    }

    /// How the path MTU counts for it (IP_MTU_DISCOVER).
    #[must_use]
    pub fn pmtu_discovery(&self) -> PmtuDiscovery {
        self.host.shared.lock().stack.udp_pmtu_discovery(self.socket).unwrap_or_default()
    }

    /// Sets one of the knobs that count for it, as setsockopt does: `pmtu_discovery`, `rcvbuf`, `sndbuf`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when there is no such knob, or not such a value for it.
    pub fn set_knob(&self, name: &str, value: &str) -> io::Result<()> {
        self.host.shared.call(|state, _| state.stack.udp_set(self.socket, name, value)).map_err(udp_error)
    }

    /// The largest IP packet that goes to `target` as far as is known, bytes, headers included (IP_MTU).
    ///
    /// # Errors
    /// As [`UdpSocket::connect`].
    pub fn path_mtu(&self, target: impl Into<Target>) -> io::Result<u32> {
        let to = self.host.resolve(target.into())?;
        self.host.shared.call(|state, now| state.stack.udp_path_mtu(now, self.socket, to)).map_err(udp_error)
    }

    /// Datagrams that found its queue full and were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.host.shared.lock().stack.udp_drops(self.socket).unwrap_or_default()
    }

    /// Hands a copy of `payload` to `send`, after `full` where it finds no room; how many bytes that were.
    fn sending(
        &self,
        payload: &[u8],
        send: impl FnOnce(&mut Stack, Instant, Bytes) -> Result<(), UdpError>,
        full: impl FnOnce(&mut State),
    ) -> io::Result<usize> {
        let sent = self.host.shared.call(|state, now| {
            state.release(now);
            let sent = send(&mut state.stack, now, Bytes::copy_from_slice(payload));
            if sent == Err(UdpError::WouldBlock) {
                full(state);
            }
            sent
        });
        sent.map(|()| payload.len()).map_err(udp_error)
    }

    /// As [`UdpSocket::sending`], waiting for room.
    fn poll_sending(
        &self,
        context: &Context<'_>,
        payload: &[u8],
        send: impl FnOnce(&mut Stack, Instant, Bytes) -> Result<(), UdpError>,
    ) -> Poll<io::Result<usize>> {
        match self.sending(payload, send, |state| state.sleep_for_room(self.socket, context)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            sent => Poll::Ready(sent),
        }
    }

    /// Sends to a socket address or, in the lab, to a host's name. The whole datagram goes, or nothing.
    ///
    /// # Errors
    /// An error that the network has reported; EMSGSIZE for what does not fit and may not be cut, as `pmtu_discovery` says;
    /// [`io::ErrorKind::InvalidInput`], [`io::ErrorKind::NetworkUnreachable`].
    pub async fn send_to(&self, payload: &[u8], target: impl Into<Target>) -> io::Result<usize> {
        let to = self.host.resolve(target.into())?;
        std::future::poll_fn(|context| self.poll_send_to(context, payload, to)).await
    }

    /// As [`UdpSocket::send_to`], for code that polls.
    pub fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        payload: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_sending(context, payload, |stack, now, copy| stack.udp_send_to(now, self.socket, to, copy))
    }

    /// As [`UdpSocket::send_to`], at once or not at all.
    ///
    /// # Errors
    /// As [`UdpSocket::send_to`], and [`io::ErrorKind::WouldBlock`].
    pub fn try_send_to(&self, payload: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.sending(payload, |stack, now, copy| stack.udp_send_to(now, self.socket, to, copy), |_| ())
    }

    /// Sends to the peer.
    ///
    /// # Errors
    /// EDESTADDRREQ before [`UdpSocket::connect`], and as [`UdpSocket::send_to`].
    pub async fn send(&self, payload: &[u8]) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_send(context, payload)).await
    }

    /// As [`UdpSocket::send`], for code that polls.
    pub fn poll_send(&self, context: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_sending(context, payload, |stack, now, copy| stack.udp_send(now, self.socket, copy))
    }

    /// As [`UdpSocket::send`], at once or not at all.
    ///
    /// # Errors
    /// As [`UdpSocket::send`], and [`io::ErrorKind::WouldBlock`].
    pub fn try_send(&self, payload: &[u8]) -> io::Result<usize> {
        self.sending(payload, |stack, now, copy| stack.udp_send(now, self.socket, copy), |_| ())
    }

    /// As [`UdpSocket::try_send_to`], with an ECN field, a source address, or several datagrams in one call (sendmsg with IP_TOS,
    /// IP_PKTINFO, UDP_SEGMENT).
    ///
    /// # Errors
    /// As [`UdpSocket::try_send_to`]; [`io::ErrorKind::InvalidInput`] for more than 128 datagrams, or datagrams of no bytes.
    pub fn try_send_with(&self, payload: &[u8], to: SocketAddr, how: UdpSend) -> io::Result<usize> {
        self.sending(payload, |stack, now, copy| stack.udp_send_with(now, self.socket, to, copy, how), |_| ())
    }

    /// Waits until at least half of the send buffer is free, as poll(2) does.
    ///
    /// # Errors
    /// None in practice; the signature is tokio's.
    pub async fn writable(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_send_ready(context)).await
    }

    /// As [`UdpSocket::writable`], for code that polls.
    pub fn poll_send_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.host.shared.call(|state, now| {
            state.release(now);
            match state.stack.udp_is_writable(self.socket) {
                Ok(false) => {
                    state.sleep_for_room(self.socket, context);
                    Poll::Pending
                }
                result => Poll::Ready(result.map(drop).map_err(udp_error)),
            }
        })
    }

    /// Waits until it is ready for one of the things that `interest` names, and tells for which.
    ///
    /// # Errors
    /// None in practice; the signature is tokio's.
    #[cfg(feature = "tun")]
    pub async fn ready(&self, interest: tokio::io::Interest) -> io::Result<tokio::io::Ready> {
        std::future::poll_fn(|context| {
            let mut ready = tokio::io::Ready::EMPTY;
            if interest.is_readable() && self.poll_recv_ready(context)?.is_ready() {
                ready |= tokio::io::Ready::READABLE;
            }
            if interest.is_writable() && self.poll_send_ready(context)?.is_ready() {
                ready |= tokio::io::Ready::WRITABLE;
            }
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
        })
        .await
    }

    /// The next datagram, which stays: how many bytes, and who sent it (MSG_PEEK).
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = std::future::poll_fn(|context| self.poll_next(context, Stack::udp_peek_from)).await?;
        Ok((copied(&datagram, buffer), datagram.from))
    }

    /// As [`UdpSocket::peek_from`], for code that polls.
    pub fn poll_peek_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let datagram = ready!(self.poll_next(context, Stack::udp_peek_from))?;
        Poll::Ready(Ok(put(&datagram, buffer)))
    }

    /// As [`UdpSocket::peek_from`], at once or not at all.
    ///
    /// # Errors
    /// As [`UdpSocket::try_recv_from`].
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_next(buffer, Stack::udp_peek_from)
    }

    /// The peer's next datagram, which stays.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buffer).await?.0)
    }

    /// The next datagram, with both its addresses.
    pub(crate) fn poll_datagram(&self, context: &Context<'_>) -> Poll<io::Result<Datagram>> {
        self.poll_next(context, Stack::udp_recv_from)
    }

    /// What `next` finds, or waiting where that would block.
    fn poll_next<T>(
        &self,
        context: &Context<'_>,
        next: impl FnOnce(&mut Stack, UdpSocketId) -> Result<T, UdpError>,
    ) -> Poll<io::Result<T>> {
        self.host.shared.call(|state, _| match next(&mut state.stack, self.socket) {
            Err(UdpError::WouldBlock) => {
                state.sleep_for_datagram(self.socket, context);
                Poll::Pending
            }
            result => Poll::Ready(result.map_err(udp_error)),
        })
    }

    fn try_next(
        &self,
        buffer: &mut [u8],
        next: impl FnOnce(&mut Stack, UdpSocketId) -> Result<Datagram, UdpError>,
    ) -> io::Result<(usize, SocketAddr)> {
        let datagram =
            self.host.shared.call(|state, _| next(&mut state.stack, self.socket)).map_err(udp_error)?;
        Ok((copied(&datagram, buffer), datagram.from))
    }

    /// The next datagram, if it differs from `first` in nothing but what it carries, and carries 1 to `room` bytes.
    #[cfg(feature = "quinn")]
    pub(crate) fn take_alike(&self, first: &Datagram, room: usize) -> Option<Datagram> {
        let mut state = self.host.shared.lock();
        let next = state.stack.udp_next(self.socket)?;
        let alike = (next.from, next.to, next.ecn) == (first.from, first.to, first.ecn);
        let fits = (1..=room).contains(&next.payload.len());
        if !(alike && fits) {
            return None;
        }
        state.stack.udp_recv_from(self.socket).ok()
    }

    /// The next datagram: how many bytes, and who sent it. What does not fit into `buffer` is lost, as always with datagrams.
    ///
    /// # Errors
    /// An error that the network has reported.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = std::future::poll_fn(|context| self.poll_datagram(context)).await?;
        Ok((copied(&datagram, buffer), datagram.from))
    }

    /// As [`UdpSocket::recv_from`], for code that polls.
    pub fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let datagram = ready!(self.poll_datagram(context))?;
        Poll::Ready(Ok(put(&datagram, buffer)))
    }

    /// As [`UdpSocket::recv_from`], at once or not at all.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`], and [`io::ErrorKind::WouldBlock`].
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_next(buffer, Stack::udp_recv_from)
    }

    /// The next datagram of the peer.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buffer).await?.0)
    }

    /// As [`UdpSocket::recv`], for code that polls.
    pub fn poll_recv(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_recv_from(context, buffer).map_ok(drop)
    }

    /// As [`UdpSocket::recv`], at once or not at all.
    ///
    /// # Errors
    /// As [`UdpSocket::try_recv_from`].
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buffer)?.0)
    }

    /// Waits until a datagram, or an error, can be read.
    ///
    /// # Errors
    /// None in practice; the signature is tokio's.
    pub async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_recv_ready(context)).await
    }

    /// As [`UdpSocket::readable`], for code that polls.
    pub fn poll_recv_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let readable = |stack: &mut Stack, socket| match stack.udp_is_readable(socket)? {
            true => Ok(()),
            false => Err(UdpError::WouldBlock),
        };
        self.poll_next(context, readable)
    }
}

/// Appends what fits; who sent it.
fn put(datagram: &Datagram, buffer: &mut ReadBuf<'_>) -> SocketAddr {
    let bytes = copied(datagram, buffer.initialize_unfilled());
    buffer.advance(bytes);
    datagram.from
}

/// Copies what fits; how many bytes that are.
pub(super) fn copied(datagram: &Datagram, buffer: &mut [u8]) -> usize {
    let bytes = datagram.payload.len().min(buffer.len());
    buffer[..bytes].copy_from_slice(&datagram.payload[..bytes]);
    bytes
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.host.shared.call(|state, _| {
            // It is there; if it were not, there would be nothing to close.
            let _ = state.stack.udp_close(self.socket);
            state.forget_udp(self.socket);
        });
    }
}
