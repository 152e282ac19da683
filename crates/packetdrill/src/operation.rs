//! What does a call that may have to wait do? Accepting, connecting, reading, writing, polling: tried again after each thing that happens.

use crate::epoll;
use crate::world::{File, Role, Socket, World};
use bytes::Bytes;
use narrows_stack::tcp::State;
use narrows_stack::{SendFlags, SocketError, SocketId};

/// The bits of poll(2) and epoll(7); they have the same values.
pub const POLLIN: i64 = 0x1;
pub const POLLPRI: i64 = 0x2;
pub const POLLOUT: i64 = 0x4;
pub const POLLERR: i64 = 0x8;
pub const POLLHUP: i64 = 0x10;
pub const POLLRDNORM: i64 = 0x40;
pub const POLLWRNORM: i64 = 0x100;
pub const POLLRDHUP: i64 = 0x2000;
pub const EPOLLONESHOT: i64 = 1 << 30;
pub const EPOLLET: i64 = 1 << 31;

/// A call that may have to wait.
#[derive(Clone, Debug)]
pub enum Operation {
    /// accept(2).
    Accept {
        /// The listening socket.
        file: i64,
    },
    /// connect(2) after its SYN has left.
    Connect {
        /// The socket.
        file: i64,
    },
    /// read(2) and its kind.
    Read {
        /// The socket.
        file: i64,
        /// Bytes wanted.
        wanted: usize,
        /// Bytes read.
        got: usize,
        /// MSG_DONTWAIT.
        dont_wait: bool,
    },
    /// write(2) and its kind.
    Write {
        /// The socket.
        file: i64,
        /// Bytes to be written.
        wanted: usize,
        /// Bytes written.
        written: usize,
        /// MSG_MORE and others.
        flags: SendFlags,
        /// MSG_DONTWAIT.
        dont_wait: bool,
        /// It sleeps until the socket is writable.
        asleep: bool,
    },
    /// close(2) with SO_LINGER.
    Close {
        /// The connection.
        id: SocketId,
    },
    /// poll(2).
    Poll {
        /// Socket, events asked for, events expected.
        files: Vec<(i64, i64, i64)>,
        /// When it gives up, microseconds of the script; `None`: never.
        until: Option<i64>,
    },
    /// epoll_wait(2).
    EpollWait {
        /// The epoll instance.
        file: i64,
        /// What is expected; `None`: not looked at.
        expected: Option<epoll::EpollEvent>,
        /// When it gives up.
        until: Option<i64>,
    },
}

/// What a call returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its value.
    pub value: i64,
    /// The error, with the value -1.
    pub errno: Option<&'static str>,
    /// What it delivered beside the value is not what the script says.
    pub problem: Option<String>,
}

impl Outcome {
    pub fn ok(value: i64) -> Outcome {
        Outcome { value, errno: None, problem: None }
    }

    pub fn error(errno: &'static str) -> Outcome {
        Outcome { value: -1, errno: Some(errno), problem: None }
    }
}

impl Operation {
    /// Tries; `None`: it has to wait.
    pub fn attempt(&mut self, world: &mut World) -> Option<Outcome> {
        match self {
            Operation::Accept { file } => accept(world, *file),
            Operation::Connect { file } => connected(world, *file),
            Operation::Read { file, wanted, got, dont_wait } => read(world, *file, *wanted, got, *dont_wait),
            Operation::Write { file, wanted, written, flags, dont_wait, asleep } => {
                if *asleep && !wakes_writer(world, *file) {
                    return None;
                }
                let outcome = write(world, *file, *wanted, written, *flags, *dont_wait);
                *asleep = outcome.is_none();
                outcome
            }
            // On Linux it returns 0 also when its time was up.
            Operation::Close { id } => (!world.host.tcp_is_lingering(*id)).then(|| Outcome::ok(0)),
            Operation::Poll { files, until } => poll(world, files, *until),
            Operation::EpollWait { file, expected, until } => epoll::wait(world, *file, *expected, *until),
        }
    }

    /// When it gives up by itself.
    pub fn until(&self) -> Option<i64> {
        match self {
            Operation::Poll { until, .. } | Operation::EpollWait { until, .. } => *until,
            _ => None,
        }
    }
}

