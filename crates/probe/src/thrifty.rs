//! How is the size to the peer found where only datagrams are answered, and these sparingly?
//!
//! Guesses first, which cost few answers ([`crate::sparing`]): what is not answered soon is supposed to be too large, without proof. Then one answer
//! proves the end of it: the size found, sent right after several of the next one, comes back, and these do not.

use crate::error::Error;
use crate::flight::Patience;
use crate::line::Method;
use crate::measure::Measurement;
use crate::prober::{Event, Shot};
use crate::sparing::{Step, step};
use std::time::{Duration, Instant};

/// How often the proof may fail without any answer before the answers are taken for limited in another way than Linux does it.
const FAILURES: u32 = 3;
/// A round without an answer lasts as long as the brief patience: the round trip and a quarter.
const QUARTERS: u32 = 5;

impl Measurement<'_> {
    /// Searches with datagrams; false when answers stay away.
    pub fn search_thriftily(&mut self) -> Result<bool, Error> {
        let mut failures = 0;
        while self.forward.known().is_none() {
            if self.time_is_up() || failures >= FAILURES {
                self.forward.forget_suspicions();
                return Ok(false);
            }
            let (low, high) = (self.forward.low(), self.forward.high());
            let now = Instant::now();
            if high == low + 1 {
                self.tell("making sure");
                failures += u32::from(!self.prove()?);
                continue;
            }
            let round = self.prober.least_round_trip().unwrap_or(Duration::from_millis(100)) * QUARTERS / 4;
            let answers = self.allowance.whole(now).saturating_sub(1);
            match step(low, high, answers, self.allowance.next(now), round) {
                Step::Wait => {
                    self.tell("waiting until the peer may answer again");
                    let patience = self.allowance.next(now).min(self.end.saturating_duration_since(now));
                    self.limited = true;
                    std::thread::sleep(patience);
                }
                Step::Ask(sizes) => {
                    self.tell("searching");
                    self.guess(&sizes)?;
                }
            }
        }
        Ok(true)
    }

    /// One round of guesses.
    fn guess(&mut self, sizes: &[u32]) -> Result<(), Error> {
        let brief = |&size: &u32| Shot { patience: Patience::Brief, ..Shot::new(Method::Udp, size) };
        let shots: Vec<Shot> = sizes.iter().map(brief).collect();
        for landed in self.round(&shots)? {
            if landed.event == Event::Silent {
                self.forward.suspected(landed.shot.size);
            }
        }
        Ok(())
    }

    /// Sends what should be too large as often as is needed, and then what fits; false when that is not answered.
    fn prove(&mut self) -> Result<bool, Error> {
        let mut shots: Vec<Shot> =
            self.forward.plan(usize::MAX).into_iter().map(|size| Shot::new(Method::Udp, size)).collect();
        shots.push(Shot::control(Method::Udp, self.forward.low()));
        let landed = self.round(&shots)?;
        if landed.iter().any(|one| matches!(one.event, Event::Answered { .. } | Event::TooBig { .. })) {
            return Ok(true);
        }
        // Nobody answers now: what was supposed for want of answers may be wrong.
        self.forward.forget_suspicions();
        self.allowance.run_out(Instant::now());
        self.limited = true;
        Ok(false)
    }
}
