//! Which socket options does probing need that the socket crates do not name?

use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};

sockopt_impl!(
    /// `IP_MTU_DISCOVER` (ip(7)).
    Ipv4MtuDiscover, SetOnly, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::c_int
);
sockopt_impl!(
    /// `IPV6_MTU_DISCOVER` (ipv6(7)).
    Ipv6MtuDiscover, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::c_int
);
sockopt_impl!(
    /// `IPV6_MTU`: the kernel's own idea of a connected socket's path MTU.
    Ipv6Mtu, GetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU, libc::c_int
);
sockopt_impl!(
    /// `IP_RECVFRAGSIZE`: tell the size of the largest fragment that a packet came in (Linux 4.10).
    Ipv4ReceiveFragmentSize, SetOnly, libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE, libc::c_int
);
sockopt_impl!(
    /// `IPV6_RECVFRAGSIZE`.
    Ipv6ReceiveFragmentSize, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE, libc::c_int
);
sockopt_impl!(
    /// `TCP_INFO` (tcp(7)).
    TcpInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, libc::tcp_info
);
