//! Does the search find every size, through loss, with few rounds, with and without a router's word?

use super::*;
use proptest::prelude::*;

/// A path in one line: what fits, what a router says, and which packets are lost anyway.
struct Path {
    mtu: u32,
    speaks: bool,
    loss_per_mille: u32,
    seed: u64,
}

impl Path {
    fn lost(&mut self) -> bool {
        // A linear congruential generator (Knuth's MMIX constants): tests need no better.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.seed >> 33) % 1000) < u64::from(self.loss_per_mille)
    }

    /// Plays rounds until the size is known; how many it took, and how many probes.
    fn play(&mut self, search: &mut Search) -> (u32, u32) {
        let (mut rounds, mut probes) = (0, 0);
        while search.known().is_none() {
            rounds += 1;
            assert!(rounds < 100, "no end: {search:?}");
            let sizes = search.plan(12);
            assert!(!sizes.is_empty(), "nothing to do, and nothing known: {search:?}");
            let before = search.low();
            for size in sizes {
                probes += 1;
                if size <= self.mtu && !self.lost() {
                    search.answered(size);
                } else if size > self.mtu && self.speaks && !self.lost() {
                    search.refused(size, self.mtu);
                } else {
                    search.vanished(size);
                }
            }
            for _ in 0..3 {
                let lost = self.lost();
                search.control(lost);
            }
            if search.low() == 0 && before == 0 {
                search.answered(68);
            }
        }
        (rounds, probes)
    }
}

#[test]
fn four_rounds_are_enough_on_ethernet_without_any_icmp() {
    for mtu in 68..=1500 {
        let mut path = Path { mtu, speaks: false, loss_per_mille: 0, seed: 1 };
        let mut search = Search::new(68, 1500);
        let (rounds, probes) = path.play(&mut search);
        assert_eq!(search.known(), Some(mtu));
        let common = mtu >= 1280;
        assert!(rounds <= if common { 4 } else { 5 }, "{mtu}: {rounds}");
        assert!(probes <= 48, "{mtu}: {probes}");
    }
}

#[test]
fn a_router_s_word_is_enough_and_is_checked() {
    let mut path = Path { mtu: 1400, speaks: true, loss_per_mille: 0, seed: 1 };
    let mut search = Search::new(68, 1500);
    search.refused(1500, 1400);
    let (rounds, probes) = path.play(&mut search);
    assert_eq!((search.known(), rounds, probes), (Some(1400), 1, 2));
    // A router that names less than what fits is found out, and so is one that names more.
    for said in [1300, 1450, 0, 70_000] {
        let mut path = Path { mtu: 1400, speaks: false, loss_per_mille: 0, seed: 1 };
        let mut search = Search::new(68, 1500);
        search.refused(1500, said);
        path.play(&mut search);
        assert_eq!(search.known(), Some(1400), "{said}");
    }
}

#[test]
fn a_word_that_was_wrong_once_is_not_believed() {
    for said in [1300, 1499] {
        let mut path = Path { mtu: 1500, speaks: false, loss_per_mille: 0, seed: 1 };
        let mut search = Search::new(68, 1500);
        search.refused(1500, said);
        let (rounds, _) = path.play(&mut search);
        // What is consistent in itself cannot be told from the truth.
        assert_eq!(search.known(), Some(if said == 1499 { 1499 } else { 1500 }));
        assert!(rounds <= 5, "{rounds}");
    }
}

#[test]
fn who_has_lied_once_is_not_believed_again() {
    for answer_first in [false, true] {
        let mut search = Search::new(120, 1500);
        if answer_first {
            search.answered(1400);
            search.refused(1400, 1300);
        } else {
            search.refused(1400, 1300);
            search.answered(1400);
        }
        assert!(search.contradicted());
        search.distrust();
        (0..24).for_each(|_| search.refused(1401, 1400));
        assert_eq!((search.low(), search.high(), search.known()), (1400, 1501, None));
        (0..24).for_each(|_| search.vanished(1401));
        assert_eq!(search.known(), Some(1400));
    }
}

#[test]
fn one_size_has_to_vanish_several_times() {
    let mut search = Search::new(1400, 1401);
    for _ in 0..10 {
        search.control(false);
    }
    assert_eq!(search.needed(), 3);
    search.vanished(1401);
    search.vanished(1401);
    assert_eq!(search.known(), None);
    assert_eq!(search.plan(12), [1401]);
    search.vanished(1401);
    assert_eq!(search.known(), Some(1400));
    // More loss, more patience.
    for _ in 0..10 {
        search.control(true);
    }
    assert_eq!(search.known(), None);
    // And an answer is worth more than any silence.
    search.answered(1401);
    assert_eq!(search.known(), Some(1401));
}

#[test]
fn jumbo_frames_take_a_round_or_two_more() {
    for mtu in [1500, 4000, 8999, 9000, 1400] {
        let mut path = Path { mtu, speaks: false, loss_per_mille: 0, seed: 1 };
        let mut search = Search::new(100, 9000);
        let (rounds, _) = path.play(&mut search);
        assert_eq!(search.known(), Some(mtu));
        assert!(rounds <= 6, "{mtu}: {rounds}");
    }
}

proptest! {
    #[test]
    fn found_through_loss(mtu in 68u32..=9000, loss in 0u32..150, seed in any::<u64>(), speaks in any::<bool>(), ceiling in 1280u32..=9000) {
        let mut path = Path { mtu, speaks, loss_per_mille: loss, seed };
        let mut search = Search::new(68, ceiling);
        path.play(&mut search);
        let found = search.known().unwrap();
        let truth = mtu.min(ceiling);
        // Never larger than what fits; smaller only with the risk that was accepted.
        prop_assert!(found <= truth);
        prop_assert!(found == truth || loss >= 50, "{} for {}", found, truth);
    }

    #[test]
    fn no_order_of_events_makes_it_panic(events in proptest::collection::vec((0u8..4, 0u32..=70_000, any::<u32>()), 0..60), ceiling in 68u32..=65_535) {
        let mut search = Search::new(0, ceiling);
        for (kind, size, mtu) in events {
            match kind {
                0 => search.answered(size),
                1 => search.vanished(size),
                2 => search.refused(size, mtu),
                _ => search.control(mtu % 2 == 0),
            }
            for size in search.plan(usize::from(kind) * 6) {
                prop_assert!(size > search.low() && size <= search.ceiling);
            }
        }
    }
}
