//! ack-1: when does a receiver acknowledge?

use super::{Claim, Evidence, ExperimentError, observe, run, scenario, time};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "ack-1",
    text: "A receiver acknowledges every second full-sized segment, or when its timer (40-200 ms by system) ends; \
           out-of-order data at once.",
    setting: "1 MB and 30 MB over 20 ms and 100 Mbit/s to a receiver that delays ACKs as RFC 1122 has it (FreeBSD) and to Linux; then 50 requests in two pieces, of which the \
              first one comes alone, to each system's receiver; then the 30 MB again, of which one packet is lost.",
    experiment,
};

/// Nagle holds the second piece back, so that the first one comes alone.
const PIECES: &str = "kind = \"request-response\"\nrequests = 50\nrequest = [12, 180]\nanswer = 64";
const BULK: &str = "kind = \"bulk\"\nbytes = \"30MB\"";

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (system, name) in [("freebsd", "FreeBSD"), ("linux", "Linux")] {
        for bytes in ["1MB", "30MB"] {
            let size = format!("w.bytes={bytes}");
            let profile = format!("server.profile={system}");
            let report = run(BULK, &["path.delay=10ms", "path.rate=100Mbit/s", &profile, &size])?;
            let per_ack = report.hosts[0].data_packets as f64 / report.hosts[1].acks.max(1) as f64;
            let holds = (1.9..=2.1).contains(&per_ack);
            let what = format!("full-sized segments per ACK, {name}, {bytes}");
            evidence.row(what, "2", format!("{per_ack:.2}"), holds);
        }
    }
    for (system, name) in
        [("linux", "Linux"), ("freebsd", "FreeBSD"), ("windows", "Windows"), ("macos", "macOS")]
    {
        let profile = format!("server.profile={system}");
        let answered = observe::at_server(&scenario(PIECES, &["path.delay=500us", &profile])?)?;
        let longest = answered.iter().map(|answer| answer.after).max().unwrap_or_default();
        evidence.row(
            format!("timer for a lone segment, {name}"),
            "40 to 200 ms",
            time(longest),
            (Duration::from_millis(36)..=Duration::from_millis(204)).contains(&longest),
        );
    }
    let lossy = scenario(
        BULK,
        &["path.delay=10ms", "path.rate=100Mbit/s", "server.profile=freebsd", "path.forward.loss=[100]"],
    )?;
    let answered = observe::at_server(&lossy)?;
    let late = answered.iter().filter(|answer| answer.out_of_order).map(|answer| answer.after).max();
    let late = late.ok_or(ExperimentError::Nothing("a segment out of order"))?;
    evidence.row("ACK after out-of-order data", "at once", time(late), late < Duration::from_micros(1));
    evidence.because = "Linux acknowledges nearly every segment while its receive window is being opened, to say so, and a \
                        pushed one as soon as it has been read: the longer a transfer, the nearer to two. Real Linux hosts on \
                        the same links do the same, within 2 % of the packets (narrows lab compare). Systems that follow RFC \
                        1122 acknowledge every second one from the start. The timers and the ACK at once are as claimed."
        .to_owned();
    Ok(evidence)
}
