use crate::capture::PcapNg;
use crate::scenario::{Override, RunReport, Scenario, ScenarioWorld};
use crate::{End, LinkId, Passage, Recorder};
use narrows_wire::{IcmpMessage, Packet, Transport};
use std::time::Duration;

/// A download between two sites whose gateways have a tunnel over two routers; the link between these is where it may be narrow.
const SITES: &str = r#"
    [host.client]
    [host.server]
    [router.near]
    [router.far]
    [router.one]
    too_big = "fragment"
    [router.two]
    too_big = "fragment"
    [link.lan]
    between = ["client", "near"]
    delay = "1ms"
    [link.access]
    between = ["near", "one"]
    delay = "2ms"
    [link.middle]
    between = ["one", "two"]
    delay = "6ms"
    rate = "50Mbit/s"
    [link.exit]
    between = ["two", "far"]
    delay = "2ms"
    [link.vpn]
    between = ["near", "far"]
    tunnel = "gre"
    over = "network"
    [link.hosting]
    between = ["far", "server"]
    delay = "1ms"
    [workload.w]
    kind = "bulk"
    bytes = "300KB"
    direction = "download"
"#;

fn scenario(toml: &str, set: &[&str]) -> Scenario {
    let overrides: Vec<Override> = set.iter().map(|change| change.parse().unwrap()).collect();
    let none = |_: &str| Err("no files".to_owned());
    Scenario::from_toml_with("tunnels.toml", toml, &overrides, &none).unwrap()
}

fn sites(set: &[&str]) -> Scenario {
    scenario(SITES, set)
}

/// All packets that passed a tap, with the time.
#[derive(Debug, Default)]
struct Seen(Vec<Packet>);

impl Recorder for Seen {
    fn add_tap(&mut self, _name: &str) -> u32 {
        0
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        self.0.push(passage.packet.clone());
    }
}

/// Runs it; what passed the end of a link.
fn watch(scenario: &Scenario, link: &str, end: End) -> (RunReport, Vec<Packet>) {
    let mut world = scenario.build().unwrap();
    let number = scenario.links.iter().position(|known| known.name == link).unwrap();
    let recorder = world.world.add_recorder(Seen::default());
    world.world.tap(recorder, LinkId(number as u32), end);
    let report = world.run();
    (report, world.world.take_recorder::<Seen>(recorder).unwrap().0)
}

fn link<'a>(report: &'a RunReport, name: &str) -> &'a [crate::DirectionCounters; 2] {
    &report.links.iter().find(|(known, _)| known == name).unwrap().1
}

#[test]
fn a_tunnel_over_the_network_carries_a_download_and_captures_inside_show_it() {
    let (report, inside) = watch(&sites(&[]), "middle", End::First);
    assert!(report.completed());
    assert!(inside.iter().all(|packet| packet.ip.protocol.number() == 47), "GRE and nothing else");
    assert_eq!(inside.iter().map(Packet::len).max(), Some(1_500));
    let (_, at_the_host) = watch(&sites(&[]), "lan", End::First);
    assert_eq!(at_the_host.iter().map(Packet::len).max(), Some(1_476), "the gateway has said what fits");
    let (_, at_the_device) = watch(&sites(&[]), "vpn", End::First);
    assert!(at_the_device.iter().all(|packet| matches!(packet.transport, Transport::Tcp(_))));
    assert_eq!(link(&report, "vpn")[1].delivered_packets, link(&report, "vpn")[1].offered_packets);
    assert_eq!(link(&report, "vpn")[1].outer_fragmented, 0);
}

#[test]
fn every_kind_of_tunnel_carries_both_versions() {
    for kind in crate::Tunnel::ALL {
        for version in ["4", "6"].into_iter().filter(|v| *v == "6" || kind != crate::Tunnel::Sit) {
            let set = [format!("ip={version}"), format!("vpn.tunnel={}", kind.name())];
            let report = sites(&[&set[0], &set[1]]).run().unwrap();
            assert!(report.completed(), "{kind:?} over IPv{version}: {report:?}");
        }
    }
}

#[test]
fn a_device_that_takes_too_much_has_its_outer_packets_cut_and_put_together() {
    let fits = sites(&["vpn.tunnel=wireguard"]).run().unwrap();
    let cut = sites(&["vpn.tunnel=wireguard", "vpn.tunnel_mtu=1500"]).run().unwrap();
    assert!(fits.completed() && cut.completed());
    let counters = &link(&cut, "vpn")[1];
    assert!(counters.outer_fragmented > 200, "{counters:?}");
    assert_eq!(counters.outer_fragments, 2 * counters.outer_fragmented);
    assert_eq!(counters.delivered_packets, counters.offered_packets);
    let full = link(&fits, "middle")[1].offered_packets;
    let pieces = link(&cut, "middle")[1].offered_packets;
    assert!(pieces > full + 150, "{pieces} for {full}");
    assert!(link(&cut, "middle")[1].offered_bytes > link(&fits, "middle")[1].offered_bytes, "more headers");
}

#[test]
fn the_loss_of_one_piece_loses_the_packet() {
    // The workload's own keys are not those of datagrams.
    let text = SITES.replace("bytes = \"300KB\"", "").replace("direction = \"download\"", "");
    let delivered = |payload: u32| {
        let payload = format!("w.size={payload}");
        let set = ["w.kind=datagrams", "w.datagrams=20000", "w.interval=1ms", "vpn.tunnel=vxlan"];
        let set = [&set[..], &["vpn.tunnel_mtu=1500", "middle.forward.loss=0.05", &payload]].concat();
        scenario(&text, &set).run().unwrap().workloads[0].datagrams.unwrap().delivered()
    };
    // 28 bytes of headers inside and 50 outside: the first just fits 1500, the second does not.
    let (whole, cut) = (delivered(1_422), delivered(1_423));
    assert!((whole - 0.95).abs() < 0.008, "{whole}");
    assert!((cut - 0.95f64.powi(2)).abs() < 0.008, "{cut}");
}

