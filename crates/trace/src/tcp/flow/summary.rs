//! What is there to say of a connection once it is over?

use super::Flow;
use crate::detect::black_hole::{self, Around};
use crate::detect::{clamped, discovery, fragments, jumbo, small_segments};
use crate::rate::header_bytes;
use crate::script::duration;
use crate::size::{Vanishing, announced};
use crate::walk::Walk;
use crate::{Cause, Connection, Finding, RoundTrip, Vantage};
use narrows_lab::Side;
use std::net::IpAddr;
use std::time::Duration;

impl Flow {
    /// The connection is over, or the capture is.
    pub(in crate::tcp) fn finish(&mut self) -> Connection {
        self.drain();
        let legs = self.legs;
        let round_trip = legs.round_trip();
        let sides = [Side::Client, Side::Server];
        let segment_bytes = sides.map(|side| self.segment_bytes(side));
        let handshake_seen = self.handshake_seen();
        let hop_limits = sides.map(|side| self.speakers[side.index()].summary.hop_limit);
        let vantage = legs.vantage(hop_limits);
        let limits = self.limits(&round_trip);
        let last_time = self.last_time;
        let mut walk = self.walk.take().unwrap_or_else(|| Box::new(Walk::new(self.setting(), self.stalls())));
        walk.flush();
        let path = walk.path();
        let mut findings = Vec::new();
        let certain = handshake_seen && vantage != Vantage::Unknown;
        for side in sides {
            findings.extend(walk.holds[side.index()].findings(side, path, self.first_packet, certain));
        }
        findings.extend(walk.thoughts.finding(last_time, path, self.first_packet));
        let vanishing = self.vanishing(path);
        let never_came = [0, 1].map(|n: usize| vanishing[n].as_ref().map_or(0, |v| v.never_came));
        findings.extend(self.findings_of_size(path, &vanishing));
        let ack_timers = sides.map(|side| walk.ack_delays[side.index()].timer());
        let ticks = sides.map(|side| walk.ack_delays[side.index()].tick(self.start.as_nanos()));
        for speaker in &mut self.speakers {
            speaker.summary.missed_bytes = speaker.direction.missing();
            speaker.summary.looks_like = speaker.looks_like();
            speaker.summary.syn_packet =
                speaker.syn.map(|_| self.first_packet + u64::from(speaker.syn_number));
            speaker.summary.last_payload = speaker.last_data.map(Duration::from_nanos);
            speaker.summary.initial_seq = speaker.syn.map(|seq| seq.0);
        }
        let largest_packet =
            self.mss_option(Side::Client).min(self.mss_option(Side::Server)) + self.header_bytes();
        let mut summaries = sides.map(|side| std::mem::take(&mut self.speakers[side.index()].summary));
        for side in sides {
            let summary = &mut summaries[side.index()];
            summary.segment_bytes = segment_bytes[side.index()];
            summary.never_came_bytes = never_came[side.index()];
            let sizes = &self.sizes.sent[side.index()];
            // After a stall the search only follows the black hole (net.ipv4.tcp_mtu_probing=1).
            let stalled = findings.iter().any(|f| f.cause == Cause::PathMtuBlackHole && f.side == side);
            summary.upward_probing =
                sizes.upward.search(largest_packet, sizes.passage.passed()).filter(|_| !stalled);
            summary.fragmented_packets = u64::from(sizes.fragmented) + u64::from(sizes.fragmented_outside);
            summary.ack_timer = ack_timers[side.index()];
            summary.tick_hz = ticks[side.index()].map(|tick| tick.hz);
            summary.tick_phase_ns = ticks[side.index()].map(|tick| tick.phase_ns);
        }
        let stamps = summaries
            .iter()
            .all(|summary| summary.syn_options.as_ref().is_none_or(|options| options.timestamps.is_some()));
        let headers = header_bytes(self.client.ip(), stamps);
        let rate_bits_per_second =
            sides.map(|side| self.paces[side.index()].bits_per_second(segment_bytes[side.index()], headers));
        let walk = *walk;
        let turn = walk.turn();
        let (exchanges, mean_exchange) = walk.exchanges.finish();
        Connection {
            number: self.number,
            client: self.client,
            server: self.server,
            first_packet: self.first_packet,
            last_packet: self.last_packet,
            start: self.start,
            duration: Duration::from_nanos(last_time),
            handshake_seen,
            vantage,
            round_trip,
            rate_bits_per_second,
            sides: summaries,
            conversation: walk.script.finish(),
            exchanges,
            mean_exchange,
            account: walk.ledger.finish(last_time, path, turn),
            findings,
            tunnel: self.outer.map(|outer| outer.kind),
            limits,
        }
    }

