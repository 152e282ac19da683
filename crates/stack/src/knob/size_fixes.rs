//! How are the knobs of packet and segment sizes turned on real systems? The lines as one types them, as in `fixes.rs`.

use super::Fix;
use super::fixes::{ANY, ROUTE, fix};

pub(super) static MSS: &[Fix] = &[
    fix(
        "C",
        ANY,
        &[
            "int bytes = {value};",
            "setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &bytes, sizeof bytes); // before connect or listen",
        ],
    ),
    fix(
        "Go",
        ANY,
        &[
            "raw, err := listener.(*net.TCPListener).SyscallConn() // or net.Dialer.Control",
            "raw.Control(func(fd uintptr) {",
            "    unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, {value})",
            "})",
        ],
    ),
    fix(
        "Python",
        ANY,
        &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, {value})  # before connect or listen"],
    ),
    fix("Rust", ANY, &["socket2::Socket::from(socket).set_tcp_mss({value})?; // before connect or listen"]),
];

pub(super) static ADVMSS: &[Fix] = &[fix(
    "Linux (ip route)",
    ANY,
    &[ROUTE, "sudo ip route change $ROUTE advmss {value}  # on the side that receives the bulk of the data"],
)];

pub(super) static MTU: &[Fix] = &[
    fix(
        "Linux (ip link)",
        ANY,
        &["sudo ip link set dev eth0 mtu {value}  # the interface; every switch on the way has to take it"],
    ),
    fix("FreeBSD (ifconfig)", ANY, &["sudo ifconfig em0 mtu {value}"]),
    fix("macOS (ifconfig)", ANY, &["sudo ifconfig en0 mtu {value}"]),
    fix(
        "Windows (PowerShell)",
        ANY,
        &["Set-NetIPInterface -InterfaceAlias \"Ethernet\" -NlMtuBytes {value}"],
    ),
];

pub(super) static PMTU_DISCOVERY: &[Fix] = &[
    fix(
        "C",
        "want",
        &["int mode = IP_PMTUDISC_WANT;", "setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);"],
    ),
    fix(
        "C",
        "dont",
        &["int mode = IP_PMTUDISC_DONT;", "setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);"],
    ),
    fix(
        "C",
        "do",
        &["int mode = IP_PMTUDISC_DO;", "setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);"],
    ),
    fix(
        "C",
        "probe",
        &[
            "int mode = IP_PMTUDISC_PROBE;",
            "setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);",
        ],
    ),
    fix(
        "C",
        "interface",
        &[
            "int mode = IP_PMTUDISC_INTERFACE;",
            "setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);",
        ],
    ),
    fix(
        "C",
        "omit",
        &["int mode = IP_PMTUDISC_OMIT;", "setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);"],
    ),
    fix("Linux (sysctl)", "dont", &["sudo sysctl -w net.ipv4.ip_no_pmtu_disc=1"]),
    fix("Linux (sysctl)", "want", &["sudo sysctl -w net.ipv4.ip_no_pmtu_disc=0"]),
    fix(
        "Python",
        "dont",
        &["sock.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT"],
    ),
    fix(
        "Python",
        "want",
        &["sock.setsockopt(socket.IPPROTO_IP, 10, 1)  # IP_MTU_DISCOVER, IP_PMTUDISC_WANT"],
    ),
    fix("Python", "do", &["sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO"]),
    fix(
        "Python",
        "probe",
        &["sock.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE"],
    ),
    fix("FreeBSD (sysctl)", "dont", &["sudo sysctl net.inet.tcp.path_mtu_discovery=0"]),
    fix("FreeBSD (sysctl)", "want", &["sudo sysctl net.inet.tcp.path_mtu_discovery=1"]),
];

pub(super) static MTU_PROBING: &[Fix] = &[
    fix(
        "Linux (sysctl)",
        "0",
        &["sudo sysctl -w net.ipv4.tcp_mtu_probing=0  # on the side that sends the data"],
    ),
    fix(
        "Linux (sysctl)",
        "1",
        &[
            "sudo sysctl -w net.ipv4.tcp_mtu_probing=1  # on the side that sends the data",
            "echo net.ipv4.tcp_mtu_probing=1 | sudo tee /etc/sysctl.d/90-mtu-probing.conf  # to stay",
        ],
    ),
    fix(
        "Linux (sysctl)",
        "2",
        &[
            "sudo sysctl -w net.ipv4.tcp_mtu_probing=2  # on the side that sends the data",
            "echo net.ipv4.tcp_mtu_probing=2 | sudo tee /etc/sysctl.d/90-mtu-probing.conf  # to stay",
        ],
    ),
    fix(
        "Linux (sysctl)",
        "search",
        &[
            "# no system has this policy; nearest on Linux, where the sender opens the connection:",
            "sudo sysctl -w net.ipv4.tcp_mtu_probing=2  # where it accepts, the first stall stays at 3 s or more",
        ],
    ),
    fix("FreeBSD (sysctl)", "1", &["sudo sysctl net.inet.tcp.pmtud_blackhole_detection=1"]),
    fix("FreeBSD (sysctl)", "0", &["sudo sysctl net.inet.tcp.pmtud_blackhole_detection=0"]),
];

