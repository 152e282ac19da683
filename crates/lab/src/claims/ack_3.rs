//! ack-3: can a small exchange wait for the ACK timer?

use super::{Claim, Evidence, ExperimentError, median, time};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "ack-3",
    text: "Small request-response exchanges can wait for that timer: tens of milliseconds although the round trip is short.",
    setting: "200 requests of 12 and 180 bytes in two writes, answers of 64 bytes, round trip 1 ms, Linux at both ends; \
              beside them the same in one write.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let exchange = |request: &str| {
        let workload =
            format!("kind = \"request-response\"\nrequests = 200\nrequest = {request}\nanswer = 64");
        median(&workload, &["path.delay=500us"])
    };
    let (slow, fast) = (exchange("[12, 180]")?, exchange("192")?);
    evidence.row("median exchange, two writes", "tens of ms", time(slow), slow >= Duration::from_millis(20));
    evidence.row(
        "median exchange, one write",
        "the round trip, 1 ms",
        time(fast),
        fast < Duration::from_micros(1_100),
    );
    Ok(evidence)
}
