//! How does a tokio program read and write a connection? As `tokio::net::TcpStream`.

use super::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::host::failed;
use crate::state::{Shared, Side, State};
use bytes::{Bytes, BytesMut};
use narrows_stack::{Instant, Knobs, SendFlags, SocketError, SocketId, TcpInfo};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection.
///
/// Dropping it closes it: FIN, or RST when data was left unread, as Linux does.
#[derive(Debug)]
pub struct TcpStream {
    shared: Shared,
    socket: SocketId,
    /// SO_LINGER.
    linger: Mutex<Option<Duration>>,
    /// [`TcpStream::close`] has given the socket up already.
    closed: bool,
}

/// More than there is room for is not copied, but for what a stack takes beyond its limit to fill a last segment.
const BEYOND_ROOM: u64 = 65_536;
/// A write of so many bytes goes into memory that was used before; the allocator is as good for a shorter one.
const POOLED_WRITE: usize = 32 * 1024;

impl TcpStream {
    /// Of a socket that the program holds ([`State::hold`]).
    pub(crate) fn new(shared: Shared, socket: SocketId) -> TcpStream {
        TcpStream { shared, socket, linger: Mutex::new(None), closed: false }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn socket(&self) -> SocketId {
        self.socket
    }

    /// This end's address and port.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        failed(self.shared.lock().stack.tcp_addresses(self.socket)).map(|(local, _)| local)
    }

    /// The other end's address and port.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        failed(self.shared.lock().stack.tcp_addresses(self.socket)).map(|(_, remote)| remote)
    }

    /// TCP_NODELAY.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn nodelay(&self) -> io::Result<bool> {
        self.knobs().map(|knobs| knobs.nodelay)
    }

    /// Sets TCP_NODELAY.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.set_knob("nodelay", if nodelay { "true" } else { "false" })
    }

    /// Sets TCP_QUICKACK: what has arrived is acknowledged at once, until the connection looks interactive again.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.set_knob("quickack", if quickack { "socket" } else { "off" })
    }

    /// SO_LINGER: with a time of zero, dropping or closing the stream resets the connection; with another, [`TcpStream::close`] waits as
    /// long for the peer to acknowledge everything. Dropping the stream never waits: it closes in the background.
    ///
    /// # Errors
    /// None; the signature is tokio's.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        *self.linger.lock().unwrap_or_else(PoisonError::into_inner) = linger;
        Ok(())
    }

    /// SO_LINGER as it was set.
    ///
    /// # Errors
    /// None; the signature is tokio's.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(*self.linger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes as close(2) does: at once without SO_LINGER; with it, when the peer has acknowledged all that was written and the FIN, or
    /// after that time. What is left then is still sent in the background, as on Linux.
    ///
    /// ```
    /// # use narrows_net::lab::{Lab, Link};
    /// # use std::time::Duration;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # let mut lab = Lab::new(1);
    /// # let (client, server) = (lab.host("client"), lab.host("server"));
    /// # lab.link("client", "server", Link::new().delay(Duration::from_millis(20)));
    /// lab.run(async move {
    ///     let listener = server.listen(80)?;
    ///     let mut stream = client.connect("server:80").await?;
    ///     stream.write_all(b"the last words").await?;
    ///     stream.set_linger(Some(Duration::from_secs(5)))?;
    ///     // Returns a round trip later: the server has them.
    ///     stream.close().await?;
    ///     # drop(listener);
    ///     # Ok::<(), std::io::Error>(())
    /// }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the time was up, or the connection ended, before everything was acknowledged.
    pub async fn close(mut self) -> io::Result<()> {
        let patience = match self.linger()? {
            Some(patience) if !patience.is_zero() => patience,
            _ => return Ok(()),
        };
        failed(self.shared.call(|state, now| state.stack.tcp_close_lingering(now, self.socket, patience)))?;
        self.closed = true;
        let complete = std::future::poll_fn(|context| {
            let mut state = self.shared.lock();
            match state.lingered(self.socket) {
                Some(complete) => Poll::Ready(complete),
                None => {
                    state.sleep(self.socket, Side::Write, context);
                    Poll::Pending
                }
            }
        })
        .await;
        match complete {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer has not acknowledged everything within SO_LINGER's time",
            )),
        }
    }

    /// The value of every knob.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn knobs(&self) -> io::Result<Knobs> {
        failed(self.shared.lock().stack.tcp_knobs(self.socket).cloned())
    }

    /// Sets one knob by its name in the table, as setsockopt does.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when there is no such knob, or not such a value for it.
    pub fn set_knob(&self, name: &str, value: &str) -> io::Result<()> {
        failed(self.shared.call(|state, now| state.stack.tcp_set(now, self.socket, name, value)))
    }

    /// The connection's inner values (TCP_INFO): round trip, congestion window, retransmissions, …
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub fn info(&self) -> io::Result<TcpInfo> {
        let state = self.shared.lock();
        failed(state.stack.tcp_info_at(state.wire.now(), self.socket))
    }

    /// Reads what is there now.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing is.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        failed(self.shared.call(|state, now| read(state, now, self.socket, &mut buffer)))?;
        Ok(buffer.filled().len())
    }

    /// Writes what there is room for now.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none.
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        failed(self.shared.call(|state, now| write(state, now, self.socket, &[IoSlice::new(data)])))
    }

    /// Waits until there is something to read, or the end of the stream.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|context| {
            let mut state = self.shared.lock();
            let status = failed(state.stack.tcp_status(self.socket))?;
            if status.readable_bytes > 0 || status.end_of_stream || is_over(&state, self.socket) {
                return Poll::Ready(Ok(()));
            }
            state.sleep(self.socket, Side::Read, context);
            Poll::Pending
        })
        .await
    }

    /// Waits until there is room to write.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`].
    pub async fn writable(&self) -> io::Result<()> {
        std::future::poll_fn(|context| {
            let mut state = self.shared.lock();
            let status = failed(state.stack.tcp_status(self.socket))?;
            if status.writable || is_over(&state, self.socket) {
                return Poll::Ready(Ok(()));
            }
            state.sleep(self.socket, Side::Write, context);
            Poll::Pending
        })
        .await
    }

    /// Two halves that borrow the stream.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Two halves that can go to different tasks. Dropping the writing half sends FIN.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        super::split::owned(self)
    }

    pub(super) fn poll_read_shared(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_turn(context, Side::Read, |state, now| read(state, now, self.socket, buffer))
    }

    /// What a call gives, or waiting where that would block. A task whose calls never have to wait lets others have their turn as with
    /// tokio's own sockets: a read may find data for ever, a write room.
    fn in_turn<T>(
        &self,
        context: &mut Context<'_>,
        side: Side,
        call: impl FnOnce(&mut State, Instant) -> Result<T, SocketError>,
    ) -> Poll<io::Result<T>> {
        let turn = ready!(tokio::task::coop::poll_proceed(context));
        self.shared.call(|state, now| match call(state, now) {
            Err(SocketError::WouldBlock) => {
                state.sleep(self.socket, side, context);
                Poll::Pending
            }
            result => {
                turn.made_progress();
                Poll::Ready(failed(result))
            }
        })
    }

    pub(super) fn poll_write_shared(
        &self,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.in_turn(context, Side::Write, |state, now| write(state, now, self.socket, data))
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        failed(self.shared.call(|state, now| state.stack.tcp_shutdown(now, self.socket)))
    }
}

