//! What does something on the way do to packets that are not its own? Clamp the MSS, take out options, drop, translate.

use crate::scenario::{ClampMss, MiddleboxSpec, StripOption};
use narrows_stack::Instant;
use narrows_stack::icmp::Quoted;
use narrows_stack::ip::reassembly::{Outcome, Reassembler};
use narrows_wire::{IpHeader, Packet, SackBlocks, TcpFlags, Transport};
use std::collections::HashMap;
use std::net::IpAddr;

/// The first port that translation gives out; below are those that services listen on.
const FIRST_PORT: u16 = 32_768;

/// A middlebox at work: [`Middlebox::enter`] when a packet comes, [`Middlebox::leave`] when it is clear where it goes.
#[derive(Clone, Debug)]
pub struct Middlebox {
    clamp_mss: Option<ClampMss>,
    strip: Vec<StripOption>,
    drop_syn_data: bool,
    nat: Option<Nat>,
}

impl Middlebox {
    /// A middlebox; one that translates has an address of its own, and a number for where outside is.
    #[must_use]
    pub fn new(spec: &MiddleboxSpec, nat: Option<(IpAddr, usize)>) -> Middlebox {
        Middlebox {
            clamp_mss: spec.clamp_mss,
            strip: spec.strip.clone(),
            drop_syn_data: spec.drop_syn_data,
            nat: nat.map(|(address, outside)| Nat::new(address, outside)),
        }
    }

    /// The number given for where outside is.
    pub(crate) fn outside_road(&self) -> Option<usize> {
        self.nat.as_ref().map(|nat| nat.outside)
    }

    /// A piece of a datagram comes: who translates ports has to see it whole (as Linux's connection tracking). The packet itself
    /// where nothing has to be waited for.
    pub(crate) fn gather(&mut self, now: Instant, packet: Packet) -> Option<Packet> {
        let Some(nat) = self.nat.as_mut().filter(|_| packet.ip.fragment.is_piece()) else {
            return Some(packet);
        };
        nat.reassembler.expire(now);
        match nat.reassembler.insert(now, packet) {
            Outcome::Complete(whole) => Some(*whole),
            _ => None,
        }
    }

    /// A packet comes, from outside or not; false when it goes no further.
    pub fn enter(&mut self, packet: &mut Packet, from_outside: bool) -> bool {
        if let Transport::Tcp(tcp) = &mut packet.transport {
            if self.drop_syn_data && tcp.flags.intersects(TcpFlags::SYN) && !packet.payload.is_empty() {
                return false;
            }
            let options = &mut tcp.options;
            for option in &self.strip {
                match option {
                    StripOption::Mss => options.mss = None,
                    StripOption::WindowScale => options.window_scale = None,
                    StripOption::Sack => {
                        options.sack_permitted = false;
                        options.sack = SackBlocks::default();
                    }
                    StripOption::Timestamps => options.timestamps = None,
                    StripOption::FastOpen => options.fast_open = None,
                }
            }
        }
        match &mut self.nat {
            Some(nat) if from_outside && packet.ip.destination == nat.address => nat.inward(packet),
            _ => true,
        }
    }

    /// The packet leaves, to outside or not; `mtu` is the smaller of the two links' MTUs. False when it cannot.
    pub fn leave(&mut self, packet: &mut Packet, to_outside: bool, mtu: u32) -> bool {
        clamp(self.clamp_mss, packet, mtu);
        match &mut self.nat {
            Some(nat) if to_outside => nat.outward(packet),
            _ => true,
        }
    }
}

/// Lowers the MSS in a SYN; `mtu` is the smaller of the two links' MTUs.
pub(crate) fn clamp(clamp: Option<ClampMss>, packet: &mut Packet, mtu: u32) {
    if let Transport::Tcp(tcp) = &mut packet.transport
        && tcp.flags.intersects(TcpFlags::SYN)
        && let (Some(clamp), Some(mss)) = (clamp, tcp.options.mss)
    {
        let headers = if packet.ip.source.is_ipv4() { 40 } else { 60 };
        let most = match clamp {
            ClampMss::Bytes(bytes) => bytes,
            ClampMss::Path => u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX),
        };
        tcp.options.mss = Some(mss.min(most));
    }
}

