//! What does a pcap file say? (draft-ietf-opsawg-pcap: the format of libpcap, both byte orders, micro- and nanoseconds.)

use super::error::Stop;
use super::source::Source;
use super::{MAX_CAPTURED_BYTES, Meta};
use narrows_stack::Instant;

const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;

/// A pcap file behind its header.
#[derive(Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds in a unit of the second part of a timestamp.
    unit_ns: u32,
    link_type: u32,
}

/// What the first four bytes announce: byte order and timestamp unit.
fn magic(bytes: [u8; 4]) -> Option<(bool, u32)> {
    for big_endian in [false, true] {
        match if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) } {
            MAGIC_MICROSECONDS => return Some((big_endian, 1_000)),
            MAGIC_NANOSECONDS => return Some((big_endian, 1)),
            _ => {}
        }
    }
    None
}

/// True when a pcap file begins so.
pub(super) fn is_pcap(first: [u8; 4]) -> bool {
    magic(first).is_some()
}

impl Pcap {
    pub(super) fn open(source: &mut Source) -> Result<Pcap, Stop> {
        source.expect(FILE_HEADER_BYTES, 0, || "a pcap file header of 24 bytes".into())?;
        let bytes = source.bytes();
        let found = bytes.first_chunk::<4>().copied().and_then(magic);
        let Some((big_endian, unit_ns)) = found else {
            return Err(Stop::damaged(0, "a pcap file's magic number", "another one"));
        };
        let mut pcap = Pcap { big_endian, unit_ns, link_type: 0 };
        let major = pcap.u32(bytes, 4) & 0xffff;
        let major = if big_endian { pcap.u32(bytes, 4) >> 16 } else { major };
        if major != 2 {
            return Err(Stop::damaged(4, "pcap version 2", format_args!("version {major}")));
        }
        // The upper bits tell the length of a frame check sequence (draft-ietf-opsawg-pcap §4).
        pcap.link_type = pcap.u32(bytes, 20) & 0x03ff_ffff;
        source.consume(FILE_HEADER_BYTES);
        if narrows_wire::link::name(pcap.link_type).is_none() {
            return Err(Stop::UnknownLinkType(pcap.link_type));
        }
        Ok(pcap)
    }

    #[inline]
    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    /// The next packet; `None` at the end of the file.
    #[inline]
    pub(super) fn next(&self, source: &mut Source) -> Result<Option<Meta>, Stop> {
        if !source.has(RECORD_HEADER_BYTES)? {
            if source.bytes().is_empty() {
                return Ok(None);
            }
            return Err(source.truncated(source.position(), "a packet's record header of 16 bytes".into()));
        }
        let header = source.bytes();
        let [seconds, fraction, captured, wire] = [0, 4, 8, 12].map(|at| self.u32(header, at));
        let offset = source.position();
        if captured > MAX_CAPTURED_BYTES {
            let expected = format!("a captured length of at most {MAX_CAPTURED_BYTES} bytes");
            return Err(Stop::damaged(offset + 8, expected, captured));
        }
        let bytes = captured as usize;
        source.expect(RECORD_HEADER_BYTES + bytes, offset, || {
            format!("a packet's record of {} bytes", RECORD_HEADER_BYTES + bytes)
        })?;
        let data = source.mark() + RECORD_HEADER_BYTES;
        source.consume(RECORD_HEADER_BYTES + bytes);
        let nanoseconds = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * u64::from(self.unit_ns);
        Ok(Some(Meta {
            time: Some(Instant::from_nanos(nanoseconds)),
            data,
            captured,
            // Some writers put the captured length there, or nothing.
            wire_len: wire.max(captured),
            link_type: self.link_type,
            interface: 0,
        }))
    }
}
