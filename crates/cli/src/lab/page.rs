//! What does a run look like on the page? Workloads, hosts, links that lost something, the time's account, findings.

use super::run::Run;
use crate::page::paper::{Cell, Paper};
use crate::page::{DIM, Look, account};
use crate::units;
use narrows_lab::DirectionCounters;
use narrows_lab::scenario::{Ending, WorkloadReport};
use std::time::Duration;

/// The page of one run.
pub fn render(run: &Run, look: Look) -> String {
    let mut paper = Paper::new(look);
    paper.heading(&format!("{}: {}", run.scenario.name, run.scenario.title));
    let hash = run.report.packet_hash.map_or(String::new(), |hash| format!(", packets' hash {hash:016x}"));
    paper.paragraph(
        "",
        "",
        &format!(
            "seed {}{hash}; {} of virtual time with {} took {} of CPU",
            run.scenario.seed,
            units::duration(run.report.time),
            units::plural(run.report.events, "event"),
            units::duration(run.cpu)
        ),
        DIM,
    );
    workloads(&mut paper, &run.report.workloads);
    hosts(&mut paper, run);
    links(&mut paper, run);
    tunnels(&mut paper, run);
    routers(&mut paper, run);
    for (workload, seen) in run.report.workloads.iter().zip(&run.seen) {
        let whose = match seen.connections {
            0 => continue,
            1 => format!("{}'s", workload.name),
            many => format!("{}'s {many} connections'", workload.name),
        };
        account::write(&mut paper, &whose, &seen.account, seen.duration);
        for finding in &seen.findings {
            paper.prose(&format!(
                "explain finds {} of the {}: {} times, {} lost.",
                finding.cause.name(),
                finding.side.name(),
                units::count(u64::from(finding.count)),
                units::duration(finding.lost)
            ));
        }
    }
    for capture in &run.captures {
        paper.paragraph("", "", &format!("capture: {}", capture.display()), DIM);
    }
    paper.finish()
}

fn titles(names: &[&str]) -> Vec<Cell> {
    let title = |(at, name): (usize, &&str)| if at == 0 { Cell::left(*name) } else { Cell::right(*name) };
    names.iter().enumerate().map(title).map(|cell| cell.styled(DIM)).collect()
}

/// How it ended, in words.
pub fn ending(ending: Ending) -> String {
    match ending {
        Ending::Completed => "completed".to_owned(),
        Ending::TimeLimit => "time limit".to_owned(),
        Ending::Stuck => "stuck".to_owned(),
        Ending::Failed(side, error) => format!("{}: {error}", side.name()),
        Ending::NothingSent(error) => format!("nothing sent: {error}"),
    }
}

/// A time that may be missing.
pub fn time(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), units::duration)
}

fn workloads(paper: &mut Paper, workloads: &[WorkloadReport]) {
    paper.blank();
    let mut rows = vec![titles(&["workload", "ended", "time", "exchanges", "p50", "p99", "mean", "goodput"])];
    for workload in workloads {
        rows.push(vec![
            Cell::left(workload.name.as_str()),
            Cell::right(ending(workload.ending)),
            Cell::right(units::duration(workload.duration)),
            Cell::right(units::count(workload.exchanges.len() as u64)),
            Cell::right(time(workload.percentile(0.5))),
            Cell::right(time(workload.percentile(0.99))),
            Cell::right(time(workload.mean())),
            Cell::right(rate(workload.goodput_bits_per_second())),
        ]);
    }
    paper.table("  ", &rows, 7);
    datagrams(paper, workloads);
}

fn datagrams(paper: &mut Paper, workloads: &[WorkloadReport]) {
    let mut rows = vec![titles(&["datagrams", "sent", "refused", "received", "delivered", "late or twice"])];
    for workload in workloads {
        let Some(report) = workload.datagrams else { continue };
        rows.push(vec![
            Cell::left(workload.name.as_str()),
            Cell::right(units::count(report.sent)),
            Cell::right(units::count(report.refused)),
            Cell::right(units::count(report.received)),
            Cell::right(format!("{:.2} %", report.delivered() * 100.0)),
            Cell::right(units::count(report.reordered)),
        ]);
    }
    if rows.len() > 1 {
        paper.blank();
        paper.table("  ", &rows, 6);
    }
}

