//! How many bytes does a tunnel add, what still fits inside, and may its packets be cut on their way?

mod ends;
mod outer;

pub(crate) use ends::TunnelDirection;

/// A tunnel that a link's packets travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// GRE without key, checksum or sequence number (RFC 2784): outer IP header and 4 bytes.
    Gre,
    /// IP in IP (RFC 2003, RFC 2473): an outer IP header of the inner packet's version.
    Ipip,
    /// IPv6 in IPv4 (RFC 4213): an outer IPv4 header, whatever is said of the version outside.
    Sit,
    /// VXLAN (RFC 7348 §5): outer IP header, UDP, VXLAN header, and the inner Ethernet header.
    Vxlan,
    /// Geneve without options (RFC 8926 §3): outer IP header, UDP, Geneve header, and the inner Ethernet header.
    Geneve,
    /// WireGuard's transport data message: outer IP header, UDP, 16 bytes of header, the inner packet padded to 16
    /// bytes (but not beyond what the tunnel carries), and a 16-byte tag.
    WireGuard,
    /// ESP in tunnel mode with AES-GCM and a 16-byte tag (RFC 4303 §2, RFC 4106 §3): outer IP header, SPI and sequence
    /// number, 8-byte IV, the inner packet padded to 4 bytes with its 2 bytes of trailer, and the tag.
    Esp,
}

/// What becomes of DF outside (RFC 4301 §8.1): without it an outer packet that is too large is cut, and put together at the tunnel's exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OuterDf {
    /// `set`: always (Linux `pmtudisc`).
    Set,
    /// `inherit`: as the inner packet has it (Linux `nopmtudisc`, VXLAN's `df inherit`); IPv6 inside counts as set.
    Inherit,
    /// `unset`: never.
    Unset,
}

impl OuterDf {
    /// All of them.
    pub const ALL: [OuterDf; 3] = [OuterDf::Set, OuterDf::Inherit, OuterDf::Unset];

    /// `set`, `inherit` or `unset`: the words of `ip link … type vxlan df`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OuterDf::Set => "set",
            OuterDf::Inherit => "inherit",
            OuterDf::Unset => "unset",
        }
    }
}

impl Tunnel {
    /// All kinds.
    pub const ALL: [Tunnel; 7] = [
        Tunnel::Gre,
        Tunnel::Ipip,
        Tunnel::Sit,
        Tunnel::Vxlan,
        Tunnel::Geneve,
        Tunnel::WireGuard,
        Tunnel::Esp,
    ];

    /// `gre`, `ipip`, `sit`, `vxlan`, `geneve`, `wireguard` or `esp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tunnel::Gre => "gre",
            Tunnel::Ipip => "ipip",
            Tunnel::Sit => "sit",
            Tunnel::Vxlan => "vxlan",
            Tunnel::Geneve => "geneve",
            Tunnel::WireGuard => "wireguard",
            Tunnel::Esp => "esp",
        }
    }

    /// What Linux does with DF outside unless it is told otherwise: `pmtudisc` for GRE, IPIP and SIT, `df unset` for VXLAN and Geneve, a
    /// copy for ESP (`xfrm_outer_mode`), and for WireGuard never (`send4` of its socket.c).
    #[must_use]
    pub fn usual_df(self) -> OuterDf {
        match self {
            Tunnel::Gre | Tunnel::Ipip | Tunnel::Sit => OuterDf::Set,
            Tunnel::Vxlan | Tunnel::Geneve | Tunnel::WireGuard => OuterDf::Unset,
            Tunnel::Esp => OuterDf::Inherit,
        }
    }

    /// Bytes of an inner packet with everything around it; `inside_mtu` is that of the tunnel's device, `ipv6` the version outside.
    #[must_use]
    pub fn outer_bytes(self, inner_bytes: u32, inside_mtu: u32, ipv6: bool) -> u32 {
        let fixed = self.fixed_bytes(ipv6);
        let inner = match self {
            Tunnel::Gre | Tunnel::Ipip | Tunnel::Sit | Tunnel::Vxlan | Tunnel::Geneve => inner_bytes,
            Tunnel::WireGuard => {
                let padded = inner_bytes.saturating_add(15) / 16 * 16;
                padded.min(inside_mtu).max(inner_bytes)
            }
            Tunnel::Esp => inner_bytes.saturating_add(2 + 3) / 4 * 4,
        };
        inner.saturating_add(fixed)
    }

    /// The largest inner packet whose outer one a link of this MTU carries whole.
    #[must_use]
    pub fn inner_mtu(self, mtu: u32, ipv6: bool) -> u32 {
        let room = mtu.saturating_sub(self.fixed_bytes(ipv6));
        match self {
            Tunnel::Esp => (room / 4 * 4).saturating_sub(2),
            _ => room,
        }
    }

    /// What every packet pays, padding not counted.
    fn fixed_bytes(self, ipv6: bool) -> u32 {
        let ip = if self.is_ipv6_outside(ipv6) { 40 } else { 20 };
        ip + match self {
            Tunnel::Gre => 4,
            Tunnel::Ipip | Tunnel::Sit => 0,
            Tunnel::Vxlan | Tunnel::Geneve => 8 + 8 + 14,
            Tunnel::WireGuard => 8 + 16 + 16,
            Tunnel::Esp => 8 + 8 + 16,
        }
    }

    /// Whether the outer header is IPv6's, in a network of IPv6.
    pub(crate) fn is_ipv6_outside(self, ipv6: bool) -> bool {
        ipv6 && self != Tunnel::Sit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_inner_mtus_come_out() {
        let inner = |tunnel: Tunnel| (tunnel.inner_mtu(1_500, false), tunnel.inner_mtu(1_500, true));
        assert_eq!(inner(Tunnel::Gre), (1_476, 1_456));
        assert_eq!(inner(Tunnel::Vxlan), (1_450, 1_430));
        assert_eq!(inner(Tunnel::WireGuard), (1_440, 1_420));
        assert_eq!(inner(Tunnel::Esp), (1_446, 1_426));
        assert_eq!(inner(Tunnel::Ipip), (1_480, 1_460));
        assert_eq!(inner(Tunnel::Sit), (1_480, 1_480));
        assert_eq!(inner(Tunnel::Geneve), inner(Tunnel::Vxlan));
    }

    #[test]
    fn small_packets_pay_for_padding() {
        assert_eq!(Tunnel::WireGuard.outer_bytes(52, 1_500, false), 64 + 60);
        // Padding ends at the device's MTU (`calculate_skb_padding` of Linux's WireGuard).
        assert_eq!(Tunnel::WireGuard.outer_bytes(1_499, 1_500, false), 1_500 + 60);
        assert_eq!(Tunnel::Esp.outer_bytes(52, 1_500, false), 56 + 52);
        assert_eq!(Tunnel::Gre.outer_bytes(52, 1_500, false), 76);
    }

    proptest! {
        #[test]
        fn what_fits_inside_fits_outside_and_one_byte_more_does_not(mtu in 200u32..65_535, ipv6: bool, kind in 0usize..7) {
            let tunnel = Tunnel::ALL[kind];
            let inner = tunnel.inner_mtu(mtu, ipv6);
            prop_assert!(tunnel.outer_bytes(inner, inner, ipv6) <= mtu);
            prop_assert!(tunnel.outer_bytes(inner + 1, inner, ipv6) > mtu);
        }
    }
}
