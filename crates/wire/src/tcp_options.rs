//! What else does this segment say? TCP options (RFC 9293 §3.2, 7323, 2018, 7413).

use crate::Seq;
use crate::buffer::{HeaderBuffer, pair};

/// Kinds of TCP options (IANA registry "TCP Option Kind Numbers").
pub mod option_kind {
    /// End of option list.
    pub const END: u8 = 0;
    /// No operation.
    pub const NOP: u8 = 1;
    /// Maximum segment size.
    pub const MSS: u8 = 2;
    /// Window scale.
    pub const WINDOW_SCALE: u8 = 3;
    /// SACK permitted.
    pub const SACK_PERMITTED: u8 = 4;
    /// SACK.
    pub const SACK: u8 = 5;
    /// Timestamps.
    pub const TIMESTAMPS: u8 = 8;
    /// MD5 signature (RFC 2385).
    pub const MD5_SIGNATURE: u8 = 19;
    /// TCP-AO (RFC 5925).
    pub const AUTHENTICATION: u8 = 29;
    /// Fast Open cookie.
    pub const FAST_OPEN: u8 = 34;
    /// Shared experimental option, told apart by an identifier (RFC 6994).
    pub const EXPERIMENTAL: u8 = 254;
}

/// The identifier of Fast Open as an experimental option (RFC 7413 §4.1.1 before its own kind was assigned).
const FAST_OPEN_EXPERIMENT: [u8; 2] = [0xf9, 0x89];

/// Timestamps option (RFC 7323 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval.
    pub value: u32,
    /// TSecr.
    pub echo: u32,
}

/// Up to four SACK blocks (RFC 2018 §3), kept in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    pub(crate) blocks: [(Seq, Seq); 4],
    pub(crate) count: u8,
}

impl SackBlocks {
    /// The most blocks that fit into TCP's option space.
    pub const MAX: usize = 4;

    /// Adds the block `[left, right)`; returns false when there is no room.
    pub fn push(&mut self, left: Seq, right: Seq) -> bool {
        let n = usize::from(self.count);
        if n == Self::MAX {
            return false;
        }
        self.blocks[n] = (left, right);
        self.count += 1;
        true
    }

    /// The blocks, in the order of the option.
    #[must_use]
    pub fn as_slice(&self) -> &[(Seq, Seq)] {
        &self.blocks[..usize::from(self.count)]
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Fast Open option (RFC 7413 §4.1.1): a cookie, or the request for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastOpen {
    cookie: [u8; FastOpen::MAX],
    cookie_len: u8,
    /// As experimental option 254 with the identifier 0xF989, as systems before 2014 send it.
    pub experimental: bool,
}

impl FastOpen {
    /// The longest cookie, bytes.
    pub const MAX: usize = 16;

    /// A cookie; empty is the request for one. `None` when it is longer than [`FastOpen::MAX`].
    #[must_use]
    pub fn new(cookie: &[u8], experimental: bool) -> Option<FastOpen> {
        let mut bytes = [0; FastOpen::MAX];
        bytes.get_mut(..cookie.len())?.copy_from_slice(cookie);
        Some(FastOpen { cookie: bytes, cookie_len: cookie.len() as u8, experimental })
    }

    /// The cookie; empty when one is asked for.
    #[must_use]
    pub fn cookie(&self) -> &[u8] {
        &self.cookie[..usize::from(self.cookie_len)]
    }

    /// True when a cookie is asked for.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.cookie_len == 0
    }

    /// Writes the option, with NOPs up to the next whole word.
    fn put(&self, out: &mut HeaderBuffer) {
        use option_kind::*;
        let length = self.option_len() as u8;
        let [high, low] = FAST_OPEN_EXPERIMENT;
        let head: &[u8] = match self.experimental {
            true => &[EXPERIMENTAL, length, high, low],
            false => &[FAST_OPEN, length],
        };
        let mut bytes = head.iter().chain(self.cookie()).copied().peekable();
        while bytes.peek().is_some() {
            out.put([u32::from_be_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(NOP)))]);
        }
    }

    /// Bytes of the option without padding.
    fn option_len(&self) -> usize {
        usize::from(self.cookie_len) + if self.experimental { 4 } else { 2 }
    }
}

/// The options narrows knows, as values. Unknown options are skipped in parsing and not emitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size (kind 2).
    pub mss: Option<u16>,
    /// Window scale shift (kind 3), as on the wire; values above 14 count as 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    /// SACK permitted (kind 4).
    pub sack_permitted: bool,
    /// SACK blocks (kind 5).
    pub sack: SackBlocks,
    /// Timestamps (kind 8).
    pub timestamps: Option<Timestamps>,
    /// Fast Open (kind 34, or 254 with 0xF989).
    pub fast_open: Option<FastOpen>,
    /// The segment came with an MD5 or TCP-AO signature (kinds 19, 29; RFC 2385, RFC 5925), whose bytes are not kept. Not emitted.
    pub signed: bool,
}

