//! What is wrong with a scenario, where, and what was expected?

use narrows_stack::knob::edits;
use std::fmt;

/// Why a text is not a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    /// The file, or what it was called.
    pub file: String,
    /// Line and column, from 1, where the text has a place for it.
    pub place: Option<(usize, usize)>,
    /// The key, as `link.path.delay`; empty for the file as a whole.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if self.key.is_empty() {
            write!(f, ": {}", self.message)
        } else {
            write!(f, ": `{}`: {}", self.key, self.message)
        }
    }
}

/// Line and column, from 1, of a byte of a text.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// "did you mean …?" for a word that is not one of `known`, or what there is.
pub(super) fn near(word: &str, known: &[&str]) -> String {
    // A longer word is no typing error.
    let word: String = word.to_ascii_lowercase().replace('-', "_").chars().take(64).collect();
    let mut found: Vec<(usize, &str)> = known
        .iter()
        .map(|&other| {
            let plain = other.replace('-', "_");
            let contained = word.len() > 2 && (plain.contains(&word) || word.contains(&plain));
            (if contained { 1 } else { edits(&word, &plain) }, other)
        })
        .filter(|&(distance, other)| distance <= 2 && distance < other.len())
        .collect();
    found.sort_unstable();
    if found.is_empty() {
        return format!("expected {}", one_of(known));
    }
    let names: Vec<String> = found.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    format!("did you mean {}?", names.join(" or "))
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        assert_eq!(place("ab\nµcd\n", 0), (1, 1));
        assert_eq!(place("ab\nµcd\n", 5), (2, 2));
        assert_eq!(place("ab\nµcd\n", 4), (2, 1), "within a character");
        assert_eq!(place("ab", 99), (1, 3));
    }

    #[test]
    fn near_words_are_offered_and_otherwise_all() {
        assert_eq!(near("dealy", &["delay", "rate"]), "did you mean `delay`?");
        assert_eq!(near("drop_tail", &["drop-tail", "codel"]), "did you mean `drop-tail`?");
        assert_eq!(near("zzz", &["delay", "rate", "mtu"]), "expected delay, rate or mtu");
    }
}
