//! Which paths, and what is true of each? MTU, ICMP answered, silent or limited, both versions, asymmetry, tunnels, clamps.

use crate::bed::router;
use crate::everyday::everyday;
use crate::kernel::Plan;
use crate::serve::{HTTP, MUTE};
use crate::wire::{Filter, Icmp, Names, Path, Way};
use std::borrow::Cow;
use std::time::Duration;

/// A port where nobody listens.
pub(crate) const CLOSED: u16 = 9999;

/// How the path is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Build {
    /// In user space, between hosts whose interfaces have these MTUs.
    Wire {
        /// The path.
        path: Path,
        /// Of the client's and of the server's interface.
        mtu: [u32; 2],
    },
    /// Of Linux's routers.
    Kernel(Plan),
}

/// What the one who measures may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Raw sockets.
    Root,
    /// Ping sockets (`net.ipv4.ping_group_range`), and no raw ones.
    Pings,
    /// What everybody may do.
    Anybody,
}

/// What is true of the way back, as far as it can be known from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// Exactly this has to be found.
    Exact(u32),
    /// It is larger than what can be sent there, so this is all that can be found.
    AtLeast(u32),
    /// Nothing comes back that is as large.
    Unknown,
}

/// A path and its truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Who measures.
    pub user: User,
    /// The path MTU that the client's kernel believes in beforehand; `None`: that of its interface.
    pub believed: Option<u32>,
    /// IPv6.
    pub ipv6: bool,
    /// How it is built.
    pub build: Build,
    /// The port that is probed.
    pub port: u16,
    /// With HTTP requests.
    pub http: bool,
    /// The path MTU to the server.
    pub to_server: u32,
    /// And back.
    pub to_client: Back,
    /// The number of the router behind which it narrows, where routers tell.
    pub narrow_after: Option<u8>,
    /// "Too big" comes back.
    pub too_big: bool,
    /// The MSS of the server's SYN-ACK as it arrives.
    pub mss_received: u32,
    /// Our SYN's MSS as a router has to quote it, and the router's number.
    pub mss_quoted: Option<(u32, u8)>,
    /// A quiet machine has to find it out in this time.
    pub within: Duration,
}

impl Scenario {
    /// Bytes of the IP and TCP headers that an MSS leaves out.
    pub(crate) fn mss_headers(&self) -> u32 {
        if self.ipv6 { 60 } else { 40 }
    }

    pub(crate) fn wire(name: &'static str, ipv6: bool, links: [u32; 3]) -> Scenario {
        let least = links.into_iter().min().unwrap_or_default();
        let narrow_after =
            links.iter().position(|&link| link == least && least < 1500).map(|at| at as u8 + 1);
        let back = [links[1], links[0], 1500];
        let path = Path {
            there: Way::new(&links),
            back: Way::new(&back),
            icmp: Icmp::Speaks,
            names: Names::Its,
            forger: None,
            filter: Filter::default(),
            delay: Duration::from_millis(50),
            routers: (1..=3).map(|number| router(ipv6, number)).collect(),
            seed: 1,
        };
        let mut scenario = Scenario {
            name: name.into(),
            user: User::Root,
            believed: None,
            ipv6,
            build: Build::Wire { path, mtu: [1500, 1500] },
            port: MUTE,
            http: false,
            to_server: least,
            to_client: Back::Exact(least),
            narrow_after,
            too_big: least < 1500,
            mss_received: 0,
            mss_quoted: None,
            within: Duration::from_secs(2),
        };
        scenario.mss_received = 1500 - scenario.mss_headers();
        // What cannot be sent there cannot be seen to come back.
        if least < 1500 {
            scenario.to_client = Back::AtLeast(least);
        }
        scenario
    }

    pub(crate) fn kernel(name: &'static str, ipv6: bool, plan: Plan) -> Scenario {
        let of = |mtu: u32| if mtu == 0 { 1500 } else { mtu };
        let below = plan.vxlan_over.map(|mtu| of(mtu) - 50);
        let least = [of(plan.links[0]), below.unwrap_or(of(plan.links[1])), of(plan.links[2])];
        let least = least.into_iter().min().unwrap_or_default().min(plan.route_mtu[0].unwrap_or(1500));
        let mut scenario = Scenario::wire(name, ipv6, [1500, least, 1500]);
        scenario.build = Build::Kernel(plan);
        scenario.narrow_after = Some(1);
        scenario
    }

