//! What do the headers say, when the rest of the packet may not be there? The view that capture analysis works on.

use crate::{IcmpMessage, IpHeader, OptionOrder, ParseError, Protocol, TcpHeader, Transport, UdpHeader};
use std::net::SocketAddr;

/// The headers of a captured packet, and how much of its payload there is. Nothing is allocated, nothing is copied but the headers, and
/// no checksum is looked at: captures made on the sending host have packets whose checksums the device fills in later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// IP header.
    pub ip: IpHeader,
    /// Transport header; [`Transport::Opaque`] for a fragment or an unknown protocol, whose payload is what follows IP.
    pub transport: Transport,
    /// Length of the IP packet as sent, bytes.
    pub packet_bytes: u32,
    /// Where the payload begins, bytes from the start of the IP packet.
    pub payload_offset: u32,
    /// Length of the payload as sent (from the IP header's length field), bytes.
    pub payload_bytes: u32,
    /// How much of the payload is in the captured bytes.
    pub payload_captured: u32,
    /// The IP length field was 0, as in large segments captured before the device cuts them: the lengths are the capture's.
    pub length_missing: bool,
    /// The captured bytes end within the TCP options; those before are in the header.
    pub options_cut: bool,
    /// A TCP option's length cannot be right; those before are in the header.
    pub options_damaged: bool,
    /// The order of the options of a SYN; empty on other segments.
    pub option_order: OptionOrder,
}

impl Headers {
    /// Reads the headers of the IP packet at the start of `bytes`, which may be cut anywhere behind the fixed transport header and may have
    /// padding behind it. `wire_bytes` is how many bytes were on the wire in place of `bytes`.
    ///
    /// # Errors
    /// [`ParseError`] when a header is cut, or contradicts itself or the packet's length.
    #[inline]
    pub fn parse(bytes: &[u8], wire_bytes: usize) -> Result<Headers, ParseError> {
        let parsed = IpHeader::parse(bytes, wire_bytes)?;
        let at = parsed.header_bytes;
        let end = parsed.packet_bytes;
        let rest = &bytes[at..end.clamp(at, bytes.len())];
        let mut headers = Headers {
            ip: parsed.header,
            transport: Transport::Opaque,
            packet_bytes: saturating(end),
            payload_offset: 0,
            payload_bytes: 0,
            payload_captured: 0,
            length_missing: parsed.length_missing,
            options_cut: false,
            options_damaged: false,
            option_order: OptionOrder::default(),
        };
        let mut payload_end = end;
        let header_bytes = if headers.ip.fragment.is_piece() {
            0
        } else {
            match headers.ip.protocol {
                Protocol::Tcp => {
                    let tcp = TcpHeader::parse(rest, at)?;
                    if at + tcp.header_bytes > end {
                        return Err(ParseError::Length {
                            field: "TCP data offset",
                            offset: at + 12,
                            value: tcp.header_bytes,
                            least: 20,
                            most: end - at,
                        });
                    }
                    headers.transport = Transport::Tcp(tcp.header);
                    headers.options_cut = tcp.options_cut;
                    headers.options_damaged = tcp.options_damaged;
                    headers.option_order = tcp.option_order;
                    tcp.header_bytes
                }
                Protocol::Udp => {
                    let udp = UdpHeader::parse(rest, at)?;
                    headers.transport = Transport::Udp(udp.header);
                    if udp.length != 0 {
                        payload_end = end.min(at + udp.length);
                    }
                    UdpHeader::BYTES
                }
                protocol @ (Protocol::Icmp | Protocol::Icmpv6) => {
                    headers.transport = Transport::Icmp(IcmpMessage::parse(protocol, rest, at)?);
                    IcmpMessage::BYTES
                }
                Protocol::Other(_) => 0,
            }
        };
        let offset = at + header_bytes;
        headers.payload_offset = saturating(offset);
        headers.payload_bytes = saturating(payload_end.saturating_sub(offset));
        headers.payload_captured = saturating(payload_end.min(bytes.len()).saturating_sub(offset));
        Ok(headers)
    }

