//! placeholder
mod clock;
mod error;
mod host;
mod lateness;
mod namespace;
mod settings;
mod wire;

pub use clock::Clock;
pub use error::Error;
pub use host::{RealHost, open_hosts};
pub use lateness::Lateness;
pub use namespace::Namespace;
pub use settings::{Settings, apply_to_socket, settings};
pub use wire::{WireOptions, WireReport, carry};
