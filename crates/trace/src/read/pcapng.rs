//! What does a pcapng file say? (draft-ietf-opsawg-pcapng: sections, interfaces, packets, statistics.)

use super::error::Stop;
use super::source::Source;
use super::{MAX_BLOCK_BYTES, MAX_CAPTURED_BYTES, Meta};
use narrows_stack::Instant;

/// A section header; reads the same in both byte orders.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPTION_END: u16 = 0;
const OPTION_IF_TSRESOL: u16 = 9;
const OPTION_IF_TSOFFSET: u16 = 14;
const OPTION_EPB_DROPCOUNT: u16 = 4;
const OPTION_ISB_IFDROP: u16 = 5;
const OPTION_ISB_OSDROP: u16 = 7;

/// More interfaces than this in one section are taken for damage.
const MAX_INTERFACES: usize = 65_536;

/// True when a pcapng file begins so.
pub(super) fn is_pcapng(first: [u8; 4]) -> bool {
    first == SECTION_HEADER.to_be_bytes()
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// A tick is so many nanoseconds.
    Nanoseconds(u64),
    /// So many ticks are a nanosecond.
    PerNanosecond(u128),
    /// 2 to this power ticks are a second.
    PowerOfTwo(u32),
}

impl Resolution {
    /// The value of `if_tsresol`; microseconds when there is none.
    fn new(value: u8) -> Resolution {
        let power = u32::from(value & 0x7f);
        if value & 0x80 != 0 {
            Resolution::PowerOfTwo(power)
        } else if power <= 9 {
            Resolution::Nanoseconds(10u64.pow(9 - power))
        } else {
            Resolution::PerNanosecond(10u128.checked_pow(power - 9).unwrap_or(u128::MAX))
        }
    }

    #[inline]
    fn nanoseconds(self, ticks: u64) -> u64 {
        match self {
            Resolution::Nanoseconds(each) => ticks.saturating_mul(each),
            Resolution::PerNanosecond(ticks_each) => (u128::from(ticks) / ticks_each) as u64,
            Resolution::PowerOfTwo(power) => {
                u64::try_from((u128::from(ticks) * 1_000_000_000) >> power.min(127)).unwrap_or(u64::MAX)
            }
        }
    }
}

#[derive(Debug)]
struct Interface {
    link_type: u32,
    /// Bytes kept of each packet; 0 when there is no limit.
    snap_bytes: u32,
    resolution: Resolution,
    /// Nanoseconds to add to each timestamp.
    offset_ns: i128,
    /// Packets that the last statistics block says were lost.
    dropped: u64,
}

impl Interface {
    #[inline]
    fn time(&self, ticks: u64) -> Instant {
        let nanoseconds = self.resolution.nanoseconds(ticks);
        if self.offset_ns == 0 {
            return Instant::from_nanos(nanoseconds);
        }
        let shifted = (i128::from(nanoseconds) + self.offset_ns).clamp(0, i128::from(u64::MAX));
        Instant::from_nanos(shifted as u64)
    }
}

/// A pcapng file, within a section.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Packets that the capturer says it has lost, in earlier sections and beside packets.
    dropped_before: u64,
}

/// A block's body: what stands between its two lengths.
struct Block {
    kind: u32,
    /// Where the block begins in the file.
    offset: u64,
    /// Where the body begins in the buffer.
    mark: usize,
    body_bytes: usize,
}

impl Pcapng {
    /// Packets that the capturer says it has lost.
    pub(super) fn dropped(&self) -> u64 {
        self.interfaces
            .iter()
            .fold(self.dropped_before, |sum, interface| sum.saturating_add(interface.dropped))
    }

