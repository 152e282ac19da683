//! How is a socket set up before it connects or listens? As `tokio::net::TcpSocket`, with every knob of the table.

use super::{TcpListener, TcpStream};
use crate::error::io_error;
use crate::host::{Host, failed};
use crate::state::Side;
use crate::target::Target;
use narrows_stack::Knobs;
use narrows_stack::tcp::State;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A socket that is neither connected nor listening.
///
/// ```
/// # use narrows_net::lab::{Lab, Link};
/// # let mut lab = Lab::new(1);
/// # let (client, server) = (lab.host("client"), lab.host("server"));
/// # lab.link("client", "server", Link::new());
/// lab.run(async move {
///     let listener = server.listen(80)?;
///     let stream = client.tcp_socket().nodelay(true).knob("rto_min", "50ms")?.connect("server:80").await?;
///     assert!(stream.nodelay()?);
///     # drop(listener);
///     # Ok::<(), std::io::Error>(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a socket does nothing until it connects or listens"]
pub struct TcpSocket {
    host: Host,
    knobs: Knobs,
    local: Option<SocketAddr>,
}

impl TcpSocket {
    pub(crate) fn new(host: Host) -> TcpSocket {
        let knobs = host.knobs();
        TcpSocket { host, knobs, local: None }
    }

    /// All knobs at once.
    pub fn knobs(mut self, knobs: Knobs) -> TcpSocket {
        self.knobs = knobs;
        self
    }

    /// One knob by its name in the table (`narrows knobs` lists them).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`], with the names or values that there are.
    pub fn knob(mut self, name: &str, value: &str) -> io::Result<TcpSocket> {
        let set = self.knobs.set(name, value);
        set.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(self)
    }

    /// TCP_NODELAY: small segments leave at once.
    pub fn nodelay(mut self, nodelay: bool) -> TcpSocket {
        self.knobs.nodelay = nodelay;
        self
    }

    /// The local address and port; port 0 is any free one.
    pub fn bind(mut self, local: SocketAddr) -> TcpSocket {
        self.local = Some(local);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`Host::connect`].
    pub async fn connect(self, target: impl Into<Target>) -> io::Result<TcpStream> {
        let TcpSocket { host, knobs, local } = self;
        let remote = host.resolve(target.into())?;
        let socket = failed(host.shared.call(|state, now| {
            let socket = state.stack.tcp_connect(now, remote, local, knobs)?;
            state.hold(socket);
            Ok(socket)
        }))?;
        // From here on dropping the future gives the attempt up.
        let stream = TcpStream::new(host.shared, socket);
        std::future::poll_fn(|context| stream.poll_connected(context)).await?;
        Ok(stream)
    }

    /// Listens on the address given with [`TcpSocket::bind`] (none: any free port of all addresses); `backlog` connections may
    /// wait to be accepted.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`], [`io::ErrorKind::AddrNotAvailable`].
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let Some(local) = self.local else { return self.host.listen(0) };
        let listening = self.host.shared.call(|state, _| state.stack.tcp_listen(local, backlog, self.knobs));
        let listener = listening.map_err(|error| match error {
            narrows_stack::SocketError::Unreachable => io::Error::new(io::ErrorKind::AddrNotAvailable, error),
            error => io_error(error),
        })?;
        Ok(TcpListener::new(self.host.shared, listener))
    }
}

impl TcpStream {
    /// Ready when the handshake is over, one way or the other.
    fn poll_connected(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.socket();
        self.shared().call(|state, _| {
            let status = failed(state.stack.tcp_status(socket))?;
            match (status.state, status.error) {
                (State::SynSent | State::SynReceived, _) => {
                    state.sleep(socket, Side::Write, context);
                    return Poll::Pending;
                }
                (State::Closed, Some(error)) if status.readable_bytes == 0 => {
                    return Poll::Ready(Err(io_error(error)));
                }
                _ => {}
            }
            Poll::Ready(Ok(()))
        })
    }
}
