//! What is a scenario? Hosts, links, what stands between, and what the applications say: as it stands in a TOML file.
//!
//! A scenario is read with [`Scenario::from_toml`], changed with [`Override`]s, written with [`Scenario::to_toml`], made a
//! world with [`Scenario::build`], and run with [`Scenario::run`]. The words of the file are described in `docs/lab.md`.
//!
//! ```
//! use narrows_lab::scenario::Scenario;
//!
//! let scenario = Scenario::from_toml("stall.toml", r#"
//!     title = "A request in two pieces waits for a delayed ACK"
//!     [host.client]
//!     [host.server]
//!     [link.path]
//!     between = ["client", "server"]
//!     delay = "500us"
//!     [workload.rpc]
//!     kind = "request-response"
//!     requests = 10
//!     request = [12, 180]
//!     answer = 64
//! "#)?;
//! let report = scenario.run()?;
//! assert!(report.completed() && report.workloads[0].exchanges.len() == 10);
//! assert!(report.workloads[0].percentile(0.99) > Some(std::time::Duration::from_millis(20)));
//!
//! let wrong = Scenario::from_toml("wrong.toml", "[host.client]\nprofil = \"linux\"\n").unwrap_err();
//! assert_eq!(wrong.to_string(), "wrong.toml:2:1: `host.client.profil`: there is no such key; did you mean `profile`?");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
mod builtin;
mod conversation;
mod error;
mod read;
mod read_link;
mod run;
mod set;
mod table;
pub mod units;
mod workload;
mod write;

pub use build::{PlayedConnection, PlayedDatagrams, RunError, ScenarioWorld};
pub use builtin::{BUILTINS, Builtin, builtin};
pub use error::ScenarioError;
pub use read::ReadFile;
pub use run::{DatagramReport, Ending, HostReport, RunReport, SearchReport, WorkloadReport};
pub use set::Override;
pub use workload::{BulkDirection, Datagrams, RequestResponse, Search, Workload, WorkloadKind};

use crate::link::LinkConfig;
use crate::world::{HostTimes, IpVersion};
use narrows_stack::profile::Profile;
use narrows_stack::{Knobs, knob};
use std::net::IpAddr;
use std::time::Duration;

/// A whole scenario. The order of hosts, routers, middleboxes and links is that of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called: the file's name without its ending.
    pub name: String,
    /// What happens, in one line.
    pub title: String,
    /// The IP version of all hosts.
    pub ip_version: IpVersion,
    /// Everything random follows from it.
    pub seed: u64,
    /// The most virtual time that it may take.
    pub time_limit: Duration,
    /// The hosts.
    pub hosts: Vec<HostSpec>,
    /// The routers.
    pub routers: Vec<RouterSpec>,
    /// The middleboxes.
    pub middleboxes: Vec<MiddleboxSpec>,
    /// The links.
    pub links: Vec<LinkSpec>,
    /// What the applications say.
    pub workloads: Vec<Workload>,
}

impl Default for Scenario {
    /// Nothing, over IPv4, with seed 1 and at most an hour.
    fn default() -> Scenario {
        Scenario {
            name: String::new(),
            title: String::new(),
            ip_version: IpVersion::V4,
            seed: 1,
            time_limit: Duration::from_secs(3_600),
            hosts: Vec::new(),
            routers: Vec::new(),
            middleboxes: Vec::new(),
            links: Vec::new(),
            workloads: Vec::new(),
        }
    }
}

impl Scenario {
    /// The host of that name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&HostSpec> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The link of that name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&LinkSpec> {
        self.links.iter().find(|link| link.name == name)
    }
}

/// A host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSpec {
    /// Its name.
    pub name: String,
    /// The system that it ships as: one of [`narrows_stack::profile::NAMES`].
    pub profile: &'static str,
    /// The knobs that are not as the profile has them: names of the table of knobs, values as [`Knobs::get`] writes them.
    pub knobs: Vec<(&'static str, String)>,
    /// Its address; otherwise one by its place.
    pub address: Option<IpAddr>,
    /// Where in a timer tick the origin of time falls; otherwise it follows from the seed.
    pub tick_phase: Option<Duration>,
    /// How long it takes over what arrives: `processing`, `wakeup`.
    pub times: HostTimes,
}

impl HostSpec {
    /// A host as a profile ships.
    #[must_use]
    pub fn new(name: &str, profile: &'static str) -> HostSpec {
        HostSpec {
            name: name.to_owned(),
            profile,
            knobs: Vec::new(),
            address: None,
            tick_phase: None,
            times: HostTimes::default(),
        }
    }

