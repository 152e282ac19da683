//! How are a host's knobs set on a real Linux? By sysctl in its namespace, on its routes, and on each socket.

use narrows_stack::knob::{
    AckPolicyKind, CongestionControl, EcnMode, Knobs, MtuProbing, PmtuDiscovery, QuickAck,
};
use narrows_stack::tcp::nagle::NaglePolicy;
use nix::libc;
use nix::sys::socket::sockopt::SetStruct;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::Socket;
use std::io;
use std::time::Duration;

/// SO_MAX_PACING_RATE, bytes per second: it also has the kernel's TCP pace its segments itself, whatever queue the device has.
#[derive(Clone, Copy, Debug)]
struct MaxPacingRate;

nix::setsockopt_impl!(MaxPacingRate, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, u64, SetStruct<u64>);

/// What the knobs of one host become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Keys below `/proc/sys`, and values.
    pub sysctls: Vec<(String, String)>,
    /// What is added to each line `ip route add`.
    pub route: String,
    /// Knobs that Linux has no setting for, with what it does instead.
    pub not_settable: Vec<(&'static str, &'static str)>,
}

/// What the settings of a real host are by its knobs.
#[must_use]
pub fn settings(knobs: &Knobs) -> Settings {
    let linux = Knobs::default();
    let mut settings = Settings::default();
    let mut sysctl = |key: &str, value: String| settings.sysctls.push((format!("net/ipv4/{key}"), value));
    let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
    // The buffers of Linux 6.18 and of the profile: older kernels ship with a smaller maximum, and a machine may be tuned.
    sysctl("tcp_rmem", "4096 131072 33554432".to_owned());
    sysctl("tcp_wmem", "4096 16384 4194304".to_owned());
    sysctl("tcp_sack", flag(knobs.sack));
    sysctl("tcp_timestamps", flag(knobs.timestamps));
    sysctl("tcp_window_scaling", flag(knobs.window_scaling));
    sysctl("tcp_slow_start_after_idle", flag(knobs.slow_start_after_idle));
    sysctl("tcp_syn_retries", knobs.syn_retries.to_string());
    let mtu_probing = match knobs.mtu_probing {
        MtuProbing::Search => MtuProbing::Always,
        probing @ (MtuProbing::Off | MtuProbing::BlackHole | MtuProbing::Always) => probing,
    };
    sysctl("tcp_mtu_probing", mtu_probing.name().to_owned());
    sysctl("tcp_base_mss", knobs.base_mss.to_string());
    sysctl("tcp_probe_interval", knobs.probe_interval.as_secs().to_string());
    sysctl("tcp_probe_threshold", knobs.probe_threshold.to_string());
    sysctl("ip_no_pmtu_disc", flag(knobs.pmtu_discovery == PmtuDiscovery::Dont));
    let ecn = match knobs.ecn {
        EcnMode::Off => "0",
        EcnMode::On => "1",
        EcnMode::Accept => "2",
    };
    sysctl("tcp_ecn", ecn.to_owned());
    if knobs.syn_cookies != linux.syn_cookies {
        sysctl("tcp_syncookies", knobs.syn_cookies.name().to_owned());
    }
    if knobs.system.pacing_ss_ratio != linux.system.pacing_ss_ratio {
        sysctl("tcp_pacing_ss_ratio", knobs.system.pacing_ss_ratio.to_string());
    }
    if knobs.system.pacing_ca_ratio != linux.system.pacing_ca_ratio {
        sysctl("tcp_pacing_ca_ratio", knobs.system.pacing_ca_ratio.to_string());
    }
    if knobs.rto_max != linux.rto_max {
        sysctl("tcp_rto_max_ms", knobs.rto_max.as_millis().to_string());
    }
    let congestion_control = match knobs.congestion_control {
        CongestionControl::Cubic => "cubic",
        CongestionControl::Reno => "reno",
        CongestionControl::Bbr => "bbr",
    };
    settings.route = format!("congctl {congestion_control}");
    if knobs.initcwnd != linux.initcwnd {
        settings.route += &format!(" initcwnd {}", knobs.initcwnd);
    }
    if knobs.quickack == QuickAck::Route {
        settings.route += " quickack 1";
    }
    if knobs.advmss > 0 {
        settings.route += &format!(" advmss {}", knobs.advmss);
    }
    if knobs.rto_min != linux.rto_min {
        settings.route += &format!(" rto_min {}us", knobs.rto_min.as_micros());
    }
    let mut without = |differs: bool, knob, instead| {
        if differs {
            settings.not_settable.push((knob, instead));
        }
    };
    without(knobs.nagle == NaglePolicy::Rfc896, "nagle", "Linux holds as `minshall`");
    let search = knobs.mtu_probing == MtuProbing::Search;
    without(search, "mtu_probing", "Linux has no `search`; the nearest is set, `2`");
    without(knobs.adaptive_mss, "adaptive_mss", "Linux keeps segments as large as fit");
    without(knobs.ack_policy != AckPolicyKind::Adaptive, "ack_policy", "Linux acknowledges as `adaptive`");
    without(knobs.ack_segments != linux.ack_segments, "ack_segments", "nothing like it in Linux");
    without(knobs.ack_delay_min != linux.ack_delay_min, "ack_delay_min", "Linux has 40 ms, built in");
    without(knobs.ack_delay_max != linux.ack_delay_max, "ack_delay_max", "Linux has 200 ms, built in");
    without(knobs.hz != linux.hz, "hz", "it is the running kernel's own");
    without(knobs.time_wait != linux.time_wait, "time_wait", "Linux has 60 s, built in");
    without(
        !matches!(knobs.pmtu_discovery, PmtuDiscovery::Want | PmtuDiscovery::Dont),
        "pmtu_discovery",
        "it discovers as with `want`: the others are options of a socket",
    );
    without(knobs.hystart != linux.hystart, "hystart", "a setting of the whole machine, not of one host");
    settings
}

