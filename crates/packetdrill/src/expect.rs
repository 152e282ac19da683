//! Is this the packet that the script expects? Comparison field by field, and both written side by side.

use crate::script::{OptionSpec, TcpSpec};
use narrows_wire::option_kind as kind;
use narrows_wire::{Packet, RawOptions, Seq, TcpFlags, TcpHeader, Transport};
use std::collections::BTreeMap;

/// How the script's numbers relate to the wire's for one connection.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// Wire minus script, for the host's own sequence numbers. The peer's are the same on the wire.
    pub local_offset: u32,
    /// The host's first SYN has been seen.
    pub known: bool,
    /// Host's timestamps: script to wire, in the order of their appearance.
    timestamps: BTreeMap<u32, u32>,
    first_timestamp: Option<(u32, u32)>,
}

impl Mapping {
    /// A number of the host's stream, script to wire.
    #[must_use]
    pub fn local_to_wire(&self, seq: u32) -> Seq {
        Seq(seq.wrapping_add(self.local_offset))
    }

    /// A number of the host's stream, wire to script.
    #[must_use]
    pub fn local_to_script(&self, seq: Seq) -> u32 {
        seq.0.wrapping_sub(self.local_offset)
    }

    /// An echo of the host's timestamp, script to wire.
    #[must_use]
    pub fn echo_to_wire(&self, echo: u32) -> u32 {
        if echo == 0 {
            return 0;
        }
        match (self.timestamps.get(&echo), self.first_timestamp) {
            (Some(value), _) => *value,
            (None, Some((script, wire))) => wire.wrapping_add(echo.wrapping_sub(script)),
            (None, None) => echo,
        }
    }

    /// Notes which value of the wire a value of the script stands for. With `tick`, the microseconds of one unit, it must
    /// be as far from the first one as the script says.
    fn note_timestamp(&mut self, script: u32, wire: u32, tick: Option<i64>) -> bool {
        let (first_script, first_wire) = *self.first_timestamp.get_or_insert((script, wire));
        self.timestamps.insert(script, wire);
        let Some(tick) = tick else { return true };
        // The host's own timestamps count milliseconds.
        let expected = i64::from(script.wrapping_sub(first_script) as i32) * tick;
        let seen = i64::from(wire.wrapping_sub(first_wire) as i32) * 1_000;
        (expected - seen).abs() <= tick.max(4_000)
    }
}

/// What the script says about the IP header.
#[derive(Clone, Copy, Debug, Default)]
pub struct IpExpectation {
    /// The ECN bits.
    pub ecn: Option<u8>,
    /// The whole byte.
    pub tos: Option<u8>,
}

/// Packets that were taken as one.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The last packet: flags, options and time are its.
    pub last: Packet,
    /// Sequence number of the first.
    pub seq: Seq,
    /// Payload of all, bytes.
    pub len: usize,
    /// The first one carried CWR.
    pub cwr: bool,
}

impl Seen {
    /// The TCP header of the last packet.
    #[must_use]
    pub fn header(&self) -> Option<&TcpHeader> {
        match &self.last.transport {
            Transport::Tcp(header) => Some(header),
            _ => None,
        }
    }
}

/// Compares; the mapping learns timestamps.
///
/// # Errors
/// The names of the fields that differ.
pub fn compare(
    expected: &TcpSpec,
    ip: IpExpectation,
    seen: &Seen,
    mapping: &mut Mapping,
    tick: Option<i64>,
) -> Result<(), Vec<&'static str>> {
    let Some(header) = seen.header() else { return Err(vec!["protocol"]) };
    let mut differences = Vec::new();
    let mut check = |name, equal: bool| {
        if !equal {
            differences.push(name);
        }
    };
    let mut flags = header.flags;
    if seen.cwr {
        flags |= TcpFlags::CWR;
    }
    check("flags", flags == expected.flags);
    check("seq", mapping.local_to_script(seen.seq) == expected.seq);
    check("length", seen.len == expected.len as usize);
    check("ack", header.ack == Seq(expected.ack.unwrap_or(0)));
    check("win", expected.window.is_none_or(|window| window == header.window));
    check("urg", header.urgent == expected.urgent);
    check("ecn", ip.ecn.is_none_or(|ecn| ecn == seen.last.ip.traffic_class & 3));
    check("tos", ip.tos.is_none_or(|tos| tos == seen.last.ip.traffic_class));
    if let Some(options) = &expected.options {
        let on_wire = options_of(header);
        check("options", same_options(options, &on_wire, mapping, tick));
    }
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

fn same_options(
    expected: &[OptionSpec],
    seen: &[OptionSpec],
    mapping: &mut Mapping,
    tick: Option<i64>,
) -> bool {
    expected.len() == seen.len()
        && expected.iter().zip(seen).all(|(expected, seen)| match (expected, seen) {
            (
                OptionSpec::Timestamps { value, echo },
                OptionSpec::Timestamps { value: wire, echo: wire_echo },
            ) => echo == wire_echo && mapping.note_timestamp(*value, *wire, tick),
            (expected, seen) => expected == seen,
        })
}

