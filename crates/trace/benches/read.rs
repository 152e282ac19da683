//! How many packets per second can be read, and their headers with them? `cargo bench -p narrows-trace --bench read`

use divan::{Bencher, counter::ItemsCount};
use narrows_trace::read::{Capture, PacketHeaders};
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
    assert!(generated.packets >= Shape::GOAL.packets);
    eprintln!("{} packets, {} bytes", generated.packets, generated.bytes);
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
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-read.pcap")
}

#[divan::bench(sample_count = 10)]
fn packets(bencher: Bencher) {
    let (path, generated) = &*CAPTURE;
    bencher.counter(ItemsCount::new(generated.packets)).bench_local(|| {
        let mut capture = Capture::open(path).expect("the generated capture");
        let mut bytes = 0;
        while let Some(packet) = capture.next_packet() {
            bytes += packet.expect("a whole capture").captured.len();
        }
        bytes
    });
}

#[divan::bench(sample_count = 10)]
fn packets_and_headers(bencher: Bencher) {
    let (path, generated) = &*CAPTURE;
    bencher.counter(ItemsCount::new(generated.packets)).bench_local(|| {
        let mut packets = PacketHeaders::new(Capture::open(path).expect("the generated capture"));
        let mut bytes = 0u64;
        while let Some(packet) = packets.next_packet() {
            bytes += u64::from(packet.expect("a whole capture").headers.payload_bytes);
        }
        assert_eq!(packets.counts().tcp, generated.packets);
        bytes
    });
}

/// A smaller capture, compressed in memory, so that decompression is what is measured.
#[divan::bench(sample_count = 5, args = ["gzip", "zstd"])]
fn compressed_packets_and_headers(bencher: Bencher, format: &str) {
    let mut plain = Vec::new();
    let shape = Shape { packets: 200_000, connections: 6_000, ..Shape::GOAL };
    let generated = generate::generate(shape, &mut plain).expect("memory does not fail");
    let compressed = if format == "gzip" {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&plain).and_then(|()| encoder.finish()).expect("memory does not fail")
    } else {
        ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest)
    };
    bencher
        .counter(ItemsCount::new(generated.packets))
        .with_inputs(|| compressed.clone())
        .bench_local_values(|compressed| {
            let capture = Capture::from_reader(std::io::Cursor::new(compressed), format);
            let mut packets = PacketHeaders::new(capture.expect("the generated capture"));
            while let Some(packet) = packets.next_packet() {
                packet.expect("a whole capture");
            }
            assert_eq!(packets.counts().tcp, generated.packets);
        });
}
