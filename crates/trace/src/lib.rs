//! Captures in; connections, conversations and findings out.
//!
//! Data flows one way: `read` turns a file into packets with capture times, `tcp` turns packets
//! into [`Connection`]s, and `detect` turns a connection into [`Finding`]s.
//!
//! ```
//! use narrows_trace::{AnalyzerOptions, Cause, examine, read::Capture};
//!
//! let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../captures/slow-rpc.pcap");
//! let examined = examine(Capture::open(file)?, AnalyzerOptions::default(), &mut |_| {});
//! let connection = &examined.analysis.connections[0];
//! assert_eq!(connection.findings[0].cause, Cause::NagleDelayedAck);
//! assert!(connection.account.delayed_ack > connection.duration / 2);
//! # Ok::<(), narrows_trace::read::ReadError>(())
//! ```

mod account;
mod ack_timer;
mod both_ends;
pub mod connection;
mod datagram;
mod detect;
mod exchange;
mod file;
pub mod finding;
mod identify;
mod rate;
pub mod read;
mod script;
mod size;
mod sorting;
pub mod tcp;
#[cfg(test)]
mod testing;
mod tick;
mod unpack;
mod vantage;
mod walk;

pub use file::{Examined, examine};
pub use sorting::{Carried, TooBig};
pub use tcp::{Analysis, Analyzer, AnalyzerOptions, Segment};

pub use both_ends::{BothEnds, Rewritten, SynOption, Way, both_ends};
pub use connection::*;
pub use datagram::{DatagramFlow, DatagramSide};
pub use finding::*;
pub use unpack::tunnel::{Outer, TunnelKind};
