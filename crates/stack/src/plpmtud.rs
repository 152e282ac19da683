//! How large a datagram gets through, when only the peer's acknowledgments can be trusted? The state machine of DPLPMTUD (RFC 8899).
//!
//! It holds no socket and no clock: whoever sends datagrams that are acknowledged asks it what to probe, tells it what came of that, and
//! sends nothing larger than [`Plpmtud::size`] besides. All sizes are of whole IP packets, bytes. Probes have DF and carry nothing that
//! matters (RFC 8899 §4.1).
//!
//! ```
//! use narrows_stack::Instant;
//! use narrows_stack::plpmtud::{Config, Plpmtud, State};
//!
//! let mut search = Plpmtud::new(Config::new(1_500, false));
//! let mut now = Instant::ZERO;
//! while search.state() != State::SearchComplete {
//!     if let Some(bytes) = search.poll_probe(now) {
//!         // A path of 1400 bytes, whose routers say nothing.
//!         if bytes <= 1_400 {
//!             search.on_probe_acknowledged(now, bytes);
//!         }
//!     } else if let Some(deadline) = search.deadline() {
//!         now = deadline;
//!         search.handle_timeout(now);
//!     }
//! }
//! assert_eq!(search.size(), 1_400);
//! ```

use crate::Instant;
use std::time::Duration;

/// A size counts as too large after so many probes without an answer (RFC 8899 §5.1.2).
pub const MAX_PROBES: u32 = 3;
/// MTUs that paths often have: Ethernet, and what PPPoE, GRE, VXLAN, WireGuard and others leave of it; jumbo frames.
const USUAL: [u32; 12] = [1_280, 1_400, 1_420, 1_438, 1_440, 1_450, 1_462, 1_476, 1_480, 1_492, 1_500, 9_000];

/// Bounds and times of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// MIN_PLPMTU: every path carries this.
    pub least: u32,
    /// BASE_PLPMTU: most paths carry this.
    pub base: u32,
    /// MAX_PLPMTU: the interface's MTU, or less.
    pub largest: u32,
    /// PROBE_TIMER: after this a probe counts as lost. Less than a second is taken for one (RFC 8899 §5.1.1).
    pub probe_timer: Duration,
    /// PMTU_RAISE_TIMER: after this the search looks for more.
    pub raise_timer: Duration,
    /// A search ends when less than this is left to be found.
    pub granularity: u32,
}

impl Config {
    /// The RFC's values (§5.1): 1200 bytes of UDP payload as the base, 15 s, 10 min.
    #[must_use]
    pub fn new(largest: u32, ipv6: bool) -> Config {
        let (least, base) = if ipv6 { (1_280, 1_280) } else { (68, 1_228) };
        Config {
            least,
            base: base.min(largest),
            largest: largest.max(least),
            probe_timer: Duration::from_secs(15),
            raise_timer: Duration::from_secs(600),
            granularity: 8,
        }
    }
}

/// Where a search is (RFC 8899 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is to be shown that the path carries the base size.
    Base,
    /// The base size passes, larger ones are tried.
    Searching,
    /// Nothing larger passes, or nothing larger is wanted.
    SearchComplete,
    /// Not even the base size passes.
    Error,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    bytes: u32,
    expires: Instant,
}

/// The search for the largest packet that a path carries.
#[derive(Clone, Copy, Debug)]
pub struct Plpmtud {
    config: Config,
    state: State,
    /// PLPMTU.
    size: u32,
    /// The largest size not known to be too large.
    ceiling: u32,
    /// Where a router says that the path ends.
    reported: Option<u32>,
    probe: Option<Probe>,
    /// PROBE_COUNT: probes of the present size in a row that were not answered.
    unanswered: u32,
    raise_at: Option<Instant>,
    /// Datagrams above the base size in a row that were lost.
    vanished: u32,
}

impl Plpmtud {
    /// A search that begins with showing the base size.
    #[must_use]
    pub fn new(config: Config) -> Plpmtud {
        Plpmtud {
            config,
            state: State::Base,
            size: config.base,
            ceiling: config.largest,
            reported: None,
            probe: None,
            unanswered: 0,
            raise_at: None,
            vanished: 0,
        }
    }

    /// Where the search is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The largest packet to send, except for probes, bytes (PLPMTU).
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The size of the probe that is to be sent now, if any; it counts as sent.
    pub fn poll_probe(&mut self, now: Instant) -> Option<u32> {
        if self.probe.is_some() {
            return None;
        }
        let bytes = match self.state {
            State::Base | State::Error => self.config.base,
            State::Searching => self.next_size(),
            State::SearchComplete => return None,
        };
        let timer = self.config.probe_timer.max(Duration::from_secs(1));
        self.probe = Some(Probe { bytes, expires: now + timer });
        Some(bytes)
    }

