//! Who else has just these knobs? Most sockets of a program have the same: they share one copy.

use super::Knobs;
use std::sync::Arc;

/// So many different ones are told apart; the one unused for longest is forgotten, and only not shared any more.
const REMEMBERED: usize = 8;

/// Knobs that were used lately, the latest first.
#[derive(Debug, Default)]
pub(crate) struct SharedKnobs(Vec<Arc<Knobs>>);

impl SharedKnobs {
    /// These knobs, in common with all that have had the same lately.
    pub(crate) fn share(&mut self, knobs: Knobs) -> Arc<Knobs> {
        let known = self.0.iter().position(|known| **known == knobs);
        let shared = match known {
            Some(at) => self.0.remove(at),
            None => {
                self.0.truncate(REMEMBERED - 1);
                Arc::new(knobs)
            }
        };
        self.0.insert(0, Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_knobs_are_one_and_different_ones_are_not() {
        let mut shared = SharedKnobs::default();
        let one = shared.share(Knobs::default());
        let other = shared.share(Knobs { nodelay: true, ..Knobs::default() });
        assert!(Arc::ptr_eq(&one, &shared.share(Knobs::default())));
        assert!(other.nodelay && !one.nodelay);
        for initcwnd in 20..40 {
            assert_eq!(shared.share(Knobs { initcwnd, ..Knobs::default() }).initcwnd, initcwnd);
        }
        assert_eq!(shared.0.len(), REMEMBERED);
        assert!(!Arc::ptr_eq(&one, &shared.share(Knobs::default())));
    }
}
