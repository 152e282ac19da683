//! What does a person read about a path? Both directions, the narrow place, MSS, ICMP, what is wrong and how to mend it.

use crate::page::paper::Paper;
use crate::page::{DIM, LOST, Look, fixes};
use crate::units;
use narrows_probe::{
    Clamping, Direction, Finding, Icmp, Likeness, Narrowing, PortState, Progress, Report, Seen, Size,
    Sureness, Tcp,
};
use std::fmt::Display;

/// One line of progress.
pub fn progress(now: &Progress) -> String {
    let range = if now.fits == 0 {
        String::new()
    } else {
        format!(": {} bytes fit, {} probably do not", now.fits, now.too_large)
    };
    format!("{}{range}", now.doing)
}

/// The page.
pub fn render(report: &Report, look: Look) -> String {
    let mut paper = Paper::new(look);
    head(&mut paper, report);
    paper.blank();
    direction(&mut paper, "there       ", &report.to_peer, report.interface_mtu);
    direction(&mut paper, "back        ", &report.from_peer, report.interface_mtu);
    if let Some(narrowing) = &report.narrowing {
        paper.labelled("narrows     ", &place(narrowing));
    }
    if !report.likenesses.is_empty() {
        paper.labelled("looks like  ", &looks_like(&report.likenesses));
    }
    if let Some(tcp) = &report.tcp {
        paper.labelled("TCP         ", &port(tcp));
        if let Some(clamping) = clamping(&tcp.clamping) {
            paper.labelled("clamping    ", &clamping);
        }
    }
    paper.labelled("ICMP        ", &icmp(&report.icmp));
    for (index, finding) in report.findings.iter().enumerate() {
        paper.blank();
        let shown = report.findings[..index].iter().position(|earlier| earlier.fixes == finding.fixes);
        show(&mut paper, index + 1, finding, shown);
    }
    if !report.notes.is_empty() {
        paper.blank();
        for note in &report.notes {
            paper.prose(note);
        }
    }
    paper.blank();
    paper.paragraph("", "", &effort(report), DIM);
    paper.finish()
}

fn head(paper: &mut Paper, report: &Report) {
    let address = report.address.ip().to_string();
    let name = if report.host == address { address } else { format!("{} ({address})", report.host) };
    let mut facts = vec![format!(
        "path MTU {} there, {} back",
        short(report.to_peer.path_mtu),
        short(report.from_peer.path_mtu)
    )];
    if let Some(round_trip) = report.round_trip {
        facts.push(format!("round trip {}", units::duration(round_trip)));
    }
    paper.heading(&format!("{name}: {}", facts.join(", ")));
}

fn short(size: Size) -> String {
    match size {
        Size::Exact(bytes) => bytes.to_string(),
        Size::AtLeast(bytes) => format!("at least {bytes}"),
        Size::Unknown => "unknown".to_owned(),
    }
}

fn direction(paper: &mut Paper, label: &str, direction: &Direction, interface_mtu: u32) {
    let size = match direction.path_mtu {
        Size::Exact(bytes) if bytes == interface_mtu => format!("{bytes} bytes, as this host's interface"),
        Size::Exact(bytes) => format!("{bytes} bytes, exactly"),
        Size::AtLeast(bytes) => format!("at least {bytes} bytes"),
        Size::Unknown => "unknown".to_owned(),
    };
    paper.labelled(label, &format!("{size}: {}", direction.how));
}

fn named(hop: Option<u8>, address: Option<impl Display>) -> String {
    match (hop, address) {
        (Some(0), _) => "this host".to_owned(),
        (Some(hop), Some(address)) => format!("hop {hop} ({address})"),
        (Some(hop), None) => format!("hop {hop}"),
        (None, Some(address)) => format!("router {address}"),
        (None, None) => "an unknown router".to_owned(),
    }
}

fn place(narrowing: &Narrowing) -> String {
    if narrowing.after_hop.is_none() && narrowing.router.is_none() {
        let before = match (narrowing.before_hop, narrowing.next) {
            (None, None) => String::new(),
            (hop, next) => format!(" before {}", named(hop, next)),
        };
        return format!("somewhere{before}: no router says that a hop limit ran out");
    }
    let before = match (narrowing.before_hop, narrowing.next) {
        (None, None) => String::new(),
        (hop, next) => format!(", before {}", named(hop, next)),
    };
    let how = match (narrowing.said_so, narrowing.said_mtu) {
        (true, Some(mtu)) => format!("it says so itself, and names {mtu}"),
        (true, None) => "it says so itself".to_owned(),
        (false, _) => "larger packets get there and no farther".to_owned(),
    };
    format!("behind {}{before}: {how}", named(narrowing.after_hop, narrowing.router))
}

