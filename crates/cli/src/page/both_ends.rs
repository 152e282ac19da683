//! What did the way between two captures do? One paragraph per connection that both have.

use super::look::{DIM, HEADING, LOST};
use super::paper::Paper;
use crate::report::OtherCapture;
use crate::units;
use narrows_lab::Side;
use narrows_trace::{BothEnds, Rewritten, Way};

/// How many connections are shown; those with something to say come first.
const SHOWN: usize = 5;

/// What lies between this file and the others that have the same connections.
pub fn write(paper: &mut Paper, name: &str, others: &[OtherCapture]) {
    for other in others {
        paper.blank();
        paper.heading(&format!("Between {} and {name}", other.name));
        let (clean, changed): (Vec<&BothEnds>, Vec<&BothEnds>) =
            other.connections.iter().partition(|ends| ends.ways.iter().all(Way::is_clean));
        for ends in changed.iter().chain(&clean).take(SHOWN) {
            one(paper, name, other, ends);
        }
        if let Some(more) = other.connections.len().checked_sub(SHOWN).filter(|&more| more > 0) {
            let text = format!("{} more are in both, --json has them.", units::count(more as u64));
            paper.paragraph("", "", &text, DIM);
        }
    }
}

fn one(paper: &mut Paper, name: &str, other: &OtherCapture, ends: &BothEnds) {
    let [there, here] = ends.numbers;
    let near = if ends.nearer_to_client == 0 { &other.name } else { name };
    let heading =
        format!("Connection {there} there is connection {here} here; {near} is nearer to the client");
    paper.paragraph("", "", &heading, HEADING);
    for side in [Side::Client, Side::Server] {
        let way = &ends.ways[side.index()];
        let style = if way.is_clean() { DIM } else { LOST };
        for text in told(side, way) {
            paper.paragraph("  ", "", &text, style);
        }
    }
}

/// What happened to one side's packets, a sentence each.
fn told(side: Side, way: &Way) -> Vec<String> {
    let us = side.name();
    let mut told: Vec<String> = way
        .rewritten
        .iter()
        .map(|option| match option {
            Rewritten::Mss { left, arrived } if arrived < left => {
                format!("MSS clamped on the way: the {us}'s SYN left with {left} and arrived with {arrived}.")
            }
            Rewritten::Mss { left, arrived } => {
                format!("MSS raised on the way: the {us}'s SYN left with {left} and arrived with {arrived}.")
            }
            Rewritten::Removed(option) => {
                let option = option.name();
                format!("Option removed on the way: the {us}'s SYN left with {option} and arrived without.")
            }
        })
        .collect();
    if let Some((left, arrived)) = way.translated {
        told.push(format!(
            "Addresses are translated: the {us} is {left} at its end and {arrived} at the other."
        ));
    }
    match way.packets {
        Some((left, arrived)) if arrived < left => {
            told.push(format!(
                "{} of {} of the {us} did not arrive.",
                units::count(left - arrived),
                units::plural(left, "packet")
            ));
        }
        Some((left, arrived)) if arrived == left => {
            told.push(format!("All {} of the {us} arrived.", units::plural(left, "packet")));
        }
        _ => {}
    }
    if way.not_captured_bytes > 0 {
        let bytes = units::count(way.not_captured_bytes);
        told.push(format!("{bytes} bytes of the {us} arrived that the capture there has not got."));
    }
    if let Some((left, arrived)) = way.largest_segment {
        told.push(format!(
            "Segments of the {us} with up to {left} bytes left; the largest that arrived has {arrived}."
        ));
    }
    if way.never_arrived_bytes > 0 {
        let bytes = units::count(way.never_arrived_bytes);
        told.push(format!("{bytes} bytes of the {us} never arrived, sent again or not."));
    }
    if way.fragmented_packets > 0 {
        let packets = units::plural(way.fragmented_packets, "packet");
        told.push(format!("{packets} of the {us} left whole and arrived in fragments."));
    }
    told
}
