//! How many packets per second can be read and analysed, with all detectors? `cargo bench -p narrows-trace --bench analyse`

use divan::{Bencher, counter::ItemsCount};
use narrows_trace::{AnalyzerOptions, examine, read::Capture};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

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
    if std::env::args().any(|argument| argument == "--bench") {
        memory();
        peer();
    }
    let path = path();
    if path.exists() {
        std::fs::remove_file(path).expect("the generated capture is ours");
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-analyse.pcap")
}

/// Prints the most memory this process has had, the capture's generation included; only Linux says it.
fn memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if let Some(kibibytes) = peak {
        println!("peak memory: {} MiB", kibibytes / 1024);
    }
}

/// Times tcptrace on the same file in the same run, where it is installed.
fn peer() {
    let (path, generated) = &*CAPTURE;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        let run = Command::new("tcptrace")
            .args(["-n", "-b"])
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match run {
            Ok(status) if status.success() => times.push(begin.elapsed()),
            Ok(status) => return eprintln!("tcptrace failed: {status}"),
            Err(_) => return eprintln!("tcptrace is not installed: no peer to compare with"),
        }
    }
    times.sort_unstable();
    let rate = |time: Duration| generated.packets as f64 / time.as_secs_f64() / 1e6;
    println!("tcptrace -n -b: fastest {:.2}, median {:.2} million packets/s", rate(times[0]), rate(times[2]));
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
