//! What happens at a tunnel's entrance and exit? One direction: packets are wrapped, cut where they may be, put together and unwrapped.

use super::outer::{Wrapping, is_of, quoted_inside, unwrap, wrap};
use super::{OuterDf, Tunnel};
use bytes::Bytes;
use narrows_stack::Instant;
use narrows_stack::icmp::may_be_answered;
use narrows_stack::ip::fragment::{At, cut};
use narrows_stack::ip::reassembly::{Outcome, Reassembler};
use narrows_wire::{IcmpMessage, IpHeader, Packet, Transport};
use std::net::IpAddr;
use std::time::Duration;

/// What is learned of the path outside ages (RFC 1191 §6.3; Linux `mtu_expires`).
const AGE: Duration = Duration::from_secs(600);
/// What IPv6 inside may always have: its entrance cuts the outer packet instead (RFC 2473 §7.1, RFC 4213 §3.2.2).
const LEAST_IPV6: u32 = 1_280;
/// The least MTU that a report is believed (RFC 791).
const LEAST_OUTSIDE: u32 = 68;

/// One direction of a tunnel.
#[derive(Debug)]
pub(crate) struct TunnelDirection {
    kind: Tunnel,
    df: OuterDf,
    /// Outer addresses: of the entrance, of the exit.
    ends: [IpAddr; 2],
    /// MTU of the tunnel's device.
    inside_mtu: u32,
    /// MTU of the first link outside.
    first_link_mtu: u32,
    /// What a router outside has said of the path, and until when it is believed.
    learned: Option<(u32, Instant)>,
    /// Outer packets made.
    number: u32,
    exit: Reassembler,
}

/// Why a packet does not enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotEntered {
    /// The largest that would.
    pub mtu: u32,
    /// The packet, where its sender may be told (RFC 2003 §5.1). Without DF, too: Linux's devices lower the path MTU of their own host's route
    /// whatever the packet says (`skb_tunnel_check_pmtu`).
    pub answerable: Option<Packet>,
}

impl TunnelDirection {
    pub fn new(kind: Tunnel, df: OuterDf, ends: [IpAddr; 2], [inside, first_link]: [u32; 2]) -> Self {
        TunnelDirection {
            kind,
            df,
            ends,
            inside_mtu: inside,
            first_link_mtu: first_link,
            learned: None,
            number: 0,
            exit: Reassembler::default(),
        }
    }

    /// The address of the entrance outside.
    pub fn entrance(&self) -> IpAddr {
        self.ends[0]
    }

    fn path_mtu(&self, now: Instant) -> u32 {
        let learned = self.learned.filter(|(_, until)| now < *until).map_or(u32::MAX, |(mtu, _)| mtu);
        self.first_link_mtu.min(learned)
    }

    fn dont_fragment(&self, inner: &Packet) -> bool {
        let ipv6 = inner.ip.source.is_ipv6();
        if ipv6 && inner.len() <= LEAST_IPV6 as usize {
            return false;
        }
        match self.df {
            OuterDf::Set => true,
            OuterDf::Inherit => ipv6 || inner.ip.fragment.dont_fragment,
            OuterDf::Unset => false,
        }
    }

    /// The largest inner packet whose outer one passes whole, as far as that is known here.
    fn fitting(&self, now: Instant) -> u32 {
        self.kind.inner_mtu(self.path_mtu(now), self.ends[0].is_ipv6())
    }

    /// The largest packet of this one's kind that enters.
    pub fn mtu_for(&self, now: Instant, inner: &Packet) -> u32 {
        if !self.dont_fragment(inner) {
            return self.inside_mtu;
        }
        let least = if inner.ip.source.is_ipv6() { LEAST_IPV6 } else { 0 };
        self.inside_mtu.min(self.fitting(now).max(least))
    }

