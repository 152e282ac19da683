//! Is the lab to be believed where packets are too large? Transfers over paths that a full packet does not fit, with every way out of
//! it, on our stack and on real Linux hosts; and the page about it.
//!
//! The narrow link lies between two routers of the lab's own: both kinds of hosts meet the very same routers, which say that a packet
//! is too large, keep silent, cut it, or lower the MSS of SYNs.

use crate::compare::{Comparison, Row};
use crate::truth::{COMPLETION_GOAL, Group, PACKETS_GOAL, scenario};
use crate::truth_page::{difference, titled};
use narrows_lab::scenario::{
    BulkDirection, ClampMss, LinkSpec, RequestResponse, RouterSpec, Scenario, TooBig, WorkloadKind,
};
use narrows_lab::{IpVersion, LinkConfig, Tunnel};
use std::fmt::Write as _;
use std::time::Duration;

mod datagrams;

/// How often each is played.
pub const REPETITIONS: u32 = 5;
/// After so long a transfer that a black hole holds up counts as held up for good.
const LIMIT: Duration = Duration::from_secs(20);

/// All scenarios of the page.
#[must_use]
pub fn groups() -> Vec<Group> {
    vec![
        Group { title: "Discovery by ICMP: 20 ms, 50 Mb/s", scenarios: discovery() },
        Group { title: "Black holes (no ICMP): 50 Mb/s", scenarios: black_holes() },
        Group {
            title: "Smaller segments from the start: 20 ms, 50 Mb/s, no ICMP",
            scenarios: smaller_segments(),
        },
        Group { title: "Fragmentation by a router: 20 ms, 50 Mb/s", scenarios: fragmentation() },
        Group { title: "Tunnels, discovery by ICMP: 20 ms, 50 Mb/s", scenarios: tunnels() },
        Group { title: "Tunnels whose device takes 1500: 20 ms, 50 Mb/s", scenarios: outer_fragmentation() },
        Group { title: datagrams::TITLE, scenarios: datagrams::scenarios() },
    ]
}

type Settings<'a> = &'a [(&'a str, &'a str)];

const KILOBYTES_300: u64 = 300_000;

/// A transfer over a narrow link between two routers; `knobs` are both hosts'.
fn narrow(
    what: String,
    round_trip_ms: u64,
    mtu: u32,
    router: &RouterSpec,
    knobs: Settings<'_>,
    kind: WorkloadKind,
) -> Scenario {
    let mut scenario = scenario(what, round_trip_ms, Some(50), [knobs, knobs], kind);
    let roads = scenario.links.remove(0).config;
    let mut middle = roads;
    for road in [&mut middle.forward, &mut middle.backward] {
        road.mtu = mtu;
    }
    let access = LinkConfig::symmetric(narrows_lab::DirectionConfig::default());
    let link = |name: &str, from: &str, to: &str, config| LinkSpec {
        name: name.to_owned(),
        between: [from.to_owned(), to.to_owned()],
        config,
    };
    scenario.routers =
        ["near", "far"].map(|name| RouterSpec { name: name.to_owned(), ..router.clone() }).to_vec();
    scenario.links = vec![
        link("lan", "client", "near", access.clone()),
        link("middle", "near", "far", middle),
        link("hosting", "far", "server", access),
    ];
    scenario.time_limit = LIMIT;
    scenario
}

fn bulk(bytes: u64, direction: BulkDirection) -> WorkloadKind {
    WorkloadKind::Bulk { bytes, direction }
}

fn download() -> WorkloadKind {
    bulk(KILOBYTES_300, BulkDirection::Download)
}

fn router(too_big: TooBig) -> RouterSpec {
    RouterSpec { too_big, ..RouterSpec::new("") }
}

fn discovery() -> Vec<Scenario> {
    let mut all = Vec::new();
    let tells = router(TooBig::Icmp);
    for mtu in [1_492, 1_400, 1_280, 600] {
        for (size, bytes) in [("20 KB", 20_000), ("300 KB", KILOBYTES_300), ("2 MB", 2_000_000)] {
            let kind = bulk(bytes, BulkDirection::Download);
            all.push(narrow(format!("{size} down, MTU {mtu}"), 20, mtu, &tells, &[], kind));
        }
    }
    let up = bulk(KILOBYTES_300, BulkDirection::Upload);
    all.push(narrow("300 KB up, MTU 1400".to_owned(), 20, 1_400, &tells, &[], up));
    let asking = RequestResponse {
        requests: 5,
        request: vec![2_000],
        answer: vec![8_000],
        ..RequestResponse::default()
    };
    let asking = WorkloadKind::RequestResponse(asking);
    all.push(narrow("5 answers of 8 KB, MTU 1400".to_owned(), 20, 1_400, &tells, &[], asking));
    let mut ipv6 = narrow("300 KB down, MTU 1400, IPv6".to_owned(), 20, 1_400, &tells, &[], download());
    ipv6.ip_version = IpVersion::V6;
    all.push(ipv6);
    all
}

