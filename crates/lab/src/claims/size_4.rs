//! size-4: what do small packets cost?

use super::{Claim, Evidence, ExperimentError, run};

pub(super) const CLAIM: Claim = Claim {
    id: "size-4",
    text: "Too small a packet wastes headers and packets: goodput = payload / (payload + headers), packets/s = rate / size.",
    setting: "An upload of 1 MB over 10 Mbit/s and 2 ms, in segments of several sizes.",
    experiment,
};

const BYTES: f64 = 1e6;
/// IPv4 and TCP with timestamps.
const HEADERS: f64 = 52.0;
const RATE: f64 = 10e6;

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for mss in [112u32, 262, 536, 1_460] {
        let payload = f64::from(mss - 12);
        let mss = format!("client.mss={mss}");
        let set = ["path.delay=1ms", "path.rate=10Mbit/s", &mss];
        let report = run("kind = \"bulk\"\nbytes = \"1MB\"", &set)?;
        let seconds = report.workloads[0].duration.as_secs_f64();
        let goodput = BYTES * 8.0 / seconds;
        let expected = RATE * payload / (payload + HEADERS);
        evidence.row(
            format!("goodput, segments of {payload} bytes"),
            format!("{:.2} Mbit/s", expected / 1e6),
            format!("{:.2} Mbit/s", goodput / 1e6),
            (goodput / expected - 1.0).abs() < 0.03,
        );
        let packets = report.hosts[0].data_packets as f64 / seconds;
        let expected = RATE / 8.0 / (payload + HEADERS);
        evidence.row(
            format!("packets/s, segments of {payload} bytes"),
            format!("{expected:.0}"),
            format!("{packets:.0}"),
            (packets / expected - 1.0).abs() < 0.03,
        );
    }
    Ok(evidence)
}
