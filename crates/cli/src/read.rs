//! What is in this file? Has it read and analysed, with a progress bar, and says in words what was passed over.

use crate::exit::Outcome;
use crate::explain::Unreadable;
use crate::progress::Progress;
use crate::report::{Damage, Examined, FileReport};
use crate::units;
use narrows_trace::read::{Capture, Counts, ReadError};
use narrows_trace::{Analysis, AnalyzerOptions, Carried, DatagramFlow};

use std::path::Path;

/// Reads and analyses a capture.
///
/// # Errors
/// [`Unreadable`] when there is nothing to read; a file that ends in the middle gives its connections and the damage.
pub fn file(path: &Path) -> Result<FileReport, Unreadable> {
    let capture = Capture::open(path).map_err(|error| unreadable(path, error))?;
    let name = path.display().to_string();
    let mut progress = Progress::bytes(&name, capture.progress().file_size);
    let examined = narrows_trace::examine(capture, AnalyzerOptions::default(), &mut |read| {
        progress.set(read.file_bytes)
    });
    let damage =
        examined.error.map(|error| Damage { offset_bytes: error.offset(), message: error.to_string() });
    let flows = Flows { datagrams: examined.datagram_flows, carried: examined.carried };
    Ok(report(name, &examined.counts, examined.analysis, flows, damage))
}

/// What was made of packets that are no TCP segments on the outside.
#[derive(Default)]
struct Flows {
    datagrams: Vec<DatagramFlow>,
    carried: Carried,
}

fn report(
    name: String,
    counts: &Counts,
    analysis: Analysis,
    flows: Flows,
    damage: Option<Damage>,
) -> FileReport {
    let Flows { datagrams, carried } = flows;
    let sides = || datagrams.iter().flat_map(|flow| &flow.sides);
    let udp_packets: u64 = sides().map(|side| side.packets).sum();
    let fragments: u64 = sides().map(|side| side.fragments).sum();
    let mut left = *counts;
    left.udp = left.udp.saturating_sub(udp_packets - fragments + carried.udp);
    left.fragments = left.fragments.saturating_sub(fragments + carried.fragments);
    left.other_ip = left.other_ip.saturating_sub(carried.other_ip);
    let mut skipped = skipped(&left);
    if analysis.segments_left_out > 0 {
        skipped.push(("TCP of too many connections".to_owned(), analysis.segments_left_out));
    }
    FileReport {
        name,
        packets: counts.packets,
        tcp_packets: counts.tcp - analysis.segments_left_out.min(counts.tcp)
            + carried.udp
            + carried.other_ip
            + carried.fragments,
        udp_packets,
        skipped,
        notes: notes(counts),
        damage,
        connections: analysis
            .connections
            .into_iter()
            .map(|connection| Examined { connection, what_if: None })
            .collect(),
        datagram_flows: datagrams,
        datagram_what_ifs: Vec::new(),
        other_captures: Vec::new(),
    }
}

/// The packets that belong to no connection, by reason. With those that do they are all packets.
fn skipped(counts: &Counts) -> Vec<(String, u64)> {
    let unreadable = &counts.unreadable;
    [
        ("UDP", counts.udp),
        ("ICMP", counts.icmp),
        ("other IP protocols", counts.other_ip),
        ("IP fragments", counts.fragments),
        ("not IP", counts.not_ip),
        ("headers cut by the snap length", unreadable.cut),
        ("shorter than their headers", unreadable.short),
        ("neither IPv4 nor IPv6", unreadable.version),
        ("contradictory lengths", unreadable.length),
        ("unknown link type", unreadable.link_type),
    ]
    .into_iter()
    .filter(|(_, packets)| *packets > 0)
    .map(|(reason, packets)| (reason.to_owned(), packets))
    .collect()
}

/// What else makes the capture less than the truth.
fn notes(counts: &Counts) -> Vec<String> {
    let mut notes = Vec::new();
    if counts.dropped_by_capturer > 0 {
        notes.push(format!(
            "the capturing program lost {}",
            units::plural(counts.dropped_by_capturer, "packet")
        ));
    }
    if counts.time_went_back > 0 {
        notes.push(format!(
            "{} an earlier time than the one before (by up to {})",
            having(counts.time_went_back),
            units::duration(counts.largest_step_back)
        ));
    }
    if counts.without_time > 0 {
        notes.push(format!("{} no time; that of the packet before is taken", having(counts.without_time)));
    }
    if counts.options_cut > 0 {
        notes.push(format!(
            "the snap length cut the TCP options of {}",
            units::plural(counts.options_cut, "packet")
        ));
    }
    if counts.options_damaged > 0 {
        notes.push(format!("{} damaged TCP options", having(counts.options_damaged)));
    }
    notes
}

fn having(packets: u64) -> String {
    format!("{} {}", units::plural(packets, "packet"), if packets == 1 { "has" } else { "have" })
}

fn unreadable(path: &Path, error: ReadError) -> Unreadable {
    let outcome = match &error {
        ReadError::Open { source, .. } | ReadError::Io { source, .. } => Outcome::of_error(source),
        _ => Outcome::Unusable,
    };
    let mut message = error.to_string();
    if outcome == Outcome::NotPermitted {
        message.push_str(&format!("; to permit it: sudo chmod a+r {}", quoted(path)));
    }
    Unreadable { message, outcome }
}

/// The path as one types it in a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+,:@".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_trace::read::Unreadable as UnreadablePackets;
    use std::io;
    use std::time::Duration;

    fn counts() -> Counts {
        Counts {
            packets: 28,
            tcp: 10,
            udp: 5,
            icmp: 1,
            not_ip: 2,
            unreadable: UnreadablePackets { cut: 4, short: 3, version: 2, length: 1, ..Default::default() },
            time_went_back: 1,
            largest_step_back: Duration::from_micros(1200),
            dropped_by_capturer: 3,
            ..Counts::default()
        }
    }

    #[test]
    fn every_packet_is_accounted_for() {
        let analysis = Analysis { segments_left_out: 4, ..Analysis::default() };
        let report = report("a".to_owned(), &counts(), analysis, Flows::default(), None);
        let skipped: u64 = report.skipped.iter().map(|(_, packets)| packets).sum();
        assert_eq!(report.tcp_packets, 6);
        assert_eq!(report.packets, report.tcp_packets + skipped);
    }

    #[test]
    fn what_the_capture_suffers_from_is_said() {
        assert_eq!(notes(&Counts::default()), Vec::<String>::new());
        let notes = notes(&counts());
        assert_eq!(notes[0], "the capturing program lost 3 packets");
        assert_eq!(notes[1], "1 packet has an earlier time than the one before (by up to 1.20 ms)");
    }

    #[test]
    fn a_missing_permission_comes_with_the_command_that_gives_it() {
        let denied = |file: &str| {
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            unreadable(Path::new(file), ReadError::Open { file: file.to_owned(), source })
        };
        assert_eq!(denied("a.pcap").outcome, Outcome::NotPermitted);
        assert!(denied("a.pcap").message.ends_with("sudo chmod a+r a.pcap"));
        assert!(denied("it's; rm").message.ends_with(r"sudo chmod a+r 'it'\''s; rm'"));
        let gone = ReadError::Open { file: "a".to_owned(), source: io::Error::from(io::ErrorKind::NotFound) };
        assert_eq!(unreadable(Path::new("a"), gone).outcome, Outcome::Unusable);
    }
}
