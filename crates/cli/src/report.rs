//! What is there to show of one file? The values between the analysis and the page or the JSON.

use crate::units;
use narrows_trace::{BothEnds, Cause, Connection, DatagramFlow, Finding};
use narrows_whatif::WhatIf;
use std::cmp::Reverse;
use std::time::Duration;

/// One file, read and examined.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    /// The name as given; `-` is standard input.
    pub name: String,
    /// Packets read.
    pub packets: u64,
    /// Packets that belong to the connections.
    pub tcp_packets: u64,
    /// Packets that belong to the UDP flows.
    pub udp_packets: u64,
    /// Packets that belong to neither: the reason and how many.
    pub skipped: Vec<(String, u64)>,
    /// What else has to be known of the capture: lost packets, times that go back.
    pub notes: Vec<String>,
    /// Where the file is damaged; what was read before holds.
    pub damage: Option<Damage>,
    /// The connections, by their number.
    pub connections: Vec<Examined>,
    /// The UDP flows, by their number.
    pub datagram_flows: Vec<DatagramFlow>,
    /// Captures given before this one that have some of the same connections.
    pub other_captures: Vec<OtherCapture>,
}

/// Another capture of some of the same connections.
#[derive(Clone, Debug, Default)]
pub struct OtherCapture {
    /// Its name as given.
    pub name: String,
    /// What happened on the way between the two; its own numbers come first.
    pub connections: Vec<BothEnds>,
}

/// Where and how a file could not be read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Bytes from the file's beginning, where that is known.
    pub offset_bytes: Option<u64>,
    /// The whole message: file, offset, what was expected.
    pub message: String,
}

/// A connection and, when it was replayed, what came out.
#[derive(Clone, Debug)]
pub struct Examined {
    /// As captured.
    pub connection: Connection,
    /// The replay and the predictions; `None` when nothing asked for them.
    pub what_if: Option<WhatIf>,
}

/// A connection that spends this share of its time on retransmissions is not called healthy,
const MUCH_RECOVERY: f64 = 0.05;
/// nor one that sends this share of its data again (beyond a few): losses keep the rate down long after the repair.
const MANY_RETRANSMISSIONS: f64 = 0.005;
const FEW_RETRANSMISSIONS: u64 = 2;
/// Nor is one whose time is not understood to this share.
const MUCH_UNEXPLAINED: f64 = 0.25;

/// What a connection's time was lost to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Something between the applications: a knob may help.
    Network,
    /// Time was lost, but not to a cause that narrows knows to name.
    Unnamed,
    /// The applications took most of the time.
    Application,
    /// Nothing is wrong.
    Healthy,
}

impl Verdict {
    /// The verdict's name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Network => "network",
            Verdict::Unnamed => "unnamed",
            Verdict::Application => "application",
            Verdict::Healthy => "healthy",
        }
    }

    /// A finding against the network; else much time lost without one; else thinking found or thinking for half of the
    /// time; else healthy.
    pub fn of(connection: &Connection) -> Verdict {
        if connection.findings.iter().any(is_alarm) {
            Verdict::Network
        } else if units::share(unexcused(connection), connection.duration) >= MUCH_RECOVERY
            || (loses_much(connection) && !resends_for_size(connection))
            || units::share(connection.account.unexplained, connection.duration) >= MUCH_UNEXPLAINED
        {
            Verdict::Unnamed
        } else if connection.findings.iter().any(is_application)
            || (thinking(connection) * 2 >= connection.duration && !thinking(connection).is_zero())
        {
            Verdict::Application
        } else {
            Verdict::Healthy
        }
    }
}

/// What was sent again was told to be too large: path MTU discovery's own work.
fn resends_for_size(connection: &Connection) -> bool {
    connection.findings.iter().any(|finding| finding.cause == Cause::PathMtuDiscovery)
}

