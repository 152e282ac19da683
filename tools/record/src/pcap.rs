//! How does a packet get into a file? Nanosecond pcap of raw IP packets.

use std::io::{self, Write};

/// A packet and when it passed, in nanoseconds since 1970.
#[derive(Clone, Debug)]
pub struct Record {
    /// When.
    pub time_ns: u64,
    /// The whole IP packet.
    pub bytes: std::sync::Arc<[u8]>,
}

/// LINKTYPE_RAW: the packet begins with its IPv4 or IPv6 header.
const LINKTYPE_RAW: u32 = 101;

/// Writes a pcap; `snaplen` 0 keeps whole packets.
pub fn write(mut out: impl Write, records: &[Record], snaplen: u32) -> io::Result<()> {
    let keep = if snaplen == 0 { 262_144 } else { snaplen };
    out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
    out.write_all(&2_u16.to_le_bytes())?;
    out.write_all(&4_u16.to_le_bytes())?;
    out.write_all(&[0; 8])?;
    out.write_all(&keep.to_le_bytes())?;
    out.write_all(&LINKTYPE_RAW.to_le_bytes())?;
    for record in records {
        let captured = record.bytes.len().min(keep as usize);
        let fields = [
            record.time_ns / 1_000_000_000,
            record.time_ns % 1_000_000_000,
            captured as u64,
            record.bytes.len() as u64,
        ];
        for field in fields {
            let field = u32::try_from(field).map_err(|_| io::Error::other("a field does not fit into pcap"))?;
            out.write_all(&field.to_le_bytes())?;
        }
        out.write_all(&record.bytes[..captured])?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_time_are_where_they_belong() {
        let record = Record { time_ns: 5_000_000_007, bytes: vec![0x45; 100].into() };
        let mut out = Vec::new();
        write(&mut out, &[record], 64).unwrap();
        assert_eq!(out.len(), 24 + 16 + 64);
        assert_eq!(out[24..28], 5_u32.to_le_bytes());
        assert_eq!(out[28..32], 7_u32.to_le_bytes());
        assert_eq!(out[32..36], 64_u32.to_le_bytes());
        assert_eq!(out[36..40], 100_u32.to_le_bytes());
    }
}
