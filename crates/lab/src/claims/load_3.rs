//! load-3: from which size on do bytes cost more than round trips?

use super::{Claim, Evidence, ExperimentError, percent, scenario};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "load-3",
    text: "Round trips cost more than bytes until the bytes fill the path: the crossing point depends on RTT, rate and window, \
           and can be computed.",
    setting: "On a connection that has just carried 8 MB: the size of an answer, found by halving, whose bytes take as long as \
              a round trip, beside rate x round trip. On a fresh connection: the largest answer that comes within the \
              round trip, beside initcwnd x 1448 bytes.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (rate, bits, delay_ms) in
        [("10Mbit/s", 10e6, 10u64), ("10Mbit/s", 10e6, 50), ("100Mbit/s", 100e6, 10)]
    {
        let round_trip = Duration::from_millis(2 * delay_ms);
        let exchange = |bytes: u64| warm(bytes, rate, delay_ms);
        let measured = largest_within(round_trip * 2, &exchange)? as f64;
        let computed = bits / 8.0 * round_trip.as_secs_f64();
        let off = measured / computed - 1.0;
        evidence.row(
            format!("crossing at {rate} and {} ms", 2 * delay_ms),
            format!("{:.0} KB", computed / 1e3),
            format!("{:.1} KB ({}{})", measured / 1e3, if off < 0.0 { "" } else { "+" }, percent(off)),
            off.abs() < 0.1,
        );
    }
    for window in [4u64, 10, 30] {
        let exchange = |bytes: u64| fresh(bytes, window);
        let measured = largest_within(Duration::from_millis(30), &exchange)?;
        let computed = window * 1_448;
        evidence.row(
            format!("the first window, initcwnd={window}"),
            format!("{computed} bytes"),
            format!("{measured} bytes"),
            measured == computed,
        );
    }
    evidence.because = "Headers take 3.5 % of the rate, which the computed sizes leave out.".to_owned();
    Ok(evidence)
}

/// The largest answer that is there within `limit`.
fn largest_within(
    limit: Duration,
    exchange: &dyn Fn(u64) -> Result<Duration, ExperimentError>,
) -> Result<u64, ExperimentError> {
    let (mut fits, mut too_large) = (1u64, 1 << 20);
    while too_large - fits > 1 {
        let middle = fits + (too_large - fits) / 2;
        if exchange(middle)? <= limit {
            fits = middle;
        } else {
            too_large = middle;
        }
    }
    Ok(fits)
}

/// An exchange on a connection whose window is open.
fn warm(bytes: u64, rate: &str, delay_ms: u64) -> Result<Duration, ExperimentError> {
    const BEFORE: u64 = 8_000_000;
    let workload = format!(
        "kind = \"conversation\"\nturns = [\n\
         {{ side = \"client\", after = \"connected\", writes = [100] }},\n\
         {{ side = \"server\", after = {{ received = 100 }}, writes = [{BEFORE}] }},\n\
         {{ side = \"client\", after = {{ received = {BEFORE} }}, writes = [100] }},\n\
         {{ side = \"server\", after = {{ received = 200 }}, writes = [{bytes}] }},\n]"
    );
    let (rate, delay) = (format!("path.rate={rate}"), format!("path.delay={delay_ms}ms"));
    let report = scenario(&workload, &[&rate, &delay, "path.queue_bytes=10MB"])?.run()?;
    // Sorted: the second exchange is the shorter one.
    report.workloads[0].exchanges.first().copied().ok_or(ExperimentError::Nothing("an exchange"))
}

/// An exchange on a new connection at 20 ms on a path without a limit of rate.
fn fresh(bytes: u64, window: u64) -> Result<Duration, ExperimentError> {
    let workload = format!("kind = \"request-response\"\nrequest = 100\nanswer = {bytes}");
    let window = format!("server.initcwnd={window}");
    let report = scenario(&workload, &["path.delay=10ms", "server.nodelay=true", &window])?.run()?;
    report.workloads[0].exchanges.first().copied().ok_or(ExperimentError::Nothing("an exchange"))
}
