//! size-13: where loss grows with size, what does a smaller segment carry?

use super::{Claim, Evidence, ExperimentError, run, time};
use crate::scenario::RunReport;
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "size-13",
    text: "On links whose loss grows with packet size, a smaller, adaptive segment carries more than the largest possible.",
    setting: "An upload at 20 Mbit/s and 20 ms where single bits break on the way (bit_error_rate), with full segments, with smaller ones \
              of a fixed size (the best of 1000, 536 and 268 bytes), and with adaptive_mss=true, which begins with full ones; with \
              congestion control that heeds loss and with one that does not; and where loss does not grow with size.",
    experiment,
};

const PATH: [&str; 5] = [
    "path.delay=10ms",
    "path.rate=20Mbit/s",
    "path.queue_bytes=1MB",
    "time_limit=60min",
    "client.timestamps=true",
];

fn upload(bytes: &str, set: &[&str]) -> Result<(Duration, RunReport), ExperimentError> {
    let workload = format!("kind = \"bulk\"\nbytes = \"{bytes}\"");
    let report = run(&workload, &[&PATH[..], set].concat())?;
    let took = report.workloads[0].duration;
    if report.completed() {
        Ok((took, report))
    } else {
        Err(ExperimentError::Nothing("a transfer that ends"))
    }
}

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (control, rate) in [("bbr", "2e-5"), ("bbr", "5e-5"), ("cubic", "2e-5"), ("cubic", "5e-5")] {
        let control_set = format!("client.congestion_control={control}");
        let rate_set = format!("path.forward.bit_error_rate={rate}");
        let with = |knob: &str| Ok::<_, ExperimentError>(upload("5MB", &[&control_set, &rate_set, knob])?.0);
        let full = with("client.mss=0")?;
        let fixed = ["client.mss=1000", "client.mss=536", "client.mss=268"].map(with);
        let fixed = fixed.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().min().unwrap_or_default();
        let adaptive = with("client.adaptive_mss=true")?;
        let heading = format!("{control}, bit_error_rate={rate}");
        let less = format!("less than {}, full segments", time(full));
        evidence.row(format!("{heading}: smaller segments take"), less.clone(), time(fixed), fixed < full);
        evidence.row(format!("{heading}: adaptive ones take"), less, time(adaptive), adaptive < full);
    }
    for (heading, set) in [
        ("nothing is lost", "path.forward.loss=0"),
        ("1 % of all packets is lost, whatever their size", "path.forward.loss=0.01"),
        ("few bits break (1e-6)", "path.forward.bit_error_rate=1e-6"),
        ("a queue of 20 KB overflows", "path.queue_bytes=20KB"),
    ] {
        let (full, before) = upload("5MB", &[set])?;
        let (adaptive, after) = upload("5MB", &[set, "client.adaptive_mss=true"])?;
        let same = before.packet_hash == after.packet_hash;
        let measured = if same {
            "the same packets".to_owned()
        } else {
            format!("{} for {}", time(adaptive), time(full))
        };
        evidence.row(format!("{heading}: adaptive ones change"), "nothing", measured, same);
    }
    evidence.because = "How small is best depends on congestion control: what heeds loss (CUBIC) carries more with full segments as long as loss \
                        mostly shrinks windows (up to about 1e-5 here), and less once losses are themselves lost; what does not (BBR) is \
                        better off with smaller ones earlier, and far better above one loss in five, which it takes for a policer."
        .to_owned();
    Ok(evidence)
}
