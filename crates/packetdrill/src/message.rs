//! What do sendmsg and recvmsg carry beside data? Vectors of buffers, control data, and the error queue.

use crate::arguments::{Arguments, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_TRUNC};
use crate::call::{Begun, read, write};
use crate::error::ScriptError;
use crate::operation::{Outcome, socket};
use crate::options::IpVersion;
use crate::script::Value;
use crate::stamps::Notice;
use crate::world::{Role, Socket, World};

const SOL_SOCKET: i64 = 1;
const SCM_TIMESTAMPING: i64 = 37;
const SOL_TCP: i64 = 6;
const TCP_CM_INQ: i64 = 36;
const ENOMSG: i64 = 42;
const ORIGIN_TIMESTAMPING: i64 = 4;
const ORIGIN_ZEROCOPY: i64 = 5;

/// The fields of a struct msghdr.
fn message<'a>(a: &Arguments<'a>) -> Result<&'a [Value], ScriptError> {
    let Some(Value::Struct(fields)) = a.values.get(1) else {
        return Err(a.bad("a struct msghdr was expected"));
    };
    a.only_fields(fields, &["msg_name", "msg_iov", "msg_flags", "msg_control"])?;
    Ok(fields)
}

pub(crate) fn vector_bytes(a: &Arguments<'_>, vector: &[Value]) -> Result<usize, ScriptError> {
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

fn io_vector(a: &Arguments<'_>, fields: &[Value]) -> Result<usize, ScriptError> {
    match a.field(fields, "msg_iov") {
        Some(Value::Array(vector)) => vector_bytes(a, vector),
        _ => Err(a.bad("msg_iov is missing")),
    }
}

/// sendmsg(2).
pub(crate) fn send(a: &Arguments<'_>) -> Result<Begun, ScriptError> {
    a.count(3..=3)?;
    let fields = message(a)?;
    if a.field(fields, "msg_control").is_some() {
        return Err(ScriptError::missing(a.line, "control data of sendmsg"));
    }
    // The system call does not look at it, so that whatever stands there would be true.
    if a.field(fields, "msg_flags").map_or(Ok(0), |value| a.number_of(value))? != 0 {
        return Err(a.bad("msg_flags means nothing to sendmsg; its flags are the last argument"));
    }
    write(a, io_vector(a, fields)?, a.number(2)?)
}

/// A control message that the script expects.
struct Control<'a> {
    level: i64,
    kind: i64,
    data: &'a Value,
}

fn controls<'a>(a: &Arguments<'_>, fields: &'a [Value]) -> Result<Vec<Control<'a>>, ScriptError> {
    let entries = match a.field(fields, "msg_control") {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(a.bad("msg_control must be [{...}]")),
    };
    let one = |entry: &'a Value| {
        let Value::Struct(entry) = entry else { return Err(a.bad("a struct cmsghdr was expected")) };
        a.only_fields(entry, &["cmsg_level", "cmsg_type", "cmsg_data"])?;
        let part =
            |name: &str| a.field(entry, name).ok_or_else(|| a.bad(format!("{name} of a cmsghdr is missing")));
        Ok(Control {
            level: a.number_of(part("cmsg_level")?)?,
            kind: a.number_of(part("cmsg_type")?)?,
            data: part("cmsg_data")?,
        })
    };
    entries.iter().map(one).collect()
}

