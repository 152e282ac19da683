//! What becomes of the MSS that we ask for? SYNs that end at routers, which quote them (RFC 1812 §4.3.2.3: with all of their options).

use crate::error::Error;
use crate::measure::{Measurement, SMALL};
use crate::prober::Shot;
use crate::report::{AskedOnTheWay, Seen};
use crate::target::ip_header_bytes;
use crate::tcp::TCP_HEADER_BYTES;
use std::time::{Duration, Instant};

/// As far as this is followed: who rewrites MSS is near one of the ends, and far routers are many.
const FARTHEST: u8 = 16;

impl Measurement<'_> {
    /// Asks routers what our SYN has become, where something looks like it: the path is narrow, or the peer asks for less than
    /// its packets suggest.
    pub fn find_asked(&mut self) -> Result<(), Error> {
        let Some(attempt) = self.open.and_then(|index| self.attempts.get(index)) else { return Ok(()) };
        let (port, Some(told)) = (attempt.peer.port(), attempt.told()) else { return Ok(()) };
        let received = attempt.local_port().and_then(|local| self.prober.line.syn_ack(local)?.mss);
        let Some(received) = received.map(u32::from).filter(|_| self.raw) else { return Ok(()) };
        let size = self.forward.known().unwrap_or(self.way.interface_mtu);
        let headers = ip_header_bytes(self.peer.ip()) + TCP_HEADER_BYTES;
        let suspicious = size < self.way.interface_mtu || received + headers < size;
        if !suspicious || self.time_exceeded == Seen::No || self.time_is_up() {
            return Ok(());
        }
        if self.hops.is_empty() {
            self.look_around()?;
        }
        self.tell("following the MSS on its way");
        let last = self.hops.iter().filter(|hop| hop.address.is_some()).map(|hop| hop.number).max();
        for hop_limit in 1..=last.unwrap_or(0).min(FARTHEST) {
            let sent = self.prober.line.send_syn(port, hop_limit, told.advertised_mss as u16);
            if !matches!(sent, Ok(true)) {
                break;
            }
            self.prober.packets += 1;
        }
        let patience = self.prober.least_round_trip().unwrap_or_default() * 3 / 2;
        let end = Instant::now() + patience.max(Duration::from_millis(50));
        let wanted = usize::from(last.unwrap_or(0));
        while Instant::now() < end && self.prober.line.quoted_syns().len() < wanted {
            for landed in self.prober.wait(end, &[])? {
                self.absorb(&landed);
            }
        }
        let mut quotes: Vec<AskedOnTheWay> = self
            .prober
            .line
            .quoted_syns()
            .iter()
            .filter_map(|quote| {
                let mss = u32::from(quote.mss?);
                Some(AskedOnTheWay { mss, hop: quote.hop_limit, router: quote.router })
            })
            .collect();
        quotes.sort_by_key(|quote| quote.hop);
        // The first router that has it otherwise, or else the last one that has it as it was.
        let changed = quotes.iter().find(|quote| quote.mss != told.advertised_mss);
        self.asked_on_the_way = changed.or(quotes.last()).copied();
        Ok(())
    }

    /// The routers on the way, where nothing had to be known of them so far.
    fn look_around(&mut self) -> Result<(), Error> {
        self.tell("looking for routers");
        let mut far = 1;
        while far <= FARTHEST {
            let shots: Vec<Shot> = (far..far + FARTHEST / 2)
                .map(|hop_limit| Shot::on_the_way(crate::line::Method::Udp, SMALL, hop_limit))
                .collect();
            let before = self.hops.len();
            let arrived = self.learn_hops(&shots)?;
            if arrived || self.hops.len() == before {
                break;
            }
            far += FARTHEST / 2;
        }
        Ok(())
    }
}
