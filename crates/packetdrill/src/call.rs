//! What does a system call do to our host? Arguments are checked and become calls of the stack, or operations that may wait.

use crate::error::ScriptError;
use crate::operation::{self, Operation, Outcome, socket};
use crate::script::{Call, Value, Word};
use crate::world::{File, Role, Socket, Watch, World, errno, errno_number};
use narrows_stack::knob::{CongestionControl, QuickAck};
use narrows_stack::tcp::State;
use narrows_stack::{Knobs, SendFlags, SocketError};
use std::time::Duration;

/// What a call has led to.
pub enum Begun {
    /// It has returned.
    Done(Outcome),
    /// It may have to wait.
    Operation(Operation),
}

/// Names with numbers. Those of a kind that the stack lacks are not here, so that they are refused by name.
const NUMBERS: [(&str, i64); 24] = [
    ("O_RDONLY", 0),
    ("O_RDWR", 2),
    ("O_NONBLOCK", 0x800),
    ("POLLIN", operation::POLLIN),
    ("POLLPRI", operation::POLLPRI),
    ("POLLOUT", operation::POLLOUT),
    ("POLLERR", operation::POLLERR),
    ("POLLHUP", operation::POLLHUP),
    ("POLLRDHUP", operation::POLLRDHUP),
    ("EPOLLIN", operation::POLLIN),
    ("EPOLLPRI", operation::POLLPRI),
    ("EPOLLOUT", operation::POLLOUT),
    ("EPOLLERR", operation::POLLERR),
    ("EPOLLHUP", operation::POLLHUP),
    ("EPOLLRDHUP", operation::POLLRDHUP),
    ("EPOLLET", operation::EPOLLET),
    ("EPOLLONESHOT", operation::EPOLLONESHOT),
    ("MSG_DONTWAIT", 0x40),
    ("MSG_EOR", 0x80),
    ("MSG_NOSIGNAL", 0x4000),
    ("MSG_MORE", 0x8000),
    ("SHUT_RD", 0),
    ("SHUT_WR", 1),
    ("SHUT_RDWR", 2),
];
const MSG_DONTWAIT: i64 = 0x40;
const MSG_EOR: i64 = 0x80;
const MSG_MORE: i64 = 0x8000;
const O_NONBLOCK: i64 = 0x800;

/// What Linux has beside TCP, by the beginning of its name.
const OF_LINUX: [(&str, &str); 12] = [
    ("MSG_FASTOPEN", "TCP Fast Open"),
    ("TCP_FASTOPEN", "TCP Fast Open"),
    ("MSG_ZEROCOPY", "sending without copying"),
    ("SO_ZEROCOPY", "sending without copying"),
    ("MSG_ERRQUEUE", "the error queue of sockets"),
    ("SO_TIMESTAMPING", "the error queue of sockets"),
    ("SCM_", "the error queue of sockets"),
    ("AF_UNSPEC", "addresses of no family"),
    ("TCP_MD5SIG", "MD5 signatures"),
    ("TCP_REPAIR", "repair mode"),
    ("TCP_ULP", "upper-layer protocols in the kernel"),
    ("EPOLLEXCLUSIVE", "several waiting processes"),
];

/// The arguments of one call, with the line for errors.
struct Arguments<'a> {
    name: &'a str,
    line: usize,
    values: &'a [Value],
}