/// The connection has ended: calls on it tell how.
fn is_over(state: &State, socket: SocketId) -> bool {
    let status = state.stack.tcp_status(socket);
    status.is_ok_and(|status| status.state == narrows_stack::tcp::State::Closed)
}

/// Fills the buffer as far as there is something.
fn read(
    state: &mut State,
    now: Instant,
    socket: SocketId,
    buffer: &mut ReadBuf<'_>,
) -> Result<(), SocketError> {
    let before = buffer.filled().len();
    while buffer.remaining() > 0 {
        match state.stack.tcp_recv(now, socket, buffer.remaining()) {
            Ok(data) if data.is_empty() => break,
            Ok(data) => buffer.put_slice(&data),
            Err(_) if buffer.filled().len() > before => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One write of all slices together, as writev: its end is a write boundary, theirs are not.
fn write(
    state: &mut State,
    now: Instant,
    socket: SocketId,
    data: &[IoSlice<'_>],
) -> Result<usize, SocketError> {
    let status = state.stack.tcp_status(socket)?;
    let room = status.send_buffer.saturating_sub(status.unacknowledged_bytes).saturating_add(BEYOND_ROOM);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let bytes = data.iter().map(|slice| slice.len()).sum::<usize>().min(room);
    let mut left = bytes;
    let pieces = data.iter().map(|slice| {
        let piece = &slice[..slice.len().min(left)];
        left -= piece.len();
        piece
    });
    let data = match data {
        _ if bytes >= POOLED_WRITE => state.written.copy(bytes, pieces),
        [_] => Bytes::copy_from_slice(&data[0][..bytes]),
        _ => {
            let mut gathered = BytesMut::with_capacity(bytes);
            pieces.for_each(|piece| gathered.extend_from_slice(piece));
            gathered.freeze()
        }
    };
    state.stack.tcp_send(now, socket, data, SendFlags::default())
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let reset = self.linger.get_mut().is_ok_and(|linger| *linger == Some(Duration::ZERO));
        self.shared.call(|state, now| {
            // The socket is there: nothing else gives it up.
            let _ = match (self.closed, reset) {
                (true, _) => Ok(()),
                (false, true) => state.stack.tcp_abort(now, self.socket),
                (false, false) => state.stack.tcp_close(now, self.socket),
            };
            state.forget(self.socket);
        });
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_shared(context, buffer)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_shared(context, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_shared(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is kept back here: what may leave has left.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// FIN after all that was written.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_down())
    }
}
