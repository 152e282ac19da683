//! What is wrong with this path, and how is it mended?

use crate::measure::Measurement;
use crate::report::{Direction, Finding, FindingKind, Fix, Icmp, Seen, Tcp};
use crate::tcp::TCP_HEADER_BYTES;
use narrows_stack::path::SMALLEST_IPV6;

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
        && !icmp_helps(size, icmp, measurement)
        // Where the peer asks for segments that fit, TCP does not meet the hole; unknown: it may.
        && tcp.and_then(|tcp| tcp.mss_received).is_none_or(|mss| mss + headers > size)
    {
        findings.push(Finding {
            kind: FindingKind::BlackHole,
            what: format!(
                "Packets to the peer of more than {size} bytes vanish, and {}: connections open, then stall as soon as they send more.",
                if icmp.too_big == Seen::No {
                    "no ICMP says so"
                } else {
                    "the ICMP that says so names no size that both fits and is believed"
                }
            ),
            fixes: fixes(size, headers, Towards::Peer, measurement),
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
            fixes: fixes(size, headers, Towards::Us, measurement),
        });
    }
    findings
}

/// What routers say makes a sender's packets fit, as far as it can be told.
fn icmp_helps(size: u32, icmp: &Icmp, measurement: &Measurement<'_>) -> bool {
    let least = if measurement.peer.is_ipv6() { SMALLEST_IPV6 } else { 0 };
    let fits = measurement.too_big.iter().any(|(_, mtu)| (least..=size).contains(mtu));
    icmp.too_big != Seen::No && (fits || !measurement.useless_words)
}

/// Towards whom the packets vanish: who sends them, and who may ask for smaller ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Peer,
    Us,
}

/// Ways to mend it, by the knobs that do: on the way, at the sender, at the receiver, and at the cause.
fn fixes(size: u32, headers: u32, towards: Towards, measurement: &Measurement<'_>) -> Vec<Fix> {
    let mss = size.saturating_sub(headers).to_string();
    let ipv6 = measurement.peer.is_ipv6();
    let fix = |place: &'static str, knob: &'static str, value: &str| Fix {
        place,
        knob,
        value: value.to_owned(),
        ipv6,
    };
    let (sender, receiver) = match towards {
        Towards::Peer => ("here, where the data is sent", "at the peer, where it is received"),
        Towards::Us => ("at the peer, where the data is sent", "here, where it is received"),
    };
    vec![
        fix("on the gateway before the narrow link", "mss_clamp", &mss),
        fix(sender, "mtu_probing", "1"),
        fix(receiver, "advmss", &mss),
        fix("on the firewall that drops \"too big\"", "icmp_allowed", "true"),
    ]
}
