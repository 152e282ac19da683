//! What is the largest packet that reaches the peer?

use crate::error::Error;
use crate::line::Method;
use crate::measure::{Measurement, PARALLEL, SMALL};
use crate::prober::{Event, Landed, Shot};
use crate::report::Seen;
use std::time::{Duration, Instant};

/// Rounds without any answer before a method is given up: one whose answers are known to be limited, and another.
const SILENT_ROUNDS: u32 = 5;
const SILENT_ROUNDS_OF_TCP: u32 = 2;
/// The pauses between rounds when answers stop coming: Linux sends one "port unreachable" per second and peer (`icmp_ratelimit`).
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(1000);
/// Steps that are taken on routers' words alone.
const ROUTERS_WORDS: u32 = 8;

impl Measurement<'_> {
    /// Finds the size to the peer, and asks the connection whether it is so.
    pub fn find_size_to_peer(&mut self) -> Result<(), Error> {
        // A second time where the connection knows better than a router.
        for _ in 0..2 {
            self.find_forward()?;
            self.know_the_port()?;
            self.agree_with_tcp()?;
            if self.forward.known().is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Finds the size to the peer, with whatever answers.
    fn find_forward(&mut self) -> Result<(), Error> {
        self.follow_routers()?;
        // An open port is the path that connections take. A closed one may be closed by a firewall on the way.
        let tcp_first = self.open.is_some();
        let order = if tcp_first {
            [Method::Tcp, Method::Echo, Method::Udp]
        } else {
            [Method::Echo, Method::Tcp, Method::Udp]
        };
        for method in order {
            let answers = match method {
                Method::Tcp => self.prober.line.offers(Method::Tcp),
                Method::Echo => self.echo == Seen::Yes,
                Method::Udp => self.udp == Seen::Yes,
            };
            if self.forward.known().is_some() || self.time_is_up() {
                break;
            }
            if !answers {
                continue;
            }
            if !method.answer_is_large() && self.round_trip.known().is_some() {
                // Echo has found a size; this only has to say which direction it belongs to.
                self.ask_beyond(method)?;
            }
            if (method == Method::Udp && self.search_thriftily()?) || self.search(method)? {
                self.method = self.method.or(Some(method));
            }
        }
        // Answers that routers may fragment vanish for their size only on the way to the peer.
        if self.forward.known().is_none()
            && let Some(both) = self.round_trip.known()
            && self.answers_may_fragment == Some(true)
            && self.reverse_piece.is_none()
        {
            for _ in 0..self.forward.needed() {
                self.forward.vanished(both + 1);
            }
        }
        Ok(())
    }

    /// As long as routers say what fits, their word is tried before anything else: with datagrams, whose "too big"
    /// leaves nothing in the kernel's memory where raw sockets are permitted.
    fn follow_routers(&mut self) -> Result<(), Error> {
        for _ in 0..ROUTERS_WORDS {
            let before = self.too_big.len();
            if before == 0 || self.forward.known().is_some() || !self.forward.border_refused() {
                break;
            }
            self.tell("following what routers say");
            let sizes = self.forward.plan(2);
            let shots: Vec<Shot> = sizes.into_iter().map(|size| Shot::new(Method::Udp, size)).collect();
            self.round(&shots)?;
            if self.too_big.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// Is it this direction that ends where echo replies end?
    fn ask_beyond(&mut self, method: Method) -> Result<(), Error> {
        let beyond = self.round_trip.low() + 1;
        self.tell("which direction is it?");
        let mut shots = vec![Shot::new(method, beyond); if method == Method::Udp { 2 } else { 4 }];
        shots.push(Shot::control(method, SMALL));
        self.round(&shots)?;
        Ok(())
    }

    /// Searches with one method until the size is known; false when the method does not answer.
    pub fn search(&mut self, method: Method) -> Result<bool, Error> {
        let large = method.answer_is_large();
        let mut parallel = if method == Method::Udp { PARALLEL / 3 } else { PARALLEL };
        let mut pause = Duration::ZERO;
        let mut silent = 0;
        let mut silent_rounds = 0;
        let patience = if method == Method::Tcp { SILENT_ROUNDS_OF_TCP } else { SILENT_ROUNDS };
        while self.search_of(large).known().is_none() {
            if silent >= patience || self.time_is_up() {
                return Ok(false);
            }
            if !pause.is_zero() {
                std::thread::sleep(pause.min(self.end.saturating_duration_since(Instant::now())));
            }
            self.tell("searching");
            let search = self.search_of(large);
            let sizes = search.plan(parallel);
            let fits = search.low().max(SMALL);
            // From the largest down: where answers are limited, the first that comes says most. Last those that
            // are known to fit: without an answer to one of them silence says nothing.
            let mut shots: Vec<Shot> = sizes.iter().map(|&size| Shot::new(method, size)).collect();
            shots.push(Shot::control(method, fits));
            if method != Method::Udp && pause.is_zero() {
                shots.push(Shot::control(method, SMALL));
            }
            let landed = self.round(&shots)?;
            let (answers, silences) = count(&landed, method);
            if answers == 0 {
                silent += 1;
            } else {
                silent = 0;
            }
            // The last ones were not answered although earlier ones were, or nobody was: answers are limited, or late. What
            // comes back again is asked faster again.
            let most = if method == Method::Udp { PARALLEL / 3 } else { PARALLEL };
            if silences > 0 && (answers > 0 || self.search_of(large).low() > 0) {
                silent_rounds += 1;
                // Once may be a busy machine.
                self.limited |= silent_rounds > 1;
                parallel = (parallel / 2).max(3);
                pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            } else if method != Method::Udp {
                parallel = (parallel * 2).min(most);
                pause = if pause > FIRST_PAUSE { pause / 2 } else { Duration::ZERO };
            }
        }
        Ok(true)
    }
}

/// Answers of the peer, and probes that nobody said anything about.
fn count(landed: &[Landed], method: Method) -> (usize, usize) {
    let of = |what: fn(&Event) -> bool| {
        landed.iter().filter(|one| one.shot.method == method && what(&one.event)).count()
    };
    (of(|event| matches!(event, Event::Answered { .. })), of(|event| matches!(event, Event::Silent)))
}