    /// What the capture does not show, in words.
    fn limits(&self, round_trip: &RoundTrip) -> Vec<String> {
        let mut limits = Vec::new();
        if !self.handshake_seen() {
            let unknown = "options, window scale and what was said before are unknown";
            limits.push(format!("the handshake is not in the capture: {unknown}"));
        }
        if let Some(silent) =
            [Side::Client, Side::Server].into_iter().find(|s| self.speakers[s.index()].summary.packets == 0)
        {
            limits.push(format!(
                "only one direction was captured: nothing of the {}'s was seen",
                silent.name()
            ));
        } else if round_trip.path.is_none() {
            limits.push("too little was said to measure the path's round trip".into());
        }
        for side in [Side::Client, Side::Server] {
            let missing = self.speakers[side.index()].direction.missing();
            if missing > 0 {
                limits.push(format!(
                    "{missing} bytes of the {} were acknowledged but not captured",
                    side.name()
                ));
            }
        }
        if self.clock_shift != 0 {
            limits.push(format!(
                "the capture's clock was set back by {:.3} s in all",
                duration(self.clock_shift).as_secs_f64()
            ));
        }
        if self.implausible > 0 {
            limits.push(format!(
                "{} segments were captured twice or do not fit into the connection",
                self.implausible
            ));
        }
        limits
    }

    /// What the sizes of the packets show. `path` is the round trip, nanoseconds.
    fn findings_of_size(&self, path: u64, vanishing: &[Option<Vanishing>; 2]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for side in [Side::Client, Side::Server] {
            let around = self.around(side, path);
            let seen = vanishing[side.index()].as_ref();
            let told = &self.sizes.sent[side.index()].told;
            if let Some(seen) = seen {
                findings.extend(black_hole::findings(side, seen, &around));
            }
            findings.extend(discovery::finding(side, told, seen, &around));
        }
        let explained = [Side::Client, Side::Server]
            .map(|side| vanishing[side.index()].is_some() || self.sizes.sent[side.index()].told.count > 0);
        findings.extend(clamped::finding(self.asked_and_used(explained), self.first_packet));
        let headers = self.header_bytes();
        for side in [Side::Client, Side::Server] {
            let sent = &self.sizes.sent[side.index()];
            let own = self.mss_option(side);
            let peers = self.mss_option(side.peer());
            findings.extend(fragments::of_connection(side, sent, self.outer.as_ref(), self.first_packet));
            // Where it is known why they are not used, that says more.
            if !explained[side.index()] {
                findings.extend(jumbo::finding(side, sent, own, peers, headers, self.first_packet));
            }
            let rate = self.paces[side.index()].bits_per_second(self.segment_bytes(side), headers);
            findings.extend(small_segments::finding(side, sent, headers, rate, self.first_packet));
        }
        findings
    }

    /// What vanishes for its size, by sender.
    fn vanishing(&mut self, path: u64) -> [Option<Vanishing>; 2] {
        let end = self.last_time;
        [Side::Client, Side::Server].map(|side| self.sizes.vanishing(side, end, path))
    }

    /// Which sides' packets are too large for the way.
    pub(super) fn resized(&mut self) -> [bool; 2] {
        let path = self.legs.shifts().iter().sum();
        let vanishing = self.vanishing(path);
        [Side::Client, Side::Server]
            .map(|side| vanishing[side.index()].is_some() || self.sizes.sent[side.index()].told.count > 0)
    }

    /// The stretches of time in which a black hole let nothing through.
    pub(super) fn stalls(&mut self) -> Vec<(u64, u64)> {
        let path = self.legs.shifts().iter().sum();
        let vanishing = self.vanishing(path);
        let mut stalls: Vec<(u64, u64)> = [Side::Client, Side::Server]
            .into_iter()
            .filter_map(|side| black_hole::stall(vanishing[side.index()].as_ref()?, &self.around(side, path)))
            .collect();
        stalls.sort_unstable();
        stalls
    }

    fn around(&self, side: Side, path: u64) -> Around {
        let peer = &self.speakers[side.peer().index()];
        let answered_twice = self.speakers[Side::Server.index()].syn_again;
        Around {
            end: self.last_time,
            path,
            peer_last: peer.last,
            connected: peer.summary.packets > 0 && !answered_twice,
            told: self.sizes.sent[side.index()].told.count > 0,
            first: self.first_packet,
        }
    }

    fn mss_option(&self, side: Side) -> u32 {
        let options = self.speakers[side.index()].summary.syn_options.as_ref();
        options.and_then(|options| options.mss).map_or(0, u32::from)
    }

    /// IP and TCP headers without options.
    fn header_bytes(&self) -> u32 {
        if matches!(self.client.ip(), IpAddr::V4(_)) { 40 } else { 60 }
    }

    fn asked_and_used(&self, explained: [bool; 2]) -> [clamped::Asked; 2] {
        let headers = self.header_bytes();
        [Side::Client, Side::Server].map(|side| {
            let speaker = &self.speakers[side.index()];
            let full = &self.sizes.sent[side.peer().index()].full;
            let window = speaker.summary.syn_window.unwrap_or(0);
            let linux = speaker.looks_like() == Some("linux");
            let answers = side == Side::Server;
            let before = speaker
                .summary
                .syn_options
                .as_ref()
                .and_then(|options| announced::behind(options, window, headers, answers, linux));
            clamped::Asked {
                option: self.mss_option(side),
                before,
                number: speaker.syn_number,
                peer_option: self.mss_option(side.peer()),
                headers,
                used: full.packet,
                segments: full.count,
                constant: full.constant(),
                first_used: full.first,
                explained: explained[side.peer().index()],
            }
        })
    }
}
