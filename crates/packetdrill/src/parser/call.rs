//! What does a line with a system call say?

use super::{Parser, integer};
use crate::error::ScriptError;
use crate::lexer::Token;
use crate::script::{Call, Value, Word};

/// How deep arguments may be nested.
const DEPTH: usize = 16;

impl Parser<'_> {
    /// `name(arguments) = result ERROR (note)`.
    pub(super) fn call(&mut self) -> Result<Call, ScriptError> {
        let name = self.word("the name of a call")?;
        self.expect('(')?;
        let arguments = self.values(')', 0)?;
        self.expect('=')?;
        let result = match self.next()? {
            Token::Symbol('?') => None,
            Token::Symbol('-') => Some(-self.number::<i64>("a result")?),
            Token::Number(text) => match integer(&text) {
                Some(value) => Some(value),
                None => return self.unexpected(&Token::Number(text), "a whole number"),
            },
            token => return self.unexpected(&token, "the result of the call"),
        };
        let mut errno = None;
        if let Token::Word(word) = self.peek()? {
            self.next()?;
            errno = Some(word);
        }
        self.lexer.skip_note()?;
        if errno.is_some() && result != Some(-1) {
            return Err(ScriptError::syntax(self.line(), "only a call that returns -1 has an error"));
        }
        Ok(Call { name, arguments, result, errno, returns: None })
    }

    /// Values up to the closing symbol.
    fn values(&mut self, close: char, depth: usize) -> Result<Vec<Value>, ScriptError> {
        let mut values = Vec::new();
        if depth > DEPTH {
            return Err(ScriptError::syntax(self.line(), "the arguments are nested too deeply"));
        }
        if self.take(close)? {
            return Ok(values);
        }
        loop {
            values.push(self.value(depth)?);
            if !self.take(',')? {
                self.expect(close)?;
                return Ok(values);
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, ScriptError> {
        match self.next()? {
            Token::Ellipsis => Ok(Value::Ellipsis),
            Token::Text(text) => Ok(Value::Text(text)),
            Token::Symbol('[') => self.values(']', depth + 1).map(Value::Array),
            Token::Symbol('{') => self.values('}', depth + 1).map(Value::Struct),
            Token::Symbol('-') => Ok(Value::Integer(-self.number::<i64>("a number")?)),
            Token::Number(text) => {
                let Some(number) = integer(&text) else {
                    return self.unexpected(&Token::Number(text), "a whole number");
                };
                if self.peek()? == Token::Symbol('|') {
                    return self.flags_from(Word::Number(number));
                }
                Ok(Value::Integer(number))
            }
            Token::Word(word) => {
                if self.take('(')? {
                    // The length that a field of a struct msghdr is written with.
                    self.values(')', depth + 1)?;
                    self.expect('=')?;
                    return Ok(Value::Field(word, Box::new(self.value(depth)?)));
                }
                if self.take('=')? {
                    return Ok(Value::Field(word, Box::new(self.value(depth)?)));
                }
                self.flags_from(Word::Name(word))
            }
            token => self.unexpected(&token, "an argument"),
        }
    }

    fn flags_from(&mut self, first: Word) -> Result<Value, ScriptError> {
        let mut words = vec![first];
        while self.take('|')? {
            match self.next()? {
                Token::Word(word) => words.push(Word::Name(word)),
                Token::Number(text) if integer(&text).is_some() => {
                    words.push(Word::Number(integer(&text).unwrap_or(0)));
                }
                token => return self.unexpected(&token, "a flag"),
            }
        }
        Ok(Value::Flags(words))
    }
}
