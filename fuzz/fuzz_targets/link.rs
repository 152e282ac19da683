//! Do captured frames of any link type come apart without a panic?
//!
//! The first four bytes are the link type; how to run: `fuzz/Cargo.toml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use narrows_wire::link::{self, LinkError};

fuzz_target!(|input: &[u8]| {
    let Some((link_type, frame)) = input.split_first_chunk::<4>() else { return };
    let link_type = u32::from_le_bytes(*link_type);
    // Most numbers are unknown link types; all known ones fit into a byte but one.
    for link_type in [link_type, link_type & 0xff, link::LINUX_SLL2] {
        match link::strip(link_type, frame) {
            Ok(packet) => assert!(frame.ends_with(packet)),
            Err(LinkError::UnknownLinkType { .. }) => assert!(link::name(link_type).is_none()),
            Err(LinkError::Truncated { end, .. }) => assert_eq!(end, frame.len()),
            Err(LinkError::NotIp { .. }) => {}
        }
    }
});
