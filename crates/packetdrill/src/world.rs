//! What does the script's application live on? A host, its open files, the packets that have left, and the clock.

use crate::environment::Environment;
use crate::epoll::EpollEvent;
use crate::error::ScriptError;
use crate::options::{IpVersion, Settings};
use crate::script::Command;
use crate::stamps::Stamps;
use crate::tables::Tables;
use narrows_stack::tcp::State;
use narrows_stack::{
    Event, Host, HostConfig, Instant, Interface, InterfaceId, Knobs, ListenerId, SocketError, SocketId,
};
use narrows_wire::{Packet, Seq, TcpFlags, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The port of the local server.
pub const SERVER_PORT: u16 = 8080;
/// When the script begins on the host's clock.
const ORIGIN: Instant = Instant::from_millis(1_000_000);

/// What a socket is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Neither listening nor connected.
    Fresh,
    /// Listening.
    Listener(ListenerId),
    /// Connecting, connected, or over.
    Connection(SocketId),
}

/// An open socket.
#[derive(Clone, Debug)]
pub struct Socket {
    /// What it is.
    pub role: Role,
    /// O_NONBLOCK.
    pub nonblocking: bool,
    /// Options set so far.
    pub knobs: Knobs,
    /// TCP_NOTSENT_LOWAT as set on the socket itself.
    pub notsent_lowat: u32,
    /// The error that the next call reports.
    pub error: Option<&'static str>,
    /// A call has reported that the connection is there.
    pub told_connected: bool,
    /// SHUT_RD.
    pub shut_read: bool,
    /// SHUT_WR.
    pub shut_write: bool,
    /// TCP_INQ.
    pub inq: bool,
    /// SO_LINGER.
    pub linger: Option<Duration>,
    /// SO_TIMESTAMPING.
    pub stamps: Stamps,
    /// Bytes written.
    pub written: u64,
    /// Something happened that wakes up those who wait; counted.
    pub wakeups: u64,
    /// What it was like after the last step, to notice changes.
    seen: (u64, bool, bool),
}

impl Socket {
    pub fn new(knobs: Knobs) -> Socket {
        Socket {
            role: Role::Fresh,
            nonblocking: false,
            knobs,
            notsent_lowat: 0,
            error: None,
            told_connected: false,
            shut_read: false,
            shut_write: false,
            inq: false,
            linger: None,
            stamps: Stamps::default(),
            written: 0,
            wakeups: 0,
            seen: (0, false, false),
        }
    }
}

/// A socket that an epoll instance watches.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// What was asked for.
    pub event: EpollEvent,
    /// The socket's wakeups that were reported (edge-triggered).
    pub reported: Option<u64>,
    /// EPOLLONESHOT has fired.
    pub spent: bool,
}

/// An open file.
#[derive(Clone, Debug)]
pub enum File {
    /// A TCP socket.
    Socket(Box<Socket>),
    /// An epoll instance.
    Epoll(BTreeMap<i64, Watch>),
}

/// The host and everything around it.
pub struct World {
    /// The host.
    pub host: Host,
    /// Open files.
    pub files: BTreeMap<i64, File>,
    /// Packets that have left and when, microseconds of the script.
    pub sent: VecDeque<(i64, Packet)>,
    /// What commands have set.
    pub environment: Environment,
    /// How the script is run.
    pub settings: Settings,
    now: Instant,
    /// All packets that have left, when they are asked for.
    pub log: Vec<(i64, Packet)>,
    /// Where each connection's stream of this host begins.
    origins: BTreeMap<(SocketAddr, SocketAddr), Seq>,
}

impl World {
    pub fn new(settings: Settings, environment: Environment) -> World {
        let config = HostConfig { knobs: environment.knobs.clone(), seed: 1, tick_phase_ns: 0 };
        let mut host = Host::new(config);
        host.add_interface(Interface {
            addresses: vec![settings.local_address()],
            mtu: environment.route_mtu.unwrap_or(settings.device_mtu()),
            segmentation_offload: false,
        });
        host.set_device_full(InterfaceId(0), environment.drop_all);
        World {
            host,
            files: BTreeMap::new(),
            sent: VecDeque::new(),
            environment,
            settings,
            now: ORIGIN,
            log: Vec::new(),
            origins: BTreeMap::new(),
        }
    }

