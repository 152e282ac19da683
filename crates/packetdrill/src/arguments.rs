//! What do the arguments of a call mean? Numbers, names, flags, structs.

use crate::error::ScriptError;
use crate::operation;
use crate::script::{Value, Word};

/// Names with numbers. Those of a kind that the stack lacks are not here, so that they are refused by name.
const NUMBERS: [(&str, i64); 64] = [
    ("SOCK_STREAM", SOCK_STREAM),
    ("SOCK_DGRAM", 2),
    ("SOCK_NONBLOCK", O_NONBLOCK),
    ("SOCK_CLOEXEC", SOCK_CLOEXEC),
    ("IPPROTO_TCP", IPPROTO_TCP),
    ("IPPROTO_UDP", 17),
    ("MSG_ZEROCOPY", MSG_ZEROCOPY),
    ("MSG_ERRQUEUE", MSG_ERRQUEUE),
    ("MSG_TRUNC", MSG_TRUNC),
    ("SOL_SOCKET", 1),
    ("SOL_IP", 0),
    ("SOL_IPV6", 41),
    ("SOL_TCP", IPPROTO_TCP),
    ("IP_RECVERR", 11),
    ("IPV6_RECVERR", 25),
    ("SCM_TIMESTAMPING", 37),
    ("SO_EE_ORIGIN_TIMESTAMPING", 4),
    ("SO_EE_ORIGIN_ZEROCOPY", 5),
    ("SO_EE_CODE_ZEROCOPY_COPIED", 1),
    ("SCM_TSTAMP_SND", 0),
    ("SCM_TSTAMP_SCHED", 1),
    ("SCM_TSTAMP_ACK", 2),
    ("SOF_TIMESTAMPING_TX_HARDWARE", 1),
    ("SOF_TIMESTAMPING_TX_SOFTWARE", 2),
    ("SOF_TIMESTAMPING_RX_HARDWARE", 4),
    ("SOF_TIMESTAMPING_RX_SOFTWARE", 8),
    ("SOF_TIMESTAMPING_SOFTWARE", 16),
    ("SOF_TIMESTAMPING_SYS_HARDWARE", 32),
    ("SOF_TIMESTAMPING_RAW_HARDWARE", 64),
    ("SOF_TIMESTAMPING_OPT_ID", 128),
    ("SOF_TIMESTAMPING_TX_SCHED", 256),
    ("SOF_TIMESTAMPING_TX_ACK", 512),
    ("SOF_TIMESTAMPING_OPT_CMSG", 1024),
    ("SOF_TIMESTAMPING_OPT_TSONLY", 2048),
    ("SOF_TIMESTAMPING_OPT_STATS", 4096),
    ("SOF_TIMESTAMPING_OPT_ID_TCP", 65536),
    ("ENOMSG", 42),
    ("TCP_CM_INQ", 36),
    ("POLLRDNORM", 0x40),
    ("POLLWRNORM", 0x100),
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
    ("MSG_NOSIGNAL", MSG_NOSIGNAL),
    ("MSG_MORE", 0x8000),
    ("SHUT_RD", 0),
    ("SHUT_WR", 1),
    ("SHUT_RDWR", 2),
];
pub(crate) const SOCK_STREAM: i64 = 1;
pub(crate) const SOCK_CLOEXEC: i64 = 0x8_0000;
pub(crate) const IPPROTO_TCP: i64 = 6;
pub(crate) const MSG_TRUNC: i64 = 0x20;
pub(crate) const MSG_ERRQUEUE: i64 = 0x2000;
pub(crate) const MSG_NOSIGNAL: i64 = 0x4000;
pub(crate) const MSG_ZEROCOPY: i64 = 0x400_0000;
pub(crate) const MSG_DONTWAIT: i64 = 0x40;
pub(crate) const MSG_EOR: i64 = 0x80;
pub(crate) const MSG_MORE: i64 = 0x8000;
pub(crate) const O_NONBLOCK: i64 = 0x800;

