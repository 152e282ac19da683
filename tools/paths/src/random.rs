//! Which paths has nobody thought of? Drawn from a seed: every combination of widths, narrowings, ways back, routers' manners, liars, filters, losses,
//! reordering, distances, beliefs of the kernel, and what the user may do.

use crate::bed::router;
use crate::scenario::{Back, Build, CLOSED, Scenario, TCP_ONLY, User};
use crate::serve::{HTTP, MUTE};
use crate::wire::{Filter, Forger, Icmp, Names, Path, Way};
use narrows_lab::Random;
use std::time::Duration;

/// Links, and what tunnels leave of them: PPPoE, GRE, WireGuard, VXLAN, ESP, L2TP, and numbers that are nobody's.
const WIDTHS: [u32; 16] =
    [1499, 1492, 1476, 1462, 1454, 1450, 1438, 1420, 1400, 1380, 1333, 1281, 1280, 1200, 600, 1496];
/// The least MTU of a link that carries IPv6 (RFC 8200 §5).
pub(crate) const LEAST_IPV6: u32 = 1280;

/// Draws so many paths.
#[must_use]
pub fn random(seed: u64, count: usize) -> Vec<Scenario> {
    (1..=count).map(|number| draw(seed, number)).collect()
}

/// One of them: a stream of its own, so that it stays the same whatever the others are.
fn draw(seed: u64, number: usize) -> Scenario {
    let mut dice = Dice(Random::derive(seed, &format!("path {number}")));
    let ipv6 = dice.one_in(3);
    let (path, mtu) = dice.path(ipv6, seed);
    let mut scenario = Scenario::wire("", ipv6, [1500; 3]);
    scenario.user = dice.of(&[User::Root, User::Root, User::Root, User::Pings, User::Anybody]);
    scenario.port = if dice.one_in(6) { CLOSED } else { MUTE };
    if scenario.port == MUTE && dice.one_in(8) {
        (scenario.port, scenario.http) = (HTTP, true);
    }
    scenario.believed = dice.one_in(4).then(|| dice.of(&[1280, 1300, 1450, 1500, 9000]));
    let headers = scenario.mss_headers();
    let least = |way: &Way| way.links.iter().copied().min().unwrap_or(mtu[0]).min(mtu[0]);
    (scenario.to_server, scenario.to_client) =
        (least(&path.there), Back::Exact(least(&path.back).min(mtu[1])));
    let narrow = path.there.links.iter().position(|&link| link == scenario.to_server);
    scenario.narrow_after = narrow.filter(|_| scenario.to_server < mtu[0]).map(|index| index as u8 + 1);
    scenario.mss_received = path.back.clamp.map_or(u32::MAX, u32::from).min(mtu[1] - headers);
    scenario.name = name(number, &scenario, &path, mtu).into();
    scenario.build = Build::Wire { path, mtu };
    scenario
}

struct Dice(Random);

