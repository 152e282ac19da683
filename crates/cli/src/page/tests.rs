use super::*;
use crate::report::{Examined, FileReport};
use crate::sample;
use look::columns;
use narrows_trace::{Cause, Confidence};
use proptest::prelude::*;

fn plain(report: &FileReport, request: Request, look: Look) -> String {
    anstream::adapter::strip_str(&render(report, request, look)).to_string()
}

fn page(report: &FileReport) -> String {
    plain(report, Request::default(), Look::new(80, true))
}

#[test]
fn nagle() {
    insta::assert_snapshot!(page(&sample::file(vec![sample::nagle()])));
}

#[test]
fn healthy() {
    insta::assert_snapshot!(page(&sample::file(vec![sample::healthy()])));
}

#[test]
fn application() {
    insta::assert_snapshot!(page(&sample::file(vec![sample::application()])));
}

#[test]
fn lossy() {
    insta::assert_snapshot!(page(&sample::file(vec![sample::lossy()])));
}

#[test]
fn damaged() {
    insta::assert_snapshot!(page(&sample::damaged()));
}

#[test]
fn refused() {
    insta::assert_snapshot!(page(&sample::file(vec![sample::refused()])));
}

#[test]
fn narrow_and_ascii() {
    let report = sample::file(vec![sample::nagle()]);
    let text = plain(&report, Request::default(), Look::new(60, false));
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}

#[test]
fn many() {
    let mut connections: Vec<Examined> = (0..16).map(|_| sample::nagle()).collect();
    for (index, examined) in (1..).zip(&mut connections) {
        examined.connection.findings[0].lost /= index;
    }
    connections.push(sample::application());
    connections.extend((0..12).map(|_| sample::healthy()));
    let text = page(&sample::file(connections));
    insta::assert_snapshot!(text.split_once("Other connections").expect("a table").1);
}

#[test]
fn many_healthy() {
    insta::assert_snapshot!(page(&sample::file((0..12).map(|_| sample::healthy()).collect())));
}

#[test]
fn what_is_worth_knowing_of_healthy_ones_is_said_and_bears_its_fix() {
    let mut tunnelled = sample::healthy();
    tunnelled.connection.findings.push(narrows_trace::Finding {
        cause: Cause::OuterFragmentation,
        side: narrows_lab::Side::Server,
        count: 207,
        lost: Duration::ZERO,
        evidence: vec![7],
        confidence: Confidence::High,
        why: "too large".to_owned(),
        path_mtu: Some(narrows_trace::PathMtu { least: 1476, most: 1476 }),
    });
    let report = sample::file(vec![sample::healthy(), tunnelled.clone(), tunnelled]);
    let text = page(&report);
    let said = "Worth knowing: outer-fragmentation in 2 connections; --connection 2 shows it.";
    assert!(text.contains(said), "{text}");
    let text = plain(&report, Request { connection: Some(2), ..Request::default() }, Look::new(120, true));
    assert!(text.contains("        sudo ip link set dev wg0 mtu 1476  #"), "{text}");
}

#[test]
fn nothing_in_it() {
    insta::assert_snapshot!(page(&FileReport { name: "-".to_owned(), ..FileReport::default() }));
}

#[test]
fn the_most_lost_time_comes_first() {
    let mut small = sample::nagle();
    small.connection.findings[0].lost /= 100;
    let text = page(&sample::file(vec![sample::healthy(), small, sample::nagle()]));
    let place = |heading: &str| text.find(heading).expect(heading);
    assert!(place("Connection 3:") < place("Connection 2:"));
    assert!(!text.contains("Connection 1:"));
    assert!(text.contains("… and 1 more, healthy"));
}

#[test]
fn applications_are_shown_in_full_when_nothing_else_is_wrong() {
    let text = page(&sample::file(vec![sample::application(), sample::nagle(), sample::healthy()]));
    assert!(text.contains("Connection 2:") && !text.contains("Connection 1:"), "{text}");
    let text = page(&sample::file(vec![sample::application(), sample::healthy()]));
    assert!(text.contains("Connection 1:"), "{text}");
}

#[test]
fn one_connection_can_be_asked_for() {
    let report = sample::file(vec![sample::nagle(), sample::healthy()]);
    let text = plain(&report, Request { connection: Some(2), ..Request::default() }, Look::new(80, true));
    assert!(text.contains("Connection 2:"));
    assert!(!text.contains("Connection 1:"));
}

