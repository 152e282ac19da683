//! How does a packet travel on a host's device? In an Ethernet frame between two fixed addresses, because some tools know nothing else.

use bytes::Bytes;
use narrows_wire::{IcmpMessage, Packet, Transport};
use std::net::IpAddr;

/// The host's address.
pub const HOST: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// The first router's address.
pub const GATEWAY: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];

const HEADER_BYTES: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// As `ip` writes it.
#[must_use]
pub fn spell(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// The IP packet in a frame; `None` for anything else.
#[must_use]
pub fn packet_in(frame: &[u8]) -> Option<&[u8]> {
    let kind = frame.get(12..HEADER_BYTES)?;
    (kind == IPV4 || kind == IPV6).then(|| &frame[HEADER_BYTES..])
}

/// The answer to an ARP request (RFC 826), whatever address it is about: programs that make their own frames ask.
#[must_use]
pub fn arp_answer(frame: &[u8]) -> Option<Vec<u8>> {
    let request = frame.get(12..42)?;
    // Ethernet type ARP; hardware Ethernet, protocol IPv4, lengths 6 and 4, operation 1.
    if request[..10] != [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1] {
        return None;
    }
    let (sender_protocol, target_protocol) = (&request[16..20], &request[26..30]);
    let head = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2];
    Some([&HOST[..], &GATEWAY, &head, &GATEWAY, target_protocol, &HOST, sender_protocol].concat())
}

/// The answer to a neighbour solicitation (RFC 4861 §4.3), whatever address it is about.
#[must_use]
pub fn neighbour_answer(packet: &[u8]) -> Option<Vec<u8>> {
    let parsed = Packet::parse(Bytes::copy_from_slice(packet)).ok()?;
    let Transport::Icmp(IcmpMessage::Other { kind: 135, .. }) = parsed.transport else { return None };
    let target: [u8; 16] = *parsed.payload.first_chunk()?;
    // Solicited, override; option 2 (target link-layer address), in units of 8 bytes.
    let message = IcmpMessage::Other { kind: 136, code: 0, rest: [0x60, 0, 0, 0] };
    let body = [&target[..], &[2, 1], &GATEWAY].concat();
    let mut answer = Packet::icmp(IpAddr::from(target), parsed.ip.source, message, body.into());
    answer.ip.hop_limit = 255;
    let mut bytes = Vec::new();
    answer.emit(&mut bytes);
    Some(frame(&bytes))
}

/// A packet in a frame to the host.
#[must_use]
pub fn frame(packet: &[u8]) -> Vec<u8> {
    let kind = if packet.first().is_some_and(|first| first >> 4 == 4) { IPV4 } else { IPV6 };
    [&HOST[..], &GATEWAY, &kind, packet].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        for packet in [&[0x45, 1, 2][..], &[0x60, 1, 2]] {
            assert_eq!(packet_in(&frame(packet)), Some(packet));
        }
        assert_eq!(packet_in(&[0; 20]), None);
        assert_eq!(packet_in(&[0; 3]), None);
        assert_eq!(arp_answer(&[0; 60]), None);
        let mut request = [0; 42];
        request[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
        request[38..].copy_from_slice(&[10, 0, 0, 9]);
        let answer = arp_answer(&request).expect("an answer");
        assert_eq!((answer.len(), &answer[22..32]), (42, &[2, 0, 0, 0, 0, 0xfe, 10, 0, 0, 9][..]));
        assert_eq!(spell(HOST), "02:00:00:00:00:01");
    }
}
