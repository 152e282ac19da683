//! Who watches the packets go by? Recorders on the ends of links, and the hash that compares two runs.

use narrows_stack::Instant;
use narrows_wire::{Packet, Transport};
use std::any::Any;
use std::net::IpAddr;

/// Seen from the node at the tap: does the packet leave or arrive?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heading {
    /// The node sends it. What the link loses or drops afterwards has been seen all the same.
    Out,
    /// It arrives at the node.
    In,
}

/// One packet passing a tap.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// When.
    pub time: Instant,
    /// In or out.
    pub heading: Heading,
    /// Which of the packets offered to this direction of the link, from 0: the same at both ends.
    pub number: u64,
    /// The packet.
    pub packet: &'a Packet,
}

/// Something that watches packets at one or several taps.
pub trait Recorder: Any + Send {
    /// A tap is added; its number, handed back with each packet.
    fn add_tap(&mut self, name: &str) -> u32;
    /// A packet passes a tap.
    fn record(&mut self, tap: u32, passage: &Passage<'_>);
}

/// A hash over all packets that pass, with their times: equal when two runs were the same, byte for byte.
///
/// FNV-1a over 64-bit words, the same on every machine and in every build. Not for anything hostile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketHash {
    state: u64,
    packets: u64,
    taps: u32,
}

impl Default for PacketHash {
    fn default() -> PacketHash {
        PacketHash { state: 0xcbf2_9ce4_8422_2325, packets: 0, taps: 0 }
    }
}

impl PacketHash {
    /// The hash of all that has passed so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.state
    }

    /// How many packets that were.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    fn word(&mut self, word: u64) {
        self.state = mix(self.state, word);
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.word(u64::from(u32::from(v4))),
            IpAddr::V6(v6) => {
                let bits = u128::from(v6);
                self.word(bits as u64);
                self.word((bits >> 64) as u64);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        // Eight lanes, so that one multiplication need not wait for the other.
        let mut lanes: [u64; 8] = std::array::from_fn(|lane| self.state.rotate_left(8 * lane as u32));
        let mut blocks = bytes.chunks_exact(64);
        for block in &mut blocks {
            for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
                *lane = mix(*lane, u64::from_le_bytes(word.try_into().unwrap_or_default()));
            }
        }
        let mut words = blocks.remainder().chunks_exact(8);
        for (lane, word) in lanes.iter_mut().zip(&mut words) {
            *lane = mix(*lane, u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        for lane in lanes {
            self.word(lane);
        }
        for &byte in words.remainder() {
            self.word(u64::from(byte));
        }
    }

    /// Adds one packet without time or place.
    pub fn packet(&mut self, packet: &Packet) {
        self.packets += 1;
        let ip = &packet.ip;
        self.address(ip.source);
        self.address(ip.destination);
        self.word(u64::from(ip.hop_limit) | u64::from(ip.traffic_class) << 8);
        self.word(
            u64::from(ip.fragment.identification)
                | u64::from(ip.fragment.offset_bytes) << 32
                | u64::from(ip.fragment.dont_fragment) << 48
                | u64::from(ip.fragment.more) << 49,
        );
        match &packet.transport {
            Transport::Tcp(tcp) => {
                self.word(u64::from(tcp.source_port) | u64::from(tcp.destination_port) << 16);
                self.word(u64::from(tcp.seq.0) | u64::from(tcp.ack.0) << 32);
                self.word(u64::from(tcp.flags.0) | u64::from(tcp.window) << 8 | u64::from(tcp.urgent) << 24);
                let options = &tcp.options;
                self.word(
                    u64::from(options.mss.unwrap_or(0))
                        | u64::from(options.window_scale.map_or(0xff, |shift| shift)) << 16
                        | u64::from(options.sack_permitted) << 24,
                );
                if let Some(timestamps) = options.timestamps {
                    self.word(u64::from(timestamps.value) | u64::from(timestamps.echo) << 32);
                }
                for &(left, right) in options.sack.as_slice() {
                    self.word(u64::from(left.0) | u64::from(right.0) << 32);
                }
            }
            Transport::Udp(_) | Transport::Icmp(_) => {
                let mut bytes = Vec::new();
                packet.emit(&mut bytes);
                self.bytes(&bytes);
            }
            Transport::Opaque => {}
        }
        self.bytes(&packet.payload);
    }
}

/// One step of FNV-1a on a whole word; the rotation carries high bits down, which its multiplication alone never does.
fn mix(state: u64, word: u64) -> u64 {
    (state ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
}

impl Recorder for PacketHash {
    fn add_tap(&mut self, _name: &str) -> u32 {
        self.taps += 1;
        self.taps - 1
    }

    fn record(&mut self, tap: u32, passage: &Passage<'_>) {
        self.word(passage.time.as_nanos());
        self.word(u64::from(tap) | u64::from(passage.heading == Heading::In) << 32);
        self.packet(passage.packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use narrows_wire::{TcpHeader, TcpOptions};
    use proptest::prelude::*;

    fn packet(payload: &[u8]) -> Packet {
        let header = TcpHeader {
            source_port: 1,
            destination_port: 2,
            seq: narrows_wire::Seq(3),
            ack: narrows_wire::Seq(4),
            flags: narrows_wire::TcpFlags::ACK,
            window: 5,
            urgent: 0,
            options: TcpOptions::default(),
        };
        let address = |last| IpAddr::from([10, 0, 0, last]);
        Packet::tcp(address(1), address(2), header, Bytes::copy_from_slice(payload))
    }

    fn hash(tap: u32, time: u64, packet: &Packet) -> u64 {
        let mut hash = PacketHash::default();
        let time = Instant::from_nanos(time);
        hash.record(tap, &Passage { time, heading: Heading::In, number: 0, packet });
        hash.value()
    }

    proptest! {
        #[test]
        fn every_bit_of_the_payload_counts(
            payload in proptest::collection::vec(any::<u8>(), 1..200), at: proptest::sample::Index, bit in 0u8..8
        ) {
            let before = hash(0, 0, &packet(&payload));
            let mut changed = payload.clone();
            changed[at.index(payload.len())] ^= 1 << bit;
            prop_assert_ne!(before, hash(0, 0, &packet(&changed)));
            changed.clone_from(&payload);
            changed.push(0);
            prop_assert_ne!(before, hash(0, 0, &packet(&changed)));
        }
    }

    #[test]
    fn time_place_and_header_count() {
        let plain = packet(b"abc");
        let before = hash(0, 7, &plain);
        assert_eq!(before, hash(0, 7, &plain.clone()));
        assert_ne!(before, hash(1, 7, &plain));
        assert_ne!(before, hash(0, 8, &plain));
        let mut other = plain.clone();
        other.ip.hop_limit -= 1;
        assert_ne!(before, hash(0, 7, &other));
        let mut other = plain;
        if let Transport::Tcp(tcp) = &mut other.transport {
            tcp.options.window_scale = Some(0);
        }
        assert_ne!(before, hash(0, 7, &other));
    }
}
