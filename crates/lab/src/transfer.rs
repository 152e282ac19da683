//! How fast is one bulk transfer on this path? The world that benchmarks and examples run.

use crate::bulk::{BulkReceiver, BulkSender};
use crate::link::{DirectionCounters, LinkConfig};
use crate::recorder::PacketHash;
use crate::world::{BuildError, End, IpVersion, World};
use narrows_stack::{Instant, Knobs, SocketError, TcpInfo};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const PORT: u16 = 5_001;

/// A transfer between two hosts on one link.
#[derive(Clone, Debug)]
pub struct TransferConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// The IP version.
    pub ip_version: IpVersion,
    /// The sender, who opens the connection.
    pub sender: Knobs,
    /// The receiver.
    pub receiver: Knobs,
    /// The path; `forward` is from sender to receiver.
    pub link: LinkConfig,
    /// How much; [`u64::MAX`]: until the time limit.
    pub bytes: u64,
    /// Stop at this much virtual time.
    pub time_limit: Duration,
    /// Compute [`Transfer::packet_hash`].
    pub hash: bool,
}

/// What came of a transfer.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Bytes that the receiver has read.
    pub bytes: u64,
    /// They were the right ones.
    pub intact: bool,
    /// All bytes were read, and the end of the stream after them.
    pub complete: bool,
    /// From the SYN to the last read.
    pub duration: Duration,
    /// What the link did with the sender's packets, and with the receiver's.
    pub link: [DirectionCounters; 2],
    /// Events that the simulation ran.
    pub events: u64,
    /// The sender's connection at the end.
    pub info: Option<TcpInfo>,
    /// Why the transfer failed for sender or receiver, if it did.
    pub error: Option<SocketError>,
    /// A hash over all packets and their times at both ends, when asked for.
    pub packet_hash: Option<u64>,
}

impl Transfer {
    /// Bytes read per time, in bits per second.
    #[must_use]
    pub fn goodput_bits_per_second(&self) -> f64 {
        if self.duration.is_zero() { 0.0 } else { self.bytes as f64 * 8.0 / self.duration.as_secs_f64() }
    }

    /// Packets that arrived, in both directions.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.link.iter().map(|direction| direction.delivered_packets).sum()
    }
}

/// Transfers bytes from one host to another.
///
/// # Errors
/// [`BuildError::WrongSetting`] when the link makes no sense.
pub fn transfer(config: &TransferConfig) -> Result<Transfer, BuildError> {
    let mut builder = World::builder(config.seed);
    builder.ip_version(config.ip_version);
    let sender = builder.host("sender", config.sender.clone());
    let receiver = builder.host("receiver", config.receiver.clone());
    let link = builder.link("path", sender, receiver, config.link.clone());
    let address = builder.address(receiver).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let source = builder.app(sender, BulkSender::new(SocketAddr::new(address, PORT), config.bytes));
    let sink = builder.app(receiver, BulkReceiver::new(PORT));
    let mut world = builder.build()?;
    let hash = config.hash.then(|| world.add_recorder(PacketHash::default()));
    if let Some(hash) = hash {
        world.tap_everywhere(hash);
    }
    world.run_until_idle(Instant::ZERO + config.time_limit);
    let source = world.app::<BulkSender>(source);
    let stream = world.app::<BulkReceiver>(sink).and_then(|sink| sink.streams().first());
    let bytes = stream.map_or(0, |stream| stream.bytes);
    let open = source.and_then(BulkSender::socket);
    let info = open.and_then(|socket| world.host(sender)?.tcp_info(socket).ok());
    Ok(Transfer {
        bytes,
        intact: stream.is_some_and(|stream| stream.intact),
        complete: bytes == config.bytes && stream.is_some_and(|stream| stream.ended),
        duration: stream
            .and_then(|stream| stream.last_read)
            .map_or(Duration::ZERO, |last| last.since(Instant::ZERO)),
        link: [End::First, End::Second].map(|end| world.link_counters(link, end)),
        events: world.events(),
        info: info.or_else(|| source?.info().cloned()),
        error: source.and_then(BulkSender::error).or_else(|| stream?.error),
        packet_hash: hash.and_then(|hash| Some(world.recorder::<PacketHash>(hash)?.value())),
    })
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
