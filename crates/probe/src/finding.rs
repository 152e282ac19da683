//! What is wrong with this path, and how is it mended?

use crate::measure::Measurement;
use crate::report::{Direction, Finding, FindingKind, Fix, Icmp, Seen, Tcp};
use crate::tcp::TCP_HEADER_BYTES;

/// What is wrong.
pub(crate) fn findings(
    to_peer: &Direction,
    from_peer: &Direction,
    icmp: &Icmp,
    tcp: Option<&Tcp>,
    measurement: &Measurement<'_>,
) -> Vec<Finding> {
    let headers = measurement.ip_header() + TCP_HEADER_BYTES;
    let interface = measurement.way.interface_mtu;
    let mut findings = Vec::new();
    if let Some(size) = to_peer.path_mtu.exact()
        && size < interface
        && icmp.too_big == Seen::No
        // Where the peer asks for segments that fit, TCP does not meet the hole; unknown: it may.
        && tcp.and_then(|tcp| tcp.mss_received).is_none_or(|mss| mss + headers > size)
    {
        findings.push(Finding {
            kind: FindingKind::BlackHole,
            what: format!(
                "Packets to the peer of more than {size} bytes vanish, and no ICMP says so: connections open, then stall as soon as they send more."
            ),
            fixes: fixes(size, headers, measurement),
        });
    }
    if let Some(size) = from_peer.path_mtu.exact()
        && size < interface
        && measurement.reverse_piece.is_none()
        && tcp.and_then(|tcp| tcp.mss_asked).is_none_or(|mss| mss + headers > size)
    {
        findings.push(Finding {
            kind: FindingKind::BlackHoleBack,
            what: format!(
                "Packets from the peer of more than {size} bytes vanish: connections open, then stall as soon as the peer sends more."
            ),
            fixes: fixes(size, headers, measurement),
        });
    }
    findings
}

fn fixes(size: u32, headers: u32, measurement: &Measurement<'_>) -> Vec<Fix> {
    let peer = measurement.peer.ip();
    let mss = size.saturating_sub(headers);
    let family = if peer.is_ipv4() { "" } else { "-6 " };
    vec![
        Fix {
            place: "on the router before the narrow link: let TCP ask for what fits",
            command: format!(
                "sudo nft add rule inet filter forward tcp flags syn tcp option maxseg size set {mss}"
            ),
        },
        Fix {
            place: "here: send and ask for no more than fits",
            command: format!(
                "ROUTE=\"$(ip {family}route show default | head -n 1)\"; sudo ip {family}route add {peer} ${{ROUTE#default}} mtu {size} advmss {mss}"
            ),
        },
        Fix {
            place: "on the sending side: let TCP find the size itself",
            command: "sudo sysctl -w net.ipv4.tcp_mtu_probing=1".to_owned(),
        },
        Fix {
            place: "on the firewall that drops it: let \"too big\" pass",
            command: if peer.is_ipv4() {
                "sudo nft insert rule inet filter forward icmp type destination-unreachable icmp code frag-needed accept"
                    .to_owned()
            } else {
                "sudo nft insert rule inet filter forward icmpv6 type packet-too-big accept".to_owned()
            },
        },
    ]
}
