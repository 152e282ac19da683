//! What would `explain` say of this run? Its packets go through the analysis as they pass the client's interface.

use narrows_lab::scenario::ScenarioWorld;
use narrows_lab::{Passage, Recorder, RecorderId};
use narrows_trace::{Analyzer, AnalyzerOptions, Connection, Finding, Segment, TimeAccount};
use std::collections::BTreeSet;
use std::time::Duration;

/// Analyses what passes, as a capture at one host.
#[derive(Debug, Default)]
struct Watch {
    analyzer: Analyzer,
    packets: u64,
    taps: u32,
}

impl Recorder for Watch {
    fn add_tap(&mut self, _name: &str) -> u32 {
        self.taps += 1;
        self.taps - 1
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        self.packets += 1;
        if let Some(segment) = Segment::of(self.packets, passage.time, passage.packet) {
            self.analyzer.push(&segment);
        }
    }
}

/// The watches of a world, one at each host that opens connections.
#[derive(Debug)]
pub struct Watches(Vec<RecorderId>);

impl Watches {
    /// Sets them up.
    pub fn set_up(world: &mut ScenarioWorld) -> Watches {
        let clients: BTreeSet<String> =
            world.scenario().workloads.iter().map(|workload| workload.client.clone()).collect();
        let mut watches = Vec::new();
        for client in clients {
            let analyzer = Analyzer::new(AnalyzerOptions::default());
            let recorder = world.world.add_recorder(Watch { analyzer, ..Watch::default() });
            for (link, end) in world.ends_at(&client) {
                world.world.tap(recorder, link, end);
            }
            watches.push(recorder);
        }
        Watches(watches)
    }

    /// What they saw of each workload.
    pub fn finish(self, world: &mut ScenarioWorld) -> Vec<Seen> {
        let mut seen = vec![Seen::default(); world.scenario().workloads.len()];
        for recorder in self.0 {
            let Some(watch) = world.world.take_recorder::<Watch>(recorder) else { continue };
            for connection in watch.analyzer.finish().connections {
                let played = world.connections.iter().find(|played| played.server == connection.server);
                if let Some(played) = played {
                    seen[played.workload].add(connection);
                }
            }
        }
        seen
    }
}

/// What the analysis says of a workload's connections.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// All of them together.
    pub account: TimeAccount,
    /// The time that the account divides: the sum of the connections' durations.
    pub duration: Duration,
    /// How many there were.
    pub connections: u32,
    /// The findings, those of the same cause and side together.
    pub findings: Vec<Finding>,
}

impl Seen {
    fn add(&mut self, connection: Connection) {
        self.connections += 1;
        self.duration += connection.duration;
        let (sum, part) = (&mut self.account, &connection.account);
        sum.network += part.network;
        sum.delayed_ack += part.delayed_ack;
        sum.nagle += part.nagle;
        sum.client_thinking += part.client_thinking;
        sum.server_thinking += part.server_thinking;
        sum.recovery += part.recovery;
        sum.transmission += part.transmission;
        sum.unexplained += part.unexplained;
        for finding in connection.findings {
            let same = |known: &&mut Finding| known.cause == finding.cause && known.side == finding.side;
            match self.findings.iter_mut().find(same) {
                Some(known) => {
                    known.count += finding.count;
                    known.lost += finding.lost;
                }
                None => self.findings.push(finding),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_lab::scenario::{Scenario, builtin};
    use narrows_trace::Cause;

    #[test]
    fn what_the_lab_made_sick_is_found_with_all_its_time() {
        let builtin = builtin("slow-rpc").expect("built in");
        let scenario = Scenario::from_toml(builtin.name, builtin.toml).expect("a scenario");
        let mut world = scenario.build().expect("a world");
        let watches = Watches::set_up(&mut world);
        let report = world.run();
        let seen = &watches.finish(&mut world)[0];
        assert_eq!(seen.connections, 1);
        let finding = &seen.findings[0];
        assert_eq!((finding.cause, finding.side), (Cause::NagleDelayedAck, narrows_lab::Side::Client));
        assert!((190..=200).contains(&finding.count), "{}", finding.count);
        assert!(finding.lost > report.workloads[0].duration / 2);
        assert!(seen.account.delayed_ack >= finding.lost.mul_f64(0.9));
    }
}
