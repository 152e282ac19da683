//! What does the live path to a host carry? Path MTU in both directions, exact also where ICMP is filtered; the hop where it narrows; the MSS
//! that both ends ask for; which ICMP comes back.
//!
//! ```no_run
//! use narrows_probe::{Options, Target, measure};
//!
//! let target: Target = "example.com:443".parse()?;
//! let report = measure(&Options::new(target), &mut |progress| eprintln!("{}", progress.doing))?;
//! println!("{:?}, {:?}", report.to_peer.path_mtu, report.from_peer.path_mtu);
//! # Ok::<(), narrows_probe::Error>(())
//! ```
//!
//! Sizes are those of whole IP packets, in bytes. What decides is pure and knows no socket: the search ([`Search`]) and the
//! account of probes under way. How it works and what it may and may not conclude is in `docs/path.md`.

#![forbid(unsafe_code)]

mod asked;
mod conclude;
mod contact;
mod error;
mod finding;
mod flight;
mod forward;
mod hops;
mod http;
mod interface;
mod line;
mod measure;
mod mss;
mod option;
mod plain;
mod prober;
mod raw;
mod report;
mod reverse;
mod search;
mod segment;
mod socket;
mod sparing;
mod target;
mod tcp;
mod thrifty;
mod tunnel;

pub use error::Error;
pub use line::Method;
pub use measure::{Options, Progress, measure};
pub use report::{
    AskedOnTheWay, Clamping, Direction, Finding, FindingKind, Fix, Hop, Icmp, Narrowing, PortState, Report,
    Seen, Size, Tcp,
};
pub use search::Search;
pub use target::{Target, Version};
pub use tunnel::{Likeness, Sureness, likenesses};
