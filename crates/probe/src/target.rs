//! Who is meant? `HOST`, `HOST:PORT`, `[IPV6]:PORT`, and the address behind the name.

use crate::error::Error;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// Which version of IP to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What the resolver names first (RFC 6724).
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// A host, and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address as given.
    pub host: String,
    /// The TCP port, if one was given.
    pub port: Option<u16>,
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Target, Error> {
        let wrong = |why| Error::Target { target: text.chars().filter(|c| !c.is_control()).collect(), why };
        let port = |digits: &str| match digits.parse::<u16>() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(wrong("a port is a number from 1 to 65535")),
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
            let address = host.split_once('%').map_or(host, |(address, _)| address);
            address.parse::<Ipv6Addr>().map_err(|_| wrong("in brackets stands an IPv6 address"))?;
            match rest.strip_prefix(':') {
                Some(digits) => (host, Some(port(digits)?)),
                None if rest.is_empty() => (host, None),
                None => return Err(wrong("after the bracket comes :PORT or nothing")),
            }
        } else {
            match text.split_once(':') {
                // More than one colon: an IPv6 address without brackets has no port.
                Some((_, rest)) if rest.contains(':') => {
                    let address = text.split_once('%').map_or(text, |(address, _)| address);
                    address.parse::<Ipv6Addr>().map_err(|_| wrong("this is no IPv6 address"))?;
                    (text, None)
                }
                Some((host, digits)) => (host, Some(port(digits)?)),
                None => (text, None),
            }
        };
        if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(wrong("a host is a name or an address"));
        }
        Ok(Target { host: host.to_owned(), port })
    }
}

impl Target {
    /// The addresses that may be measured, with the port given (0: none), in the resolver's order (RFC 6724); never empty.
    ///
    /// # Errors
    /// [`Error::Resolve`] and [`Error::Version`].
    pub fn resolve(&self, version: Version) -> Result<Vec<SocketAddr>, Error> {
        let failed = |why: String| Error::Resolve { host: self.host.clone(), why };
        let addresses: Vec<SocketAddr> = (self.host.as_str(), self.port.unwrap_or(0))
            .to_socket_addrs()
            .map_err(|error| failed(error.to_string()))?
            .collect();
        if addresses.is_empty() {
            return Err(failed("the resolver knows none".to_owned()));
        }
        let fits = |address: &&SocketAddr| match version {
            Version::Any => true,
            Version::V4 => address.is_ipv4(),
            Version::V6 => address.is_ipv6(),
        };
        let fitting: Vec<SocketAddr> = addresses.iter().filter(fits).copied().collect();
        if fitting.is_empty() {
            let (version, flag) = if version == Version::V4 { ("IPv4", "ipv4") } else { ("IPv6", "ipv6") };
            return Err(Error::Version { host: self.host.clone(), version, flag });
        }
        Ok(fitting)
    }
}

/// Bytes of the IP header towards this address.
pub(crate) fn ip_header_bytes(address: IpAddr) -> u32 {
    if address.is_ipv4() { 20 } else { 40 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_ports_and_brackets() {
        let read = |text: &str| text.parse::<Target>().map(|target| (target.host, target.port)).ok();
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("example.com:443", "example.com", Some(443)),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
            ("[fe80::1%eth0]:22", "fe80::1%eth0", Some(22)),
        ] {
            assert_eq!(read(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in [
            "", ":80", "a:0", "a:65536", "a:b", "[::1", "[::1]x", "[a]:1", "a b", "http://a", "1:2:3",
            "a\u{1b}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_version_decides_among_addresses() {
        let target: Target = "127.0.0.1:80".parse().unwrap();
        assert_eq!(target.resolve(Version::Any).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert!(matches!(target.resolve(Version::V6), Err(Error::Version { version: "IPv6", .. })));
        let v6: Target = "::1".parse().unwrap();
        assert_eq!(v6.resolve(Version::V6).unwrap(), ["[::1]:0".parse().unwrap()]);
        assert!(matches!(v6.resolve(Version::V4), Err(Error::Version { version: "IPv4", .. })));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Target>();
        }
    }
}
