//! What is inside of what was captured? Fragments become datagrams again, tunnels their inner packets.

pub(crate) mod reassembly;
pub(crate) mod tunnel;

use narrows_wire::Headers;

/// A packet found inside others: its headers, and its bytes as far as they were captured.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked {
    pub(crate) headers: Headers,
    pub(crate) bytes: Vec<u8>,
    /// In how many fragments it came.
    pub(crate) pieces: u16,
}
