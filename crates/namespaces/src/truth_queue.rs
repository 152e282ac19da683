//! Is the lab to be believed where queues mark, segments are paced, and connections share a link? Such transfers on our stack and on
//! real Linux hosts; and the page about it.
//!
//! The marks are those of the lab's own queues, which both kinds of hosts meet. Pacing on the real hosts is TCP's own (SO_MAX_PACING_RATE),
//! with the times that the queue `fq` would give.

use crate::compare::{Comparison, Row, with_spread};
use crate::truth::{COMPLETION_GOAL, Group, scenario};
use crate::truth_loss::{CONTROLS, completes_near, transfer};
use crate::truth_page::{counted, difference_within, milliseconds, spread_out, titled};
use narrows_lab::scenario::{BulkDirection, Scenario, WorkloadKind};
use narrows_lab::{CoDelConfig, DirectionConfig, Loss, Queue};
use std::fmt::Write as _;
use std::time::Duration;

/// How many seeds the page is made with.
pub const SEEDS: u32 = 20;
/// How many connections share a link.
const CONNECTIONS: u16 = 16;
const SHARED_MEGABITS: u64 = 200;
/// For how long they do.
const SHARED_FOR: Duration = Duration::from_secs(30);
/// Real time, and much of a processor: with fewer seeds.
const SHARED_SEEDS: u32 = 5;
const KB_200: (&str, u32) = ("200 KB", 200_000);
const MB_2: (&str, u32) = ("2 MB", 2_000_000);
const MB_10: (&str, u32) = ("10 MB", 10_000_000);

/// All scenarios of the page.
#[must_use]
pub fn groups() -> Vec<Group> {
    vec![
        Group { title: "ECN (RFC 3168), asked for by both: 40 ms, 50 Mb/s", scenarios: marks() },
        Group { title: "Paced: 40 ms, 50 Mb/s", scenarios: paces() },
        Group { title: SHARING, scenarios: shares() },
    ]
}

const SHARING: &str = "16 connections for 30 s, five seeds: 100 ms, 200 Mb/s, 64 KB drop-tail";

/// The sender and the receiver have the knobs too.
fn with(mut scenario: Scenario, knobs: &[(&str, &str)]) -> Scenario {
    for host in &mut scenario.hosts {
        for (knob, value) in knobs {
            // Names and values of the table of knobs: a test sees to it.
            let _ = host.set(knob, value);
        }
    }
    scenario
}

/// Without it nothing would depend on the seed, and one packet more or less in a full queue decides.
fn jitter(road: &mut DirectionConfig) {
    road.jitter = Duration::from_micros(100);
}

fn marks() -> Vec<Scenario> {
    let queues = [
        ("CoDel marks", 1_500_000, Queue::CoDel(CoDelConfig { ecn: true, ..CoDelConfig::default() }), 0.0),
        ("marked above 64 KB", 250_000, Queue::Mark { above_bytes: 64_000 }, 0.0),
        ("marked above 64 KB, 0.1 % lost", 250_000, Queue::Mark { above_bytes: 64_000 }, 0.001),
    ];
    let mut all = Vec::new();
    for size in [MB_2, MB_10] {
        for (what, bytes, queue, loss) in queues {
            for control in CONTROLS {
                let marking = transfer(what, control, size, 40, |road| {
                    jitter(road);
                    (road.queue_bytes, road.queue) = (bytes, queue);
                    if loss > 0.0 {
                        road.loss = Loss::Random(loss);
                    }
                });
                all.push(with(marking, &[("ecn", "on")]));
            }
        }
    }
    all
}

fn paces() -> Vec<Scenario> {
    let mut all = Vec::new();
    for size in [KB_200, MB_2] {
        for control in CONTROLS {
            let limited = transfer("SO_MAX_PACING_RATE 10 Mb/s", control, size, 40, jitter);
            all.push(with(limited, &[("max_pacing_rate", "1250000")]));
        }
    }
    for (what, queue_bytes, loss) in
        [("64 KB drop-tail", 64_000, 0.0), ("250 KB drop-tail", 250_000, 0.0), ("1 % lost", 1_500_000, 0.01)]
    {
        // BBR paces by itself: docs/truth-loss.md has it.
        for control in ["cubic", "reno"] {
            let paced = transfer(&format!("{what}, paced"), control, MB_2, 40, |road| {
                jitter(road);
                road.queue_bytes = queue_bytes;
                if loss > 0.0 {
                    road.loss = Loss::Random(loss);
                }
            });
            all.push(with(paced, &[("pacing", "true")]));
        }
    }
    all
}

