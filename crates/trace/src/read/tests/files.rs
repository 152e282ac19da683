//! Small writers of captures, only as right as the tests want them to be.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Seconds, fraction, captured bytes, length on the wire.
pub type Record<'a> = (u32, u32, &'a [u8], u32);

pub struct PcapFile {
    pub big_endian: bool,
    pub nanoseconds: bool,
    pub link_type: u32,
}

impl Default for PcapFile {
    fn default() -> PcapFile {
        PcapFile { big_endian: false, nanoseconds: true, link_type: 101 }
    }
}

impl PcapFile {
    fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn record(&self, seconds: u32, fraction: u32, data: &[u8], wire: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in [seconds, fraction, data.len() as u32, wire] {
            bytes.extend(self.u32(value));
        }
        bytes.extend(data);
        bytes
    }

    pub fn with(&self, records: &[Record<'_>]) -> Vec<u8> {
        let magic = if self.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut bytes = self.u32(magic).to_vec();
        bytes.extend(self.u16(2));
        bytes.extend(self.u16(4));
        for value in [0, 0, 262_144, self.link_type] {
            bytes.extend(self.u32(value));
        }
        for &(seconds, fraction, data, wire) in records {
            bytes.extend(self.record(seconds, fraction, data, wire));
        }
        bytes
    }
}

pub struct PcapngFile {
    pub big_endian: bool,
}

impl PcapngFile {
    fn u16(&self, value: u16) -> Vec<u8> {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }

    fn u32(&self, value: u32) -> Vec<u8> {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }

    pub fn u64(&self, value: u64) -> Vec<u8> {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }

    pub fn block(&self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let length = self.u32(padded as u32 + 12);
        let mut bytes = self.u32(kind);
        bytes.extend(&length);
        bytes.extend(body);
        bytes.resize(8 + padded, 0);
        bytes.extend(&length);
        bytes
    }

    fn with_options(&self, mut body: Vec<u8>, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        body.resize(body.len().next_multiple_of(4), 0);
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(value.len() as u16));
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        body
    }

    pub fn section(&self) -> Vec<u8> {
        let body = [self.u32(0x1a2b_3c4d), self.u16(1), self.u16(0), vec![0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    pub fn interface(&self, link_type: u16, snap: u32, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let body = [self.u16(link_type), self.u16(0), self.u32(snap)].concat();
        self.block(1, &self.with_options(body, options))
    }

    fn ticks(&self, ticks: u64) -> Vec<u8> {
        [self.u32((ticks >> 32) as u32), self.u32(ticks as u32)].concat()
    }

    pub fn enhanced(
        &self,
        interface: u32,
        ticks: u64,
        data: &[u8],
        wire: u32,
        options: &[(u16, Vec<u8>)],
    ) -> Vec<u8> {
        let body =
            [&self.u32(interface), &self.ticks(ticks), &self.u32(data.len() as u32), &self.u32(wire), data]
                .concat();
        self.block(6, &self.with_options(body, options))
    }

    pub fn obsolete(&self, interface: u16, drops: u16, ticks: u64, data: &[u8], wire: u32) -> Vec<u8> {
        let length = self.u32(data.len() as u32);
        let body =
            [&self.u16(interface), &self.u16(drops), &self.ticks(ticks), &length, &self.u32(wire), data]
                .concat();
        self.block(2, &body)
    }

    pub fn simple(&self, data: &[u8], wire: u32) -> Vec<u8> {
        self.block(3, &[&self.u32(wire), data].concat())
    }

    pub fn statistics(&self, interface: u32, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let body = [self.u32(interface), self.ticks(0)].concat();
        self.block(5, &self.with_options(body, options))
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A UDP datagram in an IPv4 packet.
pub fn udp(payload: u8) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 28 + payload, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    bytes.extend([0, 53, 0, 53, 0, 8 + payload, 0, 0]);
    bytes.resize(28 + usize::from(payload), 7);
    bytes
}

/// A SYN with an MSS option in an IPv4 packet.
pub fn tcp_syn() -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    bytes.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend([2, 4, 5, 0xb4]);
    bytes
}
