//! How is each knob turned on real systems? The lines as one types them.
//!
//! `{value}` stands for the knob's value, `{us}`, `{ms}` and `{s}` for a duration in that unit. `ROUTE` in the shell lines is the
//! route as `ip route show` prints it, which `ip route change` takes back with its new attribute.

use super::Fix;

pub(super) const fn fix(system: &'static str, value: &'static str, lines: &'static [&'static str]) -> Fix {
    Fix { system, value, lines }
}

/// The lines give any value.
pub(super) const ANY: &str = Fix::ANY;
pub(super) const ROUTE: &str = "ROUTE=\"$(ip route show default | head -n 1)\"  # or the route to the peer";

pub(super) static NODELAY: &[Fix] = &[
    fix("C", "true", &["int on = 1;", "setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);"]),
    fix("C#", "true", &["socket.NoDelay = true;"]),
    fix("Go", "true", &["conn.(*net.TCPConn).SetNoDelay(true) // the default; look for a SetNoDelay(false)"]),
    fix("Java", "true", &["socket.setTcpNoDelay(true);"]),
    fix("Node", "true", &["socket.setNoDelay(true);"]),
    fix("Python", "true", &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)"]),
    fix("Rust", "true", &["stream.set_nodelay(true)?;"]),
    fix("nginx", "true", &["tcp_nodelay on;"]),
];

pub(super) static COALESCE_WRITES: &[Fix] = &[
    fix(
        "C",
        "true",
        &[
            "struct iovec parts[] = {{head, head_len}, {body, body_len}};",
            "writev(fd, parts, 2);",
            "// or, on Linux: send(fd, head, head_len, MSG_MORE); send(fd, body, body_len, 0);",
        ],
    ),
    fix("C#", "true", &["socket.Send(new List<ArraySegment<byte>> { head, body });"]),
    fix("Go", "true", &["w := bufio.NewWriter(conn)", "w.Write(head)", "w.Write(body)", "err := w.Flush()"]),
    fix(
        "Java",
        "true",
        &[
            "OutputStream out = new BufferedOutputStream(socket.getOutputStream());",
            "out.write(head);",
            "out.write(body);",
            "out.flush();",
        ],
    ),
    fix(
        "Node",
        "true",
        &[
            "socket.cork();",
            "socket.write(head);",
            "socket.write(body);",
            "process.nextTick(() => socket.uncork());",
        ],
    ),
    fix("Python", "true", &["sock.sendall(head + body)"]),
    fix(
        "Rust",
        "true",
        &[
            "let mut out = BufWriter::new(&stream);",
            "out.write_all(&head)?;",
            "out.write_all(&body)?;",
            "out.flush()?;",
        ],
    ),
];

pub(super) static QUICKACK: &[Fix] = &[
    fix("Linux (ip route)", "route", &[ROUTE, "sudo ip route change $ROUTE quickack 1"]),
    fix(
        "C",
        "socket",
        &[
            "int on = 1;",
            "setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); // again after each read; Linux",
        ],
    ),
    fix(
        "Go",
        "socket",
        &[
            "raw, err := conn.(*net.TCPConn).SyscallConn()",
            "raw.Control(func(fd uintptr) { // again after each Read; Linux",
            "    unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)",
            "})",
        ],
    ),
    fix(
        "Java",
        "socket",
        &[
            "socket.setOption(jdk.net.ExtendedSocketOptions.TCP_QUICKACK, true); // again after each read; Linux, JDK 10",
        ],
    ),
    fix(
        "Python",
        "socket",
        &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # again after each recv; Linux"],
    ),
    fix(
        "Rust",
        "socket",
        &[
            "use std::os::linux::net::TcpStreamExt;",
            "stream.set_quickack(true)?; // again after each read; Linux, Rust 1.89",
        ],
    ),
];

pub(super) static CORK: &[Fix] = &[
    fix(
        "C",
        "true",
        &[
            "int on = 1, off = 0;",
            "setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);",
            "// … the writes …",
            "setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off); // Linux; BSD and macOS have TCP_NOPUSH",
        ],
    ),
    fix("C", "false", &["int off = 0;", "setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);"]),
    fix(
        "Python",
        "true",
        &[
            "sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)",
            "# … the writes …",
            "sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)  # Linux",
        ],
    ),
    fix("Python", "false", &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)"]),
    fix("nginx", "true", &["tcp_nopush on;"]),
    fix("nginx", "false", &["tcp_nopush off;"]),
];

