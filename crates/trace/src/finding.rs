//! What is a finding? A cause seen in evidence.

use narrows_lab::Side;
use std::time::Duration;

/// What makes a connection slow. The names are those of the JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// `nagle-delayed-ack`: a small segment was held by Nagle until the peer's delayed ACK came.
    NagleDelayedAck,
    /// `nagle-without-delayed-ack`: a small segment was held by Nagle for a round trip, the ACK came at once.
    NagleWithoutDelayedAck,
    /// `server-think-time`: the server's application took its time.
    ServerThinkTime,
    /// `pmtu-blackhole`: packets of some size vanish on the way, and no ICMP says so.
    PathMtuBlackHole,
    /// `mtu-probing-recovers`: the sender found a size that passes by trying smaller ones.
    MtuProbingRecovers,
    /// `pmtud-adapted`: path MTU discovery told the sender to send smaller packets.
    PathMtuDiscovery,
    /// `mss-clamped`: something on the way lowered the MSS that was asked for.
    MssClamped,
    /// `outer-fragmentation`: a tunnel's packets travel in fragments, as full segments are too large for it.
    OuterFragmentation,
    /// `ip-fragmentation`: datagrams or segments travel in fragments.
    IpFragmentation,
    /// `small-segments`: much of what is sent is headers.
    SmallSegments,
    /// `jumbo-unused`: both ends have jumbo frames, and the path between them takes less.
    JumboUnused,
    /// `syn-option-removed`: an option of a SYN left and did not arrive, as two captures show.
    SynOptionRemoved,
    /// `lost-on-the-way`: packets left and did not arrive, as two captures show.
    LostOnTheWay,
}

impl Cause {
    /// The cause's name in JSON and in captures' truth files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::NagleDelayedAck => "nagle-delayed-ack",
            Cause::NagleWithoutDelayedAck => "nagle-without-delayed-ack",
            Cause::ServerThinkTime => "server-think-time",
            Cause::PathMtuBlackHole => "pmtu-blackhole",
            Cause::MtuProbingRecovers => "mtu-probing-recovers",
            Cause::PathMtuDiscovery => "pmtud-adapted",
            Cause::MssClamped => "mss-clamped",
            Cause::OuterFragmentation => "outer-fragmentation",
            Cause::IpFragmentation => "ip-fragmentation",
            Cause::SmallSegments => "small-segments",
            Cause::JumboUnused => "jumbo-unused",
            Cause::SynOptionRemoved => "syn-option-removed",
            Cause::LostOnTheWay => "lost-on-the-way",
        }
    }

    /// It is worth knowing and costs little or nothing: no alarm.
    #[must_use]
    pub fn is_information(self) -> bool {
        matches!(
            self,
            Cause::MtuProbingRecovers
                | Cause::PathMtuDiscovery
                | Cause::MssClamped
                | Cause::OuterFragmentation
                | Cause::IpFragmentation
                | Cause::SmallSegments
                | Cause::JumboUnused
                | Cause::SynOptionRemoved
                | Cause::LostOnTheWay
        )
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The capture hides what would prove it.
    Low,
    /// Seen, but with gaps in the evidence.
    Medium,
    /// Every step was seen.
    High,
}

/// A cause seen in evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What.
    pub cause: Cause,
    /// Which side does it: for Nagle the side that writes, for thinking the side that thinks, for sizes the side whose
    /// packets have them.
    pub side: Side,
    /// How often.
    pub count: u32,
    /// Time lost in all.
    pub lost: Duration,
    /// Packet numbers that show it, one per occurrence (the packet that was held), at most some hundred.
    pub evidence: Vec<u64>,
    /// How sure.
    pub confidence: Confidence,
    /// The reason in one sentence with the measured numbers.
    pub why: String,
    /// What it says about the MTU of the path in the direction of `side`'s packets.
    pub path_mtu: Option<PathMtu>,
}

/// What is known of a path's MTU. IP packets' lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathMtu {
    /// Packets as large as this pass.
    pub least: u32,
    /// Larger ones do not.
    pub most: u32,
}
