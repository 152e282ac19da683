//! Can every knob be set and read back, and do errors say what is expected?

use super::*;
use crate::knob::{KNOBS, Kind};

#[test]
fn every_knob_of_the_stack_can_be_set_and_read_back_and_the_others_say_whose_they_are() {
    for knob in KNOBS {
        let mut knobs = Knobs::default();
        let value = match knob.kind {
            Kind::Bool => "true".to_owned(),
            Kind::Integer { max, .. } => max.to_string(),
            Kind::Choice(words) => words[words.len() - 1].to_owned(),
            Kind::Milliseconds { max, .. } => format!("{}us", max * 1000 - 1),
        };
        let result = knobs.set(knob.name, &value);
        if matches!(knob.scope, Scope::Application | Scope::Path) {
            let error = result.unwrap_err();
            assert!(matches!(error, KnobError::NotOfTheStack { .. }), "{} {error}", knob.name);
            assert_eq!(knobs.get(knob.name), None);
        } else {
            result.unwrap();
            assert_eq!(knobs.get(knob.name), Some(value), "{}", knob.name);
        }
    }
}

#[test]
fn the_default_of_each_row_is_the_default_value() {
    for knob in KNOBS {
        if let Some(value) = Knobs::default().get(knob.name) {
            assert_eq!(value, knob.linux_default, "{}", knob.name);
        }
    }
}

#[test]
fn an_error_names_the_knob_the_value_and_what_is_expected() {
    let mut knobs = Knobs::default();
    let error = knobs.set("initcwnd", "many").unwrap_err().to_string();
    assert!(error.contains("initcwnd") && error.contains("many") && error.contains("segments"), "{error}");
    let error = knobs.set("nagle", "sometimes").unwrap_err().to_string();
    assert!(error.contains("minshall"), "{error}");
    assert_eq!(knobs, Knobs::default());
}

#[test]
fn quickack_true_is_the_lasting_one() {
    let mut knobs = Knobs::default();
    knobs.set("quickack", "true").unwrap();
    assert_eq!(knobs.quickack, QuickAck::Route);
    knobs.set("quickack", "socket").unwrap();
    assert_eq!(knobs.quickack, QuickAck::Socket);
    knobs.set("quickack", "false").unwrap();
    assert_eq!(knobs.quickack, QuickAck::Off);
}