    pub(crate) fn path(mut self, change: impl FnOnce(&mut Path)) -> Scenario {
        if let Build::Wire { path, .. } = &mut self.build {
            change(path);
        }
        self
    }

    pub(crate) fn icmp(self, icmp: Icmp) -> Scenario {
        let mut scenario = self.path(|path| path.icmp = icmp);
        scenario.too_big &= matches!(icmp, Icmp::Speaks | Icmp::Limited(_));
        // Where messages are limited, those that number the routers may be missing.
        if matches!(icmp, Icmp::Silent | Icmp::Limited(_)) {
            scenario.narrow_after = None;
        }
        scenario
    }

    pub(crate) fn filter(self, filter: Filter) -> Scenario {
        let echo = filter.echo;
        let mut scenario = self.path(|path| path.filter = filter);
        if echo {
            scenario.to_client = Back::Unknown;
        }
        scenario
    }

    /// Real data: both directions become exact.
    pub(crate) fn http(mut self, to_client: u32) -> Scenario {
        (self.port, self.http, self.to_client) = (HTTP, true, Back::Exact(to_client));
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Scenario)) -> Scenario {
        change(&mut self);
        self
    }

    /// The way back alone has this MTU.
    pub(crate) fn back(self, mtu: u32) -> Scenario {
        let there = self.to_server;
        let mut scenario = self.path(|path| path.back = Way::new(&[1500, mtu, 1500]));
        scenario.to_client = if mtu <= there { Back::Exact(mtu) } else { Back::AtLeast(there) };
        scenario
    }
}

/// No ICMP at all: neither echo nor errors, and no datagrams.
pub(crate) const TCP_ONLY: Filter = Filter { echo: true, udp: true, tcp: false, peer_errors: true };

