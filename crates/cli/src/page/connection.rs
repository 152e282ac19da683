//! What is there to say of one connection? Its header, account, findings and predictions, what is well, and what could
//! not be seen.

use super::look::{DIM, GAIN, HEADING};
use super::paper::Paper;
use super::{account, findings, fixes, predictions};
use crate::report::{Examined, Verdict, retransmissions, thinking};
use crate::units;
use narrows_lab::Side;
use narrows_trace::{Connection, Vantage};
use std::collections::BTreeSet;

/// A connection in full; the fixes that the page has already are not repeated.
pub fn write(
    paper: &mut Paper,
    examined: &Examined,
    all_evidence: Option<usize>,
    fixes_shown: &mut BTreeSet<String>,
) {
    let connection = &examined.connection;
    header(paper, connection);
    account::write(paper, "the", &connection.account, connection.duration);
    if !connection.findings.is_empty() {
        paper.blank();
        let afterwards = examined.what_if.as_ref().and_then(|what_if| what_if.afterwards);
        findings::write(paper, &connection.findings, connection.duration, all_evidence, afterwards);
    }
    if let Some(what_if) = &examined.what_if {
        predictions::write(paper, what_if);
        fixes::write(paper, what_if, fixes_shown);
    }
    paper.blank();
    conclusion(paper, connection);
    not_visible(paper, connection);
    if let Some(what_if) = &examined.what_if {
        predictions::write_model_error(paper, what_if);
    }
}

/// `192.0.2.1:35770 → 192.0.2.2:7000`.
pub fn addresses(connection: &Connection) -> String {
    format!("{} → {}", connection.client, connection.server)
}

fn header(paper: &mut Paper, connection: &Connection) {
    paper.paragraph("", "", &format!("Connection {}: {}", connection.number, addresses(connection)), HEADING);
    let packets = connection.sides.iter().map(|side| side.packets).sum();
    let mut facts = vec![units::duration(connection.duration), units::plural(packets, "packet")];
    if connection.exchanges > 0 {
        facts.push(units::plural(u64::from(connection.exchanges), "exchange"));
    }
    facts.push(match connection.round_trip.path {
        Some(path) => format!("round trip {}", units::duration(path)),
        None => "round trip unknown".to_owned(),
    });
    if let Some(mss) = segment_bytes(connection) {
        facts.push(format!("MSS {mss}"));
    }
    if let Some(rate) = rate(connection) {
        facts.push(format!("narrowest link {}", units::rate(rate)));
    }
    if let Some(tunnel) = connection.tunnel {
        facts.push(format!("inside a {} tunnel", tunnel.name()));
    }
    facts.push(vantage(connection.vantage).to_owned());
    facts.extend(losses(connection));
    paper.paragraph("", "", &facts.join(", "), DIM);
}

fn segment_bytes(connection: &Connection) -> Option<u32> {
    connection.sides.iter().map(|side| side.segment_bytes).max().filter(|&bytes| bytes > 0)
}

/// The rate met by the side that said more.
fn rate(connection: &Connection) -> Option<u64> {
    let [client, server] = &connection.sides;
    let most = if client.payload_bytes > server.payload_bytes { Side::Client } else { Side::Server };
    connection.rate_bits_per_second[most.index()]
}

fn vantage(vantage: Vantage) -> &'static str {
    match vantage {
        Vantage::Client => "captured at the client",
        Vantage::Server => "captured at the server",
        Vantage::Middle => "captured between the two",
        Vantage::Unknown => "captured at an unknown place",
    }
}

/// What was sent again; nothing when only a packet of the handshake was, which the account shows.
fn losses(connection: &Connection) -> Option<String> {
    let timeouts: u64 = connection.sides.iter().map(|side| side.timeouts).sum();
    let again = units::plural(retransmissions(connection), "retransmission");
    match (retransmissions(connection), timeouts) {
        (0, _) if connection.account.recovery.is_zero() => Some("nothing retransmitted".to_owned()),
        (0, _) => None,
        (_, 0) => Some(again),
        _ => Some(format!("{again}, {} of them after a timeout", units::count(timeouts))),
    }
}

fn conclusion(paper: &mut Paper, connection: &Connection) {
    let whole = connection.duration;
    match Verdict::of(connection) {
        Verdict::Healthy => {
            let well = what_is_well(connection);
            let text = format!(
                "Healthy as far as this version looks: {}{}{}{}.",
                well.join(", "),
                if well.is_empty() { "" } else { "; " },
                account::largest(&connection.account, whole),
                if connection.account.transmission * 2 > whole { ", which it does not judge" } else { "" },
            );
            paper.paragraph("", "", &text, GAIN);
            return;
        }
        Verdict::Unnamed => {
            let account = &connection.account;
            let mut parts = Vec::new();
            if retransmissions(connection) > 0 {
                parts.push(units::plural(retransmissions(connection), "retransmission"));
            }
            for (time, what) in
                [(account.recovery, "repairing losses"), (account.unexplained, "what is not explained")]
            {
                if time * 100 >= whole {
                    parts.push(format!("{} went to {what}", units::duration(time)));
                }
            }
            let text = format!(
                "No finding, but not healthy: {}. This version measures that and does not diagnose it.",
                parts.join(", ")
            );
            paper.paragraph("", "", &text, HEADING);
        }
        Verdict::Application => {
            let account = &connection.account;
            let (who, time) = if account.server_thinking >= account.client_thinking {
                (Side::Server, account.server_thinking)
            } else {
                (Side::Client, account.client_thinking)
            };
            paper.paragraph(
                "",
                "",
                &format!(
                    "The application, not the network: {} of the time the {} was thinking ({}).",
                    units::percent(units::share(time, whole)),
                    who.name(),
                    units::duration(time),
                ),
                HEADING,
            );
        }
        Verdict::Network => {}
    }
    let well = what_is_well(connection);
    if !well.is_empty() {
        let label = if Verdict::of(connection) == Verdict::Unnamed { "In order" } else { "Healthy" };
        paper.prose(&format!("{label}: {}.", well.join(", ")));
    }
}

fn what_is_well(connection: &Connection) -> Vec<&'static str> {
    let account = &connection.account;
    let mut well = Vec::new();
    if (account.delayed_ack + account.nagle).is_zero() {
        well.push("no write waited in Nagle");
    }
    if retransmissions(connection) == 0 && account.recovery.is_zero() {
        well.push("nothing was retransmitted");
    }
    if connection.sides.iter().all(|side| !side.reset) {
        well.push("nobody reset the connection");
    }
    if thinking(connection) * 20 < connection.duration {
        well.push("the applications hardly kept each other waiting");
    }
    well
}

fn not_visible(paper: &mut Paper, connection: &Connection) {
    let mut limits = connection.limits.clone();
    limits.push("the options of the sockets".to_owned());
    paper.prose(&format!("Not visible: {}.", limits.join("; ")));
}
