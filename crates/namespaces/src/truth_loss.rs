//! Is the lab to be believed where packets get lost? Transfers over paths that lose, reorder and queue, with every congestion
//! control, on our stack and on real Linux hosts; and the page about it.
//!
//! Chance is the link's: with one seed the same numbers of packets are lost on both. Runs differ all the same, since one packet
//! more or less changes what follows. So many seeds are played, and medians and spreads are compared.

use crate::compare::{Comparison, Row, with_spread};
use crate::truth::{COMPLETION_GOAL, Group, scenario};
use crate::truth_page::{counted, difference_within, is_no_chance, milliseconds, titled};
use narrows_lab::scenario::{BulkDirection, Scenario, WorkloadKind};
use narrows_lab::{CoDelConfig, DirectionConfig, GilbertElliott, LinkConfig, Loss, Queue};
use std::fmt::Write as _;
use std::time::Duration;

/// How many seeds the page is made with.
pub const SEEDS: u32 = 20;
/// All congestion controls that are compared.
pub(crate) const CONTROLS: [&str; 3] = ["cubic", "reno", "bbr"];
const SIZES: [(&str, u32); 4] =
    [("20 KB", 20_000), ("200 KB", 200_000), ("2 MB", 2_000_000), ("20 MB", 20_000_000)];

/// All scenarios of the page.
#[must_use]
pub fn groups() -> Vec<Group> {
    vec![
        Group { title: "Random loss, both ways: 20 ms, 50 Mb/s", scenarios: random_losses() },
        Group {
            title: "Random loss, both ways: 100 ms, 200 Mb/s, a receive buffer of 32 KB",
            scenarios: small_windows(),
        },
        Group { title: "Bursts of losses, four packets on average: 20 ms, 50 Mb/s", scenarios: bursts() },
        Group { title: "Reordering: 20 ms, 50 Mb/s, packets held up by 5 ms", scenarios: reordering() },
        Group { title: "Bottleneck queues: 40 ms and up to 0.1 ms more, 50 Mb/s", scenarios: queues() },
    ]
}

/// A download; what the road does to packets is `change`d on both directions.
pub(crate) fn transfer(
    what: &str,
    control: &str,
    (size, bytes): (&str, u32),
    round_trip_ms: u64,
    change: impl Fn(&mut DirectionConfig),
) -> Scenario {
    let kind = WorkloadKind::Bulk { bytes: u64::from(bytes), direction: BulkDirection::Download };
    let knobs = [("congestion_control", control)];
    let title = format!("{size}, {what}, {control}");
    let mut scenario = scenario(title, round_trip_ms, Some(50), [&knobs, &knobs], kind);
    for link in &mut scenario.links {
        let LinkConfig { forward, backward, .. } = &mut link.config;
        change(forward);
        change(backward);
    }
    scenario.time_limit = Duration::from_secs(180);
    scenario
}

fn random_losses() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (number, size) in SIZES.into_iter().enumerate() {
        // A large transfer with many losses would take minutes.
        let losses: &[f64] = if number < 3 { &[0.01, 0.02, 0.05] } else { &[0.001, 0.01] };
        for loss in losses {
            for control in CONTROLS {
                let what = format!("{} %", loss * 100.0);
                all.push(transfer(&what, control, size, 20, |road| road.loss = Loss::Random(*loss)));
            }
        }
    }
    all
}

/// Where neither rate nor queue matters, only what losses do to the window: half a minute each with CUBIC, and a minute for the means
/// that docs/performance.md has.
fn small_windows() -> Vec<Scenario> {
    let (mb_2, mb_5) = (("2 MB", 2_000_000), ("5 MB", 5_000_000));
    let mut all = Vec::new();
    for (loss, size, controls) in [
        (0.01, mb_5, &CONTROLS[..]),
        (0.02, mb_5, &CONTROLS),
        (0.05, mb_2, &CONTROLS),
        (0.01, ("10 MB", 10_000_000), &CONTROLS[..1]),
        (0.02, ("7 MB", 7_000_000), &CONTROLS[..1]),
        (0.05, ("4 MB", 4_000_000), &CONTROLS[..1]),
    ] {
        for control in controls {
            let what = format!("{} %, 32 KB", loss * 100.0);
            let mut scenario = transfer(&what, control, size, 100, |road| {
                road.loss = Loss::Random(loss);
                road.rate_bits_per_second = Some(200_000_000);
            });
            if let Some(client) = scenario.hosts.first_mut() {
                // A name and a value of the table of knobs.
                let _ = client.set("rcvbuf", "32768");
            }
            all.push(scenario);
        }
    }
    all
}

fn bursts() -> Vec<Scenario> {
    let model = GilbertElliott { to_bad: 0.003, to_good: 0.25, loss_in_good: 0.0, loss_in_bad: 1.0 };
    let mut all = Vec::new();
    for size in &SIZES[1..3] {
        for control in CONTROLS {
            let bursts = |road: &mut DirectionConfig| road.loss = Loss::GilbertElliott(model);
            all.push(transfer("bursts", control, *size, 20, bursts));
        }
    }
    all
}

fn reordering() -> Vec<Scenario> {
    let mut all = Vec::new();
    for size in &SIZES[1..3] {
        for share in [0.01, 0.05] {
            for control in CONTROLS {
                let what = format!("{} % reordered", share * 100.0);
                all.push(transfer(&what, control, *size, 20, |road| {
                    road.reorder = share;
                    road.reorder_by = Duration::from_millis(5);
                }));
            }
        }
    }
    all
}

