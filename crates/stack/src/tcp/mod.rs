//! The parts of a TCP connection, one file per question.

pub mod ack;
pub mod congestion;
pub mod ecn;
mod loss_by_size;
pub mod mtu_probe;
pub mod nagle;
pub mod options;
pub mod recovery;
pub mod rtt;
pub mod tick;
pub mod timer;
pub mod window;

mod assembler;
mod black_hole;
mod buffers;
mod calls;
pub(crate) mod challenge;
mod chrono;
mod compressed;
pub(crate) mod connection;
mod defer;
mod handshake;
mod icmp_errors;
mod info;
mod input;
pub(crate) mod listen;
mod output;
mod reasons;
mod receive_data;
mod receive_memory;
pub(crate) mod rest;
mod segment_size;
mod send_buffer;
mod send_queue;
mod sending;
pub(crate) mod time_wait;
mod timeouts;

pub use connection::State;
pub(crate) use handshake::Begin;
pub use info::{SocketStatus, TcpInfo};
pub use output::SendDecision;
pub use reasons::{Held, Reasons};
