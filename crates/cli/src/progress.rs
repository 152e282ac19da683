//! How far is it? A progress bar on the terminal when reading or replaying takes longer than 300 ms.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Read};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(300);
/// Bytes or steps are only counted in lots of this size, so that the bar costs nothing.
const LOT_BYTES: u64 = 1 << 18;

/// A bar on stderr that appears after 300 ms, on a terminal only, and erases itself in the end.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
    wanted: bool,
}

impl Progress {
    /// Progress in bytes of a file of a known or (`None`) unknown length.
    pub fn bytes(name: &str, length: Option<u64>) -> Progress {
        let template = match length {
            Some(_) => "{msg} {wide_bar} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left",
            None => "{msg} {spinner} {bytes}, {binary_bytes_per_sec}",
        };
        Progress::new(name, length, template)
    }

    /// Progress in steps.
    pub fn steps(name: &str, steps: u64) -> Progress {
        Progress::new(name, Some(steps), "{msg} {wide_bar} {pos} of {len}")
    }

    fn new(name: &str, length: Option<u64>, template: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(name.chars().filter(|character| !character.is_control()).collect::<String>());
        Progress { bar, begun: Instant::now(), shown: false, wanted: io::stderr().is_terminal() }
    }

    /// So much more is done.
    pub fn advance(&mut self, by: u64) {
        self.bar.inc(by);
        if self.wanted && !self.shown && self.begun.elapsed() > PATIENCE {
            self.shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A reader whose bytes advance a bar.
#[derive(Debug)]
pub struct Watched<R> {
    inner: R,
    progress: Progress,
    pending: u64,
}

impl<R: Read> Watched<R> {
    /// Watches `inner`.
    pub fn new(inner: R, progress: Progress) -> Watched<R> {
        Watched { inner, progress, pending: 0 }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.pending += bytes as u64;
        if self.pending >= LOT_BYTES {
            self.progress.advance(std::mem::take(&mut self.pending));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watching_changes_nothing_and_counts_all_lots() {
        let data = vec![7u8; 3 * LOT_BYTES as usize + 5];
        let mut watched = Watched::new(&data[..], Progress::bytes("a", Some(data.len() as u64)));
        let bar = watched.progress.bar.clone();
        let mut read = Vec::new();
        watched.read_to_end(&mut read).expect("memory can be read");
        assert_eq!(read, data);
        assert!(bar.position() >= 2 * LOT_BYTES, "{}", bar.position());
        drop(watched);
        assert!(bar.is_finished());
    }
}
