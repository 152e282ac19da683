//! Who wants to talk to us? As `tokio::net::TcpListener`.

use super::TcpStream;
use crate::host::failed;
use crate::state::Shared;
use narrows_stack::{ListenerId, SocketError};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A listening socket. Dropping it stops listening; connections that were not accepted are reset.
#[derive(Debug)]
pub struct TcpListener {
    shared: Shared,
    listener: ListenerId,
}

impl TcpListener {
    pub(crate) fn new(shared: Shared, listener: ListenerId) -> TcpListener {
        TcpListener { shared, listener }
    }

    /// The next connection, and who it is from.
    ///
    /// # Errors
    /// None in practice; the signature is tokio's.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|context| self.poll_accept(context)).await
    }

    /// As [`TcpListener::accept`], for code that polls.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.shared.call(|state, _| match state.stack.tcp_accept(self.listener) {
            Some(socket) => {
                state.hold(socket);
                let (_, remote) = failed(state.stack.tcp_addresses(socket))?;
                Poll::Ready(Ok((TcpStream::new(self.shared.clone(), socket), remote)))
            }
            None => {
                state.sleep_for_accept(self.listener, context);
                Poll::Pending
            }
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// None in practice; the signature is tokio's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.shared.lock().stack.tcp_listener_address(self.listener);
        failed(address.ok_or(SocketError::UnknownSocket))
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.shared.call(|state, now| {
            // It is there; if it were not, there would be nothing to close.
            let _ = state.stack.tcp_close_listener(now, self.listener);
            state.forget_listener(self.listener);
        });
    }
}

#[cfg(feature = "axum")]
impl axum::serve::Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            // A connection that is gone before it was accepted is no reason to stop serving the others.
            if let Ok(accepted) = TcpListener::accept(self).await {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}
