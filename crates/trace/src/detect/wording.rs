//! How are sizes and times of findings put into words?

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
