//! What else is in the file? A compact table of the connections that are not shown in full.

use super::connection::addresses;
use super::look::{DIM, LOST};
use super::paper::{Cell, Paper};
use crate::report::{Verdict, lost, thinking};
use crate::units;
use narrows_trace::Connection;

/// Rows before the rest is only counted.
const ROWS: usize = 10;

/// The connections beyond those shown in full, in the order of the ranking.
pub fn write(paper: &mut Paper, others: &[&Connection]) {
    let (unwell, healthy): (Vec<&Connection>, Vec<&Connection>) =
        others.iter().partition(|connection| Verdict::of(connection) != Verdict::Healthy);
    if !unwell.is_empty() {
        paper.heading("Other connections");
        let rows: Vec<Vec<Cell>> = unwell.iter().take(ROWS).map(|connection| row(connection)).collect();
        paper.table("  ", &rows, 3);
    }
    let mut rest = Vec::new();
    if let Some(more) = unwell.len().checked_sub(ROWS).filter(|&more| more > 0) {
        rest.push(format!("{} more like these", units::count(more as u64)));
    }
    if !healthy.is_empty() {
        let all = if healthy.len() > 1 { "all " } else { "" };
        rest.push(format!("{} more, {all}healthy", units::count(healthy.len() as u64)));
    }
    if !rest.is_empty() {
        paper.prose(&format!("… and {}", rest.join("; ")));
    }
    if !others.is_empty() {
        paper.paragraph("", "", "--connection N shows one in full, --json all of them.", DIM);
    }
}

fn row(connection: &Connection) -> Vec<Cell> {
    let (time, what) = match Verdict::of(connection) {
        Verdict::Network => (
            Cell::right(format!("−{}", units::duration(lost(connection)))).styled(LOST),
            connection
                .findings
                .iter()
                .map(|finding| {
                    format!("{} ({}x)", finding.cause.name(), units::count(u64::from(finding.count)))
                })
                .collect::<Vec<_>>()
                .join(", "),
        ),
        Verdict::Unnamed => (
            Cell::right(format!("−{}", units::duration(connection.account.recovery))).styled(LOST),
            "retransmission and timeouts".to_owned(),
        ),
        Verdict::Application | Verdict::Healthy => {
            (Cell::right(units::duration(thinking(connection))), "the application was thinking".to_owned())
        }
    };
    vec![
        Cell::right(connection.number.to_string()),
        Cell::left(addresses(connection)),
        time,
        Cell::left(what).styled(DIM),
    ]
}
