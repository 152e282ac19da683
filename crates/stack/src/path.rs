//! What is the path MTU to that destination, and how old is that knowledge? (RFC 1191, RFC 8201.)
//!
//! One entry per destination, shared by all that send there. A report from the network only ever lowers it; after ten minutes
//! the knowledge is gone and the interface's MTU counts again (RFC 1191 §6.3; Linux's mtu_expires).

use crate::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// How long a report counts.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Below this no report lowers an IPv4 path (Linux's min_pmtu); packets go without DF instead, and routers cut them.
pub const SMALLEST_IPV4: u32 = 552;
/// Every IPv6 link carries this (RFC 8200 §5).
pub const SMALLEST_IPV6: u32 = 1_280;
/// More destinations are not remembered; the one longest known is forgotten first.
const MOST_PATHS: usize = 4_096;

/// MTUs that are usual (RFC 1191 §7.1), for reports of routers that do not say theirs.
const PLATEAUS: [u32; 11] = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

/// What is known about the way to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Largest packet, bytes.
    pub mtu: u32,
    /// When that is forgotten; `None`: it is the interface's.
    pub until: Option<Instant>,
    /// The way is narrower than what discovery accepts: IPv4 packets go without DF.
    pub fragment: bool,
}

crate::pack::pack!(Path { mtu, until, fragment });

impl Path {
    /// Nothing is known but the interface.
    #[must_use]
    pub fn of_interface(mtu: u32) -> Path {
        Path { mtu, until: None, fragment: false }
    }

    /// Whether what is known counts no more.
    #[must_use]
    pub fn is_forgotten(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A report that a packet was too big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// The next hop's MTU as reported, bytes; 0 when the router does not say it.
    pub mtu: u32,
    /// Length of the packet that did not fit, bytes.
    pub packet_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    path: Path,
    number: u64,
}

/// The paths that differ from what the interface says.
#[derive(Clone, Debug, Default)]
pub struct PathCache {
    known: BTreeMap<IpAddr, Known>,
    /// In the order of learning; an entry that was learned again is listed again.
    learned: VecDeque<(IpAddr, u64)>,
    number: u64,
}

impl PathCache {
    /// What is known about the way to `destination`, whose interface has this MTU.
    #[must_use]
    pub fn get(&self, now: Instant, destination: IpAddr, interface_mtu: u32) -> Path {
        match self.known.get(&destination) {
            Some(known) if !known.path.is_forgotten(now) && known.path.mtu <= interface_mtu => known.path,
            _ => Path::of_interface(interface_mtu),
        }
    }

    /// How many destinations are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// A believed report about `destination`, for which `current` counts. The new path, if that changes anything.
    pub fn on_too_big(
        &mut self,
        now: Instant,
        destination: IpAddr,
        current: Path,
        report: TooBig,
    ) -> Option<Path> {
        let until = Some(now + LIFETIME);
        let mtu = match report.mtu {
            0 => PLATEAUS.into_iter().find(|plateau| *plateau < report.packet_bytes).unwrap_or(68),
            mtu => mtu,
        };
        let path = if destination.is_ipv6() {
            Path { mtu: mtu.max(SMALLEST_IPV6), until, fragment: false }
        } else if mtu < SMALLEST_IPV4 {
            Path { mtu: current.mtu.min(SMALLEST_IPV4), until, fragment: true }
        } else {
            Path { mtu, until, fragment: current.fragment }
        };
        // Never raised, and the same again is no news, except that it is fresh.
        let lower = path.mtu < current.mtu || path.mtu == current.mtu && path.fragment != current.fragment;
        if !lower {
            if path.mtu == current.mtu && current.until.is_some() {
                self.remember(destination, path);
            }
            return None;
        }
        self.remember(destination, path);
        Some(path)
    }