pub fn socket(world: &mut World, file: i64) -> Result<&mut Socket, Outcome> {
    match world.files.get_mut(&file) {
        Some(File::Socket(socket)) => Ok(socket),
        Some(File::Epoll(_)) => Err(Outcome::error("ENOTSOCK")),
        None => Err(Outcome::error("EBADF")),
    }
}

fn accept(world: &mut World, file: i64) -> Option<Outcome> {
    let (listener, nonblocking, knobs) = match socket(world, file) {
        Ok(Socket { role: Role::Listener(listener), nonblocking, knobs, .. }) => {
            (*listener, *nonblocking, knobs.clone())
        }
        Ok(_) => return Some(Outcome::error("EINVAL")),
        Err(outcome) => return Some(outcome),
    };
    let Some(id) = world.host.tcp_accept(listener) else {
        return nonblocking.then(|| Outcome::error("EAGAIN"));
    };
    let knobs = world.host.tcp_knobs(id).cloned().unwrap_or(knobs);
    let mut accepted = Socket::new(knobs);
    accepted.role = Role::Connection(id);
    accepted.told_connected = true;
    Some(Outcome::ok(world.open(File::Socket(Box::new(accepted)))))
}

fn connected(world: &mut World, file: i64) -> Option<Outcome> {
    let (id, error) = match socket(world, file) {
        Ok(socket) => match socket.role {
            Role::Connection(id) => (id, socket.error.take()),
            _ => return Some(Outcome::error("EINVAL")),
        },
        Err(outcome) => return Some(outcome),
    };
    if let Some(error) = error {
        return Some(Outcome::error(error));
    }
    match world.host.tcp_status(id).map(|status| status.state) {
        Ok(State::SynSent | State::SynReceived) => None,
        Ok(State::Closed) | Err(_) => Some(Outcome::error("ECONNABORTED")),
        Ok(_) => {
            if let Ok(socket) = socket(world, file) {
                socket.told_connected = true;
            }
            Some(Outcome::ok(0))
        }
    }
}

/// The connection of a socket that reads or writes.
fn connection(world: &mut World, file: i64, otherwise: &'static str) -> Result<SocketId, Outcome> {
    match socket(world, file)?.role {
        Role::Connection(id) => Ok(id),
        _ => Err(Outcome::error(otherwise)),
    }
}

fn read(world: &mut World, file: i64, wanted: usize, got: &mut usize, dont_wait: bool) -> Option<Outcome> {
    let id = match connection(world, file, "ENOTCONN") {
        Ok(id) => id,
        Err(outcome) => return Some(outcome),
    };
    let now = world.instant();
    let mut ended = false;
    while *got < wanted {
        match world.host.tcp_recv(now, id, wanted - *got) {
            Ok(data) if data.is_empty() => {
                ended = true;
                break;
            }
            Ok(data) => *got += data.len(),
            Err(SocketError::WouldBlock) => break,
            Err(_) => {
                ended = true;
                break;
            }
        }
    }
    world.collect();
    if *got > 0 || wanted == 0 {
        return Some(Outcome::ok(*got as i64));
    }
    let socket = match socket(world, file) {
        Ok(socket) => socket,
        Err(outcome) => return Some(outcome),
    };
    if let Some(error) = socket.error.take() {
        return Some(Outcome::error(error));
    }
    if ended || socket.shut_read {
        return Some(Outcome::ok(0));
    }
    (socket.nonblocking || dont_wait).then(|| Outcome::error("EAGAIN"))
}

/// A writer that waits for room sleeps until there is a good deal of it, or until there is nothing to wait for any more.
fn wakes_writer(world: &mut World, file: i64) -> bool {
    let Ok(Socket { role: Role::Connection(id), .. }) = socket(world, file) else { return true };
    let id = *id;
    world.host.tcp_status(id).map_or(true, |status| {
        let opening = matches!(status.state, State::SynSent | State::SynReceived);
        status.writable && !opening || status.state == State::Closed
    })
}

