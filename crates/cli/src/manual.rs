//! How does a shell, how does `man` learn about the command? Completions and the manual page, from the same definition.

use crate::args::Arguments;
use clap::CommandFactory;
use narrows_stack::knob::KNOBS;
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
    let mut text = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
    text.extend(knobs().into_bytes());
    out.write_all(&text)
}

/// The table of knobs as a section of the manual page.
fn knobs() -> String {
    let mut section = String::from(".SH KNOBS\n");
    for knob in KNOBS {
        let head = format!("{} ({}; Linux: {})", knob.name, knob.kind.expected(), knob.linux_default);
        section.push_str(&format!(".TP\n{}\n{}\n", roff(&head), roff(knob.trades)));
    }
    section
}

/// Text that roff takes as it is: no line of the table begins with a control character, a backslash escapes, and a
/// hyphen is a minus sign to be copied.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
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
    fn the_manual_page_has_the_exit_status_and_every_knob() {
        let mut text = Vec::new();
        man(&mut text).expect("memory can be written");
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("Exit status"));
        for knob in KNOBS {
            assert!(text.contains(&format!(".TP\n{} (", knob.name)), "{}", knob.name);
        }
    }
}
