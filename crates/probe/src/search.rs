//! Which sizes are worth a probe next, and from when on is the largest that fits known?
//!
//! Pure: told what became of each probe, it names the sizes of the next round. An answer proves that a size fits; silence
//! proves nothing by itself, because packets are lost for other reasons, too. So a size counts as too large only when probes of it, or of
//! smaller ones above what fits, have vanished more often than the path's own loss explains (a probe that fits vanishes
//! with probability p, n of them with p^n), or when a router says so (RFC 1191, RFC 8201).

use std::collections::BTreeMap;

/// Sizes at which paths end, in bytes of the IP packet: links, and what tunnels leave of them.
pub(crate) const COMMON: [u32; 46] = [
    576, 1000, 1006, 1024, 1200, 1280, 1300, 1320, 1350, 1358, 1360, 1372, 1380, 1390, 1398, 1400, 1406,
    1410, 1412, 1418, 1420, 1422, 1428, 1430, 1432, 1436, 1438, 1440, 1442, 1446, 1450, 1454, 1460, 1462,
    1464, 1468, 1472, 1476, 1480, 1488, 1492, 1496, 1500, 4352, 8192, 9000,
];

/// The first round, from the largest down.
const FIRST: [u32; 14] = [9000, 8192, 4352, 2002, 1500, 1492, 1480, 1460, 1440, 1420, 1400, 1280, 1006, 576];

/// How improbable a mistake at the border has to be.
const RISK: f64 = 1e-4;

/// What routers have said of a size.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    mtu: u32,
    times: u32,
}

/// The search for the largest size that fits.
#[derive(Clone, Debug)]
pub struct Search {
    low: u32,
    ceiling: u32,
    vanished: BTreeMap<u32, u32>,
    refused: BTreeMap<u32, Refusal>,
    controls: u32,
    controls_lost: u32,
    /// A size that a router has refused has arrived.
    contradicted: bool,
}

impl Search {
    /// A search from `low`, which is known to fit (0: nothing is known), to `ceiling`, the largest that can be sent.
    #[must_use]
    pub fn new(low: u32, ceiling: u32) -> Search {
        Search {
            low: low.min(ceiling),
            ceiling,
            vanished: BTreeMap::new(),
            refused: BTreeMap::new(),
            controls: 0,
            controls_lost: 0,
            contradicted: false,
        }
    }

    /// The largest size that is known to fit; 0 when nothing is known.
    #[must_use]
    pub fn low(&self) -> u32 {
        self.low
    }

    /// The smallest size that probably does not fit: one more than the ceiling as long as nothing speaks against that.
    #[must_use]
    pub fn high(&self) -> u32 {
        let refused = self.refused.range(self.low.saturating_add(1)..).next().map(|(&size, _)| size);
        let vanished = self.vanished.range(self.low.saturating_add(1)..).next().map(|(&size, _)| size);
        [refused, vanished].into_iter().flatten().min().unwrap_or(self.ceiling.saturating_add(1))
    }

    /// A router has said of this search's border that it is too large, and nothing it said with that was wrong. (One that
    /// names less than what fits has not said so of this path; whoever forges such a message has neither.)
    #[must_use]
    pub fn border_refused(&self) -> bool {
        self.refused.get(&self.high()).is_some_and(|refusal| refusal.mtu == 0 || refusal.mtu >= self.low)
    }

    /// The largest size that fits, once that is certain.
    #[must_use]
    pub fn known(&self) -> Option<u32> {
        (self.low > 0 && self.high() == self.low + 1 && self.missing() == 0).then_some(self.low)
    }

    /// A probe of this size has arrived.
    pub fn answered(&mut self, size: u32) {
        self.low = self.low.max(size.min(self.ceiling));
        self.contradicted |= self.refused.range(..=self.low).next().is_some();
    }

    /// A size that a router has refused has arrived, or a larger one: somebody lies, or there are several branches.
    #[must_use]
    pub fn contradicted(&self) -> bool {
        self.contradicted
    }

    /// Forgets what routers have said, and believes nothing more of it: who has lied once may lie again.
    pub fn distrust(&mut self) {
        self.contradicted = true;
        self.refused.clear();
    }

    /// A probe of this size has not, although a later one has.
    pub fn vanished(&mut self, size: u32) {
        if size == 0 || size > self.ceiling {
            return;
        }
        *self.vanished.entry(size).or_default() += 1;
    }

    /// A probe of this size was not answered, and none sent later was: a guess, on which nothing certain is built.
    pub fn suspected(&mut self, size: u32) {
        if size > self.low && size <= self.ceiling {
            self.vanished.entry(size).or_default();
        }
    }

