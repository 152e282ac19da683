use super::*;
use bytes::Bytes;
use narrows_wire::UdpHeader;
use std::net::IpAddr;

fn packet(payload: &'static [u8]) -> Packet {
    let header = UdpHeader { source_port: 1, destination_port: 2 };
    Packet::udp(IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]), header, Bytes::from_static(payload))
}

fn u32_at(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"))
}

/// The blocks of a pcapng file: type and body.
fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut blocks = Vec::new();
    while !file.is_empty() {
        let length = u32_at(file, 4) as usize;
        assert_eq!(length % 4, 0);
        assert_eq!(u32_at(file, length - 4) as usize, length, "the length stands at both ends");
        blocks.push((u32_at(file, 0), file[8..length - 4].to_vec()));
        file = &file[length..];
    }
    blocks
}

#[test]
fn pcapng_has_an_interface_per_tap_and_times_in_nanoseconds() {
    let mut file = PcapNg::new(Vec::new());
    let client = file.add_interface("client");
    let server = file.add_interface("server");
    let time = Instant::from_nanos(5_000_000_001);
    file.write(client, time, Heading::Out, &packet(b"abc"));
    file.write(server, time, Heading::In, &packet(b"abc"));
    let blocks = blocks(&file.finish().expect("a vector takes everything"));
    let types: Vec<u32> = blocks.iter().map(|block| block.0).collect();
    assert_eq!(types, [0x0a0d_0d0a, 1, 1, 6, 6]);
    assert_eq!(blocks[0].1[..4], [0x4d, 0x3c, 0x2b, 0x1a], "little-endian");
    assert_eq!(blocks[1].1[..2], [101, 0], "raw IP");
    assert_eq!(&blocks[1].1[12..18], b"client");
    assert_eq!(blocks[1].1[20..25], [9, 0, 1, 0, 9], "if_tsresol is 10⁻⁹");
    let body = &blocks[4].1;
    assert_eq!(u32_at(body, 0), server);
    assert_eq!((u64::from(u32_at(body, 4)) << 32) + u64::from(u32_at(body, 8)), 5_000_000_001);
    assert_eq!((u32_at(body, 12), u32_at(body, 16)), (31, 31));
    let mut bytes = Vec::new();
    packet(b"abc").emit(&mut bytes);
    assert_eq!(body[20..51], bytes);
    assert_eq!(body[52..60], [2, 0, 4, 0, 1, 0, 0, 0], "epb_flags say inbound");
}

#[test]
fn classic_pcap_has_nanoseconds() {
    let mut file = Pcap::new(Vec::new());
    file.write(Instant::from_nanos(5_000_000_001), &packet(b"abc"));
    let file = file.finish().expect("a vector takes everything");
    assert_eq!(u32_at(&file, 0), 0xa1b2_3c4d);
    assert_eq!(u32_at(&file, 20), 101);
    assert_eq!((u32_at(&file, 24), u32_at(&file, 28)), (5, 1));
    assert_eq!((u32_at(&file, 32), u32_at(&file, 36)), (31, 31));
    let parsed = Packet::parse(Bytes::from(file[40..].to_vec())).expect("a packet as it was written");
    assert_eq!(parsed.payload, packet(b"abc").payload);
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_error_of_writing_is_told_in_the_end() {
    let mut file = PcapNg::new(Full(100));
    let tap = file.add_interface("client");
    for _ in 0..3 {
        file.write(tap, Instant::ZERO, Heading::Out, &packet(b"abc"));
    }
    assert_eq!(file.finish().err().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
    let mut file = Pcap::new(Full(30));
    file.write(Instant::ZERO, &packet(b"abc"));
    assert!(file.finish().is_err());
}