/// Translates addresses and ports: the same outer port for the same inner address and port, whoever is meant
/// (endpoint-independent mapping, RFC 4787 §4.1); mappings last as long as the world.
#[derive(Clone, Debug)]
struct Nat {
    address: IpAddr,
    outside: usize,
    /// Only ever looked up, never iterated.
    ports: HashMap<(IpAddr, u16), u16>,
    /// By outer port from [`FIRST_PORT`] on.
    inner: Vec<(IpAddr, u16)>,
    reassembler: Reassembler,
}

impl Nat {
    fn new(address: IpAddr, outside: usize) -> Nat {
        Nat {
            address,
            outside,
            ports: HashMap::new(),
            inner: Vec::new(),
            reassembler: Reassembler::default(),
        }
    }

    fn outward(&mut self, packet: &mut Packet) -> bool {
        let inner_address = packet.ip.source;
        let Some(port) = source_port(&mut packet.transport) else { return false };
        let outer = match self.ports.get(&(inner_address, *port)) {
            Some(&outer) => outer,
            None => {
                let Some(outer) =
                    u16::try_from(self.inner.len()).ok().and_then(|n| FIRST_PORT.checked_add(n))
                else {
                    return false;
                };
                self.ports.insert((inner_address, *port), outer);
                self.inner.push((inner_address, *port));
                outer
            }
        };
        *port = outer;
        packet.ip.source = self.address;
        true
    }

    fn inward(&self, packet: &mut Packet) -> bool {
        if let Transport::Icmp(message) = &packet.transport {
            return message.quotes_a_packet() && self.error_inward(packet);
        }
        let Some(port) = destination_port(&mut packet.transport) else { return false };
        let number = port.checked_sub(FIRST_PORT);
        let Some(&(address, inner)) = number.and_then(|n| self.inner.get(usize::from(n))) else {
            return false;
        };
        *port = inner;
        packet.ip.destination = address;
        true
    }
}

impl Nat {
    /// An error about a packet that was translated: it is for whoever sent that, and quotes it as it was (RFC 5508 §4.1).
    fn error_inward(&self, packet: &mut Packet) -> bool {
        let Some(quoted) = Quoted::parse(&packet.payload) else { return false };
        let number = quoted.source.port().checked_sub(FIRST_PORT);
        let known = number.and_then(|n| self.inner.get(usize::from(n)));
        let Some(&(address, port)) = known.filter(|_| quoted.source.ip() == self.address) else {
            return false;
        };
        let mut body = packet.payload.to_vec();
        let Ok(parsed) = IpHeader::parse(&body, body.len()) else { return false };
        body[parsed.header_bytes..parsed.header_bytes + 2].copy_from_slice(&port.to_be_bytes());
        match address {
            IpAddr::V4(address) => body[12..16].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => body[8..24].copy_from_slice(&address.octets()),
        }
        packet.payload = body.into();
        packet.ip.destination = address;
        true
    }
}

fn source_port(transport: &mut Transport) -> Option<&mut u16> {
    match transport {
        Transport::Tcp(tcp) => Some(&mut tcp.source_port),
        Transport::Udp(udp) => Some(&mut udp.source_port),
        Transport::Icmp(_) | Transport::Opaque => None,
    }
}

fn destination_port(transport: &mut Transport) -> Option<&mut u16> {
    match transport {
        Transport::Tcp(tcp) => Some(&mut tcp.destination_port),
        Transport::Udp(udp) => Some(&mut udp.destination_port),
        Transport::Icmp(_) | Transport::Opaque => None,
    }
}

#[cfg(test)]
#[path = "middlebox_tests.rs"]
mod tests;
