//! Is what was found out true?

use crate::scenario::{Back, Build, CLOSED, Scenario};
use narrows_probe::{Clamping, PortState, Report, Seen, Size};

/// What is wrong with a report; empty when it is true and says all that can be known.
#[must_use]
pub fn check(scenario: &Scenario, report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |fine: bool, what: String| {
        if !fine {
            wrong.push(what);
        }
    };
    let to = report.to_peer.path_mtu;
    expect(
        to == Size::Exact(scenario.to_server),
        format!("to the server: {to:?}, not {}", scenario.to_server),
    );
    let from = report.from_peer.path_mtu;
    let fine = match scenario.to_client {
        Back::Exact(size) => from == Size::Exact(size),
        Back::AtLeast(size) => from == Size::AtLeast(size),
        Back::Unknown => from.exact().is_none(),
    };
    expect(fine, format!("from the server: {from:?}, not {:?}", scenario.to_client));
    if let Some(hop) = scenario.narrow_after {
        let found = report.narrowing.as_ref().and_then(|narrowing| narrowing.after_hop);
        expect(found == Some(hop), format!("narrow after hop {found:?}, not {hop}"));
    }
    if scenario.to_server < report.interface_mtu {
        let expected = if scenario.too_big { Seen::Yes } else { Seen::No };
        expect(report.icmp.too_big == expected, format!("too big: {:?}", report.icmp.too_big));
    }
    let state = report.tcp.as_ref().map(|tcp| tcp.state);
    expect(
        state == Some(port_state(scenario)),
        format!("the port: {state:?}, not {:?}", port_state(scenario)),
    );
    if let Some(tcp) = report.tcp.as_ref().filter(|tcp| tcp.state == PortState::Open) {
        let received = tcp.mss_received;
        if let Some((mss, hop)) = scenario.mss_quoted {
            let quoted = tcp.mss_asked_on_the_way.map(|there| (there.mss, there.hop));
            expect(quoted == Some((mss, hop)), format!("MSS on the way {quoted:?}, not {mss} at hop {hop}"));
            expect(matches!(tcp.clamping, Clamping::Yes(_)), format!("clamping: {:?}", tcp.clamping));
        }
        expect(
            received == Some(scenario.mss_received),
            format!("MSS {received:?}, not {}", scenario.mss_received),
        );
    }
    wrong
}

/// What becomes of a connection to the scenario's port.
fn port_state(scenario: &Scenario) -> PortState {
    match &scenario.build {
        Build::Wire { path, .. } if path.filter.tcp => PortState::Silent,
        _ if scenario.port == CLOSED => PortState::Closed,
        _ => PortState::Open,
    }
}
