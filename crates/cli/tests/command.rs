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
