//! Which tunnel makes a path's MTU what it is? The usual ones, over Ethernet's 1500 bytes.

use super::ETHERNET_MTU;
use narrows_lab::Tunnel;

/// Every usual tunnel with the MTU of its inside: those that the lab has over both IP versions, and a few without
/// headers of their own.
fn insides() -> impl Iterator<Item = (&'static str, u32)> {
    // Geneve without options leaves as much as VXLAN, and is rarely without; SIT as much as IP in IP.
    let with_headers = [
        ("GRE", Tunnel::Gre, false),
        ("GRE over IPv6", Tunnel::Gre, true),
        ("VXLAN", Tunnel::Vxlan, false),
        ("VXLAN over IPv6", Tunnel::Vxlan, true),
        ("WireGuard over IPv4", Tunnel::WireGuard, false),
        // The default of wg-quick, which leaves room for an outer IPv6 header.
        ("WireGuard", Tunnel::WireGuard, true),
        ("IPsec ESP", Tunnel::Esp, false),
        ("IPsec ESP over IPv6", Tunnel::Esp, true),
        ("IP in IP", Tunnel::Ipip, false),
    ];
    let of_the_lab =
        with_headers.into_iter().map(|(name, tunnel, ipv6)| (name, tunnel.inner_mtu(ETHERNET_MTU, ipv6)));
    of_the_lab.chain([("PPPoE", ETHERNET_MTU - 8)])
}

/// The tunnels whose inside lies within these MTUs, when there are no more than two: more would say nothing.
pub(crate) fn between(least: u32, most: u32) -> Vec<(&'static str, u32)> {
    let within: Vec<(&'static str, u32)> =
        insides().filter(|(_, mtu)| (least..=most).contains(mtu)).collect();
    if within.len() <= 2 { within } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_sizes_have_names_and_wide_ranges_none() {
        assert_eq!(between(1420, 1420), [("WireGuard", 1420)]);
        assert_eq!(between(1476, 1476), [("GRE", 1476)]);
        assert_eq!(between(1492, 1492), [("PPPoE", 1492)]);
        assert_eq!(between(1448, 1452), [("VXLAN", 1450)]);
        assert!(between(1499, 1499).is_empty());
        assert!(between(9000, 9000).is_empty());
        assert!(between(151, 1499).is_empty());
    }
}
