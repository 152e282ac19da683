//! Where in a captured frame does the IP packet begin? Link-layer headers as captures have them.
//!
//! Link types are those of the tcpdump group's list (LINKTYPE_ values), which pcap and pcapng files carry.

/// BSD loopback; the address family in the byte order of the capturing machine.
pub const NULL: u32 = 0;
/// Ethernet.
pub const ETHERNET: u32 = 1;
/// Raw IP, as some systems number it.
pub const RAW_BSD: u32 = 12;
/// Raw IP, as OpenBSD numbers it.
pub const RAW_OPENBSD: u32 = 14;
/// Raw IP.
pub const RAW: u32 = 101;
/// OpenBSD loopback; the address family in network byte order.
pub const LOOP: u32 = 108;
/// Linux cooked, version 1.
pub const LINUX_SLL: u32 = 113;
/// Raw IPv4.
pub const IPV4: u32 = 228;
/// Raw IPv6.
pub const IPV6: u32 = 229;
/// Linux cooked, version 2.
pub const LINUX_SLL2: u32 = 276;

/// Why there is no IP packet in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LinkError {
    /// The frame carries something else, such as ARP (EtherType 0x0806): nothing is wrong with it.
    #[error("the frame carries protocol {protocol:#06x}, not IP")]
    NotIp {
        /// The EtherType, or a lower number that stands in its place (an 802.3 length, an address family).
        protocol: u32,
    },
    /// The frame ends before its link-layer header does.
    #[error("expected {expected} at byte {offset} of the frame, which ends at byte {end}")]
    Truncated {
        /// What should have been there.
        expected: &'static str,
        /// Where, bytes from the frame's start.
        offset: usize,
        /// How many bytes there are.
        end: usize,
    },
    /// narrows does not know this link type.
    #[error("link type {link_type} is not one that narrows reads")]
    UnknownLinkType {
        /// The link type.
        link_type: u32,
    },
}

/// The link type's name in the tcpdump group's list, for those that [`strip`] reads.
#[must_use]
pub fn name(link_type: u32) -> Option<&'static str> {
    Some(match link_type {
        NULL => "NULL",
        ETHERNET => "ETHERNET",
        RAW_BSD | RAW_OPENBSD | RAW => "RAW",
        LOOP => "LOOP",
        LINUX_SLL => "LINUX_SLL",
        IPV4 => "IPV4",
        IPV6 => "IPV6",
        LINUX_SLL2 => "LINUX_SLL2",
        _ => return None,
    })
}