    /// The payload as far as captured; `bytes` is what [`Headers::parse`] was given.
    #[must_use]
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let begin = self.payload_offset as usize;
        bytes.get(begin..begin + self.payload_captured as usize).unwrap_or_default()
    }

    /// The TCP header, if it is a segment.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpHeader> {
        match &self.transport {
            Transport::Tcp(header) => Some(header),
            _ => None,
        }
    }

    /// Address and port of the sender, if the transport has ports.
    #[must_use]
    pub fn source_socket(&self) -> Option<SocketAddr> {
        self.transport.ports().map(|(source, _)| SocketAddr::new(self.ip.source, source))
    }

    /// Address and port of the receiver, if the transport has ports.
    #[must_use]
    pub fn destination_socket(&self) -> Option<SocketAddr> {
        self.transport.ports().map(|(_, destination)| SocketAddr::new(self.ip.destination, destination))
    }
}

fn saturating(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Packet, Seq, TcpFlags, TcpOptions, Timestamps};
    use bytes::Bytes;

    fn segment(payload: usize) -> (Packet, Vec<u8>) {
        let header = TcpHeader {
            source_port: 40000,
            destination_port: 443,
            seq: Seq(1000),
            ack: Seq(2000),
            flags: TcpFlags::ACK,
            window: 501,
            urgent: 0,
            options: TcpOptions {
                timestamps: Some(Timestamps { value: 1, echo: 2 }),
                ..TcpOptions::default()
            },
        };
        let packet =
            Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, Bytes::from(vec![7; payload]));
        let mut bytes = Vec::new();
        packet.emit(&mut bytes);
        (packet, bytes)
    }

    #[test]
    fn lengths_are_those_of_the_ip_header_not_of_the_capture() {
        let (packet, bytes) = segment(1448);
        let headers = Headers::parse(&bytes[..96], bytes.len()).unwrap();
        assert_eq!((headers.payload_offset, headers.payload_bytes, headers.payload_captured), (52, 1448, 44));
        assert_eq!(headers.transport, packet.transport);
        assert_eq!(headers.payload(&bytes[..96]), &[7; 44]);
        assert_eq!(headers.source_socket(), packet.source_socket());
        assert_eq!(headers.destination_socket(), packet.destination_socket());
        let cut = Headers::parse(&bytes[..45], bytes.len()).unwrap();
        assert!(cut.options_cut);
        assert_eq!((cut.payload_offset, cut.payload_bytes, cut.payload_captured), (52, 1448, 0));
        assert_eq!(cut.payload(&bytes[..45]), &[] as &[u8]);
    }

    #[test]
    fn padding_behind_the_packet_is_not_payload() {
        let (_, mut bytes) = segment(1);
        bytes.extend_from_slice(&[0xaa; 9]);
        let headers = Headers::parse(&bytes, bytes.len()).unwrap();
        assert_eq!((headers.payload_bytes, headers.payload_captured), (1, 1));
    }

    #[test]
    fn a_large_segment_without_length_takes_the_captured_frames() {
        let (_, bytes) = segment(70_000);
        assert_eq!(bytes[2..4], [0, 0]);
        let headers = Headers::parse(&bytes[..96], bytes.len()).unwrap();
        assert!(headers.length_missing);
        assert_eq!(headers.payload_bytes, 70_000);
    }

    #[test]
    fn a_data_offset_beyond_the_packet_is_an_error() {
        let (_, mut bytes) = segment(0);
        bytes[3] = 40;
        let error = Headers::parse(&bytes, bytes.len()).unwrap_err();
        assert!(matches!(error, ParseError::Length { field: "TCP data offset", value: 32, most: 20, .. }));
    }

    #[test]
    fn a_fragment_is_opaque() {
        let (_, mut bytes) = segment(100);
        bytes[6] = 0x20;
        let headers = Headers::parse(&bytes, bytes.len()).unwrap();
        assert_eq!(headers.transport, Transport::Opaque);
        assert_eq!((headers.payload_offset, headers.payload_bytes), (20, 132));
        assert_eq!(headers.source_socket(), None);
    }
}
