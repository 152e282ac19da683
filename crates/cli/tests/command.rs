//! Does the command behave in a shell: exit statuses, pipes, streams, width, colours?

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A pcap file's header: little endian, microseconds, raw IP; no packet follows.
const EMPTY_PCAP: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0];

fn narrows(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_narrows"))
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // It may end without reading: then the pipe breaks, which is what some of these tests want.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn an_empty_capture_is_quiet() {
    let output = narrows(&["explain", "-"], &EMPTY_PCAP);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "standard input: 0 packets, no TCP connection\n");
    assert_eq!(stderr(&output), "");
    assert_eq!(narrows(&["-"], &EMPTY_PCAP).stdout, output.stdout);
}

#[test]
fn what_cannot_be_read_is_named_on_stderr_with_status_2() {
    for (arguments, input, named) in [
        (&["explain", "no-such-file.pcap"][..], &b""[..], "no-such-file.pcap"),
        (&["explain", "-"], b"not a capture at all", "pcap"),
        (&["explain", "-"], b"", "pcap"),
        (&["explain", "-", "--turn", "client.nodleay=true"], b"", "nodelay"),
        (&["explain", "-", "--fail-on", "soon"], b"", "soon"),
        (&["explain", "-", "--width", "3"], b"", "--width"),
        (&["explain"], b"", "FILE"),
    ] {
        let output = narrows(arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(named), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_truncated_capture_is_an_error_that_names_the_offset() {
    let mut capture = EMPTY_PCAP.to_vec();
    capture.extend([0; 7]);
    let output = narrows(&["explain", "-"], &capture);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("byte 24"), "{}", stderr(&output));
    assert!(stdout(&output).contains("Damaged at byte 24"), "{}", stdout(&output));
}

#[test]
fn json_has_its_schema_also_when_the_file_is_unusable() {
    for (arguments, status) in [(&["-", "--json"], 0), (&["no-such-file.pcap", "--json"], 2)] {
        let output = narrows(arguments, &EMPTY_PCAP);
        assert_eq!(output.status.code(), Some(status));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(document["schema"], "narrows.explain/1");
        assert_eq!(document["error"].is_object(), status == 2);
    }
}

#[test]
fn escapes_are_in_a_pipe_only_when_asked_for() {
    for (arguments, escapes) in [
        (&["-"][..], false),
        (&["-", "--color", "auto"], false),
        (&["-", "--color", "never"], false),
        (&["-", "--color", "always"], true),
    ] {
        let output = narrows(arguments, &EMPTY_PCAP);
        assert_eq!(output.stdout.contains(&0x1b), escapes, "{arguments:?}");
    }
}

#[test]
fn a_reader_who_leaves_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_narrows"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}

#[test]
fn help_completions_and_man_are_on_stdout() {
    for (arguments, text) in [
        (&["--help"][..], "Exit status"),
        (&["explain", "--help"], "Examples"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "zsh"], "#compdef narrows"),
        (&["man"], ".TH"),
    ] {
        let output = narrows(arguments, b"");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(stdout(&output).contains(text), "{arguments:?}");
        assert_eq!(stderr(&output), "");
    }
}

fn capture(name: &str) -> String {
    format!("{}/../../captures/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_exit_status_follows_the_findings_and_the_threshold() {
    let (slow, healthy, thinking) =
        (&capture("slow-rpc.pcap"), &capture("healthy-rpc.pcap"), &capture("thinking-server.pcap"));
    for (arguments, status, text) in [
        (&["explain", slow][..], 1, "Nagle held"),
        (&[slow, "--fail-on", "never"], 0, "Nagle held"),
        (&["explain", healthy], 0, "Healthy"),
        (&["explain", thinking], 1, "The application, not the network"),
        (&["explain", healthy, slow], 1, "Nagle held"),
        (&["explain", healthy, "--connection", "1", "--turn", "both.nodelay=true"], 0, "both.nodelay=true"),
        (&["explain", healthy, "--connection", "7"], 2, "Healthy"),
    ] {
        let output = narrows(arguments, b"");
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
        let shown = status != 2;
        assert_eq!(stdout(&output).contains(text), shown, "{arguments:?}: {}", stdout(&output));
    }
}

#[test]
fn a_cut_capture_gives_its_findings_and_the_offset_of_the_cut() {
    let whole = std::fs::read(capture("slow-rpc.pcap")).expect("the capture");
    let output = narrows(&["-"], &whole[..whole.len() * 2 / 3 + 1]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("Nagle held"), "{}", stdout(&output));
    assert!(stdout(&output).contains("Damaged at byte"), "{}", stdout(&output));
    assert!(stderr(&output).contains("at byte"), "{}", stderr(&output));
}

#[test]
fn a_connection_is_written_as_a_scenario_of_the_lab() {
    let out = std::env::temp_dir().join(format!("narrows-scenario-{}.toml", std::process::id()));
    let path = out.display().to_string();
    let output = narrows(&[&capture("slow-rpc.pcap"), "--scenario", &path, "--fail-on", "never"], b"");
    let written = std::fs::read_to_string(&out);
    std::fs::remove_file(&out).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("narrows lab run"), "{}", stderr(&output));
    let scenario = narrows_lab::scenario::Scenario::from_toml("written.toml", &written.unwrap()).unwrap();
    assert!(scenario.run().unwrap().completed());
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    for arguments in [&["-"][..], &["-", "--json"]] {
        let file = std::fs::read(capture("slow-http.pcapng")).expect("the capture");
        assert_eq!(narrows(arguments, &file).stdout, narrows(arguments, &file).stdout);
    }
}

/// A packet record of a pcap file: a raw IPv4 TCP segment `client` sends or gets, at a millisecond.
fn segment(at_ms: u32, from_client: bool, numbers: (u32, u32), flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = 40 + payload.len();
    let (client, server) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let (ports, addresses) =
        if from_client { ([4000, 80], [client, server]) } else { ([80, 4000], [server, client]) };
    let mut packet = vec![0x45, 0];
    packet.extend((length as u16).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend(addresses.concat());
    packet.extend(ports.iter().flat_map(|port: &u16| port.to_be_bytes()));
    packet.extend(numbers.0.to_be_bytes());
    packet.extend(numbers.1.to_be_bytes());
    packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(payload);
    let mut record: Vec<u8> = [1, at_ms * 1000, length as u32, length as u32]
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect();
    record.extend(packet);
    record
}

#[test]
fn the_applications_payload_is_never_printed() {
    const SECRET: &[u8] = b"Authorization-4711";
    const LENGTH: u32 = SECRET.len() as u32;
    let mut file = EMPTY_PCAP.to_vec();
    file.extend(segment(0, true, (0, 0), 0x02, b""));
    file.extend(segment(20, false, (0, 1), 0x12, b""));
    file.extend(segment(20, true, (1, 1), 0x10, b""));
    file.extend(segment(21, true, (1, 1), 0x18, SECRET));
    file.extend(segment(241, false, (1, 1 + LENGTH), 0x18, SECRET));
    file.extend(segment(241, true, (1 + LENGTH, 1 + LENGTH), 0x10, b""));
    for arguments in [&["-", "--connection", "1"][..], &["-", "--evidence", "1"], &["-", "--json"]] {
        let output = narrows(arguments, &file);
        assert!(stdout(&output).contains("192.0.2.1"), "{arguments:?}: {}", stderr(&output));
        for printed in [stdout(&output), stderr(&output)] {
            assert!(
                !printed.contains("Authorization") && !printed.contains("4711"),
                "{arguments:?}: {printed}"
            );
        }
    }
}

#[test]
fn json_predicts_with_numbers() {
    let output = narrows(&["explain", &capture("slow-rpc.pcap"), "--json"], b"");
    assert_eq!(output.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let connection = &document["connections"][0];
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    assert!(number(&connection["model_error"]).abs() < 0.10);
    let account = connection["time_account"].as_object().expect("an object");
    let sum: f64 = account.values().map(number).sum();
    assert!((sum - number(&connection["duration_s"])).abs() < 1e-6, "{sum}");
    let nodelay = connection["predictions"]
        .as_array()
        .expect("an array")
        .iter()
        .find(|prediction| prediction["knob"] == "nodelay" && prediction["side"] == "client")
        .expect("Nagle is turned off");
    assert_eq!(nodelay["value"], true);
    for what in ["duration", "exchange"] {
        let estimate = &nodelay[what];
        let of = |name: &str| number(&estimate[name]);
        assert!(of("low_s") <= of("after_s") && of("after_s") <= of("high_s"), "{estimate}");
        assert!(of("after_s") < of("before_s"), "{estimate}");
    }
}