/// What Linux has beside TCP, by the beginning of its name.
const OF_LINUX: [(&str, &str); 7] = [
    ("MSG_FASTOPEN", "TCP Fast Open"),
    ("TCP_FASTOPEN", "TCP Fast Open"),
    ("AF_UNSPEC", "addresses of no family"),
    ("TCP_MD5SIG", "MD5 signatures"),
    ("TCP_REPAIR", "repair mode"),
    ("TCP_ULP", "upper-layer protocols in the kernel"),
    ("EPOLLEXCLUSIVE", "several waiting processes"),
];

/// The arguments of one call, with the line for errors.
pub(crate) struct Arguments<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: usize,
    pub(crate) values: &'a [Value],
}

impl Arguments<'_> {
    pub(crate) fn bad(&self, problem: impl std::fmt::Display) -> ScriptError {
        ScriptError::syntax(self.line, format!("{}: {problem}", self.name))
    }

    pub(crate) fn count(&self, counts: std::ops::RangeInclusive<usize>) -> Result<(), ScriptError> {
        if counts.contains(&self.values.len()) {
            return Ok(());
        }
        Err(self.bad(format!("{} arguments, where {counts:?} were expected", self.values.len())))
    }

    pub(crate) fn value(&self, index: usize) -> Result<&Value, ScriptError> {
        self.values.get(index).ok_or_else(|| self.bad(format!("argument {} is missing", index + 1)))
    }

    pub(crate) fn number_of(&self, value: &Value) -> Result<i64, ScriptError> {
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

    pub(crate) fn named(&self, name: &str) -> Result<i64, ScriptError> {
        if let Some((_, number)) = NUMBERS.iter().find(|(known, _)| *known == name) {
            return Ok(*number);
        }
        Err(self.unknown_name(name))
    }

    pub(crate) fn unknown_name(&self, name: &str) -> ScriptError {
        if name == "NULL" {
            return ScriptError::missing(self.line, "memory that can be badly addressed (NULL)");
        }
        match OF_LINUX.iter().find(|(prefix, _)| name.starts_with(prefix)) {
            Some((_, what)) => ScriptError::missing(self.line, format!("{what} ({name})")),
            None => self.bad(format!("\"{name}\" is not known")),
        }
    }

    pub(crate) fn number(&self, index: usize) -> Result<i64, ScriptError> {
        self.number_of(self.value(index)?)
    }

    pub(crate) fn word(&self, index: usize) -> Result<&str, ScriptError> {
        match self.value(index)? {
            Value::Flags(words) => match words.as_slice() {
                [Word::Name(name)] => Ok(name),
                _ => Err(self.bad(format!("argument {} is not one name", index + 1))),
            },
            _ => Err(self.bad(format!("argument {} is not a name", index + 1))),
        }
    }

    /// A buffer or address: `...`, whose contents do not matter.
    pub(crate) fn opaque(&self, index: usize) -> Result<(), ScriptError> {
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
    pub(crate) fn in_brackets(&self, index: usize) -> Result<i64, ScriptError> {
        match self.value(index)? {
            Value::Array(values) if values.len() == 1 => self.number_of(&values[0]),
            _ => Err(self.bad(format!("argument {} must be [number]", index + 1))),
        }
    }

    pub(crate) fn size(&self, index: usize) -> Result<usize, ScriptError> {
        let number = self.number(index)?;
        usize::try_from(number).ok().filter(|size| *size <= 1 << 30).ok_or_else(|| self.bad("a bad length"))
    }

    /// A struct argument has no other fields than these.
    pub(crate) fn only_fields(&self, fields: &[Value], known: &[&str]) -> Result<(), ScriptError> {
        for field in fields {
            match field {
                Value::Field(name, _) if known.contains(&name.as_str()) => {}
                Value::Field(name, _) => return Err(self.bad(format!("there is no field \"{name}\""))),
                _ => return Err(self.bad("name=value was expected")),
            }
        }
        Ok(())
    }

    /// A field of a struct argument.
    pub(crate) fn field<'v>(&self, fields: &'v [Value], name: &str) -> Option<&'v Value> {
        fields.iter().find_map(|field| match field {
            Value::Field(found, value) if found == name => Some(&**value),
            _ => None,
        })
    }
}
