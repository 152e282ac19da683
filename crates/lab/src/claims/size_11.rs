//! size-11: how much do tunnels take, and what if nobody minds?

use super::sizes::{DOWNLOAD, narrow, observe, routers};
use super::{Claim, Evidence, ExperimentError, percent};

pub(super) const CLAIM: Claim = Claim {
    id: "size-11",
    text: "Tunnels (IPsec ESP, GRE, VXLAN, WireGuard) shrink what fits inside; unclamped they fragment or black-hole.",
    setting: "A download of 300 KB through each tunnel over a link of 1500 bytes, whose gateways tell the sender what fits, say \
              nothing (a minute), or cut packets without DF.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (tunnel, fits) in [("gre", 1_476), ("vxlan", 1_450), ("wireguard", 1_440), ("esp", 1_446)] {
        let tunnel_key = format!("middle.tunnel={tunnel}");
        let told = ["middle.mtu=1500", &tunnel_key, "time_limit=60s"];
        let (report, [client, _]) = observe(&narrow(DOWNLOAD, &told)?)?;
        evidence.row(
            format!("{tunnel}, the gateways tell: largest packet that comes out"),
            format!("{fits} bytes"),
            format!("{} bytes", client.largest_arrived),
            report.completed() && client.largest_arrived == fits,
        );
        let silent = [&told[..], &["near.too_big=silent", "far.too_big=silent"]].concat();
        let (report, _) = observe(&narrow(DOWNLOAD, &silent)?)?;
        let stuck = !report.completed() && report.workloads[0].bytes[1] == 0;
        let measured = if stuck { "nothing arrives" } else { "data arrives" };
        evidence.row(format!("{tunnel}, they say nothing"), "nothing arrives", measured, stuck);
        let cutting = ["far.too_big=fragment", "server.pmtu_discovery=dont"];
        let (report, _) = observe(&narrow(DOWNLOAD, &[&told[..], &cutting].concat())?)?;
        let (.., cut) = routers(&report);
        let share = cut as f64 / report.hosts[1].data_packets as f64;
        evidence.row(
            format!("{tunnel}, no DF and they cut: data packets in pieces"),
            "nearly all",
            percent(share),
            report.completed() && share > 0.9,
        );
    }
    Ok(evidence)
}