    /// The knobs of its stack: the profile's, and those set here.
    #[must_use]
    pub fn stack_knobs(&self) -> Knobs {
        let mut knobs = Profile::by_name(self.profile).unwrap_or_else(Profile::linux).knobs;
        for (name, value) in &self.knobs {
            // A knob of the application's is nothing for the stack, and the values have been checked.
            let _ = knobs.set(name, value);
        }
        knobs
    }

    /// The value set here of a knob, whoever it belongs to.
    #[must_use]
    pub fn knob(&self, name: &str) -> Option<&str> {
        self.knobs.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Sets a knob.
    ///
    /// # Errors
    /// [`knob::KnobError`] for an unknown name or a value that it does not take.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), knob::KnobError> {
        let row = knob::look_up(name)?;
        // `quickack = true` and its like have their own words.
        let mut knobs = Knobs::default();
        let value = match knobs.set(name, value) {
            Ok(()) => knobs.get(name).unwrap_or_default(),
            Err(knob::KnobError::NotOfTheStack { .. }) => row.kind.text(row.parse(value)?),
            Err(error) => return Err(error),
        };
        self.knobs.retain(|(known, _)| *known != row.name);
        self.knobs.push((row.name, value));
        Ok(())
    }
}

/// What a router does with a packet that is too big for the next link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooBig {
    /// `fragment`: cuts it into fragments where that is allowed (IPv4 without DF), else as `icmp`.
    Fragment,
    /// `icmp`: drops it and says so (RFC 1191, RFC 8201).
    #[default]
    Icmp,
    /// `silent`: drops it without a word.
    Silent,
}

impl TooBig {
    /// `fragment`, `icmp` or `silent`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TooBig::Fragment => "fragment",
            TooBig::Icmp => "icmp",
            TooBig::Silent => "silent",
        }
    }
}

/// A router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterSpec {
    /// Its name.
    pub name: String,
    /// What it does with packets that do not fit.
    pub too_big: TooBig,
    /// The most ICMP messages it sends in a second; `None`: no limit.
    pub icmp_per_second: Option<u32>,
    /// How much later than at once they leave.
    pub icmp_delay: Duration,
    /// Lowers the MSS in SYNs, as gateways often do.
    pub clamp_mss: Option<ClampMss>,
}

impl RouterSpec {
    /// A router that says so when a packet does not fit, as often as it happens.
    #[must_use]
    pub fn new(name: &str) -> RouterSpec {
        RouterSpec {
            name: name.to_owned(),
            too_big: TooBig::Icmp,
            icmp_per_second: None,
            icmp_delay: Duration::ZERO,
            clamp_mss: None,
        }
    }
}

/// To what a middlebox lowers the MSS in passing SYNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClampMss {
    /// To this many bytes.
    Bytes(u16),
    /// To what fits the smaller of the MTUs of the links by which the SYN comes and goes.
    Path,
}

/// A TCP option that a middlebox takes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StripOption {
    /// `mss`.
    Mss,
    /// `window-scale`.
    WindowScale,
    /// `sack`: the permission, so that no SACK follows, and any SACK.
    Sack,
    /// `timestamps`.
    Timestamps,
    /// `fast-open`.
    FastOpen,
}

impl StripOption {
    /// All of them.
    pub const ALL: [StripOption; 5] = [
        StripOption::Mss,
        StripOption::WindowScale,
        StripOption::Sack,
        StripOption::Timestamps,
        StripOption::FastOpen,
    ];

    /// The word in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StripOption::Mss => "mss",
            StripOption::WindowScale => "window-scale",
            StripOption::Sack => "sack",
            StripOption::Timestamps => "timestamps",
            StripOption::FastOpen => "fast-open",
        }
    }
}

/// Something that stands between links as a router does, and changes or drops packets on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiddleboxSpec {
    /// Its name.
    pub name: String,
    /// Lowers the MSS in SYNs.
    pub clamp_mss: Option<ClampMss>,
    /// Takes these options out of every segment.
    pub strip: Vec<StripOption>,
    /// Drops SYNs that carry data.
    pub drop_syn_data: bool,
    /// Translates the addresses of what leaves by this link to its own, and back.
    pub nat_outside: Option<String>,
}

/// A link between two nodes (hosts, routers, middleboxes).
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSpec {
    /// Its name.
    pub name: String,
    /// The nodes that it joins; `forward` is from the first to the second.
    pub between: [String; 2],
    /// Each direction.
    pub config: LinkConfig,
}

#[cfg(test)]
mod tests;
