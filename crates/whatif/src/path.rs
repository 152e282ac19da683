//! What do the findings of size say about the path: is there a link that takes less, does its router say so, is the MSS
//! lowered before it?

use narrows_lab::{Between, Side, scenario::TooBig};
use narrows_trace::{Cause, Connection, Finding, PathMtu, Vantage};
use std::time::Duration;

/// A link of the path that takes less than the hosts' own, in both directions alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrow {
    /// Largest IP packet that it takes, bytes. Of what the capture leaves open it is the largest: what is not known to vanish
    /// is taken to pass.
    pub mtu: u32,
    /// Its router says so by ICMP.
    pub icmp: bool,
}

/// What the path does to packets for their size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Largest IP packet of each side's interface, bytes.
    pub interface_mtu: [u32; 2],
    /// The narrowest link, where it is narrower.
    pub narrow: Option<Narrow>,
    /// To what the MSS in SYNs is lowered on the way.
    pub clamp: Option<u16>,
    /// From a host to the router that answers; half of what path MTU discovery costs.
    pub to_router: Duration,
    /// How much later than at once that router answers.
    pub icmp_delay: Duration,
}

pub(crate) const ETHERNET_MTU: u32 = 1500;

impl Sizes {
    /// As the capture shows it.
    pub(crate) fn of(connection: &Connection, round_trip: Duration) -> Sizes {
        let headers = headers(connection);
        let find = |cause: Cause| connection.findings.iter().find(|finding| finding.cause == cause);
        let clamped = find(Cause::MssClamped).and_then(|finding| finding.path_mtu);
        let told = find(Cause::PathMtuDiscovery);
        let narrow = |finding: &Finding, icmp| finding.path_mtu.map(|mtu| Narrow { mtu: mtu.most, icmp });
        let vanishing = find(Cause::PathMtuBlackHole).and_then(|finding| narrow(finding, false));
        // Larger packets than a search has found to pass are not sent any more, and nobody says so but the search.
        let searched =
            connection.sides.iter().filter_map(|side| side.upward_probing).map(|search| search.path_mtu.most);
        let searched =
            searched.min().filter(|&mtu| mtu < ETHERNET_MTU).map(|mtu| Narrow { mtu, icmp: false });
        let interface = |side: Side| {
            let mss = connection.side(side).syn_options.as_ref().and_then(|options| options.mss);
            let mtu = mss.map_or(ETHERNET_MTU, |mss| u32::from(mss) + headers);
            // A lowered option, or `advmss` on a route, says less than the interface takes.
            mtu.max(ETHERNET_MTU)
        };
        // Where it cannot be seen, the narrow link is taken to be half way.
        let half_way = round_trip / 4;
        let (to_router, icmp_delay) = match told {
            // At the sender it is known how long the answer took, and behind the link where it was longer than a round trip.
            Some(finding) if !behind(connection, finding) || finding.lost > round_trip => {
                let to_router = (finding.lost / 2).min(half_way);
                (to_router, finding.lost.saturating_sub(to_router * 2))
            }
            _ => (half_way, Duration::ZERO),
        };
        Sizes {
            interface_mtu: [interface(Side::Client), interface(Side::Server)],
            narrow: vanishing.or_else(|| told.and_then(|finding| narrow(finding, true))).or(searched),
            clamp: clamped.and_then(|mtu| u16::try_from(mtu.most.saturating_sub(headers)).ok()),
            to_router,
            icmp_delay,
        }
    }

    /// From when a packet that is too large leaves until its sender knows.
    pub(crate) fn told_after(&self) -> Duration {
        self.to_router * 2 + self.icmp_delay
    }

    /// The routers of the play; `None` where the two hosts' own link is all that matters.
    pub(crate) fn between(&self) -> Option<Between> {
        let widest = self.interface_mtu.iter().copied().max().unwrap_or(ETHERNET_MTU);
        let plain = self.interface_mtu == [ETHERNET_MTU; 2] && self.clamp.is_none() && self.narrow.is_none();
        (!plain).then(|| Between {
            mtu: self.narrow.map_or(widest, |narrow| narrow.mtu),
            too_big: if self.narrow.is_some_and(|narrow| !narrow.icmp) {
                TooBig::Silent
            } else {
                TooBig::Icmp
            },
            clamp_mss: self.clamp,
            interface_mtu: self.interface_mtu,
            to_router: self.to_router,
            icmp_delay: self.icmp_delay,
        })
    }
}

/// The capture was made where the packets of the finding's side arrive.
pub(crate) fn behind(connection: &Connection, finding: &Finding) -> bool {
    let receiver = match finding.side.peer() {
        Side::Client => Vantage::Client,
        Side::Server => Vantage::Server,
    };
    connection.vantage == receiver
}

/// IP and TCP headers without options, bytes.
pub(crate) fn headers(connection: &Connection) -> u32 {
    if connection.client.is_ipv4() { 40 } else { 60 }
}

/// An MSS with which full packets pass.
pub(crate) fn fitting_mss(path_mtu: PathMtu, ipv6: bool) -> u32 {
    /// Every link takes this (RFC 8200 §5), so that tunnels leave room for it.
    const SURE: u32 = 1280;
    /// A range as narrow as this is known well enough.
    const NARROW: u32 = 100;
    let headers = if ipv6 { 60 } else { 40 };
    let known = path_mtu.most - path_mtu.least <= NARROW && path_mtu.least >= SURE / 2;
    let mtu = if known { path_mtu.least } else { SURE.min(path_mtu.most).max(path_mtu.least) };
    mtu.saturating_sub(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_mtu_gives_the_mss_and_an_unknown_one_a_safe_one() {
        assert_eq!(fitting_mss(PathMtu { least: 1447, most: 1451 }, false), 1407);
        assert_eq!(fitting_mss(PathMtu { least: 151, most: 1499 }, false), 1240);
        assert_eq!(fitting_mss(PathMtu { least: 1400, most: 1499 }, true), 1340);
    }

    #[test]
    fn an_ordinary_path_needs_no_routers() {
        let to_router = Duration::from_millis(5);
        let sizes = Sizes {
            interface_mtu: [1500; 2],
            narrow: None,
            clamp: None,
            to_router,
            icmp_delay: Duration::ZERO,
        };
        assert_eq!(sizes.between(), None);
        let hole = Sizes { narrow: Some(Narrow { mtu: 1400, icmp: false }), ..sizes };
        let between = hole.between().unwrap();
        assert_eq!((between.mtu, between.too_big), (1400, TooBig::Silent));
        assert_eq!(between.to_router, to_router);
    }
}