/// All of them.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    let wire = Scenario::wire;
    let kernel = Scenario::kernel;
    let plan = |links: [u32; 3]| Plan { links, ..Plan::default() };
    let mut all = vec![
        wire("plain Ethernet", false, [1500; 3]).with(|s| s.to_client = Back::Exact(1500)),
        wire("1400, ICMP answered", false, [1500, 1400, 1500]),
        wire("1400, routers silent", false, [1500, 1400, 1500]).icmp(Icmp::Silent),
        wire("1400, no ICMP, no UDP", false, [1500, 1400, 1500]).icmp(Icmp::Silent).filter(TCP_ONLY),
        wire("1400, no ICMP, no UDP, HTTP", false, [1500, 1400, 1500])
            .icmp(Icmp::Silent)
            .filter(TCP_ONLY)
            .http(1400),
        wire("1400, ICMP 2 per second", false, [1500, 1400, 1500]).icmp(Icmp::Limited(2)),
        wire("1400, no \"too big\"", false, [1500, 1500, 1400]).icmp(Icmp::NoTooBig),
        wire("1400, loss 5 %", false, [1500, 1400, 1500]).icmp(Icmp::Silent).path(|path| {
            path.there.loses_one_in = 20;
            path.back.loses_one_in = 20;
        }),
        wire("1333, UDP alone answers", false, [1500, 1333, 1500]).icmp(Icmp::Silent).filter(Filter {
            echo: true,
            tcp: true,
            ..Filter::default()
        }),
        wire("1333, a closed port alone answers", false, [1500, 1333, 1500])
            .icmp(Icmp::Silent)
            .filter(TCP_ONLY)
            .with(|s| s.port = CLOSED),
        wire("clamped to 1360, routers quote it", false, [1500; 3]).path(|path| {
            path.there.clamp = Some(1360);
            path.back.clamp = Some(1360);
        }),
        wire("1480, then 1400", false, [1480, 1400, 1500]),
        wire("PPPoE 1492", false, [1492, 1500, 1500]).icmp(Icmp::NoTooBig),
        wire("GRE 1476", false, [1500, 1476, 1500]).icmp(Icmp::NoTooBig),
        wire("WireGuard 1420", false, [1500, 1420, 1500]).icmp(Icmp::Silent),
        wire("ESP 1438", false, [1500, 1438, 1500]).icmp(Icmp::Silent),
        wire("1500 there, 1400 back", false, [1500; 3]).back(1400).icmp(Icmp::Silent),
        wire("1400 there, 1500 back", false, [1500, 1400, 1500]).back(1500).icmp(Icmp::Silent),
        wire("1400 there, 1480 back, HTTP", false, [1500, 1400, 1500])
            .back(1480)
            .icmp(Icmp::Silent)
            .http(1480),
        wire("clamped to 1360 for 1400", false, [1500, 1400, 1500]).icmp(Icmp::Silent).path(|path| {
            path.there.clamp = Some(1360);
            path.back.clamp = Some(1360);
        }),
        wire("clamped to 1300, path 1500", false, [1500; 3]).with(|s| s.to_client = Back::Exact(1500)).path(
            |path| {
                path.back.clamp = Some(1300);
            },
        ),
        wire("jumbo 9000, then 1500", false, [9000, 1500, 1500]).icmp(Icmp::Silent).with(|s| {
            s.to_server = 1500;
            s.to_client = Back::AtLeast(1500);
            if let Build::Wire { mtu, .. } = &mut s.build {
                mtu[0] = 9000;
            }
        }),
        wire("1400, ICMP answered, IPv6", true, [1500, 1400, 1500]),
        wire("1400, routers silent, IPv6", true, [1500, 1400, 1500]).icmp(Icmp::Silent),
        wire("1400, no ICMP, no UDP, HTTP, IPv6", true, [1500, 1400, 1500])
            .icmp(Icmp::Silent)
            .filter(TCP_ONLY)
            .http(1400),
        wire("1280, ICMP 2 per second, IPv6", true, [1500, 1280, 1500]).icmp(Icmp::Limited(2)),
        wire("WireGuard 1420, IPv6", true, [1420, 1500, 1500]).icmp(Icmp::NoTooBig),
        wire("1500 there, 1400 back, IPv6", true, [1500; 3]).back(1400),
        wire("1500 there, 1400 back, silent, IPv6", true, [1500; 3]).back(1400).icmp(Icmp::Silent),
        kernel("Linux routers, 1400", false, plan([1500, 1400, 1500])),
        kernel(
            "Linux routers, 1400, ICMP dropped",
            false,
            Plan {
                links: [1500, 1400, 1500],
                rules: [
                    &["icmp type destination-unreachable drop"],
                    &["icmp type destination-unreachable drop"],
                ],
                ..Plan::default()
            },
        ),
        kernel(
            "Linux routers, 1400, ICMP dropped, IPv6",
            true,
            Plan {
                links: [1500, 1400, 1500],
                rules: [&["icmpv6 type packet-too-big drop"], &["icmpv6 type packet-too-big drop"]],
                ..Plan::default()
            },
        ),
        kernel(
            "Linux routers, VXLAN, ICMP dropped",
            false,
            Plan {
                vxlan_over: Some(1500),
                rules: [
                    &["icmp type destination-unreachable drop"],
                    &["icmp type destination-unreachable drop"],
                ],
                ..Plan::default()
            },
        ),
        kernel(
            "Linux routers, 1400, clamped by nft",
            false,
            Plan {
                links: [1500, 1400, 1500],
                rules: [&[], &["tcp flags syn tcp option maxseg size set 1360"]],
                ..Plan::default()
            },
        ),
        kernel(
            "Linux routers, 1400 there, 1500 back, HTTP",
            false,
            Plan {
                route_mtu: [Some(1400), None],
                rules: [&["icmp type destination-unreachable drop"], &[]],
                ..Plan::default()
            },
        )
        .http(1500),
        kernel(
            "Linux routers, ICMP 2 per second",
            false,
            Plan {
                links: [1500, 1400, 1500],
                rules: [
                    &[
                        "meta l4proto icmp limit rate 2/second burst 2 packets accept",
                        "meta l4proto icmp drop",
                    ],
                    &[
                        "icmp type { destination-unreachable, time-exceeded } limit rate 2/second burst 2 packets accept",
                        "icmp type { destination-unreachable, time-exceeded } drop",
                    ],
                ],
                ..Plan::default()
            },
        ),
    ];
    for scenario in &mut all {
        match &*scenario.name {
            "clamped to 1360 for 1400" | "Linux routers, 1400, clamped by nft" => {
                scenario.mss_received = 1360
            }
            "clamped to 1360, routers quote it" => {
                (scenario.mss_received, scenario.to_client) = (1360, Back::Exact(1500));
                scenario.mss_quoted = Some((1360, 2));
            }
            "clamped to 1300, path 1500" => scenario.mss_received = 1300,
            "Linux routers, ICMP 2 per second" => scenario.narrow_after = None,
            name if name.contains("ICMP dropped") || name.contains("HTTP") => scenario.too_big = false,
            _ => {}
        }
    }
    all.extend(everyday());
    all
}
