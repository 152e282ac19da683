//! Is the path's MTU what a finding says it is?

use crate::truth::{Direction, Variant};
use narrows_lab::Side;
use narrows_trace::{Cause, Finding, PathMtu};

/// One finding's path MTU against the true one.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeScore {
    /// The finding.
    pub cause: &'static str,
    /// What it tells.
    pub told: PathMtu,
    /// What is true, bytes.
    pub truth: u32,
}

impl SizeScore {
    /// The score of a finding, where it tells a size and the truth has one.
    pub fn of(variant: &Variant, finding: &Finding) -> Option<SizeScore> {
        let told = finding.path_mtu?;
        let path = variant.path.as_ref()?;
        let directions = [path.c2s.as_ref(), path.s2c.as_ref()];
        let of = |side: Side| directions[side.index()];
        let truth = match finding.cause {
            Cause::PathMtuBlackHole | Cause::MtuProbingRecovers | Cause::PathMtuDiscovery => {
                of(finding.side)?.mtu?
            }
            // The option that a side's segments obey comes from the other side.
            Cause::MssClamped => {
                let clamp = |direction: &Direction| direction.mss.map(|mss| mss + variant.headers());
                of(finding.side.peer()).and_then(clamp)?
            }
            _ => return None,
        };
        Some(SizeScore { cause: finding.cause.name(), told, truth })
    }

    /// The true size lies within what was told.
    pub fn right(&self) -> bool {
        (self.told.least..=self.told.most).contains(&self.truth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_has_to_hold_the_truth() {
        let told = |least, most| SizeScore { cause: "x", told: PathMtu { least, most }, truth: 1450 };
        assert!(told(1447, 1451).right() && told(1450, 1450).right() && told(151, 1499).right());
        assert!(!told(1451, 1499).right() && !told(1400, 1449).right());
    }
}
