//! size-2: what does the loss of one fragment cost?

use super::sizes::{narrow, routers};
use super::{Claim, Evidence, ExperimentError};
use narrows_stack::Counter;

pub(super) const CLAIM: Claim = Claim {
    id: "size-2",
    text: "A datagram of n fragments is lost with probability 1-(1-p)^n: one lost fragment wastes all of it.",
    setting: "A download of 20 MB without DF over a link that loses 1 % of all packets at random, behind a router that cuts: of the \
              IP datagrams that it cut (each one TCP segment), those that the client could not put together.",
    experiment,
};

const LOSS: f64 = 0.01;
const DOWNLOAD: &str = "kind = \"bulk\"\nbytes = \"20MB\"\ndirection = \"download\"";

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (pieces, mtu) in [(2, 1_000), (4, 400), (8, 220)] {
        let mtu = format!("middle.mtu={mtu}");
        let set = [&mtu, "far.too_big=fragment", "server.pmtu_discovery=dont", "middle.backward.loss=0.01"];
        let mut world = narrow(DOWNLOAD, &set)?.build()?;
        let report = world.run();
        let client = world.node("client").and_then(|client| world.world.host(client));
        let client = client.ok_or(ExperimentError::Nothing("a client"))?;
        let (.., cut) = routers(&report);
        let whole = client.counters().get(Counter::Reassembled);
        let lost = 1.0 - whole as f64 / cut.max(1) as f64;
        let expected = 1.0 - (1.0 - LOSS).powi(pieces);
        evidence.row(
            format!("datagrams of {pieces} fragments lost"),
            format!("{:.2} %", expected * 100.0),
            format!("{:.2} %", lost * 100.0),
            report.completed() && (lost / expected - 1.0).abs() < 0.1,
        );
    }
    Ok(evidence)
}