/// recvmsg(2).
pub(crate) fn receive(world: &mut World, a: &Arguments<'_>) -> Result<Begun, ScriptError> {
    a.count(3..=3)?;
    let flags = a.number(2)?;
    let fields = message(a)?;
    let wanted = io_vector(a, fields)?;
    let returned = a.field(fields, "msg_flags").map_or(Ok(0), |value| a.number_of(value))?;
    let controls = controls(a, fields)?;
    if flags & MSG_ERRQUEUE != 0 {
        if flags & !(MSG_ERRQUEUE | MSG_DONTWAIT | MSG_NOSIGNAL) != 0 {
            return Err(a.bad(format!("flags {flags:#x} of reading the error queue are not known")));
        }
        return error_queue(world, a, &controls, returned, wanted).map(Begun::Done);
    }
    let mut expected = None;
    for control in &controls {
        if (control.level, control.kind) != (SOL_TCP, TCP_CM_INQ) {
            return Err(ScriptError::missing(a.line, "control data other than TCP_CM_INQ"));
        }
        expected = Some(a.number_of(control.data)?);
    }
    let file = a.number(0)?;
    let Begun::Operation(mut operation) = read(a, wanted, flags)? else {
        return Err(a.bad("not a way of reading"));
    };
    if expected.is_none() && returned == 0 {
        return Ok(Begun::Operation(operation));
    }
    let Some(mut outcome) = operation.attempt(world) else {
        return Err(ScriptError::missing(a.line, "a recvmsg with control data that waits"));
    };
    if returned != 0 {
        outcome.problem = Some(format!("msg_flags {returned:#x} was expected, 0 was seen"));
        return Ok(Begun::Done(outcome));
    }
    let inq = match socket(world, file) {
        Ok(Socket { role: Role::Connection(id), inq: true, .. }) => {
            let id = *id;
            // At the end of the stream Linux reports one byte more, so that the reader comes again.
            let status = world.host.tcp_status(id).ok();
            status.map(|s| (s.readable_bytes + u64::from(s.end_of_stream && s.readable_bytes == 0)) as i64)
        }
        _ => None,
    };
    if inq != expected {
        outcome.problem = Some(format!("TCP_CM_INQ {expected:?} was expected, {inq:?} was seen"));
    }
    Ok(Begun::Done(outcome))
}

/// The oldest notice of the error queue against what the script expects of it.
fn error_queue(
    world: &mut World,
    a: &Arguments<'_>,
    controls: &[Control<'_>],
    returned: i64,
    wanted: usize,
) -> Result<Outcome, ScriptError> {
    for control in controls {
        if let Value::Struct(fields) = control.data
            && let Some(origin) = a.field(fields, "ee_origin")
            && a.number_of(origin)? == ORIGIN_ZEROCOPY
        {
            return Err(ScriptError::missing(a.line, "notices of sending without copying (SO_ZEROCOPY)"));
        }
    }
    if wanted > 0 {
        return Err(ScriptError::missing(a.line, "the data of the error queue"));
    }
    let ipv4 = world.settings.ip_version == IpVersion::Ipv4;
    let tolerance = world.settings.tolerance;
    let socket = match socket(world, a.number(0)?) {
        Ok(socket) => socket,
        Err(outcome) => return Ok(outcome),
    };
    let Some(notice) = socket.stamps.take() else { return Ok(Outcome::error("EAGAIN")) };
    let mut problems = Vec::new();
    let mut check = |what: &str, expected: i64, seen: i64| {
        if expected != seen {
            problems.push(format!("{what} {expected} was expected, {seen} was seen"));
        }
    };
    check("msg_flags", returned, MSG_ERRQUEUE | if notice.with_data { MSG_TRUNC } else { 0 });
    check("number of control messages", controls.len() as i64, 2);
    for control in controls {
        let Value::Struct(fields) = control.data else { return Err(a.bad("cmsg_data must be {...}")) };
        match (control.level, control.kind) {
            (SOL_SOCKET, SCM_TIMESTAMPING) => {
                a.only_fields(fields, &["scm_sec", "scm_nsec"])?;
                let part = |name| a.field(fields, name).map_or(Ok(0), |value| a.number_of(value));
                let expected = part("scm_sec")? * 1_000_000 + part("scm_nsec")? / 1_000;
                if (expected - notice.at).abs() > tolerance {
                    check("time in microseconds", expected, notice.at);
                }
            }
            (level, kind) => {
                check("cmsg_level", level, if ipv4 { 0 } else { 41 });
                check("cmsg_type", kind, if ipv4 { 11 } else { 25 });
                extended_error(a, fields, &notice, &mut check)?;
            }
        }
    }
    let problem = (!problems.is_empty()).then(|| problems.join("; "));
    Ok(Outcome { problem, ..Outcome::ok(0) })
}

/// struct sock_extended_err, field by field.
fn extended_error(
    a: &Arguments<'_>,
    fields: &[Value],
    notice: &Notice,
    check: &mut impl FnMut(&str, i64, i64),
) -> Result<(), ScriptError> {
    for field in fields {
        let Value::Field(name, value) = field else { return Err(a.bad("ee_…=… was expected")) };
        let seen = match name.as_str() {
            "ee_errno" => ENOMSG,
            "ee_origin" => ORIGIN_TIMESTAMPING,
            "ee_type" | "ee_code" => 0,
            "ee_info" => notice.kind,
            "ee_data" => notice.key.into(),
            other => return Err(a.bad(format!("\"{other}\" is not a field of an extended error"))),
        };
        check(name, a.number_of(value)?, seen);
    }
    Ok(())
}
