//! What does the wire do to packets for their size? Drops those that a narrow link does not take, with or without a word,
//! and lowers the MSS option of SYNs.

use crate::namespace;
use bytes::Bytes;
use narrows_wire::{IcmpMessage, IpHeader, Packet, Protocol};

/// The path's narrowest link, in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Narrow {
    /// Its MTU, bytes.
    pub mtu: Option<usize>,
    /// Its router says so by ICMP.
    pub icmp: bool,
    /// What the MSS option of SYN and SYN-ACK is lowered to.
    pub clamp: Option<u16>,
}

/// What becomes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Passes,
    /// It is gone.
    Vanishes,
    /// It is gone, and this goes back to its sender.
    Answered(Vec<u8>),
}

const TCP_FLAGS: usize = 13;
const SYN: u8 = 0x02;
const OPTION_END: u8 = 0;
const OPTION_PADDING: u8 = 1;
const OPTION_MSS: u8 = 2;
/// Bytes of an ICMP message at the most (RFC 1812 §4.3.2.3, RFC 4443 §2.4), headers included.
const ICMP_BYTES: [usize; 2] = [576, 1280];

impl Narrow {
    /// Lowers the MSS option where it is too large; true when it did.
    pub fn clamp(&self, packet: &mut [u8]) -> bool {
        let Some(clamp) = self.clamp else { return false };
        let Ok(ip) = IpHeader::parse(packet, packet.len()) else { return false };
        let Some(tcp) = packet.get_mut(ip.header_bytes..) else { return false };
        if ip.header.protocol != Protocol::Tcp || tcp.len() < 20 || tcp[TCP_FLAGS] & SYN == 0 {
            return false;
        }
        let end = (usize::from(tcp[12] >> 4) * 4).min(tcp.len());
        let mut at = 20;
        while at + 1 < end {
            match (tcp[at], usize::from(tcp[at + 1])) {
                (OPTION_END, _) => return false,
                (OPTION_PADDING, _) => at += 1,
                (OPTION_MSS, 4) if at + 4 <= end => return lower(tcp, at + 2, clamp),
                (_, length) if length >= 2 => at += length,
                _ => return false,
            }
        }
        false
    }

    /// Whether a packet fits. `family` is the path's IP version.
    pub fn fate(&self, packet: &[u8], family: u8) -> Fate {
        let Some(mtu) = self.mtu.filter(|&mtu| packet.len() > mtu) else { return Fate::Passes };
        let Ok(ip) = IpHeader::parse(packet, packet.len()) else { return Fate::Vanishes };
        if !self.icmp {
            return Fate::Vanishes;
        }
        let (most, headers) = if family == 6 { (ICMP_BYTES[1], 48) } else { (ICMP_BYTES[0], 28) };
        let quoted = Bytes::copy_from_slice(&packet[..packet.len().min(most - headers)]);
        let message = IcmpMessage::PacketTooBig { mtu: mtu as u32 };
        let mut bytes = Vec::new();
        Packet::icmp(namespace::router(family), ip.header.source, message, quoted).emit(&mut bytes);
        Fate::Answered(bytes)
    }
}

/// Writes `value` at `at` where what stands there is larger, and mends the checksum (RFC 1624).
fn lower(tcp: &mut [u8], at: usize, value: u16) -> bool {
    let old = u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    if old <= value {
        return false;
    }
    let sum = u16::from_be_bytes([tcp[16], tcp[17]]);
    // The option may lie across two words of the sum: then its bytes count the other way round.
    let turned = |word: u16| if at.is_multiple_of(2) { word } else { word.swap_bytes() };
    let mut total = u32::from(!sum) + u32::from(!turned(old)) + u32::from(turned(value));
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    tcp[at..at + 2].copy_from_slice(&value.to_be_bytes());
    tcp[16..18].copy_from_slice(&(!(total as u16)).to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_wire::{Seq, TcpFlags, TcpHeader, TcpOptions};

    fn syn(mss: u16) -> Vec<u8> {
        let header = TcpHeader {
            source_port: 40_000,
            destination_port: 80,
            seq: Seq(7),
            ack: Seq(0),
            flags: TcpFlags::SYN,
            window: 64_240,
            urgent: 0,
            options: TcpOptions { mss: Some(mss), sack_permitted: true, ..TcpOptions::default() },
        };
        let mut bytes = Vec::new();
        Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, Bytes::new()).emit(&mut bytes);
        bytes
    }

    #[test]
    fn a_clamped_syn_is_still_whole() {
        let narrow = Narrow { clamp: Some(1410), ..Narrow::default() };
        let mut packet = syn(1460);
        assert!(narrow.clamp(&mut packet));
        assert!(!narrow.clamp(&mut packet));
        // Parsing verifies the checksum.
        let parsed = Packet::parse(packet.into()).unwrap();
        let narrows_wire::Transport::Tcp(tcp) = parsed.transport else { panic!("a segment") };
        assert_eq!(tcp.options.mss, Some(1410));
        assert!(!narrow.clamp(&mut syn(1300)));
    }

    #[test]
    fn what_is_too_large_is_answered_or_not() {
        let packet = Packet::parse(syn(1460).into()).unwrap();
        let mut large = Vec::new();
        Packet { payload: Bytes::from(vec![0; 1400]), ..packet }.emit(&mut large);
        let narrow = Narrow { mtu: Some(1400), icmp: false, clamp: None };
        assert_eq!(narrow.fate(&large, 4), Fate::Vanishes);
        assert_eq!(narrow.fate(&large[..1400], 4), Fate::Passes);
        let Fate::Answered(answer) = Narrow { icmp: true, ..narrow }.fate(&large, 4) else { panic!("ICMP") };
        assert_eq!(answer.len(), 576);
        assert!(Packet::parse(answer.into()).is_ok());
    }
}
