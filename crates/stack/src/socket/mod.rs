//! Who owns an address, a port, a connection?
//!
//! The rooms for the full binding rules (`bind.rs`) and for groups of listeners (`reuseport.rs`) are here.

pub(crate) mod demux;