    /// When [`Plpmtud::handle_timeout`] has to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.probe.map(|probe| probe.expires).or(self.raise_at)
    }

    /// A deadline has come: a probe was not answered, or it is time to look for more.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(probe) = self.probe.filter(|probe| probe.expires <= now) {
            self.probe = None;
            self.unanswered += 1;
            if self.unanswered >= MAX_PROBES {
                self.is_too_large(now, probe.bytes);
            }
        }
        if self.raise_at.is_some_and(|at| at <= now) {
            self.ceiling = self.config.largest;
            self.search(now);
        }
    }

    /// The peer has acknowledged a probe of this size. One that is no longer waited for is good news all the same.
    pub fn on_probe_acknowledged(&mut self, now: Instant, bytes: u32) {
        if bytes > self.config.largest || bytes < self.config.base {
            return;
        }
        if self.probe.is_some_and(|probe| probe.bytes <= bytes) {
            self.probe = None;
        }
        let confirms = matches!(self.state, State::Base | State::Error);
        if !confirms && bytes <= self.size {
            return;
        }
        self.size = bytes;
        self.ceiling = self.ceiling.max(bytes);
        (self.unanswered, self.vanished) = (0, 0);
        self.search(now);
    }

    /// A datagram of this size has been acknowledged: what is as large passes.
    pub fn on_acknowledged(&mut self, bytes: u32) {
        if bytes > self.config.base {
            self.vanished = 0;
        }
    }

    /// A datagram of this size was lost. After [`MAX_PROBES`] above the base size without one that arrived, they seem to vanish (§4.3): the
    /// base size has to be shown anew. True then.
    pub fn on_lost(&mut self, bytes: u32) -> bool {
        if bytes <= self.config.base || self.size <= self.config.base {
            return false;
        }
        self.vanished += 1;
        let black_hole = self.vanished >= MAX_PROBES;
        if black_hole {
            // What passed until now may pass again, but not for now.
            self.begin_anew(self.size - 1, None);
        }
        black_hole
    }

    /// A router reports that what is larger than this does not pass, in answer to a packet that has been sent (whoever calls has checked
    /// that by what the message quotes: §4.6.1). Says whether it was believed (§4.6.2).
    pub fn on_packet_too_big(&mut self, now: Instant, mtu: u32) -> bool {
        let probed = self.probe.map_or(self.size, |probe| probe.bytes);
        if mtu < self.config.least || mtu >= probed.max(self.size) {
            return false;
        }
        self.probe = None;
        self.unanswered = 0;
        if mtu < self.config.base {
            self.fail();
        } else if mtu < self.size {
            self.begin_anew(mtu, Some(mtu));
        } else {
            self.ceiling = mtu;
            self.reported = Some(mtu);
            self.search(now);
        }
        true
    }

    /// Back to the base size; nothing above `ceiling` is tried before the raise timer.
    fn begin_anew(&mut self, ceiling: u32, reported: Option<u32>) {
        self.state = State::Base;
        self.size = self.config.base;
        self.ceiling = ceiling.max(self.config.base);
        self.reported = reported;
        self.probe = None;
        self.raise_at = None;
        (self.unanswered, self.vanished) = (0, 0);
    }

    fn fail(&mut self) {
        self.state = State::Error;
        self.size = self.config.least;
        self.ceiling = self.config.largest;
        self.raise_at = None;
    }

    fn is_too_large(&mut self, now: Instant, bytes: u32) {
        self.unanswered = 0;
        match self.state {
            State::Base | State::Error => self.fail(),
            State::Searching | State::SearchComplete => {
                self.ceiling = self.ceiling.min(bytes - 1).max(self.size);
                self.reported = None;
                self.search(now);
            }
        }
    }

    /// Is there more to be found?
    fn search(&mut self, now: Instant) {
        self.raise_at = None;
        // A router's word is exact; what silence says is known to within the granularity.
        let exact = self.reported.is_some() || self.ceiling == self.config.largest;
        let enough = if exact { 1 } else { self.config.granularity.max(1) };
        if self.ceiling - self.size < enough {
            self.state = State::SearchComplete;
            self.raise_at = Some(now + self.config.raise_timer);
        } else {
            self.state = State::Searching;
        }
    }

    /// What a router said; everything, until it is known to be too much; the middle of the usual sizes between; the middle.
    fn next_size(&self) -> u32 {
        if let Some(mtu) = self.reported.filter(|mtu| *mtu > self.size && *mtu <= self.ceiling) {
            return mtu;
        }
        if self.ceiling == self.config.largest {
            return self.ceiling;
        }
        let between = |mtu: &&u32| self.size < **mtu && **mtu <= self.ceiling;
        let usual: Vec<u32> = USUAL.iter().filter(between).copied().collect();
        match usual.len() {
            0 => self.size + (self.ceiling - self.size).div_ceil(2),
            many => usual[many / 2],
        }
    }
}

#[cfg(test)]
#[path = "plpmtud_tests.rs"]
mod tests;