    /// Runs commands of the script.
    ///
    /// # Errors
    /// [`ScriptError`] for what is not known, has no counterpart, or fails.
    pub fn command(&mut self, command: &Command, directory: Option<&Path>) -> Result<(), ScriptError> {
        let tables = self.tables();
        let floor = self.environment.knobs.system.min_snd_mss;
        self.environment.run(command, directory, &tables)?;
        if self.environment.knobs.system.min_snd_mss != floor {
            self.tell_floor();
        }
        self.host.set_device_full(InterfaceId(0), self.environment.drop_all);
        match (self.environment.route_mtu, self.environment.link_mtu) {
            (Some(mtu), _) => self.host.set_route_mtu(self.now, InterfaceId(0), mtu),
            (None, Some(mtu)) => self.host.set_interface_mtu(self.now, InterfaceId(0), mtu),
            (None, None) => {}
        }
        Ok(())
    }

    /// Sockets that are open ask for the least segment size, too, when they look up theirs.
    fn tell_floor(&mut self) {
        let floor = self.environment.knobs.system.min_snd_mss;
        for file in self.files.values_mut() {
            let File::Socket(socket) = file else { continue };
            socket.knobs.system.min_snd_mss = floor;
            // One that is gone has nothing to send.
            let _ = match socket.role {
                Role::Listener(id) => self.host.tcp_configure_listener(id, socket.knobs.clone()),
                Role::Connection(id) => self.host.tcp_configure(self.now, id, socket.knobs.clone()),
                _ => Ok(()),
            };
        }
    }

    /// The host's time.
    pub fn instant(&self) -> Instant {
        self.now
    }

    /// The script's time, microseconds.
    pub fn now(&self) -> i64 {
        i64::try_from(self.now.since(ORIGIN).as_micros()).unwrap_or(i64::MAX)
    }

    fn instant_of(microseconds: i64) -> Instant {
        ORIGIN + std::time::Duration::from_micros(microseconds.max(0) as u64)
    }

    /// Moves the clock to the host's next timer, if it is due by `limit`. False: it is not, and the clock stands still.
    pub fn step(&mut self, limit: i64) -> bool {
        self.collect();
        match self.host.poll_timeout() {
            Some(due) if due <= World::instant_of(limit) => {
                self.now = self.now.max(due);
                self.host.handle_timeout(self.now);
                self.collect();
                true
            }
            _ => false,
        }
    }

    /// Moves the clock forward to `time`; all timers before have run.
    pub fn arrive(&mut self, time: i64) {
        self.now = self.now.max(World::instant_of(time));
    }

    /// A packet reaches the host.
    pub fn deliver(&mut self, packet: Packet) {
        self.host.handle_packet(self.now, InterfaceId(0), packet);
        self.collect();
    }

    /// Takes what the host has to send and to tell.
    pub fn collect(&mut self) {
        let now = self.now();
        loop {
            while let Some(transmit) = self.host.poll_transmit(self.now) {
                self.note_sent(now, &transmit.packet);
                if self.settings.packets {
                    self.log.push((now, transmit.packet.clone()));
                }
                self.sent.push_back((now, transmit.packet));
            }
            let Some(event) = self.host.poll_event() else { break };
            if let Event::Closed(id, Some(error)) = event
                && let Some(socket) = self.socket_of(id)
            {
                socket.error = Some(errno(error));
            }
        }
        self.note_acknowledged(now);
        self.note_wakeups();
    }

    /// Tells the socket that a packet is from how far its stream has left.
    fn note_sent(&mut self, now: i64, packet: &Packet) {
        let (Some(local), Some(remote)) = (packet.source_socket(), packet.destination_socket()) else {
            return;
        };
        let Transport::Tcp(header) = &packet.transport else { return };
        if header.flags.contains(TcpFlags::SYN) {
            self.origins.insert((local, remote), header.seq + 1);
        }
        let Some(origin) = self.origins.get(&(local, remote)).copied() else { return };
        let host = &self.host;
        for file in self.files.values_mut() {
            if let File::Socket(socket) = file
                && let Role::Connection(id) = socket.role
                && !packet.payload.is_empty()
                && host.tcp_addresses(id).is_ok_and(|ends| ends == (local, remote))
            {
                let end = (header.seq + packet.payload.len() as u32) - origin;
                socket.stamps.on_sent(end.into(), now);
            }
        }
    }

    fn note_acknowledged(&mut self, now: i64) {
        for file in self.files.values_mut() {
            if let File::Socket(socket) = file
                && let Role::Connection(id) = socket.role
                && let Ok(info) = self.host.tcp_info(id)
            {
                socket.stamps.on_acknowledged(info.bytes_acked, now);
            }
        }
    }

