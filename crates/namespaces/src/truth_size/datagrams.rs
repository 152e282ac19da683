//! Which datagrams of the page about sizes are compared, and how do their rows look?

use super::{in_tunnel, narrow, router};
use crate::compare::{Comparison, Row};
use crate::truth_page::titled;
use narrows_lab::scenario::{Datagrams, RouterSpec, Scenario, TooBig, WorkloadKind};
use narrows_lab::{Loss, Tunnel};
use narrows_stack::knob::PmtuDiscovery;
use std::fmt::Write as _;
use std::time::Duration;

const COUNT: u64 = 200;
const INTERVAL: Duration = Duration::from_millis(4);
/// The share that arrives may differ by this much.
const DELIVERY_GOAL: f64 = 0.01;

/// The group's titles begin so.
pub(super) const TITLE: &str = "Datagrams: 20 ms, 50 Mb/s, 200 of them";

/// A flow over a narrow link; `loss` is that of the link's packets.
fn flow(what: &str, size: u32, mtu: u32, router: &RouterSpec, mode: PmtuDiscovery, loss: f64) -> Scenario {
    let kind = WorkloadKind::Datagrams(Datagrams { count: COUNT, size, interval: INTERVAL, search: None });
    let what = format!("{size} bytes, {}, {what}", mode.name());
    let knobs = [("pmtu_discovery", mode.name())];
    let mut scenario = narrow(what, 20, mtu, router, &knobs, kind);
    if loss > 0.0 {
        scenario.links[1].config.forward.loss = Loss::Random(loss);
    }
    scenario
}

/// By every mode of `IP_MTU_DISCOVER`, what fits the interface and not the path, and what fits neither; with losses; in a tunnel whose device
/// takes too much.
pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (what, too_big) in
        [("the router tells", TooBig::Icmp), ("it cuts", TooBig::Fragment), ("it is silent", TooBig::Silent)]
    {
        let what = format!("MTU 1400, {what}");
        for mode in PmtuDiscovery::ALL {
            for size in [1_472, 4_000] {
                all.push(flow(&what, size, 1_400, &router(too_big), mode, 0.0));
            }
        }
    }
    for size in [1_372, 4_000, 16_000] {
        let cuts = router(TooBig::Fragment);
        all.push(flow("MTU 1400, it cuts, 2 % are lost", size, 1_400, &cuts, PmtuDiscovery::Dont, 0.02));
    }
    for (tunnel, size) in [(Tunnel::WireGuard, 1_412), (Tunnel::WireGuard, 1_472), (Tunnel::Vxlan, 1_472)] {
        let what = format!("{} of 1500, 2 % are lost", tunnel.name());
        let scenario = flow(&what, size, 1_500, &router(TooBig::Icmp), PmtuDiscovery::Want, 0.02);
        all.push(in_tunnel(scenario, tunnel, 1_500));
    }
    all
}

fn is_flow(comparison: &Comparison) -> bool {
    comparison.row("delivered").is_some()
}

/// As many are refused and as many pieces leave; the share that arrives is about the same.
fn is_near(comparison: &Comparison) -> bool {
    let same = |row: Option<&Row>| row.is_none_or(|row| row.medians().0 == row.medians().1);
    let delivered = comparison.row("delivered").map(Row::medians);
    same(comparison.row("datagrams refused"))
        && same(comparison.row("fragments of client"))
        && delivered.is_some_and(|(ours, linux)| (ours - linux).abs() <= DELIVERY_GOAL)
}

/// What came of all flows, in a sentence; nothing where there are none.
pub(super) fn summary(all: &[&Comparison]) -> String {
    let flows: Vec<_> = all.iter().filter(|comparison| is_flow(comparison)).collect();
    if flows.is_empty() {
        return String::new();
    }
    format!(
        " Of {} flows of datagrams, {} have the same number refused and the same number of pieces sent, and a share that arrives within {:.0} \
         point of Linux's.",
        flows.len(),
        flows.iter().filter(|comparison| is_near(comparison)).count(),
        DELIVERY_GOAL * 100.0,
    )
}

/// The table of a group of flows.
pub(super) fn table(page: &mut String, comparisons: &[Comparison]) {
    page.push_str(
        "| datagrams | arrive | Linux | refused | Linux | pieces sent | Linux | packets of the server | Linux | |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    for comparison in comparisons {
        let of = |name: &str| comparison.row(name).map(Row::medians).unwrap_or_default();
        let share = |share: f64| format!("{:.1} %", share * 100.0);
        let (arrive, refused) = (of("delivered"), of("datagrams refused"));
        let (pieces, back) = (of("fragments of client"), of("packets of server"));
        let verdict = if is_near(comparison) { "" } else { "**differs**" };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {verdict} |",
            titled(comparison),
            share(arrive.0),
            share(arrive.1),
            refused.0,
            refused.1,
            pieces.0,
            pieces.1,
            back.0,
            back.1,
        );
    }
}