/// The IP packet in the frame, with whatever follows it (padding, a frame check sequence). Its link-layer header is as long as what is
/// missing at the start.
///
/// ```
/// use narrows_wire::link;
/// let mut frame = vec![0; 14];
/// frame[12..].copy_from_slice(&[8, 0]);
/// frame.push(0x45);
/// assert_eq!(link::strip(link::ETHERNET, &frame), Ok(&[0x45][..]));
/// ```
///
/// # Errors
/// [`LinkError`], which tells frames of other protocols apart from damaged ones.
#[inline]
pub fn strip(link_type: u32, frame: &[u8]) -> Result<&[u8], LinkError> {
    match link_type {
        ETHERNET => behind_ethertype(frame, 12),
        RAW | RAW_BSD | RAW_OPENBSD => Ok(frame),
        IPV4 => of_version(frame, 4),
        IPV6 => of_version(frame, 6),
        LINUX_SLL => behind_ethertype(frame, 14),
        LINUX_SLL2 => {
            let ethertype = read_u16(frame, 0, "the protocol of a Linux cooked header")?;
            let rest = frame.get(20..).ok_or(LinkError::Truncated {
                expected: "a Linux cooked header of 20 bytes",
                offset: 0,
                end: frame.len(),
            })?;
            if is_ip(ethertype) { Ok(rest) } else { inner(frame, 20, ethertype) }
        }
        NULL | LOOP => loopback(frame),
        link_type => Err(LinkError::UnknownLinkType { link_type }),
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and the number that stacked tags had before 802.1ad.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// PPPoE session (RFC 2516 §4), as captured beside a DSL line.
const ETHERTYPE_PPPOE: u16 = 0x8864;
/// MPLS (RFC 5332 §2), as captured beside a provider's router.
const ETHERTYPES_MPLS: [u16; 2] = [0x8847, 0x8848];

fn is_ip(ethertype: u16) -> bool {
    matches!(ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6)
}

fn read_u16(frame: &[u8], offset: usize, expected: &'static str) -> Result<u16, LinkError> {
    match frame.get(offset..).and_then(<[u8]>::first_chunk) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        None => Err(LinkError::Truncated { expected, offset, end: frame.len() }),
    }
}

#[inline]
fn behind_ethertype(frame: &[u8], at: usize) -> Result<&[u8], LinkError> {
    let ethertype = read_u16(frame, at, "an EtherType")?;
    if is_ip(ethertype) { Ok(&frame[at + 2..]) } else { inner(frame, at + 2, ethertype) }
}

/// What `ethertype` announces at byte `at`. Each tag is 4 bytes long, so the frame's length bounds the walk over them.
fn inner(frame: &[u8], mut at: usize, mut ethertype: u16) -> Result<&[u8], LinkError> {
    while ETHERTYPES_VLAN.contains(&ethertype) {
        ethertype = read_u16(frame, at + 2, "the EtherType behind a VLAN tag")?;
        at += 4;
    }
    if is_ip(ethertype) {
        return Ok(&frame[at..]);
    }
    if ethertype == ETHERTYPE_PPPOE {
        return match read_u16(frame, at + 6, "the protocol of a PPPoE header")? {
            0x0021 | 0x0057 => Ok(&frame[at + 8..]),
            other => Err(LinkError::NotIp { protocol: u32::from(other) }),
        };
    }
    if ETHERTYPES_MPLS.contains(&ethertype) {
        return behind_labels(frame, at, ethertype);
    }
    Err(LinkError::NotIp { protocol: u32::from(ethertype) })
}

/// Behind a stack of MPLS labels of 4 bytes each, whose last one has the bottom bit (RFC 3032 §2.1). Nothing says what follows: the
/// first four bits tell IP (RFC 4928 §3); anything else is a pseudowire.
fn behind_labels(frame: &[u8], mut at: usize, ethertype: u16) -> Result<&[u8], LinkError> {
    while read_u16(frame, at + 2, "an MPLS label")? & 0x100 == 0 {
        at += 4;
    }
    match frame.get(at + 4).map(|first| first >> 4) {
        Some(4 | 6) => Ok(&frame[at + 4..]),
        Some(_) => Err(LinkError::NotIp { protocol: u32::from(ethertype) }),
        None => Err(LinkError::Truncated {
            expected: "a packet behind MPLS labels",
            offset: at + 4,
            end: frame.len(),
        }),
    }
}

fn of_version(frame: &[u8], version: u8) -> Result<&[u8], LinkError> {
    match frame.first() {
        Some(first) if first >> 4 != version => Err(LinkError::NotIp { protocol: u32::from(first >> 4) }),
        _ => Ok(frame),
    }
}

/// The family's number is that of the capturing system in its byte order (even LOOP is written wrongly by some), but no system's number
/// read in the other order is another's.
fn loopback(frame: &[u8]) -> Result<&[u8], LinkError> {
    const IP_FAMILIES: [u32; 6] = [2, 10, 23, 24, 28, 30];
    let Some(&family) = frame.first_chunk::<4>() else {
        let expected = "a loopback header of 4 bytes";
        return Err(LinkError::Truncated { expected, offset: 0, end: frame.len() });
    };
    let (little, big) = (u32::from_le_bytes(family), u32::from_be_bytes(family));
    if IP_FAMILIES.contains(&little) || IP_FAMILIES.contains(&big) {
        Ok(&frame[4..])
    } else {
        Err(LinkError::NotIp { protocol: little.min(big) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(header: &[u8]) -> Vec<u8> {
        let mut frame = header.to_vec();
        frame.extend_from_slice(b"\x45ip");
        frame
    }

    fn at(offset: usize, tail: &[u8]) -> Vec<u8> {
        let mut header = vec![0xee; offset];
        header.extend_from_slice(tail);
        frame(&header)
    }

    #[test]
    fn finds_the_packet_behind_every_kind_of_header() {
        let sll2 = |protocol: [u8; 2], tail: &[u8]| {
            let mut header = protocol.to_vec();
            header.resize(20, 0xee);
            header.extend_from_slice(tail);
            frame(&header)
        };
        let frames = [
            (ETHERNET, at(12, &[0x08, 0x00])),
            (ETHERNET, at(12, &[0x86, 0xdd])),
            (ETHERNET, at(12, &[0x81, 0x00, 0, 5, 0x08, 0x00])),
            (ETHERNET, at(12, &[0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 6, 0x86, 0xdd])),
            (ETHERNET, at(12, &[0x88, 0x64, 0x11, 0, 0, 1, 0, 5, 0x00, 0x21])),
            (ETHERNET, at(12, &[0x88, 0x47, 0, 1, 0x01, 64])),
            (ETHERNET, at(12, &[0x81, 0x00, 0, 5, 0x88, 0x47, 0, 1, 0x00, 64, 0, 1, 0x11, 64])),
            (LINUX_SLL, at(14, &[0x08, 0x00])),
            (LINUX_SLL, at(14, &[0x81, 0x00, 0, 5, 0x08, 0x00])),
            (LINUX_SLL2, sll2([0x86, 0xdd], &[])),
            (LINUX_SLL2, sll2([0x81, 0x00], &[0, 5, 0x08, 0x00])),
            (RAW, frame(&[])),
            (RAW_BSD, frame(&[])),
            (RAW_OPENBSD, frame(&[])),
            (IPV4, frame(&[])),
            (NULL, frame(&[2, 0, 0, 0])),
            (NULL, frame(&[0, 0, 0, 30])),
            (LOOP, frame(&[0, 0, 0, 2])),
            (LOOP, frame(&[24, 0, 0, 0])),
        ];
        for (link_type, frame) in frames {
            assert_eq!(strip(link_type, &frame), Ok(&b"\x45ip"[..]), "{link_type} {frame:x?}");
            assert!(name(link_type).is_some());
        }
    }

    #[test]
    fn other_protocols_are_not_damage() {
        let not_ip = |protocol| Err(LinkError::NotIp { protocol });
        assert_eq!(strip(ETHERNET, &at(12, &[0x08, 0x06])), not_ip(0x0806));
        assert_eq!(strip(ETHERNET, &at(12, &[0x81, 0x00, 0, 1, 0x08, 0x06])), not_ip(0x0806));
        assert_eq!(strip(ETHERNET, &at(12, &[0x88, 0x64, 0x11, 0, 0, 1, 0, 5, 0xc0, 0x21])), not_ip(0xc021));
        assert_eq!(strip(ETHERNET, &at(12, &[0x88, 0x47, 0, 1, 0x01, 64, 0, 0, 0, 0])), not_ip(0x8847));
        assert_eq!(strip(LINUX_SLL, &at(14, &[0x00, 0x04])), not_ip(4));
        assert_eq!(strip(NULL, &frame(&[7, 0, 0, 0])), not_ip(7));
        assert_eq!(strip(IPV6, &frame(&[])), not_ip(4));
    }

    #[test]
    fn cut_headers_and_unknown_types_are_errors() {
        for (link_type, length) in [(ETHERNET, 13), (LINUX_SLL, 15), (LINUX_SLL2, 19), (NULL, 3)] {
            assert!(matches!(strip(link_type, &vec![0; length]), Err(LinkError::Truncated { .. })));
        }
        let error = strip(ETHERNET, &at(12, &[0x81, 0x00])[..15]).unwrap_err();
        assert_eq!(
            error,
            LinkError::Truncated { expected: "the EtherType behind a VLAN tag", offset: 16, end: 15 }
        );
        let labels = at(12, &[0x88, 0x47, 0, 1, 0x00, 64, 0, 1, 0x01, 64]);
        for length in [15, 17, 20, 22] {
            assert!(
                matches!(strip(ETHERNET, &labels[..length]), Err(LinkError::Truncated { .. })),
                "{length}"
            );
        }
        assert_eq!(strip(127, &[]), Err(LinkError::UnknownLinkType { link_type: 127 }));
        assert_eq!(name(127), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_gives_a_tail(
            link_type in prop_oneof![Just(0), Just(1), Just(101), Just(108), Just(113), Just(228), Just(276), any::<u32>()],
            frame in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x00), Just(0x08), Just(0x88), Just(0x47)], 0..80),
        ) {
            if let Ok(packet) = strip(link_type, &frame) {
                prop_assert!(frame.ends_with(packet));
            }
        }
    }
}
