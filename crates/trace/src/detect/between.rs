//! What did the way between two captures of one connection do that its ends should know? Seen at both, nothing is inferred.

use crate::rate::{header_bytes, header_time, more_packets};
use crate::{BothEnds, Cause, Confidence, Connection, Finding, PathMtu, Rewritten, SynOption, Way};
use narrows_lab::Side;
use std::time::Duration;

/// What both captures show, as findings of the connection in the one at `place` (0 or 1).
pub(crate) fn findings(ends: &BothEnds, place: usize, connection: &Connection) -> Vec<Finding> {
    let mut findings = Vec::new();
    for side in [Side::Client, Side::Server] {
        let way = &ends.ways[side.index()];
        let left_here = (side == Side::Client) == (ends.nearer_to_client == place);
        let seen = Seen { side, left_here, connection };
        findings.extend(way.rewritten.iter().filter_map(|rewritten| match *rewritten {
            Rewritten::Mss { left, arrived } if arrived < left => Some(seen.clamped(left, arrived)),
            Rewritten::Mss { .. } => None,
            Rewritten::Removed(option) => Some(seen.removed(option)),
        }));
        let other_lost = ends.ways[side.peer().index()].lost_packets != Some(0);
        findings.extend(seen.lost(way).map(|finding| Finding {
            // With losses on one side only, repairing them is what they cost.
            lost: if other_lost { Duration::ZERO } else { connection.account.recovery },
            ..finding
        }));
    }
    findings
}

/// What one side sent, on its way.
struct Seen<'a> {
    side: Side,
    /// It left where this capture was made.
    left_here: bool,
    connection: &'a Connection,
}

impl Seen<'_> {
    fn finding(&self, cause: Cause, why: String) -> Finding {
        Finding {
            cause,
            side: self.side,
            count: 1,
            lost: Duration::ZERO,
            evidence: self.connection.side(self.side).syn_packet.into_iter().collect(),
            confidence: Confidence::High,
            why,
            path_mtu: None,
        }
    }

    /// `left with 1460 and arrived here with 1300`.
    fn journey(&self, what: &str, left: &str, arrived: &str) -> String {
        let (from, to) = if self.left_here { (" here", "") } else { ("", " here") };
        format!("the {}'s SYN left{from} with {what}{left} and arrived{to} {arrived}", self.side.name())
    }

    /// Who obeys the option is the other side.
    fn clamped(&self, left: u16, arrived: u16) -> Finding {
        let connection = self.connection;
        let obeys = self.side.peer();
        let sent = connection.side(obeys);
        let stamps = connection
            .sides
            .iter()
            .all(|side| side.syn_options.as_ref().is_some_and(|options| options.timestamps.is_some()));
        let ip_and_tcp = header_bytes(connection.client.ip(), false);
        let headers = header_bytes(connection.client.ip(), stamps);
        let payload = |mss: u16| (u32::from(mss) + ip_and_tcp).saturating_sub(headers).max(1);
        let more = more_packets(sent.payload_bytes, payload(arrived), payload(left));
        let cost = match more {
            0 => format!("the {}'s packets were no more for it", obeys.name()),
            more => format!(
                "it took the {} {more} more packets, {} bytes of headers",
                obeys.name(),
                more * u64::from(headers)
            ),
        };
        let mtu = u32::from(arrived) + ip_and_tcp;
        let journey = self.journey("an MSS of ", &left.to_string(), &format!("with {arrived}"));
        let why = format!(
            "{journey}: something on the way rewrites it; {cost}. That is right where a link takes packets of {mt} bytes and no larger ones \
             (narrows path shows it), and else too low",
            mt = mtu
        );
        Finding {
            side: obeys,
            lost: header_time(more, headers, connection.rate_bits_per_second[obeys.index()]),
            path_mtu: Some(PathMtu { least: mtu, most: mtu }),
            ..self.finding(Cause::MssClamped, why)
        }
    }

    fn removed(&self, option: SynOption) -> Finding {
        let journey = self.journey("", option.name(), "without");
        let follows = match option {
            SynOption::Mss => {
                "its peer sends segments of 536 bytes over IPv4 and 1220 over IPv6 (RFC 9293 §3.7.1)"
                    .to_owned()
            }
            SynOption::WindowScale => match self.connection.round_trip.path.filter(|path| !path.is_zero()) {
                Some(path) => format!(
                    "no window is larger than 65,535 bytes, which carry {:.1} Mbit/s at the most over this round trip",
                    65_535.0 * 8.0 / path.as_secs_f64() / 1e6
                ),
                None => "no window is larger than 65,535 bytes".to_owned(),
            },
            SynOption::SackPermitted => {
                "several losses in one window are repaired one per round trip".to_owned()
            }
            SynOption::Timestamps => {
                "round trips are measured once per window, and not after a loss (RFC 7323 §4)".to_owned()
            }
            SynOption::FastOpen => "every connection waits a round trip before its first request".to_owned(),
        };
        self.finding(
            Cause::SynOptionRemoved,
            format!("{journey}: something on the way removes it; {follows}"),
        )
    }

    /// Packets that vanish for their size have a finding that says more.
    fn lost(&self, way: &Way) -> Option<Finding> {
        let of_size = |finding: &Finding| {
            finding.side == self.side
                && matches!(finding.cause, Cause::PathMtuBlackHole | Cause::PathMtuDiscovery)
        };
        let lost = way.lost_packets.filter(|&lost| lost > 0)?;
        if self.connection.findings.iter().any(of_size) {
            return None;
        }
        let sent = self.connection.side(self.side).data_packets;
        let all = if self.left_here { sent } else { sent + lost };
        let missed = match way.not_captured_bytes {
            0 => String::new(),
            bytes => format!(
                "; {bytes} bytes more were acknowledged and are only missing in the capture where they arrived"
            ),
        };
        let why = format!(
            "{lost} of {all} packets with payload of the {} left and did not arrive: {:.1} % were lost between the two captures{missed}",
            self.side.name(),
            100.0 * lost as f64 / all.max(1) as f64,
        );
        Some(Finding {
            count: u32::try_from(lost).unwrap_or(u32::MAX),
            evidence: Vec::new(),
            confidence: if missed.is_empty() { Confidence::High } else { Confidence::Medium },
            ..self.finding(Cause::LostOnTheWay, why)
        })
    }
}

#[cfg(test)]
#[path = "between_tests.rs"]
mod tests;
