//! Which MSS do both ends ask for? A real connection to a port, and what the kernel tells about it.

use crate::option::TcpInfo;
use crate::target::ip_header_bytes;
use nix::libc;
use nix::sys::socket::getsockopt;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// `TCPI_OPT_TIMESTAMPS` and `TCPI_OPT_SACK` of `tcp_info.tcpi_options`.
const TIMESTAMPS: u8 = 1;
/// Bytes of the timestamps option with its padding, in every segment.
pub(crate) const TIMESTAMPS_BYTES: u32 = 12;
/// Bytes of a TCP header without options.
pub(crate) const TCP_HEADER_BYTES: u32 = 20;

/// A connection that is being opened, or is open.
pub(crate) struct Attempt {
    pub socket: Socket,
    pub peer: SocketAddr,
    begun: Instant,
    state: State,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Open {
        /// How long the handshake took.
        round_trip: Duration,
    },
    /// The peer has answered with a reset: nobody listens there.
    Refused {
        /// How long that took.
        round_trip: Duration,
    },
    Failed,
}

/// What the kernel tells about an open connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// The MSS that our SYN announced.
    pub advertised_mss: u32,
    /// Bytes of data per segment that the kernel would send now.
    pub send_mss: u32,
    /// The largest segment received so far with data, bytes of data; before any, a guess of the kernel's.
    pub receive_mss: u32,
    /// Segments sent and not yet acknowledged.
    pub unacknowledged: u32,
    /// The path MTU that the kernel goes by.
    pub path_mtu: u32,
    pub timestamps: bool,
}

impl Attempt {
    /// Begins to open a connection.
    pub fn begin(peer: SocketAddr) -> io::Result<Attempt> {
        Attempt::begin_with(peer, |_| Ok(()))
    }

    /// The same, with something to be set before.
    pub fn begin_with(
        peer: SocketAddr,
        prepare: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<Attempt> {
        let domain = if peer.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        prepare(&socket)?;
        let begun = Instant::now();
        let mut state = State::Waiting;
        match socket.connect(&peer.into()) {
            Ok(()) => state = State::Open { round_trip: begun.elapsed() },
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                state = State::Refused { round_trip: begun.elapsed() };
            }
            Err(error) => return Err(error),
        }
        Ok(Attempt { socket, peer, begun, state })
    }

    /// How far it is now.
    pub fn state(&mut self) -> State {
        if self.state == State::Waiting {
            let round_trip = self.begun.elapsed();
            match self.socket.take_error() {
                Ok(None) if self.socket.peer_addr().is_ok() => self.state = State::Open { round_trip },
                Ok(None) => {}
                Ok(Some(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.state = State::Refused { round_trip };
                }
                Ok(Some(_)) | Err(_) => self.state = State::Failed,
            }
        }
        self.state
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn local_port(&self) -> Option<u16> {
        self.socket.local_addr().ok()?.as_socket().map(|address| address.port())
    }

    /// What the kernel tells now.
    pub fn told(&self) -> Option<Told> {
        told(&self.socket)
    }
}

/// What the kernel tells about a connection.
pub(crate) fn told(socket: &impl AsFd) -> Option<Told> {
    let info = getsockopt(socket, TcpInfo).ok()?;
    let timestamps = info.tcpi_options & TIMESTAMPS != 0;
    Some(Told {
        // Linux subtracts the option once it is agreed on.
        advertised_mss: info.tcpi_advmss + if timestamps { TIMESTAMPS_BYTES } else { 0 },
        send_mss: info.tcpi_snd_mss,
        receive_mss: info.tcpi_rcv_mss,
        unacknowledged: info.tcpi_unacked,
        path_mtu: info.tcpi_pmtu,
        timestamps,
    })
}

impl Told {
    /// What the peer's MSS option said, as far as the kernel shows it: exact, or (`false`) at least this.
    pub fn peer_mss(&self, peer: SocketAddr) -> (u32, bool) {
        let options = if self.timestamps { TIMESTAMPS_BYTES } else { 0 };
        let mss = self.send_mss + options;
        // Where the kernel's own path MTU is the limit, the peer may have asked for more.
        let limit = self.path_mtu.saturating_sub(ip_header_bytes(peer.ip()) + TCP_HEADER_BYTES);
        (mss, mss < limit)
    }
}
