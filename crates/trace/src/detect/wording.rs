//! How are sizes and times of findings put into words, and what do more packets cost in headers?

use crate::PathMtu;
use crate::size::tunnel;
use std::time::Duration;

/// `52.13 ms`.
pub(crate) fn milliseconds(time: Duration) -> String {
    if time >= Duration::from_secs(1) { seconds(time) } else { format!("{:.2} ms", time.as_secs_f64() * 1e3) }
}

/// `3.52 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// How many packets more it takes to carry `payload` bytes in segments of `small` bytes than of `large`.
pub(crate) fn more_packets(payload: u64, small: u32, large: u32) -> u64 {
    let packets_of = |bytes: u32| payload.div_ceil(u64::from(bytes.max(1)));
    packets_of(small).saturating_sub(packets_of(large))
}

/// How long the headers of so many packets take at the narrowest link's rate in bits per second; nothing where that is not known.
pub(crate) fn header_time(packets: u64, headers: u32, rate: Option<u64>) -> Duration {
    let bits = packets as f64 * f64::from(headers) * 8.0;
    rate.filter(|&rate| rate > 0).map_or(Duration::ZERO, |rate| Duration::from_secs_f64(bits / rate as f64))
}

/// `1 packet`, `3 packets`.
pub(crate) fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `1450 bytes`, or `1447 to 1452 bytes`.
pub(crate) fn bytes_between(path_mtu: PathMtu) -> String {
    if path_mtu.least == path_mtu.most {
        format!("{} bytes", path_mtu.least)
    } else {
        format!("between {} and {} bytes", path_mtu.least, path_mtu.most)
    }
}

/// ` (1420: WireGuard)`, where the size is that of few tunnels.
pub(crate) fn narrowest(path_mtu: PathMtu) -> String {
    let names: Vec<String> = tunnel::between(path_mtu.least, path_mtu.most)
        .into_iter()
        .map(
            |(name, mtu)| {
                if path_mtu.least == path_mtu.most { name.to_owned() } else { format!("{mtu}: {name}") }
            },
        )
        .collect();
    if names.is_empty() { String::new() } else { format!(" ({}?)", names.join(", or ")) }
}
