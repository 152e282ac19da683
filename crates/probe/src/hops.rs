//! Behind which router does the way narrow? Small and large probes with every hop limit.
//!
//! A router whose link is too narrow still answers "time exceeded" to a large probe that ends there, and no router behind it does.

use crate::error::Error;
use crate::line::Method;
use crate::measure::{Measurement, SMALL};
use crate::prober::{Event, Landed, Shot};
use crate::report::{Hop, Narrowing, Seen};
use std::net::IpAddr;

/// Hop limits that are probed at once.
const AT_ONCE: u8 = 12;
/// As far as traceroute goes.
const FARTHEST: u8 = 32;
/// After so many silent routers in a row there is no point in going on.
const SILENT_IN_A_ROW: u8 = AT_ONCE;

impl Measurement<'_> {
    /// Finds the hop behind which larger packets do not get.
    pub fn find_hop(&mut self) -> Result<(), Error> {
        let size = self.forward.known().unwrap_or(self.forward.low());
        let known = self.forward.known().is_some();
        if !known || size >= self.way.interface_mtu {
            return Ok(());
        }
        let mut arrived = None;
        let mut from = 1;
        self.hops.clear();
        self.time_exceeded = if self.time_exceeded == Seen::Yes { Seen::Yes } else { Seen::No };
        while from <= FARTHEST && arrived.is_none() && !self.time_is_up() {
            self.tell("looking for the narrow hop");
            let to = from + AT_ONCE - 1;
            arrived = self.look_at(from, to, size + 1)?;
            let narrow = self.hops.iter().any(|hop| hop.address.is_some() && !hop.large_arrives);
            let last = self.hops.iter().filter(|hop| hop.address.is_some()).map(|hop| hop.number).max();
            if narrow || to - last.unwrap_or(0) >= SILENT_IN_A_ROW {
                break;
            }
            from = to + 1;
        }
        self.narrowing = Some(self.narrow_place(arrived));
        Ok(())
    }

    /// Probes these hop limits; the smallest that reaches the peer, if any does.
    fn look_at(&mut self, from: u8, to: u8, large: u32) -> Result<Option<u8>, Error> {
        let mut arrived: Option<u8> = None;
        let mut small: Vec<(u8, IpAddr)> = Vec::new();
        let mut big: Vec<(u8, IpAddr)> = Vec::new();
        // Twice where it matters: a lost packet must not look like a narrow link.
        for again in [false, true] {
            let mut shots = Vec::new();
            for hop_limit in from..=to {
                if arrived.is_some_and(|arrived| hop_limit >= arrived) {
                    break;
                }
                let has = |list: &[(u8, IpAddr)]| list.iter().any(|(hop, _)| *hop == hop_limit);
                if !has(&big) {
                    // Behind the first router that large probes do not reach, nothing more is to be learnt.
                    let border = big.iter().map(|(hop, _)| *hop).max().unwrap_or(from - 1);
                    if !again || hop_limit <= border + 2 {
                        shots.push(Shot::on_the_way(Method::Udp, large, hop_limit));
                    }
                }
                if !has(&small) {
                    shots.push(Shot::on_the_way(Method::Udp, SMALL, hop_limit));
                }
            }
            if shots.is_empty() || (again && small.is_empty() && big.is_empty()) {
                break;
            }
            for landed in self.prober.round(&shots)? {
                let Landed { shot, event } = landed;
                match event {
                    Event::TimeExceeded { from } => {
                        self.time_exceeded = Seen::Yes;
                        let list = if shot.size == large { &mut big } else { &mut small };
                        list.push((shot.hop_limit, from));
                    }
                    Event::TooBig { mtu, from } => self.too_big.push((from, mtu)),
                    Event::Answered { .. } => {
                        arrived = Some(arrived.map_or(shot.hop_limit, |hop| hop.min(shot.hop_limit)));
                        // What a router alone has called too large has arrived: it lied. (What has vanished has taken another branch.)
                        if self.only.is_none() && self.forward.border_refused() {
                            self.absorb(&landed);
                        }
                    }
                    _ => {}
                }
            }
        }
        for number in from..=to {
            if arrived.is_some_and(|arrived| number >= arrived) {
                break;
            }
            let find =
                |list: &[(u8, IpAddr)]| list.iter().find(|(hop, _)| *hop == number).map(|(_, from)| *from);
            let large_arrives = find(&big).is_some();
            self.hops.push(Hop { number, address: find(&small).or(find(&big)), large_arrives });
        }
        Ok(arrived)
    }

    /// Sends small probes and adds the routers that answer; whether the peer itself did.
    pub fn learn_hops(&mut self, shots: &[Shot]) -> Result<bool, Error> {
        let mut arrived = false;
        let mut found: Vec<(u8, IpAddr)> = Vec::new();
        for Landed { shot, event } in self.prober.round(shots)? {
            match event {
                Event::TimeExceeded { from } => {
                    self.time_exceeded = Seen::Yes;
                    found.push((shot.hop_limit, from));
                }
                Event::Answered { .. } => arrived = true,
                _ => {}
            }
        }
        found.sort_unstable();
        let hops = found.into_iter();
        self.hops.extend(hops.map(|(number, from)| Hop { number, address: Some(from), large_arrives: true }));
        Ok(arrived)
    }

    fn narrow_place(&mut self, arrived: Option<u8>) -> Narrowing {
        let size = self.forward.known().unwrap_or_default();
        // The one that named the smallest MTU is the narrowest.
        let believed: &[(IpAddr, u32)] = if self.prober.distrusts_routers { &[] } else { &self.too_big };
        let said = believed.iter().filter(|(_, mtu)| *mtu == size).map(|(from, _)| *from).next_back();
        let said_so = said.or_else(|| believed.last().map(|(from, _)| *from));
        let last_large = self.hops.iter().rev().find(|hop| hop.large_arrives).copied();
        let named =
            said_so.and_then(|router| self.hops.iter().find(|hop| hop.address == Some(router)).copied());
        let router_hop = named.or(last_large);
        let after = router_hop.map(|hop| hop.number);
        let next = self
            .hops
            .iter()
            .find(|hop| after.is_some_and(|after| hop.number > after) && hop.address.is_some());
        let silent_start = router_hop.is_none() && self.hops.iter().all(|hop| hop.address.is_none());
        let first_small = self.hops.iter().find(|hop| hop.address.is_some() && !hop.large_arrives);
        let (before_hop, next_address) = match (after, next, first_small) {
            (Some(_), Some(next), _) => (Some(next.number), next.address),
            (None, _, Some(first)) if !silent_start => (Some(first.number), first.address),
            _ => (arrived, arrived.map(|_| self.peer.ip())),
        };
        // Nothing farther than the last router heard of is of interest.
        if let Some(place) = self.hops.iter().rposition(|hop| hop.address.is_some()) {
            self.hops.truncate(place + 1);
        } else {
            self.hops.clear();
        }
        let heard_from_first =
            self.hops.first().is_some_and(|hop| hop.address.is_some() && !hop.large_arrives);
        Narrowing {
            after_hop: after.or(heard_from_first.then_some(0)),
            router: said_so.or(router_hop.and_then(|hop| hop.address)),
            before_hop,
            next: next_address,
            said_so: said_so.is_some(),
            said_mtu: said.map(|_| size).or_else(|| believed.last().map(|(_, mtu)| *mtu)),
        }
    }
}
