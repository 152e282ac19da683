use super::*;
use crate::scenario::{RouterSpec, TooBig};
use crate::{AppId, DirectionConfig, IpVersion, LinkConfig, LinkId, Loss, World};
use narrows_stack::Knobs;
use narrows_stack::plpmtud::State;

/// A path with a link of `mtu` bytes in its middle.
#[derive(Clone, Copy)]
struct Path {
    version: IpVersion,
    too_big: TooBig,
    mtu: u32,
    loss: f64,
}

const SILENT: Path = Path { version: IpVersion::V4, too_big: TooBig::Silent, mtu: 1_400, loss: 0.0 };

/// A world with that path, and a sender of ten datagrams a second over its middle link.
struct Searched {
    world: World,
    middle: LinkId,
    sender: AppId,
    receiver: AppId,
}

fn searched(path: Path, count: u64, change: impl FnOnce(Config) -> Config) -> Searched {
    let mut builder = World::builder(7);
    builder.ip_version(path.version);
    let client = builder.host("client", Knobs { pmtu_discovery: PmtuDiscovery::Probe, ..Knobs::default() });
    let server = builder.host("server", Knobs::default());
    let [near, far] = ["near", "far"]
        .map(|name| builder.router_with(&RouterSpec { too_big: path.too_big, ..RouterSpec::new(name) }));
    builder.link("lan", client, near, LinkConfig::with_delay(Duration::from_millis(1)));
    let middle = DirectionConfig {
        delay: Duration::from_millis(20),
        mtu: path.mtu,
        loss: if path.loss > 0.0 { Loss::Random(path.loss) } else { Loss::None },
        ..DirectionConfig::default()
    };
    let middle = builder.link("middle", near, far, LinkConfig::symmetric(middle));
    builder.link("hosting", far, server, LinkConfig::with_delay(Duration::from_millis(1)));
    let remote = SocketAddr::new(builder.address(server).unwrap(), 9_000);
    let config = change(Config::new(1_500, path.version == IpVersion::V6));
    let sender = SearchingSender::new(remote, count, Duration::from_millis(100), config);
    let sender = builder.app(client, sender);
    let receiver = builder.app(server, AcknowledgingReceiver::new(9_000));
    Searched { world: builder.build().unwrap(), middle, sender, receiver }
}

/// What is known after so many seconds of ten datagrams each.
fn search(path: Path, seconds: u64, probe_timer: Duration) -> SearchingSender {
    let Searched { mut world, sender, receiver, .. } =
        searched(path, seconds * 10, |config| Config { probe_timer, ..config });
    world.run_until_idle(Instant::from_millis(seconds * 1_000 + 5_000));
    assert_eq!(world.app::<AcknowledgingReceiver>(receiver).unwrap().error(), None);
    world.app::<SearchingSender>(sender).unwrap().clone()
}

#[test]
fn behind_silent_routers_the_size_is_found_and_no_data_is_lost() {
    for version in [IpVersion::V4, IpVersion::V6] {
        for mtu in [1_280, 1_337, 1_400, 1_420, 1_492, 1_500] {
            let found = search(Path { version, mtu, ..SILENT }, 60, Duration::from_secs(1));
            let size = found.search().size();
            assert_eq!(found.search().state(), State::SearchComplete, "{mtu}");
            assert!(size <= mtu && mtu - size < 8, "{size} of {mtu}");
            assert_eq!((found.data(), found.error()), ((600, 600), None), "{mtu}: only probes are lost");
            assert_eq!(found.black_holes(), 0);
        }
    }
}

#[test]
fn routers_that_answer_make_it_exact_within_a_few_round_trips() {
    for version in [IpVersion::V4, IpVersion::V6] {
        for mtu in [1_280, 1_337, 1_492] {
            let found =
                search(Path { version, mtu, too_big: TooBig::Icmp, ..SILENT }, 1, Duration::from_secs(15));
            assert_eq!((found.search().state(), found.search().size()), (State::SearchComplete, mtu));
            assert_eq!((found.data(), found.error()), ((10, 10), None));
            assert!(found.probes_sent() <= 3, "{}", found.probes_sent());
        }
    }
}

#[test]
fn a_path_below_the_base_size_is_an_error_and_small_datagrams_go_on() {
    let found = search(Path { mtu: 900, ..SILENT }, 30, Duration::from_secs(1));
    assert_eq!((found.search().state(), found.search().size()), (State::Error, 68));
    let (sent, acknowledged) = found.data();
    assert!(sent == 300 && acknowledged > 250, "{acknowledged}");
}

#[test]
fn random_loss_is_neither_a_black_hole_nor_a_narrow_path() {
    let found = search(Path { mtu: 1_500, loss: 0.02, ..SILENT }, 120, Duration::from_secs(1));
    assert_eq!((found.search().size(), found.black_holes()), (1_500, 0));
    let (sent, acknowledged) = found.data();
    assert!(acknowledged < sent && acknowledged > sent * 9 / 10);
}

/// A path of silent routers whose middle link has these MTUs, one after the other, for so many seconds each.
fn on_changing_path(phases: &[(u32, u64)], raise_timer: Duration) -> Vec<(u32, u64, u64)> {
    let timers = |config| Config { probe_timer: Duration::from_secs(1), raise_timer, ..config };
    let Searched { mut world, middle, sender, .. } = searched(SILENT, 1_000_000, timers);
    let mut seen = Vec::new();
    let mut until = 0;
    for (mtu, seconds) in phases {
        for end in [crate::End::First, crate::End::Second] {
            world.set_mtu(middle, end, *mtu);
        }
        until += seconds * 1_000;
        world.run_until(Instant::from_millis(until));
        let sender = world.app::<SearchingSender>(sender).unwrap();
        let (sent, acknowledged) = sender.data();
        seen.push((sender.search().size(), sender.black_holes(), sent - acknowledged));
    }
    seen
}

#[test]
fn a_path_that_becomes_wider_is_found_when_the_raise_timer_has_expired_and_not_before() {
    let seen = on_changing_path(&[(1_400, 60), (1_500, 30), (1_500, 120)], Duration::from_secs(100));
    assert_eq!(seen[0].0, 1_400);
    assert_eq!(seen[1].0, 1_400, "nothing is tried before");
    assert_eq!(seen[2].0, 1_500);
    assert!(seen.iter().all(|(_, black_holes, _)| *black_holes == 0));
}

#[test]
fn a_path_that_becomes_narrower_is_a_black_hole_that_a_second_of_losses_ends() {
    let seen = on_changing_path(&[(1_500, 30), (1_300, 60)], Duration::from_secs(600));
    assert_eq!((seen[0].0, seen[0].1), (1_500, 0));
    let (size, black_holes, unanswered) = seen[1];
    assert!((1_293..=1_300).contains(&size), "{size}");
    assert_eq!(black_holes, 1);
    // Ten a second vanish until three have been missed for a second each; a few are on their way.
    assert!((3..=20).contains(&unanswered), "{unanswered}");
}