    fn remember(&mut self, destination: IpAddr, path: Path) {
        self.number += 1;
        self.known.insert(destination, Known { path, number: self.number });
        self.learned.push_back((destination, self.number));
        while self.known.len() > MOST_PATHS || self.learned.len() > 2 * MOST_PATHS {
            let Some((oldest, number)) = self.learned.pop_front() else { return };
            if self.known.get(&oldest).is_some_and(|known| known.number == number) {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const FAR6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    fn report(mtu: u32) -> TooBig {
        TooBig { mtu, packet_bytes: 1_500 }
    }

    fn after(destination: IpAddr, mtu: u32) -> Option<Path> {
        let current = Path::of_interface(1_500);
        PathCache::default().on_too_big(Instant::ZERO, destination, current, report(mtu))
    }

    #[test]
    fn a_report_lowers_the_path_for_ten_minutes_and_then_the_interface_counts_again() {
        let mut cache = PathCache::default();
        let path = cache.on_too_big(Instant::ZERO, FAR, Path::of_interface(1_500), report(1_400)).unwrap();
        assert_eq!((path.mtu, path.fragment), (1_400, false));
        let just_before = Instant::ZERO + LIFETIME - Duration::from_nanos(1);
        assert_eq!(cache.get(just_before, FAR, 1_500), path);
        assert_eq!(cache.get(Instant::ZERO + LIFETIME, FAR, 1_500), Path::of_interface(1_500));
        assert_eq!(cache.get(Instant::ZERO, FAR6, 1_500), Path::of_interface(1_500));
        assert_eq!(cache.get(Instant::ZERO, FAR, 1_300), Path::of_interface(1_300));
    }

    #[test]
    fn a_report_never_raises_a_path_and_the_same_again_makes_it_fresh() {
        let mut cache = PathCache::default();
        let path = cache.on_too_big(Instant::ZERO, FAR, Path::of_interface(1_500), report(1_400)).unwrap();
        let later = Instant::from_millis(60_000);
        assert_eq!(cache.on_too_big(later, FAR, path, report(1_450)), None);
        assert_eq!(cache.get(later, FAR, 1_500), path);
        assert_eq!(cache.on_too_big(later, FAR, path, report(1_400)), None);
        assert_eq!(cache.get(later, FAR, 1_500).until, Some(later + LIFETIME));
        assert_eq!(cache.on_too_big(later, FAR, path, report(1_300)).unwrap().mtu, 1_300);
    }

    #[test]
    fn below_the_floor_ipv4_packets_may_be_cut_and_ipv6_stays_at_1280() {
        let path = after(FAR, 300).unwrap();
        assert_eq!((path.mtu, path.fragment), (552, true));
        let path = after(FAR6, 300).unwrap();
        assert_eq!((path.mtu, path.fragment), (1_280, false));
    }

    #[test]
    fn a_router_that_does_not_say_its_mtu_gets_the_next_plateau() {
        assert_eq!(after(FAR, 0).unwrap().mtu, 1_492);
        let current = Path::of_interface(9_000);
        let report = TooBig { mtu: 0, packet_bytes: 1_492 };
        let path = PathCache::default().on_too_big(Instant::ZERO, FAR, current, report).unwrap();
        assert_eq!(path.mtu, 1_006);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut cache = PathCache::default();
        for number in 0..3 * MOST_PATHS as u32 {
            let destination = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            let current = cache.get(Instant::ZERO, destination, 1_500);
            cache.on_too_big(Instant::ZERO, destination, current, report(1_400));
        }
        assert_eq!(cache.len(), MOST_PATHS);
        assert!(cache.learned.len() <= 2 * MOST_PATHS);
        assert_eq!(cache.get(Instant::ZERO, IpAddr::from([10, 0, 0, 0]), 1_500).mtu, 1_500);
        let newest = IpAddr::from((0x0a00_0000 + 3 * MOST_PATHS as u32 - 1).to_be_bytes());
        assert_eq!(cache.get(Instant::ZERO, newest, 1_500).mtu, 1_400);
    }
}
