//! When does a host acknowledge what has arrived? Its packets as they come and go.

use super::ExperimentError;
use crate::recorder::{Heading, Passage, Recorder};
use crate::scenario::Scenario;
use narrows_stack::Instant;
use narrows_wire::{Seq, Transport};
use std::time::Duration;

/// One segment at the host.
#[derive(Clone, Copy, Debug)]
struct Seen {
    time: Instant,
    heading: Heading,
    payload: u32,
    seq: Seq,
    ack: Seq,
}

/// All segments at one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed(Vec<Seen>);

impl Recorder for Observed {
    fn add_tap(&mut self, _name: &str) -> u32 {
        0
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        if let Transport::Tcp(tcp) = &passage.packet.transport {
            self.0.push(Seen {
                time: passage.time,
                heading: passage.heading,
                payload: passage.packet.payload.len() as u32,
                seq: tcp.seq,
                ack: tcp.ack,
            });
        }
    }
}

/// A data segment and how long the host took until it next sent anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// How long.
    pub after: Duration,
    /// The segment's bytes.
    pub payload: u32,
    /// The segment left a gap before it.
    pub out_of_order: bool,
}

/// Runs the scenario and tells how the server answered each data segment.
pub(super) fn at_server(scenario: &Scenario) -> Result<Vec<Answered>, ExperimentError> {
    let mut world = scenario.build()?;
    let recorder = world.world.add_recorder(Observed::default());
    for (link, end) in world.ends_at("server") {
        world.world.tap(recorder, link, end);
    }
    world.run();
    let seen = world.world.take_recorder::<Observed>(recorder).unwrap_or_default();
    Ok(seen.answered())
}

impl Observed {
    fn answered(&self) -> Vec<Answered> {
        let mut answered = Vec::new();
        let mut expected: Option<Seq> = None;
        for (number, data) in self.0.iter().enumerate() {
            if data.heading == Heading::Out {
                expected = Some(data.ack);
                continue;
            }
            if data.payload == 0 {
                continue;
            }
            let next = self.0[number..].iter().find(|later| later.heading == Heading::Out);
            let before = self.0[..number].iter().rev().take_while(|earlier| earlier.heading == Heading::In);
            let furthest = before
                .filter(|earlier| earlier.payload > 0)
                .map(|earlier| earlier.seq + earlier.payload)
                .next();
            let out_of_order = furthest.or(expected).is_some_and(|expected| data.seq != expected);
            if let Some(next) = next {
                let after = next.time.since(data.time);
                answered.push(Answered { after, payload: data.payload, out_of_order });
            }
        }
        answered
    }
}
