//! Does a connection take the same branch as other packets? Routers with several equal ways choose by the packet's flow (ECMP, RFC 2992), and the ways
//! may be of different width. What is measured is the connection's own.

use crate::error::Error;
use crate::line::Method;
use crate::measure::{Measurement, SMALL};
use crate::prober::{Event, Shot};
use crate::report::Seen;
use crate::search::Search;

impl Measurement<'_> {
    /// Asks the connection, where others have found the size: if one of its segments arrives that a router has called too big, the router
    /// has lied, and the size is unknown again; if its segments of that size vanish, it is searched again with the
    /// connection alone. The round measures the way back, too.
    pub fn agree_with_tcp(&mut self) -> Result<(), Error> {
        let Some(size) = self.forward.known() else { return Ok(()) };
        let asked = self.method == Some(Method::Tcp) || self.open.is_none();
        if asked || !self.prober.line.offers(Method::Tcp) || self.time_is_up() {
            return Ok(());
        }
        self.tell("asking the connection itself");
        let times = self.forward.needed().max(3) as usize;
        let mut shots = vec![Shot::new(Method::Tcp, size); times];
        if self.forward.border_refused() && self.udp != Seen::Yes {
            // Nothing but a router's word says so, and no datagram's answer could have contradicted it.
            shots.extend([Shot::new(Method::Tcp, size + 1); 2]);
        }
        shots.push(Shot::control(Method::Tcp, SMALL));
        if self.echo == Seen::Yes {
            shots.extend(self.whole_replies(size));
        }
        let landed = self.round(&shots)?;
        let of_tcp = landed
            .iter()
            .filter(|one| one.shot.method == Method::Tcp && one.shot.size == size && !one.shot.control);
        let (mut vanished, mut other) = (0, 0);
        for one in of_tcp {
            match one.event {
                Event::Vanished | Event::TooBig { .. } => vanished += 1,
                _ => other += 1,
            }
        }
        if other > 0 || vanished < times {
            return Ok(());
        }
        self.only = Some(Method::Tcp);
        self.forward = Search::new(SMALL, self.way.interface_mtu);
        if self.search(Method::Tcp)? {
            self.method = Some(Method::Tcp);
        }
        self.notes.push(format!(
            "Not all packets take the same branch: others of {size} bytes arrive, this connection's do not (ECMP). What is said of the way there is the connection's."
        ));
        Ok(())
    }

    /// The counterpart: the connection's largest packets arrive, and a router has refused others.
    pub fn note_narrower_branch(&mut self) {
        let wide = self.forward.known() == Some(self.way.interface_mtu);
        if let (true, Some((router, mtu))) = (wide || self.prober.distrusts_routers, self.too_big.last()) {
            let named = if *mtu == 0 { String::new() } else { format!(" and names {mtu}") };
            self.notes.push(format!(
                "Router {router} says that some packets are too big{named}, although packets of that size arrive: there are branches of different width (ECMP), or somebody lies. No router's word was believed."
            ));
        }
    }
}
