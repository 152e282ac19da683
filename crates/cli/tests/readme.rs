//! Does the README show what the tool really prints?

use std::path::Path;
use std::process::Command;

const BEGIN: &str = "<!-- begin output -->\n```text\n";
const END: &str = "```\n<!-- end output -->";

/// Compares the README's picture with the tool's output; with UPDATE_README=1 it writes it.
#[test]
fn readme_shows_the_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("the picture's begin");
    let (picture, after) = rest.split_once(END).expect("the picture's end");
    let arguments = before
        .lines()
        .find_map(|line| line.trim().strip_prefix("cargo run --release -- "))
        .expect("the command that the picture shows");
    let output = Command::new(env!("CARGO_BIN_EXE_narrows"))
        .args(arguments.split(' '))
        .current_dir(&root)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).expect("text");
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{output}{END}{after}")).expect("the README is written");
    } else {
        assert_eq!(
            picture, output,
            "write it again with UPDATE_README=1 cargo test -p narrows --test readme"
        );
    }
}
