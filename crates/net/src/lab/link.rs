//! What is the network between two hosts like? A link, said in one line.

use narrows_lab::{CoDelConfig, DirectionConfig, GilbertElliott, LinkConfig, Loss, Queue};
use std::time::Duration;

/// A link between two hosts or routers: as it is made, an MTU of 1500 bytes and otherwise perfect.
///
/// Each method sets both directions; [`Link::back`] sets the way back for itself.
///
/// ```
/// use narrows_net::lab::Link;
/// use std::time::Duration;
///
/// let line = Link::new()
///     .delay(Duration::from_millis(40))
///     .bits_per_second(20_000_000)
///     .loss(0.01)
///     .back(|back| back.bits_per_second(2_000_000));
/// # let config: narrows_lab::LinkConfig = line.into();
/// # assert_eq!(config.forward.delay, config.backward.delay);
/// # assert_eq!(config.backward.rate_bits_per_second, Some(2_000_000));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a link does nothing until it is put between two hosts"]
pub struct Link {
    config: LinkConfig,
}

impl Link {
    /// A perfect link with an MTU of 1500 bytes.
    pub fn new() -> Link {
        Link::default()
    }

    fn set(mut self, set: impl Fn(&mut DirectionConfig)) -> Link {
        set(&mut self.config.forward);
        set(&mut self.config.backward);
        self
    }

    /// How long a packet is under way, one way. A round trip is twice that.
    pub fn delay(self, delay: Duration) -> Link {
        self.set(|direction| direction.delay = delay)
    }

    /// Up to this much more per packet, at random; packets keep their order.
    pub fn jitter(self, jitter: Duration) -> Link {
        self.set(|direction| direction.jitter = jitter)
    }

    /// The rate. Packets that come faster wait in the queue.
    pub fn bits_per_second(self, rate: u64) -> Link {
        self.set(|direction| direction.rate_bits_per_second = Some(rate))
    }

    /// How many bytes may wait; what finds no room is dropped.
    pub fn queue_bytes(self, bytes: u64) -> Link {
        self.set(|direction| direction.queue_bytes = bytes)
    }

    /// The queue is managed by CoDel (RFC 8289) with its usual values, so that it stays short.
    pub fn codel(self) -> Link {
        self.set(|direction| direction.queue = Queue::CoDel(CoDelConfig::default()))
    }

    /// Packets that know ECN are marked, not dropped, while more than so many bytes wait in the queue already (RFC 3168; as DCTCP's queues).
    pub fn mark_above(self, bytes: u64) -> Link {
        self.set(|direction| direction.queue = Queue::Mark { above_bytes: bytes })
    }

    /// Packets lose their ECN field on the way, as some networks do it.
    pub fn bleach_ecn(self) -> Link {
        self.set(|direction| direction.bleach_ecn = true)
    }

    /// Each packet is lost with this probability (0 to 1).
    pub fn loss(self, probability: f64) -> Link {
        self.set(|direction| direction.loss = Loss::Random(probability))
    }

    /// Packets are lost in bursts of this many on average, with this probability in the long run.
    pub fn loss_in_bursts(self, probability: f64, packets_per_burst: f64) -> Link {
        let to_good = 1.0 / packets_per_burst.max(1.0);
        let to_bad = (to_good * probability / (1.0 - probability).max(f64::EPSILON)).min(1.0);
        let model = GilbertElliott { to_bad, to_good, loss_in_good: 0.0, loss_in_bad: 1.0 };
        self.set(|direction| direction.loss = Loss::GilbertElliott(model))
    }

    /// Exactly these packets are lost: numbers, from 0, of those sent in a direction.
    pub fn lose(self, packets: impl IntoIterator<Item = u64>) -> Link {
        let packets: Vec<u64> = packets.into_iter().collect();
        self.set(|direction| direction.lose.clone_from(&packets))
    }

    /// Each packet is held up by `delay` with this probability (0 to 1), so that others overtake it.
    pub fn reorder(self, probability: f64, delay: Duration) -> Link {
        self.set(|direction| (direction.reorder, direction.reorder_by) = (probability, delay))
    }

    /// Each packet arrives twice with this probability (0 to 1).
    pub fn duplicate(self, probability: f64) -> Link {
        self.set(|direction| direction.duplicate = probability)
    }

    /// The largest IP packet, bytes.
    pub fn mtu(self, bytes: u32) -> Link {
        self.set(|direction| direction.mtu = bytes)
    }

    /// Sets the way from the second end to the first for itself.
    pub fn back(mut self, set: impl FnOnce(Link) -> Link) -> Link {
        let back = set(Link { config: LinkConfig::symmetric(self.config.backward) });
        self.config.backward = back.config.backward;
        self
    }
}

impl From<Link> for LinkConfig {
    fn from(link: Link) -> LinkConfig {
        link.config
    }
}

impl From<LinkConfig> for Link {
    fn from(config: LinkConfig) -> Link {
        Link { config }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_have_the_loss_that_was_asked_for() {
        let config: LinkConfig = Link::new().loss_in_bursts(0.03, 5.0).into();
        let Loss::GilbertElliott(model) = config.forward.loss else { panic!("{config:?}") };
        assert!((model.mean_loss() - 0.03).abs() < 1e-9);
        assert!((1.0 / model.to_good - 5.0).abs() < 1e-9);
    }

    #[test]
    fn the_way_back_can_differ() {
        let config: LinkConfig = Link::new().mtu(1_400).back(|back| back.mtu(1_300).loss(0.5)).into();
        assert_eq!((config.forward.mtu, config.backward.mtu), (1_400, 1_300));
        assert_eq!((config.forward.loss, config.backward.loss), (Loss::None, Loss::Random(0.5)));
    }
}
