//! Prints the page of all knobs: `cargo run -p narrows-stack --example knobs > docs/knobs.md`.

fn main() {
    print!("{}", narrows_stack::knob::page());
}