/// Sets what is set per socket. To be done before connecting or listening: an accepted socket inherits it.
///
/// # Errors
/// Whatever the kernel says.
pub fn apply_to_socket(socket: &Socket, knobs: &Knobs) -> io::Result<()> {
    socket.set_tcp_nodelay(knobs.nodelay || knobs.nagle == NaglePolicy::Off)?;
    if knobs.cork {
        socket.set_tcp_cork(true)?;
    }
    if knobs.rcvbuf > 0 {
        force_receive_buffer(socket, size(knobs.rcvbuf))?;
    }
    if knobs.sndbuf > 0 {
        force_send_buffer(socket, size(knobs.sndbuf))?;
    }
    if knobs.mss > 0 {
        socket.set_tcp_mss(knobs.mss)?;
    }
    if let Some(most) = max_pacing_rate(knobs) {
        setsockopt(socket, MaxPacingRate, &most)?;
    }
    if knobs.keepalive {
        let seconds = |time: Duration| Duration::from_secs(time.as_secs().max(1));
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(seconds(knobs.keepalive_time))
            .with_interval(seconds(knobs.keepalive_interval))
            .with_retries(knobs.keepalive_probes);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// What SO_MAX_PACING_RATE has to be; a limit that is none has TCP pace as the queue `fq` would have it do.
fn max_pacing_rate(knobs: &Knobs) -> Option<u64> {
    match knobs.max_pacing_rate {
        0 => knobs.pacing.then_some(u64::MAX - 1),
        limited => Some(limited),
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// With the right to do so, also beyond `net.core.rmem_max`, which is the machine's and not the namespace's.
fn force_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    match setsockopt(socket, sockopt::RcvBufForce, &bytes) {
        Ok(()) => Ok(()),
        Err(_) => socket.set_recv_buffer_size(bytes),
    }
}

fn force_send_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    match setsockopt(socket, sockopt::SndBufForce, &bytes) {
        Ok(()) => Ok(()),
        Err(_) => socket.set_send_buffer_size(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_route_carries_stands_on_the_route() {
        let mut knobs = Knobs::default();
        assert_eq!(settings(&knobs).route, "congctl cubic");
        for (knob, value) in
            [("initcwnd", "30"), ("quickack", "route"), ("rto_min", "50ms"), ("congestion_control", "reno")]
        {
            knobs.set(knob, value).unwrap();
        }
        assert_eq!(settings(&knobs).route, "congctl reno initcwnd 30 quickack 1 rto_min 50000us");
    }

    #[test]
    fn pacing_ratios_are_set_where_they_are_not_linuxs_own() {
        let mut knobs = Knobs::default();
        let ratios = |knobs: &Knobs| {
            let ratios = settings(knobs).sysctls;
            ratios.into_iter().filter(|(key, _)| key.contains("pacing")).collect::<Vec<_>>()
        };
        assert_eq!(ratios(&knobs), []);
        knobs.set("pacing_ss_ratio", "100").unwrap();
        knobs.set("pacing_ca_ratio", "110").unwrap();
        let set = [("net/ipv4/tcp_pacing_ss_ratio", "100"), ("net/ipv4/tcp_pacing_ca_ratio", "110")];
        assert_eq!(ratios(&knobs), set.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn pacing_is_a_limit_that_the_kernel_takes() {
        let mut knobs = Knobs::default();
        assert_eq!(max_pacing_rate(&knobs), None);
        knobs.set("pacing", "true").unwrap();
        assert_eq!(max_pacing_rate(&knobs), Some(u64::MAX - 1));
        knobs.set("max_pacing_rate", "1250000").unwrap();
        assert_eq!(max_pacing_rate(&knobs), Some(1_250_000));
        let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        apply_to_socket(&socket, &knobs).unwrap();
    }

    #[test]
    fn every_knob_of_the_stack_is_set_somewhere_or_said_to_be_missing() {
        let by_socket = [
            "nodelay",
            "cork",
            "rcvbuf",
            "sndbuf",
            "mss",
            "keepalive",
            "keepalive_time",
            "keepalive_interval",
            "keepalive_probes",
            "pacing",
            "max_pacing_rate",
            // By interface, as the world says.
            "mtu",
        ];
        let linux = settings(&Knobs::default());
        for knob in narrows_stack::knob::KNOBS {
            let mut knobs = Knobs::default();
            let other = [
                "false",
                "true",
                "50ms",
                "2s",
                "50s",
                "route",
                "reno",
                "rfc896",
                "rfc9406",
                "off",
                "immediate",
                "5",
                "3000",
                "100",
            ]
            .iter()
            .any(|value| knobs.set(knob.name, value).is_ok() && knobs != Knobs::default());
            if other && !by_socket.contains(&knob.name) {
                assert_ne!(settings(&knobs), linux, "{} is forgotten", knob.name);
            }
        }
    }
}
