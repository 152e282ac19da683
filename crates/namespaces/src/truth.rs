//! Is the lab to be believed? The scenarios on which our stack is held against real Linux hosts, and the page about it.

use crate::compare::{Comparison, Row, median};
use crate::truth_page::{difference, titled};
use narrows_lab::scenario::{
    BulkDirection, HostSpec, LinkSpec, RequestResponse, Scenario, Workload, WorkloadKind,
};
use narrows_lab::{DirectionConfig, LinkConfig};
use std::fmt::Write as _;
use std::time::Duration;

/// Scenarios of one kind.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they have in common.
    pub title: &'static str,
    /// They.
    pub scenarios: Vec<Scenario>,
}

/// How near our stack shall be in completion.
pub const COMPLETION_GOAL: f64 = 0.05;
/// How near it shall be in the number of packets.
pub const PACKETS_GOAL: f64 = 0.02;

/// All scenarios of the page.
#[must_use]
pub fn groups() -> Vec<Group> {
    vec![
        Group { title: "Requests and answers: 20 of 192 and 64 bytes", scenarios: request_response() },
        Group { title: "Transfers", scenarios: transfers() },
        Group { title: "Receive windows: 1 MB at 20 ms and 100 Mb/s", scenarios: receive_windows() },
        Group {
            title: "Idle restart: three answers of 200 KB, one second of silence before each",
            scenarios: idle_restart(),
        },
        Group { title: "Initial windows: one answer at 100 ms and 100 Mb/s", scenarios: initial_windows() },
    ]
}

/// A client and a server (its knobs are the second ones), and a link with that round trip.
pub(crate) fn scenario(
    title: String,
    round_trip_ms: u64,
    megabits: Option<u64>,
    knobs: [&[(&str, &str)]; 2],
    kind: WorkloadKind,
) -> Scenario {
    let hosts = ["client", "server"].into_iter().zip(knobs).map(|(name, knobs)| {
        let mut host = HostSpec::new(name, "linux");
        for (knob, value) in knobs {
            // The names and values below are of the table: a test sees to it.
            let _ = host.set(knob, value);
        }
        host
    });
    let road = DirectionConfig {
        delay: Duration::from_micros(round_trip_ms * 500),
        rate_bits_per_second: megabits.map(|megabits| megabits * 1_000_000),
        ..DirectionConfig::default()
    };
    Scenario {
        name: title.clone(),
        title,
        time_limit: Duration::from_secs(60),
        hosts: hosts.collect(),
        links: vec![LinkSpec {
            name: "path".to_owned(),
            between: ["client".to_owned(), "server".to_owned()],
            config: LinkConfig::symmetric(road),
        }],
        workloads: vec![Workload::new("workload", kind)],
        ..Scenario::default()
    }
}

fn request_response() -> Vec<Scenario> {
    let mut all = Vec::new();
    for round_trip_ms in [1, 20, 80] {
        for (nagle, nodelay) in [("Nagle", "false"), ("TCP_NODELAY", "true")] {
            for (writes, coalesce) in [("two writes", "false"), ("one write", "true")] {
                for (acks, quickack) in
                    [("delayed ACK", "off"), ("quickack by route", "route"), ("TCP_QUICKACK", "socket")]
                {
                    let asking = RequestResponse {
                        requests: 20,
                        request: vec![12, 180],
                        answer: vec![64],
                        ..RequestResponse::default()
                    };
                    all.push(scenario(
                        format!("{round_trip_ms} ms, {nagle}, {writes}, {acks}"),
                        round_trip_ms,
                        None,
                        [&[("nodelay", nodelay), ("coalesce_writes", coalesce)], &[("quickack", quickack)]],
                        WorkloadKind::RequestResponse(asking),
                    ));
                }
            }
        }
    }
    all
}

fn transfers() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (size, bytes) in [("20 KB", 20_000), ("100 KB", 100_000), ("1 MB", 1_000_000), ("10 MB", 10_000_000)]
    {
        for round_trip_ms in [1, 20, 100] {
            for megabits in [10, 100, 500] {
                all.push(scenario(
                    format!("{size}, {round_trip_ms} ms, {megabits} Mb/s"),
                    round_trip_ms,
                    Some(megabits),
                    [&[], &[]],
                    WorkloadKind::Bulk { bytes, direction: BulkDirection::Download },
                ));
            }
        }
    }
    all
}

fn receive_windows() -> Vec<Scenario> {
    [("16 KB", "16384"), ("64 KB", "65536"), ("256 KB", "262144"), ("1 MB", "1048576"), ("autotuned", "0")]
        .into_iter()
        .map(|(name, rcvbuf)| {
            scenario(
                format!("SO_RCVBUF {name}"),
                20,
                Some(100),
                [&[("rcvbuf", rcvbuf)], &[]],
                WorkloadKind::Bulk { bytes: 1_000_000, direction: BulkDirection::Download },
            )
        })
        .collect()
}

fn idle_restart() -> Vec<Scenario> {
    [("with", "true"), ("without", "false")]
        .into_iter()
        .map(|(name, restart)| {
            let asking = RequestResponse {
                requests: 3,
                request: vec![100],
                answer: vec![200_000],
                client_think: Duration::from_secs(1),
                ..RequestResponse::default()
            };
            scenario(
                format!("{name} slow start after idle"),
                40,
                Some(100),
                [&[], &[("slow_start_after_idle", restart)]],
                WorkloadKind::RequestResponse(asking),
            )
        })
        .collect()
}