fn queues() -> Vec<Scenario> {
    let queues = [
        ("64 KB drop-tail", 64_000, Queue::DropTail),
        ("250 KB drop-tail", 250_000, Queue::DropTail),
        ("CoDel", 1_500_000, Queue::CoDel(CoDelConfig::default())),
    ];
    let mut all = Vec::new();
    for size in &SIZES[2..] {
        for (what, bytes, queue) in queues {
            for control in CONTROLS {
                all.push(transfer(what, control, *size, 40, |road| {
                    (road.queue_bytes, road.queue) = (bytes, queue);
                    // Without it nothing would depend on the seed, and one packet more or less in a full queue decides.
                    road.jitter = Duration::from_micros(100);
                }));
            }
        }
    }
    all
}

pub(crate) fn completes_near(comparison: &Comparison) -> bool {
    let difference = comparison.row("completion").and_then(Row::difference);
    difference.is_some_and(|difference| difference.abs() <= COMPLETION_GOAL)
}

fn resends_alike(comparison: &Comparison) -> bool {
    ["retransmissions of ", "timeouts of "].iter().all(|what| comparison.total(what).is_within_spread())
}

/// The page, as Markdown.
#[must_use]
pub fn page(groups: &[(&str, Vec<Comparison>)], kernel: &str, seeds: u32) -> String {
    let all: Vec<&Comparison> = groups.iter().flat_map(|(_, comparisons)| comparisons).collect();
    let count = |near: fn(&Comparison) -> bool| all.iter().filter(|comparison| near(comparison)).count();
    let is_certain = |c: &&&Comparison| c.row("completion").is_some_and(is_no_chance);
    let far = all.iter().filter(|comparison| !completes_near(comparison));
    let (certain, far) = (far.clone().filter(is_certain).count(), far.count());
    let mut page = format!(
        "# Is the lab to be believed where packets get lost?\n\n\
         Each transfer was played with {seeds} seeds on the stack of this repository in virtual time, and with the same {seeds} seeds \
         between real Linux hosts (kernel {kernel}) in network namespaces over the same links in real time. Numbers are medians, in \
         brackets the least and the most of all seeds. This page is made by `narrows lab compare --losses docs/truth-loss.md --runs \
         crates/namespaces/measured/losses.jsonl --at-once 24`, as root; the runs of the real hosts are kept in that file, ours are always \
         those of this version.\n\n\
         The goal is a median completion within {:.0} % of Linux's, and retransmissions and timeouts (medians) within the spread of \
         Linux's own runs. Of {} transfers, {} reach both, {} the completion, {} the retransmissions and timeouts. What does not is in \
         bold. Where runs of a transfer go one way or another, as where the last packet is lost or not, a median of {seeds} seeds says \
         little: beside the difference is the interval in which it lies with 95 % probability (bootstrap over the seeds). Of the {far} in \
         bold it leaves zero outside in {certain}.\n",
        COMPLETION_GOAL * 100.0,
        all.len(),
        count(|c| completes_near(c) && resends_alike(c)),
        count(completes_near),
        count(resends_alike),
    );
    for (title, comparisons) in groups {
        let _ = write!(
            page,
            "\n## {title}\n\n\
             | transfer | completion, ms | Linux | difference | retransmissions | Linux | timeouts | Linux |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        );
        for comparison in comparisons {
            row(&mut page, comparison);
        }
    }
    page
}

fn row(page: &mut String, comparison: &Comparison) {
    let Some(completion) = comparison.row("completion") else { return };
    let difference = difference_within(completion, completes_near(comparison));
    let _ = write!(
        page,
        "| {} | {} | {} | {difference} |",
        titled(comparison),
        with_spread(&completion.ours, milliseconds),
        with_spread(&completion.linux, milliseconds)
    );
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
    fn every_transfer_of_the_page_can_be_played_and_chance_differs_by_seed() {
        for scenario in groups().iter().flat_map(|group| &group.scenarios) {
            if scenario.title.starts_with("20 MB") {
                continue;
            }
            let options = TakeOptions { seed: 1, capture: false, awake: Duration::ZERO, unfinished: false };
            let takes = [1, 2].map(|seed| ours(scenario, TakeOptions { seed, ..options }).unwrap());
            assert!(takes[0].completion > Duration::ZERO, "{}", scenario.title);
            let chance = scenario.title.contains('%') && scenario.title.starts_with("2 MB");
            assert!(!chance || takes[0].sent != takes[1].sent, "{}", scenario.title);
        }
    }

    #[test]
    fn medians_are_held_against_linuxs_median_and_spread() {
        let row = |name: &str, ours: &[f64], linux: &[f64]| Row {
            name: name.to_owned(),
            unit: Unit::Count,
            ours: ours.to_vec(),
            linux: linux.to_vec(),
        };
        let comparison = Comparison {
            name: "a".to_owned(),
            title: "a".to_owned(),
            rows: vec![
                row("completion", &[0.1, 0.2, 0.3], &[0.1, 0.204, 0.4]),
                row("retransmissions of x", &[9.0, 9.0, 9.0], &[2.0, 3.0, 8.0]),
                row("timeouts of x", &[1.0, 1.0, 1.0], &[0.0, 0.0, 2.0]),
            ],
            not_settable: Vec::new(),
            host_times: Default::default(),
            late: (Duration::ZERO, Duration::ZERO),
            late_repetitions: 0,
            captures: None,
        };
        let page = page(&[("Group", vec![comparison])], "6.0", 3);
        assert!(
            page.contains("Of 1 transfers, 0 reach both, 1 the completion, 0 the retransmissions"),
            "{page}"
        );
        let line = "| a | 200 (100–300) | 204 (100–400) | -2.0 % | **9** | 3 (2–8) | 1 | 0 (0–2) |";
        assert!(page.contains(line), "{page}");
    }
}
