//! What does a script say? Options, an opening command, events, a closing command.

mod call;
mod packet;

use crate::error::ScriptError;
use crate::lexer::{Lexer, Token};
use crate::script::{Action, Call, Command, Event, Script, ScriptOption, Time};
use std::collections::BTreeMap;

/// Reads a script; words that are keys of `defines` stand for their values.
///
/// # Errors
/// [`ScriptError::Syntax`] with the line, and [`ScriptError::NotApplicable`] for the parts of the language that have nothing
/// to do with a TCP/IP stack of one host.
pub fn parse(text: &str, defines: &BTreeMap<String, String>) -> Result<Script, ScriptError> {
    let mut parser = Parser { lexer: Lexer::new(text, defines) };
    let mut script = Script::default();
    while let Some(option) = parser.lexer.option()? {
        let line = parser.line();
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option, None),
        };
        script.options.push(ScriptOption { line, name, value });
    }
    if let Token::Command(text) = parser.peek()? {
        let line = parser.line_of_next()?;
        parser.next()?;
        script.init = Some(Command { line, text });
    }
    loop {
        let line = parser.line_of_next()?;
        match parser.peek()? {
            Token::End => break,
            Token::Command(text) => {
                parser.next()?;
                script.cleanup = Some(Command { line, text });
                parser.expect_end()?;
                break;
            }
            _ => script.events.push(parser.event(line)?),
        }
    }
    if script.events.is_empty() {
        return Err(ScriptError::syntax(parser.line(), "the script has no event"));
    }
    Ok(script)
}

pub(crate) struct Parser<'a> {
    lexer: Lexer<'a>,
}

impl Parser<'_> {
    fn line(&self) -> usize {
        self.lexer.line()
    }

    fn line_of_next(&mut self) -> Result<usize, ScriptError> {
        self.lexer.skip_blanks()?;
        Ok(self.lexer.line())
    }

    fn next(&mut self) -> Result<Token, ScriptError> {
        self.lexer.next()
    }

    fn peek(&self) -> Result<Token, ScriptError> {
        self.lexer.peek()
    }

    fn unexpected<T>(&self, token: &Token, expected: &str) -> Result<T, ScriptError> {
        Err(ScriptError::syntax(self.line(), format!("{expected} was expected, not {token}")))
    }

    fn take(&mut self, symbol: char) -> Result<bool, ScriptError> {
        let there = self.peek()? == Token::Symbol(symbol);
        if there {
            self.next()?;
        }
        Ok(there)
    }

    fn expect(&mut self, symbol: char) -> Result<(), ScriptError> {
        match self.next()? {
            Token::Symbol(found) if found == symbol => Ok(()),
            token => self.unexpected(&token, &format!("\"{symbol}\"")),
        }
    }

    fn expect_end(&mut self) -> Result<(), ScriptError> {
        match self.next()? {
            Token::End => Ok(()),
            token => self.unexpected(&token, "the end of the script after its last command"),
        }
    }

    fn event(&mut self, line: usize) -> Result<Event, ScriptError> {
        let (time, returns) = self.time()?;
        let action = match self.peek()? {
            Token::Symbol('<' | '>') => Action::Packet(self.packet()?),
            Token::Command(text) => {
                let line = self.line_of_next()?;
                self.next()?;
                Action::Command(Command { line, text })
            }
            Token::Code(text) => {
                self.next()?;
                Action::Code(text)
            }
            Token::Word(_) => Action::Call(Call { returns, ..self.call()? }),
            token => return self.unexpected(&token, "a packet, a call, a command or a code section"),
        };
        if returns.is_some() && !matches!(action, Action::Call(_)) {
            return Err(ScriptError::syntax(line, "only a call has a time at which it returns (\"...\")"));
        }
        Ok(Event { line, time, action })
    }

    /// When an event happens, and when the call returns.
    fn time(&mut self) -> Result<(Time, Option<i64>), ScriptError> {
        if self.take('*')? {
            return Ok((Time::Any, None));
        }
        let relative = self.take('+')?;
        let start = self.seconds()?;
        if self.take('~')? {
            if self.take('+')? != relative {
                let problem = "both ends of a range are relative (\"+\"), or none";
                return Err(ScriptError::syntax(self.line(), problem));
            }
            let end = self.seconds()?;
            if end < start {
                return Err(ScriptError::syntax(self.line(), "the range ends before it begins"));
            }
            let time =
                if relative { Time::RelativeRange(start, end) } else { Time::AbsoluteRange(start, end) };
            return Ok((time, None));
        }
        let returns = if self.peek()? == Token::Ellipsis {
            self.next()?;
            let end = self.seconds()?;
            if end < start {
                return Err(ScriptError::syntax(self.line(), "the call returns before it is made"));
            }
            Some(end)
        } else {
            None
        };
        Ok((if relative { Time::Relative(start) } else { Time::Absolute(start) }, returns))
    }

    /// Seconds with a fraction, as microseconds.
    fn seconds(&mut self) -> Result<i64, ScriptError> {
        let token = self.next()?;
        if let Token::Number(text) = &token
            && let Some(microseconds) = microseconds(text)
        {
            return Ok(microseconds);
        }
        self.unexpected(&token, "a time in seconds, with at most six digits after the point,")
    }

    /// A whole number that fits.
    fn number<T: TryFrom<i64>>(&mut self, what: &str) -> Result<T, ScriptError> {
        let token = self.next()?;
        if let Token::Number(text) = &token
            && let Some(value) = integer(text)
            && let Ok(value) = T::try_from(value)
        {
            return Ok(value);
        }
        self.unexpected(&token, what)
    }

    fn word(&mut self, what: &str) -> Result<String, ScriptError> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            token => self.unexpected(&token, what),
        }
    }
}

fn microseconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(fraction)
}

pub(crate) fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
