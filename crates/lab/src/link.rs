//! What does the road between two nodes do to packets? A link's settings, each direction for itself.

use crate::tunnel::{OuterDf, Tunnel};
use std::time::Duration;

/// Which packets get lost on the way, besides those of [`DirectionConfig::lose`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each packet with the same probability (0 to 1), independently of the others.
    Random(f64),
    /// In bursts, by two states with a probability each.
    GilbertElliott(GilbertElliott),
}

/// Bursty loss: a channel that is good or bad and changes between the two with each packet (Gilbert 1960, Elliott
/// 1963). It begins good; a packet meets its state's loss, then the state may change. Probabilities are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GilbertElliott {
    /// Probability of becoming bad after a packet in the good state (`p`).
    pub to_bad: f64,
    /// Probability of becoming good after a packet in the bad state (`r`); bursts are 1/r packets long on average.
    pub to_good: f64,
    /// Probability that a packet is lost in the good state (`1-k`).
    pub loss_in_good: f64,
    /// Probability that a packet is lost in the bad state (`1-h`).
    pub loss_in_bad: f64,
}

impl GilbertElliott {
    /// The share of packets lost in the long run.
    #[must_use]
    pub fn mean_loss(&self) -> f64 {
        let changes = self.to_bad + self.to_good;
        let bad = if changes > 0.0 { self.to_bad / changes } else { 0.0 };
        bad * self.loss_in_bad + (1.0 - bad) * self.loss_in_good
    }
}

/// Which packets a queue drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queue {
    /// Those that find no room.
    #[default]
    DropTail,
    /// Also some of those that have waited too long for too long.
    CoDel(CoDelConfig),
    /// Those that find no room; packets that know ECN are marked when more than so many bytes wait already (as DCTCP's queues,
    /// RFC 8257 §3.1).
    Mark {
        /// Bytes.
        above_bytes: u64,
    },
}

/// CoDel (RFC 8289): when packets have waited longer than `target` for `interval`, it drops at a growing pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDelConfig {
    /// Waiting that is always allowed.
    pub target: Duration,
    /// How long waiting may last; about the longest usual round trip.
    pub interval: Duration,
    /// Packets that know ECN are marked instead of dropped (RFC 8289 §5.1).
    pub ecn: bool,
}

impl Default for CoDelConfig {
    /// 5 ms and 100 ms (RFC 8289 §4.2, §4.3).
    fn default() -> CoDelConfig {
        CoDelConfig { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: false }
    }
}

/// One direction of a link.
///
/// A packet that is offered to a direction waits in the queue until those before it have left, takes its transmission
/// time (its bytes plus `frame_overhead_bytes` at `rate_bits_per_second`, rounded up to the nanosecond), and arrives
/// `delay` (and some `jitter`) later. Loss happens on the way, so that a lost packet has taken its share of the rate.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionConfig {
    /// Largest IP packet, bytes; larger ones are dropped. In a tunnel: the largest outer one.
    pub mtu: u32,
    /// Rate in bits per second; `None`: packets take no time and never queue.
    pub rate_bits_per_second: Option<u64>,
    /// Time on the way.
    pub delay: Duration,
    /// Each packet takes up to this much longer, uniformly distributed; the order is kept.
    pub jitter: Duration,
    /// Most bytes that wait, the packet being transmitted not counted; what finds no room is dropped (drop-tail).
    pub queue_bytes: u64,
    /// Which packets the queue drops besides.
    pub queue: Queue,
    /// Bytes that each packet takes on the link besides its own (Ethernet: 14, with preamble, FCS and gap 38).
    pub frame_overhead_bytes: u32,
    /// The packets travel in this tunnel: they take its bytes too, and what fits is less than the MTU.
    pub tunnel: Option<Tunnel>,
    /// MTU of the tunnel's device, bytes; 0: what fits. If it is more, the outer packets of large ones do not fit.
    pub tunnel_mtu: u32,
    /// Whether outer packets may be cut; `None`: as [`Tunnel::usual_df`].
    pub tunnel_df: Option<OuterDf>,
    /// Random loss.
    pub loss: Loss,
    /// Probability that a bit arrives wrong, independently of the others: a packet with one that does is lost, its frame overhead and tunnel
    /// counted, so that loss grows with size.
    pub bit_error_rate: f64,
    /// These packets are lost: numbers, from 0, of the packets offered to this direction.
    pub lose: Vec<u64>,
    /// Probability that a packet is held up by [`DirectionConfig::reorder_by`], so that later ones overtake it.
    pub reorder: f64,
    /// How long a reordered packet is held up.
    pub reorder_by: Duration,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
    /// Packets lose their ECN field on the way, as some networks still do it ("bleaching", RFC 9065 §2.2.4).
    pub bleach_ecn: bool,
}

impl Default for DirectionConfig {
    /// MTU 1500, no limit of rate, no delay, nothing lost; a queue of 1000 full packets once there is a rate.
    fn default() -> DirectionConfig {
        DirectionConfig {
            mtu: 1_500,
            rate_bits_per_second: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            queue_bytes: 1_500_000,
            queue: Queue::DropTail,
            frame_overhead_bytes: 0,
            tunnel: None,
            tunnel_mtu: 0,
            tunnel_df: None,
            loss: Loss::None,
            bit_error_rate: 0.0,
            lose: Vec::new(),
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            duplicate: 0.0,
            bleach_ecn: false,
        }
    }
}

