//! How many bytes does a tunnel add, and what still fits inside?

/// A tunnel that a link's packets travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// GRE without key, checksum or sequence number (RFC 2784): outer IP header and 4 bytes.
    Gre,
    /// VXLAN (RFC 7348 §5): outer IP header, UDP, VXLAN header, and the inner Ethernet header.
    Vxlan,
    /// WireGuard's transport data message: outer IP header, UDP, 16 bytes of header, the inner packet padded to 16
    /// bytes (but not beyond what the tunnel carries), and a 16-byte tag.
    WireGuard,
    /// ESP in tunnel mode with AES-GCM and a 16-byte tag (RFC 4303 §2, RFC 4106 §3): outer IP header, SPI and sequence
    /// number, 8-byte IV, the inner packet padded to 4 bytes with its 2 bytes of trailer, and the tag.
    Esp,
}

impl Tunnel {
    /// All kinds.
    pub const ALL: [Tunnel; 4] = [Tunnel::Gre, Tunnel::Vxlan, Tunnel::WireGuard, Tunnel::Esp];

    /// `gre`, `vxlan`, `wireguard` or `esp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tunnel::Gre => "gre",
            Tunnel::Vxlan => "vxlan",
            Tunnel::WireGuard => "wireguard",
            Tunnel::Esp => "esp",
        }
    }

    /// Bytes of an inner packet with everything around it; `mtu` is what the link carries, `ipv6` the version outside.
    #[must_use]
    pub fn outer_bytes(self, inner_bytes: u32, mtu: u32, ipv6: bool) -> u32 {
        let fixed = self.fixed_bytes(ipv6);
        let inner = match self {
            Tunnel::Gre | Tunnel::Vxlan => inner_bytes,
            Tunnel::WireGuard => {
                let padded = inner_bytes.saturating_add(15) / 16 * 16;
                padded.min(self.inner_mtu(mtu, ipv6)).max(inner_bytes)
            }
            Tunnel::Esp => inner_bytes.saturating_add(2 + 3) / 4 * 4,
        };
        inner.saturating_add(fixed)
    }

    /// The largest inner packet that a link of this MTU carries.
    #[must_use]
    pub fn inner_mtu(self, mtu: u32, ipv6: bool) -> u32 {
        let room = mtu.saturating_sub(self.fixed_bytes(ipv6));
        match self {
            Tunnel::Gre | Tunnel::Vxlan | Tunnel::WireGuard => room,
            Tunnel::Esp => (room / 4 * 4).saturating_sub(2),
        }
    }

    /// What every packet pays, padding not counted.
    fn fixed_bytes(self, ipv6: bool) -> u32 {
        let ip = if ipv6 { 40 } else { 20 };
        ip + match self {
            Tunnel::Gre => 4,
            Tunnel::Vxlan => 8 + 8 + 14,
            Tunnel::WireGuard => 8 + 16 + 16,
            Tunnel::Esp => 8 + 8 + 16,
        }
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
    }

    #[test]
    fn small_packets_pay_for_padding() {
        assert_eq!(Tunnel::WireGuard.outer_bytes(52, 1_500, false), 64 + 60);
        assert_eq!(Tunnel::Esp.outer_bytes(52, 1_500, false), 56 + 52);
        assert_eq!(Tunnel::Gre.outer_bytes(52, 1_500, false), 76);
    }

    proptest! {
        #[test]
        fn what_fits_inside_fits_outside_and_one_byte_more_does_not(mtu in 200u32..65_535, ipv6: bool, kind in 0usize..4) {
            let tunnel = Tunnel::ALL[kind];
            let inner = tunnel.inner_mtu(mtu, ipv6);
            prop_assert!(tunnel.outer_bytes(inner, mtu, ipv6) <= mtu);
            prop_assert!(tunnel.outer_bytes(inner + 1, mtu, ipv6) > mtu);
        }
    }
}