    /// Forgets all guesses: they contradict what else has come out, or answers have stopped.
    pub fn forget_suspicions(&mut self) {
        self.vanished.retain(|_, times| *times > 0);
    }

    /// A router says that this size is too large, and (0: it does not) what would fit its next link.
    pub fn refused(&mut self, size: u32, mtu: u32) {
        if size == 0 || size > self.ceiling || self.contradicted {
            return;
        }
        self.contradicted = size <= self.low;
        let refusal = self.refused.entry(size).or_insert(Refusal { mtu, times: 0 });
        refusal.mtu = mtu;
        refusal.times = refusal.times.saturating_add(1);
    }

    /// What became of a probe of a size that is known to fit: they tell how much the path loses for other reasons.
    pub fn control(&mut self, lost: bool) {
        self.controls += 1;
        self.controls_lost += u32::from(lost);
    }

    /// How many controls there were, and how many of them were lost.
    #[must_use]
    pub fn controls(&self) -> (u32, u32) {
        (self.controls, self.controls_lost)
    }

    /// The share of packets that vanish for other reasons than their size, estimated with caution.
    #[must_use]
    pub fn loss(&self) -> f64 {
        (f64::from(self.controls_lost) + 0.5) / (f64::from(self.controls) + 10.0)
    }

    /// How many probes have to vanish before their size counts as too large.
    #[must_use]
    pub fn needed(&self) -> u32 {
        let needed = (RISK.ln() / self.loss().min(0.9).ln()).ceil();
        (needed as u32).clamp(3, 24)
    }

    /// How many more probes of the border have to vanish.
    fn missing(&self) -> u32 {
        let high = self.high();
        if high > self.ceiling || self.border_refused() {
            return 0;
        }
        let refusals = self.refused.get(&high).map_or(0, |refusal| refusal.times);
        let vanished = self.vanished.get(&high).copied().unwrap_or(0);
        self.needed().saturating_sub(vanished.saturating_add(refusals))
    }

    /// The sizes of the next round, from the largest down, at most `most` (and at least one as long as something is unknown).
    #[must_use]
    pub fn plan(&self, most: usize) -> Vec<u32> {
        let most = most.max(1);
        let (low, high) = (self.low, self.high());
        if high == low.saturating_add(1) {
            return vec![high; (self.missing() as usize).min(most)];
        }
        if let Some(hint) = self.hint() {
            let mut sizes = vec![hint];
            if hint + 1 < high && most > 1 {
                sizes.insert(0, hint + 1);
            }
            return sizes;
        }
        let between = (high - low - 1) as usize;
        let mut sizes: Vec<u32> = if between <= most {
            (low + 1..high).collect()
        } else if high > self.ceiling {
            first(low, self.ceiling, most)
        } else {
            spread(low, high, most)
        };
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        // Where everything between is asked at once, spare probes go to the border that is then most likely.
        let spare = most.saturating_sub(sizes.len());
        if between <= most && between <= 3 && spare > 0 {
            let again = sizes.clone();
            sizes.extend(again.into_iter().take(spare));
            sizes.sort_unstable_by(|a, b| b.cmp(a));
        }
        sizes
    }

    /// What a router has said would fit, if that is still open.
    fn hint(&self) -> Option<u32> {
        let high = self.high();
        let mtu = self.refused.get(&high)?.mtu;
        (mtu > self.low && mtu < high).then_some(mtu)
    }
}

/// Well-known sizes, where nothing has vanished yet: the largest that can be sent is always among them.
fn first(low: u32, ceiling: u32, most: usize) -> Vec<u32> {
    let mut sizes: Vec<u32> = vec![ceiling];
    sizes.extend(FIRST.into_iter().filter(|&size| size > low && size < ceiling));
    while sizes.len() > most && sizes.len() > 1 {
        // Every second one, but never the ceiling.
        let mut keep = 0;
        sizes.retain(|_| {
            keep += 1;
            keep % 2 == 1
        });
    }
    sizes
}

/// Sizes that cut the range between into about equal parts, moved to well-known ones where these are near.
fn spread(low: u32, high: u32, most: usize) -> Vec<u32> {
    let parts = most as u32 + 1;
    let range = high - low;
    let mut sizes: Vec<u32> = (1..parts)
        .map(|part| {
            let even = low + range * part / parts;
            let near = range / parts / 3;
            let known = COMMON.into_iter().filter(|&size| size > low && size < high);
            known
                .filter(|size| size.abs_diff(even) <= near)
                .min_by_key(|size| size.abs_diff(even))
                .unwrap_or(even)
        })
        .filter(|&size| size > low && size < high)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
