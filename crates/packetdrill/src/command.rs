//! Which commands does a script run? Shell lines as words; the part of the shell that scripts use to set a system up.

use crate::error::ScriptError;

/// One simple command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simple {
    /// Line in the script, from 1.
    pub line: usize,
    /// The words; quotes removed, arithmetic done.
    pub words: Vec<String>,
    /// It runs only when the one before failed (`||`).
    pub otherwise: bool,
    /// What its output is piped into.
    pub filters: Vec<Vec<String>>,
}

/// The commands in `text`, without redirections.
///
/// # Errors
/// A quote or arithmetic that does not end.
pub fn split(text: &str, line: usize) -> Result<Vec<Simple>, ScriptError> {
    let mut commands = Vec::new();
    let mut splitter = Splitter { line, words: Vec::new(), word: None, otherwise: false, piped: false };
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let mut taken = character.len_utf8();
        let next = rest[taken..].chars().next();
        match character {
            '\\' if next == Some('\n') => {
                splitter.end_word();
                splitter.line += 1;
                taken += 1;
            }
            '\n' | ';' => {
                splitter.end_command(&mut commands);
                splitter.otherwise = false;
                splitter.line += usize::from(character == '\n');
            }
            '#' if splitter.word.is_none() => taken = rest.find('\n').unwrap_or(rest.len()),
            '&' if next == Some('&') => {
                splitter.end_command(&mut commands);
                splitter.otherwise = false;
                taken += 1;
            }
            '|' if next == Some('|') => {
                splitter.end_command(&mut commands);
                splitter.otherwise = true;
                taken += 1;
            }
            '|' => {
                splitter.end_command(&mut commands);
                splitter.piped = true;
            }
            '>' | '&' => {
                // A redirection: its target, and the number of the stream before it, are not words of the command.
                if splitter
                    .word
                    .as_ref()
                    .is_some_and(|word| word.len() == 1 && word.starts_with(char::is_numeric))
                {
                    splitter.word = None;
                }
                splitter.end_word();
                let from = rest[taken..].trim_start_matches(['>', '&', ' ', '\t']);
                let target = from.find(|c: char| c.is_whitespace() || c == ';').unwrap_or(from.len());
                taken = rest.len() - from.len() + target;
                let path = &from[..target];
                if path.starts_with("/sys/") || path.starts_with("/proc/") {
                    splitter.words.push(format!(">{path}"));
                }
            }
            '"' | '\'' => {
                let end = rest[1..]
                    .find(character)
                    .ok_or_else(|| ScriptError::syntax(splitter.line, "a quote in a command does not end"))?;
                let text = arithmetic(&rest[1..=end], splitter.line)?;
                splitter.word.get_or_insert_default().push_str(&text);
                taken = end + 2;
            }
            '$' if rest.starts_with("$((") => {
                let end = rest.find("))").ok_or_else(|| {
                    ScriptError::syntax(splitter.line, "arithmetic in a command does not end")
                })?;
                let text = arithmetic(&rest[..end + 2], splitter.line)?;
                splitter.word.get_or_insert_default().push_str(&text);
                taken = end + 2;
            }
            c if c.is_whitespace() => splitter.end_word(),
            c => splitter.word.get_or_insert_default().push(c),
        }
        rest = &rest[taken..];
    }
    splitter.end_command(&mut commands);
    Ok(commands)
}

struct Splitter {
    line: usize,
    words: Vec<String>,
    word: Option<String>,
    otherwise: bool,
    piped: bool,
}

impl Splitter {
    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self, commands: &mut Vec<Simple>) {
        self.end_word();
        let words = std::mem::take(&mut self.words);
        let piped = std::mem::take(&mut self.piped);
        match commands.last_mut() {
            _ if words.is_empty() => {}
            Some(before) if piped => before.filters.push(words),
            _ => commands.push(Simple {
                line: self.line,
                words,
                otherwise: self.otherwise,
                filters: Vec::new(),
            }),
        }
    }
}

/// Replaces `$((a*b))` by the product.
fn arithmetic(text: &str, line: usize) -> Result<String, ScriptError> {
    let Some((before, rest)) = text.split_once("$((") else { return Ok(text.to_owned()) };
    let bad = || ScriptError::syntax(line, "only products of numbers can be computed in a command");
    let (product, after) = rest.split_once("))").ok_or_else(bad)?;
    let mut value = 1u64;
    for factor in product.split('*') {
        let factor: u64 = factor.trim().parse().map_err(|_| bad())?;
        value = value.checked_mul(factor).ok_or_else(bad)?;
    }
    Ok(format!("{before}{value}{}", arithmetic(after, line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        split(text, 1).unwrap().into_iter().map(|command| command.words).collect()
    }

    #[test]
    fn commands_end_at_semicolons_line_ends_and_joints() {
        assert_eq!(
            words("a b; c\\\n d && e\n# nothing\nf || g"),
            [vec!["a", "b"], vec!["c", "d"], vec!["e"], vec!["f"], vec!["g"]]
        );
    }

    #[test]
    fn redirections_and_what_is_piped_into_are_left_out() {
        assert_eq!(
            words("ip x > /dev/null 2>&1\nnstat | grep y > /dev/null"),
            [vec!["ip", "x"], vec!["nstat"]]
        );
        assert_eq!(split("nstat | grep y > /dev/null", 1).unwrap()[0].filters, [["grep", "y"]]);
        assert_eq!(words("echo 3 > /sys/a"), [vec!["echo", "3", ">/sys/a"]]);
    }

    #[test]
    fn quotes_keep_blanks_and_products_are_computed() {
        assert_eq!(words("s k=\"1 2 $((15*1024))\""), [vec!["s", "k=1 2 15360"]]);
        assert!(split("s \"x", 1).is_err());
    }
}
