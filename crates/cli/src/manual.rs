//! How does a shell, how does `man` learn about the command? Completions and the manual page, from the same definition.

use crate::args::Arguments;
use clap::CommandFactory;
use std::io::{self, Write};

/// Writes the completions for a shell.
///
/// # Errors
/// Those of the output.
pub fn completions(shell: clap_complete::Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "narrows", &mut text);
    out.write_all(&text)
}

/// Writes the manual page in roff.
///
/// # Errors
/// Those of the output.
pub fn man(out: &mut dyn Write) -> io::Result<()> {
    clap_mangen::Man::new(Arguments::command()).render(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_learns_every_option() {
        for shell in clap_complete::Shell::value_variants() {
            let mut text = Vec::new();
            completions(*shell, &mut text).expect("memory can be written");
            assert!(String::from_utf8_lossy(&text).contains("fail-on"), "{shell}");
        }
    }

    #[test]
    fn the_manual_page_has_the_exit_status() {
        let mut text = Vec::new();
        man(&mut text).expect("memory can be written");
        assert!(String::from_utf8_lossy(&text).contains("Exit status"));
    }
}
