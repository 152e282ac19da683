//! size-6: whose MSS counts for whom?

use super::sizes::observe;
use super::{Claim, Evidence, ExperimentError, scenario};

pub(super) const CLAIM: Claim = Claim {
    id: "size-6",
    text: "MSS is announced in the SYN, each direction for itself, and the sender never exceeds what the receiver asked for.",
    setting: "100 KB each way, where the client's route has advmss 1000: the largest payload of each side.",
    experiment,
};

const BOTH_WAYS: &str = "kind = \"request-response\"\nrequest = 100000\nanswer = 100000";

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let (_, [client, server]) = observe(&scenario(BOTH_WAYS, &["path.delay=1ms", "client.advmss=1000"])?)?;
    let announced = (client.announced_mss.unwrap_or(0), server.announced_mss.unwrap_or(0));
    evidence.row(
        "announced by client and server",
        "1000, 1460",
        format!("{}, {}", announced.0, announced.1),
        announced == (1_000, 1_460),
    );
    evidence.row(
        "largest payload of the server",
        "988 bytes",
        format!("{} bytes", server.largest_payload),
        server.largest_payload == 988,
    );
    evidence.row(
        "largest payload of the client",
        "1448 bytes",
        format!("{} bytes", client.largest_payload),
        client.largest_payload == 1_448,
    );
    Ok(evidence)
}
