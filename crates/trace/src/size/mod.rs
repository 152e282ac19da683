//! What do the sizes of packets tell about the path?
//!
//! [`passage`] sees it from the sender: which sizes were acknowledged, and which vanished. [`refill`] sees it from the
//! receiver: what arrives late is cut smaller than what had been sent first. [`announced`] reads an MSS option against
//! the rest of its SYN, [`tunnel`] what a number of bytes usually means.

pub(crate) mod announced;
pub(crate) mod passage;
pub(crate) mod refill;
pub(crate) mod told;
pub(crate) mod tunnel;
pub(crate) mod upward;

/// What Ethernet carries, and most interfaces have, bytes of IP.
pub(crate) const ETHERNET_MTU: u32 = 1500;
/// Nobody's path MTU is below what IPv4 hosts have to be ready for (RFC 1122 §3.3.2), bytes: no sender's full segments make
/// smaller packets, and what vanishes below that vanishes for another reason.
pub(crate) const LEAST_MTU: u32 = 576;

/// Evidence that packets of some sizes vanish in one direction, and smaller ones do not. Times are nanoseconds since the
/// connection's first packet, packet numbers those of the capture less that of the connection's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vanishing {
    /// The largest packet that arrived, bytes of IP.
    pub(crate) passed: u32,
    /// The smallest larger one that vanished.
    pub(crate) vanished: u32,
    /// How many packets vanished, every copy counted.
    pub(crate) count: u32,
    /// How many of these had the largest size: a flight of full segments, and no single probes.
    pub(crate) largest: u32,
    /// How many of these were sent again after one of the same size.
    pub(crate) repeated: u32,
    /// From when nothing came through.
    pub(crate) from: u64,
    /// When something did again; `None`: never.
    pub(crate) until: Option<u64>,
    /// The size it did with.
    pub(crate) restarted_with: Option<u32>,
    /// The packets that show it.
    pub(crate) numbers: Vec<u32>,
    /// Payload that the sender has shown to have sent, and that never came to where the capture was made, bytes.
    pub(crate) never_came: u64,
    /// Only their absence was seen: the capture was made behind the place where they vanish.
    pub(crate) from_behind: bool,
    /// Seen from behind: the first that came was alone, after a silence as long as a retransmission timeout.
    pub(crate) timed_out: bool,
    /// Seen from behind: the silence began with the sender's own last word, and not with what it answers.
    pub(crate) after_own: bool,
}
