//! How is a probing socket set up, and what does it receive? The kernel's error queue included.

use crate::option::{
    Ipv4MtuDiscover, Ipv4ReceiveFragmentSize, Ipv6Mtu, Ipv6MtuDiscover, Ipv6ReceiveFragmentSize,
};
use nix::libc;
use nix::sys::socket::sockopt::{IpMtu, Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, recvmsg, setsockopt};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _};

/// What the kernel shall make of its own path MTU for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// Set DF, and go by the interface's MTU, not by what the kernel remembers of the path (`PROBE`).
    Probe,
    /// Believe no ICMP that says a packet was too big, and remember nothing (`INTERFACE`).
    Deaf,
    /// Never fragment here, go by what the kernel remembers (`DO`).
    Do,
}

pub(crate) fn set_discovery(socket: &impl AsFd, ipv4: bool, discovery: Discovery) -> io::Result<()> {
    if ipv4 {
        let value = match discovery {
            Discovery::Probe => libc::IP_PMTUDISC_PROBE,
            Discovery::Deaf => libc::IP_PMTUDISC_INTERFACE,
            Discovery::Do => libc::IP_PMTUDISC_DO,
        };
        setsockopt(socket, Ipv4MtuDiscover, &value)?;
    } else {
        let value = match discovery {
            Discovery::Probe => libc::IPV6_PMTUDISC_PROBE,
            Discovery::Deaf => libc::IPV6_PMTUDISC_INTERFACE,
            Discovery::Do => libc::IPV6_PMTUDISC_DO,
        };
        setsockopt(socket, Ipv6MtuDiscover, &value)?;
    }
    Ok(())
}

/// Errors that ICMP reports are queued with the packet that caused them.
pub(crate) fn queue_errors(socket: &impl AsFd, ipv4: bool) -> io::Result<()> {
    if ipv4 {
        setsockopt(socket, Ipv4RecvErr, &true)?;
    } else {
        setsockopt(socket, Ipv6RecvErr, &true)?;
    }
    Ok(())
}

/// Reassembled packets are received with the size of their largest fragment; a kernel that does not know it says nothing.
pub(crate) fn tell_fragments(socket: &impl AsFd, ipv4: bool) {
    let _ = if ipv4 {
        setsockopt(socket, Ipv4ReceiveFragmentSize, &1)
    } else {
        setsockopt(socket, Ipv6ReceiveFragmentSize, &1)
    };
}

/// The path MTU that the kernel uses for a connected socket: from its cache, a route, or the interface.
pub(crate) fn kernel_path_mtu(socket: &impl AsFd, ipv4: bool) -> Option<u32> {
    let mtu = if ipv4 { getsockopt(socket, IpMtu).ok()? } else { getsockopt(socket, Ipv6Mtu).ok()? };
    u32::try_from(mtu).ok()
}

/// An entry of a socket's error queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    /// It was made by this host and is no ICMP message.
    pub local: bool,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The MTU, where the message has one.
    pub info: u32,
    /// Who says so.
    pub offender: Option<IpAddr>,
}

/// A packet, or an error about one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Bytes in the buffer.
    pub bytes: usize,
    /// Who sent it; for an error, where the packet was to go.
    pub peer: Option<SocketAddr>,
    /// Bytes of the largest fragment, if it came in fragments.
    pub largest_fragment: Option<u32>,
    /// The error.
    pub error: Option<Queued>,
}

/// Takes one packet (or one entry of the error queue) from a socket; `None` when there is none now.
pub(crate) fn receive(socket: &impl AsFd, buffer: &mut [u8], errors: bool) -> Option<Received> {
    let mut flags = MsgFlags::MSG_DONTWAIT;
    if errors {
        flags |= MsgFlags::MSG_ERRQUEUE;
    }
    let mut space = vec![0_u8; 512];
    let mut parts = [IoSliceMut::new(buffer)];
    let fd = socket.as_fd().as_raw_fd();
    // An error here is one that ICMP has reported: the queue has it, too.
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut space), flags).ok()?;
    let mut received = Received {
        bytes: message.bytes,
        peer: message.address.as_ref().and_then(address),
        largest_fragment: None,
        error: None,
    };
    for control in message.cmsgs().ok()? {
        match control {
            ControlMessageOwned::Ipv4RecvErr(error, offender) => {
                let offender = offender.map(|a| IpAddr::from(a.sin_addr.s_addr.to_ne_bytes()));
                received.error = Some(queued(&error, offender));
            }
            ControlMessageOwned::Ipv6RecvErr(error, offender) => {
                let offender = offender.map(|a| IpAddr::from(a.sin6_addr.s6_addr));
                received.error = Some(queued(&error, offender));
            }
            ControlMessageOwned::Unknown(other) => {
                let header = other.cmsg_header;
                let kind = (header.cmsg_level, header.cmsg_type);
                if kind == (libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE)
                    || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE)
                {
                    let value = other.data_bytes.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes));
                    received.largest_fragment = value.filter(|&size| size > 0);
                }
            }
            _ => {}
        }
    }
    Some(received)
}

fn queued(error: &libc::sock_extended_err, offender: Option<IpAddr>) -> Queued {
    Queued {
        local: error.ee_origin == libc::SO_EE_ORIGIN_LOCAL,
        kind: error.ee_type,
        code: error.ee_code,
        info: error.ee_info,
        offender: offender.filter(|address| !address.is_unspecified()),
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    storage.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into())
}
