//! Captures made by hand, one per format and variant, and what the reader makes of them.

use super::*;
use proptest::prelude::*;
use std::io::Cursor;

mod files;
mod real;
use files::*;

/// Number, time in nanoseconds, bytes, length on the wire of each packet; and the error that ended it.
type Read4 = (Vec<(u64, u64, Vec<u8>, u32)>, Option<ReadError>);

fn read(bytes: &[u8]) -> Read4 {
    let mut capture = match Capture::from_reader(Cursor::new(bytes.to_vec()), "test") {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), Some(error)),
    };
    read_all(&mut capture)
}

fn read_all(capture: &mut Capture) -> Read4 {
    let mut packets = Vec::new();
    let mut failed = None;
    while let Some(next) = capture.next_packet() {
        match next {
            Ok(packet) => {
                packets.push((
                    packet.number,
                    packet.time.as_nanos(),
                    packet.captured.to_vec(),
                    packet.wire_len,
                ));
            }
            Err(error) => {
                assert!(failed.is_none(), "one error at most");
                failed = Some(error);
            }
        }
    }
    (packets, failed)
}

fn counted(bytes: Vec<u8>) -> (Counts, Option<ReadError>) {
    let mut packets = PacketHeaders::new(Capture::from_reader(Cursor::new(bytes), "test").unwrap());
    let mut failed = None;
    while let Some(packet) = packets.next_packet() {
        if let Err(error) = packet {
            assert!(failed.is_none(), "one error at most");
            failed = Some(error);
        }
    }
    let counts = *packets.counts();
    let c = &counts;
    let sum = c.tcp + c.udp + c.icmp + c.other_ip + c.fragments + c.not_ip + c.unreadable.total();
    assert_eq!(sum, c.packets, "each packet is counted once: {c:?}");
    (counts, failed)
}

#[test]
fn pcap_in_both_byte_orders_and_units() {
    for big_endian in [false, true] {
        for (nanoseconds, unit) in [(false, 1000), (true, 1)] {
            let file = PcapFile { big_endian, nanoseconds, link_type: 101 };
            let bytes = file.with(&[(5, 7, b"abc", 3), (6, 8, b"", 1500), (6, 9, b"defg", 0)]);
            let (packets, failed) = read(&bytes);
            assert!(failed.is_none());
            assert_eq!(
                packets,
                [
                    (1, 5_000_000_000 + 7 * unit, b"abc".to_vec(), 3),
                    (2, 6_000_000_000 + 8 * unit, b"".to_vec(), 1500),
                    (3, 6_000_000_000 + 9 * unit, b"defg".to_vec(), 4),
                ]
            );
        }
    }
}

#[test]
fn pcapng_in_both_byte_orders_with_all_kinds_of_packets() {
    for big_endian in [false, true] {
        let ng = PcapngFile { big_endian };
        let mut bytes = ng.section();
        bytes.extend(ng.interface(101, 0, &[(9, vec![9])]));
        bytes.extend(ng.interface(1, 96, &[(2, b"eth0".to_vec()), (9, vec![0x80 | 10]), (14, ng.u64(3))]));
        bytes.extend(ng.block(4, &[0; 20]));
        bytes.extend(ng.enhanced(0, 11, b"abc", 100, &[]));
        bytes.extend(ng.block(0x4000_0bad, &[1; 4000]));
        bytes.extend(ng.simple(b"simple", 6));
        bytes.extend(ng.obsolete(1, 2, 512, b"defgh", 5));
        bytes.extend(ng.enhanced(1, 1024, b"", 9, &[(4, ng.u64(5)), (1, b"hello".to_vec())]));
        bytes.extend(ng.statistics(1, &[(4, ng.u64(1000)), (5, ng.u64(10)), (7, ng.u64(20))]));
        bytes.extend(ng.statistics(1, &[(5, ng.u64(11)), (7, ng.u64(20))]));
        bytes.extend(PcapngFile { big_endian: !big_endian }.section());
        bytes.extend(PcapngFile { big_endian: !big_endian }.interface(101, 4, &[]));
        bytes.extend(PcapngFile { big_endian: !big_endian }.simple(b"cut s", 6));
        bytes.extend(PcapngFile { big_endian: !big_endian }.enhanced(0, 1, b"last", 4, &[]));
        let mut capture = Capture::from_reader(Cursor::new(bytes.clone()), "test").unwrap();
        let (packets, failed) = read_all(&mut capture);
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(
            packets,
            [
                (1, 11, b"abc".to_vec(), 100),
                (2, 11, b"simple".to_vec(), 6),
                (3, 3_500_000_000, b"defgh".to_vec(), 5),
                (4, 4_000_000_000, b"".to_vec(), 9),
                (5, 4_000_000_000, b"cut ".to_vec(), 6),
                (6, 1_000, b"last".to_vec(), 4),
            ]
        );
        assert_eq!(capture.dropped_by_capturer(), 2 + 5 + 11 + 20);
        assert_eq!(capture.progress().capture_bytes, bytes.len() as u64);
    }
}