fn write(
    world: &mut World,
    file: i64,
    wanted: usize,
    written: &mut usize,
    flags: SendFlags,
    dont_wait: bool,
) -> Option<Outcome> {
    let id = match connection(world, file, "EPIPE") {
        Ok(id) => id,
        Err(outcome) => return Some(outcome),
    };
    let now = world.instant();
    let (shut, nonblocking) = match socket(world, file) {
        Ok(socket) => (socket.shut_write, socket.nonblocking || dont_wait),
        Err(outcome) => return Some(outcome),
    };
    let opening = matches!(
        world.host.tcp_status(id).map(|status| status.state),
        Ok(State::SynSent | State::SynReceived)
    );
    if !shut && !opening {
        loop {
            let data = Bytes::from(vec![0; wanted - *written]);
            match world.host.tcp_send(now, id, data, flags) {
                Ok(taken) => {
                    *written += taken;
                    if let Ok(socket) = socket(world, file) {
                        socket.written += taken as u64;
                        if nonblocking || *written == wanted {
                            socket.stamps.on_write(socket.written);
                        }
                    }
                }
                Err(SocketError::WouldBlock) => break,
                Err(_) if *written > 0 => return Some(Outcome::ok(*written as i64)),
                Err(error) => {
                    world.collect();
                    let pending = socket(world, file).ok().and_then(|socket| socket.error.take());
                    let broken = if error == SocketError::UnknownSocket { "EPIPE" } else { errno_of(error) };
                    return Some(Outcome::error(pending.unwrap_or(broken)));
                }
            }
            world.collect();
            if *written == wanted {
                return Some(Outcome::ok(*written as i64));
            }
        }
    }
    if shut {
        return Some(Outcome::error("EPIPE"));
    }
    match (nonblocking, *written) {
        (true, 0) => Some(Outcome::error("EAGAIN")),
        (true, written) => Some(Outcome::ok(written as i64)),
        (false, _) => None,
    }
}

/// After the end of a connection its error has been reported; what is left is that nobody listens.
fn errno_of(error: SocketError) -> &'static str {
    match error {
        SocketError::Refused | SocketError::Reset | SocketError::TimedOut => "EPIPE",
        other => crate::world::errno(other),
    }
}

/// What poll(2) says about a file.
pub fn readiness(world: &World, file: i64) -> Option<i64> {
    let File::Socket(socket) = world.files.get(&file)? else { return Some(0) };
    let error = if socket.error.is_some() || socket.stamps.is_waiting() { POLLERR } else { 0 };
    Some(match socket.role {
        Role::Fresh => POLLOUT | POLLHUP | error,
        Role::Listener(listener) if world.host.tcp_acceptable(listener) => POLLIN | POLLRDNORM,
        Role::Listener(_) => 0,
        Role::Connection(id) => {
            let Ok(status) = world.host.tcp_status(id) else { return Some(POLLHUP | error) };
            let closed = status.state == State::Closed;
            let ended = status.end_of_stream || closed || socket.shut_read;
            let mut events = error;
            if closed || ended && (socket.shut_write) {
                events |= POLLHUP;
            }
            if ended {
                events |= POLLIN | POLLRDNORM | POLLRDHUP;
            }
            if !matches!(status.state, State::SynSent | State::SynReceived) {
                if status.readable_bytes > 0 {
                    events |= POLLIN | POLLRDNORM;
                }
                if status.writable || socket.shut_write || closed {
                    events |= POLLOUT | POLLWRNORM;
                }
            }
            events
        }
    })
}

fn poll(world: &mut World, files: &[(i64, i64, i64)], until: Option<i64>) -> Option<Outcome> {
    let mut ready = 0;
    let mut problem = None;
    for (file, asked, expected) in files {
        let Some(events) = readiness(world, *file) else { return Some(Outcome::error("EBADF")) };
        let events = events & (asked | POLLERR | POLLHUP);
        ready += i64::from(events != 0);
        if events != *expected {
            problem =
                Some(format!("socket {file}: revents {expected:#x} was expected, {events:#x} was seen"));
        }
    }
    if ready > 0 || until.is_some_and(|until| world.now() >= until) {
        return Some(Outcome { value: ready, errno: None, problem });
    }
    None
}
