//! What is a handshake without memory worth to the connections of a scenario?

use narrows_lab::scenario::{RunReport, Scenario};

fn run(server: &str, client: &str) -> RunReport {
    let toml = format!(
        "[host.client]\n{client}\n[host.server]\n{server}\n[link.path]\nbetween = [\"client\", \"server\"]\n\
         rate = \"100Mbit/s\"\ndelay = \"50ms\"\n\
         [workload.bulk]\nkind = \"bulk\"\nbytes = 3000000\ndirection = \"upload\"\n"
    );
    let report = Scenario::from_toml("test.toml", &toml).expect("a scenario").run().expect("a run");
    assert!(report.completed(), "{report:#?}");
    assert!(report.workloads.iter().all(|workload| !workload.corrupted));
    report
}

const ALWAYS: &str = "knobs.tcp_syncookies = \"2\"";

#[test]
fn with_timestamps_a_cookie_costs_an_upload_nothing() {
    let (usual, cookie) = (run("", ""), run(ALWAYS, ""));
    let difference = cookie.workloads[0].duration.as_secs_f64() / usual.workloads[0].duration.as_secs_f64();
    assert!((0.99..1.01).contains(&difference), "{difference}");
}

/// Without timestamps the window is not scaled: 64 KiB per round trip of 100 ms.
#[test]
fn without_timestamps_a_cookie_costs_the_large_window() {
    let off = "knobs.timestamps = false";
    let usual = run("", off).workloads[0].duration.as_secs_f64();
    let cookie = run(ALWAYS, off).workloads[0].duration.as_secs_f64();
    assert!(usual < 2.0, "{usual} s");
    assert!((4.5..5.5).contains(&cookie), "3 MB at 640 KB/s: {cookie} s");
}