impl Arguments<'_> {
    fn bad(&self, problem: impl std::fmt::Display) -> ScriptError {
        ScriptError::syntax(self.line, format!("{}: {problem}", self.name))
    }

    fn count(&self, counts: std::ops::RangeInclusive<usize>) -> Result<(), ScriptError> {
        if counts.contains(&self.values.len()) {
            return Ok(());
        }
        Err(self.bad(format!("{} arguments, where {counts:?} were expected", self.values.len())))
    }

    fn value(&self, index: usize) -> Result<&Value, ScriptError> {
        self.values.get(index).ok_or_else(|| self.bad(format!("argument {} is missing", index + 1)))
    }

    fn number_of(&self, value: &Value) -> Result<i64, ScriptError> {
        match value {
            Value::Integer(number) => Ok(*number),
            Value::Flags(words) => {
                let mut bits = 0;
                for word in words {
                    bits |= match word {
                        Word::Number(number) => *number,
                        Word::Name(name) => self.named(name)?,
                    };
                }
                Ok(bits)
            }
            other => Err(self.bad(format!("a number was expected, not {other:?}"))),
        }
    }

    fn named(&self, name: &str) -> Result<i64, ScriptError> {
        if let Some((_, number)) = NUMBERS.iter().find(|(known, _)| *known == name) {
            return Ok(*number);
        }
        Err(self.unknown_name(name))
    }

    fn unknown_name(&self, name: &str) -> ScriptError {
        if name == "NULL" {
            return ScriptError::missing(self.line, "memory that can be badly addressed (NULL)");
        }
        match OF_LINUX.iter().find(|(prefix, _)| name.starts_with(prefix)) {
            Some((_, what)) => ScriptError::missing(self.line, format!("{what} ({name})")),
            None => self.bad(format!("\"{name}\" is not known")),
        }
    }

    fn number(&self, index: usize) -> Result<i64, ScriptError> {
        self.number_of(self.value(index)?)
    }

    fn word(&self, index: usize) -> Result<&str, ScriptError> {
        match self.value(index)? {
            Value::Flags(words) => match words.as_slice() {
                [Word::Name(name)] => Ok(name),
                _ => Err(self.bad(format!("argument {} is not one name", index + 1))),
            },
            _ => Err(self.bad(format!("argument {} is not a name", index + 1))),
        }
    }

    /// A buffer or address: `...`, whose contents do not matter.
    fn opaque(&self, index: usize) -> Result<(), ScriptError> {
        match self.value(index)? {
            Value::Ellipsis => Ok(()),
            Value::Flags(words) => match words.as_slice() {
                [Word::Name(name)] => Err(self.unknown_name(name)),
                _ => Err(self.bad(format!("argument {} must be ...", index + 1))),
            },
            _ => Err(self.bad(format!("argument {} must be ...", index + 1))),
        }
    }

    /// `[number]`
    fn in_brackets(&self, index: usize) -> Result<i64, ScriptError> {
        match self.value(index)? {
            Value::Array(values) if values.len() == 1 => self.number_of(&values[0]),
            _ => Err(self.bad(format!("argument {} must be [number]", index + 1))),
        }
    }

    fn size(&self, index: usize) -> Result<usize, ScriptError> {
        let number = self.number(index)?;
        usize::try_from(number).ok().filter(|size| *size <= 1 << 30).ok_or_else(|| self.bad("a bad length"))
    }

    /// A field of a struct argument.
    fn field<'v>(&self, fields: &'v [Value], name: &str) -> Option<&'v Value> {
        fields.iter().find_map(|field| match field {
            Value::Field(found, value) if found == name => Some(&**value),
            _ => None,
        })
    }
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
            if a.word(1)? != "SOCK_STREAM" || a.word(2)? != "IPPROTO_TCP" {
                return Err(ScriptError::missing(line, "sockets that are not TCP"));
            }
            let knobs = world.environment.knobs.clone();
            done(Outcome::ok(world.open(File::Socket(Box::new(Socket::new(knobs))))))
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
            let bytes = vector_bytes(&a, vector)?;
            if call.name == "readv" { read(&a, bytes, 0) } else { write(&a, bytes, 0) }
        }
        "recvmsg" => receive_message(world, &a),
        "sendmsg" => {
            a.count(3..=3)?;
            let fields = message(&a)?;
            if a.field(fields, "msg_control").is_some() {
                return Err(ScriptError::missing(line, "control data of sendmsg"));
            }
            let flags = a.number(2)?;
            let Some(Value::Array(vector)) = a.field(fields, "msg_iov") else {
                return Err(a.bad("msg_iov is missing"));
            };
            write(&a, vector_bytes(&a, vector)?, flags)
        }
        "close" => {
            a.count(1..=1)?;
            done(close(world, file()?))
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
            epoll_control(world, &a).map(Begun::Done)
        }
        "epoll_wait" => {
            a.count(4..=4)?;
            let expected = match a.value(1)? {
                Value::Ellipsis => None,
                Value::Struct(fields) => {
                    let events = a.field(fields, "events").ok_or_else(|| a.bad("events is missing"))?;
                    let of = a.field(fields, "fd").map(|value| a.number_of(value)).transpose()?;
                    Some((a.number_of(events)?, of))
                }
                _ => return Err(a.bad("a struct epoll_event was expected")),
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

fn read(a: &Arguments<'_>, wanted: usize, flags: i64) -> Result<Begun, ScriptError> {
    if flags & !(MSG_DONTWAIT | 0x4000) != 0 {
        return Err(a.bad("only MSG_DONTWAIT and MSG_NOSIGNAL are known flags of reading"));
    }
    let dont_wait = flags & MSG_DONTWAIT != 0;
    Ok(Begun::Operation(Operation::Read { file: a.number(0)?, wanted, got: 0, dont_wait }))
}

fn write(a: &Arguments<'_>, wanted: usize, flags: i64) -> Result<Begun, ScriptError> {
    if flags & !(MSG_DONTWAIT | MSG_MORE | MSG_EOR | 0x4000) != 0 {
        return Err(a.bad(format!("flags {flags:#x} of writing are not known")));
    }
    let dont_wait = flags & MSG_DONTWAIT != 0;
    let flags = SendFlags { more: flags & MSG_MORE != 0, end_of_record: flags & MSG_EOR != 0 };
    Ok(Begun::Operation(Operation::Write { file: a.number(0)?, wanted, written: 0, flags, dont_wait }))
}

/// The fields of a struct msghdr.
fn message<'a>(a: &Arguments<'a>) -> Result<&'a [Value], ScriptError> {
    let Some(Value::Struct(fields)) = a.values.get(1) else {
        return Err(a.bad("a struct msghdr was expected"));
    };
    Ok(fields)
}

