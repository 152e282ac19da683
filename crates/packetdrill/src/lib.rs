//! Runs packetdrill scripts against the stack, in virtual time.
//!
//! A script says which packets come in and when, which calls an application makes, and which packets, results and TCP_INFO
//! values must be seen. The host is this project's own stack; its clock moves from event to event, so a script that spans a
//! minute takes less than a millisecond.
//!
//! ```
//! use narrows_packetdrill::{Settings, run_text};
//!
//! let script = "
//!      0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
//!     +0 bind(3, ..., ...) = 0
//!     +0 listen(3, 1) = 0
//!     +0 < S 0:0(0) win 65535 <mss 1460>
//!     +0 > S. 0:0(0) ack 1 <mss 1460>
//!    +.1 < . 1:1(0) ack 1 win 65535
//!     +0 accept(3, ..., ...) = 4";
//! assert_eq!(run_text(script, None, &Settings::default()), Ok(()));
//!
//! let wrong = script.replace("> S. 0:0(0) ack 1 <mss 1460>", "> S. 0:0(0) ack 2 <mss 1460>");
//! let error = run_text(&wrong, None, &Settings::default()).unwrap_err();
//! assert!(error.to_string().contains("line 6"));
//! ```

mod arguments;
mod call;
mod command;
mod environment;
mod epoll;
mod error;
mod expect;
mod expression;
mod inbound;
mod info;
mod lexer;
mod message;
mod operation;
mod options;
pub mod parser;
pub mod report;
mod run;
pub mod script;
mod settings;
mod socket_options;
mod stamps;
mod tables;
mod time;
mod world;

pub use error::ScriptError;
pub use options::{IpVersion, Settings};
pub use run::{run_parsed, run_script, run_text, run_with_packets};
