//! What does this segment say? The TCP header (RFC 9293 §3.1).

use crate::buffer::{HeaderBuffer, pair};
use crate::error::expect;
use crate::{OptionOrder, ParseError, Seq, TcpOptions};
use std::fmt;

/// TCP's control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Reset the connection.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Push.
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: TcpFlags = TcpFlags(0x10);
    /// The urgent pointer is significant.
    pub const URG: TcpFlags = TcpFlags(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: TcpFlags = TcpFlags(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: TcpFlags = TcpFlags(0x80);

    /// True when all bits of `other` are set.
    #[must_use]
    pub fn contains(self, other: TcpFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when any bit of `other` is set.
    #[must_use]
    pub fn intersects(self, other: TcpFlags) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = TcpFlags;
    fn bitor(self, other: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for TcpFlags {
    fn bitor_assign(&mut self, other: TcpFlags) {
        self.0 |= other.0;
    }
}

/// The set flags' names, as in "SYN|ACK"; "none" when there is none.
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        if self.0 == 0 {
            return f.write_str("none");
        }
        let set = NAMES.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        for (n, (_, name)) in set.enumerate() {
            if n > 0 {
                f.write_str("|")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// A TCP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Sequence number of the first byte (or of SYN).
    pub seq: Seq,
    /// Next sequence number expected; meaningful only with [`TcpFlags::ACK`].
    pub ack: Seq,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as on the wire (unscaled).
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
}

/// A TCP header as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpParsed {
    /// The header.
    pub header: TcpHeader,
    /// Its length with all options, bytes, whether or not they are all there.
    pub header_bytes: usize,
    /// The bytes end within the options; `header.options` has those before.
    pub options_cut: bool,
    /// An option's length cannot be right; `header.options` has those before.
    pub options_damaged: bool,
    /// The order of the options of a SYN; empty on other segments, where it tells nothing.
    pub option_order: OptionOrder,
}

impl TcpHeader {
    /// Reads the header that begins at byte `base` of a packet; `bytes` is the packet from there on. Options that are cut or damaged are
    /// no error, see [`TcpParsed`]. The checksum is not looked at.
    ///
    /// # Errors
    /// [`ParseError`] when the fixed header is cut, or its length is below 20.
    // Inlined for good, as the parsers below and beside it: the header is then built in place instead of being copied from one result into
    // the next, which is a third of the header view's time.
    #[inline(always)]
    pub fn parse(bytes: &[u8], base: usize) -> Result<TcpParsed, ParseError> {
        let fixed: &[u8; 20] = expect(bytes, 0, base, "a TCP header of 20 bytes")?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let long = |at: usize| Seq(u32::from(word(at)) << 16 | u32::from(word(at + 2)));
        let header_bytes = usize::from(fixed[12] >> 4) * 4;
        if header_bytes < 20 {
            let field = "TCP data offset";
            return Err(ParseError::Length {
                field,
                offset: base + 12,
                value: header_bytes,
                least: 20,
                most: 60,
            });
        }
        let options_cut = bytes.len() < header_bytes;
        let option_bytes = &bytes[20..header_bytes.min(bytes.len())];
        let flags = TcpFlags(fixed[13]);
        let (options, options_damaged) = match TcpOptions::parse(option_bytes) {
            Ok(options) => (options, false),
            Err(damaged) => (damaged.options, !options_cut),
        };
        let option_order = if flags.contains(TcpFlags::SYN) {
            OptionOrder::of_bytes(option_bytes)
        } else {
            OptionOrder::default()
        };
        let header = TcpHeader {
            source_port: word(0),
            destination_port: word(2),
            seq: long(4),
            ack: long(8),
            flags,
            window: word(14),
            urgent: word(18),
            options,
        };
        Ok(TcpParsed { header, header_bytes, options_cut, options_damaged, option_order })
    }

    /// Bytes on the wire: 20 to 60.
    #[must_use]
    pub fn header_len(&self) -> usize {
        20 + self.options.len()
    }

    /// Sequence numbers that a segment with this header and `payload_bytes` takes up: SYN and FIN count for one each
    /// (RFC 9293 §3.4).
    #[must_use]
    pub fn sequence_len(&self, payload_bytes: u32) -> u32 {
        let syn = u32::from(self.flags.contains(TcpFlags::SYN));
        let fin = u32::from(self.flags.contains(TcpFlags::FIN));
        payload_bytes.wrapping_add(syn + fin)
    }

    /// Writes the header with checksum 0.
    #[inline]
    pub(crate) fn put(&self, out: &mut HeaderBuffer) {
        let words = (self.header_len() / 4) as u16;
        out.put([
            pair(self.source_port, self.destination_port),
            self.seq.0,
            self.ack.0,
            pair(words << 12 | u16::from(self.flags.0), self.window),
            // The checksum is not known yet.
            pair(0, self.urgent),
        ]);
        self.options.put(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> TcpHeader {
        TcpHeader {
            source_port: 40000,
            destination_port: 80,
            seq: Seq(0xffff_fffe),
            ack: Seq(7),
            flags: TcpFlags::SYN | TcpFlags::ACK,
            window: 65535,
            urgent: 3,
            options: TcpOptions { mss: Some(1460), sack_permitted: true, ..TcpOptions::default() },
        }
    }

    fn bytes_of(header: &TcpHeader) -> Vec<u8> {
        let mut buffer = HeaderBuffer::new();
        header.put(&mut buffer);
        buffer.as_slice().to_vec()
    }

    #[test]
    fn emits_what_it_reads() {
        let bytes = bytes_of(&header());
        assert_eq!(bytes.len(), header().header_len());
        let parsed = TcpHeader::parse(&bytes, 20).unwrap();
        assert_eq!(parsed.header, header());
        assert_eq!(parsed.header_bytes, 28);
        assert_eq!(parsed.option_order.to_string(), "mss,nop,nop,sackOK");
        assert!(!parsed.options_cut && !parsed.options_damaged);
    }

    #[test]
    fn options_may_be_cut_but_the_fixed_header_may_not() {
        let bytes = bytes_of(&header());
        let parsed = TcpHeader::parse(&bytes[..25], 20).unwrap();
        assert!(parsed.options_cut && !parsed.options_damaged);
        assert_eq!(parsed.header.options.mss, Some(1460));
        assert_eq!(parsed.header_bytes, 28);
        let error = TcpHeader::parse(&bytes[..19], 20).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a TCP header of 20 bytes at byte 20, but the packet's bytes end at byte 39"
        );
    }

    #[test]
    fn damage_is_told_apart_from_being_cut() {
        let mut bytes = bytes_of(&header());
        bytes[25] = 9;
        bytes[24] = 8;
        let parsed = TcpHeader::parse(&bytes, 0).unwrap();
        assert!(parsed.options_damaged && !parsed.options_cut);
        bytes[12] = 0x40;
        assert!(matches!(TcpHeader::parse(&bytes, 0), Err(ParseError::Length { value: 16, offset: 12, .. })));
    }

    #[test]
    fn syn_and_fin_take_up_sequence_numbers() {
        let mut header = header();
        assert_eq!(header.sequence_len(0), 1);
        header.flags = TcpFlags::FIN | TcpFlags::ACK;
        assert_eq!(header.sequence_len(10), 11);
        assert_eq!(header.flags.to_string(), "FIN|ACK");
        assert_eq!(TcpFlags::default().to_string(), "none");
    }
}
