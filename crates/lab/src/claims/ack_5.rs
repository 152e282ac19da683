//! ack-5: do fewer ACKs slow a connection's start?

use super::{Claim, Evidence, ExperimentError, run};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "ack-5",
    text: "In slow start fewer ACKs mean slower growth; byte counting takes most of that away; long flows do not notice.",
    setting: "300 KB and 50 MB over 100 ms and 50 Mbit/s, to a receiver that acknowledges every segment, every second and \
              every eighth. The sender counts the bytes that ACKs cover, as all current systems do.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let duration = |bytes: &str, segments: u32| -> Result<Duration, ExperimentError> {
        let workload = format!("kind = \"bulk\"\nbytes = \"{bytes}\"");
        let segments = format!("server.ack_segments={segments}");
        let set = [
            "path.delay=50ms",
            "path.rate=50Mbit/s",
            "path.queue_bytes=1MB",
            "server.ack_policy=delayed",
            "server.ack_delay_max=200ms",
            &segments,
        ];
        Ok(run(&workload, &set)?.workloads[0].duration)
    };
    let slower = |bytes: &str, segments: u32| -> Result<f64, ExperimentError> {
        Ok(duration(bytes, segments)?.as_secs_f64() / duration(bytes, 1)?.as_secs_f64() - 1.0)
    };
    let (second, eighth, long) = (slower("300KB", 2)?, slower("300KB", 8)?, slower("50MB", 2)?);
    let signed = |share: f64| format!("{:+.1} %", share * 100.0);
    evidence.row(
        "300 KB, ACK for every second segment",
        "most is taken away: under +15 %",
        signed(second),
        second < 0.15,
    );
    evidence.row(
        "300 KB, ACK for every eighth segment",
        "slower than every second",
        signed(eighth),
        eighth > second,
    );
    evidence.row(
        "50 MB, ACK for every second segment",
        "not noticed: within 2 %",
        signed(long),
        long.abs() < 0.02,
    );
    evidence.because = "How slow growth would be without byte counting is not measured: the stack has no such sender, and no \
                        current system does."
        .to_owned();
    Ok(evidence)
}
