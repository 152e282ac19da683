//! size-8: what is a path MTU black hole like?

use super::sizes::{DOWNLOAD, narrow, observe};
use super::{Claim, Evidence, ExperimentError};

pub(super) const CLAIM: Claim = Claim {
    id: "size-8",
    text: "Where ICMP is filtered, small packets pass and large ones vanish: the connection opens, then stalls (black hole).",
    setting: "A way with a link of 1400 bytes between routers that say nothing: 20 requests with answers of 1000 bytes, then a \
              download of 300 KB, a minute each.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let silent = ["near.too_big=silent", "far.too_big=silent", "time_limit=60s"];
    let small = "kind = \"request-response\"\nrequests = 20\nrequest = 100\nanswer = 1000";
    let (report, _) = observe(&narrow(small, &silent)?)?;
    let done = report.workloads[0].exchanges.len();
    evidence.row("small answers that arrived", "20 of 20", format!("{done} of 20"), done == 20);
    let (report, [_, server]) = observe(&narrow(DOWNLOAD, &silent)?)?;
    // A server sends data once the handshake is over.
    let opened = server.largest_payload > 0;
    evidence.row(
        "the download's connection",
        "opens",
        if opened { "opens" } else { "does not open" },
        opened,
    );
    let arrived = report.workloads[0].bytes[1];
    evidence.row("bytes of it that arrived", "0", arrived.to_string(), arrived == 0);
    let timeouts = report.hosts[1].timeouts;
    evidence.row("the server's retransmission timeouts", "some", timeouts.to_string(), timeouts > 1);
    Ok(evidence)
}
