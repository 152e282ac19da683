//! What does a person read? The page: the file, the connections that lose the most time in full, the others in a table.

pub mod account;
mod both_ends;
mod connection;
mod datagrams;
mod findings;
pub mod fixes;
mod look;
mod others;
pub mod paper;
mod predictions;
#[cfg(test)]
mod tests;

pub use look::{DEFAULT_WIDTH, DIM, LOST, Look};

use crate::report::{FileReport, Verdict, lost, ranking};
use crate::units;
pub use datagrams::SHOWN as FLOWS_SHOWN;
use narrows_trace::{Cause, Connection, TimeAccount};
use paper::Paper;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many connections that are not healthy are shown in full.
pub const SHOWN_IN_FULL: usize = 3;

/// What of a file is to be shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Only this connection, by its number, healthy or not.
    pub connection: Option<u32>,
    /// All packet numbers of the finding with this number.
    pub evidence: Option<usize>,
}

/// Which connections the page shows in full, by index and in this order: those that lost time; when there is none, those
/// that waited for the application.
pub fn in_full(connections: &[&Connection], request: Request) -> Vec<usize> {
    if let Some(number) = request.connection {
        return connections.iter().position(|connection| connection.number == number).into_iter().collect();
    }
    let order = ranking(connections);
    if connections.len() == 1 {
        return order;
    }
    let verdict = |index: usize| Verdict::of(connections[index]);
    let lost_time = order.iter().any(|&index| verdict(index) < Verdict::Application);
    let last = if lost_time { Verdict::Unnamed } else { Verdict::Application };
    order.into_iter().filter(|&index| verdict(index) <= last).take(SHOWN_IN_FULL).collect()
}

/// The page of one file, with styles in it.
pub fn render(report: &FileReport, request: Request, look: Look) -> String {
    let mut paper = Paper::new(look);
    let connections: Vec<&Connection> =
        report.connections.iter().map(|examined| &examined.connection).collect();
    file_lines(&mut paper, report, &connections);
    let full = in_full(&connections, request);
    let mut fixes_shown = BTreeSet::new();
    for &index in &full {
        paper.blank();
        connection::write(&mut paper, &report.connections[index], request.evidence, &mut fixes_shown);
    }
    if request.connection.is_none() {
        let order = ranking(&connections);
        let others: Vec<&Connection> =
            order.into_iter().filter(|index| !full.contains(index)).map(|index| connections[index]).collect();
        if full.is_empty() && connections.len() > 1 {
            all_healthy(&mut paper, &connections);
        } else if !others.is_empty() {
            paper.blank();
            others::write(&mut paper, &others);
        }
        datagrams::write(&mut paper, &report.datagram_flows, &report.datagram_what_ifs);
    }
    both_ends::write(&mut paper, &report.name, &report.other_captures);
    paper.finish()
}

fn file_lines(paper: &mut Paper, report: &FileReport, connections: &[&Connection]) {
    let name = if report.name == "-" { "standard input" } else { &report.name };
    let mut facts = vec![
        units::plural(report.packets, "packet"),
        if connections.is_empty() {
            "no TCP connection".to_owned()
        } else {
            units::plural(connections.len() as u64, "TCP connection")
        },
    ];
    if let Some(span) = span(connections) {
        facts.push(units::duration(span));
    }
    paper.heading(&format!("{name}: {}", facts.join(", ")));
    let skipped: u64 = report.skipped.iter().map(|(_, count)| count).sum();
    if skipped > 0 || report.udp_packets > 0 {
        let reasons: Vec<String> = report
            .skipped
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{reason} {}", units::count(*count)))
            .collect();
        let mut parts = Vec::new();
        if report.tcp_packets > 0 || report.udp_packets == 0 {
            parts.push(format!("{} of these connections", units::count(report.tcp_packets)));
        }
        if report.udp_packets > 0 {
            parts.push(format!("{} of UDP flows", units::count(report.udp_packets)));
        }
        if skipped > 0 {
            parts.push(format!("{} skipped ({})", units::count(skipped), reasons.join(", ")));
        }
        let text = format!("{} read = {}", units::count(report.packets), parts.join(" + "));
        paper.paragraph("", "", &text, DIM);
    }
    for text in &report.notes {
        paper.paragraph("", "", &format!("Note: {text}."), DIM);
    }
    if let Some(damage) = &report.damage {
        let place = match damage.offset_bytes {
            Some(offset) => format!("Damaged at byte {offset}"),
            None => "Damaged".to_owned(),
        };
        paper.paragraph("", "", &format!("{place}; what follows holds up to there."), look::LOST);
    }
    if connections.len() > 1 {
        paper.prose(&summary(connections));
    }
}

