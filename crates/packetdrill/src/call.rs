//! What does a system call do to our host? Arguments are checked and become calls of the stack, or operations that may wait.

use crate::arguments::{
    Arguments, IPPROTO_TCP, MSG_DONTWAIT, MSG_EOR, MSG_MORE, MSG_NOSIGNAL, MSG_ZEROCOPY, O_NONBLOCK,
    SOCK_CLOEXEC, SOCK_STREAM,
};
use crate::epoll;
use crate::error::ScriptError;
use crate::message;
use crate::operation::{Operation, Outcome, socket};
use crate::script::{Call, Value};
use crate::socket_options::{control, get_option, set_option};
use crate::world::{File, Role, Socket, World, errno};
use narrows_stack::tcp::State;
use narrows_stack::{SendFlags, SocketError};
use std::time::Duration;

/// What a call has led to.
pub enum Begun {
    /// It has returned.
    Done(Outcome),
    /// It may have to wait.
    Operation(Operation),
}

/// Makes a call.
///
/// # Errors
/// A call, an option or a flag that is not known, or that the stack has no counterpart for.
pub fn begin(world: &mut World, call: &Call, line: usize) -> Result<Begun, ScriptError> {
    let a = Arguments { name: &call.name, line, values: &call.arguments };
    let file = || a.number(0);
    let done = |outcome: Outcome| Ok(Begun::Done(outcome));
    match call.name.as_str() {
        "socket" => {
            a.count(3..=3)?;
            let kind = a.number(1)?;
            if kind & !(O_NONBLOCK | SOCK_CLOEXEC) != SOCK_STREAM {
                return Err(ScriptError::missing(line, "sockets that are not TCP"));
            }
            match a.number(2)? {
                0 | IPPROTO_TCP => {}
                _ => return done(Outcome::error("EPROTONOSUPPORT")),
            }
            let mut socket = Socket::new(world.environment.knobs.clone());
            socket.nonblocking = kind & O_NONBLOCK != 0;
            done(Outcome::ok(world.open(File::Socket(Box::new(socket)))))
        }
        "bind" => {
            a.count(3..=3)?;
            a.opaque(1)?;
            a.opaque(2)?;
            done(socket(world, file()?).map_or_else(|error| error, |_| Outcome::ok(0)))
        }
        "listen" => {
            a.count(2..=2)?;
            let backlog = u32::try_from(a.number(1)?).unwrap_or(0);
            done(listen(world, file()?, backlog))
        }
        "accept" => {
            a.count(3..=3)?;
            Ok(Begun::Operation(Operation::Accept { file: file()? }))
        }
        "connect" => {
            a.count(3..=3)?;
            a.opaque(1)?;
            connect(world, file()?)
        }
        "read" | "recv" | "recvfrom" => {
            a.count(3..=6)?;
            a.opaque(1)?;
            let flags = if a.values.len() > 3 { a.number(3)? } else { 0 };
            read(&a, a.size(2)?, flags)
        }
        "write" | "send" | "sendto" => {
            a.count(3..=6)?;
            a.opaque(1)?;
            let flags = if a.values.len() > 3 { a.number(3)? } else { 0 };
            write(&a, a.size(2)?, flags)
        }
        "readv" | "writev" => {
            a.count(3..=3)?;
            let Value::Array(vector) = a.value(1)? else { return Err(a.bad("an iovec was expected")) };
            let bytes = message::vector_bytes(&a, vector)?;
            if call.name == "readv" { read(&a, bytes, 0) } else { write(&a, bytes, 0) }
        }
        "recvmsg" => message::receive(world, &a),
        "sendmsg" => message::send(&a),
        "close" => {
            a.count(1..=1)?;
            Ok(close(world, file()?))
        }
        "shutdown" => {
            a.count(2..=2)?;
            let how = a.number(1)?;
            done(shutdown(world, file()?, how))
        }
        "fcntl" => {
            a.count(2..=3)?;
            let command = a.word(1)?.to_owned();
            let flags = if a.values.len() > 2 { a.number(2)? } else { 0 };
            let socket = match socket(world, file()?) {
                Ok(socket) => socket,
                Err(outcome) => return done(outcome),
            };
            match command.as_str() {
                "F_GETFL" => done(Outcome::ok(2 | if socket.nonblocking { O_NONBLOCK } else { 0 })),
                "F_SETFL" => {
                    socket.nonblocking = flags & O_NONBLOCK != 0;
                    done(Outcome::ok(0))
                }
                other => Err(a.bad(format!("\"{other}\" is not known"))),
            }
        }
        "setsockopt" => {
            a.count(5..=5)?;
            set_option(world, &a).map(Begun::Done)
        }
        "getsockopt" => {
            a.count(5..=5)?;
            get_option(world, &a).map(Begun::Done)
        }
        "ioctl" => {
            a.count(3..=3)?;
            control(world, &a).map(Begun::Done)
        }
        "poll" => {
            a.count(3..=3)?;
            let timeout = a.number(2)?;
            let Value::Array(entries) = a.value(0)? else { return Err(a.bad("a list was expected")) };
            let mut files = Vec::new();
            for entry in entries {
                let Value::Struct(fields) = entry else { return Err(a.bad("a struct was expected")) };
                a.only_fields(fields, &["fd", "events", "revents"])?;
                let number = |name: &str| {
                    let value = a.field(fields, name);
                    value.map_or_else(|| Err(a.bad(format!("{name} is missing"))), |value| a.number_of(value))
                };
                files.push((number("fd")?, number("events")?, number("revents")?));
            }
            let until = u64::try_from(timeout).ok().map(|ms| world.now() + ms as i64 * 1000);
            Ok(Begun::Operation(Operation::Poll { files, until }))
        }
        "epoll_create" | "epoll_create1" => done(Outcome::ok(world.open(File::Epoll(Default::default())))),
        "epoll_ctl" => {
            a.count(4..=4)?;
            epoll::control(world, &a).map(Begun::Done)
        }
        "epoll_wait" => {
            a.count(4..=4)?;
            let expected = match a.value(1)? {
                Value::Ellipsis => None,
                value => Some(epoll::EpollEvent::read(&a, value)?),
            };
            let timeout = a.number(3)?;
            let until = u64::try_from(timeout).ok().map(|ms| world.now() + ms as i64 * 1000);
            Ok(Begun::Operation(Operation::EpollWait { file: file()?, expected, until }))
        }
        "splice" | "sendfile" | "open" | "pipe" | "cap_set" => {
            Err(ScriptError::missing(line, format!("the system call {}", call.name)))
        }
        other => Err(ScriptError::syntax(line, format!("system call \"{other}\" is not known"))),
    }
}