/// A rate with three digits: `96.2 Mbit/s`.
pub fn rate(bits_per_second: f64) -> String {
    let (value, unit) = match bits_per_second {
        low if low < 999.5e3 => (low / 1e3, "kbit/s"),
        medium if medium < 999.5e6 => (medium / 1e6, "Mbit/s"),
        high => (high / 1e9, "Gbit/s"),
    };
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

fn hosts(paper: &mut Paper, run: &Run) {
    paper.blank();
    let mut rows =
        vec![titles(&["host sends", "packets", "bytes", "data", "ACKs", "late ACKs", "again", "timeouts"])];
    for host in &run.report.hosts {
        let mut row = vec![Cell::left(host.name.as_str())];
        let numbers = [
            host.packets,
            host.bytes,
            host.data_packets,
            host.acks,
            host.delayed_acks,
            host.retransmissions,
            host.timeouts,
        ];
        row.extend(numbers.map(|number| Cell::right(units::count(number))));
        rows.push(row);
    }
    paper.table("  ", &rows, 8);
}

fn links(paper: &mut Paper, run: &Run) {
    let mut rows = vec![titles(&[
        "link loses",
        "direction",
        "queue full",
        "CoDel",
        "chance",
        "bit errors",
        "listed",
        "too large",
        "marks",
    ])];
    for (name, directions) in &run.report.links {
        for (direction, counters) in ["forward", "backward"].into_iter().zip(directions) {
            let lost = losses(counters);
            if lost.iter().any(|lost| *lost > 0) {
                let mut row = vec![Cell::left(name.as_str()), Cell::right(direction)];
                row.extend(lost.map(|lost| Cell::right(units::count(lost))));
                rows.push(row);
            }
        }
    }
    if rows.len() > 1 {
        paper.blank();
        paper.table("  ", &rows, 9);
    }
}

/// The tunnels whose entrance cut outer packets.
fn tunnels(paper: &mut Paper, run: &Run) {
    let mut rows = vec![titles(&["tunnel", "direction", "packets cut outside", "into"])];
    for (name, directions) in &run.report.links {
        for (direction, counters) in ["forward", "backward"].into_iter().zip(directions) {
            if counters.outer_fragmented > 0 {
                rows.push(vec![
                    Cell::left(name.as_str()),
                    Cell::right(direction),
                    Cell::right(units::count(counters.outer_fragmented)),
                    Cell::right(units::count(counters.outer_fragments)),
                ]);
            }
        }
    }
    if rows.len() > 1 {
        paper.blank();
        paper.table("  ", &rows, 4);
    }
}

fn routers(paper: &mut Paper, run: &Run) {
    let mut rows =
        vec![titles(&["router", "too big", "told", "told not", "cut", "into", "by intent", "no way"])];
    for (name, counters) in &run.report.routers {
        let [cut, pieces] = counters.fragmented;
        let lost = counters.dropped_no_route + counters.dropped_hop_limit;
        let numbers = [
            counters.dropped_too_big,
            counters.icmp_sent,
            counters.icmp_limited,
            cut,
            pieces,
            counters.dropped_by_middlebox,
            lost,
        ];
        if numbers.iter().any(|number| *number > 0) {
            let mut row = vec![Cell::left(name.as_str())];
            row.extend(numbers.map(|number| Cell::right(units::count(number))));
            rows.push(row);
        }
    }
    if rows.len() > 1 {
        paper.blank();
        paper.table("  ", &rows, 8);
    }
}

fn losses(counters: &DirectionCounters) -> [u64; 7] {
    [
        counters.dropped_queue_full,
        counters.dropped_by_codel,
        counters.lost_randomly,
        counters.lost_to_bit_errors,
        counters.lost_as_listed,
        counters.dropped_too_large,
        counters.marked,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        assert_eq!(rate(0.0), "0.00 kbit/s");
        assert_eq!(rate(96_213_000.0), "96.2 Mbit/s");
        assert_eq!(rate(999_600_000.0), "1.00 Gbit/s");
        assert_eq!(rate(512_300.0), "512 kbit/s");
    }
}
