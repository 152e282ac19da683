//! How does a sender get out of a path MTU black hole, and what does the way out cost?

use narrows_lab::scenario::Scenario;
use narrows_lab::{Heading, Passage, Recorder};
use narrows_stack::Instant;
use std::time::Duration;

/// The packets with data that leave a link: when, and how large.
#[derive(Default)]
struct Arrived(Vec<(Instant, usize)>);

impl Recorder for Arrived {
    fn add_tap(&mut self, _: &str) -> u32 {
        0
    }

    fn record(&mut self, _: u32, passage: &Passage<'_>) {
        if passage.heading == Heading::In && !passage.packet.payload.is_empty() {
            self.0.push((passage.time, passage.packet.len()));
        }
    }
}

struct Outcome {
    took: Duration,
    /// The longest time in which nothing got through, from the beginning on.
    stall: Duration,
    /// The largest packet among the last that got through, bytes.
    size: usize,
    timeouts: u64,
}

/// A transfer through a link of 1400 bytes between two routers that say nothing; a round trip is 20 ms.
fn transfer(ip: u8, direction: &str, probing: &str, loss: &str, mtu: u32) -> Outcome {
    let toml = format!(
        "ip = {ip}\n[host.client]\nknobs.mtu_probing = \"{probing}\"\n[host.server]\nknobs.mtu_probing = \"{probing}\"\n\
         [router.near]\ntoo_big = \"silent\"\n[router.far]\ntoo_big = \"silent\"\n\
         [link.left]\nbetween = [\"client\", \"near\"]\nrate = \"1Gbit/s\"\n\
         [link.narrow]\nbetween = [\"near\", \"far\"]\nmtu = {mtu}\ndelay = \"10ms\"\nrate = \"50Mbit/s\"\n\
         queue_bytes = \"500KB\"\nloss = {loss}\n\
         [link.right]\nbetween = [\"far\", \"server\"]\nrate = \"1Gbit/s\"\n\
         [workload.bulk]\nkind = \"bulk\"\nbytes = \"5MB\"\ndirection = \"{direction}\"\n"
    );
    let mut world = Scenario::from_toml("test.toml", &toml).expect("a scenario").build().expect("a world");
    let ends = [("near", "client"), ("far", "server")].map(|(router, host)| {
        let (link, end) = world.ends_at(host)[0];
        assert!(world.ends_at(router).iter().any(|(at, _)| *at == link));
        (link, end)
    });
    let recorder = world.world.add_recorder(Arrived::default());
    let (link, end) = ends[usize::from(direction == "upload")];
    world.world.tap(recorder, link, end);
    let report = world.run();
    assert!(report.completed(), "{report:#?}");
    let arrived = &world.world.recorder::<Arrived>(recorder).expect("the recorder").0;
    let mut last = Instant::ZERO;
    let mut stall = Duration::ZERO;
    for (time, _) in arrived {
        stall = stall.max(time.since(last));
        last = *time;
    }
    Outcome {
        took: report.workloads[0].duration,
        stall,
        size: arrived.iter().rev().take(500).map(|(_, bytes)| *bytes).max().unwrap_or(0),
        timeouts: report.hosts.iter().map(|host| host.timeouts).sum(),
    }
}

#[test]
fn a_search_ends_a_black_hole_in_a_few_round_trips_where_linux_takes_seconds() {
    for ip in [4, 6] {
        for direction in ["upload", "download"] {
            let open = transfer(ip, direction, "0", "0.0", 1_500);
            let search = transfer(ip, direction, "search", "0.0", 1_400);
            let linux = transfer(ip, direction, "1", "0.0", 1_400);
            let case = format!("IPv{ip} {direction}: {:?} {:?}", search.stall, search.took);
            assert_eq!(search.timeouts, 0, "{case}");
            // The handshake and the request take one round trip and a half of it, the probe of the flight's end waits two.
            assert!(search.stall < Duration::from_millis(110), "{case}");
            assert!(linux.stall > Duration::from_secs(3), "{:?}", linux.stall);
            assert!((1_392..=1_400).contains(&search.size), "{case}: {}", search.size);
            let lost = search.took.saturating_sub(open.took);
            assert!(lost < Duration::from_millis(250), "{case}: {lost:?} more than without the hole");
        }
    }
}

#[test]
fn a_search_leaves_the_segments_alone_where_packets_are_lost_for_other_reasons() {
    for loss in ["0.0", "0.01", "0.05"] {
        let without = transfer(4, "download", "0", loss, 1_500);
        let with = transfer(4, "download", "search", loss, 1_500);
        assert_eq!(with.size, 1_500, "{loss}");
        let (with, without) = (with.took.as_secs_f64(), without.took.as_secs_f64());
        assert!(with < 1.05 * without, "{loss}: {with} s instead of {without} s");
    }
}