#[test]
fn interfaces_and_link_types_are_those_of_the_packet() {
    let ng = PcapngFile { big_endian: false };
    let bytes = [
        ng.section(),
        ng.interface(101, 0, &[]),
        ng.interface(1, 0, &[]),
        ng.enhanced(1, 0, b"x", 1, &[]),
        ng.enhanced(0, 0, b"y", 1, &[]),
    ];
    let mut capture = Capture::from_reader(Cursor::new(bytes.concat()), "test").unwrap();
    let mut seen = Vec::new();
    while let Some(packet) = capture.next_packet() {
        let packet = packet.unwrap();
        seen.push((packet.interface, packet.link_type));
    }
    assert_eq!(seen, [(1, 1), (0, 101)]);
}

#[test]
fn a_cut_file_gives_its_packets_and_then_says_where() {
    let whole = PcapFile::default().with(&[(1, 0, b"abcd", 4), (2, 0, b"efgh", 4), (3, 0, b"ijkl", 4)]);
    let (all, _) = read(&whole);
    for length in 0..=whole.len() {
        let (packets, failed) = read(&whole[..length]);
        assert!(all.starts_with(&packets));
        assert_eq!(packets.len(), length.saturating_sub(24) / 20);
        match failed {
            None => assert!(length >= 24 && (length - 24) % 20 == 0),
            Some(ReadError::NotACapture { .. }) => assert!(length < 4),
            Some(ReadError::Truncated { offset, end, .. }) => {
                assert_eq!(end, length as u64);
                assert_eq!(offset, if length < 24 { 0 } else { 24 + 20 * packets.len() as u64 });
            }
            Some(error) => panic!("{error}"),
        }
    }
    let (_, failed) = read(&whole[..60]);
    assert_eq!(
        failed.unwrap().to_string(),
        "test: expected a packet's record of 20 bytes at byte 44, but the file ends at byte 60"
    );
}

#[test]
fn a_cut_pcapng_file_gives_its_packets_and_then_says_where() {
    let ng = PcapngFile { big_endian: true };
    let blocks = [
        ng.section(),
        ng.interface(101, 0, &[(9, vec![9])]),
        ng.enhanced(0, 1, b"abc", 3, &[]),
        ng.block(99, &[7; 40]),
        ng.simple(b"hello", 5),
        ng.obsolete(0, 0, 3, b"", 0),
        ng.statistics(0, &[]),
    ];
    let borders: Vec<usize> = blocks
        .iter()
        .scan(0, |sum, block| {
            *sum += block.len();
            Some(*sum)
        })
        .collect();
    let whole = blocks.concat();
    let (all, failed) = read(&whole);
    assert!(failed.is_none());
    let mut before = 0;
    for length in 4..=whole.len() {
        let (packets, failed) = read(&whole[..length]);
        assert!(all.starts_with(&packets) && packets.len() >= before);
        before = packets.len();
        match failed {
            None => assert!(borders.contains(&length)),
            Some(ReadError::Truncated { offset, end, .. }) => {
                assert_eq!(end, length as u64);
                let begin = borders.iter().rev().find(|&&border| border < length).copied().unwrap_or(0);
                assert_eq!(offset, begin as u64);
            }
            Some(error) => panic!("{error}"),
        }
    }
    assert_eq!(before, 3);
}

#[test]
fn a_compressed_file_is_read_like_the_plain_one_and_when_cut_as_far_as_it_goes() {
    let records: Vec<(u32, u32, &[u8], u32)> = (0..20_000).map(|n| (n, n, &b"0123456789"[..], 10)).collect();
    let plain = PcapFile::default().with(&records);
    let (all, _) = read(&plain);
    for compressed in [gzip(&plain), zstd(&plain)] {
        let (packets, failed) = read(&compressed);
        assert!(failed.is_none() && packets == all);
        let (packets, failed) = read(&compressed[..compressed.len() * 2 / 3]);
        assert!(all.starts_with(&packets));
        assert!(packets.len() > all.len() / 3, "{}", packets.len());
        let Some(ReadError::Io { offset, compressed: true, .. }) = failed else { panic!("{failed:?}") };
        assert!(offset >= 24 + 26 * packets.len() as u64 && offset < 24 + 26 * (packets.len() as u64 + 1));
    }
}

