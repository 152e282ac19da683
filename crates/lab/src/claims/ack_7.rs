//! ack-7: does an adaptive receiver show when it changes its mind?

use super::{Claim, Evidence, ExperimentError, observe, scenario, time};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "ack-7",
    text: "Adaptive receivers acknowledge quickly at the start and when they see interaction; one can see the mode switch in \
           a trace.",
    setting: "60 requests of 12 and 180 bytes in two writes, answers of 64 bytes, round trip 1 ms, Linux at both ends; how long \
              the server takes to acknowledge the first piece of each request.",
    experiment,
};

const FIRST_PIECE: u32 = 12;

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let rpc = "kind = \"request-response\"\nrequests = 60\nrequest = [12, 180]\nanswer = 64";
    let answered = observe::at_server(&scenario(rpc, &["path.delay=500us"])?)?;
    let pieces: Vec<Duration> =
        answered.iter().filter(|a| a.payload == FIRST_PIECE).map(|a| a.after).collect();
    let quick = |delay: &Duration| *delay < Duration::from_millis(2);
    let first = *pieces.first().ok_or(ExperimentError::Nothing("a pure ACK"))?;
    evidence.row("delay of the first ACK", "at once", time(first), quick(&first));
    let switch = pieces.iter().position(|delay| !quick(delay));
    let later: Vec<Duration> = switch.map_or(Vec::new(), |at| pieces[at..].to_vec());
    let stays = !later.is_empty() && later.iter().all(|delay| !quick(delay));
    evidence.row(
        "the switch in the trace",
        "one can see it",
        switch.map_or("none".to_owned(), |at| format!("after ACK {at}, and it stays")),
        stays,
    );
    let interactive = later.iter().max().copied().unwrap_or(first);
    evidence.row(
        "delay of an ACK once there is interaction",
        "at once",
        time(interactive),
        quick(&interactive),
    );
    evidence.because = "Linux reads interaction the other way round: once it has answered, it takes the next answer to be near \
                        and delays the ACK so that the answer can carry it (\"pingpong\" mode). It acknowledges at once at the \
                        start, and again after a gap or a long silence. Real Linux hosts on the same links do the same (narrows \
                        lab compare slow-rpc)."
        .to_owned();
    Ok(evidence)
}
