use super::*;
use std::collections::BTreeSet;

#[test]
fn names_are_unique_and_each_row_is_found_by_its_name() {
    let names: BTreeSet<&str> = KNOBS.iter().map(|knob| knob.name).collect();
    assert_eq!(names.len(), KNOBS.len());
    for knob in KNOBS {
        assert_eq!(find(knob.name).map(|found| found.name), Some(knob.name));
        assert!(knob.parse(knob.linux_default).is_ok(), "{}", knob.name);
    }
}

#[test]
fn every_fix_gives_a_value_that_its_knob_takes_and_leaves_no_place_open() {
    for knob in KNOBS {
        for fix in knob.fixes {
            assert!(!fix.lines.is_empty(), "{} {}", knob.name, fix.system);
            assert!(fix.value == Fix::ANY || knob.parse(fix.value).is_ok(), "{} {}", knob.name, fix.value);
        }
        let value = match knob.kind {
            Kind::Bool => "true".to_owned(),
            Kind::Integer { max, .. } => max.to_string(),
            Kind::Choice(words) => words[0].to_owned(),
            Kind::Milliseconds { max, .. } => max.to_string(),
        };
        for fix in knob.fixes_for(&value).unwrap() {
            for line in &fix.lines {
                for place in ["{value}", "{us}", "{ms}", "{s}"] {
                    assert!(!line.contains(place), "{} {}: {line}", knob.name, fix.system);
                }
            }
        }
    }
}

#[test]
fn the_knobs_against_nagle_stalls_have_lines_for_every_language() {
    for (name, value) in [("nodelay", "true"), ("coalesce_writes", "true")] {
        let systems: BTreeSet<&str> =
            find(name).unwrap().fixes_for(value).unwrap().iter().map(|fix| fix.system).collect();
        for language in ["C", "Go", "Java", "Node", "Python", "Rust"] {
            assert!(systems.contains(language), "{name} {language}");
        }
    }
    let quickack = find("quickack").unwrap();
    let route = quickack.fixes_for("true").unwrap();
    assert!(route.iter().any(|fix| fix.lines.iter().any(|line| line.ends_with("quickack 1"))));
    let socket = quickack.fixes_for("socket").unwrap();
    assert!(socket.iter().any(|fix| fix.system == "Rust"));
}

#[test]
fn a_duration_is_printed_in_the_unit_that_the_setting_takes() {
    let fixes = find("ack_delay_max").unwrap().fixes_for("10ms").unwrap();
    let line = |system: &str| fixes.iter().find(|fix| fix.system == system).unwrap().lines.join("\n");
    assert!(line("C").contains("int us = 10000;"));
    assert!(line("Linux (ip route)").contains("rto_min 10ms"));
    assert!(find("keepalive_time").unwrap().fixes_for("30s").unwrap()[0].lines[0].contains("= 30;"));
    assert!(find("rcvbuf").unwrap().fixes_for("auto").unwrap().is_empty());
}