fn listen(world: &mut World, file: i64, backlog: u32) -> Outcome {
    let address = world.server_address();
    let knobs = match socket(world, file) {
        Ok(socket) if socket.role == Role::Fresh => socket.knobs.clone(),
        Ok(_) => return Outcome::error("EINVAL"),
        Err(outcome) => return outcome,
    };
    match world.host.tcp_listen(address, backlog, knobs) {
        Ok(listener) => {
            if let Ok(socket) = socket(world, file) {
                socket.role = Role::Listener(listener);
            }
            Outcome::ok(0)
        }
        Err(error) => Outcome::error(errno(error)),
    }
}

fn connect(world: &mut World, file: i64) -> Result<Begun, ScriptError> {
    let (role, knobs, nonblocking, told) = match socket(world, file) {
        Ok(socket) => (socket.role, socket.knobs.clone(), socket.nonblocking, socket.told_connected),
        Err(outcome) => return Ok(Begun::Done(outcome)),
    };
    match role {
        Role::Listener(_) => return Ok(Begun::Done(Outcome::error("EISCONN"))),
        Role::Connection(_) if told => return Ok(Begun::Done(Outcome::error("EISCONN"))),
        Role::Connection(id) => {
            let opening = matches!(
                world.host.tcp_status(id).map(|status| status.state),
                Ok(State::SynSent | State::SynReceived)
            );
            if opening && nonblocking {
                return Ok(Begun::Done(Outcome::error("EALREADY")));
            }
            return Ok(Begun::Operation(Operation::Connect { file }));
        }
        Role::Fresh => {}
    }
    let remote = world.remote_server();
    match world.host.tcp_connect(world.instant(), remote, None, knobs) {
        Ok(id) => {
            if let Ok(socket) = socket(world, file) {
                socket.role = Role::Connection(id);
            }
            world.collect();
            Ok(if nonblocking {
                Begun::Done(Outcome::error("EINPROGRESS"))
            } else {
                Begun::Operation(Operation::Connect { file })
            })
        }
        Err(error) => Ok(Begun::Done(Outcome::error(errno(error)))),
    }
}