    /// A packet comes to the entrance: the outer packets that leave.
    pub fn enter(&mut self, now: Instant, inner: Packet) -> Result<Vec<Packet>, Box<NotEntered>> {
        let mtu = self.mtu_for(now, &inner);
        let too_large = |inner: Packet| {
            Box::new(NotEntered { mtu, answerable: may_be_answered(&inner).then_some(inner) })
        };
        if inner.len() > mtu as usize {
            return Err(too_large(inner));
        }
        let dont_fragment = self.dont_fragment(&inner);
        self.number = self.number.wrapping_add(1);
        let wrapping = Wrapping {
            kind: self.kind,
            ends: self.ends,
            dont_fragment,
            number: self.number,
            inside_mtu: self.inside_mtu,
        };
        let outer = wrap(&inner, &wrapping);
        if dont_fragment {
            return Ok(vec![outer]);
        }
        cut(&outer, self.path_mtu(now), At::Sender).map_err(|_| too_large(inner))
    }

    /// Whether this packet, or the datagram that it is a piece of, is for the exit.
    pub fn is_for_exit(&self, packet: &Packet) -> bool {
        is_of(self.kind, self.ends, &packet.ip)
    }

    /// A packet has come to the exit: the inner one, once all pieces are there.
    pub fn leave(&mut self, now: Instant, outer: Packet) -> Option<Packet> {
        if !outer.ip.fragment.is_piece() {
            return unwrap(self.kind, &outer);
        }
        self.exit.expire(now);
        match self.exit.insert(now, outer) {
            Outcome::Complete(whole) => unwrap(self.kind, &whole),
            _ => None,
        }
    }

    /// A router outside says to the entrance that a packet was too large. That is remembered (RFC 2003 §5.1); the message to the
    /// inner packet's sender, from `from`, where the quote has enough of it (RFC 2003 §4.1). `None`: not about this tunnel.
    pub fn on_too_big(&mut self, now: Instant, error: &Packet, from: IpAddr) -> Option<Option<Packet>> {
        let Transport::Icmp(IcmpMessage::PacketTooBig { mtu }) = error.transport else { return None };
        let quoted = IpHeader::parse(&error.payload, error.payload.len()).ok()?;
        let about_ours = is_of(self.kind, self.ends, &quoted.header) && error.ip.destination == self.ends[0];
        if !about_ours {
            return None;
        }
        if mtu < LEAST_OUTSIDE || mtu >= self.path_mtu(now) || quoted.packet_bytes <= mtu as usize {
            return Some(None);
        }
        self.learned = Some((mtu, now + AGE));
        if quoted.header.fragment.offset_bytes != 0 {
            return Some(None);
        }
        let inside = error.payload.get(quoted.header_bytes..);
        let inside = inside.and_then(|behind| quoted_inside(self.kind, behind)).unwrap_or_default();
        Some(self.relayed(now, inside, from))
    }

    /// "Packet too big" about the inner packet that is quoted so.
    fn relayed(&self, now: Instant, inside: &[u8], from: IpAddr) -> Option<Packet> {
        /// RFC 792: the header and 8 bytes of what follows.
        const LEAST_BEHIND: usize = 8;
        let inner = IpHeader::parse(inside, inside.len()).ok()?;
        let ip = inner.header;
        let ipv6 = ip.source.is_ipv6();
        let told = (ipv6 || ip.fragment.dont_fragment) && ip.fragment.offset_bytes == 0;
        if !told || inside.len() < inner.header_bytes + LEAST_BEHIND || from.is_ipv6() != ipv6 {
            return None;
        }
        let fitting = self.inside_mtu.min(self.fitting(now));
        let mtu = if ipv6 { fitting.max(LEAST_IPV6) } else { fitting };
        let message = IcmpMessage::PacketTooBig { mtu };
        Some(Packet::icmp(from, ip.source, message, Bytes::copy_from_slice(inside)))
    }
}

#[cfg(test)]
#[path = "ends_tests.rs"]
mod tests;
