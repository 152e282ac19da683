//! What leaves this host towards the peer? Address, interface MTU, and what the kernel believes of the path.

use crate::error::Error;
use crate::socket::{Discovery, kernel_path_mtu, queue_errors, receive, set_discovery};
use crate::target::ip_header_bytes;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Larger than any interface but the loopback takes (RFC 791: at most 65535 bytes in all).
const LARGEST_PACKET: u32 = 65_535;
/// Where datagrams go that never leave: the discard port.
const DISCARD: u16 = 9;

/// The way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WayOut {
    pub source: IpAddr,
    /// The interface's MTU, whatever the kernel remembers of the path.
    pub interface_mtu: u32,
}

fn connected(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    let mut to = peer;
    to.set_port(DISCARD);
    socket.connect(to)?;
    Ok(socket)
}

/// Asks the kernel: a datagram that is too large for the interface is refused with the interface's MTU.
pub(crate) fn way_out(peer: SocketAddr) -> Result<WayOut, Error> {
    let no_route = |source| Error::NoRoute { address: peer.ip(), source };
    let socket = connected(peer).map_err(no_route)?;
    let source = socket.local_addr().map_err(Error::io("asking for the own address"))?.ip();
    let ipv4 = peer.is_ipv4();
    let asking = "asking for the interface's MTU";
    set_discovery(&socket, ipv4, Discovery::Probe).map_err(Error::io(asking))?;
    queue_errors(&socket, ipv4).map_err(Error::io(asking))?;
    let data = LARGEST_PACKET - ip_header_bytes(peer.ip()) - 8;
    let interface_mtu = match socket.send(&vec![0; data as usize]) {
        // Only an interface of 64 KiB takes it: the loopback.
        Ok(_) => LARGEST_PACKET,
        Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
            let mut buffer = [0_u8; 256];
            let queued = std::iter::from_fn(|| receive(&socket, &mut buffer, true));
            let told = queued.filter_map(|received| received.error).find(|error| error.local);
            let mtu = told.map(|error| error.info).or_else(|| kernel_path_mtu(&socket, ipv4));
            mtu.ok_or(Error::Io { what: asking, source: error })?
        }
        Err(error) => return Err(no_route(error)),
    };
    Ok(WayOut { source, interface_mtu: interface_mtu.min(LARGEST_PACKET) })
}

/// The first of a host's addresses that there is a way to, and what to know of the others: none is reached, or which option measures
/// it.
pub(crate) fn choose(addresses: &[SocketAddr]) -> Result<(SocketAddr, WayOut, Vec<String>), Error> {
    let mut notes = Vec::new();
    let mut first_error = None;
    for (index, &peer) in addresses.iter().enumerate() {
        match way_out(peer) {
            Ok(way) => {
                let other = addresses[index + 1..].iter().find(|other| other.is_ipv4() != peer.is_ipv4());
                if let Some(other) = other {
                    let (version, flag) = if other.is_ipv4() { ("IPv4", "ipv4") } else { ("IPv6", "ipv6") };
                    notes.push(format!(
                        "The name has an {version} address, too ({}): --{flag} measures the path to it, which may be another one.",
                        other.ip()
                    ));
                }
                return Ok((peer, way, notes));
            }
            Err(error) => {
                notes.push(format!(
                    "There is no way to {}: programs lose time on it, if they try.",
                    peer.ip()
                ));
                first_error.get_or_insert(error);
            }
        }
    }
    let none = || io::Error::new(io::ErrorKind::NotFound, "no address");
    Err(first_error.unwrap_or_else(|| Error::Io { what: "choosing an address", source: none() }))
}

/// What the kernel believes the path MTU to be, now.
pub(crate) fn believed_path_mtu(peer: SocketAddr) -> Option<u32> {
    kernel_path_mtu(&connected(peer).ok()?, peer.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_takes_the_largest_packets() {
        let way = way_out("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!((way.source, way.interface_mtu), (Ipv4Addr::LOCALHOST.into(), LARGEST_PACKET));
        assert!(believed_path_mtu("127.0.0.1:0".parse().unwrap()).unwrap() >= LARGEST_PACKET);
    }
}