    /// What commands would print about the host.
    fn tables(&self) -> Tables {
        let of = |file: &File| match file {
            File::Socket(socket) => match socket.role {
                Role::Fresh => None,
                Role::Listener(id) => self.host.tcp_listener_address(id).map(|local| (local, None, 10)),
                Role::Connection(id) => {
                    let (local, remote) = self.host.tcp_addresses(id).ok()?;
                    let state = self.host.tcp_status(id).ok()?.state;
                    Some((local, Some(remote), crate::info::linux_state(state)))
                }
            },
            File::Epoll(_) => None,
        };
        Tables {
            counters: self.host.counters().clone(),
            sockets: self.files.values().filter_map(of).collect(),
        }
    }

    fn socket_of(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.files.values_mut().find_map(|file| match file {
            File::Socket(socket) if socket.role == Role::Connection(id) => Some(&mut **socket),
            _ => None,
        })
    }

    fn note_wakeups(&mut self) {
        for file in self.files.values_mut() {
            let File::Socket(socket) = file else { continue };
            let seen = match socket.role {
                Role::Fresh => (0, false, false),
                Role::Listener(listener) => (0, self.host.tcp_acceptable(listener), false),
                Role::Connection(id) => match self.host.tcp_status(id) {
                    Ok(status) => {
                        let over = status.end_of_stream || status.state == State::Closed;
                        let opening = matches!(status.state, State::SynSent | State::SynReceived);
                        (status.readable_bytes, over, status.writable && !opening)
                    }
                    Err(_) => socket.seen,
                },
            };
            let more = seen.0 > socket.seen.0 || seen.1 && !socket.seen.1 || seen.2 && !socket.seen.2;
            socket.wakeups += u64::from(more);
            socket.seen = seen;
        }
    }

    /// The lowest number that no file has, from 3.
    pub fn open(&mut self, file: File) -> i64 {
        let number = (3..).find(|number| !self.files.contains_key(number)).unwrap_or(i64::MAX);
        self.files.insert(number, file);
        number
    }

    /// Where the server listens.
    pub fn server_address(&self) -> SocketAddr {
        let any = match self.settings.ip_version {
            IpVersion::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpVersion::Ipv6 | IpVersion::Mapped => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        SocketAddr::new(any, SERVER_PORT)
    }

    /// Where the client connects to.
    pub fn remote_server(&self) -> SocketAddr {
        SocketAddr::new(self.settings.remote_address(), SERVER_PORT)
    }
}

/// The name of the error that Linux reports.
pub fn errno(error: SocketError) -> &'static str {
    match error {
        SocketError::UnknownSocket => "EBADF",
        SocketError::InvalidState => "ENOTCONN",
        SocketError::WouldBlock => "EAGAIN",
        SocketError::AddressInUse => "EADDRINUSE",
        SocketError::Unreachable => "EHOSTUNREACH",
        SocketError::Refused => "ECONNREFUSED",
        SocketError::Reset => "ECONNRESET",
        SocketError::TimedOut => "ETIMEDOUT",
        SocketError::InvalidKnob => "EINVAL",
        SocketError::BrokenPipe => "EPIPE",
    }
}

/// Linux's number of an error.
pub fn errno_number(name: &str) -> Option<i64> {
    ERRNOS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

const ERRNOS: [(&str, i64); 28] = [
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("EWOULDBLOCK", 11),
    ("EFAULT", 14),
    ("EINVAL", 22),
    ("EPIPE", 32),
    ("ENOMSG", 42),
    ("ENOTSOCK", 88),
    ("EDESTADDRREQ", 89),
    ("EMSGSIZE", 90),
    ("ENOPROTOOPT", 92),
    ("EPROTONOSUPPORT", 93),
    ("EOPNOTSUPP", 95),
    ("EAFNOSUPPORT", 97),
    ("EADDRINUSE", 98),
    ("EADDRNOTAVAIL", 99),
    ("ENETDOWN", 100),
    ("ENETUNREACH", 101),
    ("ECONNABORTED", 103),
    ("ECONNRESET", 104),
    ("ENOBUFS", 105),
    ("EISCONN", 106),
    ("ENOTCONN", 107),
    ("ETIMEDOUT", 110),
    ("ECONNREFUSED", 111),
    ("EHOSTUNREACH", 113),
    ("EALREADY", 114),
    ("EINPROGRESS", 115),
];
