//! What does this path MTU look like? Tunnels and links by what they leave of a known MTU.

/// How sure a likeness is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// Several things leave this size.
    Low,
    /// It fits, and little else does.
    Medium,
    /// Hardly anything else leaves exactly this size.
    High,
}

/// What leaves such a path MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// Its name, as one looks it up.
    pub name: &'static str,
    /// What it takes of a link of `link_mtu`, bytes.
    pub overhead: u32,
    /// The link that it would run on.
    pub link_mtu: u32,
    /// How sure.
    pub sureness: Sureness,
}

use Sureness::{High, Low, Medium};

/// Path MTU, link, name, sureness. Overheads: GRE RFC 2784 (20 + 4), with key RFC 2890 (+ 4); VXLAN RFC 7348 §5 (20 + 8 + 8 + 14); Geneve RFC 8926;
/// PPPoE RFC 2516 §7 (8); WireGuard (outer IP, 8 UDP, 16 header, 16 tag; its tools reckon with IPv6 outside: 80); ESP RFC 4303
/// with AES-GCM RFC 4106 (20 + 8 + 8 + 16, padded to 4, 2 of trailer) or AES-CBC with HMAC-SHA-256 (20 + 8 + 16 + 16, padded to 16), UDP encapsulation
/// RFC 3948 (+ 8); 6in4 RFC 4213 (20); DS-Lite RFC 6333 (40).
const TABLE: [(u32, u32, &str, Sureness); 37] = [
    (1492, 1500, "PPPoE", High),
    (1488, 1500, "two VLAN or four MPLS labels counted into 1500", Low),
    (1480, 1500, "IP in IP or 6in4 (SIT)", High),
    (1476, 1500, "GRE", High),
    (1472, 1500, "GRE with key", Medium),
    (1472, 1492, "IP in IP or 6in4 over PPPoE", Medium),
    (1468, 1492, "GRE over PPPoE", Medium),
    (1468, 1500, "GRE with key and sequence numbers", Low),
    (1464, 1492, "L2TP or GRE with key over PPPoE", Low),
    (1462, 1500, "GRE that carries Ethernet (gretap)", Medium),
    (1460, 1500, "Google Cloud's default network", Medium),
    (1460, 1500, "IPv4 in IPv6 (DS-Lite) or IPv6 in IPv6", Medium),
    (1458, 1500, "GRE that carries Ethernet, with key (NVGRE)", Low),
    (1456, 1500, "GRE over IPv6", Medium),
    (1454, 1500, "PPPoE on a wholesale access line (L2TP behind it)", Low),
    (1452, 1492, "IPv4 in IPv6 (DS-Lite) over PPPoE", Medium),
    (1450, 1500, "VXLAN (also Geneve without options)", High),
    (1446, 1500, "IPsec ESP in tunnel mode, AES-GCM", High),
    (1442, 1500, "Geneve with OVN's options", Medium),
    (1440, 1500, "WireGuard over IPv4", Medium),
    (1438, 1500, "IPsec ESP in tunnel mode, AES-GCM with UDP encapsulation, or AES-CBC", Medium),
    (1436, 1500, "GRE inside IPsec ESP in transport mode", Low),
    (1432, 1492, "WireGuard over IPv4 and PPPoE", Medium),
    (1430, 1500, "VXLAN over IPv6", Medium),
    (1428, 1500, "IPsec ESP over IPv6, AES-GCM", Low),
    (1424, 1500, "GRE with IPsec, as routers' vendors set it", Low),
    (1422, 1500, "IPsec ESP in tunnel mode, AES-CBC with UDP encapsulation", Medium),
    (1420, 1500, "WireGuard (the default of its tools)", High),
    (1412, 1492, "WireGuard over PPPoE", High),
    (1400, 1500, "a VPN's default (OpenConnect, IPsec and cloud VPNs), or GRE with IPsec", Low),
    (1390, 1500, "an overlay inside a tunnel, or a VPN's default", Low),
    (1370, 1420, "VXLAN inside WireGuard", Medium),
    (1360, 1440, "WireGuard inside WireGuard, or a mobile network", Low),
    (1280, 1500, "IPv6's least MTU: Tailscale's default, or a tunnel set to be safe", Medium),
    (8951, 9001, "VXLAN on AWS jumbo frames", High),
    (8950, 9000, "VXLAN on jumbo frames", High),
    (8500, 9001, "an AWS transit gateway", High),
];

/// What a path MTU looks like, the likeliest first; empty for what is an ordinary link's MTU or looks like nothing known.
#[must_use]
pub fn likenesses(path_mtu: u32) -> Vec<Likeness> {
    let mut found: Vec<Likeness> = TABLE
        .iter()
        .filter(|(mtu, ..)| *mtu == path_mtu)
        .map(|&(mtu, link_mtu, name, sureness)| Likeness {
            name,
            overhead: link_mtu - mtu,
            link_mtu,
            sureness,
        })
        .collect();
    found.sort_by_key(|likeness| std::cmp::Reverse(likeness.sureness));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tunnels_have_their_names() {
        let first = |mtu| likenesses(mtu).first().map(|likeness| (likeness.name, likeness.sureness));
        assert_eq!(first(1476), Some(("GRE", High)));
        assert_eq!(first(1492), Some(("PPPoE", High)));
        assert!(first(1420).is_some_and(|(name, sure)| name.starts_with("WireGuard") && sure == High));
        assert!(first(1450).is_some_and(|(name, _)| name.starts_with("VXLAN")));
        assert!(first(1446).is_some_and(|(name, _)| name.contains("ESP")));
        assert!(first(1400).is_some_and(|(_, sure)| sure == Low));
        for ordinary in [1500, 9000, 65_535, 1333] {
            assert_eq!(first(ordinary), None);
        }
    }

    #[test]
    fn no_row_says_something_impossible() {
        for (mtu, link, name, _) in TABLE {
            assert!(mtu < link && !name.is_empty(), "{name}");
        }
    }
}
