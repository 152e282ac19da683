//! What was found, and how can it be checked? Numbered findings with their reason, evidence and confidence.

use super::look::{HEADING, LOST, wrap};
use super::paper::Paper;
use crate::report::is_application;
use crate::units;
use narrows_trace::{Cause, Confidence, Finding, PathMtu};
use narrows_whatif::Afterwards;
use std::time::Duration;

/// Packet numbers that are shown without being asked for.
const SHOWN_EVIDENCE: usize = 4;

/// All findings of a connection or flow of this duration; `all_evidence` is the number of the one whose packets are all
/// listed.
/// `afterwards` is what was lost besides after the stall of the first black hole among them.
pub fn write(
    paper: &mut Paper,
    findings: &[Finding],
    duration: Duration,
    all_evidence: Option<usize>,
    afterwards: Option<Afterwards>,
) {
    let stalled = findings.iter().position(|finding| finding.cause == Cause::PathMtuBlackHole);
    for (index, finding) in findings.iter().enumerate() {
        let number = index + 1;
        if index > 0 {
            paper.blank();
        }
        title(paper, number, finding, duration);
        paper.labelled("why   ", &finding.why);
        if let Some(afterwards) = afterwards.filter(|_| stalled == Some(index)) {
            paper.labelled("also  ", &slow_again(afterwards));
        }
        paper.labelled("see   ", &evidence(finding, number, all_evidence == Some(number)));
        paper.labelled("sure  ", sureness(finding.confidence));
    }
}

fn title(paper: &mut Paper, number: usize, finding: &Finding, duration: Duration) {
    let share = units::percent(units::share(finding.lost, duration));
    let plain = is_application(finding) || finding.cause.is_information();
    let (sign, style) = if plain { ("", HEADING) } else { ("−", LOST) };
    let lost = if finding.lost.is_zero() && finding.cause.is_information() {
        "costs no time".to_owned()
    } else {
        paper.look.spell(&format!("{sign}{} ({share})", units::duration(finding.lost)))
    };
    let look = paper.look;
    let room = look.width().saturating_sub(3 + 2 + super::look::columns(&lost));
    let lines = wrap(&look.spell(&headline(finding)), room);
    for (index, line) in lines.iter().enumerate() {
        if index == 0 {
            let line = super::look::left(line, room);
            paper.line(format_args!("{HEADING}{number:<2} {line}{HEADING:#}  {style}{lost}{style:#}"));
        } else {
            paper.line(format_args!("{HEADING}   {line}{HEADING:#}"));
        }
    }
}

/// What happened, as a heading.
pub fn headline(finding: &Finding) -> String {
    let side = finding.side.name();
    let segments = units::plural(u64::from(finding.count), "small segment");
    match finding.cause {
        Cause::NagleDelayedAck => {
            format!("Nagle held {segments} of the {side} until a delayed ACK came")
        }
        Cause::NagleWithoutDelayedAck => {
            format!("Nagle held {segments} of the {side} for a round trip")
        }
        Cause::ServerThinkTime => {
            format!(
                "The {side}'s application was thinking, {}",
                units::plural(u64::from(finding.count), "time")
            )
        }
        Cause::PathMtuBlackHole => format!(
            "Path MTU black hole: {} of the {side} vanished for {} size",
            units::plural(u64::from(finding.count), "packet"),
            if finding.count == 1 { "its" } else { "their" },
        ),
        Cause::MtuProbingRecovers => format!("The {side} found a packet size that passes by probing"),
        Cause::PathMtuDiscovery => {
            format!("Path MTU discovery told the {side} to send {}", smaller(finding.path_mtu))
        }
        Cause::MssClamped => format!("The MSS for the {side}'s segments was lowered on the way"),
        Cause::OuterFragmentation => format!(
            "The MSS is too large for the tunnel: {} of the {side} were fragmented",
            units::plural(u64::from(finding.count), "packet")
        ),
        Cause::IpFragmentation => {
            format!("{} of the {side} in IP fragments", units::plural(u64::from(finding.count), "packet"))
        }
        Cause::SmallSegments => format!("Small segments of the {side} waste headers"),
        Cause::JumboUnused => format!("Jumbo frames of both ends do not reach across the path ({side})"),
    }
}

fn smaller(path_mtu: Option<PathMtu>) -> String {
    match path_mtu {
        Some(PathMtu { least, .. }) => format!("packets of {least} bytes"),
        None => "smaller packets".to_owned(),
    }
}

/// What the sender's slow way back cost.
fn slow_again(afterwards: Afterwards) -> String {
    let Afterwards { side, lost, low, high } = afterwards;
    format!(
        "about {} more [{}] afterwards, against a replay in which nothing vanishes: the timeouts have left the {} a window \
         of one segment to begin with again, and it has to find the size that passes",
        units::duration(lost),
        units::range(low, high, lost),
        side.name(),
    )
}

fn evidence(finding: &Finding, number: usize, all: bool) -> String {
    let shown = if all { finding.evidence.len() } else { finding.evidence.len().min(SHOWN_EVIDENCE) };
    let numbers: Vec<String> = finding.evidence[..shown].iter().map(u64::to_string).collect();
    let noun = if finding.evidence.len() == 1 { "packet" } else { "packets" };
    let mut text = format!("{noun} {}", numbers.join(", "));
    let kept = finding.evidence.len() as u64;
    let hidden = kept - shown as u64;
    if hidden > 0 {
        text.push_str(&format!(", … {hidden} more: --evidence {number}"));
    } else if u64::from(finding.count) > kept {
        text.push_str(&format!(" (the first {kept} of {})", units::count(u64::from(finding.count))));
    }
    text
}

fn sureness(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high: every step was seen",
        Confidence::Medium => "medium: seen, but with gaps in the evidence",
        Confidence::Low => "low: the capture hides what would prove it",
    }
}