pub(super) static ACK_POLICY: &[Fix] = &[
    fix("Linux (ip route)", "immediate", &[ROUTE, "sudo ip route change $ROUTE quickack 1"]),
    fix("FreeBSD (sysctl)", "immediate", &["sudo sysctl net.inet.tcp.delayed_ack=0"]),
    fix("FreeBSD (sysctl)", "delayed", &["sudo sysctl net.inet.tcp.delayed_ack=1"]),
    fix("macOS (sysctl)", "immediate", &["sudo sysctl -w net.inet.tcp.delayed_ack=0"]),
    fix(
        "Windows (registry)",
        "immediate",
        &[
            "# PowerShell; INTERFACE is the adapter's GUID; restart afterwards",
            "New-ItemProperty -Force -PropertyType DWord -Name TcpAckFrequency -Value 1 `",
            "  -Path HKLM:\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces\\INTERFACE",
        ],
    ),
];

pub(super) static ACK_SEGMENTS: &[Fix] = &[fix(
    "Windows Server (PowerShell)",
    ANY,
    &["Set-NetTCPSetting -SettingName Internet -DelayedAckFrequency {value}"],
)];

pub(super) static ACK_DELAY_MIN: &[Fix] =
    &[fix("Linux", ANY, &["# a constant of the kernel (1/25 s); ack_delay_max lowers the delay below it"])];

pub(super) static ACK_DELAY_MAX: &[Fix] = &[
    fix(
        "C",
        ANY,
        &["int us = {us};", "setsockopt(fd, IPPROTO_TCP, TCP_DELACK_MAX_US, &us, sizeof us); // Linux 6.15"],
    ),
    fix(
        "Linux (ip route)",
        ANY,
        &[
            ROUTE,
            "sudo ip route change $ROUTE rto_min {ms}ms  # Linux 6.7: the delay stays a tick below it; lowers rto_min too",
        ],
    ),
    fix(
        "Linux (sysctl)",
        ANY,
        &[
            "sudo sysctl -w net.ipv4.tcp_rto_min_us={us}  # Linux 6.11: the delay stays a tick below it; lowers rto_min too",
        ],
    ),
    fix("FreeBSD (sysctl)", ANY, &["sudo sysctl net.inet.tcp.delacktime={ms}"]),
    fix(
        "Windows Server (PowerShell)",
        ANY,
        &["Set-NetTCPSetting -SettingName Internet -DelayedAckTimeoutMs {ms}"],
    ),
];

pub(super) static HZ: &[Fix] = &[fix("Linux", ANY, &["# when building the kernel: CONFIG_HZ_{value}=y"])];

pub(super) static INITCWND: &[Fix] = &[
    fix("Linux (ip route)", ANY, &[ROUTE, "sudo ip route change $ROUTE initcwnd {value}"]),
    fix("FreeBSD (sysctl)", ANY, &["sudo sysctl net.inet.tcp.initcwnd_segments={value}"]),
    fix(
        "Windows Server (PowerShell)",
        ANY,
        &["Set-NetTCPSetting -SettingName Internet -InitialCongestionWindowMss {value}"],
    ),
];

pub(super) static CONGESTION_CONTROL: &[Fix] = &[
    fix("C", ANY, &["setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, \"{value}\", strlen(\"{value}\"));"]),
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_congestion_control={value}"]),
    fix("Linux (ip route)", ANY, &[ROUTE, "sudo ip route change $ROUTE congctl {value}"]),
    fix(
        "Linux",
        "bbr",
        &[
            "sudo modprobe tcp_bbr  # where `sysctl net.ipv4.tcp_available_congestion_control` does not list it",
        ],
    ),
    fix(
        "Windows Server (PowerShell)",
        "cubic",
        &["Set-NetTCPSetting -SettingName Internet -CongestionProvider CUBIC"],
    ),
    fix("FreeBSD (sysctl)", "cubic", &["sudo sysctl net.inet.tcp.cc.algorithm=cubic"]),
    fix(
        "FreeBSD (sysctl)",
        "reno",
        &["sudo kldload cc_newreno; sudo sysctl net.inet.tcp.cc.algorithm=newreno"],
    ),
];

