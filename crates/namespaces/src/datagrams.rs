//! How many datagrams arrive at a kernel's socket? The real counterparts of the lab's `DatagramSender` and `DatagramReceiver`.

use narrows_lab::scenario::Datagrams;
use narrows_stack::Instant;
use narrows_stack::knob::{Knobs, PmtuDiscovery};
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

sockopt_impl!(
    /// `IP_MTU_DISCOVER` (ip(7)).
    Ipv4MtuDiscover, SetOnly, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::c_int
);
sockopt_impl!(
    /// `IPV6_MTU_DISCOVER` (ipv6(7)).
    Ipv6MtuDiscover, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::c_int
);

/// Each datagram begins with its number.
const NUMBER_BYTES: usize = 8;

/// One side of a flow of datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// What is sent.
    pub datagrams: Datagrams,
    /// Where the server waits.
    pub server: SocketAddr,
    /// When the first is sent.
    pub start: Duration,
    /// The knobs of this side's host.
    pub knobs: Knobs,
    /// This side sends.
    pub sends: bool,
}

/// What a side has done and seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Taken by the kernel.
    pub sent: u64,
    /// Not taken.
    pub refused: u64,
    /// Read.
    pub received: u64,
    /// Of them, after one with the same or a higher number.
    pub reordered: u64,
    /// When the last was read.
    pub last: Option<Instant>,
}

/// One side at work.
#[derive(Debug)]
pub(crate) struct Pourer {
    flow: Flow,
    socket: UdpSocket,
    count: Count,
    highest: Option<u64>,
    next: Instant,
    buffer: Vec<u8>,
}

impl Pourer {
    /// Makes the socket, in the calling thread's network.
    pub fn new(flow: Flow) -> io::Result<Pourer> {
        let ipv4 = flow.server.is_ipv4();
        let socket = Socket::new(Domain::for_address(flow.server), Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        set_discovery(&socket, ipv4, flow.knobs.pmtu_discovery)?;
        if flow.sends {
            socket.connect(&SockAddr::from(flow.server))?;
        } else {
            socket.bind(&SockAddr::from(flow.server))?;
        }
        let size = (flow.datagrams.size as usize).max(NUMBER_BYTES);
        let buffer = if flow.sends { vec![0x5a; size] } else { vec![0; 65_536] };
        let next = Instant::ZERO + flow.start;
        Ok(Pourer { flow, socket: socket.into(), count: Count::default(), highest: None, next, buffer })
    }

    /// What this side has done and seen.
    pub fn count(&self) -> Count {
        self.count
    }

    /// Nothing is left to be sent. Who receives is never sure.
    pub fn is_done(&self) -> bool {
        !self.flow.sends || self.count.sent + self.count.refused >= self.flow.datagrams.count
    }

    pub fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.socket.as_fd(), PollFlags::POLLIN)
    }

    /// When the next is to be sent.
    pub fn next_time(&self) -> Option<Instant> {
        (!self.is_done()).then_some(self.next)
    }

    /// Does what time and socket ask for.
    pub fn step(&mut self, now: impl Fn() -> Instant, ready: PollFlags) -> io::Result<()> {
        if !ready.is_empty() {
            self.read(&now)?;
        }
        while self.next_time().is_some_and(|next| next <= now()) {
            self.send()?;
            self.next += self.flow.datagrams.interval;
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let number = self.count.sent + self.count.refused;
        self.buffer[..NUMBER_BYTES].copy_from_slice(&number.to_be_bytes());
        match self.socket.send(&self.buffer) {
            Ok(_) => self.count.sent += 1,
            Err(error) if is_about_the_path(&error) => self.count.refused += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads all there is; an error that the network has reported is heard by that and over.
    fn read(&mut self, now: &impl Fn() -> Instant) -> io::Result<()> {
        loop {
            match self.socket.recv(&mut self.buffer) {
                Ok(length) if !self.flow.sends => self.note(now(), length),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_about_the_path(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn note(&mut self, now: Instant, length: usize) {
        self.count.received += 1;
        self.count.last = Some(now);
        let number = self.buffer[..length].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        self.count.reordered += u64::from(number.is_some() && number <= self.highest);
        self.highest = self.highest.max(number);
    }
}

/// What `IP_MTU_DISCOVER` says no to, what a full queue does not take, and what ICMP reports: nothing that is wrong with the program.
fn is_about_the_path(error: &io::Error) -> bool {
    let known =
        [libc::EMSGSIZE, libc::ENOBUFS, libc::EAGAIN, libc::EINTR, libc::ECONNREFUSED, libc::EHOSTUNREACH];
    error.raw_os_error().is_some_and(|number| known.contains(&number))
}

fn set_discovery(socket: &Socket, ipv4: bool, mode: PmtuDiscovery) -> io::Result<()> {
    let [of_ipv4, of_ipv6] = match mode {
        PmtuDiscovery::Dont => [libc::IP_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DONT],
        PmtuDiscovery::Want => [libc::IP_PMTUDISC_WANT, libc::IPV6_PMTUDISC_WANT],
        PmtuDiscovery::Do => [libc::IP_PMTUDISC_DO, libc::IPV6_PMTUDISC_DO],
        PmtuDiscovery::Probe => [libc::IP_PMTUDISC_PROBE, libc::IPV6_PMTUDISC_PROBE],
        PmtuDiscovery::Interface => [libc::IP_PMTUDISC_INTERFACE, libc::IPV6_PMTUDISC_INTERFACE],
        PmtuDiscovery::Omit => [libc::IP_PMTUDISC_OMIT, libc::IPV6_PMTUDISC_OMIT],
    };
    if ipv4 {
        setsockopt(socket, Ipv4MtuDiscover, &of_ipv4)?;
    } else {
        setsockopt(socket, Ipv6MtuDiscover, &of_ipv6)?;
    }
    Ok(())
}
