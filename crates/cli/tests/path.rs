//! Does `narrows path` behave in a shell: statuses, streams, JSON? Everything on the loopback, and without privileges.

use std::path::Path;
use std::process::{Command, Output};

fn path(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_narrows"))
        .arg("path")
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn what_cannot_be_understood_is_named_on_stderr_with_status_2() {
    for (arguments, named) in [
        (&["127.0.0.1:0"][..], "65535"),
        (&["http://127.0.0.1"], "HOST:PORT"),
        (&["[::1"], "bracket"),
        (&["127.0.0.1", "--ipv6"], "IPv6"),
        (&["::1", "--ipv4"], "IPv4"),
        (&["no-such-host.invalid"], "no-such-host.invalid"),
        (&["127.0.0.1", "--timeout", "0"], "--timeout"),
        (&[], "HOST"),
    ] {
        let output = path(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(named), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn the_loopback_is_fine_and_has_a_page_without_escapes() {
    let output = path(&["127.0.0.1:9", "--no-raw"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let page = stdout(&output);
    assert!(page.starts_with("127.0.0.1: path MTU 65535 there"), "{page}");
    assert!(page.contains("port 9 is closed") && page.contains("without privileges"), "{page}");
    assert!(!page.contains('\u{1b}'));
}

/// The names of all fields, as `docs/path.md` writes them.
fn fields(value: &serde_json::Value, prefix: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                found.push(name.clone());
                fields(value, &name, found);
            }
        }
        serde_json::Value::Array(array) => {
            array.iter().for_each(|value| fields(value, &format!("{prefix}[]"), found));
        }
        _ => {}
    }
}

#[test]
fn every_field_of_the_json_is_described() {
    let output = path(&["127.0.0.1:9", "--no-raw", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 1);
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["schema"], "narrows.path/1");
    assert_eq!(document["to_peer"]["path_mtu_bytes"], 65_535);
    assert_eq!(document["to_peer"]["exact"], true);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/path.md");
    let manual = std::fs::read_to_string(file).expect("docs/path.md");
    let mut found = Vec::new();
    fields(&document, "", &mut found);
    assert!(found.len() > 40);
    for name in found.iter().filter(|name| !name.starts_with("from_peer.")) {
        assert!(manual.contains(&format!("| `{name}` |")), "docs/path.md does not describe {name}");
    }
}

#[test]
fn an_error_is_json_too() {
    let output = path(&["127.0.0.1", "--ipv6", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["schema"], "narrows.path/1");
    assert!(document["error"]["message"].as_str().is_some_and(|message| message.contains("IPv6")));
}
