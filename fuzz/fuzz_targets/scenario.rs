//! Does any text that claims to be a scenario end in a scenario or a typed error, and does what was read survive being written and
//! read again?
//!
//! How to run: `fuzz/Cargo.toml`. The scenarios of `crates/lab/scenarios` make good seeds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use narrows_lab::scenario::Scenario;

fuzz_target!(|text: &str| {
    if let Ok(scenario) = Scenario::from_toml("fuzz.toml", text) {
        let written = scenario.to_toml();
        let again = Scenario::from_toml("written.toml", &written).expect("what was written can be read");
        assert_eq!(again.to_toml(), written);
    }
});