pub(super) static HYSTART: &[Fix] = &[
    fix("Linux", "linux", &["echo 1 | sudo tee /sys/module/tcp_cubic/parameters/hystart"]),
    fix("Linux", "off", &["echo 0 | sudo tee /sys/module/tcp_cubic/parameters/hystart"]),
];

pub(super) static ECN: &[Fix] = &[
    fix("Linux (sysctl)", "on", &["sudo sysctl -w net.ipv4.tcp_ecn=1"]),
    fix("Linux (sysctl)", "accept", &["sudo sysctl -w net.ipv4.tcp_ecn=2"]),
    fix("Linux (sysctl)", "off", &["sudo sysctl -w net.ipv4.tcp_ecn=0"]),
    fix("Linux (ip route)", "on", &[ROUTE, "sudo ip route change $ROUTE features ecn"]),
    fix("FreeBSD (sysctl)", "on", &["sudo sysctl net.inet.tcp.ecn.enable=1"]),
    fix("FreeBSD (sysctl)", "accept", &["sudo sysctl net.inet.tcp.ecn.enable=2"]),
    fix("FreeBSD (sysctl)", "off", &["sudo sysctl net.inet.tcp.ecn.enable=0"]),
    fix(
        "Windows Server (PowerShell)",
        "on",
        &["Set-NetTCPSetting -SettingName Internet -EcnCapability Enabled"],
    ),
    fix(
        "Windows Server (PowerShell)",
        "off",
        &["Set-NetTCPSetting -SettingName Internet -EcnCapability Disabled"],
    ),
];

pub(super) static PACING: &[Fix] = &[
    fix("Linux (tc)", "true", &["sudo tc qdisc replace dev DEV root fq  # DEV: the interface to the peer"]),
    fix("Linux (tc)", "false", &["sudo tc qdisc replace dev DEV root fq_codel  # or pfifo_fast"]),
];