fn black_holes() -> Vec<Scenario> {
    let mut all = Vec::new();
    let silent = router(TooBig::Silent);
    for mtu in [1_400, 1_280, 600] {
        for round_trip_ms in [20, 100] {
            for probing in ["0", "1", "2"] {
                let what = format!("300 KB, MTU {mtu}, {round_trip_ms} ms, mtu_probing {probing}");
                let knobs = [("mtu_probing", probing)];
                all.push(narrow(what, round_trip_ms, mtu, &silent, &knobs, download()));
            }
        }
    }
    all
}

fn smaller_segments() -> Vec<Scenario> {
    let mut all = Vec::new();
    let silent = router(TooBig::Silent);
    for (what, clamp) in [("clamp to the path", ClampMss::Path), ("clamp to 1200", ClampMss::Bytes(1_200))] {
        for mtu in [1_400, 1_280] {
            let clamps = RouterSpec { clamp_mss: Some(clamp), ..silent.clone() };
            all.push(narrow(format!("{what}, MTU {mtu}"), 20, mtu, &clamps, &[], download()));
        }
    }
    for (what, knob) in [("advmss 1300", "advmss"), ("TCP_MAXSEG 1300", "mss")] {
        all.push(narrow(format!("{what}, MTU 1400"), 20, 1_400, &silent, &[(knob, "1300")], download()));
    }
    all
}

fn fragmentation() -> Vec<Scenario> {
    let cuts = router(TooBig::Fragment);
    let whole = [("pmtu_discovery", "dont")];
    let mut all = Vec::new();
    for mtu in [1_492, 1_400, 1_280, 600] {
        all.push(narrow(format!("ip_no_pmtu_disc 1, MTU {mtu}"), 20, mtu, &cuts, &whole, download()));
    }
    // With DF such a router has to say so.
    all.push(narrow("ip_no_pmtu_disc 0, MTU 1400".to_owned(), 20, 1_400, &cuts, &[], download()));
    all
}

fn tunnels() -> Vec<Scenario> {
    let tells = router(TooBig::Icmp);
    let through = |tunnel: Tunnel| {
        let ipv6 = tunnel == Tunnel::Sit;
        let mut scenario = narrow(tunnel.name().to_owned(), 20, 1_500, &tells, &[], download());
        scenario.ip_version = if ipv6 { IpVersion::V6 } else { IpVersion::V4 };
        in_tunnel(scenario, tunnel, 0)
    };
    Tunnel::ALL.into_iter().map(through).collect()
}

/// The narrow link is a tunnel, both ways, whose device takes `tunnel_mtu` bytes (0: what fits).
fn in_tunnel(mut scenario: Scenario, tunnel: Tunnel, tunnel_mtu: u32) -> Scenario {
    let LinkConfig { forward, backward, .. } = &mut scenario.links[1].config;
    for road in [forward, backward] {
        (road.tunnel, road.tunnel_mtu) = (Some(tunnel), tunnel_mtu);
    }
    scenario
}

/// Every full packet becomes two outside; one lost loses it. The last has DF outside instead: the gateway tells.
fn outer_fragmentation() -> Vec<Scenario> {
    let tells = router(TooBig::Icmp);
    let mut all = Vec::new();
    for tunnel in [Tunnel::WireGuard, Tunnel::Vxlan] {
        for (what, lost) in
            [("nothing is lost", Vec::new()), ("6 of the pieces are lost", vec![60, 61, 150, 203, 290, 333])]
        {
            for (size, bytes) in [("300 KB", KILOBYTES_300), ("2 MB", 2_000_000)] {
                let title = format!("{}, {size}, {what}", tunnel.name());
                let kind = bulk(bytes, BulkDirection::Download);
                let mut scenario = in_tunnel(narrow(title, 20, 1_500, &tells, &[], kind), tunnel, 1_500);
                scenario.links[1].config.backward.lose = lost.clone();
                all.push(scenario);
            }
        }
    }
    let told = narrow("gre with DF, 300 KB".to_owned(), 20, 1_500, &tells, &[], download());
    all.push(in_tunnel(told, Tunnel::Gre, 1_500));
    all
}

fn within(row: Option<&Row>, goal: f64) -> bool {
    row.and_then(Row::difference).is_some_and(|difference| difference.abs() <= goal)
}

/// Both end, or neither does; and at about the same time.
fn completes_near(comparison: &Comparison) -> bool {
    within(comparison.row("completion"), COMPLETION_GOAL) && within(comparison.row("finished"), 0.0)
}

fn counts_near(comparison: &Comparison) -> bool {
    within(Some(&comparison.packets()), PACKETS_GOAL)
}

