//! size-9: does probing with real segments end a black hole?

use super::sizes::{DOWNLOAD, narrow, observe};
use super::{Claim, Evidence, ExperimentError, time};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "size-9",
    text: "Probing with real segments (RFC 4821 for TCP, RFC 8899 for datagrams) finds the size without ICMP and ends the stall.",
    setting: "A download of 300 KB at 20 ms whose way has a link of 1400 bytes between routers that say nothing, by the server's \
              mtu_probing, a minute each, and an upload; and datagrams of up to 1472 bytes, one every 50 ms, over the same routers, which are \
              acknowledged and search (probe timer 1 s).",
    experiment,
};

/// What real Linux hosts take, by captures of them.
const AS_LINUX: std::ops::RangeInclusive<Duration> = Duration::from_millis(3_500)..=Duration::from_secs(6);

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let silent = ["near.too_big=silent", "far.too_big=silent", "time_limit=60s", "server.mtu_probing=0"];
    let (report, _) = observe(&narrow(DOWNLOAD, &silent)?)?;
    let stuck = !report.completed() && report.workloads[0].bytes[1] == 0;
    let measured = if stuck { "nothing arrives" } else { "data arrives" };
    evidence.row("mtu_probing=0, none", "nothing arrives", measured, stuck);
    for (probing, name) in [("1", "after timeouts"), ("2", "always")] {
        let probing_key = format!("server.mtu_probing={probing}");
        let (report, [client, _]) = observe(&narrow(DOWNLOAD, &[&silent[..], &[&probing_key]].concat())?)?;
        let took = report.workloads[0].duration;
        let found = client.largest_arrived;
        evidence.row(
            format!("mtu_probing={probing}, {name}: largest packet"),
            "1400 bytes less a few",
            format!("{found} bytes"),
            (1_384..=1_400).contains(&found),
        );
        evidence.row(
            format!("mtu_probing={probing}: the download takes"),
            "3.5 to 6 s, as with Linux",
            time(took),
            report.completed() && AS_LINUX.contains(&took),
        );
    }
    let upload = "kind = \"bulk\"\nbytes = \"300KB\"";
    let (report, [_, server]) =
        observe(&narrow(upload, &[&silent[..], &["client.mtu_probing=2"]].concat())?)?;
    let took = report.workloads[0].duration;
    evidence.row(
        "mtu_probing=2 of a client that uploads: it takes",
        "under 1 s: no stall",
        time(took),
        report.completed() && took < Duration::from_secs(1) && server.largest_arrived > 1_052,
    );
    datagrams(&mut evidence, &silent)?;
    evidence.because = "Most of that time is the stall: as with Linux, the fourth retransmission timeout is the first one \
                        that makes segments smaller. mtu_probing=2 saves nothing where the server sends: whoever accepts a \
                        connection sends full-sized segments from its beginning, and only who opens it begins with \
                        base_mss. The search ends when what is left to find is less than 8 bytes."
        .to_owned();
    Ok(evidence)
}

/// RFC 8899 for datagrams: they find the size, and none but probes is lost.
fn datagrams(evidence: &mut Evidence, silent: &[&str]) -> Result<(), ExperimentError> {
    let workload = "kind = \"datagrams\"\ndatagrams = 1000\nsize = 1472\ninterval = \"50ms\"";
    let with = |more: &[&str]| narrow(workload, &[silent, &["client.pmtu_discovery=probe"], more].concat());
    let (report, _) = observe(&with(&[])?)?;
    let lost = report.workloads[0].datagrams.unwrap_or_default();
    evidence.row(
        "datagrams of 1472 bytes that do not search: arrive",
        "none",
        format!("{} of {}", lost.received, lost.sent),
        lost.sent > 0 && lost.received == 0,
    );
    let (report, _) = observe(&with(&["w.search={ probe_timer = \"1s\" }"])?)?;
    let found = report.workloads[0].datagrams.unwrap_or_default();
    let search = found.search.ok_or(ExperimentError::Nothing("a search"))?;
    evidence.row(
        "that search: largest packet",
        "1400 bytes less a few",
        format!("{} bytes", search.size),
        search.complete && (1_393..=1_400).contains(&search.size),
    );
    evidence.row(
        "that search: arrive, probes not counted",
        "all",
        format!("{} of {}", found.received, found.sent),
        found.sent == 1_000 && found.received == found.sent,
    );
    Ok(())
}
