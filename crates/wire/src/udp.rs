//! From which port to which port? UDP (RFC 768).

use crate::ParseError;
use crate::buffer::{HeaderBuffer, pair};
use crate::error::expect;

/// A UDP header; its length field follows from the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpHeader {
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
}

/// A UDP header as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpParsed {
    /// The header.
    pub header: UdpHeader,
    /// The length field: header and payload, bytes; 0 in datagrams that a device is still to cut (and in jumbograms).
    pub length: usize,
    /// The checksum field; 0 means that the sender made none (RFC 768).
    pub checksum: u16,
}

impl UdpHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 8;

    /// Reads the header that begins at byte `base` of a packet; `bytes` is the packet from there on. The checksum is not verified.
    ///
    /// # Errors
    /// [`ParseError`] when the header is cut, or its length is below 8 and not 0.
    pub fn parse(bytes: &[u8], base: usize) -> Result<UdpParsed, ParseError> {
        let fixed: &[u8; 8] = expect(bytes, 0, base, "a UDP header of 8 bytes")?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let length = usize::from(word(4));
        if length != 0 && length < UdpHeader::BYTES {
            let field = "UDP length";
            return Err(ParseError::Length { field, offset: base + 4, value: length, least: 8, most: 65535 });
        }
        let header = UdpHeader { source_port: word(0), destination_port: word(2) };
        Ok(UdpParsed { header, length, checksum: word(6) })
    }

    /// Writes the header with checksum 0; a length that has no room in its field is written as 0.
    pub(crate) fn put(self, payload_bytes: usize, out: &mut HeaderBuffer) {
        let length = u16::try_from(UdpHeader::BYTES + payload_bytes).unwrap_or(0);
        out.put([pair(self.source_port, self.destination_port), pair(length, 0)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emits_what_it_reads() {
        let header = UdpHeader { source_port: 53, destination_port: 40000 };
        let mut buffer = HeaderBuffer::new();
        header.put(5, &mut buffer);
        let parsed = UdpHeader::parse(buffer.as_slice(), 0).unwrap();
        assert_eq!(parsed, UdpParsed { header, length: 13, checksum: 0 });
    }

    #[test]
    fn a_length_below_the_header_is_an_error_but_0_is_not() {
        let mut bytes = [0, 53, 0, 53, 0, 7, 0, 0];
        assert!(matches!(UdpHeader::parse(&bytes, 20), Err(ParseError::Length { value: 7, offset: 24, .. })));
        bytes[5] = 0;
        assert!(UdpHeader::parse(&bytes, 20).is_ok());
        assert!(matches!(
            UdpHeader::parse(&bytes[..7], 20),
            Err(ParseError::Truncated { offset: 20, end: 27, .. })
        ));
    }
}