/// The page, as Markdown.
#[must_use]
pub fn page(groups: &[(&str, Vec<Comparison>)], kernel: &str, repetitions: u32) -> String {
    let all: Vec<&Comparison> = groups.iter().flat_map(|(_, comparisons)| comparisons).collect();
    let flows = datagrams::summary(&all);
    let all: Vec<&Comparison> = all.into_iter().filter(|one| one.row("delivered").is_none()).collect();
    let count = |near: fn(&Comparison) -> bool| all.iter().filter(|comparison| near(comparison)).count();
    let mut page = format!(
        "# Is the lab to be believed where packets are too large?\n\n\
         Each transfer was played {repetitions} times on the stack of this repository in virtual time, and {repetitions} times between real \
         Linux hosts (kernel {kernel}) in network namespaces over the same links and routers in real time; the numbers are medians. The \
         narrow link lies between two routers. This page is made by `narrows lab compare --sizes docs/truth-size.md`, as root.\n\n\
         What did not end within {} s is marked `never`, and its time is that of the last packet sent until then. The goal is a \
         completion within {:.0} % and a number of packets (both ways) within {:.0} %. Of {} transfers, {} reach both, {} the \
         completion, {} the packets.{flows} What does not is in bold.\n",
        LIMIT.as_secs(),
        COMPLETION_GOAL * 100.0,
        PACKETS_GOAL * 100.0,
        all.len(),
        count(|c| completes_near(c) && counts_near(c)),
        count(completes_near),
        count(counts_near),
    );
    for (title, comparisons) in groups {
        let _ = write!(page, "\n## {title}\n\n");
        if *title == datagrams::TITLE {
            datagrams::table(&mut page, comparisons);
            continue;
        }
        let _ = write!(
            page,
            "| transfer | completion, ms | Linux | difference | packets | Linux | difference | retransmissions | Linux | timeouts | Linux |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        );
        for comparison in comparisons {
            row(&mut page, comparison);
        }
    }
    page
}

fn row(page: &mut String, comparison: &Comparison) {
    let (Some(completion), Some(finished)) = (comparison.row("completion"), comparison.row("finished"))
    else {
        return;
    };
    let time = |seconds: f64, finished: f64| {
        let never = if finished < 1.0 { "never, " } else { "" };
        format!("{never}{:.1}", seconds * 1e3)
    };
    let sum = |what: &str, of: fn(&Row) -> f64| -> f64 {
        comparison
            .rows
            .iter()
            .filter(|row| row.name.starts_with(what))
            .map(of)
            .fold(0.0, |sum, count| sum + count)
    };
    let packets = comparison.packets();
    let _ = write!(
        page,
        "| {} | {} | {} | {} | {} | {} | {} |",
        titled(comparison),
        time(completion.medians().0, finished.medians().0),
        time(completion.medians().1, finished.medians().1),
        difference(completion, completes_near(comparison)),
        packets.medians().0,
        packets.medians().1,
        difference(&packets, counts_near(comparison)),
    );
    for what in ["retransmissions of ", "timeouts of "] {
        let _ =
            write!(page, " {} | {} |", sum(what, |row| row.medians().0), sum(what, |row| row.medians().1));
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Unit;
    use crate::take::{TakeOptions, ours};

    const OPTIONS: TakeOptions =
        TakeOptions { seed: 1, capture: false, awake: Duration::ZERO, unfinished: true };

    #[test]
    fn every_transfer_of_the_page_ends_but_black_holes_without_probing() {
        for scenario in groups().iter().flat_map(|group| &group.scenarios) {
            let take = ours(scenario, OPTIONS).unwrap();
            let held_up = scenario.title.ends_with("mtu_probing 0");
            assert_eq!(take.finished, !held_up, "{}", scenario.title);
            // Datagrams that a socket refuses, or that vanish, are never read.
            assert!(take.datagrams.is_some() || take.completion > Duration::ZERO, "{}", scenario.title);
            assert!(take.completion <= LIMIT, "{}", scenario.title);
        }
    }

    #[test]
    fn that_only_one_of_both_ends_is_a_difference() {
        let row = |name: &str, ours, linux| Row {
            name: name.to_owned(),
            unit: Unit::Count,
            ours: vec![ours],
            linux: vec![linux],
        };
        let comparison = Comparison {
            name: "a".to_owned(),
            title: "a".to_owned(),
            rows: vec![
                row("completion", 0.1, 0.1),
                row("finished", 1.0, 0.0),
                row("packets of x", 100.0, 100.0),
                row("retransmissions of x", 1.0, 2.0),
            ],
            not_settable: Vec::new(),
            host_times: Default::default(),
            late: (Duration::ZERO, Duration::ZERO),
            late_repetitions: 0,
            captures: None,
        };
        let page = page(&[("Group", vec![comparison])], "6.0", 3);
        assert!(page.contains("Of 1 transfers, 0 reach both, 0 the completion, 1 the packets."), "{page}");
        let line = "| a | 100.0 | never, 100.0 | **+0.0 %** | 100 | 100 | +0.0 % | 1 | 2 | 0 | 0 |";
        assert!(page.contains(line), "{page}");
    }
}
