//! size-1: who cuts a packet that is too large for a link?

use super::sizes::{DOWNLOAD, narrow, observe, routers};
use super::{Claim, Evidence, ExperimentError};
use narrows_stack::ip::fragment::{At, cut};
use narrows_wire::{Packet, UdpHeader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const CLAIM: Claim = Claim {
    id: "size-1",
    text: "An IPv4 packet larger than a link's MTU is cut into fragments at the sender or at a router; IPv6 only at the sender; with \
           DF set (or IPv6) a router refuses it instead.",
    setting: "A download of 300 KB whose way has a link of 1400 bytes between two routers that cut what they may, from a server \
              that sets DF (as Linux does for TCP) and from one that does not, over IPv4 and IPv6; and the pieces that the sender's stack makes of a datagram of 4000 bytes for \
              a link of 1500.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (name, ip, mode, cut_expected) in [
        ("IPv4 without DF, at routers", "ip=4", "server.pmtu_discovery=dont", true),
        ("IPv4 with DF, at routers", "ip=4", "server.pmtu_discovery=want", false),
        ("IPv6, at routers", "ip=6", "server.pmtu_discovery=want", false),
    ] {
        let set = [ip, mode, "near.too_big=fragment", "far.too_big=fragment"];
        let (report, _) = observe(&narrow(DOWNLOAD, &set)?)?;
        let (refused, _, cut) = routers(&report);
        let holds = report.completed() && (cut > 0) == cut_expected && (refused > 0) != cut_expected;
        let claimed = if cut_expected { "cut, none refused" } else { "refused, none cut" };
        evidence.row(name, claimed, format!("{cut} cut, {refused} refused"), holds);
    }
    for (name, ipv6, dont_fragment, claimed) in [
        ("IPv4", false, false, "3 pieces"),
        ("IPv4 with DF", false, true, "refused"),
        ("IPv6", true, true, "3 pieces"),
    ] {
        let pieces = cut(&datagram(ipv6, dont_fragment), 1_500, At::Sender);
        let measured = pieces.map_or("refused".to_owned(), |pieces| format!("{} pieces", pieces.len()));
        let holds = measured == claimed;
        evidence.row(format!("{name}, at the sender"), claimed, measured, holds);
    }
    Ok(evidence)
}

fn datagram(ipv6: bool, dont_fragment: bool) -> Packet {
    let [from, to]: [IpAddr; 2] = if ipv6 {
        [Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]
    };
    let header = UdpHeader { source_port: 9, destination_port: 9 };
    let mut packet = Packet::udp(from, to, header, vec![0; 4_000].into());
    packet.ip.fragment.dont_fragment = dont_fragment;
    packet
}
