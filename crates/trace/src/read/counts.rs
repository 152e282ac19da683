//! What was in the capture, and what was left out of the analysis?

use narrows_stack::Instant;
use narrows_wire::link::LinkError;
use narrows_wire::{Headers, ParseError, Transport};
use std::time::Duration;

/// Packets whose headers could not be read, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// The snap length cut them within the headers.
    pub cut: u64,
    /// The frame ended within its headers though the capture has all of it.
    pub short: u64,
    /// The IP version is neither 4 nor 6.
    pub version: u64,
    /// A length field contradicts the packet.
    pub length: u64,
    /// Their interface has a link type that narrows does not read.
    pub link_type: u64,
}

impl Unreadable {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cut + self.short + self.version + self.length + self.link_type
    }
}

/// Counts of a capture. Each packet is in exactly one of `tcp`, `udp`, `icmp`, `other_ip`, `fragments`, `not_ip` and `unreadable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets read.
    pub packets: u64,
    /// TCP segments.
    pub tcp: u64,
    /// UDP datagrams.
    pub udp: u64,
    /// ICMP and ICMPv6 messages.
    pub icmp: u64,
    /// IP packets of other protocols.
    pub other_ip: u64,
    /// Pieces of fragmented datagrams, of any protocol.
    pub fragments: u64,
    /// Frames that carry no IP: ARP and the like.
    pub not_ip: u64,
    /// Packets whose headers could not be read.
    pub unreadable: Unreadable,
    /// Number and error of the first packet whose IP or transport header could not be read.
    pub first_unreadable: Option<(u64, ParseError)>,
    /// The first link type that narrows does not read.
    pub first_unknown_link_type: Option<u32>,
    /// Packets of which the capture has only the beginning.
    pub cut_by_snap_length: u64,
    /// TCP segments whose options were cut by the snap length.
    pub options_cut: u64,
    /// TCP segments with an option whose length cannot be right.
    pub options_damaged: u64,
    /// IP packets with length 0, as large segments before the device cuts them have in captures.
    pub length_missing: u64,
    /// Packets with an earlier time than the one before.
    pub time_went_back: u64,
    /// The largest such step.
    pub largest_step_back: Duration,
    /// Packets without a time of their own.
    pub without_time: u64,
    /// Packets that the capturing program says it has lost.
    pub dropped_by_capturer: u64,
}

impl Counts {
    /// A packet came at `time`, after one at `before`.
    #[inline]
    pub(super) fn note_time(&mut self, time: Instant, before: Instant) {
        if time < before {
            self.time_went_back += 1;
            self.largest_step_back = self.largest_step_back.max(before.since(time));
        }
    }

    #[inline]
    pub(super) fn note_headers(&mut self, headers: &Headers) {
        self.length_missing += u64::from(headers.length_missing);
        let count = match headers.transport {
            Transport::Tcp(_) => {
                self.options_cut += u64::from(headers.options_cut);
                self.options_damaged += u64::from(headers.options_damaged);
                &mut self.tcp
            }
            Transport::Udp(_) => &mut self.udp,
            Transport::Icmp(_) => &mut self.icmp,
            Transport::Opaque if headers.ip.fragment.is_piece() => &mut self.fragments,
            Transport::Opaque => &mut self.other_ip,
        };
        *count += 1;
    }

    #[cold]
    pub(super) fn note_link_error(&mut self, error: LinkError, cut: bool) {
        match error {
            LinkError::NotIp { .. } => self.not_ip += 1,
            LinkError::Truncated { .. } if cut => self.unreadable.cut += 1,
            LinkError::Truncated { .. } => self.unreadable.short += 1,
            LinkError::UnknownLinkType { link_type } => {
                self.unreadable.link_type += 1;
                self.first_unknown_link_type.get_or_insert(link_type);
            }
        }
    }

    #[cold]
    pub(super) fn note_parse_error(&mut self, number: u64, error: ParseError, cut: bool) {
        self.first_unreadable.get_or_insert((number, error));
        match error {
            ParseError::Truncated { .. } if cut => self.unreadable.cut += 1,
            // No checksum is looked at here, so that there is no such error.
            ParseError::Truncated { .. } | ParseError::Checksum { .. } => self.unreadable.short += 1,
            ParseError::Version { .. } => self.unreadable.version += 1,
            ParseError::Length { .. } => self.unreadable.length += 1,
        }
    }
}
