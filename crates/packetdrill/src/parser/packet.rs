//! What does a line with a packet say?

use super::Parser;
use crate::error::ScriptError;
use crate::lexer::Token;
use crate::script::{Body, Direction, Ecn, IcmpKind, IcmpSpec, OptionSpec, PacketSpec, TcpSpec};
use narrows_wire::TcpFlags;

/// Codes of ICMP's "destination unreachable" (RFC 792, RFC 1122 §3.2.2.1).
const UNREACHABLE_CODES: [(&str, u8); 8] = [
    ("net_unreachable", 0),
    ("host_unreachable", 1),
    ("protocol_unreachable", 2),
    ("port_unreachable", 3),
    ("source_route_failed", 5),
    ("net_unknown", 6),
    ("host_unknown", 7),
    ("host_prohibited", 10),
];
/// Codes of ICMPv6's "destination unreachable" (RFC 4443 §3.1).
const UNREACHABLE_CODES_V6: [(&str, u8); 3] =
    [("no_route", 0), ("admin_prohibited", 1), ("address_unreachable", 3)];

impl Parser<'_> {
    pub(super) fn packet(&mut self) -> Result<PacketSpec, ScriptError> {
        let direction = if self.take('<')? {
            Direction::Inbound
        } else {
            self.expect('>')?;
            Direction::Outbound
        };
        let mut ecn = None;
        let mut tos = None;
        if self.take('[')? {
            ecn = Some(match self.word("noecn, ect0, ect1 or ce")?.as_str() {
                "noecn" => Ecn::NotCapable,
                "ect0" => Ecn::Ect0,
                "ect1" => Ecn::Ect1,
                "ce" => Ecn::CongestionExperienced,
                other => return Err(self.bad(format!("\"{other}\" is not an ECN field"))),
            });
            self.expect(']')?;
        } else if self.take('(')? {
            match self.word("tos")?.as_str() {
                "tos" => tos = Some(self.number("a TOS byte")?),
                other => return Err(self.bad(format!("\"{other}\" is not a field of the IP header"))),
            }
            self.expect(')')?;
        }
        let body = match self.peek()? {
            Token::Word(word) if word == "icmp" => {
                self.next()?;
                Body::Icmp(self.icmp()?)
            }
            Token::Word(word)
                if ["udp", "ipv4", "ipv6", "gre", "mpls", "sctp", "psp"].contains(&word.as_str()) =>
            {
                return Err(ScriptError::missing(self.line(), format!("packets of {word}")));
            }
            _ => Body::Tcp(self.tcp()?),
        };
        if direction == Direction::Outbound && matches!(body, Body::Icmp(_)) {
            return Err(ScriptError::missing(self.line(), "ICMP messages from the host"));
        }
        Ok(PacketSpec { direction, ecn, tos, body })
    }

    fn bad(&self, problem: String) -> ScriptError {
        ScriptError::syntax(self.line(), problem)
    }

    fn tcp(&mut self) -> Result<TcpSpec, ScriptError> {
        let raw = self.lexer.raw()?;
        let flags = self.flags(&raw)?;
        let (seq, len) = self.extent()?;
        let mut spec =
            TcpSpec { flags, seq, len, ack: None, window: None, urgent: 0, options: Some(Vec::new()) };
        loop {
            match self.peek()? {
                Token::Word(word) if word == "ack" => {
                    self.next()?;
                    spec.ack = Some(self.number("an acknowledgment number")?);
                }
                Token::Word(word) if word == "win" => {
                    self.next()?;
                    spec.window = Some(self.number("a window of at most 65535")?);
                }
                Token::Word(word) if word == "urg" => {
                    self.next()?;
                    spec.urgent = self.number("an urgent pointer")?;
                }
                Token::Symbol('<') => {
                    self.next()?;
                    spec.options = self.options()?;
                    return Ok(spec);
                }
                Token::Word(word) => return Err(self.bad(format!("a packet has no \"{word}\""))),
                _ => return Ok(spec),
            }
        }
    }

    fn flags(&self, raw: &str) -> Result<TcpFlags, ScriptError> {
        let mut flags = TcpFlags::default();
        if raw == "-" {
            return Ok(flags);
        }
        if raw.is_empty() {
            return Err(self.bad("flags were expected".into()));
        }
        for letter in raw.chars() {
            let flag = match letter {
                'F' => TcpFlags::FIN,
                'S' => TcpFlags::SYN,
                'R' => TcpFlags::RST,
                'P' => TcpFlags::PSH,
                '.' => TcpFlags::ACK,
                'U' => TcpFlags::URG,
                'E' => TcpFlags::ECE,
                'W' => TcpFlags::CWR,
                'A' | '0'..='7' => return Err(ScriptError::missing(self.line(), "accurate ECN (RFC 9768)")),
                other => return Err(self.bad(format!("\"{other}\" in \"{raw}\" is not a flag"))),
            };
            if flags.contains(flag) {
                return Err(self.bad(format!("\"{raw}\" has a flag twice")));
            }
            flags |= flag;
        }
        Ok(flags)
    }

    /// `first:end(length)`.
    fn extent(&mut self) -> Result<(u32, u32), ScriptError> {
        let first: u32 = self.number("a sequence number")?;
        self.expect(':')?;
        let end: u32 = self.number("the sequence number of the end")?;
        self.expect('(')?;
        let length: u32 = self.number("the number of bytes")?;
        self.expect(')')?;
        if first.wrapping_add(length) != end {
            return Err(self.bad(format!("{first}:{end} is not {length} bytes")));
        }
        Ok((first, length))
    }

    fn options(&mut self) -> Result<Option<Vec<OptionSpec>>, ScriptError> {
        if self.peek()? == Token::Ellipsis {
            self.next()?;
            self.expect('>')?;
            return Ok(None);
        }
        let mut options = Vec::new();
        loop {
            let word = self.word("a TCP option")?;
            options.push(self.option(&word)?);
            if !self.take(',')? {
                self.expect('>')?;
                let bytes: usize = options.iter().map(OptionSpec::wire_bytes).sum();
                if !bytes.is_multiple_of(4) || bytes > 40 {
                    return Err(self.bad(format!(
                        "{bytes} bytes of options: a TCP header has room for 40, and they fill words of 4 (RFC 9293 §3.1)"
                    )));
                }
                return Ok(Some(options));
            }
        }
    }

    fn option(&mut self, word: &str) -> Result<OptionSpec, ScriptError> {
        Ok(match word {
            "eol" => OptionSpec::End,
            "nop" => OptionSpec::Nop,
            "mss" => OptionSpec::Mss(self.number("an MSS")?),
            "wscale" => OptionSpec::WindowScale(self.number("a shift")?),
            "sackOK" => OptionSpec::SackPermitted,
            "sack" => {
                let mut blocks = Vec::new();
                while let Token::Number(_) = self.peek()? {
                    let left = self.number("a block's left edge")?;
                    self.expect(':')?;
                    blocks.push((left, self.number("a block's right edge")?));
                }
                if blocks.is_empty() {
                    return Err(self.bad("a sack option needs a block (\"1:1001\")".into()));
                }
                OptionSpec::Sack(blocks)
            }
            "TS" => {
                let mut field = |name: &str| {
                    let found = self.word(name)?;
                    if found != name {
                        return Err(ScriptError::syntax(
                            self.line(),
                            format!("\"{name}\" was expected in TS, not \"{found}\""),
                        ));
                    }
                    self.number("a timestamp")
                };
                OptionSpec::Timestamps { value: field("val")?, echo: field("ecr")? }
            }
            "FO" | "FOEXP" => {
                let raw = self.lexer.raw()?;
                let cookie =
                    hex(&raw).ok_or_else(|| self.bad(format!("\"{raw}\" is not a cookie in hexadecimal")))?;
                if cookie.len() > 16 {
                    return Err(ScriptError::missing(self.line(), "Fast Open cookies of more than 16 bytes"));
                }
                OptionSpec::FastOpen { cookie, experimental: word == "FOEXP" }
            }
            "md5" => {
                let raw = self.lexer.raw()?;
                match hex(&raw) {
                    Some(digest) if digest.len() == 16 => OptionSpec::Md5(digest),
                    _ => return Err(self.bad(format!("\"{raw}\" is not an MD5 digest of 16 bytes"))),
                }
            }
            "ECN" | "e0b" | "e1b" | "ceb" => {
                return Err(ScriptError::missing(self.line(), "accurate ECN (RFC 9768)"));
            }
            other => return Err(self.bad(format!("\"{other}\" is not a TCP option"))),
        })
    }

    fn icmp(&mut self) -> Result<IcmpSpec, ScriptError> {
        let kind = self.word("an ICMP message")?;
        let mut code = None;
        let mut mtu = None;
        let mut quoted = (0, 0);
        loop {
            match self.peek()? {
                Token::Word(word) if word == "mtu" => {
                    self.next()?;
                    mtu = Some(self.number::<u32>("an MTU")?);
                }
                Token::Word(word) if code.is_none() => {
                    self.next()?;
                    code = Some(word);
                }
                Token::Symbol('[') => {
                    self.next()?;
                    quoted = self.extent()?;
                    self.expect(']')?;
                    break;
                }
                _ => break,
            }
        }
        let kind = match (kind.as_str(), code.as_deref(), mtu) {
            ("unreachable", Some("frag_needed"), Some(mtu)) | ("packet_too_big", None, Some(mtu)) => {
                IcmpKind::TooBig(mtu)
            }
            ("unreachable", None, None) => IcmpKind::Unreachable(0),
            ("unreachable", Some(code), None) => {
                let mut known = UNREACHABLE_CODES.iter().chain(&UNREACHABLE_CODES_V6);
                match known.find(|(name, _)| *name == code) {
                    Some((_, code)) => IcmpKind::Unreachable(*code),
                    None => return Err(self.bad(format!("\"{code}\" is not a code of ICMP unreachable"))),
                }
            }
            _ => return Err(self.bad(format!("this form of \"icmp {kind}\" is not known"))),
        };
        Ok(IcmpSpec { kind, quoted })
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
