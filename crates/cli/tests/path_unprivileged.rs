//! What does `narrows path` do for a user without any privilege? The program itself, as such a user, on a path whose truth is known. Needs root to make
//! the path and to become that user; says so and does nothing without.

use narrows_namespaces::{Error, installed, permitted, sysctl};
use paths::bed::server;
use paths::scenario::Build;
use paths::{Scenario, scenarios, with_bed};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// `nobody` on every system.
const NOBODY: &str = "65534";

fn named(name: &str) -> Scenario {
    let mut scenario = scenarios().into_iter().find(|scenario| scenario.name == name).expect("a scenario");
    if let Build::Wire { path, .. } = &mut scenario.build {
        path.delay = Duration::from_millis(10);
    }
    scenario
}

/// The program where any user may run it.
fn program() -> PathBuf {
    let place = std::env::temp_dir().join(format!("narrows-unprivileged-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_narrows"), &place).expect("a copy");
    place
}

fn as_nobody(program: &PathBuf, scenario: &Scenario, arguments: &[&str], ping: bool) -> Output {
    let run = with_bed(scenario, || {
        // None at all, or everybody's group.
        sysctl("net/ipv4/ping_group_range", if ping { "0 2147483647" } else { "1 0" })?;
        let target = std::net::SocketAddr::new(server(scenario.ipv6), scenario.port).to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all"]);
        command.arg(program).arg("path").args(arguments).arg(target);
        command.output().map_err(Error::from)
    });
    run.expect("a run")
}

#[test]
fn a_user_without_privileges_learns_what_is_possible_and_what_is_lost() {
    if !permitted() || !installed("setpriv") {
        return;
    }
    let program = program();
    let json = |name: &str, ping| -> (Value, Option<i32>) {
        let output = as_nobody(&program, &named(name), &["--json"], ping);
        (serde_json::from_slice(&output.stdout).expect("JSON"), output.status.code())
    };
    for (name, ping, there, back) in [
        ("1400, ICMP answered", false, 1400, Value::Null),
        ("1400, routers silent", false, 1400, Value::Null),
        ("1400, routers silent, IPv6", false, 1400, Value::Null),
        ("1500 there, 1400 back", true, 1500, 1400.into()),
    ] {
        let (report, status) = json(name, ping);
        assert_eq!(report["raw_sockets"], false, "{name}");
        assert_eq!(report["to_peer"]["path_mtu_bytes"], there, "{name}: {report}");
        assert_eq!(report["to_peer"]["exact"], true, "{name}: {report}");
        assert_eq!(report["from_peer"]["path_mtu_bytes"], back, "{name}: {report}");
        // A black hole is a finding, a narrow path alone is none.
        assert_eq!(status, Some(i32::from(name.contains("silent"))), "{name}: {report}");
        let notes = report["notes"].to_string();
        assert!(notes.contains("Without raw sockets there is no knowing"), "{name}: {notes}");
        assert_eq!(
            notes.contains("nor the way back") || notes.contains("the way back, by"),
            !ping,
            "{name}: {notes}"
        );
    }
    // Where nothing but TCP gets through, the message has what would permit it.
    let scenario = named("1333, a closed port alone answers");
    let output = as_nobody(&program, &scenario, &[], false);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let _ = std::fs::remove_file(&program);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("setcap cap_net_raw") && said.contains("ping_group_range"), "{said}");
}
