//! Can a packet have come from there, on this interface? (RFC 1122 §3.2.1.3, RFC 1812 §5.3.7, RFC 4291 §2.5.3, §2.5.5.2, §2.7)
//!
//! Addresses that only a forger writes are not worth an answer: answering them would send RSTs to groups, to oneself, or make
//! a host talk to itself (the "land" attack).

use super::{Host, InterfaceId};
use narrows_wire::IpHeader;
use std::net::IpAddr;

impl Host {
    /// True when no honest packet with these addresses arrives on the interface `from`.
    pub(super) fn is_martian(&self, from: InterfaceId, ip: &IpHeader) -> bool {
        let interface = self.interfaces.get(from.0 as usize);
        let is_of_interface =
            |address: IpAddr| interface.is_some_and(|interface| interface.addresses.contains(&address));
        let loopback = ip.source.is_loopback() || ip.destination.is_loopback();
        // On an interface with a loopback address a host hears itself, and only itself.
        if loopback {
            return !(is_of_interface(ip.destination) && self.is_local(ip.source));
        }
        let of_loopback =
            interface.is_some_and(|interface| interface.addresses.iter().any(IpAddr::is_loopback));
        let own = self.is_local(ip.source) && !of_loopback;
        own || is_no_host(ip.source) || ip.destination.is_unspecified() || is_mapped(ip.destination)
    }
}

/// Not the address of one host.
fn is_no_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast() || is_mapped(address),
    }
}

/// An IPv4 address in IPv6's form: for programs, not for the wire.
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}
