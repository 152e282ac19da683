//! How far is `explain` from the truth? Scores it on folders of captures with the truth beside them.

fn main() {}