#[test]
fn all_evidence_is_listed_when_asked_for() {
    let report = sample::file(vec![sample::nagle()]);
    let short = page(&report);
    assert!(short.contains("packets 6, 11, 16, 21, … 96 more: --evidence 1"), "{short}");
    let request = Request { evidence: Some(1), ..Request::default() };
    let long = plain(&report, request, Look::new(80, true));
    assert!(long.contains(" 501"), "{long}");
    assert!(!long.contains("--evidence"));
}

/// A line of a fix, which is there to be copied and stays in one piece.
fn is_code(line: &str) -> bool {
    narrows_stack::knob::KNOBS
        .iter()
        .flat_map(|knob| knob.fixes)
        .flat_map(|fix| fix.lines)
        .any(|code| line.ends_with(code))
}

#[test]
fn no_line_is_wider_than_the_page() {
    let mut long = sample::nagle();
    long.connection.client = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535".parse().expect("an address");
    long.connection.server = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().expect("an address");
    let mut reports = vec![sample::damaged(), sample::file(vec![long.clone()])];
    reports.push(sample::file(vec![long.clone(), long.clone(), long.clone(), long.clone(), long]));
    reports[0].name = "a-directory/".repeat(20);
    for report in &reports {
        for width in [60, 70, 80, 100, 120] {
            for unicode in [true, false] {
                let request = Request { evidence: Some(1), ..Request::default() };
                for line in plain(report, request, Look::new(width, unicode)).lines() {
                    assert!(columns(line) <= width || is_code(line), "{width}: {line}");
                }
            }
        }
    }
}

#[test]
fn a_fix_is_on_the_page_once() {
    let text = page(&sample::file(vec![sample::nagle(), sample::nagle()]));
    assert_eq!(text.matches("socket.setNoDelay(true)").count(), 1);
    assert_eq!(text.matches("How to turn client.nodelay=true: as above").count(), 1);
}

#[test]
fn a_connection_of_one_packet_has_no_account() {
    let mut examined = sample::healthy();
    examined.connection.duration = Duration::ZERO;
    examined.connection.account = TimeAccount::default();
    let text = page(&sample::file(vec![examined]));
    assert!(!text.contains("went"), "{text}");
    assert!(!text.contains("\n\n\n"), "{text}");
}

#[test]
fn a_file_name_cannot_send_escapes() {
    let mut report = sample::file(vec![sample::healthy()]);
    report.name = "\u{1b}]0;owned\u{7}.pcap".to_owned();
    assert!(!page(&report).contains(['\u{1b}', '\u{7}']));
}

proptest! {
    #[test]
    fn no_values_panic_or_leave_the_page(
        parts in prop::array::uniform8(0u64..100_000_000_000_000),
        estimates in prop::array::uniform4(0u64..100_000_000_000_000),
        count: u32,
        evidence in prop::collection::vec(any::<u64>(), 0..40),
        cause in prop::sample::select(vec![
            Cause::NagleDelayedAck,
            Cause::NagleWithoutDelayedAck,
            Cause::ServerThinkTime,
        ]),
        confidence in prop::sample::select(vec![Confidence::Low, Confidence::Medium, Confidence::High]),
        width in 0usize..200,
        unicode: bool,
    ) {
        let mut examined = sample::nagle();
        let time = Duration::from_nanos;
        let connection = &mut examined.connection;
        connection.account = TimeAccount {
            network: time(parts[0]),
            delayed_ack: time(parts[1]),
            nagle: time(parts[2]),
            client_thinking: time(parts[3]),
            server_thinking: time(parts[4]),
            recovery: time(parts[5]),
            transmission: time(parts[6]),
            unexplained: time(parts[7]),
        };
        connection.duration = time(parts.iter().sum());
        let finding = &mut connection.findings[0];
        (finding.count, finding.evidence, finding.cause, finding.confidence) =
            (count, evidence, cause, confidence);
        finding.lost = time(parts[1]);
        for prediction in &mut examined.what_if.as_mut().expect("a replay").predictions {
            let [before, after, low, high] = estimates.map(time);
            prediction.duration = narrows_whatif::Estimate { before, after, low, high };
        }
        let look = Look::new(width, unicode);
        for line in plain(&sample::file(vec![examined]), Request::default(), look).lines() {
            prop_assert!(columns(line) <= look.width() || is_code(line), "{}: {}", look.width(), line);
        }
    }
}
