//! What do socket options set and show? setsockopt, getsockopt, ioctl.

use crate::arguments::Arguments;
use crate::error::ScriptError;
use crate::operation::{Outcome, socket};
use crate::script::Value;
use crate::world::{Role, World, errno, errno_number};
use narrows_stack::knob::{CongestionControl, QuickAck};
use narrows_stack::{Knobs, SocketError};
use std::time::Duration;

/// The length of most options' values.
const INTEGER_BYTES: i64 = 4;

/// The option's name, which has to be one of its level.
fn option_name(a: &Arguments<'_>) -> Result<String, ScriptError> {
    let (level, name) = (a.word(1)?, a.word(2)?);
    let prefix = match level {
        "SOL_SOCKET" => "SO_",
        "SOL_TCP" | "IPPROTO_TCP" => "TCP_",
        "SOL_IP" | "IPPROTO_IP" => "IP_",
        "SOL_IPV6" | "IPPROTO_IPV6" => "IPV6_",
        _ => return Err(a.bad(format!("level \"{level}\" is not known"))),
    };
    if !name.starts_with(prefix) {
        return Err(a.bad(format!("\"{name}\" is not an option of {level}")));
    }
    Ok(name.to_owned())
}

pub(crate) fn set_option(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
    let name = option_name(a)?;
    let file = a.number(0)?;
    let text = match a.value(3)? {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    let linger = match a.value(3)? {
        Value::Struct(fields) if name == "SO_LINGER" => {
            a.only_fields(fields, &["onoff", "linger"])?;
            let number = |field| a.field(fields, field).map_or(Ok(0), |value| a.number_of(value));
            let seconds = u64::try_from(number("linger")?).unwrap_or(0);
            Some((number("onoff")? != 0).then(|| Duration::from_secs(seconds)))
        }
        _ => None,
    };
    let system = world.environment.knobs.system.clone();
    let now = world.instant();
    let socket = match socket(world, file) {
        Ok(socket) => socket,
        Err(outcome) => return Ok(outcome),
    };
    // Options of IP may be bytes; names have any length.
    let least = match (&text, linger.is_some()) {
        (Some(_), _) => 0,
        (None, true) => 2 * INTEGER_BYTES,
        (None, false) if name.starts_with("IP_") => 1,
        (None, false) => INTEGER_BYTES,
    };
    if a.number(4)? < least {
        return Ok(Outcome::error("EINVAL"));
    }
    let mut knobs: Knobs = socket.knobs.clone();
    let number = || a.in_brackets(3);
    let small = || number().map(|number| u32::try_from(number).unwrap_or(0));
    let seconds = || number().map(|number| Duration::from_secs(u64::try_from(number).unwrap_or(0)));
    let mut quickack = None;
    match name.as_str() {
        // Nothing here is shared, marked or prioritised.
        "SO_ZEROCOPY" | "SO_REUSEADDR" | "SO_REUSEPORT" | "SO_MARK" | "SO_PRIORITY" | "IP_FREEBIND"
        | "IPV6_V6ONLY" => {
            number()?;
        }
        "SO_SNDBUF" | "SO_SNDBUFFORCE" => {
            knobs.sndbuf = number()?.max(1) as u64;
            knobs.system.wmem_max = if name == "SO_SNDBUF" { system.wmem_max } else { u32::MAX };
        }
        "SO_RCVBUF" | "SO_RCVBUFFORCE" => {
            knobs.rcvbuf = number()?.max(1) as u64;
            knobs.system.rmem_max = if name == "SO_RCVBUF" { system.rmem_max } else { u32::MAX };
        }
        "SO_KEEPALIVE" => knobs.keepalive = number()? != 0,
        "SO_LINGER" => {
            socket.linger = linger.ok_or_else(|| a.bad("{onoff=…, linger=…} was expected"))?;
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
        "SO_TIMESTAMPING" => {
            let flags = number()?;
            let acknowledged = match socket.role {
                Role::Connection(id) => world.host.tcp_info(id).map_or(0, |info| info.bytes_acked),
                _ => 0,
            };
            let socket = match crate::operation::socket(world, file) {
                Ok(socket) => socket,
                Err(outcome) => return Ok(outcome),
            };
            socket.stamps.configure(flags, socket.written, acknowledged);
            return Ok(Outcome::ok(0));
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
    if let Role::Listener(listener) = socket.role {
        let _ = world.host.tcp_configure_listener(listener, knobs.clone());
    }
    let Ok(socket) = crate::operation::socket(world, file) else { return Ok(Outcome::error("EBADF")) };
    if let Role::Connection(id) = socket.role {
        let result = world.host.tcp_configure(now, id, knobs).and_then(|()| match quickack {
            Some(on) => world.host.tcp_set(now, id, "quickack", if on { "socket" } else { "off" }),
            None => Ok(()),
        });
        if name == "TCP_NODELAY" {
            let value = if number()? != 0 { "true" } else { "false" };
            let _ = world.host.tcp_set(now, id, "nodelay", value);
        }
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

pub(crate) fn get_option(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
    let name = option_name(a)?;
    let expected = a.in_brackets(3)?;
    let length = a.in_brackets(4)?;
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
            _ => knobs.send_buffer().into(),
        },
        "SO_RCVBUF" => match role {
            Role::Connection(id) => world.host.tcp_info(id).map_or(0, |info| info.rcv_buffer.into()),
            _ => knobs.receive_buffer().0.into(),
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
    } else if length != INTEGER_BYTES {
        outcome.problem = Some(format!("{length} bytes were expected, {INTEGER_BYTES} were seen"));
    }
    Ok(outcome)
}

pub(crate) fn control(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
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
