//! How is a table of a TOML file read so that every mistake has its place? Each key is asked for, and what nobody asked
//! for is an error.

use super::error::{ScenarioError, near, one_of, place};
use super::units;
use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The span of what does not stand in the file but was set from outside.
pub(super) const SET: usize = usize::MAX;

pub(super) type Result<T> = std::result::Result<T, ScenarioError>;

/// The text that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    pub fn error(&self, span: Range<usize>, key: &str, message: impl Into<String>) -> ScenarioError {
        let set = span.start == SET;
        ScenarioError {
            file: if set { "--set".to_owned() } else { self.file.to_owned() },
            place: (!set).then(|| place(self.text, span.start)),
            key: key.to_owned(),
            message: message.into(),
        }
    }
}

/// A table, and which of its keys have been asked for.
#[derive(Debug)]
pub(super) struct Section<'a> {
    source: Source<'a>,
    table: &'a DeTable<'a>,
    /// Where the table begins, for what is missing in it.
    span: Range<usize>,
    path: String,
    asked: RefCell<Vec<&'a str>>,
}

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    source: Source<'a>,
    value: &'a DeValue<'a>,
    span: Range<usize>,
    pub path: String,
}

impl<'a> Section<'a> {
    pub fn new(source: Source<'a>, table: &'a DeTable<'a>, span: Range<usize>, path: &str) -> Section<'a> {
        Section { source, table, span, path: path.to_owned(), asked: RefCell::default() }
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key).map(|value| self.item(key, value))
    }

    /// The value of a key that has to be there.
    pub fn need(&self, key: &'static str, expected: &str) -> Result<Item<'a>> {
        self.get(key).ok_or_else(|| {
            let message = format!("the key `{key}` is missing: expected {expected}");
            self.source.error(self.span.clone(), &self.path, message)
        })
    }

    /// A value, read if it is there.
    pub fn read<T>(&self, key: &'static str, read: impl FnOnce(&Item<'a>) -> Result<T>) -> Result<Option<T>> {
        self.get(key).map(|item| read(&item)).transpose()
    }

    /// All entries in the order of the file, for tables whose keys are names.
    pub fn entries(&self) -> Vec<(&'a str, Item<'a>)> {
        let mut entries: Vec<_> =
            self.table.iter().map(|(key, value)| (key.span().start, key, value)).collect();
        entries.sort_by_key(|(start, ..)| *start);
        let entries = entries.into_iter();
        entries
            .map(|(_, key, value)| (key.get_ref().as_ref(), self.item(key.get_ref().as_ref(), value)))
            .collect()
    }

    fn item(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Item<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        // Within what was set from outside there is no place in the file.
        let span = if self.span.start == SET { self.span.clone() } else { value.span() };
        Item { source: self.source, value: value.get_ref(), span, path }
    }

    /// An error at this table as a whole.
    pub fn error(&self, message: impl Into<String>) -> ScenarioError {
        self.source.error(self.span.clone(), &self.path, message)
    }

    /// All keys have been asked for; one that nobody asked for is an error.
    pub fn finish(self) -> Result<()> {
        let mut asked = self.asked.into_inner();
        asked.sort_unstable();
        asked.dedup();
        let mut unknown: Vec<_> =
            self.table.keys().filter(|key| !asked.contains(&key.get_ref().as_ref())).collect();
        unknown.sort_by_key(|key| key.span().start);
        match unknown.first() {
            None => Ok(()),
            Some(key) => {
                let name = key.get_ref().as_ref();
                let path =
                    if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
                let message = format!("there is no such key; {}", near(name, &asked));
                let span = if self.span.start == SET { self.span } else { key.span() };
                Err(self.source.error(span, &path, message))
            }
        }
    }
}

impl<'a> Item<'a> {
    pub fn error(&self, message: impl Into<String>) -> ScenarioError {
        self.source.error(self.span.clone(), &self.path, message)
    }

