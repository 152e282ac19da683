use super::*;
use proptest::prelude::*;

/// Lets the search run over a path that carries `mtu` in silence; when it is done, and how many probes it took.
fn run(search: &mut Plpmtud, mut now: Instant, mtu: u32) -> (Instant, u32) {
    let mut probes = 0;
    while !matches!(search.state(), State::SearchComplete | State::Error) {
        if let Some(bytes) = search.poll_probe(now) {
            probes += 1;
            if bytes <= mtu {
                search.on_probe_acknowledged(now, bytes);
            }
        } else {
            now = search.deadline().expect("a deadline");
            search.handle_timeout(now);
        }
    }
    (now, probes)
}

#[test]
fn a_path_as_wide_as_the_interface_is_known_after_two_probes() {
    let mut search = Plpmtud::new(Config::new(1_500, false));
    assert_eq!(run(&mut search, Instant::ZERO, 1_500), (Instant::ZERO, 2));
    assert_eq!((search.state(), search.size()), (State::SearchComplete, 1_500));
}

#[test]
fn a_probe_is_lost_after_three_and_never_sooner_than_a_second_each() {
    let config = Config { probe_timer: Duration::from_millis(10), ..Config::new(1_500, false) };
    let mut search = Plpmtud::new(config);
    let (done, _) = run(&mut search, Instant::ZERO, 1_100);
    assert_eq!((search.state(), search.size()), (State::Error, 68));
    assert_eq!(done, Instant::from_millis(3_000));
    // It goes on asking, and finds that the path carries the base size again.
    assert_eq!(search.poll_probe(done), Some(1_228));
    search.on_probe_acknowledged(done, 1_228);
    assert_eq!((search.state(), search.size()), (State::Searching, 1_228));
}

#[test]
fn a_routers_word_is_tried_next_and_ends_the_search() {
    let mut search = Plpmtud::new(Config::new(1_500, false));
    let now = Instant::ZERO;
    search.on_probe_acknowledged(now, 1_228);
    assert_eq!(search.poll_probe(now), Some(1_500));
    assert!(search.on_packet_too_big(now, 1_397));
    assert_eq!((search.size(), search.poll_probe(now)), (1_228, Some(1_397)), "believed only when shown");
    search.on_probe_acknowledged(now, 1_397);
    assert_eq!((search.state(), search.size()), (State::SearchComplete, 1_397));
}

#[test]
fn reports_that_make_no_sense_are_ignored_and_a_narrower_path_is_searched_anew() {
    let mut search = Plpmtud::new(Config::new(1_500, false));
    run(&mut search, Instant::ZERO, 1_500);
    for mtu in [0, 67, 1_500, 9_000] {
        assert!(!search.on_packet_too_big(Instant::ZERO, mtu), "{mtu}");
        assert_eq!(search.size(), 1_500);
    }
    assert!(search.on_packet_too_big(Instant::ZERO, 1_300));
    assert_eq!((search.state(), search.size()), (State::Base, 1_228));
    run(&mut search, Instant::ZERO, 1_300);
    assert_eq!(search.size(), 1_300);
    assert!(search.on_packet_too_big(Instant::ZERO, 600));
    assert_eq!((search.state(), search.size()), (State::Error, 68));
}

#[test]
fn three_large_datagrams_lost_in_a_row_are_a_black_hole_and_others_are_not() {
    let mut search = Plpmtud::new(Config::new(1_500, false));
    run(&mut search, Instant::ZERO, 1_500);
    assert!(!search.on_lost(1_500) && !search.on_lost(1_500));
    search.on_acknowledged(1_500);
    assert!(!search.on_lost(1_500) && !search.on_lost(1_500));
    for _ in 0..10 {
        assert!(!search.on_lost(1_000), "small ones say nothing about size");
    }
    assert!(search.on_lost(1_400));
    assert_eq!((search.state(), search.size()), (State::Base, 1_228));
}

#[test]
fn after_the_raise_timer_a_wider_path_is_found() {
    let mut search = Plpmtud::new(Config::new(1_500, false));
    let (done, _) = run(&mut search, Instant::ZERO, 1_400);
    assert_eq!((search.size(), search.deadline()), (1_400, Some(done + Duration::from_secs(600))));
    assert_eq!(search.poll_probe(done), None);
    let later = done + Duration::from_secs(600);
    search.handle_timeout(later);
    assert_eq!(search.poll_probe(later), Some(1_500));
    search.on_probe_acknowledged(later, 1_500);
    assert_eq!(search.size(), 1_500);
}

proptest! {
    #[test]
    fn every_path_is_found_to_within_the_granularity_and_never_exceeded(mtu in 1_280u32..9_000, largest in 1_280u32..9_100, ipv6: bool) {
        let mut search = Plpmtud::new(Config::new(largest, ipv6));
        let (_, probes) = run(&mut search, Instant::ZERO, mtu);
        let carries = mtu.min(largest);
        prop_assert!(search.size() <= carries && carries - search.size() < 8, "{} of {carries}", search.size());
        prop_assert!(probes <= 45, "{probes}");
    }

    #[test]
    fn nothing_that_is_reported_breaks_it(events in proptest::collection::vec((0u8..6, 0u32..70_000), 0..60)) {
        let mut search = Plpmtud::new(Config::new(1_500, false));
        let mut now = Instant::ZERO;
        for (event, bytes) in events {
            match event {
                0 => { search.poll_probe(now); }
                1 => search.on_probe_acknowledged(now, bytes),
                2 => search.on_acknowledged(bytes),
                3 => { search.on_lost(bytes); }
                4 => { search.on_packet_too_big(now, bytes); }
                _ => { now = search.deadline().unwrap_or(now); search.handle_timeout(now); }
            }
            prop_assert!((68..=1_500).contains(&search.size()));
        }
    }
}
