//! What is known of the path? The values that a measurement ends with.

use crate::line::Method;
use crate::tunnel::Likeness;
use narrows_stack::knob::{self, FixLines};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A path MTU, bytes of the IP packet, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Exactly this.
    Exact(u32),
    /// This fits; whether more does could not be found out.
    AtLeast(u32),
    /// Nothing is known.
    Unknown,
}

impl Size {
    /// The largest size that is known to fit.
    #[must_use]
    pub fn bytes(self) -> Option<u32> {
        match self {
            Size::Exact(bytes) | Size::AtLeast(bytes) => Some(bytes),
            Size::Unknown => None,
        }
    }

    /// The size, if it is exact.
    #[must_use]
    pub fn exact(self) -> Option<u32> {
        if let Size::Exact(bytes) = self { Some(bytes) } else { None }
    }
}

/// One direction of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Its path MTU.
    pub path_mtu: Size,
    /// How that was found out, or why it was not, in a sentence without a full stop.
    pub how: String,
}

/// Whether something has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has.
    Yes,
    /// It should have, and has not.
    No,
    /// Nothing asked for it.
    Unknown,
}

/// Which ICMP messages come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// "Fragmentation needed" or "packet too big"; `Unknown` where the path is nowhere narrower than this host's interface.
    pub too_big: Seen,
    /// Echo replies.
    pub echo_reply: Seen,
    /// "Port unreachable" (or another refusal) of the peer.
    pub port_unreachable: Seen,
    /// "Time exceeded" of routers.
    pub time_exceeded: Seen,
    /// Answers stopped coming in the middle of it: somebody limits their rate.
    pub limited: bool,
}

/// A router on the way, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// How many routers away, from 1.
    pub number: u8,
    /// Its address, if it says so.
    pub address: Option<IpAddr>,
    /// Packets larger than the path MTU get there.
    pub large_arrives: bool,
}

/// Where the way to the peer narrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowing {
    /// The last place that large packets reach: a router's number, 0 for this host, `None` where routers are silent.
    pub after_hop: Option<u8>,
    /// That router's address.
    pub router: Option<IpAddr>,
    /// The first place that they do not reach.
    pub before_hop: Option<u8>,
    /// Its address.
    pub next: Option<IpAddr>,
    /// The router itself has said that packets are too big.
    pub said_so: bool,
    /// The MTU that it named.
    pub said_mtu: Option<u32>,
}

/// What became of the TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// A connection was opened.
    Open,
    /// The peer refuses connections.
    Closed,
    /// No answer.
    Silent,
}

/// What both ends of a TCP connection say about segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// The peer's port.
    pub port: u16,
    /// Whether a connection was opened.
    pub state: PortState,
    /// How long the handshake took.
    pub handshake: Option<Duration>,
    /// The MSS option of our SYN, as it left.
    pub mss_asked: Option<u32>,
    /// The MSS option of our SYN as it arrived at a router that quoted it.
    pub mss_asked_on_the_way: Option<AskedOnTheWay>,
    /// The MSS option of the peer's SYN-ACK as it arrived.
    pub mss_received: Option<u32>,
    /// `mss_received` is exact; else it is at least that.
    pub mss_received_exact: bool,
    /// Both ends use timestamps: 12 bytes of each segment.
    pub timestamps: bool,
    /// Bytes of data in the largest segments to the peer that fit: the smaller of what it asks for and of what the path carries, options subtracted.
    pub effective_mss_to_peer: Option<u32>,
    /// The same from the peer.
    pub effective_mss_from_peer: Option<u32>,
    /// Whether somebody on the way rewrites the MSS.
    pub clamping: Clamping,
}

/// What a router quotes of our SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedOnTheWay {
    /// The MSS option there.
    pub mss: u32,
    /// The router's number, from 1.
    pub hop: u8,
    /// Its address.
    pub router: IpAddr,
}

/// Whether somebody on the way rewrites the MSS of handshakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clamping {
    /// Somebody does: how that is known.
    Yes(String),
    /// It looks like it: why.
    Likely(String),
    /// It does not look like it: why.
    No(String),
    /// It cannot be told.
    Unknown,
}

/// Something that costs time or breaks connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name.
    pub kind: FindingKind,
    /// What it is, in a sentence.
    pub what: String,
    /// What to do about it; several ways.
    pub fixes: Vec<Fix>,
}

/// A way to mend something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Where it is typed, and what it does.
    pub place: &'static str,
    /// The knob that is turned, as the table of knobs calls it.
    pub knob: &'static str,
    /// Its value.
    pub value: String,
    /// The path is an IPv6 one.
    pub ipv6: bool,
}

impl Fix {
    /// What one types, per system, from the table of knobs ([`narrows_stack::knob`]).
    #[must_use]
    pub fn commands(&self) -> Vec<FixLines> {
        let lines = knob::find(self.knob).and_then(|knob| knob.fixes_for(&self.value).ok());
        let over = |fix: FixLines| if self.ipv6 { fix.over_ipv6() } else { fix };
        lines.unwrap_or_default().into_iter().map(over).collect()
    }
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// Packets to the peer that are larger than the path MTU vanish, and nobody says so.
    BlackHole,
    /// The same on the way from the peer.
    BlackHoleBack,
}

impl FindingKind {
    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::BlackHole => "black_hole_to_peer",
            FindingKind::BlackHoleBack => "black_hole_from_peer",
        }
    }
}

/// Everything that was found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The host as given.
    pub host: String,
    /// The address that was measured; port 0 without one.
    pub address: SocketAddr,
    /// This host's address towards it.
    pub source: IpAddr,
    /// The MTU of this host's interface, bytes: nothing larger can leave.
    pub interface_mtu: u32,
    /// To the peer.
    pub to_peer: Direction,
    /// From the peer.
    pub from_peer: Direction,
    /// The largest packet that is answered with one as large, where that is all that is known.
    pub round_trip_mtu: Option<u32>,
    /// Where the way to the peer narrows.
    pub narrowing: Option<Narrowing>,
    /// The routers up to there.
    pub hops: Vec<Hop>,
    /// Which ICMP comes back.
    pub icmp: Icmp,
    /// The connection.
    pub tcp: Option<Tcp>,
    /// What the narrower direction looks like.
    pub likenesses: Vec<Likeness>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What else has to be known, and what would permit more.
    pub notes: Vec<String>,
    /// The method that found the size.
    pub method: Option<Method>,
    /// Raw sockets were permitted.
    pub raw: bool,
    /// The smallest round trip, if one was seen.
    pub round_trip: Option<Duration>,
    /// The share of probes of sizes known to fit that got no answer.
    pub loss: f64,
    /// What the kernel believed the path MTU to be, before.
    pub kernel_path_mtu_before: Option<u32>,
    /// And after.
    pub kernel_path_mtu_after: Option<u32>,
    /// Probes sent.
    pub probes: u64,
    /// Bytes of IP packets sent as probes.
    pub probe_bytes: u64,
    /// How long it took.
    pub duration: Duration,
}
