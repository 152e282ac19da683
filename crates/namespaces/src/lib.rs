//! Real Linux hosts, in network namespaces, on the links of a lab's world.
//!
//! A scenario's hosts become network namespaces with a TUN device per link end; its links, routers and middleboxes stay
//! the lab's own [`World`](narrows_lab::World), run by the clock on the wall. So both kinds of hosts meet the same network, and can be held
//! against each other: [`compare`] plays a scenario on our stack in virtual time and between real hosts.
//! [`up`] keeps a lab running for any program, [`RunningLab`] finds it again.
//!
//! ```no_run
//! use narrows_lab::scenario::Scenario;
//! use narrows_namespaces::{CompareOptions, compare};
//!
//! let scenario = Scenario::from_toml("rpc.toml", r#"
//!     [host.client]
//!     [host.server]
//!     [link.path]
//!     between = ["client", "server"]
//!     delay = "10ms"
//!     [workload.rpc]
//!     kind = "request-response"
//!     requests = 10
//!     request = [12, 180]
//!     answer = 64
//! "#)?;
//! let comparison = compare(&scenario, CompareOptions::default())?;
//! for row in &comparison.rows {
//!     let (ours, linux) = row.medians();
//!     println!("{}: {ours} {linux}", row.name);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
mod compare;
mod datagrams;
mod error;
mod host;
mod lateness;
mod measured;
mod namespace;
mod permitted;
mod programs;
mod punctual;
mod quantities;
mod scene;
mod settings;
mod speaker;
mod stage;
mod state;
mod take;
mod tally;
pub mod truth;
pub mod truth_loss;
mod truth_page;
pub mod truth_queue;
pub mod truth_size;
mod turnaround;
mod up;
mod waves;
mod wire;

pub use clock::Clock;
pub use compare::{CompareOptions, Comparison, Row, Unit, compare, compared, median};
pub use error::Error;
pub use host::{RealHost, open_hosts};
pub use lateness::Lateness;
pub use measured::{Measured, RealRun};
pub use namespace::{Namespace, ip, sysctl};
pub use permitted::{installed, permitted};
pub use punctual::{Punctual, go_first};
pub use settings::{Settings, apply_to_socket, settings};
pub use speaker::{Part, Speaker};
pub use stage::Stage;
pub use state::{Announcement, RunningHost, RunningLab, folder};
pub use take::{Take, TakeOptions, linux, ours};
pub use tally::{Sent, Tally};
pub use turnaround::measure_host_times;
pub use up::up;
pub use waves::{Progress, measure};
pub use wire::{WireOptions, WireReport, carry};