#[test]
fn absurd_lengths_are_errors_and_not_allocations() {
    let mut bytes = PcapFile::default().with(&[(1, 0, b"abcd", 4)]);
    bytes.extend(PcapFile::default().record(2, 0, &[], 4));
    let at = bytes.len() - 8;
    bytes[at..at + 4].copy_from_slice(&(MAX_CAPTURED_BYTES + 1).to_le_bytes());
    let (packets, failed) = read(&bytes);
    assert_eq!(packets.len(), 1);
    assert!(matches!(failed, Some(ReadError::Damaged { offset: 52, .. })), "{failed:?}");

    let ng = PcapngFile { big_endian: false };
    let start = [ng.section(), ng.interface(101, 0, &[])].concat();
    for (offset, value) in [(4u64, 0xffff_fff0u32), (4, 13), (4, 8), (20, 1000), (8, 1)] {
        let mut packet = ng.enhanced(0, 1, b"abc", 3, &[]);
        packet[offset as usize..offset as usize + 4].copy_from_slice(&value.to_le_bytes());
        let (packets, failed) = read(&[&start[..], &packet].concat());
        assert!(packets.is_empty());
        let Some(ReadError::Damaged { offset: found, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!(found, start.len() as u64 + offset);
    }
    // An unknown block may claim to be huge: it is skipped as far as there is file.
    let huge = [7u32.to_le_bytes(), 0xffff_fff0u32.to_le_bytes(), [0; 4]].concat();
    let (_, failed) = read(&[&start[..], &huge].concat());
    assert!(matches!(failed, Some(ReadError::Truncated { offset, .. }) if offset == start.len() as u64));
}

#[test]
fn what_is_no_capture_is_named() {
    let says = |bytes: &[u8]| read(bytes).1.unwrap().to_string();
    assert!(says(b"").contains("it is empty"));
    assert!(says(b"{ \"log\": {\"version\": \"1.2\"").contains("JSON does (a HAR file?)"));
    assert!(says(b"\xef\xbb\xbf\n[1]").contains("JSON"));
    assert!(says(b"<html><body>secret").contains("HTML"));
    let text = says(b"password: hunter2");
    assert!(text.contains("which is text") && !text.contains("password") && text.contains("pcap and pcapng"));
    assert!(says(b"PK\x03\x04").contains("zip archive"));
    assert!(says(&[0x34, 0xcd, 0xb2, 0xa1, 2, 0, 4, 0]).contains("old variant"));
    assert!(says(&[0, 1, 2]).contains("it begins with 00 01 02;"));
    assert!(says(&gzip(b"{}")).contains("JSON"));
    let missing = Capture::open("there/is/no/such/file.pcap").unwrap_err();
    assert!(missing.to_string().starts_with("cannot open there/is/no/such/file.pcap: "));
    let directory = Capture::open(env!("CARGO_MANIFEST_DIR")).unwrap_err();
    assert!(matches!(directory, ReadError::Io { offset: 0, .. }), "{directory}");
}

#[test]
fn a_link_type_that_is_not_read_is_named() {
    let file = PcapFile { link_type: 127, ..PcapFile::default() };
    let (_, failed) = read(&file.with(&[(1, 0, b"abcd", 4)]));
    assert!(matches!(failed, Some(ReadError::UnknownLinkType { link_type: 127, .. })));

    let ng = PcapngFile { big_endian: false };
    let radio = [ng.section(), ng.interface(127, 0, &[]), ng.enhanced(0, 0, b"radio", 5, &[])].concat();
    let (counts, failed) = counted(radio.clone());
    assert_eq!(counts.unreadable.link_type, 1);
    assert!(matches!(failed, Some(ReadError::UnknownLinkType { link_type: 127, .. })));
    // Beside an interface that is read it is only counted.
    let both = [radio, ng.interface(101, 0, &[]), ng.enhanced(1, 0, &udp(3), 31, &[])].concat();
    let (counts, failed) = counted(both);
    assert!(failed.is_none());
    assert_eq!((counts.udp, counts.unreadable.link_type, counts.first_unknown_link_type), (1, 1, Some(127)));
}

#[test]
fn everything_is_counted() {
    let ethernet = |ethertype: u16, packet: &[u8]| {
        let mut frame = vec![2; 12];
        frame.extend_from_slice(&ethertype.to_be_bytes());
        frame.extend_from_slice(packet);
        frame
    };
    let mut other = udp(4);
    other[9] = 47;
    let mut piece = udp(4);
    piece[6] = 0x20;
    let mut no_length = udp(4);
    no_length[2..4].fill(0);
    let mut version = udp(4);
    version[0] = 0x55;
    let mut length = udp(4);
    length[3] = 10;
    let mut icmp = udp(4);
    icmp[9] = 1;
    let tcp = tcp_syn();
    let frames = [
        (10, ethernet(0x0800, &tcp), 0),
        (11, ethernet(0x0800, &tcp[..40]), 60),
        (12, ethernet(0x0800, &udp(4)), 0),
        (9, ethernet(0x0800, &icmp), 0),
        (12, ethernet(0x0800, &other), 0),
        (5, ethernet(0x0800, &piece), 0),
        (13, ethernet(0x0806, &[0; 28]), 0),
        (13, ethernet(0x0800, &no_length), 0),
        (13, ethernet(0x0800, &tcp[..30]), 60),
        (13, ethernet(0x0800, &tcp[..30]), 0),
        (13, ethernet(0x0800, &version), 0),
        (13, ethernet(0x0800, &length), 0),
        (13, vec![0; 9], 60),
        (13, vec![0; 9], 0),
    ];
    let file = PcapFile { link_type: 1, ..PcapFile::default() };
    let records: Vec<(u32, u32, &[u8], u32)> =
        frames.iter().map(|(time, frame, wire)| (*time, 0, &frame[..], *wire)).collect();
    let (counts, failed) = counted(file.with(&records));
    assert!(failed.is_none());
    let unreadable = Unreadable { cut: 2, short: 2, version: 1, length: 1, link_type: 0 };
    assert_eq!(counts.unreadable, unreadable);
    assert_eq!((counts.packets, counts.tcp, counts.udp, counts.icmp), (14, 2, 2, 1));
    assert_eq!((counts.other_ip, counts.fragments, counts.not_ip), (1, 1, 1));
    assert_eq!((counts.cut_by_snap_length, counts.options_cut, counts.length_missing), (3, 1, 1));
    assert_eq!((counts.time_went_back, counts.largest_step_back.as_secs()), (2, 7));
    assert_eq!(counts.first_unreadable.map(|(number, _)| number), Some(9));
}

#[test]
fn packets_longer_than_the_rest_of_the_buffer_are_whole() {
    let big: Vec<u8> = (0..MAX_CAPTURED_BYTES).map(|n| n as u8).collect();
    let records: Vec<(u32, u32, &[u8], u32)> =
        (0..9).map(|n| (n, 0, &big[..big.len() - 1000 * n as usize], 0)).collect();
    let (packets, failed) = read(&PcapFile::default().with(&records));
    assert!(failed.is_none());
    assert!(packets.iter().zip(&records).all(|(read, written)| read.2 == written.2));
    assert_eq!(packets.len(), records.len());
}

/// A reader that gives out few bytes at a time, as pipes do.
struct Dribble(Cursor<Vec<u8>>, usize);

impl Read for Dribble {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = out.len().min(self.1);
        self.0.read(&mut out[..n])
    }
}

fn any_capture() -> impl Strategy<Value = Vec<u8>> {
    let junk = proptest::collection::vec(any::<u8>(), 0..400);
    let ng = PcapngFile { big_endian: false };
    let start = [ng.section(), ng.interface(1, 0, &[(9, vec![9])])].concat();
    let block = (0u32..8, proptest::collection::vec(any::<u8>(), 0..60))
        .prop_map(move |(kind, body)| PcapngFile { big_endian: false }.block(kind, &body));
    prop_oneof![
        junk.clone(),
        junk.prop_map(|junk| [PcapFile::default().with(&[]), junk].concat()),
        proptest::collection::vec(block, 0..8)
            .prop_map(move |blocks| [start.clone(), blocks.concat()].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any_capture(), step in 1usize..50) {
        let (packets, failed) = read(&bytes);
        if let Ok(mut capture) = Capture::from_reader(Dribble(Cursor::new(bytes.clone()), step), "test") {
            let (dribbled, dribbled_failed) = read_all(&mut capture);
            prop_assert_eq!(&packets, &dribbled);
            prop_assert_eq!(failed.map(|e| e.to_string()), dribbled_failed.map(|e| e.to_string()));
            counted(bytes);
        }
    }

    #[test]
    fn one_wrong_byte_never_panics_and_spoils_nothing_before_it(at in 0usize..184, flip in 1u8..) {
        let mut bytes = PcapFile::default().with(&[(1, 0, &[1; 24], 24), (2, 0, &[2; 24], 24), (3, 0, &[3; 24], 24), (4, 0, &[4; 24], 24)]);
        let (all, _) = read(&bytes);
        bytes[at] ^= flip;
        let (packets, _) = read(&bytes);
        if at >= 24 {
            let before = (at - 24) / 40;
            prop_assert!(packets.starts_with(&all[..before]));
        }
    }
}