/// Paced as evenly as Linux can, with a smaller first window: see docs/performance.md.
const GENTLE: [(&str, &str); 3] = [("pacing_ss_ratio", "100"), ("pacing_ca_ratio", "100"), ("initcwnd", "3")];

fn shares() -> Vec<Scenario> {
    [
        ("cubic", false, &[][..]),
        ("cubic", true, &[]),
        ("cubic", true, &GENTLE),
        ("reno", false, &[]),
        ("reno", true, &[]),
        ("bbr", false, &[]),
    ]
    .into_iter()
    .map(|(control, paced, more)| {
        // More than gets through.
        let kind = WorkloadKind::Bulk { bytes: 10_000_000_000, direction: BulkDirection::Download };
        let more_said: String = more.iter().map(|(knob, value)| format!(", {knob} {value}")).collect();
        let title = format!("{CONNECTIONS} x {control}{}{more_said}", if paced { ", paced" } else { "" });
        let knobs = [("congestion_control", control), ("pacing", if paced { "true" } else { "false" })];
        let mut shared = scenario(title, 100, Some(SHARED_MEGABITS), [&knobs, &knobs], kind);
        for link in &mut shared.links {
            for road in [&mut link.config.forward, &mut link.config.backward] {
                road.queue_bytes = 64_000;
                jitter(road);
            }
        }
        shared.workloads[0].connections = CONNECTIONS;
        // All at once they would lose whole initial windows to one another, and microseconds decide whose.
        shared.workloads[0].every = Duration::from_millis(50);
        shared.time_limit = SHARED_FOR;
        with(shared, more)
    })
    .collect()
}

/// How many of so many seeds this one is played with.
#[must_use]
pub fn seeds(scenario: &Scenario, most: u32) -> u32 {
    if scenario.time_limit == SHARED_FOR { most.min(SHARED_SEEDS) } else { most }
}

fn is_shared(comparison: &Comparison) -> bool {
    comparison.row("fairness").is_some()
}

/// Of a shared link the amount that got through is held against Linux's, of a transfer its completion.
fn is_near(comparison: &Comparison) -> bool {
    let read = comparison.row("bytes read").filter(|_| is_shared(comparison));
    match read {
        Some(read) => read.difference().is_some_and(|difference| difference.abs() <= COMPLETION_GOAL),
        None => completes_near(comparison),
    }
}

/// All that is counted lies within the spread of Linux's own runs.
fn counts_alike(comparison: &Comparison) -> bool {
    let counts = ["retransmissions of ", "timeouts of ", "marks at ", "reductions of "];
    counts.iter().all(|what| comparison.total(what).is_within_spread())
        && comparison.row("fairness").is_none_or(Row::is_within_spread)
}

/// The page, as Markdown.
#[must_use]
pub fn page(groups: &[(&str, Vec<Comparison>)], kernel: &str, seeds: u32) -> String {
    let all: Vec<&Comparison> = groups.iter().flat_map(|(_, comparisons)| comparisons).collect();
    let count = |near: fn(&Comparison) -> bool| all.iter().filter(|comparison| near(comparison)).count();
    let mut page = format!(
        "# Is the lab to be believed where queues mark, segments are paced, and connections share a link?\n\n\
         Each was played with {seeds} seeds on the stack of this repository in virtual time, and with the same {seeds} seeds between \
         real Linux hosts (kernel {kernel}) in network namespaces over the same links in real time. Numbers are medians, in brackets the \
         least and the most of all seeds. This page is made by `narrows lab compare --queues docs/truth-queue.md --runs \
         crates/namespaces/measured/queues.jsonl --at-once 24`, as root; the runs of the real hosts are kept in that file, ours are always \
         those of this version.\n\n\
         The goal is a median completion (of a shared link: what got through) within {:.0} % of Linux's, and everything that is counted \
         (medians) within the spread of Linux's own runs. Of {} rows, {} reach both, {} the completion, {} the counts. What does not is \
         in bold. Beside the difference is the interval in which it lies with 95 % probability (bootstrap over the seeds). Marks are packets that arrived marked (CE), reductions segments that say so (CWR).\n",
        COMPLETION_GOAL * 100.0,
        all.len(),
        count(|c| is_near(c) && counts_alike(c)),
        count(is_near),
        count(counts_alike),
    );
    for (title, comparisons) in groups {
        let shared = comparisons.iter().any(is_shared);
        let heads: &[&str] = if shared {
            &[
                "connections",
                "of the link",
                "Linux",
                "difference",
                "fairness (Jain)",
                "Linux",
                "retransmissions",
                "Linux",
                "timeouts",
                "Linux",
            ]
        } else {
            &[
                "transfer",
                "completion, ms",
                "Linux",
                "difference",
                "retransmissions",
                "Linux",
                "marks",
                "Linux",
                "reductions",
                "Linux",
            ]
        };
        let rules = vec!["---:"; heads.len() - 1].join(" | ");
        let _ = write!(page, "\n## {title}\n\n| {} |\n| --- | {rules} |\n", heads.join(" | "));
        for comparison in comparisons {
            if shared { shared_row(&mut page, comparison) } else { transfer_row(&mut page, comparison) }
        }
    }
    page
}