/// The options as they stand on the wire, padding included.
fn options_of(header: &TcpHeader) -> Vec<OptionSpec> {
    let mut bytes = Vec::new();
    header.options.emit(&mut bytes);
    RawOptions::new(&bytes)
        .filter_map(Result::ok)
        .map(|option| {
            let word = |at: usize| {
                option.body.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
            };
            match option.kind {
                kind::END => OptionSpec::End,
                kind::MSS => OptionSpec::Mss((word_of_two(option.body)) as u16),
                kind::WINDOW_SCALE => OptionSpec::WindowScale(option.body.first().copied().unwrap_or(0)),
                kind::SACK_PERMITTED => OptionSpec::SackPermitted,
                kind::SACK => OptionSpec::Sack(
                    (0..option.body.len() / 8).map(|n| (word(8 * n), word(8 * n + 4))).collect(),
                ),
                kind::TIMESTAMPS => OptionSpec::Timestamps { value: word(0), echo: word(4) },
                kind::FAST_OPEN => OptionSpec::FastOpen { cookie: option.body.to_vec(), experimental: false },
                kind::EXPERIMENTAL => OptionSpec::FastOpen {
                    cookie: option.body.get(2..).unwrap_or_default().to_vec(),
                    experimental: true,
                },
                _ => OptionSpec::Nop,
            }
        })
        .collect()
}

fn word_of_two(body: &[u8]) -> u32 {
    body.iter().take(2).fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// An expected segment as scripts write it.
#[must_use]
pub fn write_expected(spec: &TcpSpec, ip: IpExpectation) -> String {
    let mut text = prefix(ip.ecn, ip.tos);
    let end = spec.seq.wrapping_add(spec.len);
    text += &format!("{} {}:{end}({})", flags(spec.flags), spec.seq, spec.len);
    if spec.flags.contains(TcpFlags::ACK) || spec.ack.is_some() {
        text += &format!(" ack {}", spec.ack.unwrap_or(0));
    }
    if let Some(window) = spec.window {
        text += &format!(" win {window}");
    }
    match &spec.options {
        None => text += " <...>",
        Some(options) => text += &write_options(options),
    }
    text
}

/// A segment that was seen, in the script's numbers.
#[must_use]
pub fn write_seen(seen: &Seen, ip: IpExpectation, mapping: &Mapping) -> String {
    let Some(header) = seen.header() else { return "a packet that is not TCP".into() };
    let class = seen.last.ip.traffic_class;
    let mut text = prefix(ip.ecn.map(|_| class & 3), ip.tos.map(|_| class));
    let seq = mapping.local_to_script(seen.seq);
    let end = seq.wrapping_add(seen.len as u32);
    let cwr = if seen.cwr { TcpFlags::CWR } else { TcpFlags::default() };
    text += &format!("{} {seq}:{end}({})", flags(header.flags | cwr), seen.len);
    if header.flags.contains(TcpFlags::ACK) {
        text += &format!(" ack {}", header.ack.0);
    }
    text += &format!(" win {}", header.window);
    text += &write_options(&options_of(header));
    text
}

fn prefix(ecn: Option<u8>, tos: Option<u8>) -> String {
    match (ecn, tos) {
        (_, Some(tos)) => format!("(tos {tos:#x}) "),
        (Some(0), _) => "[noecn] ".into(),
        (Some(1), _) => "[ect1] ".into(),
        (Some(2), _) => "[ect0] ".into(),
        (Some(_), _) => "[ce] ".into(),
        (None, None) => String::new(),
    }
}

fn flags(flags: TcpFlags) -> String {
    let letters = [
        (TcpFlags::FIN, 'F'),
        (TcpFlags::SYN, 'S'),
        (TcpFlags::RST, 'R'),
        (TcpFlags::PSH, 'P'),
        (TcpFlags::ACK, '.'),
        (TcpFlags::URG, 'U'),
        (TcpFlags::ECE, 'E'),
        (TcpFlags::CWR, 'W'),
    ];
    let set: String = letters.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, c)| *c).collect();
    if set.is_empty() { "-".into() } else { set }
}

fn write_options(options: &[OptionSpec]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let one = |option: &OptionSpec| match option {
        OptionSpec::End => "eol".to_owned(),
        OptionSpec::Nop => "nop".into(),
        OptionSpec::Mss(mss) => format!("mss {mss}"),
        OptionSpec::WindowScale(shift) => format!("wscale {shift}"),
        OptionSpec::SackPermitted => "sackOK".into(),
        OptionSpec::Sack(blocks) => {
            let blocks: Vec<String> = blocks.iter().map(|(left, right)| format!("{left}:{right}")).collect();
            format!("sack {}", blocks.join(" "))
        }
        OptionSpec::Timestamps { value, echo } => format!("TS val {value} ecr {echo}"),
        OptionSpec::FastOpen { cookie, experimental } => {
            let name = if *experimental { "FOEXP" } else { "FO" };
            format!("{name} {}", hex(cookie)).trim_end().to_owned()
        }
        OptionSpec::Md5(digest) => format!("md5 {}", hex(digest)),
    };
    let options: Vec<String> = options.iter().map(one).collect();
    format!(" <{}>", options.join(","))
}
