//! size-3: where do fragments meet again, how much memory do they take, and how long does an incomplete datagram wait?

use super::sizes::narrow;
use super::{Claim, Evidence, ExperimentError, time};
use crate::recorder::{Heading, Passage, Recorder};
use narrows_stack::Instant;
use narrows_stack::ip::fragment::{At, cut};
use narrows_stack::ip::reassembly::{MEMORY, MEMORY_PER_SOURCE, Outcome, Reassembler};
use narrows_wire::{IcmpMessage, Packet, Transport, UdpHeader};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub(super) const CLAIM: Claim = Claim {
    id: "size-3",
    text: "Fragments meet again only at the destination, in bounded memory, and a missing one costs a timeout.",
    setting: "A download of 300 KB without DF through a router that cuts and another one behind it, of which one fragment is lost; a \
              host's reassembly under a flood of 20,000 first fragments from one address and from 1000; a datagram over IPv6 \
              whose end does not come.",
    experiment,
};

/// What came to the client in pieces, and when it gave one up.
#[derive(Clone, Debug, Default)]
struct Pieces {
    /// When the first piece of each datagram came, and how many did.
    datagrams: BTreeMap<u32, (Instant, u64)>,
    whole_segments: u64,
    given_up: Option<Instant>,
}

impl Recorder for Pieces {
    fn add_tap(&mut self, _name: &str) -> u32 {
        0
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        let packet = passage.packet;
        match passage.heading {
            Heading::In if packet.ip.fragment.is_piece() => {
                let first = (passage.time, 0);
                self.datagrams.entry(packet.ip.fragment.identification).or_insert(first).1 += 1;
            }
            Heading::In => self.whole_segments += u64::from(packet.len() > 1_400),
            Heading::Out => {
                if let Transport::Icmp(IcmpMessage::TimeExceeded { code: 1 }) = packet.transport {
                    self.given_up.get_or_insert(passage.time);
                }
            }
        }
    }
}

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    download(&mut evidence)?;
    let memory = flood(1)?;
    let claimed = |most: usize| format!("at most {} KiB", most >> 10);
    let measured = |used: usize| format!("{} KiB", used.div_ceil(1_024));
    evidence.row(
        "memory, a flood from one address",
        claimed(MEMORY_PER_SOURCE),
        measured(memory),
        memory > MEMORY_PER_SOURCE / 2 && memory <= MEMORY_PER_SOURCE,
    );
    let memory = flood(1_000)?;
    evidence.row(
        "memory, a flood from 1000 addresses",
        claimed(MEMORY),
        measured(memory),
        memory > MEMORY / 2 && memory <= MEMORY,
    );
    let mut reassembler = Reassembler::default();
    let first = first_piece(true, 1, 1)?;
    let kept = reassembler.insert(Instant::ZERO, first) == Outcome::Kept;
    let until = reassembler.deadline().ok_or(ExperimentError::Nothing("a timeout"))?;
    let waits = until.since(Instant::ZERO);
    evidence.row(
        "an incomplete datagram waits, IPv6",
        "60 s",
        time(waits),
        kept && waits == Duration::from_secs(60),
    );
    evidence.because = "TCP does not wait that long: the download's missing segment is sent again after a round trip. Who sends \
                        datagrams waits, or has a timer of its own."
        .to_owned();
    Ok(evidence)
}

/// The rows of the download.
fn download(evidence: &mut Evidence) -> Result<(), ExperimentError> {
    // The SYN-ACK is packet 0, then there are two pieces of each segment: 4 is the second one of the second.
    let set =
        ["far.too_big=fragment", "server.pmtu_discovery=dont", "middle.backward.loss=[4]", "lan.mtu=1500"];
    let workload = "kind = \"bulk\"\nbytes = \"300KB\"\ndirection = \"download\"";
    let mut world = narrow(workload, &set)?.build()?;
    let recorder = world.world.add_recorder(Pieces::default());
    // The client's link would carry whole segments.
    for (link, end) in world.ends_at("client") {
        world.world.tap(recorder, link, end);
    }
    let report = world.run();
    let seen = world.world.take_recorder::<Pieces>(recorder).unwrap_or_default();
    let pieces: u64 = seen.datagrams.values().map(|(_, pieces)| pieces).sum();
    evidence.row(
        "segments put together on the way",
        "none",
        format!("{} of {}", seen.whole_segments, seen.datagrams.len()),
        report.completed() && seen.whole_segments == 0 && pieces > 400,
    );
    let incomplete = seen.datagrams.values().find(|(_, pieces)| *pieces == 1);
    let (came, _) = *incomplete.ok_or(ExperimentError::Nothing("an incomplete datagram"))?;
    let waited = seen.given_up.ok_or(ExperimentError::Nothing("a datagram given up"))?.since(came);
    evidence.row(
        "an incomplete datagram waits, IPv4",
        "30 s, as with Linux",
        time(waited),
        waited.abs_diff(Duration::from_secs(30)) < Duration::from_millis(10),
    );
    Ok(())
}

/// The most memory that is ever in use while first pieces come whose others never do.
fn flood(addresses: u16) -> Result<usize, ExperimentError> {
    let mut reassembler = Reassembler::default();
    let mut most = 0;
    for number in 0..20_000u32 {
        let source = (number % u32::from(addresses)) as u16;
        reassembler.insert(Instant::ZERO, first_piece(false, source, number)?);
        most = most.max(reassembler.memory());
    }
    Ok(most)
}

/// The first piece of a datagram of 4000 bytes.
fn first_piece(ipv6: bool, source: u16, identification: u32) -> Result<Packet, ExperimentError> {
    let [low, high] = source.to_le_bytes();
    let [from, to]: [IpAddr; 2] = if ipv6 {
        [
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, source).into(),
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into(),
        ]
    } else {
        [Ipv4Addr::new(10, 1, high, low).into(), Ipv4Addr::new(10, 0, 0, 1).into()]
    };
    let header = UdpHeader { source_port: 9, destination_port: 9 };
    let mut datagram = Packet::udp(from, to, header, vec![0; 4_000].into());
    datagram.ip.fragment.identification = identification;
    datagram.ip.fragment.dont_fragment = ipv6;
    let pieces = cut(&datagram, 1_500, At::Sender).unwrap_or_default();
    pieces.into_iter().next().ok_or(ExperimentError::Nothing("a first piece"))
}