/// How many are unwell, and what they lost together.
fn summary(connections: &[&Connection]) -> String {
    let with =
        |verdict| connections.iter().filter(|connection| Verdict::of(connection) == verdict).count() as u64;
    let lost: Duration = connections.iter().map(|connection| lost(connection)).sum();
    let mut parts = Vec::new();
    let [network, unnamed, application, healthy] =
        [Verdict::Network, Verdict::Unnamed, Verdict::Application, Verdict::Healthy].map(with);
    if network > 0 {
        parts.push(format!(
            "{} with findings against the network, {} lost in all",
            units::count(network),
            units::duration(lost)
        ));
    }
    if unnamed > 0 {
        parts.push(format!("{} lost time to what this version does not name", units::count(unnamed)));
    }
    if application > 0 {
        parts.push(format!("{} waited for the application", units::count(application)));
    }
    if healthy > 0 {
        parts.push(format!("{} healthy", units::count(healthy)));
    }
    format!("Of {}: {}.", units::plural(connections.len() as u64, "connection"), parts.join("; "))
}

/// From the first connection's begin to the last one's end.
fn span(connections: &[&Connection]) -> Option<Duration> {
    let start = connections.iter().map(|connection| connection.start).min()?;
    connections.iter().map(|connection| connection.start.since(start) + connection.duration).max()
}

fn all_healthy(paper: &mut Paper, connections: &[&Connection]) {
    let mut account = TimeAccount::default();
    for part in connections.iter().map(|connection| &connection.account) {
        account.network += part.network;
        account.delayed_ack += part.delayed_ack;
        account.nagle += part.nagle;
        account.client_thinking += part.client_thinking;
        account.server_thinking += part.server_thinking;
        account.recovery += part.recovery;
        account.transmission += part.transmission;
        account.unexplained += part.unexplained;
    }
    let whole = connections.iter().map(|connection| connection.duration).sum();
    account::write(paper, "their", &account, whole);
    paper.blank();
    let text = &format!(
        "Healthy as far as this version looks: no write waited in Nagle, hardly anything was retransmitted; {}.",
        account::largest(&account, whole)
    );
    paper.paragraph("", "", text, look::GAIN);
    for text in worth_knowing(connections) {
        paper.prose(&text);
    }
    paper.paragraph("", "", "--connection N shows one in full, --json all of them.", DIM);
}

/// What was found in connections that are well, a sentence per cause.
fn worth_knowing(connections: &[&Connection]) -> Vec<String> {
    let mut found: BTreeMap<Cause, Vec<u32>> = BTreeMap::new();
    for connection in connections {
        for finding in &connection.findings {
            let numbers = found.entry(finding.cause).or_default();
            if numbers.last() != Some(&connection.number) {
                numbers.push(connection.number);
            }
        }
    }
    let sentence = |(cause, numbers): (Cause, Vec<u32>)| {
        let count = units::plural(numbers.len() as u64, "connection");
        format!("Worth knowing: {} in {count}; --connection {} shows it.", cause.name(), numbers[0])
    };
    found.into_iter().map(sentence).collect()
}
