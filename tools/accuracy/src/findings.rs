//! Are the right causes named, on the right side, as often and with as much time lost as is true?

use crate::analyse::Seen;
use crate::sizes::SizeScore;
use crate::truth::{InCapture, Variant};
use narrows_lab::Side;
use narrows_trace::{Cause, Connection, Finding};

/// The causes that can be named today; other phenomena of the truth are not asked for.
pub const NAMEABLE: [Cause; 9] = [
    Cause::NagleDelayedAck,
    Cause::NagleWithoutDelayedAck,
    Cause::ServerThinkTime,
    Cause::PathMtuBlackHole,
    Cause::MtuProbingRecovers,
    Cause::PathMtuDiscovery,
    Cause::MssClamped,
    Cause::OuterFragmentation,
    Cause::IpFragmentation,
];

/// Fewer stalls than this on one side of a connection are no finding that anybody could act on: they may be named, and
/// their count is not asked for.
const FEW: u32 = 3;

/// The score of one capture's findings.
#[derive(Debug, Default, PartialEq)]
pub struct FindingsScore {
    /// The truth's phenomena that can be named, and whether each was.
    pub phenomena: Vec<(&'static str, bool)>,
    /// What was named and is not true, with its place.
    pub wrong: Vec<String>,
    /// Stalls by delayed ACKs, per connection and side: as named and as counted.
    pub stalls: Vec<Stalls>,
    /// The path MTUs that findings tell: the finding, and whether the true one lies within what it tells.
    pub sizes: Vec<SizeScore>,
}

/// How often one side of one connection waited for delayed ACKs, and how long in all.
#[derive(Clone, Debug, PartialEq)]
pub struct Stalls {
    /// Where.
    pub place: String,
    /// Named and true count.
    pub count: (u32, u32),
    /// Named and true seconds.
    pub lost_s: (f64, f64),
}

impl Stalls {
    /// Relative error of the count.
    pub fn count_error(&self) -> f64 {
        relative(f64::from(self.count.0), f64::from(self.count.1))
    }

    /// Relative error of the time.
    pub fn lost_error(&self) -> f64 {
        relative(self.lost_s.0, self.lost_s.1)
    }
}

/// How far a value is from the true one, signed, as a share of it.
pub fn relative(value: f64, truth: f64) -> f64 {
    if truth == 0.0 { f64::from(u8::from(value != 0.0)) } else { value / truth - 1.0 }
}

/// Scores the findings of all connections and flows of a capture.
pub fn score(variant: &Variant, seen: &Seen) -> FindingsScore {
    let connections = &seen.connections[..];
    let mut score = FindingsScore::default();
    for cause in NAMEABLE.into_iter().filter(|c| variant.phenomena.iter().any(|p| p == c.name())) {
        let named = |c: &Connection| c.findings.iter().any(|f| f.cause == cause && is_true(variant, c, f));
        let in_flow = seen.datagram_flows.iter().flat_map(|flow| &flow.findings).any(|f| f.cause == cause);
        score.phenomena.push((cause.name(), in_flow || connections.iter().any(named)));
    }
    for flow in &seen.datagram_flows {
        let listed = |f: &&Finding| variant.phenomena.iter().any(|p| p == f.cause.name());
        for finding in flow.findings.iter().filter(|f| !listed(f)) {
            score.wrong.push(format!("{} (UDP {})", finding.cause.name(), flow.client));
        }
    }
    for finding in connections.iter().flat_map(|c| &c.findings) {
        score.sizes.extend(SizeScore::of(variant, finding));
    }
    for connection in connections {
        for finding in connection.findings.iter().filter(|f| !is_true(variant, connection, f)) {
            score.wrong.push(format!("{} ({})", finding.cause.name(), place(connection, finding.side)));
        }
    }
    for truth in &variant.in_capture {
        for side in [Side::Client, Side::Server] {
            let (count, lost) = stalls_of(truth, side);
            if count < FEW {
                continue;
            }
            let connection = connections.iter().find(|c| is_of(c, truth));
            let finding = connection.and_then(|c| {
                c.findings.iter().find(|f| f.cause == Cause::NagleDelayedAck && f.side == side)
            });
            score.stalls.push(Stalls {
                place: format!("{}:{} {}", truth.client_port, truth.server_port, side.name()),
                count: (finding.map_or(0, |f| f.count), count),
                lost_s: (finding.map_or(0.0, |f| f.lost.as_secs_f64()), lost),
            });
        }
    }
    score
}

/// A finding is true when the truth lists its cause and the place is one of the sick ones. Stalls that the truth counts
/// in the capture are true even where they are too few to be listed.
fn is_true(variant: &Variant, connection: &Connection, finding: &Finding) -> bool {
    if finding.cause == Cause::NagleDelayedAck {
        let counted = |t: &InCapture| is_of(connection, t) && stalls_of(t, finding.side).0 > 0;
        return variant.in_capture.iter().any(counted);
    }
    let listed = variant.phenomena.iter().any(|p| p == finding.cause.name());
    let label = variant.label(connection.client.port(), connection.server.port());
    listed && label != Some("healthy")
}

fn is_of(connection: &Connection, truth: &InCapture) -> bool {
    connection.client.port() == truth.client_port && connection.server.port() == truth.server_port
}

fn stalls_of(truth: &InCapture, side: Side) -> (u32, f64) {
    match side {
        Side::Client => (truth.nagle_stalls_client, truth.nagle_held_client_s),
        Side::Server => (truth.nagle_stalls_server, truth.nagle_held_server_s),
    }
}

fn place(connection: &Connection, side: Side) -> String {
    format!("{}:{} {}", connection.client.port(), connection.server.port(), side.name())
}
