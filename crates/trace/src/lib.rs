//! Captures in; connections, conversations and findings out.
//!
//! Data flows one way: `read` turns a file into packets with capture times, `tcp` turns packets
//! into [`Connection`]s, and `detect` turns a connection into [`Finding`]s.

pub mod connection;
pub mod finding;
pub mod read;

pub use connection::*;
pub use finding::*;
