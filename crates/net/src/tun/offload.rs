//! What do we and the kernel leave to each other? The header that precedes each packet on a device with offloads.
//!
//! `IFF_VNET_HDR` puts a `virtio_net_hdr` before each packet: who completes the checksum, and whether the packet is a large segment
//! still to be cut (TSO) or already merged (GRO). What the kernel says there is looked at like anything from outside.

use bytes::Bytes;
use narrows_wire::{ChecksumState, Packet, ParseError, Transport};
use tun_rs::VirtioNetHdr;

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = tun_rs::VIRTIO_NET_HDR_LEN;

const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const TCP_IPV4: u8 = 1;
const TCP_IPV6: u8 = 4;
/// Several datagrams of one size, of both versions (USO).
const UDP_SEGMENTS: u8 = 5;
/// Combined with a type: the large segment carries CWR, which only its first piece keeps.
const ECN: u8 = 0x80;

/// Where the checksum stands in a TCP and in a UDP header.
const TCP_CHECKSUM: u16 = 16;
const UDP_CHECKSUM: u16 = 6;

/// Why a packet from the device was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It is no packet.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Its header says something about it that is not so.
    #[error("the device's header does not fit the packet")]
    Header,
}

/// The packet's header for the device; what it says is true of what [`Packet::emit_headers`] writes with
/// [`ChecksumState::Device`].
pub(super) fn describe(packet: &Packet) -> VirtioNetHdr {
    let ip_bytes = packet.ip.header_len() as u16;
    if packet.offload.checksum == ChecksumState::Full {
        return VirtioNetHdr::default();
    }
    let checksum_at = match packet.transport {
        Transport::Tcp(_) => TCP_CHECKSUM,
        Transport::Udp(_) => UDP_CHECKSUM,
        Transport::Icmp(_) | Transport::Opaque => return VirtioNetHdr::default(),
    };
    let mut header = VirtioNetHdr {
        flags: NEEDS_CHECKSUM,
        csum_start: ip_bytes,
        csum_offset: checksum_at,
        ..VirtioNetHdr::default()
    };
    if let Some(size) = packet.offload.segment_bytes {
        header.gso_type = kind_of(packet);
        header.gso_size = size;
        header.hdr_len = ip_bytes + packet.transport.header_len() as u16;
    }
    header
}

/// What a large packet of that kind is called.
fn kind_of(packet: &Packet) -> u8 {
    match (&packet.transport, packet.ip.source.is_ipv4()) {
        (Transport::Udp(_), _) => UDP_SEGMENTS,
        (_, true) => TCP_IPV4,
        (_, false) => TCP_IPV6,
    }
}

/// Reads a packet with its header.
pub(super) fn read(header: &VirtioNetHdr, bytes: Bytes) -> Result<Packet, Refused> {
    let vouched = header.flags & (NEEDS_CHECKSUM | DATA_VALID) != 0;
    let state = if vouched { ChecksumState::Device } else { ChecksumState::Full };
    let mut packet = Packet::parse_with(bytes, state)?;
    let checksum_at = match packet.transport {
        Transport::Tcp(_) => Some(TCP_CHECKSUM),
        Transport::Udp(_) => Some(UDP_CHECKSUM),
        Transport::Icmp(_) | Transport::Opaque => None,
    };
    if header.flags & NEEDS_CHECKSUM != 0 {
        // Only a place that the transport's checksum has: the kernel never asks for another.
        let headers = packet.len() - packet.payload.len();
        let fits = checksum_at == Some(header.csum_offset) && usize::from(header.csum_start) < headers;
        if !fits {
            return Err(Refused::Header);
        }
    }
    let kind = header.gso_type & !ECN;
    if kind != 0 {
        if checksum_at.is_none() || kind != kind_of(&packet) || header.gso_size == 0 {
            return Err(Refused::Header);
        }
        packet.offload.segment_bytes = Some(header.gso_size);
    }
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_wire::{Offload, Seq, TcpFlags, TcpHeader, TcpOptions, UdpHeader};

    fn packet(payload: usize, segment_bytes: Option<u16>) -> Packet {
        let header = TcpHeader {
            source_port: 1,
            destination_port: 2,
            seq: Seq(3),
            ack: Seq(4),
            flags: TcpFlags::ACK,
            window: 5,
            urgent: 0,
            options: TcpOptions::default(),
        };
        let payload = Bytes::from(vec![7; payload]);
        let mut packet = Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, payload);
        packet.offload.checksum = ChecksumState::Device;
        packet.offload.segment_bytes = segment_bytes;
        packet
    }

    fn emitted(packet: &Packet) -> Bytes {
        let mut bytes = Vec::new();
        packet.emit(&mut bytes);
        bytes.into()
    }

    #[test]
    fn what_is_described_is_what_is_read() {
        for packet in [packet(100, None), packet(60_000, Some(1448))] {
            let header = describe(&packet);
            assert_eq!((header.csum_start, header.csum_offset), (20, 16));
            assert_eq!(read(&header, emitted(&packet)), Ok(packet));
        }
    }

    #[test]
    fn without_a_word_about_the_checksum_it_is_verified() {
        let sent = packet(100, None);
        let nothing = VirtioNetHdr::default();
        assert!(matches!(read(&nothing, emitted(&sent)), Err(Refused::Parse(ParseError::Checksum { .. }))));
        let mut whole = sent;
        whole.offload.checksum = ChecksumState::Full;
        assert_eq!(read(&nothing, emitted(&whole)), Ok(whole));
    }

    #[test]
    fn a_header_that_does_not_fit_its_packet_is_refused() {
        let sent = packet(3_000, Some(1448));
        let good = describe(&sent);
        let wrong = [
            VirtioNetHdr { csum_offset: 6, ..good },
            VirtioNetHdr { csum_start: 40, ..good },
            VirtioNetHdr { gso_type: TCP_IPV6, ..good },
            VirtioNetHdr { gso_type: 3, ..good },
            VirtioNetHdr { gso_size: 0, ..good },
        ];
        for header in wrong {
            assert_eq!(read(&header, emitted(&sent)), Err(Refused::Header), "{header:?}");
        }
        assert!(read(&VirtioNetHdr { gso_type: TCP_IPV4 | ECN, ..good }, emitted(&sent)).is_ok());
        assert_eq!(
            read(&VirtioNetHdr { gso_type: UDP_SEGMENTS, ..good }, emitted(&sent)),
            Err(Refused::Header)
        );
    }

    #[test]
    fn several_datagrams_of_one_size_are_one_packet() {
        let header = UdpHeader { source_port: 1, destination_port: 2 };
        for (from, to) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let mut packet = Packet::udp(from, to, header, Bytes::from(vec![7; 3_000]));
            packet.offload = Offload { checksum: ChecksumState::Device, segment_bytes: Some(1_200) };
            let described = describe(&packet);
            assert_eq!(
                (described.gso_type, described.gso_size, described.csum_offset),
                (UDP_SEGMENTS, 1_200, 6)
            );
            assert_eq!(usize::from(described.hdr_len), packet.len() - 3_000);
            assert_eq!(read(&described, emitted(&packet)), Ok(packet));
        }
    }
}
