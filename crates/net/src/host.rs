//! What can a program do with a host? Listen, connect, and look.

use crate::error::io_error;
use crate::state::Shared;
use crate::target::Target;
use crate::tcp::{TcpListener, TcpSocket, TcpStream};
use crate::udp::UdpSocket;
use narrows_stack::{Counters, Knobs};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A host whose sockets are tokio's: in the lab, or on a TUN device. Cheap to clone; all clones are the same host.
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) shared: Shared,
    addresses: Vec<IpAddr>,
}

/// Connections that may wait to be accepted, where nothing else is asked for (as tokio's and the standard library's).
const BACKLOG: u32 = 1_024;

/// How often [`Host::drained`] looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

impl Host {
    pub(crate) fn new(shared: Shared, addresses: Vec<IpAddr>) -> Host {
        Host { shared, addresses }
    }

    /// Its first address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// All its addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The knobs that its sockets have where nothing else is asked for.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.shared.lock().stack.knobs().clone()
    }

    /// A socket that is neither connected nor listening, to be given knobs or a local address first.
    pub fn tcp_socket(&self) -> TcpSocket {
        TcpSocket::new(self.clone())
    }

    /// Listens on a port (0: any free one) of all addresses.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`].
    pub fn listen(&self, port: u16) -> io::Result<TcpListener> {
        self.tcp_socket().bind(self.any(port)).listen(BACKLOG)
    }

    /// A UDP socket on a port (0: any free one) of all addresses; [`UdpSocket::bind`] takes an address.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`].
    pub fn udp_bind(&self, port: u16) -> io::Result<UdpSocket> {
        UdpSocket::bind(self, self.any(port))
    }

    /// The wildcard: IPv6's takes both, where there are both.
    pub(crate) fn any(&self, port: u16) -> SocketAddr {
        let any = match self.addresses.iter().any(IpAddr::is_ipv6) {
            true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        SocketAddr::new(any, port)
    }

    /// Connects: to a socket address (`"10.0.0.2:80"`, `(ip, 80)`) or, in the lab, to a host's name (`"server:80"`).
    ///
    /// # Errors
    /// As an operating system's: [`io::ErrorKind::ConnectionRefused`], [`io::ErrorKind::TimedOut`],
    /// [`io::ErrorKind::NetworkUnreachable`], …
    pub async fn connect(&self, target: impl Into<Target>) -> io::Result<TcpStream> {
        self.tcp_socket().connect(target).await
    }

    /// What its stack has done and dropped.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.lock().stack.counters().clone()
    }

    /// How many sockets programs hold on this host, connections that wait to be accepted not counted. For tests that nothing
    /// leaks.
    #[must_use]
    pub fn open_sockets(&self) -> usize {
        self.shared.lock().sockets_in_use()
    }

    /// How many connections the stack knows of, those among them that programs have given up: being closed, or remembered for a minute
    /// (TIME-WAIT) so that late packets of theirs do no harm.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().stack.tcp_connections()
    }

    /// Memory of all connections and of what waits to be sent and told, bytes. Looks at every connection. For tests that nothing leaks.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.shared.lock().stack.memory_bytes()
    }

    /// Waits until the other ends have acknowledged everything on connections that were closed here. A stack in a program ends with the
    /// program: who exits before may lose what was written last.
    pub async fn drained(&self) {
        while self.shared.lock().stack.tcp_lingering() > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub(crate) fn resolve(&self, target: Target) -> io::Result<std::net::SocketAddr> {
        target.resolve(|name| self.shared.lock().wire.resolve(name))
    }
}

/// For `map_err`.
pub(crate) fn failed<T>(result: Result<T, narrows_stack::SocketError>) -> io::Result<T> {
    result.map_err(io_error)
}
