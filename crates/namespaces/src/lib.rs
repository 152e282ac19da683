//! placeholder
mod clock;
mod compare;
mod error;
mod host;
mod lateness;
mod namespace;
mod punctual;
mod scene;
mod settings;
mod speaker;
mod stage;
mod take;
mod tally;
pub mod truth;
mod wire;

pub use clock::Clock;
pub use compare::{Comparison, CompareOptions, Row, Unit, compare, median};
pub use error::Error;
pub use host::{RealHost, open_hosts};
pub use lateness::Lateness;
pub use namespace::Namespace;
pub use settings::{Settings, apply_to_socket, settings};
pub use speaker::{Part, Speaker};
pub use stage::Stage;
pub use take::{Take, TakeOptions, linux, ours};
pub use tally::{Sent, Tally};
pub use wire::{WireOptions, WireReport, carry};
