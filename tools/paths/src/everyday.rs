//! Which paths do people meet on an ordinary day? Access lines and VPNs with their usual sizes, routers that name no MTU or a wrong one, several
//! branches, ports that are closed or filtered, hosts that answer nothing but one thing, long round trips.

use crate::kernel::Plan;
use crate::scenario::{Back, Build, CLOSED, Scenario, TCP_ONLY};
use crate::wire::{Filter, Forger, Icmp, Names};
use std::time::Duration;

const ETHERNET: [u32; 3] = [1500; 3];
/// The link in the middle is a usual VPN's.
const VPN: [u32; 3] = [1500, 1400, 1500];

/// All of them.
pub(crate) fn everyday() -> Vec<Scenario> {
    let mut all = sizes();
    all.extend(odd_routers());
    all.extend(who_answers());
    all.extend(distances());
    all
}

/// Both hosts' interfaces have other MTUs.
fn hosts(mut scenario: Scenario, mtu: [u32; 2]) -> Scenario {
    if let Build::Wire { mtu: both, .. } = &mut scenario.build {
        *both = mtu;
    }
    scenario.mss_received = mtu[1] - scenario.mss_headers();
    scenario
}

/// The largest packet that leaves the client arrives.
fn as_the_interface(mtu: u32) -> impl FnOnce(&mut Scenario) {
    move |scenario| {
        (scenario.to_server, scenario.to_client) = (mtu, Back::Exact(mtu));
        (scenario.narrow_after, scenario.too_big) = (None, false);
    }
}

fn sizes() -> Vec<Scenario> {
    let wire = Scenario::wire;
    vec![
        wire("PPPoE 1492, ICMP answered", false, [1492, 1500, 1500]),
        wire("a host behind PPPoE, 1492 at home", false, [1492, 1500, 1500]).with(|s| {
            *s = hosts(s.clone(), [1492, 1500]).with(as_the_interface(1492));
        }),
        wire("VPN 1420, ICMP answered, IPv6", true, [1500, 1420, 1500]),
        wire("VPN 1380, routers silent", false, [1500, 1380, 1500]).icmp(Icmp::Silent),
        wire("1280, routers silent, IPv6", true, [1500, 1500, 1280]).icmp(Icmp::Silent),
        wire("1280, ICMP answered, IPv6", true, [1500, 1500, 1280]),
        hosts(wire("jumbo at both ends, 1500 between", false, [9000, 1500, 9000]), [9000, 9000])
            .with(jumbo(1500))
            .with(|s| s.too_big = true),
        hosts(wire("jumbo at both ends, 1500 between, silent", false, [9000, 1500, 9000]), [9000, 9000])
            .icmp(Icmp::Silent)
            .with(jumbo(1500)),
        hosts(wire("jumbo all the way", false, [9000; 3]), [9000, 9000])
            .path(|path| path.back.links = vec![9000; 3])
            .with(as_the_interface(9000)),
        wire("1492, then 1420, then 1380", false, [1492, 1420, 1380]),
        wire("1492, then 1420, then 1380, silent, IPv6", true, [1492, 1420, 1380]).icmp(Icmp::Silent),
        wire("1400 there, 1300 back", false, VPN).back(1300),
        wire("1400 there, 1300 back, silent", false, VPN).back(1300).icmp(Icmp::Silent),
        wire("1400 there, 1300 back, silent, IPv6", true, VPN).back(1300).icmp(Icmp::Silent),
        wire("576, routers silent", false, [1500, 576, 1500]).icmp(Icmp::Silent),
    ]
}

/// Between two hosts with jumbo frames the path has this MTU.
fn jumbo(mtu: u32) -> impl FnOnce(&mut Scenario) {
    move |scenario| {
        (scenario.to_server, scenario.to_client) = (mtu, Back::AtLeast(mtu));
        if let Build::Wire { path, .. } = &mut scenario.build {
            path.back.links = vec![mtu, 9000, 9000];
            scenario.narrow_after = (path.icmp == Icmp::Speaks).then_some(2);
        }
    }
}