    /// "found …, expected …".
    pub fn expected(&self, expected: &str) -> ScenarioError {
        let found = match self.value {
            DeValue::String(text) => {
                let short: String = text.chars().take(40).collect();
                format!("\"{}\"", short.escape_default())
            }
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        self.error(format!("found {found}, expected {expected}"))
    }

    pub fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub fn section(&self, expected: &str) -> Result<Section<'a>> {
        match self.value {
            DeValue::Table(table) => Ok(Section::new(self.source, table, self.span.clone(), &self.path)),
            _ => Err(self.expected(expected)),
        }
    }

    pub fn list(&self, expected: &str) -> Result<Vec<Item<'a>>> {
        let DeValue::Array(values) = self.value else { return Err(self.expected(expected)) };
        let items = values.iter().enumerate();
        Ok(items
            .map(|(number, value)| Item {
                source: self.source,
                value: value.get_ref(),
                span: if self.span.start == SET { self.span.clone() } else { value.span() },
                path: format!("{}[{number}]", self.path),
            })
            .collect())
    }

    pub fn text(&self, expected: &str) -> Result<&'a str> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.expected(expected)),
        }
    }

    /// One of these words; its number.
    pub fn word(&self, words: &[&str]) -> Result<usize> {
        let DeValue::String(text) = self.value else { return Err(self.expected(&one_of(words))) };
        words.iter().position(|word| *word == text.as_ref()).ok_or_else(|| {
            let short: String = text.chars().take(40).collect();
            self.error(format!("found \"{}\"; {}", short.escape_default(), near(&short, words)))
        })
    }

    pub fn boolean(&self) -> Result<bool> {
        match self.value {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.expected("true or false")),
        }
    }

    pub fn integer(&self, range: std::ops::RangeInclusive<u64>, what: &str) -> Result<u64> {
        self.whole().filter(|number| range.contains(number)).ok_or_else(|| {
            let expected = if *range.end() == u64::MAX {
                format!("{what}, {} or more", range.start())
            } else {
                format!("{what} from {} to {}", range.start(), range.end())
            };
            self.expected(&expected)
        })
    }

    fn whole(&self) -> Option<u64> {
        match self.value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }

    pub fn duration(&self) -> Result<Duration> {
        match self.value {
            DeValue::String(text) => units::parse_duration(text),
            _ => self.whole().filter(|&number| number == 0).map(|_| Duration::ZERO),
        }
        .ok_or_else(|| self.expected(units::DURATION_EXPECTED))
    }

    pub fn rate(&self) -> Result<u64> {
        match self.value {
            DeValue::String(text) => units::parse_rate(text).filter(|&rate| rate > 0),
            _ => None,
        }
        .ok_or_else(|| self.expected(units::RATE_EXPECTED))
    }

    pub fn size(&self) -> Result<u64> {
        match self.value {
            DeValue::String(text) => units::parse_size(text),
            _ => self.whole(),
        }
        .ok_or_else(|| self.expected(units::SIZE_EXPECTED))
    }

    /// A size in a range.
    pub fn size_within(&self, range: std::ops::RangeInclusive<u64>) -> Result<u64> {
        let size = self.size()?;
        if range.contains(&size) {
            return Ok(size);
        }
        Err(self.expected(&format!("{} to {} bytes", range.start(), range.end())))
    }

    pub fn probability(&self) -> Result<f64> {
        match self.value {
            DeValue::String(text) => units::parse_probability(text),
            DeValue::Float(number) => units::parse_probability(number.as_str()),
            DeValue::Integer(number) => units::parse_probability(number.as_str()),
            _ => None,
        }
        .ok_or_else(|| self.expected(units::PROBABILITY_EXPECTED))
    }

    /// Any simple value as text, as one would type it.
    pub fn plain(&self, expected: &str) -> Result<String> {
        match self.value {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Boolean(value) => Ok(value.to_string()),
            DeValue::Integer(number) => Ok(number.to_string()),
            DeValue::Float(number) => Ok(number.to_string()),
            _ => Err(self.expected(expected)),
        }
    }
}
