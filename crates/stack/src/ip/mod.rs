//! Packets that are larger than a link, in pieces: cut at the sender or on a router, put together at the destination.

pub mod fragment;
pub mod ident;
pub mod reassembly;