impl DirectionConfig {
    /// How long a packet of `bytes` occupies the link.
    #[must_use]
    pub fn transmission_time(&self, bytes: u32) -> Duration {
        let Some(rate) = self.rate_bits_per_second else { return Duration::ZERO };
        let bits = (u64::from(bytes) + u64::from(self.frame_overhead_bytes)) * 8;
        // Any real packet's product has room in 64 bits, where division is several times as fast.
        let nanoseconds = match bits.checked_mul(1_000_000_000) {
            Some(product) => product.div_ceil(rate.max(1)),
            None => u64::try_from((u128::from(bits) * 1_000_000_000).div_ceil(u128::from(rate.max(1))))
                .unwrap_or(u64::MAX),
        };
        Duration::from_nanos(nanoseconds)
    }

    /// The probability that a packet of `bytes` (in a tunnel: an outer one) is lost to a bit error: 1 − (1 − rate)^bits, the bits being
    /// all that travel on the link.
    #[must_use]
    pub fn loss_to_bit_errors(&self, bytes: u32) -> f64 {
        let bits = (f64::from(bytes) + f64::from(self.frame_overhead_bytes)) * 8.0;
        // Exact also where the rate is so small that 1 − rate is 1.
        -(bits * (-self.bit_error_rate).ln_1p()).exp_m1()
    }

    /// The largest IP packet that is sent here: the MTU; in a tunnel that of its device, which is what fits unless `tunnel_mtu` says
    /// otherwise.
    #[must_use]
    pub fn inner_mtu(&self, ipv6: bool) -> u32 {
        match self.tunnel {
            None => self.mtu,
            Some(_) if self.tunnel_mtu > 0 => self.tunnel_mtu,
            Some(tunnel) => tunnel.inner_mtu(self.mtu, ipv6),
        }
    }

    /// The setting that makes no sense, if there is one: its name and what is expected.
    pub(crate) fn wrong_setting(&self, ipv6: bool) -> Option<(&'static str, &'static str)> {
        let smallest_mtu = if ipv6 { 1_280 } else { 68 };
        let probability = |p: f64| (0.0..=1.0).contains(&p);
        if self.tunnel == Some(Tunnel::Sit) && !ipv6 {
            return Some(("tunnel", "another: `sit` carries IPv6, and this world speaks IPv4"));
        }
        if self.inner_mtu(ipv6) < smallest_mtu {
            return Some(("mtu", "at least 68 bytes for IPv4 (RFC 791) and 1280 for IPv6 (RFC 8200)"));
        }
        if self.rate_bits_per_second == Some(0) {
            return Some(("rate_bits_per_second", "a rate above zero, or none for no limit"));
        }
        let likely = match self.loss {
            Loss::None => true,
            Loss::Random(p) => probability(p),
            Loss::GilbertElliott(model) => {
                [model.to_bad, model.to_good, model.loss_in_good, model.loss_in_bad]
                    .into_iter()
                    .all(probability)
            }
        };
        if !likely {
            return Some(("loss", "a probability from 0 to 1"));
        }
        if !probability(self.bit_error_rate) {
            return Some(("bit_error_rate", "a probability from 0 to 1"));
        }
        if !probability(self.reorder) {
            return Some(("reorder", "a probability from 0 to 1"));
        }
        if !probability(self.duplicate) {
            return Some(("duplicate", "a probability from 0 to 1"));
        }
        None
    }
}

/// A link: a road between two nodes, each direction for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkConfig {
    /// From the link's first node to its second.
    pub forward: DirectionConfig,
    /// From the second to the first.
    pub backward: DirectionConfig,
    /// Its tunnel's packets travel over the other links between the two nodes, by the shortest way, rather than over this one. Then this
    /// link is the tunnel's device at both ends: of each direction only what is said of the tunnel counts.
    pub over_network: bool,
}

impl LinkConfig {
    /// The same in both directions.
    #[must_use]
    pub fn symmetric(direction: DirectionConfig) -> LinkConfig {
        LinkConfig { forward: direction.clone(), backward: direction, over_network: false }
    }

    /// An otherwise perfect link with this delay each way.
    #[must_use]
    pub fn with_delay(delay: Duration) -> LinkConfig {
        LinkConfig::symmetric(DirectionConfig { delay, ..DirectionConfig::default() })
    }
}

/// What has happened in one direction of a link. Packets and bytes are those of IP; of a tunnel over the link its outer ones, of one over
/// the network the inner ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionCounters {
    /// Packets offered to the direction.
    pub offered_packets: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Packets that arrived, duplicates counted.
    pub delivered_packets: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Dropped because they were larger than the MTU, or larger than what enters the tunnel.
    pub dropped_too_large: u64,
    /// Packets whose outer packet the tunnel's entrance has cut, …
    pub outer_fragmented: u64,
    /// … and the pieces that they became.
    pub outer_fragments: u64,
    /// Dropped because the queue was full.
    pub dropped_queue_full: u64,
    /// Dropped by CoDel, because the queue had been standing.
    pub dropped_by_codel: u64,
    /// Packets that knew ECN, or were marked, and lost that on the way ([`DirectionConfig::bleach_ecn`]).
    pub bleached: u64,
    /// Marked by the queue instead of dropped (ECN).
    pub marked: u64,
    /// Lost by chance.
    pub lost_randomly: u64,
    /// Lost because a bit arrived wrong.
    pub lost_to_bit_errors: u64,
    /// Lost because they were on the list.
    pub lost_as_listed: u64,
    /// Held up so that later packets could overtake them.
    pub reordered: u64,
    /// Arrived a second time.
    pub duplicated: u64,
    /// The most bytes that ever waited.
    pub largest_queue_bytes: u64,
}
