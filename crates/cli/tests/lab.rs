//! Does the lab behave in a shell: runs, captures that explain reads, sweeps, errors, and the same packets every time?

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn narrows(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    command.args(arguments).env_clear().env("LC_ALL", "C.UTF-8").output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = narrows(arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn what_the_lab_made_sick_explain_finds_in_its_capture() {
    let folder = folder("slow-rpc");
    let run = json(&["lab", "run", "slow-rpc", "--json", "--pcap", path(&folder)]);
    assert_eq!((run["schema"].as_str(), run["completed"].as_bool()), (Some("narrows.lab.run/1"), Some(true)));
    assert_eq!(run["workloads"][0]["findings"][0]["cause"], "nagle-delayed-ack");
    for host in ["client", "server"] {
        let capture = folder.join(format!("slow-rpc-{host}.pcapng"));
        let explained = json(&["explain", path(&capture), "--json"]);
        let findings = &explained["connections"][0]["findings"];
        assert_eq!(findings[0]["cause"], "nagle-delayed-ack", "{host}: {explained}");
    }
}

#[test]
fn a_black_hole_is_named_from_either_end_whoever_sends() {
    for (sender, direction) in [("server", "download"), ("client", "upload")] {
        let folder = folder(&format!("hole-{direction}"));
        let set = format!("download.direction={direction}");
        let run = ["lab", "run", "blackhole", "--set", &set, "--json", "--pcap", path(&folder)];
        let found = json(&run)["workloads"][0]["findings"][0].clone();
        assert_eq!((found["cause"].as_str(), found["side"].as_str()), (Some("pmtu-blackhole"), Some(sender)));
        for host in ["client", "server"] {
            let capture = folder.join(format!("blackhole-{host}.pcapng"));
            let explained = json(&["explain", path(&capture), "--json"]);
            let connection = &explained["connections"][0];
            let causes: Vec<_> =
                connection["findings"].as_array().expect("findings").iter().map(|f| &f["cause"]).collect();
            assert_eq!(causes, ["pmtu-blackhole"], "{direction} {host}: {explained}");
            assert_eq!(connection["findings"][0]["side"], sender, "{direction} {host}");
            // The programs wait for 20 s; the sender's kernel goes on alone.
            let lost = connection["findings"][0]["lost_s"].as_f64();
            assert!(lost >= Some(19.9) && lost <= connection["duration_s"].as_f64(), "{lost:?}");
            assert!(connection["predictions"].as_array().is_some_and(|p| p.len() >= 4), "{explained}");
        }
    }
}

#[test]
fn captures_of_both_ends_show_what_the_way_did() {
    let folder = folder("both-ends");
    let between = |name: &str| {
        json(&["lab", "run", name, "--json", "--pcap", path(&folder)]);
        let [client, server] = ["client", "server"].map(|host| folder.join(format!("{name}-{host}.pcapng")));
        let output = narrows(&["explain", path(&server), path(&client), "--json"]);
        let text = text(&output.stdout);
        let last = text.lines().last().expect("two lines");
        let document: serde_json::Value = serde_json::from_str(last).expect("JSON");
        let page = narrows(&["explain", path(&client), path(&server)]);
        (document["other_captures"][0]["connections"][0].clone(), self::text(&page.stdout))
    };
    let (ends, page) = between("blackhole-clamped");
    assert_eq!(ends["nearer_to_client"], "here", "{ends}");
    let mss =
        |side: &str| [&ends[side]["mss_left"], &ends[side]["mss_arrived"]].map(serde_json::Value::as_u64);
    assert_eq!(mss("client"), [Some(1460), Some(1360)], "{ends}");
    assert!(page.contains("MSS clamped on the way: the client's SYN left with 1460 and arrived"), "{page}");
    let (ends, page) = between("blackhole");
    assert!(ends["server"]["largest_segment_left_bytes"].as_u64() > Some(1400), "{ends}");
    assert!(ends["server"]["never_arrived_bytes"].as_u64() > Some(0), "{ends}");
    assert!(ends["server"]["mss_left"].is_null() && page.contains("did not arrive"), "{page}");
}

#[test]
fn every_built_in_scenario_gives_the_packets_that_are_kept() {
    let list = json(&["lab", "list", "--json"]);
    let names: Vec<&str> = list["scenarios"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    let mut hashes = String::new();
    for name in names {
        let run = json(&["lab", "run", name, "--json"]);
        hashes.push_str(&format!("{} {name}\n", run["packet_hash"].as_str().expect("a hash")));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/scenarios/hashes.txt");
    if std::env::var_os("UPDATE_HASHES").is_some() {
        std::fs::write(&file, &hashes).expect("the hashes are kept");
    }
    let kept = std::fs::read_to_string(&file).expect("crates/lab/scenarios/hashes.txt");
    assert_eq!(
        kept, hashes,
        "when the stack has changed on purpose: UPDATE_HASHES=1 cargo test -p narrows --test lab"
    );
}

#[test]
fn a_sweep_is_the_same_on_any_number_of_cores_and_has_a_plot() {
    let plot = folder("sweep").join("plot.svg");
    let over = ["--over", "path.delay=0.5ms,5ms", "--over", "client.nodelay=false,true", "--json"];
    let sweep = |jobs: &str| {
        let mut arguments = vec!["lab", "sweep", "slow-rpc", "--jobs", jobs, "--svg", path(&plot)];
        arguments.extend(over);
        let output = narrows(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        (output.stdout, std::fs::read_to_string(&plot).expect("a plot"))
    };
    let one = sweep("1");
    assert_eq!(one, sweep("4"));
    let document: serde_json::Value = serde_json::from_slice(&one.0).expect("JSON");
    assert_eq!(document["schema"], "narrows.lab.sweep/1");
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(4));
    for words in ["path.delay", "client.nodelay = true", "mean exchange", "</svg>"] {
        assert!(one.1.contains(words), "{words}");
    }
}

#[test]
fn what_is_wrong_is_said_on_stderr_with_status_2() {
    let file = folder("wrong").join("wrong.toml");
    std::fs::write(&file, "[host.client]\nprofil = \"linux\"\n").expect("a file");
    for (arguments, expected) in [
        (&["lab", "run", path(&file)][..], "wrong.toml:2:1: `host.client.profil`"),
        (&["lab", "run", "slow-rcp"], "did you mean `slow-rpc`?"),
        (&["lab", "run", "slow-rpc", "--set", "client.nodleay=true"], "did you mean `nodelay`?"),
        (&["lab", "run", "bulk-vpn", "--set", "far.too_big=sometimes"], "fragment, icmp"),
        (&["lab", "sweep", "bulk", "--over", "path.delay"], "KEY=A,B"),
        (&["lab", "claims", "ack-99"], "there are ack-1"),
    ] {
        let output = narrows(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let output = narrows(&["lab", "run", "bulk", "--set", "time_limit=50ms"]);
    assert_eq!(output.status.code(), Some(1), "it does not complete");
}

fn keys(value: &serde_json::Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                into.insert(key.clone());
                keys(value, into);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, into)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_json_is_in_the_manual() {
    let manual = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lab.md"))
        .expect("docs/lab.md");
    let mut fields = std::collections::BTreeSet::new();
    for arguments in [
        &["lab", "run", "slow-rpc", "--json"][..],
        &["lab", "sweep", "slow-rpc", "--over", "seed=1,2", "--json"],
        &["lab", "list", "--json"],
        &["lab", "claims", "ack-4", "--json"],
    ] {
        let document = json(arguments);
        let schema = document["schema"].as_str().expect("a schema");
        assert!(manual.contains(schema), "{schema}");
        keys(&document, &mut fields);
    }
    fields.remove("schema");
    let missing: Vec<&String> = fields
        .iter()
        .filter(|field| !manual.contains(&format!("`{field}`")) && !manual.contains(&format!("`{field}[]`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/lab.md: {missing:?}");
}

#[test]
fn the_manuals_scenario_runs() {
    let manual = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lab.md"))
        .expect("docs/lab.md");
    let scenario =
        manual.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a scenario");
    let file = folder("manual").join("mine.toml");
    std::fs::write(&file, scenario).expect("a file");
    let run = json(&["lab", "run", path(&file), "--json"]);
    assert_eq!((run["scenario"].as_str(), run["completed"].as_bool()), (Some("mine"), Some(true)));
}
