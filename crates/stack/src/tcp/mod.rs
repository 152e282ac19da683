//! The parts of a TCP connection, one file per question.

pub mod ack;
pub mod congestion;
pub mod nagle;
pub mod recovery;
pub mod rtt;
pub mod tick;