/// An option whose length cannot be right, so that nothing after it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "TCP option {kind} at byte {offset} of the options has length {length:?} where {room} bytes are left"
)]
pub struct OptionDamage {
    /// The option's kind.
    pub kind: u8,
    /// Where it begins, bytes from the start of the options.
    pub offset: usize,
    /// What its length byte says; `None` when the options end before it.
    pub length: Option<u8>,
    /// How many bytes are left for it, its kind included.
    pub room: usize,
}

/// Options that end in damage, with what stands before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{damage}")]
pub struct DamagedOptions {
    /// What was read before the damage.
    pub options: TcpOptions,
    /// The damage.
    pub damage: OptionDamage,
}

impl TcpOptions {
    /// Room for options in a TCP header, bytes.
    pub const MAX_BYTES: usize = 40;

    /// Reads the options of a header. Unknown kinds, and known kinds with a length that is not theirs, are skipped; of an
    /// option that stands twice the last one counts, as in Linux.
    ///
    /// # Errors
    /// [`DamagedOptions`] when a length cannot be right; it holds what was read before.
    #[inline(always)]
    pub fn parse(bytes: &[u8]) -> Result<TcpOptions, DamagedOptions> {
        // Nearly every segment of a connection with timestamps has exactly nop, nop, TS (RFC 7323 appendix A).
        if let [1, 1, option_kind::TIMESTAMPS, 10, body @ ..] = bytes
            && let Ok(body) = <&[u8; 8]>::try_from(body)
        {
            return Ok(TcpOptions { timestamps: Some(timestamps(body)), ..TcpOptions::default() });
        }
        if bytes.is_empty() {
            return Ok(TcpOptions::default());
        }
        Self::parse_each(bytes)
    }

    fn parse_each(bytes: &[u8]) -> Result<TcpOptions, DamagedOptions> {
        let mut options = TcpOptions::default();
        for option in RawOptions::new(bytes) {
            match option {
                Ok(option) => options.take(option.kind, option.body),
                Err(damage) => return Err(DamagedOptions { options, damage }),
            }
        }
        Ok(options)
    }

