//! Does `narrows path` find the truth? A selection of the paths; `cargo run --release -p paths` measures all of them.
//! Needs root for network namespaces; says so and does nothing without.

use narrows_namespaces::{Error, permitted};
use narrows_probe::{Options, Report, Size, Target, measure};
use narrows_wire::{IcmpMessage, Packet, UdpHeader};
use paths::bed::server;
use paths::check::check;
use paths::scenario::Build;
use paths::{Scenario, scenarios, with_bed};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::time::Duration;

/// One path at a time: each has a wire that wants to be punctual.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn options(scenario: &Scenario) -> Options {
    let target = Target { host: server(scenario.ipv6).to_string(), port: Some(scenario.port) };
    Options { http: scenario.http, ..Options::new(target) }
}

fn run(scenario: &Scenario, options: &Options) -> Report {
    let report =
        with_bed(scenario, || measure(options, &mut |_| {}).map_err(|error| Error::Setup(error.to_string())));
    report.unwrap_or_else(|error| panic!("{}: {error}", scenario.name))
}

/// The scenario with this name, with a shorter delay: these tests are about what is found, not about how fast.
fn named(name: &str) -> Scenario {
    let mut scenario = scenarios().into_iter().find(|scenario| scenario.name == name).expect("a scenario");
    if let Build::Wire { path, .. } = &mut scenario.build {
        path.delay = Duration::from_millis(10);
    }
    scenario
}

fn all_true(names: &[&str]) {
    if !permitted() {
        return;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for name in names {
        let scenario = named(name);
        let report = run(&scenario, &options(&scenario));
        let wrong = check(&scenario, &report);
        assert!(wrong.is_empty(), "{name}: {wrong:?}\n{report:#?}");
        // With raw sockets nothing changes what the kernel believes, but for echo requests; and these are sent
        // only where nothing is too large.
        assert_eq!(report.kernel_path_mtu_before, report.kernel_path_mtu_after, "{name}");
    }
}

#[test]
fn where_routers_answer() {
    all_true(&["1400, ICMP answered", "1480, then 1400", "1400, ICMP answered, IPv6", "Linux routers, 1400"]);
}

#[test]
fn where_routers_are_silent() {
    all_true(&[
        "1400, routers silent",
        "1400, routers silent, IPv6",
        "PPPoE 1492",
        "Linux routers, VXLAN, ICMP dropped",
        "Linux routers, 1400, ICMP dropped, IPv6",
    ]);
}

#[test]
fn where_only_tcp_gets_through() {
    all_true(&[
        "1400, no ICMP, no UDP",
        "1333, a closed port alone answers",
        "1400, no ICMP, no UDP, HTTP",
        "1400, no ICMP, no UDP, HTTP, IPv6",
    ]);
}

#[test]
fn where_the_way_back_is_another_one() {
    all_true(&[
        "1500 there, 1400 back",
        "1500 there, 1400 back, IPv6",
        "1500 there, 1400 back, silent, IPv6",
        "Linux routers, 1400 there, 1500 back, HTTP",
    ]);
}

#[test]
fn where_answers_are_limited_packets_are_lost_and_mss_is_rewritten() {
    all_true(&[
        "1400, ICMP 2 per second",
        "1400, loss 5 %",
        "clamped to 1300, path 1500",
        "clamped to 1360, routers quote it",
        "Linux routers, 1400, clamped by nft",
    ]);
}

#[test]
fn on_paths_that_people_meet() {
    all_true(&[
        "a host behind PPPoE, 1492 at home",
        "jumbo at both ends, 1500 between",
        "1400 there, 1300 back, silent",
        "1400, routers name no MTU",
        "1400, routers name 1300",
        "1400, routers silent, somebody says 576",
        "1500, somebody says 576, IPv6",
        "ECMP: connections 1400, some datagrams 1500",
        "ECMP: connections 1500, some datagrams 1400",
        "1400, the port is filtered",
        "1280, routers silent, IPv6",
    ]);
}

#[test]
fn where_datagrams_alone_are_answered_and_these_sparingly() {
    all_true(&["1400, UDP alone answers", "1420, UDP alone answers, IPv6"]);
}

/// What the router says of a packet of this kernel's own: 1200 bytes fit, although all do.
fn lie(ipv6: bool) -> Result<(), Error> {
    let socket = UdpSocket::bind((paths::bed::client(ipv6), 0))?;
    socket.connect((server(ipv6), 9))?;
    let header = UdpHeader { source_port: socket.local_addr()?.port(), destination_port: 9 };
    let quoted = Packet::udp(paths::bed::client(ipv6), server(ipv6), header, vec![0; 1400].into());
    let mut about = Vec::new();
    quoted.emit(&mut about);
    let message = IcmpMessage::PacketTooBig { mtu: 1300 };
    let complaint =
        paths::packet::complaint(paths::bed::router(ipv6, 1), message, &about).expect("a message");
    // From this host to itself: the kernel takes it as it takes one from outside.
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))?;
    raw.send_to(&complaint, &SocketAddr::new(paths::bed::client(ipv6), 0).into())?;
    std::thread::sleep(Duration::from_millis(20));
    Ok(())
}

