//! How far is it? A progress bar on the terminal when reading or replaying takes longer than 300 ms.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(300);

/// A bar on stderr that appears after 300 ms, on a terminal only, and erases itself in the end.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    waits: bool,
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

    /// Progress in words, of something whose length nobody knows.
    pub fn spinner(name: &str) -> Progress {
        Progress::new(name, None, "{spinner} {msg}")
    }

    /// It is doing this now.
    pub fn say(&mut self, doing: &str) {
        self.bar.set_message(doing.chars().filter(|character| !character.is_control()).collect::<String>());
        self.set(self.bar.position() + 1);
    }

    fn new(name: &str, length: Option<u64>, template: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        // A file's name comes from outside and must not control the terminal.
        bar.set_message(name.chars().filter(|character| !character.is_control()).collect::<String>());
        Progress { bar, begun: Instant::now(), waits: io::stderr().is_terminal() }
    }

    /// It has come this far.
    pub fn set(&mut self, position: u64) {
        self.bar.set_position(position);
        if self.waits && self.begun.elapsed() > PATIENCE {
            self.waits = false;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_hides_at_first_and_is_gone_in_the_end() {
        for mut progress in [
            Progress::bytes("a\u{1b}[2J", Some(100)),
            Progress::bytes("-", None),
            Progress::steps("replaying", 100),
        ] {
            let bar = progress.bar.clone();
            progress.set(42);
            assert_eq!(bar.position(), 42);
            assert!(bar.is_hidden());
            assert!(!bar.message().contains('\u{1b}'));
            drop(progress);
            assert!(bar.is_finished());
        }
    }
}
