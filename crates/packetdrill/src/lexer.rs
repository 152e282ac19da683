//! Which words is a script made of?
//!
//! Tokens are read when they are asked for: flags, cookies and options have rules of their own, and only the parser knows
//! where they stand.

use crate::error::ScriptError;
use std::collections::BTreeMap;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name.
    Word(String),
    /// A number as written: decimal, hexadecimal, or with a fraction.
    Number(String),
    /// `...`
    Ellipsis,
    /// Any other character.
    Symbol(char),
    /// `"…"`
    Text(String),
    /// `` `…` ``
    Command(String),
    /// `%{ … }%`
    Code(String),
    /// The script is over.
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Word(text) | Token::Number(text) => write!(f, "\"{text}\""),
            Token::Ellipsis => f.write_str("\"...\""),
            Token::Symbol(symbol) => write!(f, "\"{symbol}\""),
            Token::Text(_) => f.write_str("a string"),
            Token::Command(_) => f.write_str("a command"),
            Token::Code(_) => f.write_str("a code section"),
            Token::End => f.write_str("the end of the script"),
        }
    }
}

/// Reads tokens from a script.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    defines: &'a BTreeMap<String, String>,
}

impl<'a> Lexer<'a> {
    /// The tokens of `text`; words that are keys of `defines` stand for their values.
    #[must_use]
    pub fn new(text: &'a str, defines: &'a BTreeMap<String, String>) -> Lexer<'a> {
        Lexer { text, at: 0, line: 1, defines }
    }

    /// The line of what was read last, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        self.line += self.text[self.at..self.at + bytes].matches('\n').count();
        self.at += bytes;
    }

    /// Moves behind blanks and comments.
    pub fn skip_blanks(&mut self) -> Result<(), ScriptError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.advance(blank);
            if self.rest().starts_with("//") {
                let end = self.rest().find('\n').unwrap_or(self.rest().len());
                self.advance(end);
            } else if self.rest().starts_with("/*") {
                let end = self.rest().find("*/").ok_or_else(|| self.unclosed("a comment"))?;
                self.advance(end + 2);
            } else if blank == 0 {
                return Ok(());
            }
        }
    }

    fn unclosed(&self, what: &str) -> ScriptError {
        ScriptError::syntax(self.line, format!("{what} begins here and does not end"))
    }

    fn until(&mut self, from: usize, end: &str, what: &str) -> Result<String, ScriptError> {
        let length = self.rest()[from..].find(end).ok_or_else(|| self.unclosed(what))?;
        let text = self.rest()[from..from + length].to_owned();
        self.advance(from + length + end.len());
        Ok(text)
    }

    /// The next token.
    ///
    /// # Errors
    /// A string, comment, command or code section that does not end.
    pub fn next(&mut self) -> Result<Token, ScriptError> {
        self.skip_blanks()?;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        if rest.starts_with("...") {
            self.advance(3);
            return Ok(Token::Ellipsis);
        }
        if rest.starts_with("%{") {
            return self.until(2, "}%", "a code section").map(Token::Code);
        }
        match first {
            '`' => return self.until(1, "`", "a command").map(Token::Command),
            '"' => return self.until(1, "\"", "a string").map(Token::Text),
            _ => {}
        }
        let fraction = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() || fraction {
            let length = number_length(rest);
            let number = rest[..length].to_owned();
            self.advance(length);
            return Ok(Token::Number(number));
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = &rest[..length];
            self.advance(length);
            return Ok(match self.defines.get(word) {
                Some(value) if value.starts_with(|c: char| c.is_ascii_digit()) => {
                    Token::Number(value.clone())
                }
                Some(value) => Token::Word(value.clone()),
                None => Token::Word(word.to_owned()),
            });
        }
        self.advance(first.len_utf8());
        Ok(Token::Symbol(first))
    }

    /// The next token, which stays.
    ///
    /// # Errors
    /// As [`Lexer::next`].
    pub fn peek(&self) -> Result<Token, ScriptError> {
        self.clone().next()
    }

    /// The characters up to the next blank, comma or angle bracket: flags, cookies.
    ///
    /// # Errors
    /// A comment before it does not end.
    pub fn raw(&mut self) -> Result<String, ScriptError> {
        self.skip_blanks()?;
        let rest = self.rest();
        let length = rest.find(|c: char| c.is_whitespace() || ",<>".contains(c)).unwrap_or(rest.len());
        let raw = rest[..length].to_owned();
        self.advance(length);
        Ok(self.defines.get(&raw).cloned().unwrap_or(raw))
    }

    /// The rest of an option line, up to the next blank.
    ///
    /// # Errors
    /// A comment before it does not end.
    pub fn option(&mut self) -> Result<Option<String>, ScriptError> {
        self.skip_blanks()?;
        if !self.rest().starts_with("--") {
            return Ok(None);
        }
        let rest = self.rest();
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let option = rest[2..length].to_owned();
        self.advance(length);
        Ok(Some(option))
    }

    /// Moves behind a note in parentheses, if one follows.
    ///
    /// # Errors
    /// It does not end.
    pub fn skip_note(&mut self) -> Result<(), ScriptError> {
        self.skip_blanks()?;
        if self.rest().starts_with('(') {
            self.until(1, ")", "a note")?;
        }
        Ok(())
    }
}

/// How long is the number at the start? A point belongs to it when a digit follows.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    if text.starts_with("0x") || text.starts_with("0X") {
        let digits = text[2..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len() - 2);
        return 2 + digits;
    }
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    if bytes.get(whole) == Some(&b'.') && bytes.get(whole + 1).is_some_and(u8::is_ascii_digit) {
        whole + 1 + digits(whole + 1)
    } else {
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let defines = BTreeMap::from([("COOKIE".to_owned(), "12ab".to_owned())]);
        let mut lexer = Lexer::new(text, &defines);
        let mut tokens = Vec::new();
        loop {
            match lexer.next().unwrap() {
                Token::End => return tokens,
                token => tokens.push(token),
            }
        }
    }

    #[test]
    fn an_ellipsis_is_not_part_of_the_number_before_it() {
        let number = |text: &str| Token::Number(text.to_owned());
        assert_eq!(tokens("+0...0.300"), [Token::Symbol('+'), number("0"), Token::Ellipsis, number("0.300")]);
        assert_eq!(tokens(".1 0x1F"), [number(".1"), number("0x1F")]);
    }

    #[test]
    fn comments_are_blanks_and_defined_words_are_replaced() {
        assert_eq!(
            tokens("a // b\n/* c\n */ COOKIE"),
            [Token::Word("a".into()), Token::Number("12ab".into())]
        );
    }

    #[test]
    fn lines_are_counted_through_comments_commands_and_code() {
        let defines = BTreeMap::new();
        let mut lexer = Lexer::new("`a\nb`\n// c\n%{\n}%\nend", &defines);
        for _ in 0..3 {
            lexer.next().unwrap();
        }
        assert_eq!(lexer.line(), 6);
    }

    #[test]
    fn what_does_not_end_says_where_it_begins() {
        let defines = BTreeMap::new();
        let error = Lexer::new("\n`ls", &defines).next().unwrap_err();
        assert!(matches!(error, ScriptError::Syntax { line: 2, .. }), "{error}");
    }
}
