//! What is there to say of the UDP flows? Those with findings in full, the others as one line.

use super::findings;
use super::look::{DIM, HEADING};
use super::paper::Paper;
use crate::units;
use narrows_lab::Side;
use narrows_trace::DatagramFlow;

/// How many flows with findings are shown.
const SHOWN: usize = 3;

/// All flows of a file.
pub fn write(paper: &mut Paper, flows: &[DatagramFlow]) {
    let with_findings = || flows.iter().filter(|flow| !flow.findings.is_empty());
    for flow in with_findings().take(SHOWN) {
        paper.blank();
        one(paper, flow);
    }
    let others = flows.len() - with_findings().count().min(SHOWN);
    if others > 0 {
        paper.blank();
        let datagrams: u64 = flows.iter().flat_map(|flow| &flow.sides).map(|side| side.datagrams).sum();
        let text = format!(
            "{}{} of datagrams{}: counted, not judged.",
            units::plural(others as u64, "UDP flow"),
            if others < flows.len() { " more" } else { "" },
            match tunnels(flows) {
                Some(names) => format!(
                    ", {} in all, {names} among them, which is encrypted or empty",
                    units::count(datagrams)
                ),
                None => format!(", {} in all", units::count(datagrams)),
            }
        );
        paper.paragraph("", "", &text, DIM);
    }
}

fn one(paper: &mut Paper, flow: &DatagramFlow) {
    let heading = format!("UDP flow {}: {} → {}", flow.number, flow.client, flow.server);
    paper.paragraph("", "", &heading, HEADING);
    let mut facts = vec![units::duration(flow.duration)];
    facts.extend(flow.tunnel.map(|tunnel| tunnel.name().to_owned()));
    for side in [Side::Client, Side::Server] {
        let sent = &flow.sides[side.index()];
        let datagrams = units::plural(sent.datagrams, "datagram");
        let mut text = format!("{} {datagrams} of up to {} bytes", side.name(), sent.largest_datagram);
        if sent.fragments > 0 {
            text.push_str(&format!(" in {}", units::plural(sent.packets, "packet")));
        }
        if sent.incomplete > 0 {
            text.push_str(&format!(" and {} incomplete", units::count(sent.incomplete)));
        }
        facts.push(text);
    }
    paper.paragraph("", "", &facts.join(", "), DIM);
    paper.blank();
    findings::write(paper, &flow.findings, flow.duration, None, None);
}

fn tunnels(flows: &[DatagramFlow]) -> Option<String> {
    let mut names: Vec<&str> = flows.iter().filter_map(|flow| flow.tunnel).map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}
