//! Which tunnel makes a path's MTU what it is? The usual ones, over Ethernet's 1500 bytes.

use narrows_lab::Tunnel;

const ETHERNET_MTU: u32 = 1500;

/// Every usual tunnel with the MTU of its inside: those that the lab has over both IP versions, and a few without
/// headers of their own.
fn insides() -> impl Iterator<Item = (&'static str, u32)> {
    let named = |tunnel: Tunnel, ipv6: bool| {
        let name = match (tunnel, ipv6) {
            (Tunnel::Gre, false) => "GRE",
            (Tunnel::Gre, true) => "GRE over IPv6",
            (Tunnel::Vxlan, false) => "VXLAN",
            (Tunnel::Vxlan, true) => "VXLAN over IPv6",
            (Tunnel::WireGuard, false) => "WireGuard over IPv4",
            // The default of wg-quick, which leaves room for an outer IPv6 header.
            (Tunnel::WireGuard, true) => "WireGuard",
            (Tunnel::Esp, false) => "IPsec ESP",
            (Tunnel::Esp, true) => "IPsec ESP over IPv6",
        };
        (name, tunnel.inner_mtu(ETHERNET_MTU, ipv6))
    };
    let of_the_lab = Tunnel::ALL.into_iter().flat_map(move |t| [named(t, false), named(t, true)]);
    of_the_lab.chain([("PPPoE", ETHERNET_MTU - 8), ("IP in IP", ETHERNET_MTU - 20)])
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
