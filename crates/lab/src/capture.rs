//! How does a world's traffic get into Wireshark? Capture files with virtual timestamps.

use crate::recorder::{Heading, Passage, Recorder};
use narrows_stack::Instant;
use narrows_wire::Packet;
use std::io::{self, Write};

/// LINKTYPE_RAW: packets begin with the IP header.
const LINKTYPE_RAW: u16 = 101;
/// Packets are never longer than this; the snap length that the files state.
const SNAP_BYTES: u32 = 262_144;

/// Writes pcapng (draft-ietf-opsawg-pcapng): one interface per tap, times in nanoseconds since the world's beginning.
#[derive(Debug)]
pub struct PcapNg<W: Write> {
    out: W,
    interfaces: u32,
    packet: Vec<u8>,
    block: Vec<u8>,
    failed: Option<io::Error>,
}

impl<W: Write> PcapNg<W> {
    /// Begins a file.
    pub fn new(out: W) -> PcapNg<W> {
        let mut file = PcapNg { out, interfaces: 0, packet: Vec::new(), block: Vec::new(), failed: None };
        file.block.extend(0x1a2b_3c4d_u32.to_le_bytes());
        file.block.extend(1u16.to_le_bytes());
        file.block.extend(0u16.to_le_bytes());
        // The section's length is not known while it is being written.
        file.block.extend(u64::MAX.to_le_bytes());
        file.write_block(0x0a0d_0d0a);
        file
    }

    /// Adds an interface; its number.
    pub fn add_interface(&mut self, name: &str) -> u32 {
        self.block.extend(LINKTYPE_RAW.to_le_bytes());
        self.block.extend(0u16.to_le_bytes());
        self.block.extend(SNAP_BYTES.to_le_bytes());
        self.option(2, name.as_bytes());
        // if_tsresol: 10⁻⁹ s.
        self.option(9, &[9]);
        self.option(0, &[]);
        self.write_block(1);
        self.interfaces += 1;
        self.interfaces - 1
    }

    /// Adds a packet seen on an interface.
    pub fn write(&mut self, interface: u32, time: Instant, heading: Heading, packet: &Packet) {
        self.packet.clear();
        packet.emit(&mut self.packet);
        let length = (self.packet.len() as u32).to_le_bytes();
        let time = time.as_nanos();
        self.block.extend(interface.to_le_bytes());
        self.block.extend(((time >> 32) as u32).to_le_bytes());
        self.block.extend((time as u32).to_le_bytes());
        self.block.extend(length);
        self.block.extend(length);
        self.block.extend_from_slice(&self.packet);
        pad(&mut self.block);
        // epb_flags: 1 inbound, 2 outbound.
        let flags: u32 = if heading == Heading::In { 1 } else { 2 };
        self.option(2, &flags.to_le_bytes());
        self.option(0, &[]);
        self.write_block(6);
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first error that writing met, at whatever packet that was.
    pub fn finish(self) -> io::Result<W> {
        finish(self.out, self.failed)
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.block.extend(code.to_le_bytes());
        self.block.extend((value.len() as u16).to_le_bytes());
        self.block.extend_from_slice(value);
        pad(&mut self.block);
    }

    fn write_block(&mut self, block_type: u32) {
        let length = (self.block.len() as u32 + 12).to_le_bytes();
        if self.failed.is_none() {
            let written = self
                .out
                .write_all(&block_type.to_le_bytes())
                .and_then(|()| self.out.write_all(&length))
                .and_then(|()| self.out.write_all(&self.block))
                .and_then(|()| self.out.write_all(&length));
            self.failed = written.err();
        }
        self.block.clear();
    }
}

fn pad(block: &mut Vec<u8>) {
    block.resize(block.len().next_multiple_of(4), 0);
}

impl<W: Write + Send + 'static> Recorder for PcapNg<W> {
    fn add_tap(&mut self, name: &str) -> u32 {
        self.add_interface(name)
    }

    fn record(&mut self, tap: u32, passage: &Passage<'_>) {
        self.write(tap, passage.time, passage.heading, passage.packet);
    }
}

/// Writes classic pcap with nanoseconds; it knows no interfaces, so all taps go into one row of packets.
#[derive(Debug)]
pub struct Pcap<W: Write> {
    out: W,
    packet: Vec<u8>,
    taps: u32,
    failed: Option<io::Error>,
}

impl<W: Write> Pcap<W> {
    /// Begins a file.
    pub fn new(mut out: W) -> Pcap<W> {
        let mut header = Vec::with_capacity(24);
        header.extend(0xa1b2_3c4d_u32.to_le_bytes());
        header.extend(2u16.to_le_bytes());
        header.extend(4u16.to_le_bytes());
        header.extend([0; 8]);
        header.extend(SNAP_BYTES.to_le_bytes());
        header.extend(u32::from(LINKTYPE_RAW).to_le_bytes());
        let failed = out.write_all(&header).err();
        Pcap { out, packet: Vec::new(), taps: 0, failed }
    }

    /// Adds a packet.
    pub fn write(&mut self, time: Instant, packet: &Packet) {
        if self.failed.is_some() {
            return;
        }
        self.packet.clear();
        self.packet.extend([0; 16]);
        packet.emit(&mut self.packet);
        let length = ((self.packet.len() - 16) as u32).to_le_bytes();
        let nanoseconds = time.as_nanos();
        // Seconds have 32 bits: 136 years of virtual time.
        self.packet[0..4].copy_from_slice(&((nanoseconds / 1_000_000_000) as u32).to_le_bytes());
        self.packet[4..8].copy_from_slice(&((nanoseconds % 1_000_000_000) as u32).to_le_bytes());
        self.packet[8..12].copy_from_slice(&length);
        self.packet[12..16].copy_from_slice(&length);
        self.failed = self.out.write_all(&self.packet).err();
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first error that writing met, at whatever packet that was.
    pub fn finish(self) -> io::Result<W> {
        finish(self.out, self.failed)
    }
}

impl<W: Write + Send + 'static> Recorder for Pcap<W> {
    fn add_tap(&mut self, _name: &str) -> u32 {
        self.taps += 1;
        self.taps - 1
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        self.write(passage.time, passage.packet);
    }
}

/// Ends a file: the first error that writing met, or what was written to.
fn finish<W: Write>(mut out: W, failed: Option<io::Error>) -> io::Result<W> {
    match failed {
        Some(error) => Err(error),
        None => out.flush().map(|()| out),
    }
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
