//! Is everything that was said true, and is what can be known said? For paths where not everything can be.

use crate::random::LEAST_IPV6;
use crate::scenario::{Back, Build, CLOSED, Scenario, User};
use crate::wire::{Icmp, Names, Path};
use narrows_probe::{Clamping, Direction, FindingKind, Report, Seen, Size};

/// What is wrong with a report: numbers that are not so, and numbers that are missing although somebody answers.
#[must_use]
pub fn honest(scenario: &Scenario, report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    let Build::Wire { path, mtu } = &scenario.build else { return wrong };
    let mut expect = |fine: bool, what: String| {
        if !fine {
            wrong.push(what);
        }
    };
    let there = scenario.to_server;
    let (Back::Exact(back) | Back::AtLeast(back)) = scenario.to_client else { return wrong };
    let fine = is_true(&report.to_peer, there);
    expect(fine, format!("to the server: {:?}, not {there}", report.to_peer.path_mtu));
    let fine = is_true(&report.from_peer, back)
        || is_true(&report.from_peer, told_to_the_server(scenario, path, back));
    expect(fine, format!("from the server: {:?}, not {back}", report.from_peer.path_mtu));
    if can_be_exact(scenario) {
        expect(report.to_peer.path_mtu.exact().is_some(), format!("not exact: {}", report.to_peer.how));
    }
    if let (Some(narrowing), Some(hop)) = (&report.narrowing, scenario.narrow_after) {
        let after = narrowing.after_hop.is_none_or(|after| after <= hop);
        let before = narrowing.before_hop.is_none_or(|before| before > hop);
        expect(after && before, format!("behind hop {hop}: {narrowing:?}, {:?}", report.hops));
    }
    let speaks = matches!(path.icmp, Icmp::Speaks | Icmp::Limited(_)) || path.forger.is_some();
    expect(speaks || report.icmp.too_big != Seen::Yes, "\"too big\" that nobody said".to_owned());
    for finding in &report.findings {
        let truth = match finding.kind {
            FindingKind::BlackHole => there < mtu[0] && hides(scenario, path, there),
            // What a router has no answer left for vanishes, too.
            FindingKind::BlackHoleBack => {
                back < mtu[1] && (hides(scenario, path, back) || matches!(path.icmp, Icmp::Limited(_)))
            }
        };
        expect(truth, format!("false: {}", finding.what));
    }
    if let Some(tcp) = &report.tcp {
        if let Some(mss) = tcp.mss_received {
            let truth = scenario.mss_received;
            let fine = if tcp.mss_received_exact { mss == truth } else { mss <= truth };
            expect(fine, format!("MSS {mss} received (exactly: {}), not {truth}", tcp.mss_received_exact));
        }
        let rewritten = matches!(tcp.clamping, Clamping::Yes(_));
        expect(!rewritten || path.there.clamp.is_some(), format!("nobody clamps: {:?}", tcp.clamping));
    }
    wrong
}

fn is_true(direction: &Direction, truth: u32) -> bool {
    match direction.path_mtu {
        Size::Exact(size) => size == truth,
        Size::AtLeast(size) => size <= truth,
        Size::Unknown => true,
    }
}

/// What the server's kernel goes by once a router has named less than the path carries: nothing larger leaves it whole. Without a
/// number it takes the least that it believes (`net.ipv4.route.min_pmtu`, 552), as it does for less.
fn told_to_the_server(scenario: &Scenario, path: &Path, back: u32) -> u32 {
    match path.names {
        Names::Nothing | Names::Wrong(..552) if !scenario.ipv6 => 552,
        Names::Wrong(mtu) if mtu < back && (!scenario.ipv6 || mtu >= LEAST_IPV6) => mtu,
        _ => back,
    }
}

/// Nobody on this path says "too big" in a way that helps: a number below 1280 is not believed over IPv6, and one that does not fit is of
/// no use.
fn hides(scenario: &Scenario, path: &Path, size: u32) -> bool {
    let useless = match path.names {
        Names::Its => scenario.ipv6 && size < LEAST_IPV6,
        Names::Nothing => scenario.ipv6,
        Names::Wrong(mtu) => mtu > size || (scenario.ipv6 && mtu < LEAST_IPV6),
    };
    useless || matches!(path.icmp, Icmp::Silent | Icmp::NoTooBig)
}

/// Whether somebody answers what this user may send, so that the size to the server can be told from a lost packet: TCP for
/// raw sockets alone, datagrams for everybody, HTTP where it is asked for. (Echo alone mixes both directions.)
#[must_use]
pub fn can_be_exact(scenario: &Scenario) -> bool {
    let Build::Wire { path, .. } = &scenario.build else { return true };
    let filter = path.filter;
    let tcp = scenario.user == User::Root && !filter.tcp;
    // What the kernel believes bounds the connections of HTTP, whoever made it believe that.
    let deceived = scenario.believed.is_some() || path.forger.is_some();
    let http = scenario.http && !filter.tcp && scenario.port != CLOSED && !deceived;
    // Over IPv6 answers to datagrams quote up to 1280 bytes.
    let mut links = path.there.links.iter().chain(&path.back.links);
    let narrow = scenario.ipv6 && links.any(|&link| link < LEAST_IPV6);
    tcp || http || !(filter.udp || filter.peer_errors || narrow)
}