#[test]
fn routers_inside_cut_further_or_tell_the_entrance() {
    let narrow = "middle.mtu=1300";
    // Without DF routers cut what the entrance did not know to be too large.
    let cut = sites(&[narrow, "vpn.tunnel=vxlan"]).run().unwrap();
    assert!(cut.completed());
    let [one, two] =
        ["one", "two"].map(|name| cut.routers.iter().find(|(known, _)| known == name).unwrap().1);
    assert!(two.fragmented[0] > 200, "the data comes from there: {two:?}");
    assert_eq!(one.fragmented[0], 0, "ACKs fit");
    // With DF the entrance hears of it and tells the sender; a segment or a few are lost.
    let (told, at_server) = watch(&sites(&[narrow]), "hosting", End::Second);
    assert!(told.completed());
    let mtus: Vec<u32> = at_server
        .iter()
        .filter_map(|packet| match packet.transport {
            Transport::Icmp(IcmpMessage::PacketTooBig { mtu }) => Some(mtu),
            _ => None,
        })
        .collect();
    assert!(mtus.contains(&1_476) && mtus.contains(&1_276), "first the device's, then the path's: {mtus:?}");
    assert!(mtus.iter().all(|mtu| [1_476, 1_276].contains(mtu)), "{mtus:?}");
    // An encrypted one has nothing to relay: the next large packet is refused instead.
    let esp = sites(&[narrow, "vpn.tunnel=esp"]).run().unwrap();
    assert!(esp.completed());
}

#[test]
fn a_silent_gateway_makes_a_black_hole_of_it() {
    let silent = ["middle.mtu=1300", "far.too_big=silent", "near.too_big=silent", "time_limit=20s"];
    let report = sites(&silent).run().unwrap();
    assert!(!report.completed());
    assert_eq!(report.workloads[0].bytes[1], 0);
    let unset = [&silent[..], &["vpn.tunnel_df=unset", "server.mss=1200"]].concat();
    assert!(sites(&unset).run().unwrap().completed());
}

/// A host that is an end of the tunnel itself, as a laptop with a VPN.
const ROAD_WARRIOR: &str = r#"
    [host.client]
    [host.server]
    [router.access]
    too_big = "fragment"
    [router.gate]
    [link.wifi]
    between = ["client", "access"]
    delay = "1ms"
    [link.middle]
    between = ["access", "gate"]
    delay = "9ms"
    rate = "20Mbit/s"
    [link.wg]
    between = ["client", "gate"]
    tunnel = "wireguard"
    over = "network"
    [link.hosting]
    between = ["gate", "server"]
    delay = "1ms"
    [workload.w]
    kind = "bulk"
    bytes = "300KB"
"#;

#[test]
fn a_host_with_a_tunnel_of_its_own_hears_from_its_device_what_does_not_fit() {
    let run = |set: &[&str]| scenario(ROAD_WARRIOR, set).run().unwrap();
    let fits = run(&[]);
    assert!(fits.completed());
    assert_eq!(link(&fits, "wg")[0].dropped_too_large, 0);
    assert!(link(&fits, "wg")[0].offered_packets > 200, "the way through the tunnel is the shorter one");
    let cut = run(&["wg.tunnel_mtu=1500"]);
    assert!(cut.completed() && link(&cut, "wg")[0].outer_fragmented > 150);
    let refused = run(&["wg.tunnel_mtu=1500", "wg.tunnel_df=set"]);
    assert!(refused.completed(), "{refused:?}");
    let wg = &link(&refused, "wg")[0];
    assert!((1..=20).contains(&wg.dropped_too_large) && wg.outer_fragmented == 0, "{wg:?}");
}

#[test]
fn the_same_seed_gives_the_same_packets_and_a_capture_can_be_written() {
    let scenario = sites(&["vpn.tunnel_mtu=1500", "vpn.tunnel_df=unset", "middle.loss=0.01"]);
    let hash = |scenario: &Scenario| scenario.run().unwrap().packet_hash;
    assert_eq!(hash(&scenario), hash(&scenario));
    let mut world: ScenarioWorld = scenario.build().unwrap();
    let capture = world.world.add_recorder(PcapNg::new(Vec::new()));
    world.world.tap_everywhere(capture);
    assert!(world.run().completed());
    let file = world.world.take_recorder::<PcapNg<Vec<u8>>>(capture).unwrap().finish().unwrap();
    assert!(file.len() > 1_000_000);
    assert_eq!(world.world.tunnel_address(LinkId(4), End::First), Some([10, 0, 0, 3].into()));
}

#[test]
fn descriptions_of_tunnels_that_cannot_be_are_refused_with_a_reason() {
    for (text, expected) in [
        ("vpn.tunnel=none", "`vpn`, forward: wrong `tunnel`: expected a tunnel"),
        ("vpn.between=[\"near\", \"server\"]", ""),
    ] {
        let built = sites(&[text]).build();
        match expected {
            "" => assert!(built.is_ok(), "a host may be an end"),
            _ => assert!(built.unwrap_err().to_string().contains(expected)),
        }
    }
    // Nothing but the tunnel joins the two sides.
    let alone = SITES.replace(
        "[link.middle]\n    between = [\"one\", \"two\"]",
        "[link.middle]\n    between = [\"one\", \"client\"]",
    );
    let built = Scenario::from_toml("alone", &alone).unwrap().build();
    assert!(built.unwrap_err().to_string().contains("other links between its two ends"));
    assert!(sites(&[]).time_limit > Duration::ZERO);
}