/// Time that went to repairing what path MTU discovery does not account for: its cost as found, and the way of what was sent
/// again and of the answer.
fn unexcused(connection: &Connection) -> Duration {
    let discovery = connection.findings.iter().filter(|finding| finding.cause == Cause::PathMtuDiscovery);
    let way = connection.round_trip.path.unwrap_or_default();
    let excused: Duration = discovery.map(|finding| finding.lost + 2 * way).sum();
    connection.account.recovery.saturating_sub(excused)
}

fn loses_much(connection: &Connection) -> bool {
    connection.sides.iter().any(|side| {
        side.retransmissions > FEW_RETRANSMISSIONS
            && side.retransmissions as f64 >= MANY_RETRANSMISSIONS * side.data_packets as f64
    })
}

/// Segments that both sides sent again.
pub fn retransmissions(connection: &Connection) -> u64 {
    connection.sides.iter().map(|side| side.retransmissions).sum()
}

/// Both applications' thinking.
pub fn thinking(connection: &Connection) -> Duration {
    connection.account.client_thinking + connection.account.server_thinking
}

/// Whether the finding is the application's own time and not the network's.
pub fn is_application(finding: &Finding) -> bool {
    finding.cause == Cause::ServerThinkTime
}

/// Whether it is something between the applications that costs time, and not only worth knowing.
pub fn is_alarm(finding: &Finding) -> bool {
    !is_application(finding) && !finding.cause.is_information()
}

/// Time lost to what is not the application's own.
pub fn lost(connection: &Connection) -> Duration {
    connection.findings.iter().filter(|finding| is_alarm(finding)).map(|finding| finding.lost).sum()
}

/// The order in which connections are shown: the network's findings first, then losses without a name, then the
/// application's, then the healthy ones; the most time first, then by number.
pub fn ranking(connections: &[&Connection]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..connections.len()).collect();
    order.sort_by_key(|&index| {
        let connection = connections[index];
        let verdict = Verdict::of(connection);
        let weight = match verdict {
            Verdict::Network => lost(connection),
            Verdict::Unnamed => connection.account.recovery + connection.account.unexplained,
            Verdict::Application => thinking(connection),
            Verdict::Healthy => connection.duration,
        };
        (verdict, Reverse(weight), connection.number)
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_verdict_follows_findings_and_then_the_account() {
        assert_eq!(Verdict::of(&sample::nagle().connection), Verdict::Network);
        assert_eq!(Verdict::of(&sample::application().connection), Verdict::Application);
        assert_eq!(Verdict::of(&sample::healthy().connection), Verdict::Healthy);
        let mut idle = sample::healthy().connection;
        idle.account.client_thinking = idle.duration;
        assert_eq!(Verdict::of(&idle), Verdict::Application);
        let mut lossy = idle;
        lossy.account.recovery = lossy.duration / 10;
        assert_eq!(Verdict::of(&lossy), Verdict::Unnamed);
        let mut few = sample::healthy().connection;
        few.sides[0].retransmissions = 2;
        assert_eq!(Verdict::of(&few), Verdict::Healthy);
        few.sides[0].retransmissions = 3;
        assert_eq!(Verdict::of(&few), Verdict::Unnamed);
    }

    #[test]
    fn discovery_excuses_only_its_own_repairs() {
        let mut connection = sample::healthy().connection;
        let mut discovery = sample::nagle().connection.findings[0].clone();
        (discovery.cause, discovery.lost) = (Cause::PathMtuDiscovery, connection.duration / 10);
        connection.findings = vec![discovery];
        connection.account.recovery = connection.duration / 10;
        assert_eq!(Verdict::of(&connection), Verdict::Healthy);
        connection.account.recovery = connection.duration / 2;
        assert_eq!(Verdict::of(&connection), Verdict::Unnamed);
    }

    #[test]
    fn most_lost_time_comes_first_and_healthy_last() {
        let healthy = sample::healthy().connection;
        let much = sample::nagle().connection;
        let mut little = sample::nagle().connection;
        little.findings[0].lost = Duration::from_millis(5);
        let application = sample::application().connection;
        assert_eq!(ranking(&[&healthy, &little, &application, &much]), [3, 1, 2, 0]);
    }
}
