//! Is what the script says about TCP_INFO true? Statements between `%{` and `}%`: assertions, assignments, print.
//!
//! A small part of Python: integers, comparisons (also chained), `and`, `or`, `not`, arithmetic, names. Messages after an assertion's
//! comma are not evaluated.

use std::collections::BTreeMap;

/// The names that the statements may use and set.
pub type Names = BTreeMap<String, i64>;

/// Runs the statements of `code`. `lookup` knows the names that the script did not set itself.
///
/// # Errors
/// The failed assertion with the values of the names in it, or what cannot be understood.
pub fn run(code: &str, names: &mut Names, lookup: &dyn Fn(&str) -> Option<i64>) -> Result<(), String> {
    for statement in statements(code) {
        run_one(&statement, names, lookup)?;
    }
    Ok(())
}

/// Statements end at semicolons and line ends, unless a bracket is open, a string, or the line ends with a backslash.
fn statements(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let (mut depth, mut quote) = (0usize, None);
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') => {
                while characters.peek().is_some_and(|c| *c != '\n') {
                    characters.next();
                }
                continue;
            }
            (None, '\\') if characters.peek() == Some(&'\n') => {
                characters.next();
                current.push(' ');
                continue;
            }
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, ';' | '\n') if depth == 0 => {
                found.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(character);
    }
    found.push(current);
    found.retain(|statement| !statement.trim().is_empty());
    found
}

fn run_one(text: &str, names: &mut Names, lookup: &dyn Fn(&str) -> Option<i64>) -> Result<(), String> {
    let text = text.trim();
    let tokens = tokens(text)?;
    // Also what is only said when an assertion fails, or printed, is about fields that there are.
    let unknown = tokens.iter().find_map(|token| match token {
        Token::Name(name) if name.starts_with("tcpi_") && lookup(name).is_none() => Some(name),
        _ => None,
    });
    if let Some(name) = unknown {
        return Err(format!("\"{name}\" has no value"));
    }
    match tokens.as_slice() {
        [Token::Name(word), rest @ ..] if word == "assert" => {
            let mut reader = Reader { tokens: rest, names, lookup, seen: Vec::new(), depth: 0 };
            let value = reader.either()?;
            if !matches!(reader.tokens, [] | [Token::Operator(","), ..]) {
                return Err(format!("cannot read \"{text}\" after the condition"));
            }
            if value != 0 {
                return Ok(());
            }
            let values: Vec<String> = reader.seen.iter().map(|(n, v)| format!("{n} = {v}")).collect();
            Err(format!("\"{text}\" is false: {}", values.join(", ")))
        }
        [Token::Name(word), Token::Operator("("), ..] if word == "print" => Ok(()),
        [Token::Name(name), Token::Operator(sign @ ("=" | "+=" | "-=")), rest @ ..] => {
            let mut reader = Reader { tokens: rest, names, lookup, seen: Vec::new(), depth: 0 };
            let value = reader.either()?;
            if !reader.tokens.is_empty() {
                return Err(format!("cannot read the end of \"{text}\""));
            }
            let before = names.get(name).copied();
            let value = match (*sign, before) {
                ("=", _) => value,
                ("+=", Some(before)) => before.wrapping_add(value),
                (_, Some(before)) => before.wrapping_sub(value),
                (_, None) => return Err(format!("\"{name}\" has no value yet")),
            };
            names.insert(name.clone(), value);
            Ok(())
        }
        _ => Err(format!("\"{text}\" is neither an assertion nor an assignment nor print(...)")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(i64),
    Name(String),
    Text,
    Operator(&'static str),
}

const OPERATORS: [&str; 26] = [
    "<<", ">>", "<=", ">=", "==", "!=", "//", "+=", "-=", "<", ">", "=", "+", "-", "*", "/", "%", "&", "|",
    "^", "~", "(", ")", ",", "[", "]",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if first.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let number = crate::parser::integer(&rest[..length]);
            tokens
                .push(Token::Number(number.ok_or_else(|| format!("\"{}\" is no number", &rest[..length]))?));
            length
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..length].to_owned()));
            length
        } else if first == '\'' || first == '"' {
            let length =
                rest[1..].find(first).ok_or_else(|| format!("a string does not end in \"{text}\""))?;
            tokens.push(Token::Text);
            length + 2
        } else if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
            tokens.push(Token::Operator(operator));
            operator.len()
        } else {
            return Err(format!("\"{first}\" in \"{text}\" is not understood"));
        };
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token],
    names: &'a Names,
    lookup: &'a dyn Fn(&str) -> Option<i64>,
    /// Names read and their values, for the report.
    seen: Vec<(String, i64)>,
    depth: usize,
}

/// How deep expressions may be nested.
const DEPTH: usize = 64;

