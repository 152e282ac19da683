//! What is there to say of the UDP flows? Those with findings in full, the others as one line.

use super::findings;
use super::look::{DIM, GAIN, HEADING};
use super::paper::{Cell, Paper};
use crate::turning;
use crate::units;
use narrows_lab::Side;
use narrows_trace::DatagramFlow;
use narrows_whatif::{DatagramPrediction, DatagramWhatIf};

/// How many flows with findings are shown.
pub const SHOWN: usize = 3;

/// All flows of a file.
pub fn write(paper: &mut Paper, flows: &[DatagramFlow], what_ifs: &[(u32, DatagramWhatIf)]) {
    let with_findings = || flows.iter().filter(|flow| !flow.findings.is_empty());
    for flow in with_findings().take(SHOWN) {
        paper.blank();
        one(paper, flow);
        for (_, what_if) in what_ifs.iter().filter(|(number, _)| *number == flow.number) {
            predictions(paper, what_if);
        }
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

fn predictions(paper: &mut Paper, what_if: &DatagramWhatIf) {
    paper.blank();
    if !what_if.predictions.is_empty() {
        paper.heading("What smaller datagrams would be worth (replayed in the lab: median [range])");
        let title = |text: &str| Cell::left(text).styled(DIM);
        let mut rows = vec![vec![
            title("knob"),
            title("arrive"),
            title("[range]").close(),
            title("datagrams"),
            title("packets"),
            title("bytes"),
        ]];
        rows.extend(what_if.predictions.iter().map(row));
        paper.table("  ", &rows, 4);
    }
    if let Some(reason) = &what_if.refused {
        paper.prose(&format!("Nothing is predicted: {reason}."));
    }
    let (captured, replayed) = what_if.replay;
    let mut text = format!(
        "Model error on this flow: {}. Replayed unchanged {} of the {}'s datagrams in pieces arrive instead of {}.",
        units::signed_percent(what_if.error),
        percent(replayed),
        what_if.side.name(),
        percent(captured),
    );
    if what_if.nothing_missing {
        text.push_str(
            " No piece is missing here; what arrives at the other end, a capture made there would show.",
        );
    }
    paper.prose(&text);
}

fn row(prediction: &DatagramPrediction) -> Vec<Cell> {
    let share = prediction.delivered;
    let pair = |(before, after): (u64, u64)| {
        Cell::left(format!("{} → {}", units::count(before), units::count(after)))
    };
    let gain = if share.after > share.before { GAIN } else { DIM };
    vec![
        Cell::left(turning::spell(&prediction.turning)),
        Cell::left(format!("{} → {}", percent(share.before), percent(share.after))).styled(gain),
        Cell::left(format!("[{} – {}]", percent(share.low), percent(share.high))),
        pair(prediction.datagrams),
        pair(prediction.packets),
        pair(prediction.bytes),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn tunnels(flows: &[DatagramFlow]) -> Option<String> {
    let mut names: Vec<&str> = flows.iter().filter_map(|flow| flow.tunnel).map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}
