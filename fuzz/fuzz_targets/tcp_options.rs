//! Do TCP options from outside parse without a panic, and does what parses fit and survive being written and read again?
//!
//! How to run: `fuzz/Cargo.toml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use narrows_wire::{OptionOrder, RawOptions, TcpOptions};

fuzz_target!(|bytes: &[u8]| {
    let options = TcpOptions::parse(bytes).unwrap_or_else(|damaged| damaged.options);
    let mut emitted = Vec::new();
    options.emit(&mut emitted);
    assert_eq!(emitted.len(), options.len());
    assert!(emitted.len() <= TcpOptions::MAX_BYTES && emitted.len().is_multiple_of(4));
    let again = TcpOptions::parse(&emitted).expect("what was written can be read");
    assert_eq!(again.mss, options.mss);
    assert_eq!(again.window_scale, options.window_scale);
    assert_eq!(again.sack_permitted, options.sack_permitted);
    assert_eq!(again.timestamps, options.timestamps);
    assert!(options.sack.as_slice().starts_with(again.sack.as_slice()));
    assert!(RawOptions::new(bytes).count() <= bytes.len());
    assert_eq!(OptionOrder::of_bytes(bytes).is_empty(), OptionOrder::of_bytes(bytes).to_string().is_empty());
});