fn vector_bytes(a: &Arguments<'_>, vector: &[Value]) -> Result<usize, ScriptError> {
    let mut bytes = 0usize;
    for element in vector {
        let Value::Struct(parts) = element else { return Err(a.bad("{..., length} was expected")) };
        let [Value::Ellipsis, length] = parts.as_slice() else {
            return Err(a.bad("{..., length} was expected"));
        };
        let length = usize::try_from(a.number_of(length)?).ok().filter(|length| *length <= 1 << 30);
        bytes = bytes.saturating_add(length.ok_or_else(|| a.bad("a bad length"))?);
    }
    Ok(bytes)
}

fn receive_message(world: &mut World, a: &Arguments<'_>) -> Result<Begun, ScriptError> {
    a.count(3..=3)?;
    let flags = a.number(2)?;
    let fields = message(a)?;
    let Some(Value::Array(vector)) = a.field(fields, "msg_iov") else {
        return Err(a.bad("msg_iov is missing"));
    };
    let wanted = vector_bytes(a, vector)?;
    if let Some(value) = a.field(fields, "msg_flags")
        && a.number_of(value)? != 0
    {
        return Err(a.bad("no flags of a received message are known"));
    }
    let mut expected = None;
    if let Some(Value::Array(control)) = a.field(fields, "msg_control") {
        for entry in control {
            let Value::Struct(entry) = entry else { return Err(a.bad("a struct cmsghdr was expected")) };
            let is = |field: &str, name: &str| {
                a.field(entry, field) == Some(&Value::Flags(vec![Word::Name(name.into())]))
            };
            if !is("cmsg_level", "SOL_TCP") || !is("cmsg_type", "TCP_CM_INQ") {
                return Err(ScriptError::missing(a.line, "control data other than TCP_CM_INQ"));
            }
            let data = a.field(entry, "cmsg_data").ok_or_else(|| a.bad("cmsg_data is missing"))?;
            expected = Some(a.number_of(data)?);
        }
    }
    let file = a.number(0)?;
    let begun = read(a, wanted, flags)?;
    let Some(expected) = expected else { return Ok(begun) };
    let Begun::Operation(mut operation) = begun else { return Ok(begun) };
    let Some(mut outcome) = operation.attempt(world) else {
        return Err(ScriptError::missing(a.line, "a recvmsg with control data that waits"));
    };
    let inq = match socket(world, file) {
        Ok(Socket { role: Role::Connection(id), inq: true, .. }) => {
            let id = *id;
            // At the end of the stream Linux reports one byte more, so that the reader comes again.
            let status = world.host.tcp_status(id);
            status
                .ok()
                .map(|s| (s.readable_bytes + u64::from(s.end_of_stream && s.readable_bytes == 0)) as i64)
        }
        _ => None,
    };
    if inq != Some(expected) {
        outcome.problem = Some(format!("TCP_CM_INQ {expected} was expected, {inq:?} was seen"));
    }
    Ok(Begun::Done(outcome))
}

fn close(world: &mut World, file: i64) -> Outcome {
    let Some(gone) = world.files.remove(&file) else { return Outcome::error("EBADF") };
    for other in world.files.values_mut() {
        if let File::Epoll(watches) = other {
            watches.remove(&file);
        }
    }
    let now = world.instant();
    if let File::Socket(socket) = gone {
        let result = match socket.role {
            Role::Fresh => Ok(()),
            Role::Listener(listener) => world.host.tcp_close_listener(now, listener),
            Role::Connection(id) if socket.abort_on_close => world.host.tcp_abort(now, id),
            Role::Connection(id) => world.host.tcp_close(now, id),
        };
        world.collect();
        if let Err(error) = result
            && error != SocketError::UnknownSocket
        {
            return Outcome::error(errno(error));
        }
    }
    Outcome::ok(0)
}

