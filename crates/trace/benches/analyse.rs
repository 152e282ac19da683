//! How many packets per second can be read and analysed, with all detectors? `cargo bench -p narrows-trace --bench analyse`

use divan::{Bencher, counter::ItemsCount};
use narrows_trace::{AnalyzerOptions, examine, read::Capture};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

#[path = "support/generate.rs"]
mod generate;
use generate::{Generated, Shape};

/// The generated capture and what is in it.
static CAPTURE: LazyLock<(PathBuf, Generated)> = LazyLock::new(|| {
    let path = path();
    let mut out = BufWriter::new(File::create(&path).expect("a file in the target directory"));
    let generated = generate::generate(Shape::GOAL, &mut out).expect("room for the capture");
    out.flush().expect("room for the capture");
    (path, generated)
});

fn main() {
    divan::main();
    let path = path();
    if path.exists() {
        std::fs::remove_file(path).expect("the generated capture is ours");
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-analyse.pcap")
}

#[divan::bench(sample_count = 10)]
fn packets_to_findings(bencher: Bencher) {
    let (path, generated) = &*CAPTURE;
    bencher.counter(ItemsCount::new(generated.packets)).bench_local(|| {
        let capture = Capture::open(path).expect("the generated capture");
        let examined = examine(capture, AnalyzerOptions::default(), &mut |_| {});
        assert_eq!(examined.analysis.connections.len(), Shape::GOAL.connections as usize);
        examined
    });
}
