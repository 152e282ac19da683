//! Does any text that claims to be a packetdrill script end in a verdict: parsed, run against a host, and judged without a panic?
//!
//! How to run: `fuzz/Cargo.toml`. The scripts of `crates/stack/tests/packetdrill` make good seeds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use narrows_packetdrill::{Settings, run_text};

fuzz_target!(|text: &str| {
    let _ = run_text(text, None, &Settings::default());
});
