//! Do the documents say what is? Dependencies, links, and the chapters' promises.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = text("Cargo.toml");
    let (_, rest) = manifest.split_once("[workspace.dependencies]").expect("workspace dependencies");
    let declared: BTreeSet<&str> = rest
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim()))
        .filter(|name| !name.starts_with("narrows"))
        .collect();
    let table = text("docs/dependencies.md");
    let documented: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split(" |").next())
        .filter(|name| *name != "crate" && !name.starts_with("---"))
        .collect();
    let without: Vec<_> = declared.difference(&documented).collect();
    assert!(without.is_empty(), "not in docs/dependencies.md: {without:?}");
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for document in [
        "README.md",
        "CHANGELOG.md",
        "docs/explain.md",
        "docs/json.md",
        "docs/lab.md",
        "docs/path.md",
        "docs/claims.md",
        "docs/architecture.md",
    ] {
        let here = root().join(document);
        let text = text(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.starts_with("https:") {
                continue;
            }
            let path = here.parent().expect("a folder").join(target);
            assert!(path.exists(), "{document} links to {link}");
        }
    }
}

#[test]
fn the_files_that_decide_things_are_where_the_architecture_says() {
    let table = text("docs/architecture.md");
    let paths: Vec<&str> =
        table.split('`').filter(|part| part.starts_with("crates/") || part.starts_with("tools/")).collect();
    assert!(paths.len() > 10);
    for path in paths {
        assert!(root().join(path).exists(), "docs/architecture.md names {path}");
    }
}
