//! How large are the packets of a run, and who cuts or refuses them? What the experiments about size share.

use super::ExperimentError;
use crate::recorder::{Heading, Passage, Recorder};
use crate::scenario::{Override, RunReport, Scenario};
use narrows_wire::{TcpFlags, Transport};

/// A client, two routers with a narrow link between them, and a server; 20 ms round trip.
const NARROW: &str = "[host.client]\n[host.server]\n[router.near]\n[router.far]\n\
                      [link.lan]\nbetween = [\"client\", \"near\"]\ndelay = \"1ms\"\n\
                      [link.middle]\nbetween = [\"near\", \"far\"]\ndelay = \"8ms\"\nmtu = 1400\nrate = \"50Mbit/s\"\n\
                      [link.hosting]\nbetween = [\"far\", \"server\"]\ndelay = \"1ms\"\n[workload.w]\n";

/// A transfer from the server to the client.
pub(super) const DOWNLOAD: &str = "kind = \"bulk\"\nbytes = \"300KB\"\ndirection = \"download\"";

/// What was seen of one host's packets.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes {
    /// The MSS that its SYN or SYN-ACK announced.
    pub announced_mss: Option<u16>,
    /// The largest payload of its segments, bytes.
    pub largest_payload: usize,
    /// Packets that it sent.
    pub packets: u64,
    /// Of those, without payload.
    pub bare: u64,
    /// The largest packet that came to it, bytes with the IP header.
    pub largest_arrived: usize,
}

impl Recorder for Sizes {
    fn add_tap(&mut self, _name: &str) -> u32 {
        0
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        if passage.heading == Heading::In {
            self.largest_arrived = self.largest_arrived.max(passage.packet.len());
        }
        if passage.heading == Heading::Out
            && let Transport::Tcp(tcp) = &passage.packet.transport
        {
            let payload = passage.packet.payload.len();
            self.packets += 1;
            self.bare += u64::from(payload == 0);
            self.largest_payload = self.largest_payload.max(payload);
            if tcp.flags.intersects(TcpFlags::SYN) {
                self.announced_mss = tcp.options.mss;
            }
        }
    }
}

/// The scenario with a narrow link in its middle.
pub(super) fn narrow(workload: &str, set: &[&str]) -> Result<Scenario, ExperimentError> {
    let overrides: Vec<Override> = set
        .iter()
        .filter_map(|change| change.split_once('='))
        .map(|(key, value)| Override::new(key, value))
        .collect();
    let none = |_: &str| Err("an experiment has no files".to_owned());
    Ok(Scenario::from_toml_with("experiment", &format!("{NARROW}{workload}\n"), &overrides, &none)?)
}

/// Runs it and tells what client and server sent.
pub(super) fn observe(scenario: &Scenario) -> Result<(RunReport, [Sizes; 2]), ExperimentError> {
    let mut world = scenario.build()?;
    let recorders = ["client", "server"].map(|host| {
        let recorder = world.world.add_recorder(Sizes::default());
        for (link, end) in world.ends_at(host) {
            world.world.tap(recorder, link, end);
        }
        recorder
    });
    let report = world.run();
    let sizes = recorders.map(|recorder| world.world.take_recorder::<Sizes>(recorder).unwrap_or_default());
    Ok((report, sizes))
}

/// Packets that routers dropped for their size, ICMP messages that they sent, packets that they cut.
pub(super) fn routers(report: &RunReport) -> (u64, u64, u64) {
    report.routers.iter().fold((0, 0, 0), |(dropped, told, cut), (_, counters)| {
        (dropped + counters.dropped_too_big, told + counters.icmp_sent, cut + counters.fragmented[0])
    })
}