#[test]
fn a_forged_too_big_fools_nobody() {
    if !permitted() {
        return;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let scenario = named("plain Ethernet");
    for raw in [true, false] {
        let report = with_bed(&scenario, || {
            narrows_namespaces::sysctl("net/ipv4/conf/all/rp_filter", "0")?;
            narrows_namespaces::sysctl("net/ipv4/conf/all/accept_local", "1")?;
            lie(false)?;
            let options = Options { raw, ..options(&scenario) };
            measure(&options, &mut |_| {}).map_err(|error| Error::Setup(error.to_string()))
        });
        let report = report.expect("a report");
        assert_eq!(report.kernel_path_mtu_before, Some(1300), "the kernel believes the lie");
        assert_eq!(report.to_peer.path_mtu, Size::Exact(1500), "raw: {raw}");
        assert!(report.notes.iter().any(|note| note.contains("believes")), "{:?}", report.notes);
    }
}

#[test]
fn what_the_kernel_remembers_wrongly_fools_nobody() {
    if !permitted() {
        return;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let scenario = named("plain Ethernet");
    for raw in [true, false] {
        let report = with_bed(&scenario, || {
            // A route's MTU is what the kernel goes by, as it goes by what a router (or a liar) has told it.
            let address = server(false);
            narrows_namespaces::ip(&format!("route add {address}/32 dev eth0 mtu 1200\n"))?;
            let options = Options { raw, ..options(&scenario) };
            measure(&options, &mut |_| {}).map_err(|error| Error::Setup(error.to_string()))
        });
        let report = report.expect("a report");
        assert_eq!(report.kernel_path_mtu_before, Some(1200));
        assert_eq!(report.to_peer.path_mtu, Size::Exact(1500), "raw: {raw}");
        assert!(report.notes.iter().any(|note| note.contains("believes")), "{:?}", report.notes);
    }
}

#[test]
fn without_privileges_datagrams_and_ping_sockets_find_it() {
    if !permitted() {
        return;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (name, pings) in
        [("1400, routers silent", true), ("1400, ICMP answered", false), ("1500 there, 1400 back", true)]
    {
        let scenario = named(name);
        let report = with_bed(&scenario, || {
            if pings {
                narrows_namespaces::sysctl("net/ipv4/ping_group_range", "0 2147483647")?;
            }
            let options = Options { raw: false, ..options(&scenario) };
            measure(&options, &mut |_| {}).map_err(|error| Error::Setup(error.to_string()))
        });
        let report = report.expect("a report");
        assert!(!report.raw);
        assert_eq!(report.to_peer.path_mtu, Size::Exact(scenario.to_server), "{name}: {report:#?}");
        if name.contains("back") {
            assert_eq!(report.from_peer.path_mtu, Size::Exact(1400), "{report:#?}");
        }
    }
}