    #[inline]
    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        let word = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        if self.big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) }
    }

    #[inline]
    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    fn u64(&self, bytes: &[u8], at: usize) -> u64 {
        let word = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        if self.big_endian { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) }
    }

    /// The next packet; `None` at the end of the file.
    #[inline]
    pub(super) fn next(&mut self, source: &mut Source) -> Result<Option<Meta>, Stop> {
        loop {
            let Some(block) = self.next_block(source)? else {
                return Ok(None);
            };
            let body = source.lend(block.mark, block.body_bytes);
            match block.kind {
                ENHANCED_PACKET => return self.enhanced_packet(body, &block).map(Some),
                SIMPLE_PACKET => return self.simple_packet(body, &block).map(Some),
                PACKET => return self.obsolete_packet(body, &block).map(Some),
                SECTION_HEADER => {
                    let version = self.u16(body, 4);
                    if version != 1 {
                        let found = format_args!("version {version}");
                        return Err(Stop::damaged(block.offset + 12, "pcapng version 1", found));
                    }
                    self.dropped_before = self.dropped();
                    self.interfaces.clear();
                }
                INTERFACE_DESCRIPTION => self.add_interface(body, &block)?,
                INTERFACE_STATISTICS => self.note_statistics(body),
                _ => {}
            }
        }
    }

    /// The next block that [`Pcapng::next`] has to look at, whole in the buffer; others are skipped without being buffered.
    fn next_block(&mut self, source: &mut Source) -> Result<Option<Block>, Stop> {
        loop {
            let offset = source.position();
            if !source.has(12)? {
                if source.bytes().is_empty() {
                    return Ok(None);
                }
                return Err(source.truncated(offset, "a pcapng block of at least 12 bytes".into()));
            }
            let bytes = source.bytes();
            let kind = self.u32(bytes, 0);
            if kind == SECTION_HEADER {
                self.big_endian = true;
                if self.u32(bytes, 8) != BYTE_ORDER_MAGIC {
                    self.big_endian = false;
                }
                let found = self.u32(bytes, 8);
                if found != BYTE_ORDER_MAGIC {
                    let expected = "the byte-order magic 0x1a2b3c4d of a section";
                    return Err(Stop::damaged(offset + 8, expected, format_args!("{found:#010x}")));
                }
            }
            let length = self.u32(bytes, 4);
            if length < 12 || !length.is_multiple_of(4) {
                return Err(Stop::damaged(
                    offset + 4,
                    "a block length of at least 12 and a multiple of 4",
                    length,
                ));
            }
            let wanted = matches!(
                kind,
                SECTION_HEADER
                    | INTERFACE_DESCRIPTION
                    | PACKET
                    | SIMPLE_PACKET
                    | INTERFACE_STATISTICS
                    | ENHANCED_PACKET
            );
            if !wanted {
                self.skip_block(source, offset, length)?;
                continue;
            }
            if length > MAX_BLOCK_BYTES {
                let expected = format!("a block length of at most {MAX_BLOCK_BYTES}");
                return Err(Stop::damaged(offset + 4, expected, length));
            }
            let whole = length as usize;
            source.expect(whole, offset, || format!("a pcapng block of {length} bytes"))?;
            let again = self.u32(source.bytes(), whole - 4);
            if again != length {
                return Err(Stop::damaged(
                    offset + u64::from(length) - 4,
                    format!("the block's length {length} again"),
                    again,
                ));
            }
            let mark = source.mark() + 8;
            source.consume(whole);
            return Ok(Some(Block { kind, offset, mark, body_bytes: whole - 12 }));
        }
    }

    #[cold]
    fn skip_block(&self, source: &mut Source, offset: u64, length: u32) -> Result<(), Stop> {
        let whole = source.skip(u64::from(length) - 4)? && source.has(4)?;
        if !whole {
            return Err(source.truncated(offset, format!("a pcapng block of {length} bytes")));
        }
        let again = self.u32(source.bytes(), 0);
        if again != length {
            let expected = format!("the block's length {length} again");
            return Err(Stop::damaged(source.position(), expected, again));
        }
        source.consume(4);
        Ok(())
    }

    fn add_interface(&mut self, body: &[u8], block: &Block) -> Result<(), Stop> {
        if body.len() < 8 {
            return Err(too_short(block, "an interface description", 8));
        }
        if self.interfaces.len() >= MAX_INTERFACES {
            let expected = format!("at most {MAX_INTERFACES} interfaces in a section");
            return Err(Stop::damaged(block.offset, expected, "one more"));
        }
        let mut interface = Interface {
            link_type: u32::from(self.u16(body, 0)),
            snap_bytes: self.u32(body, 4),
            resolution: Resolution::new(6),
            offset_ns: 0,
            dropped: 0,
        };
        for (code, value) in self.options(body, 8) {
            match code {
                OPTION_IF_TSRESOL => interface.resolution = Resolution::new(*value.first().unwrap_or(&6)),
                OPTION_IF_TSOFFSET if value.len() == 8 => {
                    interface.offset_ns = i128::from(self.u64(value, 0) as i64) * 1_000_000_000;
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn note_statistics(&mut self, body: &[u8]) {
        let mut dropped = None;
        for (code, value) in self.options(body, 12) {
            if matches!(code, OPTION_ISB_IFDROP | OPTION_ISB_OSDROP) && value.len() == 8 {
                dropped = Some(self.u64(value, 0).saturating_add(dropped.unwrap_or(0)));
            }
        }
        let interface = self.u32(body, 0) as usize;
        if let (Some(dropped), Some(interface)) = (dropped, self.interfaces.get_mut(interface)) {
            // The counts run from the start of the capture.
            interface.dropped = dropped;
        }
    }

    /// What enhanced and obsolete packets have in the same place.
    #[inline]
    fn long_header(&self, body: &[u8], interface: u32) -> Meta {
        let (captured, wire_len) = (self.u32(body, 12), self.u32(body, 16));
        Meta { time: None, data: 20, captured, wire_len, link_type: 0, interface }
    }

    #[inline]
    fn ticks(&self, body: &[u8]) -> u64 {
        u64::from(self.u32(body, 4)) << 32 | u64::from(self.u32(body, 8))
    }

    #[inline]
    fn enhanced_packet(&mut self, body: &[u8], block: &Block) -> Result<Meta, Stop> {
        if body.len() < 20 {
            return Err(too_short(block, "an enhanced packet", 20));
        }
        let ticks = self.ticks(body);
        let id = self.u32(body, 0);
        let meta = self.complete(block, Some(ticks), self.long_header(body, id))?;
        let options_at = 20 + (meta.captured as usize).next_multiple_of(4);
        if body.len() > options_at {
            let mut dropped = 0;
            for (code, value) in self.options(body, options_at) {
                if code == OPTION_EPB_DROPCOUNT && value.len() == 8 {
                    dropped = self.u64(value, 0);
                }
            }
            self.dropped_before = self.dropped_before.saturating_add(dropped);
        }
        Ok(meta)
    }

    fn obsolete_packet(&mut self, body: &[u8], block: &Block) -> Result<Meta, Stop> {
        if body.len() < 20 {
            return Err(too_short(block, "a packet block", 20));
        }
        let ticks = self.ticks(body);
        let id = u32::from(self.u16(body, 0));
        // 0xffff: the capturer does not know.
        let dropped = Some(self.u16(body, 2)).filter(|&dropped| dropped != u16::MAX).unwrap_or(0);
        let meta = self.complete(block, Some(ticks), self.long_header(body, id))?;
        self.dropped_before = self.dropped_before.saturating_add(u64::from(dropped));
        Ok(meta)
    }

    /// Has no timestamp, belongs to the first interface, and is as long as the snap length and the block allow.
    fn simple_packet(&mut self, body: &[u8], block: &Block) -> Result<Meta, Stop> {
        if body.len() < 4 {
            return Err(too_short(block, "a simple packet", 4));
        }
        let wire = self.u32(body, 0);
        let snap = self.interfaces.first().map_or(0, |interface| interface.snap_bytes);
        let captured = if snap == 0 { wire } else { wire.min(snap) }.min(body.len() as u32 - 4);
        let packet = Meta { time: None, data: 4, captured, wire_len: wire, link_type: 0, interface: 0 };
        self.complete(block, None, packet)
    }

    /// Completes `packet`, whose `data` is still counted from the start of the block's body, by what its interface says.
    #[inline]
    fn complete(&self, block: &Block, ticks: Option<u64>, packet: Meta) -> Result<Meta, Stop> {
        let Some(interface) = self.interfaces.get(packet.interface as usize) else {
            let expected = format!("an interface below {}", self.interfaces.len());
            return Err(Stop::damaged(block.offset + 8, expected, packet.interface));
        };
        let room = (block.body_bytes - packet.data).min(MAX_CAPTURED_BYTES as usize) as u32;
        if packet.captured > room {
            let expected = format!("a captured length of at most {room} bytes");
            return Err(Stop::damaged(block.offset + 20, expected, packet.captured));
        }
        Ok(Meta {
            time: ticks.map(|ticks| interface.time(ticks)),
            data: block.mark + packet.data,
            wire_len: packet.wire_len.max(packet.captured),
            link_type: interface.link_type,
            ..packet
        })
    }

    /// The options from byte `at` of a block's body on, up to the end or the first whose length cannot be right: they are notes beside the
    /// packets, so damage in them is no reason to stop.
    fn options<'a>(&self, body: &'a [u8], mut at: usize) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let big_endian = self.big_endian;
        let word = move |at: usize| {
            let word = body.get(at..)?.first_chunk().copied()?;
            Some(if big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
        };
        std::iter::from_fn(move || {
            let (code, length) = (word(at)?, usize::from(word(at + 2)?));
            let value = body.get(at + 4..at + 4 + length)?;
            at += 4 + length.next_multiple_of(4);
            (code != OPTION_END).then_some((code, value))
        })
    }
}

#[cold]
fn too_short(block: &Block, what: &str, least: usize) -> Stop {
    Stop::damaged(block.offset + 4, format!("{what} of at least {} bytes", least + 12), block.body_bytes + 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_of_both_kinds_become_nanoseconds() {
        assert_eq!(Resolution::new(6).nanoseconds(1_500_000), 1_500_000_000);
        assert_eq!(Resolution::new(9).nanoseconds(7), 7);
        assert_eq!(Resolution::new(0).nanoseconds(3), 3_000_000_000);
        assert_eq!(Resolution::new(12).nanoseconds(7_999), 7);
        assert_eq!(Resolution::new(0x80 | 10).nanoseconds(512), 500_000_000);
        assert_eq!(Resolution::new(0x80).nanoseconds(u64::MAX), u64::MAX);
        assert_eq!(Resolution::new(0xff).nanoseconds(u64::MAX), 0);
        assert_eq!(Resolution::new(127).nanoseconds(u64::MAX), 0);
    }
}