pub(crate) fn read(a: &Arguments<'_>, wanted: usize, flags: i64) -> Result<Begun, ScriptError> {
    if flags & !(MSG_DONTWAIT | MSG_NOSIGNAL) != 0 {
        return Err(a.bad("only MSG_DONTWAIT and MSG_NOSIGNAL are known flags of reading"));
    }
    let dont_wait = flags & MSG_DONTWAIT != 0;
    Ok(Begun::Operation(Operation::Read { file: a.number(0)?, wanted, got: 0, dont_wait }))
}

pub(crate) fn write(a: &Arguments<'_>, wanted: usize, flags: i64) -> Result<Begun, ScriptError> {
    // Whether bytes are copied makes no difference to what is sent.
    if flags & !(MSG_DONTWAIT | MSG_MORE | MSG_EOR | MSG_NOSIGNAL | MSG_ZEROCOPY) != 0 {
        return Err(a.bad(format!("flags {flags:#x} of writing are not known")));
    }
    let dont_wait = flags & MSG_DONTWAIT != 0;
    let flags = SendFlags { more: flags & MSG_MORE != 0, end_of_record: flags & MSG_EOR != 0 };
    Ok(Begun::Operation(Operation::Write {
        file: a.number(0)?,
        wanted,
        written: 0,
        flags,
        dont_wait,
        asleep: false,
    }))
}

fn close(world: &mut World, file: i64) -> Begun {
    let Some(gone) = world.files.remove(&file) else { return Begun::Done(Outcome::error("EBADF")) };
    for other in world.files.values_mut() {
        if let File::Epoll(watches) = other {
            watches.remove(&file);
        }
    }
    let now = world.instant();
    if let File::Socket(socket) = gone {
        let result = match (socket.role, socket.linger) {
            (Role::Fresh, _) => Ok(()),
            (Role::Listener(listener), _) => world.host.tcp_close_listener(now, listener),
            (Role::Connection(id), Some(Duration::ZERO)) => world.host.tcp_abort(now, id),
            (Role::Connection(id), Some(patience)) => {
                let closed = world.host.tcp_close_lingering(now, id, patience);
                world.collect();
                if closed.is_ok() {
                    return Begun::Operation(Operation::Close { id });
                }
                closed
            }
            (Role::Connection(id), None) => world.host.tcp_close(now, id),
        };
        world.collect();
        if let Err(error) = result
            && error != SocketError::UnknownSocket
        {
            return Begun::Done(Outcome::error(errno(error)));
        }
    }
    Begun::Done(Outcome::ok(0))
}

fn shutdown(world: &mut World, file: i64, how: i64) -> Outcome {
    let (role, now) = match socket(world, file) {
        Ok(socket) => (socket.role, world.instant()),
        Err(outcome) => return outcome,
    };
    if !(0..=2).contains(&how) {
        return Outcome::error("EINVAL");
    }
    let Role::Connection(id) = role else { return Outcome::error("ENOTCONN") };
    let over = world.host.tcp_status(id).map_or(true, |status| status.state == State::Closed);
    if over {
        return Outcome::error("ENOTCONN");
    }
    if let Ok(socket) = socket(world, file) {
        socket.shut_read |= how == 0 || how == 2;
        socket.shut_write |= how == 1 || how == 2;
        socket.wakeups += 1;
    }
    if how == 1 || how == 2 {
        let result = world.host.tcp_shutdown(now, id);
        world.collect();
        if let Err(error) = result {
            return Outcome::error(errno(error));
        }
    }
    Outcome::ok(0)
}
