//! How fast does a plain transfer go? A sender that writes as much as it may, and a receiver that checks every byte.

use crate::app::{App, AppEvent, Io};
use crate::pattern::Pattern;
use narrows_stack::{Instant, SocketError, SocketId, TcpInfo};
use std::net::SocketAddr;

/// What one write hands over at most.
const WRITE_BYTES: usize = 65_536;

/// Opens one connection and writes as fast as the connection takes it, then closes.
#[derive(Debug)]
pub struct BulkSender {
    remote: SocketAddr,
    bytes: u64,
    written: u64,
    pattern: Pattern,
    socket: Option<SocketId>,
    info: Option<TcpInfo>,
    error: Option<SocketError>,
    shut: bool,
}

impl BulkSender {
    /// Sends `bytes` to `remote`; [`u64::MAX`] never ends.
    #[must_use]
    pub fn new(remote: SocketAddr, bytes: u64) -> BulkSender {
        BulkSender {
            remote,
            bytes,
            written: 0,
            pattern: Pattern::new(),
            socket: None,
            info: None,
            error: None,
            shut: false,
        }
    }

    /// Bytes that the connection has taken.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Its connection, as long as it is open.
    #[must_use]
    pub fn socket(&self) -> Option<SocketId> {
        self.socket
    }

    /// The connection's inner values at its end.
    #[must_use]
    pub fn info(&self) -> Option<&TcpInfo> {
        self.info.as_ref()
    }

    /// Why the transfer failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<SocketError> {
        self.error
    }

    fn write(&mut self, io: &mut Io<'_>, socket: SocketId) {
        while self.written < self.bytes {
            let most = usize::try_from(self.bytes - self.written).unwrap_or(WRITE_BYTES).min(WRITE_BYTES);
            match io.send(socket, self.pattern.at(self.written, most)) {
                Ok(taken) => {
                    self.written += taken as u64;
                    if taken < most {
                        return;
                    }
                }
                Err(SocketError::WouldBlock) => return,
                Err(error) => return self.end(io, Some(error)),
            }
        }
        if !std::mem::replace(&mut self.shut, true)
            && let Err(error) = io.shutdown(socket)
        {
            self.end(io, Some(error));
        }
    }

    fn end(&mut self, io: &mut Io<'_>, error: Option<SocketError>) {
        self.error = self.error.or(error);
        if let Some(socket) = self.socket.take() {
            self.info = io.info(socket).ok().or(self.info.take());
            // A connection that is already gone needs no closing.
            let _ = io.close(socket);
        }
    }
}

impl App for BulkSender {
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
        match event {
            AppEvent::Start => match io.connect(self.remote) {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => self.error = Some(error),
            },
            AppEvent::Connected(socket) | AppEvent::Writable(socket) => self.write(io, socket),
            AppEvent::Readable(socket) => {
                // The receiver says nothing: what can be read is the end of the stream.
                match io.recv(socket, WRITE_BYTES) {
                    Ok(data) if data.is_empty() => self.end(io, None),
                    Ok(_) | Err(SocketError::WouldBlock) => {}
                    Err(error) => self.end(io, Some(error)),
                }
            }
            AppEvent::Closed(_, error) => self.end(io, error),
            AppEvent::Timer(_)
            | AppEvent::Acceptable(_)
            | AppEvent::Datagrams(_)
            | AppEvent::DatagramError(_) => {}
        }
    }
}

/// Accepts connections and reads everything, checking that it is what a [`BulkSender`] writes.
#[derive(Debug)]
pub struct BulkReceiver {
    port: u16,
    pattern: Pattern,
    /// By the order of accepting.
    streams: Vec<BulkStream>,
    error: Option<SocketError>,
}

/// What a [`BulkReceiver`] has read from one connection.
#[derive(Clone, Debug)]
pub struct BulkStream {
    socket: SocketId,
    /// Bytes read.
    pub bytes: u64,
    /// All of them were the right ones.
    pub intact: bool,
    /// The sender has closed and everything has been read.
    pub ended: bool,
    /// When the last bytes were read.
    pub last_read: Option<Instant>,
    /// Why the connection failed, if it did.
    pub error: Option<SocketError>,
}

impl BulkReceiver {
    /// Listens on `port`.
    #[must_use]
    pub fn new(port: u16) -> BulkReceiver {
        BulkReceiver { port, pattern: Pattern::new(), streams: Vec::new(), error: None }
    }

    /// The connections in the order of accepting.
    #[must_use]
    pub fn streams(&self) -> &[BulkStream] {
        &self.streams
    }

    /// Why it could not listen, if so.
    #[must_use]
    pub fn error(&self) -> Option<SocketError> {
        self.error
    }

    fn read(&mut self, io: &mut Io<'_>, socket: SocketId) {
        // From the back: few connections are open at a time, and the newest are the likeliest.
        let Some(stream) = self.streams.iter_mut().rev().find(|stream| stream.socket == socket) else {
            return;
        };
        loop {
            match io.recv(socket, WRITE_BYTES) {
                Ok(data) if data.is_empty() => {
                    stream.ended = true;
                    let _ = io.close(socket);
                    return;
                }
                Ok(data) => {
                    stream.intact &= self.pattern.matches(stream.bytes, &data);
                    stream.bytes += data.len() as u64;
                    stream.last_read = Some(io.now());
                }
                Err(SocketError::WouldBlock) => return,
                Err(error) => {
                    stream.error = Some(error);
                    return;
                }
            }
        }
    }
}

impl App for BulkReceiver {
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
        match event {
            AppEvent::Start => self.error = io.listen(self.port).err(),
            AppEvent::Acceptable(listener) => {
                while let Some(socket) = io.accept(listener) {
                    self.streams.push(BulkStream {
                        socket,
                        bytes: 0,
                        intact: true,
                        ended: false,
                        last_read: None,
                        error: None,
                    });
                    self.read(io, socket);
                }
            }
            AppEvent::Readable(socket) => self.read(io, socket),
            AppEvent::Closed(socket, Some(error)) => {
                for stream in self.streams.iter_mut().filter(|stream| stream.socket == socket) {
                    stream.error = Some(error);
                }
            }
            AppEvent::Closed(_, None)
            | AppEvent::Timer(_)
            | AppEvent::Connected(_)
            | AppEvent::Writable(_)
            | AppEvent::Datagrams(_)
            | AppEvent::DatagramError(_) => {}
        }
    }
}
