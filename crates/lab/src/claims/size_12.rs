//! size-12: does clamping on the way repair both ends?

use super::sizes::{narrow, observe, routers};
use super::{Claim, Evidence, ExperimentError, time};

pub(super) const CLAIM: Claim = Claim {
    id: "size-12",
    text: "MSS clamping on the way repairs both ends without their knowledge.",
    setting: "200 KB each way over a link of 1400 bytes between routers that say nothing, without and with one of them clamping the MSS to what fits (a minute).",
    experiment,
};

const BOTH_WAYS: &str = "kind = \"request-response\"\nrequest = 200000\nanswer = 200000";

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let silent = ["near.too_big=silent", "far.too_big=silent", "time_limit=60s"];
    let (without, _) = observe(&narrow(BOTH_WAYS, &silent)?)?;
    let stuck = !without.completed();
    evidence.row("without the clamp", "does not end", if stuck { "does not end" } else { "ends" }, stuck);
    let (report, [client, server]) =
        observe(&narrow(BOTH_WAYS, &[&silent[..], &["near.clamp_mss=path"]].concat())?)?;
    let fitting = ["client.advmss=1360", "server.advmss=1360"];
    let (known, _) = observe(&narrow(BOTH_WAYS, &[&silent[..], &fitting].concat())?)?;
    let (took, beside) = (report.workloads[0].duration, known.workloads[0].duration);
    evidence.row(
        "with it",
        format!("{}, as if both announced what fits", time(beside)),
        time(took),
        report.completed() && known.completed() && took.abs_diff(beside) * 20 <= beside,
    );
    evidence.row(
        "announced by client and server",
        "1460 each: they know nothing",
        format!("{}, {}", client.announced_mss.unwrap_or(0), server.announced_mss.unwrap_or(0)),
        client.announced_mss == Some(1_460) && server.announced_mss == Some(1_460),
    );
    let payloads = (client.largest_payload, server.largest_payload);
    evidence.row(
        "largest payload each way",
        "1348, 1348",
        format!("{}, {}", payloads.0, payloads.1),
        payloads == (1_348, 1_348),
    );
    let (dropped, ..) = routers(&report);
    evidence.row("packets dropped for their size", "0", dropped.to_string(), dropped == 0);
    Ok(evidence)
}