impl Reader<'_> {
    fn operator(&mut self, wanted: &[&str]) -> Option<&'static str> {
        match self.tokens.first() {
            Some(Token::Operator(found)) if wanted.contains(found) => {
                self.tokens = &self.tokens[1..];
                Some(found)
            }
            _ => None,
        }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let there = matches!(self.tokens.first(), Some(Token::Name(name)) if name == word);
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    fn either(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("the expression is nested too deeply".into());
        }
        let mut value = self.both()?;
        while self.keyword("or") {
            let other = self.both()?;
            value = if value != 0 { value } else { other };
        }
        self.depth -= 1;
        Ok(value)
    }

    fn both(&mut self) -> Result<i64, String> {
        let mut value = self.negation()?;
        while self.keyword("and") {
            let other = self.negation()?;
            value = if value == 0 { value } else { other };
        }
        Ok(value)
    }

    fn negation(&mut self) -> Result<i64, String> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let value = self.comparison()?;
        Ok(if negated { i64::from(value == 0) } else { value })
    }

    fn comparison(&mut self) -> Result<i64, String> {
        let mut left = self.bits()?;
        let mut holds = None;
        while let Some(operator) = self.operator(&["<=", ">=", "==", "!=", "<", ">"]) {
            let right = self.bits()?;
            let this = match operator {
                "<=" => left <= right,
                ">=" => left >= right,
                "==" => left == right,
                "!=" => left != right,
                "<" => left < right,
                _ => left > right,
            };
            holds = Some(holds.unwrap_or(true) && this);
            left = right;
        }
        Ok(holds.map_or(left, i64::from))
    }

    fn bits(&mut self) -> Result<i64, String> {
        let mut value = self.shift()?;
        while let Some(operator) = self.operator(&["&", "|", "^"]) {
            let right = self.shift()?;
            value = match operator {
                "&" => value & right,
                "|" => value | right,
                _ => value ^ right,
            };
        }
        Ok(value)
    }

    fn shift(&mut self) -> Result<i64, String> {
        let mut value = self.sum()?;
        while let Some(operator) = self.operator(&["<<", ">>"]) {
            let by =
                u32::try_from(self.sum()?).ok().filter(|by| *by < 63).ok_or("a shift of 0 to 62 bits")?;
            value = if operator == "<<" { value.wrapping_shl(by) } else { value >> by };
        }
        Ok(value)
    }

    fn sum(&mut self) -> Result<i64, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.operator(&["+", "-"]) {
            let right = self.product()?;
            value = if operator == "+" { value.wrapping_add(right) } else { value.wrapping_sub(right) };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<i64, String> {
        let mut value = self.atom()?;
        while let Some(operator) = self.operator(&["*", "//", "/", "%"]) {
            let right = self.atom()?;
            value = match operator {
                "*" => value.wrapping_mul(right),
                "%" => value.checked_rem_euclid(right).ok_or("a division by zero")?,
                _ => value.checked_div_euclid(right).ok_or("a division by zero")?,
            };
        }
        Ok(value)
    }

    fn atom(&mut self) -> Result<i64, String> {
        let mut negative = false;
        while self.operator(&["-"]).is_some() {
            negative = !negative;
        }
        let value = match self.tokens.split_first() {
            Some((Token::Number(number), rest)) => {
                self.tokens = rest;
                *number
            }
            Some((Token::Name(name), rest)) => {
                self.tokens = rest;
                let value = self.names.get(name).copied().or_else(|| (self.lookup)(name));
                let value = value.ok_or_else(|| format!("\"{name}\" is not known"))?;
                self.seen.push((name.clone(), value));
                value
            }
            Some((Token::Operator("("), rest)) => {
                self.tokens = rest;
                let value = self.either()?;
                self.operator(&[")"]).ok_or("a bracket is not closed")?;
                value
            }
            _ => return Err("a value is missing".into()),
        };
        Ok(if negative { value.wrapping_neg() } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(code: &str) -> Result<(), String> {
        run(code, &mut Names::new(), &|name| (name == "tcpi_snd_cwnd").then_some(10))
    }

    #[test]
    fn a_true_assertion_passes_and_a_false_one_shows_the_values() {
        assert_eq!(check("assert tcpi_snd_cwnd == 10"), Ok(()));
        let error = check("assert tcpi_snd_cwnd == 11, 'cwnd=%d' % tcpi_snd_cwnd").unwrap_err();
        assert!(error.contains("tcpi_snd_cwnd = 10"), "{error}");
    }

    #[test]
    fn comparisons_chain_and_words_join() {
        assert_eq!(check("assert 5 <= tcpi_snd_cwnd <= 10 and not tcpi_snd_cwnd & 1 or 0"), Ok(()));
        assert!(check("assert 5 <= tcpi_snd_cwnd < 10").is_err());
        assert!(check("assert (tcpi_snd_cwnd & 2) == 0").is_err());
    }

    #[test]
    fn names_keep_their_values_from_statement_to_statement() {
        assert_eq!(check("x = 3; x += 4 # seven\nassert x == 2 * 3 + 1, x; \\\n assert x != 6"), Ok(()));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for code in ["assert tcpi_cwnd == 10", "import os", "assert 1 1", "assert", "y += 1", "assert 1 / 0"]
        {
            assert!(check(code).is_err(), "{code}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(code in ".{0,60}") {
            let _ = check(&code);
        }

        #[test]
        fn a_wrong_number_never_passes(wrong in any::<u32>()) {
            prop_assert_eq!(check(&format!("assert tcpi_snd_cwnd == {wrong}")).is_ok(), wrong == 10);
        }
    }
}
