//! ack-4: what ends the waiting of Nagle and delayed ACK for each other?

use super::{Claim, Evidence, ExperimentError, median, run, time};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "ack-4",
    text: "Nagle (hold a small segment while data is unacknowledged) and delayed ACK wait for each other: one stall per \
           exchange; TCP_NODELAY, a single write, or quick ACKs end it.",
    setting: "200 requests of 12 and 180 bytes in two writes, answers of 64 bytes, round trip 1 ms, Linux at both ends; as \
              it is and with one knob turned.",
    experiment,
};

const RPC: &str = "kind = \"request-response\"\nrequests = 200\nrequest = [12, 180]\nanswer = 64";
const PATH: &str = "path.delay=500us";

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let report = run(RPC, &[PATH])?;
    let stalls =
        report.workloads[0].exchanges.iter().filter(|time| **time > Duration::from_millis(20)).count();
    evidence.row("exchanges with a stall", "200 of 200", format!("{stalls} of 200"), stalls >= 190);
    for (name, knob) in [
        ("median exchange, client.nodelay", "client.nodelay=true"),
        ("median exchange, one write (client.coalesce_writes)", "client.coalesce_writes=true"),
        ("median exchange, quick ACKs (server.quickack=route)", "server.quickack=route"),
    ] {
        let measured = median(RPC, &[PATH, knob])?;
        // With quick ACKs alone Nagle still waits for the ACK: a second round trip.
        evidence.row(name, "1 to 2 round trips", time(measured), measured < Duration::from_micros(2_200));
    }
    evidence.because = format!(
        "As it is, the median exchange takes {}. The first exchanges do not stall: a Linux receiver acknowledges at once at a \
         connection's beginning (ack-7).",
        time(report.workloads[0].percentile(0.5).unwrap_or_default())
    );
    Ok(evidence)
}