fn initial_windows() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (size, bytes) in [("20 KB", 20_000), ("100 KB", 100_000)] {
        for initcwnd in ["4", "10", "30"] {
            let asking =
                RequestResponse { request: vec![100], answer: vec![bytes], ..RequestResponse::default() };
            all.push(scenario(
                format!("{size}, initcwnd {initcwnd}"),
                100,
                Some(100),
                [&[], &[("initcwnd", initcwnd)]],
                WorkloadKind::RequestResponse(asking),
            ));
        }
    }
    all
}

/// The page, as Markdown.
#[must_use]
pub fn page(groups: &[(&str, Vec<Comparison>)], kernel: &str, repetitions: u32) -> String {
    let all: Vec<&Comparison> = groups.iter().flat_map(|(_, comparisons)| comparisons).collect();
    let count = |near: fn(&Comparison) -> bool| all.iter().filter(|comparison| near(comparison)).count();
    let microseconds = |of: fn(&Comparison) -> Duration| {
        let all: Vec<f64> = all.iter().map(|comparison| of(comparison).as_secs_f64() * 1e6).collect();
        format!("{:.1}", median(&all))
    };
    let mut page = format!(
        "# Is the lab to be believed?\n\n\
         Each scenario was played {repetitions} times on the stack of this repository in virtual time, and {repetitions} times between real \
         Linux hosts (kernel {kernel}) in network namespaces over the same links in real time; the numbers are medians. This page is \
         made by `narrows lab compare --truth docs/truth.md`, as root.\n\n\
         Before each repetition it was measured how long hosts of this machine take over what arrives: {} µs over a packet and {} µs \
         more until a program runs, as medians over all scenarios. The hosts of our stack were given the times measured.\n\n\
         The goal is a completion within {:.0} % and a number of packets (both ways) within {:.0} %. Of {} scenarios, \
         {} reach both, {} the completion, {} the packets. What does not is in bold.\n",
        microseconds(|comparison| comparison.host_times.processing),
        microseconds(|comparison| comparison.host_times.wakeup),
        COMPLETION_GOAL * 100.0,
        PACKETS_GOAL * 100.0,
        all.len(),
        count(|c| completes_near(c) && counts_near(c)),
        count(completes_near),
        count(counts_near),
    );
    for (title, comparisons) in groups {
        let _ = write!(
            page,
            "\n## {title}\n\n\
             | scenario | completion, ms | Linux | difference | packets | Linux | difference | retransmissions | Linux |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        );
        for comparison in comparisons {
            row(&mut page, comparison);
        }
    }
    page
}

fn completes_near(comparison: &Comparison) -> bool {
    comparison.row("completion").is_some_and(|row| near(row, COMPLETION_GOAL))
}

fn counts_near(comparison: &Comparison) -> bool {
    near(&comparison.packets(), PACKETS_GOAL)
}

fn near(row: &Row, goal: f64) -> bool {
    row.difference().is_some_and(|difference| difference.abs() <= goal)
}

fn row(page: &mut String, comparison: &Comparison) {
    let completion = comparison.row("completion").cloned();
    let completion = completion.unwrap_or_else(|| comparison.packets());
    let packets = comparison.packets();
    let resent = |of: fn(&Row) -> f64| -> f64 {
        let rows = comparison.rows.iter().filter(|row| row.name.starts_with("retransmissions of "));
        rows.fold(0.0, |sum, row| sum + of(row))
    };
    let _ = writeln!(
        page,
        "| {} | {:.1} | {:.1} | {} | {} | {} | {} | {} | {} |",
        titled(comparison),
        completion.medians().0 * 1e3,
        completion.medians().1 * 1e3,
        difference(&completion, near(&completion, COMPLETION_GOAL)),
        packets.medians().0,
        packets.medians().1,
        difference(&packets, near(&packets, PACKETS_GOAL)),
        resent(|row| row.medians().0),
        resent(|row| row.medians().1),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Unit;
    use crate::take::{TakeOptions, ours};
    use narrows_lab::HostTimes;

    #[test]
    fn every_scenario_of_the_page_can_be_played_and_its_knobs_are_set() {
        let mut hosts = 0;
        for scenario in groups().iter().flat_map(|group| &group.scenarios) {
            let options = TakeOptions { seed: 1, capture: false, awake: Duration::ZERO, unfinished: false };
            let take = ours(scenario, options).unwrap();
            assert!(take.completion > Duration::ZERO, "{}", scenario.title);
            hosts += scenario.hosts.iter().filter(|host| !host.knobs.is_empty()).count();
        }
        assert_eq!(hosts, 36 * 2 + 5 + 2 + 6);
    }

    #[test]
    fn what_is_too_far_away_is_bold() {
        let row = |name: &str, ours, linux| Row {
            name: name.to_owned(),
            unit: Unit::Count,
            ours: vec![ours],
            linux: vec![linux],
        };
        let comparison = Comparison {
            name: "a".to_owned(),
            title: "a".to_owned(),
            rows: vec![row("completion", 0.1, 0.104), row("packets of x", 103.0, 100.0)],
            not_settable: Vec::new(),
            host_times: HostTimes::default(),
            late: (Duration::ZERO, Duration::ZERO),
            late_repetitions: 0,
            captures: None,
        };
        let page = page(&[("Group", vec![comparison])], "6.0", 3);
        assert!(page.contains("Of 1 scenarios, 0 reach both, 1 the completion, 0 the packets."), "{page}");
        assert!(page.contains("| a | 100.0 | 104.0 | -3.8 % | 103 | 100 | **+3.0 %** | 0 | 0 |"), "{page}");
    }
}
