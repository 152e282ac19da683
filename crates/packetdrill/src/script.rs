//! What does a script consist of? The values that the parser makes and the runner plays.

use narrows_wire::TcpFlags;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// Options before the first event: name without dashes, value.
    pub options: Vec<ScriptOption>,
    /// Commands before the first event.
    pub init: Option<Command>,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// Commands after the last event.
    pub cleanup: Option<Command>,
}

/// `--name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptOption {
    /// Line, from 1.
    pub line: usize,
    /// Name without dashes.
    pub name: String,
    /// Value, when there is one.
    pub value: Option<String>,
}

/// Shell commands between backquotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Line, from 1.
    pub line: usize,
    /// The text.
    pub text: String,
}

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Line, from 1.
    pub line: usize,
    /// When.
    pub time: Time,
    /// What.
    pub action: Action,
}

/// When an event happens; microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// `*`: whenever.
    Any,
    /// `1.5`: since the script began.
    Absolute(i64),
    /// `1.5~2.5`.
    AbsoluteRange(i64, i64),
    /// `+1.5`: after the event before.
    Relative(i64),
    /// `+1.5~+2.5`.
    RelativeRange(i64, i64),
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A packet comes in, or is expected to go out.
    Packet(PacketSpec),
    /// The application calls.
    Call(Call),
    /// Shell commands.
    Command(Command),
    /// Statements about TCP_INFO.
    Code(String),
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `<`: to the host.
    Inbound,
    /// `>`: from the host.
    Outbound,
}

/// The ECN field of the IP header (RFC 3168 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn {
    /// Not ECN-capable.
    NotCapable,
    /// ECT(0).
    Ect0,
    /// ECT(1).
    Ect1,
    /// Congestion experienced.
    CongestionExperienced,
}

impl Ecn {
    /// The two bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Ecn::NotCapable => 0,
            Ecn::Ect1 => 1,
            Ecn::Ect0 => 2,
            Ecn::CongestionExperienced => 3,
        }
    }
}

/// A packet.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketSpec {
    /// Where it goes.
    pub direction: Direction,
    /// The ECN field, where the script says something about it.
    pub ecn: Option<Ecn>,
    /// The whole TOS byte or traffic class, where the script says something about it.
    pub tos: Option<u8>,
    /// What is in it.
    pub body: Body,
}

/// What is in a packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A TCP segment.
    Tcp(TcpSpec),
    /// An ICMP message about a segment of the connection.
    Icmp(IcmpSpec),
}

/// A TCP segment.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpSpec {
    /// Flags.
    pub flags: TcpFlags,
    /// Sequence number, relative to the first of its sender as the script counts.
    pub seq: u32,
    /// Payload, bytes.
    pub len: u32,
    /// Acknowledgment number; `None`: 0.
    pub ack: Option<u32>,
    /// Window field, unscaled.
    pub window: Option<u16>,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options in order; `None`: any (`<...>`).
    pub options: Option<Vec<OptionSpec>>,
}

/// A TCP option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionSpec {
    /// End of the list.
    End,
    /// Padding.
    Nop,
    /// Maximum segment size.
    Mss(u16),
    /// Window scale.
    WindowScale(u8),
    /// SACK permitted.
    SackPermitted,
    /// SACK blocks.
    Sack(Vec<(u32, u32)>),
    /// Timestamps.
    Timestamps {
        /// TSval.
        value: u32,
        /// TSecr.
        echo: u32,
    },
    /// Fast Open.
    FastOpen {
        /// The cookie; empty: a request.
        cookie: Vec<u8>,
        /// As the experimental option.
        experimental: bool,
    },
    /// MD5 signature (RFC 2385).
    Md5(Vec<u8>),
}

impl OptionSpec {
    /// How long it is in a packet, bytes.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        match self {
            OptionSpec::End | OptionSpec::Nop => 1,
            OptionSpec::Mss(_) => 4,
            OptionSpec::WindowScale(_) => 3,
            OptionSpec::SackPermitted => 2,
            OptionSpec::Sack(blocks) => 2 + 8 * blocks.len(),
            OptionSpec::Timestamps { .. } => 10,
            OptionSpec::FastOpen { cookie, experimental } => {
                2 + 2 * usize::from(*experimental) + cookie.len()
            }
            OptionSpec::Md5(digest) => 2 + digest.len(),
        }
    }
}

/// An ICMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpSpec {
    /// Its meaning.
    pub kind: IcmpKind,
    /// The part of the stream that the quoted segment carries: sequence number, payload bytes.
    pub quoted: (u32, u32),
}

/// What an ICMP message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// Destination unreachable with this code.
    Unreachable(u8),
    /// The packet was too big; the next hop's MTU in bytes.
    TooBig(u32),
}

/// A system call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<Value>,
    /// What it returns; `None`: anything.
    pub result: Option<i64>,
    /// The name of the error, when it fails with one that is known.
    pub errno: Option<String>,
    /// The call blocks and returns this long after the event before; microseconds.
    pub returns: Option<i64>,
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `...`
    Ellipsis,
    /// A number.
    Integer(i64),
    /// Words and numbers joined by `|`.
    Flags(Vec<Word>),
    /// `"text"`
    Text(String),
    /// `[a, b]`
    Array(Vec<Value>),
    /// `{a, b}` or `{a=1, b=2}`
    Struct(Vec<Value>),
    /// `name=value`, `name(…)=value`
    Field(String, Box<Value>),
}

/// A part of [`Value::Flags`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A name.
    Name(String),
    /// A number.
    Number(i64),
}
