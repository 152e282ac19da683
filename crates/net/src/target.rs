//! Where to? What a program may give as the other end of a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection: a socket address, or a host's name and a port.
///
/// ```
/// use narrows_net::Target;
///
/// let by_name: Target = "server:80".into();
/// let by_parts: Target = ("server", 80).into();
/// assert_eq!(by_name, by_parts);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address and a port.
    Address(SocketAddr),
    /// A name and a port.
    Name(String, u16),
    /// A text that is neither; connecting to it fails and says so.
    Unreadable(String),
}

impl Target {
    /// The address, with names looked up by `resolve`.
    pub(crate) fn resolve(self, resolve: impl FnOnce(&str) -> Option<IpAddr>) -> io::Result<SocketAddr> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        match self {
            Target::Address(address) => Ok(address),
            Target::Name(name, port) => {
                let address = resolve(&name).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::NotFound, format!("no host is called `{name}`"))
                })?;
                Ok(SocketAddr::new(address, port))
            }
            Target::Unreadable(text) => {
                Err(invalid(format!("`{text}` is no target: give `ADDRESS:PORT` or `NAME:PORT`")))
            }
        }
    }
}

impl From<&str> for Target {
    fn from(text: &str) -> Target {
        if let Ok(address) = text.parse() {
            return Target::Address(address);
        }
        match text.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
            Some((name, Ok(port))) if !name.is_empty() => (name, port).into(),
            _ => Target::Unreadable(text.to_owned()),
        }
    }
}

impl From<String> for Target {
    fn from(text: String) -> Target {
        text.as_str().into()
    }
}

impl From<(&str, u16)> for Target {
    fn from((name, port): (&str, u16)) -> Target {
        match name.parse::<IpAddr>() {
            Ok(address) => Target::Address(SocketAddr::new(address, port)),
            Err(_) => Target::Name(name.to_owned(), port),
        }
    }
}

impl From<(IpAddr, u16)> for Target {
    fn from(parts: (IpAddr, u16)) -> Target {
        Target::Address(parts.into())
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target::Address(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_an_address_or_a_name_and_anything_else_says_what_was_expected() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(Target::from("10.0.0.1:80"), Target::Address(address("10.0.0.1:80")));
        assert_eq!(Target::from("[fd00::1]:80"), Target::Address(address("[fd00::1]:80")));
        assert_eq!(Target::from(("fd00::1", 80)), Target::Address(address("[fd00::1]:80")));
        let known = |name: &str| (name == "server").then(|| address("10.0.0.2:0").ip());
        assert_eq!(Target::from("server:7").resolve(known).unwrap(), address("10.0.0.2:7"));
        assert_eq!(Target::from("serve:7").resolve(known).unwrap_err().kind(), io::ErrorKind::NotFound);
        for wrong in ["server", ":80", "server:http", ""] {
            let error = Target::from(wrong).resolve(known).unwrap_err();
            assert!(error.to_string().contains("NAME:PORT"), "{error}");
        }
    }
}
