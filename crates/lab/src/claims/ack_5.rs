//! ack-5: do fewer ACKs slow a connection's start?

use super::{Claim, Evidence, ExperimentError, run};

pub(super) const CLAIM: Claim = Claim {
    id: "ack-5",
    text: "In slow start fewer ACKs mean slower growth; byte counting takes most of that away; long flows do not notice.",
    setting: "28 KB (which fit the receiver's first window, from a sender that begins with two segments), 300 KB and 50 MB over 100 ms and \
              50 Mbit/s, to a receiver that acknowledges \
              every segment and one that acknowledges every second. The sender counts the bytes that ACKs cover.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let transfer = |bytes: &str, policy: &str, more: &[&str]| -> Result<(f64, u64), ExperimentError> {
        let workload = format!("kind = \"bulk\"\nbytes = \"{bytes}\"");
        let policy = format!("server.ack_policy={policy}");
        let mut set = vec!["path.delay=50ms", "path.rate=50Mbit/s", "path.queue_bytes=1MB", &policy];
        set.extend(more);
        let report = run(&workload, &set)?;
        Ok((report.workloads[0].duration.as_secs_f64(), report.hosts[1].acks))
    };
    // This buffer's whole window is open from the start: no ACK leaves only to say that it has grown.
    let fixed: &[&str] = &["server.rcvbuf=65536", "client.initcwnd=2"];
    let (every, second) = (transfer("28KB", "immediate", fixed)?, transfer("28KB", "delayed", fixed)?);
    let share = second.1 as f64 / every.1.max(1) as f64;
    let acks = format!("{} of {}", second.1, every.1);
    evidence.row("ACKs for 28 KB", "about half", acks, (0.45..0.65).contains(&share));
    let slower = second.0 / every.0 - 1.0;
    evidence.row(
        "28 KB, slower with every second ACK",
        "a little: up to 15 %",
        format!("{:+.1} %", slower * 100.0),
        (0.0005..0.15).contains(&slower),
    );
    let as_shipped: &[&str] = &[];
    let (every, second) =
        (transfer("300KB", "immediate", as_shipped)?, transfer("300KB", "delayed", as_shipped)?);
    let share = second.1 as f64 / every.1.max(1) as f64;
    let acks = format!("{} of {}", second.1, every.1);
    evidence.row("ACKs for 300 KB, window as shipped", "about half", acks, (0.45..0.65).contains(&share));
    let eighth = transfer("300KB", "delayed", &["server.ack_segments=8"])?;
    let slower = eighth.0 / second.0 - 1.0;
    evidence.row(
        "300 KB, every eighth ACK against every second",
        "slower",
        format!("{:+.1} %", slower * 100.0),
        slower > 0.0005,
    );
    let (every, second) = (transfer("50MB", "immediate", &[])?, transfer("50MB", "delayed", &[])?);
    let slower = second.0 / every.0 - 1.0;
    evidence.row(
        "50 MB, slower with every second ACK",
        "not noticed: within 2 %",
        format!("{:+.1} %", slower * 100.0),
        slower.abs() < 0.02,
    );
    evidence.because = "A receiver that follows RFC 1122 lets its window grow on the ACKs that it sends anyway, so their number is \
                        halved from the start, and the sender counts the bytes that they cover. How slow growth would be without \
                        byte counting is not measured: the stack has no such sender."
        .to_owned();
    Ok(evidence)
}
