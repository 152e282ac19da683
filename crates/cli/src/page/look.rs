//! What may the page use? Its width, its characters and its colours.

use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Headings.
pub const HEADING: Style = Style::new().bold();
/// Time lost.
pub const LOST: Style = AnsiColor::Red.on_default();
/// Time gained, and what is well.
pub const GAIN: Style = AnsiColor::Green.on_default();
/// Evidence and what matters less.
pub const DIM: Style = Style::new().dimmed();

/// The narrowest page.
pub const MINIMUM_WIDTH: usize = 60;
/// The page's width where there is no terminal.
pub const DEFAULT_WIDTH: usize = 80;
/// Lines of prose get hard to read beyond this.
const MAXIMUM_WIDTH: usize = 120;

/// What the page may use.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    width: usize,
    unicode: bool,
}

impl Look {
    /// A page of `width` columns, kept between 60 and 120; without `unicode` it is plain ASCII.
    pub fn new(width: usize, unicode: bool) -> Look {
        Look { width: width.clamp(MINIMUM_WIDTH, MAXIMUM_WIDTH), unicode }
    }

    /// Columns.
    pub fn width(self) -> usize {
        self.width
    }

    /// Makes text fit for the page: no control characters (file names come from outside), and ASCII where the
    /// terminal knows nothing else.
    pub fn spell(self, text: &str) -> String {
        let mut spelled = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                control if control.is_control() => {
                    let _ = write!(spelled, "{}", control.escape_default());
                }
                plain if plain.is_ascii() || self.unicode => spelled.push(plain),
                'µ' => spelled.push('u'),
                '→' => spelled.push_str("->"),

                '–' | '−' => spelled.push('-'),
                '×' => spelled.push('x'),
                '±' => spelled.push_str("+/-"),
                '…' => spelled.push_str("..."),
                '≥' => spelled.push_str(">="),
                '≤' => spelled.push_str("<="),
                other => {
                    let _ = write!(spelled, "{}", other.escape_unicode());
                }
            }
        }
        spelled
    }

    /// A bar of `share` (0 to 1) of `columns`, in eighths of a block; what is there is never invisible.
    pub fn bar(self, share: f64, columns: usize) -> String {
        const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
        let share = share.clamp(0.0, 1.0);
        if share == 0.0 {
            return String::new();
        }
        if !self.unicode {
            let cells = ((share * columns as f64).round() as usize).max(1);
            return "#".repeat(cells);
        }
        let eighths = ((share * columns as f64 * 8.0).round() as usize).max(1);
        let mut bar = "█".repeat(eighths / 8);
        if let Some(rest) = (eighths % 8).checked_sub(1) {
            bar.push(EIGHTHS[rest]);
        }
        bar
    }
}

/// Columns that a text takes.
pub fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, filled with spaces to `width` columns.
pub fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text at the right end of `width` columns.
pub fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The words of a text; a unit goes with its number (`8.46 s`, `75 %`), so that no line begins with a unit.
fn words(text: &str) -> Vec<String> {
    const UNITS: [&str; 6] = ["s", "ms", "µs", "us", "%", "bytes"];
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let bare = word.trim_end_matches(|character: char| ".,;:)]".contains(character));
        match words.last_mut() {
            Some(number) if UNITS.contains(&bare) && number.ends_with(|c: char| c.is_ascii_digit()) => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Breaks a text into lines of at most `width` columns, between words where that is possible.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words(text) {
        if !line.is_empty() && columns(&line) + 1 + columns(&word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            if !line.is_empty() && columns(&line) + character.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bars_grow_in_eighths_and_never_vanish() {
        let look = Look::new(80, true);
        assert_eq!(look.bar(1.0, 4), "████");
        assert_eq!(look.bar(0.5, 1), "▌");
        assert_eq!(look.bar(0.0001, 10), "▏");
        assert_eq!(look.bar(0.0, 10), "");
        assert_eq!(Look::new(80, false).bar(0.5, 10), "#####");
        assert_eq!(Look::new(80, false).bar(0.0001, 10), "#");
    }

    #[test]
    fn names_from_outside_cannot_control_the_terminal() {
        let look = Look::new(80, true);
        assert_eq!(look.spell("a\u{1b}[31mb\n.pcap"), "a\\u{1b}[31mb\\n.pcap");
        assert_eq!(look.spell("é µs"), "é µs");
        assert_eq!(Look::new(80, false).spell("é 3 µs → …"), "\\u{e9} 3 us -> ...");
    }

    #[test]
    fn long_words_are_broken_and_short_ones_kept() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("it took 8.46 s (75 %).", 12), ["it took", "8.46 s", "(75 %)."]);
        assert_eq!(wrap("", 10), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked(text in "[a-zé→ ]{0,80}", width in 2usize..40) {
            let lines = wrap(&text, width);
            for line in &lines {
                prop_assert!(columns(line) <= width);
            }
            let without_spaces = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(without_spaces(&lines.concat()), without_spaces(&text));
        }

        #[test]
        fn a_bar_is_never_longer_than_its_room(share in 0.0f64..=1.0, room in 1usize..60, unicode: bool) {
            prop_assert!(columns(&Look::new(80, unicode).bar(share, room)) <= room);
        }
    }
}