fn shutdown(world: &mut World, file: i64, how: i64) -> Outcome {
    let (role, now) = match socket(world, file) {
        Ok(socket) => (socket.role, world.instant()),
        Err(outcome) => return outcome,
    };
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

fn set_option(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
    let (level, name) = (a.word(1)?.to_owned(), a.word(2)?.to_owned());
    let known = matches!(
        level.as_str(),
        "SOL_SOCKET" | "SOL_TCP" | "IPPROTO_TCP" | "SOL_IP" | "IPPROTO_IP" | "SOL_IPV6" | "IPPROTO_IPV6"
    );
    if !known {
        return Err(a.bad(format!("level \"{level}\" is not known")));
    }
    let file = a.number(0)?;
    let text = match a.value(3)? {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    let linger = match a.value(3)? {
        Value::Struct(fields) if name == "SO_LINGER" => {
            let number = |field| a.field(fields, field).map_or(Ok(0), |value| a.number_of(value));
            Some(number("onoff")? != 0 && number("linger")? == 0)
        }
        _ => None,
    };
    let system = world.environment.knobs.system.clone();
    let now = world.instant();
    let socket = match socket(world, file) {
        Ok(socket) => socket,
        Err(outcome) => return Ok(outcome),
    };
    let mut knobs: Knobs = socket.knobs.clone();
    let number = || a.in_brackets(3);
    let small = || number().map(|number| u32::try_from(number).unwrap_or(0));
    let seconds = || number().map(|number| Duration::from_secs(u64::try_from(number).unwrap_or(0)));
    let mut quickack = None;
    match name.as_str() {
        // Nothing here is shared, marked or prioritised.
        "SO_REUSEADDR" | "SO_REUSEPORT" | "SO_MARK" | "SO_PRIORITY" | "IP_FREEBIND" | "IPV6_V6ONLY" => {
            number()?;
        }
        "SO_SNDBUF" | "SO_SNDBUFFORCE" => knobs.sndbuf = number()?.max(1) as u64,
        "SO_RCVBUF" | "SO_RCVBUFFORCE" => knobs.rcvbuf = number()?.max(1) as u64,
        "SO_KEEPALIVE" => knobs.keepalive = number()? != 0,
        "SO_LINGER" => {
            socket.abort_on_close = linger.ok_or_else(|| a.bad("{onoff=…, linger=…} was expected"))?;
        }
        "TCP_NODELAY" => knobs.nodelay = number()? != 0,
        "TCP_CORK" => knobs.cork = number()? != 0,
        "TCP_MAXSEG" => knobs.mss = small()?,
        "TCP_SYNCNT" => knobs.syn_retries = small()?,
        "TCP_USER_TIMEOUT" => {
            knobs.system.user_timeout = Duration::from_millis(u64::try_from(number()?).unwrap_or(0));
        }
        "TCP_KEEPIDLE" => knobs.keepalive_time = seconds()?,
        "TCP_KEEPINTVL" => knobs.keepalive_interval = seconds()?,
        "TCP_KEEPCNT" => knobs.keepalive_probes = small()?,
        "TCP_NOTSENT_LOWAT" => {
            socket.notsent_lowat = number()? as u32;
            let own = socket.notsent_lowat;
            knobs.system.notsent_lowat = if own == 0 { system.notsent_lowat } else { own };
        }
        "TCP_INQ" => socket.inq = number()? != 0,
        "TCP_QUICKACK" => quickack = Some(number()? != 0),
        "TCP_CONGESTION" => {
            knobs.congestion_control = match text.as_deref() {
                Some("cubic") => CongestionControl::Cubic,
                Some("reno") => CongestionControl::Reno,
                Some("bbr") => CongestionControl::Bbr,
                other => {
                    let what = format!("congestion control {}", other.unwrap_or("without a name"));
                    return Err(ScriptError::missing(a.line, what));
                }
            }
        }
        "IP_TOS" | "IPV6_TCLASS" => knobs.system.traffic_class = number()? as u8,
        "IP_MTU_DISCOVER" => match a.value(3)? {
            Value::Array(values) if values.len() == 1 => {}
            _ => return Err(a.bad("[how] was expected")),
        },
        other => return Err(a.unknown_name(other)),
    }
    socket.knobs = knobs.clone();
    if let Role::Connection(id) = socket.role {
        let result = world.host.tcp_configure(now, id, knobs).and_then(|()| match quickack {
            Some(on) => world.host.tcp_set(now, id, "quickack", if on { "socket" } else { "off" }),
            None => Ok(()),
        });
        // TCP_QUICKACK is a single shot on Linux, not a mode.
        if quickack.is_some()
            && let Ok(knobs) = world.host.tcp_knobs(id)
        {
            let knobs = Knobs { quickack: QuickAck::Off, ..knobs.clone() };
            let _ = world.host.tcp_configure(now, id, knobs);
        }
        world.collect();
        if let Err(error) = result
            && error != SocketError::UnknownSocket
        {
            return Ok(Outcome::error(errno(error)));
        }
    }
    Ok(Outcome::ok(0))
}

fn get_option(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
    let name = a.word(2)?.to_owned();
    let expected = a.in_brackets(3)?;
    let file = a.number(0)?;
    let socket = match socket(world, file) {
        Ok(socket) => socket,
        Err(outcome) => return Ok(outcome),
    };
    let (role, knobs) = (socket.role, socket.knobs.clone());
    let seen = match name.as_str() {
        "SO_ERROR" => socket.error.take().and_then(errno_number).unwrap_or(0),
        "SO_KEEPALIVE" => knobs.keepalive.into(),
        "TCP_NODELAY" => knobs.nodelay.into(),
        "TCP_CORK" => knobs.cork.into(),
        "TCP_NOTSENT_LOWAT" => socket.notsent_lowat.into(),
        "TCP_USER_TIMEOUT" => knobs.system.user_timeout.as_millis() as i64,
        "TCP_SYNCNT" => knobs.syn_retries.into(),
        "IP_TOS" | "IPV6_TCLASS" => knobs.system.traffic_class.into(),
        "SO_SNDBUF" => match role {
            Role::Connection(id) => world.host.tcp_status(id).map_or(0, |status| status.send_buffer as i64),
            _ => (2 * knobs.sndbuf).max(4608) as i64,
        },
        "TCP_MAXSEG" => match role {
            Role::Connection(id) => world.host.tcp_info(id).map_or(0, |info| info.snd_mss.into()),
            _ if knobs.mss > 0 => knobs.mss.into(),
            _ => 536,
        },
        other => return Err(a.unknown_name(other)),
    };
    let mut outcome = Outcome::ok(0);
    if seen as u32 != expected as u32 {
        outcome.problem = Some(format!("{name} {expected} was expected, {seen} was seen"));
    }
    Ok(outcome)
}

fn control(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
    let name = a.word(1)?.to_owned();
    let expected = a.in_brackets(2)?;
    let role = match socket(world, a.number(0)?) {
        Ok(socket) => socket.role,
        Err(outcome) => return Ok(outcome),
    };
    let Role::Connection(id) = role else { return Ok(Outcome::error("EINVAL")) };
    let Ok(status) = world.host.tcp_status(id) else { return Ok(Outcome::error("EINVAL")) };
    let seen = match name.as_str() {
        "SIOCINQ" | "FIONREAD" => status.readable_bytes as i64,
        "SIOCOUTQ" | "TIOCOUTQ" => status.unacknowledged_bytes as i64,
        "SIOCOUTQNSD" => status.unsent_bytes as i64,
        other => return Err(a.unknown_name(other)),
    };
    let mut outcome = Outcome::ok(0);
    if seen != expected {
        outcome.problem = Some(format!("{name} {expected} was expected, {seen} was seen"));
    }
    Ok(outcome)
}

fn epoll_control(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
    let (file, command, target) = (a.number(0)?, a.word(1)?.to_owned(), a.number(2)?);
    let events = match a.value(3)? {
        Value::Struct(fields) => {
            let events = a.field(fields, "events").ok_or_else(|| a.bad("events is missing"))?;
            a.number_of(events)?
        }
        _ => return Err(a.bad("a struct epoll_event was expected")),
    };
    if !world.files.contains_key(&target) {
        return Ok(Outcome::error("EBADF"));
    }
    let Some(File::Epoll(watches)) = world.files.get_mut(&file) else {
        return Ok(Outcome::error("EINVAL"));
    };
    match command.as_str() {
        "EPOLL_CTL_ADD" | "EPOLL_CTL_MOD" => {
            watches.insert(target, Watch { events, reported: None, spent: false });
        }
        "EPOLL_CTL_DEL" => {
            watches.remove(&target);
        }
        other => return Err(a.bad(format!("\"{other}\" is not known"))),
    }
    Ok(Outcome::ok(0))
}
