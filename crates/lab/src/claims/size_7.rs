//! size-7: what does classic path MTU discovery cost, and what does it give?

use super::sizes::{DOWNLOAD, narrow, observe, routers};
use super::{Claim, Evidence, ExperimentError, time};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "size-7",
    text: "Classic path MTU discovery finds the narrowest link within one round trip per narrowing; afterwards nothing is fragmented \
           or dropped for size; the knowledge ages.",
    setting: "A download of 300 KB at 20 ms whose way narrows once (1400 or 1300) and twice (1400, then 1300), from a server that does not \
              know, beside one whose segments fit from the beginning; then a second download after 1 s and after 11 minutes.",
    experiment,
};

const ROUND_TRIP: Duration = Duration::from_millis(20);
/// The packets of the first flight (RFC 6928).
const FLIGHT: u64 = 10;

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (name, narrowings, fits, set) in [
        ("narrowing near the server", 1u32, 1_400, &[][..]),
        ("narrowing far from it", 1, 1_300, &["middle.mtu=1500", "lan.backward.mtu=1300"]),
        ("two narrowings", 2, 1_300, &["lan.backward.mtu=1300"]),
    ] {
        let (found, [client, _]) = observe(&narrow(DOWNLOAD, set)?)?;
        let fitting = format!("client.advmss={}", fits - 40);
        let (known, _) = observe(&narrow(DOWNLOAD, &[set, &[&fitting]].concat())?)?;
        let cost = found.workloads[0].duration.saturating_sub(known.workloads[0].duration);
        evidence.row(
            format!("{name}: largest packet that arrives"),
            format!("{fits} bytes"),
            format!("{} bytes", client.largest_arrived),
            found.completed() && client.largest_arrived == fits,
        );
        evidence.row(
            format!("{name}: extra time"),
            format!("at most {}", time(ROUND_TRIP * narrowings)),
            time(cost),
            cost <= ROUND_TRIP * narrowings,
        );
        let (dropped, told, _) = routers(&found);
        evidence.row(
            format!("{name}: dropped for their size, messages"),
            format!("at most {}, as many", FLIGHT * u64::from(narrowings)),
            format!("{dropped}, {told}"),
            dropped == told && dropped <= FLIGHT * u64::from(narrowings),
        );
    }
    for (pause, expected) in [("1s", false), ("11min", true)] {
        let twice = format!("{DOWNLOAD}\nconnections = 2\nevery = \"{pause}\"");
        let (both, _) = observe(&narrow(&twice, &[])?)?;
        let (one, _) = observe(&narrow(DOWNLOAD, &[])?)?;
        let again = routers(&both).0.saturating_sub(routers(&one).0);
        evidence.row(
            format!("dropped of a second connection {pause} later"),
            if expected { "some: 10 minutes have passed" } else { "0: remembered" },
            again.to_string(),
            (again > 0) == expected,
        );
    }
    Ok(evidence)
}