pub(super) static BASE_MSS: &[Fix] =
    &[fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_base_mss={value}"])];

pub(super) static PROBE_INTERVAL: &[Fix] =
    &[fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_probe_interval={s}"])];

pub(super) static PROBE_THRESHOLD: &[Fix] =
    &[fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_probe_threshold={value}"])];

pub(super) static ADAPTIVE_MSS: &[Fix] = &[fix(
    "Linux (ip route)",
    "true",
    &[
        ROUTE,
        "sudo ip route change $ROUTE mtu lock 576  # on the side that sends: Linux adapts to no loss, a fixed size is the nearest",
    ],
)];

pub(super) static MSS_CLAMP: &[Fix] = &[
    fix(
        "nftables (on the gateway)",
        "off",
        &[
            "sudo nft -a list ruleset | grep maxseg  # the rule and its handle; the table and chain that it is in",
            "sudo nft delete rule inet mss forward handle 4",
        ],
    ),
    fix(
        "iptables (on the gateway)",
        "off",
        &[
            "sudo iptables -t mangle -L FORWARD --line-numbers | grep TCPMSS",
            "sudo iptables -t mangle -D FORWARD 1  # the number from there",
        ],
    ),
    fix("Cisco IOS", "off", &["interface Tunnel0", " no ip tcp adjust-mss"]),
    fix(
        "nftables (on the gateway)",
        ANY,
        &[
            "sudo nft add table inet mss",
            "sudo nft add chain inet mss forward '{ type filter hook forward priority mangle; }'",
            "sudo nft add rule inet mss forward tcp flags syn tcp option maxseg size set {value}",
            "# or, by the route's own MTU: … size set rt mtu",
        ],
    ),
    fix(
        "iptables (on the gateway)",
        ANY,
        &[
            "sudo iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss {value}",
            "# or, by the route's own MTU: -j TCPMSS --clamp-mss-to-pmtu; ip6tables for IPv6",
        ],
    ),
    fix("Cisco IOS", ANY, &["interface Tunnel0", " ip tcp adjust-mss {value}"]),
    fix("pf (FreeBSD, OpenBSD)", ANY, &["match on wg0 scrub (max-mss {value})  # in /etc/pf.conf"]),
];

pub(super) static ICMP_ALLOWED: &[Fix] = &[
    fix(
        "nftables (on the gateway)",
        "true",
        &[
            "sudo nft insert rule inet filter forward icmp type destination-unreachable accept",
            "sudo nft insert rule inet filter forward icmpv6 type packet-too-big accept",
        ],
    ),
    fix(
        "iptables (on the gateway)",
        "true",
        &[
            "sudo iptables -I FORWARD -p icmp --icmp-type fragmentation-needed -j ACCEPT",
            "sudo ip6tables -I FORWARD -p icmpv6 --icmpv6-type packet-too-big -j ACCEPT",
        ],
    ),
    fix(
        "AWS (security group or network ACL)",
        "true",
        &["allow inbound ICMP type 3 code 4 (IPv4) and ICMPv6 type 2, from any address"],
    ),
];

pub(super) static TUNNEL_MTU: &[Fix] = &[
    fix(
        "Linux (ip link)",
        ANY,
        &["sudo ip link set dev wg0 mtu {value}  # the tunnel's device, at both ends"],
    ),
    fix("WireGuard (wg-quick)", ANY, &["[Interface]", "MTU = {value}"]),
    fix("OpenVPN", ANY, &["tun-mtu {value}"]),
    fix("Windows (PowerShell)", ANY, &["Set-NetIPInterface -InterfaceAlias \"wg0\" -NlMtuBytes {value}"]),
];

pub(super) static DATAGRAM_SIZE: &[Fix] = &[
    fix("C", ANY, &["send(fd, data, {value}, 0); // at most so many bytes per call"]),
    fix("Python", ANY, &["sock.sendto(data[:{value}], address)"]),
    fix("Rust", ANY, &["for part in data.chunks({value}) {", "    socket.send(part)?;", "}"]),
    fix(
        "Go",
        ANY,
        &[
            "for len(data) > 0 {",
            "    n := min(len(data), {value})",
            "    conn.Write(data[:n])",
            "    data = data[n:]",
            "}",
        ],
    ),
];