pub(super) static PACING_SS_RATIO: &[Fix] =
    &[fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_pacing_ss_ratio={value}"])];

pub(super) static PACING_CA_RATIO: &[Fix] =
    &[fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_pacing_ca_ratio={value}"])];

pub(super) static MAX_PACING_RATE: &[Fix] = &[
    fix(
        "C",
        ANY,
        &[
            "uint64_t rate = {value}; // bytes per second",
            "setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate); // Linux",
        ],
    ),
    fix(
        "Go",
        ANY,
        &[
            "raw, err := conn.(*net.TCPConn).SyscallConn()",
            "raw.Control(func(fd uintptr) { // Linux",
            "    unix.SetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, {value})",
            "})",
        ],
    ),
    fix(
        "Python",
        ANY,
        &[
            "SO_MAX_PACING_RATE = 47",
            "sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack(\"Q\", {value}))  # Linux",
        ],
    ),
    fix("nginx", ANY, &["limit_rate {value};  # paces in nginx itself, response by response"]),
];

pub(super) static RECOVERY: &[Fix] = &[
    fix(
        "Linux (sysctl)",
        "rack-tlp",
        &["sudo sysctl -w net.ipv4.tcp_recovery=1", "sudo sysctl -w net.ipv4.tcp_early_retrans=3"],
    ),
    fix(
        "Linux (sysctl)",
        "rfc6675",
        &["sudo sysctl -w net.ipv4.tcp_recovery=0", "sudo sysctl -w net.ipv4.tcp_early_retrans=0"],
    ),
    fix("FreeBSD (sysctl)", "rack-tlp", &["sudo sysctl net.inet.tcp.functions_default=rack"]),
    fix("FreeBSD (sysctl)", "rfc6675", &["sudo sysctl net.inet.tcp.functions_default=freebsd"]),
];

pub(super) static SACK: &[Fix] = &[
    fix("Linux (sysctl)", "true", &["sudo sysctl -w net.ipv4.tcp_sack=1"]),
    fix("FreeBSD (sysctl)", "true", &["sudo sysctl net.inet.tcp.sack.enable=1"]),
    fix("Linux (sysctl)", "false", &["sudo sysctl -w net.ipv4.tcp_sack=0"]),
    fix("FreeBSD (sysctl)", "false", &["sudo sysctl net.inet.tcp.sack.enable=0"]),
];

pub(super) static TIMESTAMPS: &[Fix] = &[
    fix("Linux (sysctl)", "true", &["sudo sysctl -w net.ipv4.tcp_timestamps=1"]),
    fix(
        "Windows Server (PowerShell)",
        "true",
        &["Set-NetTCPSetting -SettingName Internet -Timestamps Enabled"],
    ),
    fix("Linux (sysctl)", "false", &["sudo sysctl -w net.ipv4.tcp_timestamps=0"]),
    fix(
        "Windows Server (PowerShell)",
        "false",
        &["Set-NetTCPSetting -SettingName Internet -Timestamps Disabled"],
    ),
];

pub(super) static SLOW_START_AFTER_IDLE: &[Fix] = &[
    fix(
        "Windows Server (PowerShell)",
        "true",
        &["Set-NetTCPSetting -SettingName Internet -CwndRestart True"],
    ),
    fix("Linux (sysctl)", "true", &["sudo sysctl -w net.ipv4.tcp_slow_start_after_idle=1"]),
    fix(
        "Windows Server (PowerShell)",
        "false",
        &["Set-NetTCPSetting -SettingName Internet -CwndRestart False"],
    ),
    fix("Linux (sysctl)", "false", &["sudo sysctl -w net.ipv4.tcp_slow_start_after_idle=0"]),
];

pub(super) static WINDOW_SCALING: &[Fix] = &[
    fix("Linux (sysctl)", "true", &["sudo sysctl -w net.ipv4.tcp_window_scaling=1"]),
    fix("Linux (sysctl)", "false", &["sudo sysctl -w net.ipv4.tcp_window_scaling=0"]),
];

pub(super) static RCVBUF: &[Fix] = &[
    fix(
        "C",
        ANY,
        &[
            "int bytes = {value};",
            "setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); // before connect or listen; Linux doubles it",
        ],
    ),
    fix("Go", ANY, &["conn.(*net.TCPConn).SetReadBuffer({value})"]),
    fix("Java", ANY, &["socket.setReceiveBufferSize({value}); // before connect"]),
    fix(
        "Python",
        ANY,
        &["sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, {value})  # before connect or listen"],
    ),
    fix("Rust", ANY, &["socket2::SockRef::from(&stream).set_recv_buffer_size({value})?;"]),
    fix(
        "Linux (sysctl)",
        ANY,
        &[
            "sudo sysctl -w net.ipv4.tcp_rmem=\"4096 131072 {value}\"  # the limit of the tuning, which stays on",
        ],
    ),
];

pub(super) static SNDBUF: &[Fix] = &[
    fix(
        "C",
        ANY,
        &[
            "int bytes = {value};",
            "setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes); // Linux doubles it",
        ],
    ),
    fix("Go", ANY, &["conn.(*net.TCPConn).SetWriteBuffer({value})"]),
    fix("Java", ANY, &["socket.setSendBufferSize({value});"]),
    fix("Python", ANY, &["sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, {value})"]),
    fix("Rust", ANY, &["socket2::SockRef::from(&stream).set_send_buffer_size({value})?;"]),
    fix(
        "Linux (sysctl)",
        ANY,
        &[
            "sudo sysctl -w net.ipv4.tcp_wmem=\"4096 16384 {value}\"  # the limit of the tuning, which stays on",
        ],
    ),
];

pub(super) static KEEPALIVE: &[Fix] = &[
    fix("C", "true", &["int on = 1;", "setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);"]),
    fix("Go", "true", &["conn.(*net.TCPConn).SetKeepAlive(true)"]),
    fix("Java", "true", &["socket.setKeepAlive(true);"]),
    fix("Node", "true", &["socket.setKeepAlive(true);"]),
    fix("Python", "true", &["sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)"]),
    fix("Rust", "true", &["socket2::SockRef::from(&stream).set_keepalive(true)?;"]),
    fix("C", "false", &["int on = 0;", "setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);"]),
    fix("Go", "false", &["conn.(*net.TCPConn).SetKeepAlive(false)"]),
    fix("Java", "false", &["socket.setKeepAlive(false);"]),
    fix("Node", "false", &["socket.setKeepAlive(false);"]),
    fix("Python", "false", &["sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)"]),
    fix("Rust", "false", &["socket2::SockRef::from(&stream).set_keepalive(false)?;"]),
];

pub(super) static KEEPALIVE_TIME: &[Fix] = &[
    fix("C", ANY, &["int value = {s};", "setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof value);"]),
    fix(
        "Go",
        ANY,
        &[
            "conn.(*net.TCPConn).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: {s} * time.Second}) // Go 1.23",
        ],
    ),
    fix("Java", ANY, &["socket.setOption(jdk.net.ExtendedSocketOptions.TCP_KEEPIDLE, {s}); // JDK 11"]),
    fix("Node", ANY, &["socket.setKeepAlive(true, {ms});"]),
    fix("Python", ANY, &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, {s})"]),
    fix(
        "Rust",
        ANY,
        &[
            "socket2::SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs({s})))?;",
        ],
    ),
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_keepalive_time={s}"]),
];

pub(super) static KEEPALIVE_INTERVAL: &[Fix] = &[
    fix("C", ANY, &["int value = {s};", "setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, sizeof value);"]),
    fix(
        "Go",
        ANY,
        &[
            "conn.(*net.TCPConn).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Interval: {s} * time.Second}) // Go 1.23",
        ],
    ),
    fix("Java", ANY, &["socket.setOption(jdk.net.ExtendedSocketOptions.TCP_KEEPINTERVAL, {s}); // JDK 11"]),
    fix("Python", ANY, &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, {s})"]),
    fix(
        "Rust",
        ANY,
        &[
            "socket2::SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_interval(Duration::from_secs({s})))?;",
        ],
    ),
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_keepalive_intvl={s}"]),
];

pub(super) static KEEPALIVE_PROBES: &[Fix] = &[
    fix(
        "C",
        ANY,
        &["int value = {value};", "setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof value);"],
    ),
    fix(
        "Go",
        ANY,
        &[
            "conn.(*net.TCPConn).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: {value}}) // Go 1.23",
        ],
    ),
    fix("Java", ANY, &["socket.setOption(jdk.net.ExtendedSocketOptions.TCP_KEEPCOUNT, {value}); // JDK 11"]),
    fix("Python", ANY, &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, {value})"]),
    fix(
        "Rust",
        ANY,
        &["socket2::SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_retries({value}))?;"],
    ),
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_keepalive_probes={value}"]),
];

pub(super) static SYN_RETRIES: &[Fix] = &[
    fix(
        "C",
        ANY,
        &["int count = {value};", "setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &count, sizeof count); // Linux"],
    ),
    fix("Python", ANY, &["sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, {value})  # Linux"]),
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_syn_retries={value}"]),
    fix(
        "Windows Server (PowerShell)",
        ANY,
        &["Set-NetTCPSetting -SettingName Internet -MaxSynRetransmissions {value}"],
    ),
];

pub(super) static SYN_COOKIES: &[Fix] = &[
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_syncookies={value}"]),
    fix("FreeBSD (sysctl)", "0", &["sudo sysctl net.inet.tcp.syncookies=0"]),
    fix("FreeBSD (sysctl)", "1", &["sudo sysctl net.inet.tcp.syncookies=1"]),
    fix("FreeBSD (sysctl)", "2", &["sudo sysctl net.inet.tcp.syncookies_only=1"]),
];

pub(super) static RTO_MIN: &[Fix] = &[
    fix("Linux (ip route)", ANY, &[ROUTE, "sudo ip route change $ROUTE rto_min {ms}ms"]),
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_rto_min_us={us}  # Linux 6.11"]),
    fix(
        "C",
        ANY,
        &["int us = {us};", "setsockopt(fd, IPPROTO_TCP, TCP_RTO_MIN_US, &us, sizeof us); // Linux 6.15"],
    ),
    fix("FreeBSD (sysctl)", ANY, &["sudo sysctl net.inet.tcp.rexmit_min={ms}"]),
    fix("Windows Server (PowerShell)", ANY, &["Set-NetTCPSetting -SettingName Internet -MinRtoMs {ms}"]),
];

pub(super) static RTO_MAX: &[Fix] = &[
    fix("Linux (sysctl)", ANY, &["sudo sysctl -w net.ipv4.tcp_rto_max_ms={ms}  # Linux 6.15"]),
    fix(
        "C",
        ANY,
        &["int ms = {ms};", "setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &ms, sizeof ms); // Linux 6.15"],
    ),
];

pub(super) static TIME_WAIT: &[Fix] =
    &[fix("FreeBSD (sysctl)", ANY, &["sudo sysctl net.inet.tcp.msl=$(({ms} / 2))"])];
