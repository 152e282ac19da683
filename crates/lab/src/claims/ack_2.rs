//! ack-2: what do delayed ACKs save on the return path?

use super::{Claim, Evidence, ExperimentError, percent, run};

pub(super) const CLAIM: Claim = Claim {
    id: "ack-2",
    text: "On bulk transfers this about halves the packets on the return path, and replies carry ACKs for free.",
    setting: "10 MB over 20 ms and 100 Mbit/s, and 200 requests that are answered at once; receiver with \
              ack_policy=immediate and =delayed.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let acks = |workload: &str, policy: &str| -> Result<u64, ExperimentError> {
        let policy = format!("server.ack_policy={policy}");
        let report =
            run(workload, &["path.delay=10ms", "path.rate=100Mbit/s", "client.nodelay=true", &policy])?;
        Ok(report.hosts[1].acks)
    };
    let bulk = "kind = \"bulk\"\nbytes = \"10MB\"";
    let (every, second) = (acks(bulk, "immediate")?, acks(bulk, "delayed")?);
    let share = second as f64 / every.max(1) as f64;
    evidence.row(
        "ACKs of a transfer, delayed against immediate",
        "about 50 %",
        format!("{} ({second} of {every})", percent(share)),
        (0.45..=0.6).contains(&share),
    );
    let rpc = "kind = \"request-response\"\nrequests = 200\nrequest = 100\nanswer = 500";
    let (every, free) = (acks(rpc, "immediate")?, acks(rpc, "delayed")?);
    evidence.row(
        "pure ACKs for 200 requests, delayed against immediate",
        "none against 200",
        format!("{free} against {every}"),
        free <= 4 && every >= 196,
    );
    Ok(evidence)
}