impl Dice {
    fn one_in(&mut self, many: u64) -> bool {
        self.0.below(many) == 0
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len() as u64) as usize].clone()
    }

    fn path(&mut self, ipv6: bool, seed: u64) -> (Path, [u32; 2]) {
        let routers = 1 + self.0.below(6) as usize;
        let mtu =
            self.of(&[[1500, 1500], [1500, 1500], [1500, 1500], [9000, 1500], [9000, 9000], [1492, 1500]]);
        let icmp = self.of(&[
            Icmp::Speaks,
            Icmp::Speaks,
            Icmp::Silent,
            Icmp::Silent,
            Icmp::NoTooBig,
            Icmp::Limited(1),
            Icmp::Limited(3),
        ]);
        let narrowings = self.of(&[0, 1, 1, 1, 2, 3]);
        let there = self.links(ipv6, icmp, routers, mtu, narrowings);
        let narrowings = self.of(&[0, 1, 1]);
        let mut back = if self.one_in(3) {
            self.links(ipv6, icmp, routers, [mtu[1], mtu[0]], narrowings)
        } else {
            // The same links in the other direction: of each the one on the router's other side.
            let all: Vec<u32> = std::iter::once(mtu[0]).chain(there.iter().copied()).collect();
            all[..routers].iter().rev().copied().collect()
        };
        if let Some(last) = back.last_mut() {
            *last = (*last).min(mtu[0]);
        }
        let (mut there, mut back) = (Way::new(&there), Way::new(&back));
        let loss = self.of(&[0, 0, 0, 100, 33, 20]);
        (there.loses_one_in, back.loses_one_in) = (loss, loss);
        let delay = Duration::from_micros(self.of(&[2_500, 25_000, 50_000, 50_000, 100_000]));
        let late = self.of(&[(0, 0), (0, 0), (0, 0), (10, 2), (5, 5), (3, 12)]);
        there.late = (late.0, Duration::from_millis(late.1));
        back.late = if self.one_in(2) { there.late } else { back.late };
        there.clamp = self.one_in(6).then_some(1200);
        back.clamp = if self.one_in(2) { there.clamp } else { self.one_in(8).then_some(1360) };
        let names = self.of(&[
            Names::Its,
            Names::Its,
            Names::Its,
            Names::Its,
            Names::Nothing,
            Names::Wrong(1300),
            Names::Wrong(68),
            Names::Wrong(1495),
        ]);
        let forger = self
            .one_in(8)
            .then(|| Forger { mtu: self.of(&[576, 1280, 1300, 1400]), one_in: self.of(&[1, 3]) });
        let filter = self.filter();
        let routers = (1..=routers as u8).map(|number| router(ipv6, number)).collect();
        (Path { there, back, icmp, names, forger, filter, delay, routers, seed }, mtu)
    }

    /// The links behind the routers, so many of them narrower than Ethernet's.
    fn links(
        &mut self,
        ipv6: bool,
        icmp: Icmp,
        routers: usize,
        ends: [u32; 2],
        narrowings: usize,
    ) -> Vec<u32> {
        let jumbo = ends == [9000, 9000] && self.one_in(2);
        let mut links = vec![if jumbo { 9000 } else { 1500 }; routers];
        for _ in 0..narrowings {
            let width = self.of(&WIDTHS);
            // IPv6 does not know narrower links; what only loses packets may be anything.
            let width = if ipv6 && icmp != Icmp::Silent { width.max(LEAST_IPV6) } else { width };
            let place = self.0.below(routers as u64) as usize;
            links[place] = links[place].min(width);
        }
        // What the last router sends has to fit the other host's interface.
        links[routers - 1] = links[routers - 1].min(ends[1]);
        links
    }

    fn filter(&mut self) -> Filter {
        let open = Filter::default();
        match self.0.below(16) {
            0 | 1 => TCP_ONLY,
            2 | 3 => Filter { echo: true, tcp: true, ..open },
            4 => Filter { udp: true, tcp: true, ..open },
            5 => Filter { echo: true, ..open },
            6 => Filter { tcp: true, ..open },
            7 => Filter { peer_errors: true, ..open },
            8 => Filter { tcp: true, ..TCP_ONLY },
            _ => open,
        }
    }
}

/// What was drawn, in words.
fn name(number: usize, scenario: &Scenario, path: &Path, mtu: [u32; 2]) -> String {
    let widths = |first: u32, way: &Way| {
        let all = std::iter::once(first).chain(way.links.iter().copied());
        all.map(|width| width.to_string()).collect::<Vec<_>>().join(">")
    };
    let mut words = vec![
        format!("#{number}: IPv{}", if scenario.ipv6 { 6 } else { 4 }),
        widths(mtu[0], &path.there),
        format!("back {}", widths(mtu[1], &path.back)),
        format!("{:?}", path.icmp),
        format!("{} ms", path.delay.as_millis() * 2),
        format!("{:?}", scenario.user),
    ];
    let mut also = |condition: bool, word: String| {
        if condition {
            words.push(word);
        }
    };
    also(path.names != Names::Its, format!("names {:?}", path.names));
    if let Some(forger) = path.forger {
        also(true, format!("lies of {} 1/{}", forger.mtu, forger.one_in));
    }
    let filter = path.filter;
    also(filter.tcp, "no TCP".to_owned());
    also(filter.udp, "no UDP".to_owned());
    also(filter.echo, "no echo".to_owned());
    also(filter.peer_errors, "no peer errors".to_owned());
    also(scenario.port == CLOSED, "closed".to_owned());
    also(scenario.http, "HTTP".to_owned());
    also(path.there.loses_one_in > 0, format!("loss 1/{}", path.there.loses_one_in));
    let (often, by) = path.there.late;
    also(often > 0, format!("1/{often} late by {} ms", by.as_millis()));
    for (way, clamp) in [("there", path.there.clamp), ("back", path.back.clamp)] {
        also(clamp.is_some(), format!("clamp {way} {}", clamp.unwrap_or_default()));
    }
    also(scenario.believed.is_some(), format!("believed {}", scenario.believed.unwrap_or_default()));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_depends_on_the_seed_and_its_number_alone() {
        assert_eq!(random(7, 20)[4], random(7, 5)[4]);
        assert_ne!(random(7, 1)[0].name, random(8, 1)[0].name);
    }

    #[test]
    fn the_truth_is_what_the_links_leave() {
        for scenario in random(1, 300) {
            let Build::Wire { path, mtu } = &scenario.build else { panic!("a wire") };
            let narrowest = path.there.links.iter().copied().min().expect("a router").min(mtu[0]);
            assert_eq!(scenario.to_server, narrowest, "{}", scenario.name);
            assert_eq!(path.there.links.len(), path.back.links.len());
            assert_eq!(path.there.links.len(), path.routers.len());
            assert!(path.there.links.last() <= Some(&mtu[1]) && path.back.links.last() <= Some(&mtu[0]));
        }
    }
}
