//! ack-6: where does the delayed ACK matter most?

use super::{Claim, Evidence, ExperimentError, median, run, time};

pub(super) const CLAIM: Claim = Claim {
    id: "ack-6",
    text: "The delay matters most where it is large against the round trip (datacentre) or is paid many times (chatty \
           protocols over long paths).",
    setting: "100 requests of 12 and 180 bytes in two writes, answers of 64 bytes, Linux at both ends, with and without \
              client.nodelay, at round trips from 0.2 ms to 200 ms.",
    experiment,
};

const RPC: &str = "kind = \"request-response\"\nrequests = 100\nrequest = [12, 180]\nanswer = 64";

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let mut before = f64::INFINITY;
    for (round_trip, delay) in
        [("0.2 ms", "100us"), ("1 ms", "500us"), ("10 ms", "5ms"), ("50 ms", "25ms"), ("200 ms", "100ms")]
    {
        let delay = format!("path.delay={delay}");
        let (slow, fast) = (median(RPC, &[&delay])?, median(RPC, &[&delay, "client.nodelay=true"])?);
        let factor = slow.as_secs_f64() / fast.as_secs_f64();
        let claimed = if before.is_infinite() { "the largest factor" } else { "less than before" };
        let measured = format!("{factor:.1} times ({} against {})", time(slow), time(fast));
        evidence.row(format!("slower at {round_trip}"), claimed, measured, factor <= before);
        before = factor;
    }
    let chatty = |knob: &[&str]| -> Result<_, ExperimentError> {
        let set: Vec<&str> = ["path.delay=30ms"].iter().chain(knob).copied().collect();
        Ok(run(RPC, &set)?.workloads[0].duration)
    };
    let lost = chatty(&[])?.saturating_sub(chatty(&["client.nodelay=true"])?);
    evidence.row("100 exchanges at 60 ms lose", "seconds", time(lost), lost.as_secs_f64() >= 2.0);
    Ok(evidence)
}
