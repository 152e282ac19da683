use super::*;

fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[next, 64]);
    bytes.extend_from_slice(&[1; 16]);
    bytes.extend_from_slice(&[2; 16]);
    bytes.extend_from_slice(payload);
    bytes
}

fn v4(header_words: u8, total: u16) -> Vec<u8> {
    let mut bytes = vec![0x40 | header_words, 0];
    bytes.extend_from_slice(&total.to_be_bytes());
    bytes.extend_from_slice(&[0, 9, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.resize(usize::from(header_words) * 4, 1);
    bytes
}

#[test]
fn ipv4_options_are_skipped() {
    let parsed = IpHeader::parse(&v4(7, 40), 40).unwrap();
    assert_eq!((parsed.header_bytes, parsed.packet_bytes, parsed.length_missing), (28, 40, false));
    assert_eq!(parsed.header.protocol, Protocol::Tcp);
    assert!(parsed.header.fragment.dont_fragment);
    let error = IpHeader::parse(&v4(7, 40)[..24], 40).unwrap_err();
    assert_eq!(error, ParseError::Truncated { expected: "the IPv4 options", offset: 20, end: 24 });
}

#[test]
fn ipv4_lengths_that_contradict_the_header_are_errors() {
    let mut short = v4(5, 40);
    short[0] = 0x44;
    assert!(matches!(IpHeader::parse(&short, 40), Err(ParseError::Length { value: 16, offset: 0, .. })));
    assert!(matches!(IpHeader::parse(&v4(6, 20), 40), Err(ParseError::Length { value: 20, offset: 2, .. })));
    let missing = IpHeader::parse(&v4(5, 0), 70_000).unwrap();
    assert_eq!((missing.packet_bytes, missing.length_missing), (70_000, true));
}

#[test]
fn ipv6_extension_headers_are_skipped() {
    // Hop-by-hop (8), routing (16), destination options (8), then UDP.
    let mut payload = vec![43, 0, 0, 0, 0, 0, 0, 0];
    payload.extend_from_slice(&[60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend_from_slice(&[17, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend_from_slice(&[0; 8]);
    let parsed = IpHeader::parse(&v6(0, &payload), 0).unwrap();
    assert_eq!(parsed.header.protocol, Protocol::Udp);
    assert_eq!((parsed.header_bytes, parsed.packet_bytes), (72, 80));
    // An authentication header counts in units of 4 bytes (RFC 4302 §2.2): 24 bytes.
    let mut authenticated = vec![6, 4];
    authenticated.resize(24, 0);
    assert_eq!(IpHeader::parse(&v6(51, &authenticated), 0).unwrap().header_bytes, 64);
}

#[test]
fn an_ipv6_fragment_ends_the_walk_and_an_atomic_one_does_not() {
    let piece = [6, 0, 0x05, 0xa9, 1, 2, 3, 4];
    let parsed = IpHeader::parse(&v6(44, &piece), 0).unwrap();
    assert!(parsed.header.fragment.is_piece());
    assert_eq!(parsed.header.fragment.offset_bytes, 0x05a8);
    assert!(parsed.header.fragment.more);
    assert_eq!(parsed.header.fragment.identification, 0x0102_0304);
    assert_eq!((parsed.header.protocol, parsed.header_bytes), (Protocol::Tcp, 48));
    // RFC 6946: offset 0 and no more to come, so it is whole; the headers behind it count.
    let atomic = [60, 0, 0, 0, 1, 2, 3, 4, 6, 0, 0, 0, 0, 0, 0, 0];
    let parsed = IpHeader::parse(&v6(44, &atomic), 0).unwrap();
    assert!(!parsed.header.fragment.is_piece());
    assert_eq!((parsed.header.protocol, parsed.header_bytes), (Protocol::Tcp, 56));
}

#[test]
fn ipv6_extension_headers_that_reach_too_far_are_errors() {
    let error = IpHeader::parse(&v6(0, &[6, 2, 0, 0, 0, 0, 0, 0]), 0).unwrap_err();
    assert_eq!(
        error,
        ParseError::Length {
            field: "IPv6 extension header length",
            offset: 41,
            value: 24,
            least: 8,
            most: 8
        }
    );
    let error = IpHeader::parse(&v6(0, &[6, 0, 0, 0, 0, 0, 0, 0])[..44], 0).unwrap_err();
    assert!(matches!(error, ParseError::Truncated { offset: 40, end: 44, .. }));
}

#[test]
fn an_empty_ipv6_packet_is_told_apart_from_a_missing_length() {
    let empty = IpHeader::parse(&v6(59, &[]), 46).unwrap();
    assert_eq!((empty.packet_bytes, empty.length_missing), (40, false));
    let large = IpHeader::parse(&v6(6, &[]), 90_000).unwrap();
    assert_eq!((large.packet_bytes, large.length_missing), (90_000, true));
}

#[test]
fn other_versions_are_errors() {
    assert_eq!(IpHeader::parse(&[0x50; 40], 40), Err(ParseError::Version { version: 5 }));
    assert!(matches!(IpHeader::parse(&[], 0), Err(ParseError::Truncated { .. })));
}