/// Name, and what is compared, ours and Linux's, with the difference.
fn compared(page: &mut String, comparison: &Comparison, row: &Row, number: impl Fn(f64) -> String + Copy) {
    let difference = difference_within(row, is_near(comparison));
    let (ours, linux) = (with_spread(&row.ours, number), with_spread(&row.linux, number));
    let _ = write!(page, "| {} | {ours} | {linux} | {difference} |", titled(comparison));
}

fn transfer_row(page: &mut String, comparison: &Comparison) {
    let Some(completion) = comparison.row("completion") else { return };
    compared(page, comparison, completion, milliseconds);
    for what in ["retransmissions of ", "marks at ", "reductions of "] {
        let row = comparison.total(what);
        if row.linux.is_empty() {
            page.push_str(" 0 | 0 |");
        } else {
            counted(page, &row);
        }
    }
    page.push('\n');
}

fn shared_row(page: &mut String, comparison: &Comparison) {
    let (Some(read), Some(fairness)) = (comparison.row("bytes read"), comparison.row("fairness")) else {
        return;
    };
    let of_link =
        |bytes: f64| format!("{:.1} %", bytes * 8e-4 / SHARED_FOR.as_secs_f64() / SHARED_MEGABITS as f64);
    compared(page, comparison, read, of_link);
    spread_out(page, fairness, |number| format!("{number:.2}"));
    for what in ["retransmissions of ", "timeouts of "] {
        counted(page, &comparison.total(what));
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Unit;
    use crate::take::{TakeOptions, ours};

    #[test]
    fn every_row_of_the_page_can_be_played_marks_come_and_paces_are_kept() {
        let options = TakeOptions { seed: 1, capture: false, awake: Duration::ZERO, unfinished: true };
        for scenario in groups().iter().flat_map(|group| &group.scenarios) {
            let title = &scenario.title;
            let take = ours(scenario, options).unwrap();
            let marked: u64 = take.sent.iter().map(|(_, sent)| sent.marks).sum();
            assert_eq!(marked > 0, title.contains("mark"), "{title}");
            assert_eq!(take.finished, !title.contains("16 x"), "{title}");
            if title.contains("2 MB, SO_MAX") {
                // 1448 of 1500 bytes are data; ten segments leave at once.
                let least = Duration::from_millis(1_590);
                assert!(
                    (least..least + Duration::from_millis(150)).contains(&take.completion),
                    "{title} {take:?}"
                );
            }
        }
    }

    #[test]
    fn a_shared_link_is_judged_by_what_got_through_and_by_fairness() {
        let row = |name: &str, unit, ours: &[f64], linux: &[f64]| Row {
            name: name.to_owned(),
            unit,
            ours: ours.to_vec(),
            linux: linux.to_vec(),
        };
        let comparison = Comparison {
            name: "a".to_owned(),
            title: "16 x a".to_owned(),
            rows: vec![
                row("completion", Unit::Seconds, &[30.0], &[20.0]),
                row("bytes read", Unit::Bytes, &[675e6], &[750e6]),
                row("fairness", Unit::Share, &[0.8], &[0.9]),
                row("retransmissions of x", Unit::Count, &[5.0], &[5.0]),
            ],
            not_settable: Vec::new(),
            host_times: Default::default(),
            late: (Duration::ZERO, Duration::ZERO),
            late_repetitions: 1,
            captures: None,
        };
        let page = page(&[(SHARING, vec![comparison])], "6.0", 1);
        assert!(page.contains("Of 1 rows, 0 reach both, 0 the completion, 0 the counts."), "{page}");
        let line =
            "| 16 x a (the machine was busy) | 90.0 % | 100.0 % | **-10.0 %** | **0.80** | 0.90 | 5 | 5 |";
        assert!(page.contains(line), "{page}");
    }
}
