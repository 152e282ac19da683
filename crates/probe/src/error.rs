//! What can go wrong before there is an answer?

use std::io;
use std::net::IpAddr;

/// Why a path could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target cannot be read.
    #[error("`{target}`: {why}; expected HOST, HOST:PORT, or [IPV6]:PORT")]
    Target {
        /// What was given.
        target: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name has no address.
    #[error("{host}: no address: {why}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        why: String,
    },
    /// The name has addresses, but none of the version asked for.
    #[error("{host} has no {version} address: leave out --{flag}, or give an address")]
    Version {
        /// The name.
        host: String,
        /// `IPv4` or `IPv6`.
        version: &'static str,
        /// The option that asked for it.
        flag: &'static str,
    },
    /// There is no way to the address.
    #[error("{address}: {source}: {}", no_route(*address))]
    NoRoute {
        /// The address.
        address: IpAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel does not let this user do the only thing that could have answered.
    #[error("{why}")]
    NotPermitted {
        /// What was tried, what is not permitted, and the commands that permit it.
        why: String,
    },
    /// Nothing came back.
    #[error("{address}: nothing comes back: {tried}. {more}")]
    NoAnswer {
        /// The address.
        address: IpAddr,
        /// What was tried.
        tried: String,
        /// What would permit more.
        more: String,
    },
    /// A socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

fn no_route(address: IpAddr) -> String {
    if address.is_ipv4() {
        return format!("is there a route? `ip route get {address}` shows it, `ip route` all of them");
    }
    format!(
        "has this host IPv6? `ip -6 route get {address}` shows the route, `ip -6 address show scope global` this host's addresses; --ipv4 measures the other path, where the name has an IPv4 address"
    )
}

impl Error {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what, source }
    }
}