fn looks_like(likenesses: &[Likeness]) -> String {
    let sure = |sureness| match sureness {
        Sureness::High => "hardly anything else leaves this size",
        Sureness::Medium => "it fits",
        Sureness::Low => "a guess, many things leave this size",
    };
    let all: Vec<String> = likenesses
        .iter()
        .map(|l| format!("{} ({} bytes less than {}; {})", l.name, l.overhead, l.link_mtu, sure(l.sureness)))
        .collect();
    all.join("; or ")
}

fn port(tcp: &Tcp) -> String {
    let state = match tcp.state {
        PortState::Open => "open",
        PortState::Closed => "closed",
        PortState::Silent => "silent",
    };
    let mut parts = vec![format!("port {} is {state}", tcp.port)];
    if let Some(asked) = tcp.mss_asked {
        parts.push(format!("MSS asked {asked}"));
    }
    if let Some(received) = tcp.mss_received {
        let at_least = if tcp.mss_received_exact { "" } else { "at least " };
        parts.push(format!("received {at_least}{received}"));
    }
    let effective = |way: &str, mss: Option<u32>| mss.map(|mss| format!("{mss} {way}"));
    let both: Vec<String> =
        [effective("there", tcp.effective_mss_to_peer), effective("back", tcp.effective_mss_from_peer)]
            .into_iter()
            .flatten()
            .collect();
    if !both.is_empty() {
        let options = if tcp.timestamps { ", timestamps subtracted" } else { "" };
        parts.push(format!("bytes of data per segment {}{options}", both.join(", ")));
    }
    parts.join("; ")
}

fn clamping(clamping: &Clamping) -> Option<String> {
    match clamping {
        Clamping::Yes(why) => Some(format!("yes: {why}")),
        Clamping::Likely(why) => Some(format!("likely: {why}")),
        Clamping::No(why) => Some(format!("no sign of it: {why}")),
        Clamping::Unknown => None,
    }
}

fn icmp(icmp: &Icmp) -> String {
    let kinds = [
        ("\"too big\"", icmp.too_big),
        ("echo replies", icmp.echo_reply),
        ("\"port unreachable\"", icmp.port_unreachable),
        ("\"time exceeded\"", icmp.time_exceeded),
    ];
    let of = |seen: Seen| {
        let names: Vec<&str> = kinds.iter().filter(|(_, s)| *s == seen).map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let mut parts = Vec::new();
    if let Some(names) = of(Seen::Yes) {
        parts.push(format!("comes back: {names}"));
    }
    if let Some(names) = of(Seen::No) {
        parts.push(format!("does not: {names}"));
    }
    if icmp.limited {
        parts.push("its rate is limited".to_owned());
    }
    parts.join("; ")
}

/// So many systems' lines are shown of each way to mend something.
const SYSTEMS: usize = 2;

/// A finding; what mends it only once (`shown`: the index of the finding that has it already).
fn show(paper: &mut Paper, number: usize, finding: &Finding, shown: Option<usize>) {
    paper.paragraph("", &format!("{number}  "), &finding.what, LOST);
    if let Some(shown) = shown {
        paper.paragraph("   ", "", &format!("The same mends it as {}.", shown + 1), DIM);
        return;
    }
    for fix in &finding.fixes {
        let commands = fix.commands();
        let shown = commands.len().min(SYSTEMS);
        paper.blank();
        paper.heading(&format!("How to turn {}={}, {}", fix.knob, fix.value, fix.place));
        fixes::list(paper, &commands[..shown]);
    }
    paper.blank();
    let more: Vec<String> = finding.fixes.iter().map(|fix| format!("narrows knobs {}", fix.knob)).collect();
    paper.paragraph("", "", &format!("Other systems, and what it trades: {}", more.join(", ")), DIM);
}

fn effort(report: &Report) -> String {
    let how = match (report.method, report.raw) {
        (Some(method), true) => format!(", by {} with raw sockets", method.name()),
        (Some(method), false) => format!(", by {} without privileges", method.name()),
        (None, true) => ", with raw sockets".to_owned(),
        (None, false) => ", without privileges".to_owned(),
    };
    let loss = if report.loss > 0.0 {
        format!("; {} of those that fit were lost", units::percent(report.loss))
    } else {
        String::new()
    };
    format!(
        "{}, {} bytes, {}{how}{loss}.",
        units::plural(report.probes, "probe"),
        units::count(report.probe_bytes),
        units::duration(report.duration)
    )
}
