//! How does a packet get into a file? Raw IP packets in pcap or pcapng, with nanoseconds.

use crate::scenario::Format;
use std::io::{self, Write};
use std::sync::Arc;

/// A packet and when it passed, in nanoseconds since 1970.
#[derive(Clone, Debug)]
pub struct Record {
    /// When.
    pub time_ns: u64,
    /// The whole IP packet.
    pub bytes: Arc<[u8]>,
}

/// LINKTYPE_RAW: the packet begins with its IPv4 or IPv6 header.
const LINKTYPE_RAW: u16 = 101;
/// What "whole packets" is called in the header.
const WHOLE: u32 = 262_144;

/// Writes a capture; `snaplen` 0 keeps whole packets.
pub fn write(mut out: impl Write, records: &[Record], snaplen: u32, format: Format) -> io::Result<()> {
    let keep = if snaplen == 0 { WHOLE } else { snaplen };
    match format {
        Format::Pcap => pcap(&mut out, records, keep)?,
        Format::Pcapng => pcapng(&mut out, records, keep, 9)?,
        Format::PcapngMicroseconds => pcapng(&mut out, records, keep, 6)?,
    }
    out.flush()
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::Error::other("a packet does not fit into a capture file"))
}

fn pcap(out: &mut impl Write, records: &[Record], keep: u32) -> io::Result<()> {
    out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
    out.write_all(&2_u16.to_le_bytes())?;
    out.write_all(&4_u16.to_le_bytes())?;
    out.write_all(&[0; 8])?;
    out.write_all(&keep.to_le_bytes())?;
    out.write_all(&u32::from(LINKTYPE_RAW).to_le_bytes())?;
    for record in records {
        let captured = &record.bytes[..record.bytes.len().min(keep as usize)];
        let seconds = u32::try_from(record.time_ns / 1_000_000_000)
            .map_err(|_| io::Error::other("the time does not fit into pcap"))?;
        let nanoseconds = (record.time_ns % 1_000_000_000) as u32;
        for field in [seconds, nanoseconds, length(captured.len())?, length(record.bytes.len())?] {
            out.write_all(&field.to_le_bytes())?;
        }
        out.write_all(captured)?;
    }
    Ok(())
}

fn pcapng(out: &mut impl Write, records: &[Record], keep: u32, resolution: u8) -> io::Result<()> {
    let unit_ns = 10u64.pow(u32::from(9 - resolution));
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend(1_u16.to_le_bytes());
    section.extend(0_u16.to_le_bytes());
    section.extend((-1_i64).to_le_bytes());
    block(out, 0x0a0d_0d0a, &section)?;
    let mut interface = Vec::new();
    interface.extend(LINKTYPE_RAW.to_le_bytes());
    interface.extend([0; 2]);
    interface.extend(keep.to_le_bytes());
    // if_tsresol: a power of ten; then the end of the options.
    interface.extend([9, 0, 1, 0, resolution, 0, 0, 0]);
    interface.extend([0; 4]);
    block(out, 1, &interface)?;
    for record in records {
        let captured = &record.bytes[..record.bytes.len().min(keep as usize)];
        let mut packet = Vec::with_capacity(captured.len() + 24);
        packet.extend(0_u32.to_le_bytes());
        let time = record.time_ns / unit_ns;
        packet.extend(((time >> 32) as u32).to_le_bytes());
        packet.extend((time as u32).to_le_bytes());
        packet.extend(length(captured.len())?.to_le_bytes());
        packet.extend(length(record.bytes.len())?.to_le_bytes());
        packet.extend(captured);
        packet.resize(packet.len().next_multiple_of(4), 0);
        block(out, 6, &packet)?;
    }
    Ok(())
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let total = length(body.len() + 12)?.to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&total)?;
    out.write_all(body)?;
    out.write_all(&total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> Vec<u8> {
        let record = Record { time_ns: 5_000_000_007, bytes: vec![0x45; 102].into() };
        let mut out = Vec::new();
        write(&mut out, &[record], 65, format).unwrap();
        out
    }

    #[test]
    fn pcap_lengths_and_time_are_where_they_belong() {
        let out = written(Format::Pcap);
        assert_eq!(out.len(), 24 + 16 + 65);
        assert_eq!(out[24..28], 5_u32.to_le_bytes());
        assert_eq!(out[28..32], 7_u32.to_le_bytes());
        assert_eq!(out[32..36], 65_u32.to_le_bytes());
        assert_eq!(out[36..40], 102_u32.to_le_bytes());
    }

    #[test]
    fn pcapng_blocks_are_padded_and_closed_by_their_length() {
        let out = written(Format::Pcapng);
        let mut kinds = Vec::new();
        let mut at = 0;
        while at < out.len() {
            let word = |at: usize| u32::from_le_bytes(out[at..at + 4].try_into().unwrap());
            let total = word(at + 4) as usize;
            assert_eq!(total % 4, 0);
            assert_eq!(word(at + total - 4) as usize, total);
            kinds.push(word(at));
            at += total;
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 6]);
        let packet = out.len() - (12 + 20 + 68);
        assert_eq!(out[packet + 16..packet + 20], 705_032_711_u32.to_le_bytes());
        assert_eq!(out[packet + 20..packet + 24], 65_u32.to_le_bytes());
        assert_eq!(out[packet + 24..packet + 28], 102_u32.to_le_bytes());
    }
}