fn odd_routers() -> Vec<Scenario> {
    let wire = Scenario::wire;
    let lying = |path: &mut crate::wire::Path| path.forger = Some(Forger { mtu: 576, one_in: 1 });
    let naming = |names: Names| move |path: &mut crate::wire::Path| path.names = names;
    vec![
        wire("1400, routers name no MTU", false, VPN).path(naming(Names::Nothing)),
        wire("1400, routers name 1300", false, VPN).path(naming(Names::Wrong(1300))),
        wire("1400, routers name 1450", false, VPN).path(naming(Names::Wrong(1450))),
        wire("1400, routers name 1300, IPv6", true, VPN).path(naming(Names::Wrong(1300))),
        wire("1400, routers name 68", false, VPN).path(naming(Names::Wrong(68))),
        wire("ECMP: connections 1400, some datagrams 1500", false, VPN)
            .icmp(Icmp::Silent)
            .path(|path| path.there.branch = Some(ETHERNET.to_vec())),
        wire("ECMP: connections 1500, some datagrams 1400", false, ETHERNET)
            .path(|path| path.there.branch = Some(VPN.to_vec()))
            .with(as_the_interface(1500)),
        wire("ECMP: connections 1500, some datagrams 1400, silent", false, ETHERNET)
            .icmp(Icmp::Silent)
            .path(|path| path.there.branch = Some(VPN.to_vec()))
            .with(as_the_interface(1500)),
        wire("1400, routers silent, somebody says 576", false, VPN)
            .icmp(Icmp::Silent)
            .path(lying)
            .with(|s| s.too_big = true),
        wire("1500, somebody says 576, IPv6", true, ETHERNET).path(lying),
        wire("clamped to 1360 there only", false, VPN)
            .icmp(Icmp::Silent)
            .path(|path| path.there.clamp = Some(1360)),
        Scenario::kernel(
            "Linux routers, a route of 1400, ICMP answered",
            false,
            Plan { route_mtu: [Some(1400), Some(1400)], ..Plan::default() },
        ),
        Scenario::kernel(
            "Linux routers, VXLAN, IPv6",
            true,
            Plan { vxlan_over: Some(1500), ..Plan::default() },
        ),
    ]
}

fn who_answers() -> Vec<Scenario> {
    let wire = Scenario::wire;
    let no_echo = Filter { echo: true, ..Filter::default() };
    let no_tcp = Filter { tcp: true, ..Filter::default() };
    let udp_only = Filter { echo: true, tcp: true, ..Filter::default() };
    let echo_only = Filter { udp: true, tcp: true, ..Filter::default() };
    vec![
        wire("1400, the port is closed", false, VPN).icmp(Icmp::Silent).with(|s| s.port = CLOSED),
        wire("1400, the port is closed, IPv6", true, VPN).icmp(Icmp::Silent).with(|s| s.port = CLOSED),
        wire("1400, the port is filtered", false, VPN).icmp(Icmp::Silent).filter(no_tcp),
        wire("1400, the port is filtered, ICMP answered", false, VPN).filter(no_tcp),
        wire("1400, the host answers no ping", false, VPN).icmp(Icmp::Silent).filter(no_echo),
        wire("1500, the host answers no ping", false, ETHERNET).filter(no_echo).with(|s| {
            s.to_client = Back::Unknown;
        }),
        wire("1400, UDP alone answers", false, VPN).icmp(Icmp::Silent).filter(udp_only),
        wire("1420, UDP alone answers, IPv6", true, [1500, 1420, 1500]).icmp(Icmp::Silent).filter(udp_only),
        wire("1492, UDP alone answers, ICMP answered", false, [1492, 1500, 1500]).filter(udp_only),
        wire("1400, echo alone answers", false, VPN).icmp(Icmp::Silent).filter(echo_only),
        wire("1500, nothing but a closed port answers", false, ETHERNET)
            .icmp(Icmp::Silent)
            .filter(TCP_ONLY)
            .with(|s| s.port = CLOSED),
    ]
}

fn distances() -> Vec<Scenario> {
    let wire = Scenario::wire;
    let far = |path: &mut crate::wire::Path| path.delay = Duration::from_millis(100);
    let lossy = |path: &mut crate::wire::Path| {
        (path.there.loses_one_in, path.back.loses_one_in) = (20, 20);
    };
    let udp_only = Filter { echo: true, tcp: true, ..Filter::default() };
    let within = |seconds: u64| move |s: &mut Scenario| s.within = Duration::from_secs(seconds);
    vec![
        wire("1400, round trip 200 ms", false, VPN).path(far),
        wire("1400, round trip 200 ms, silent", false, VPN).icmp(Icmp::Silent).path(far),
        wire("1400, round trip 200 ms, UDP alone answers", false, VPN)
            .icmp(Icmp::Silent)
            .filter(udp_only)
            .path(far)
            .with(within(4)),
        wire("1400, round trip 200 ms, HTTP", false, VPN)
            .icmp(Icmp::Silent)
            .filter(TCP_ONLY)
            .http(1400)
            .path(far)
            .with(within(4)),
        wire("1400, loss 5 %, ICMP answered", false, VPN).path(lossy),
        wire("1420, loss 5 %, IPv6", true, [1500, 1420, 1500]).icmp(Icmp::Silent).path(lossy),
        wire("1400, loss 5 %, UDP alone answers", false, VPN)
            .icmp(Icmp::Silent)
            .filter(udp_only)
            .path(lossy)
            .with(within(8)),
    ]
}
