//! Is `docs/knobs.md` what the table says?

#[test]
fn the_page_of_knobs_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/knobs.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert!(
        page == narrows_stack::knob::page(),
        "docs/knobs.md is not what the table says; print it again: \
         cargo run -p narrows-stack --example knobs > docs/knobs.md"
    );
}