    fn take(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (option_kind::MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            (option_kind::WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (option_kind::SACK_PERMITTED, []) => self.sack_permitted = true,
            (option_kind::SACK, body) if !body.is_empty() && body.len() % 8 == 0 => {
                self.sack = SackBlocks::default();
                for block in body.chunks_exact(8) {
                    let edge = |at: usize| {
                        Seq(u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]))
                    };
                    self.sack.push(edge(0), edge(4));
                }
            }
            (option_kind::TIMESTAMPS, body) => {
                if let Ok(body) = <&[u8; 8]>::try_from(body) {
                    self.timestamps = Some(timestamps(body));
                }
            }
            (option_kind::FAST_OPEN, cookie) => {
                if let Some(fast_open) = FastOpen::new(cookie, false) {
                    self.fast_open = Some(fast_open);
                }
            }
            (option_kind::MD5_SIGNATURE | option_kind::AUTHENTICATION, _) => self.signed = true,
            (option_kind::EXPERIMENTAL, body) => {
                if let Some(cookie) = body.strip_prefix(&FAST_OPEN_EXPERIMENT)
                    && let Some(fast_open) = FastOpen::new(cookie, true)
                {
                    self.fast_open = Some(fast_open);
                }
            }
            _ => {}
        }
    }

    /// Bytes on the wire, padding included: always a multiple of 4, at most [`TcpOptions::MAX_BYTES`].
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        if self.has_fixed_length() {
            return self.fixed_len();
        }
        let room = self.room();
        let sack = if room.sack_blocks == 0 { 0 } else { 4 + 8 * room.sack_blocks };
        self.fixed_len() + sack + if room.fast_open { self.fast_open_len() } else { 0 }
    }

    /// True when there is no option.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many SACK blocks [`TcpOptions::emit`] has room for: 4, or 3 beside timestamps (RFC 2018 §3), fewer beside the options
    /// of a SYN. Blocks beyond that are not emitted.
    #[must_use]
    pub fn sack_blocks_emitted(&self) -> usize {
        self.room().sack_blocks
    }

    /// Appends the options in the order in which Linux sends them: `mss, sackOK, TS, nop, wscale` on a SYN, `nop, nop, TS` and
    /// `nop, nop, sack` on other segments, Fast Open last. What does not fit into [`TcpOptions::MAX_BYTES`] is left out:
    /// the oldest SACK blocks, then Fast Open.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let mut buffer = HeaderBuffer::new();
        self.put(&mut buffer);
        out.extend_from_slice(buffer.as_slice());
    }

    #[inline]
    pub(crate) fn put(&self, out: &mut HeaderBuffer) {
        use option_kind::*;
        if let Some(mss) = self.mss {
            out.put([pair(word_of(MSS, 4), mss)]);
        }
        if let Some(Timestamps { value, echo }) = self.timestamps {
            let before = if self.sack_permitted { word_of(SACK_PERMITTED, 2) } else { word_of(NOP, NOP) };
            out.put([pair(before, word_of(TIMESTAMPS, 10)), value, echo]);
        } else if self.sack_permitted {
            out.put([u32::from_be_bytes([NOP, NOP, SACK_PERMITTED, 2])]);
        }
        if let Some(shift) = self.window_scale {
            out.put([u32::from_be_bytes([NOP, WINDOW_SCALE, 3, shift])]);
        }
        if self.has_fixed_length() {
            return;
        }
        let room = self.room();
        if room.sack_blocks > 0 {
            out.put([u32::from_be_bytes([NOP, NOP, SACK, 2 + 8 * room.sack_blocks as u8])]);
            for (left, right) in &self.sack.as_slice()[..room.sack_blocks] {
                out.put([left.0, right.0]);
            }
        }
        if let Some(fast_open) = self.fast_open.filter(|_| room.fast_open) {
            fast_open.put(out);
        }
    }

    /// There is neither a SACK block nor Fast Open.
    #[inline]
    fn has_fixed_length(&self) -> bool {
        self.sack.is_empty() && self.fast_open.is_none()
    }

    /// Bytes of the options that always fit.
    fn fixed_len(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let timestamps = match (self.timestamps, self.sack_permitted) {
            (Some(_), _) => 12,
            (None, true) => 4,
            (None, false) => 0,
        };
        mss + timestamps + if self.window_scale.is_some() { 4 } else { 0 }
    }

    fn fast_open_len(&self) -> usize {
        self.fast_open.map_or(0, |fast_open| fast_open.option_len().next_multiple_of(4))
    }

    fn room(&self) -> Room {
        let left = Self::MAX_BYTES - self.fixed_len();
        let sack_blocks = self.sack.as_slice().len().min(left.saturating_sub(4) / 8);
        let left = left - if sack_blocks == 0 { 0 } else { 4 + 8 * sack_blocks };
        Room { sack_blocks, fast_open: self.fast_open.is_some() && self.fast_open_len() <= left }
    }
}

/// What of the options of variable length fits.
struct Room {
    sack_blocks: usize,
    fast_open: bool,
}

#[inline]
fn word_of(kind: u8, length: u8) -> u16 {
    u16::from_be_bytes([kind, length])
}

fn timestamps(body: &[u8; 8]) -> Timestamps {
    let [a, b, c, d, e, f, g, h] = *body;
    Timestamps { value: u32::from_be_bytes([a, b, c, d]), echo: u32::from_be_bytes([e, f, g, h]) }
}

/// One option as it stands in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOption<'a> {
    /// Kind; see [`option_kind`].
    pub kind: u8,
    /// What follows the length byte; empty for end and nop, which have none.
    pub body: &'a [u8],
}

/// All options in their order, the unknown ones and the padding included.
///
/// Ends after the end-of-list option or after the first damage.
#[derive(Clone, Debug)]
pub struct RawOptions<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> RawOptions<'a> {
    /// The options in the bytes between TCP's fixed header and its payload.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> RawOptions<'a> {
        RawOptions { bytes, at: 0 }
    }
}

impl<'a> Iterator for RawOptions<'a> {
    type Item = Result<RawOption<'a>, OptionDamage>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..)?;
        let kind = *rest.first()?;
        if kind == option_kind::END {
            self.at = self.bytes.len();
            return Some(Ok(RawOption { kind, body: &[] }));
        }
        if kind == option_kind::NOP {
            self.at += 1;
            return Some(Ok(RawOption { kind, body: &[] }));
        }
        let length = rest.get(1).copied();
        if let Some(body) = length.and_then(|length| rest.get(2..usize::from(length))) {
            self.at += body.len() + 2;
            return Some(Ok(RawOption { kind, body }));
        }
        let offset = self.at;
        self.at = self.bytes.len();
        Some(Err(OptionDamage { kind, offset, length, room: rest.len() }))
    }
}

#[cfg(test)]
#[path = "tcp_options_tests.rs"]
pub(crate) mod tests;
