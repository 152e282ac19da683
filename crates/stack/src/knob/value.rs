//! Is this text a value of that knob, and which?

use super::{KNOBS, Knob};
use std::time::Duration;

/// The values that a knob takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false` (also `1`/`0`, `on`/`off`, `yes`/`no`).
    Bool,
    /// A whole number.
    Integer {
        /// What is counted: `bytes`, `segments`, `ticks/s`, ….
        unit: &'static str,
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
        /// A word that stands for 0: the system decides, or the thing is off.
        zero: Option<&'static str>,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A duration: a number of milliseconds, or a number with `us`, `ms` or `s`.
    Milliseconds {
        /// Shortest.
        min: u64,
        /// Longest.
        max: u64,
    },
}

/// A checked value of a knob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Integer`].
    Integer(u64),
    /// Of [`Kind::Choice`].
    Choice(&'static str),
    /// Of [`Kind::Milliseconds`].
    Duration(Duration),
}

/// Why a knob could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnobError {
    /// No knob of that name.
    #[error("there is no knob `{name}`; {}", near_text(.near))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that look like it, the nearest first; empty when none does.
        near: Vec<&'static str>,
    },
    /// The value is not one of this knob's.
    #[error("knob `{name}` cannot be `{value}`: expected {expected}")]
    Invalid {
        /// The knob.
        name: &'static str,
        /// The value asked for.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// The knob is not one of the stack's: the application or the path has it.
    #[error("knob `{name}` belongs to the {scope}, not to a host's stack")]
    NotOfTheStack {
        /// The knob.
        name: &'static str,
        /// Who has it.
        scope: &'static str,
    },
}

fn near_text(near: &[&str]) -> String {
    if near.is_empty() {
        let all: Vec<&str> = KNOBS.iter().map(|knob| knob.name).collect();
        format!("there are: {}", all.join(", "))
    } else {
        format!("did you mean {}?", near.join(" or "))
    }
}

impl Kind {
    /// What it takes, for people.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer { unit, min, max, zero: None } => format!("{min} to {max} {unit}"),
            Kind::Integer { unit, min, max, zero: Some(word) } => {
                format!("{word}, or {min} to {max} {unit}")
            }
            Kind::Choice(words) => words.join(", "),
            Kind::Milliseconds { min, max } => {
                format!("a duration of {min} to {max} ms (as 40, 40ms, 500us or 1.5s)")
            }
        }
    }

    fn parse(self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Kind::Bool => parse_bool(text).map(Value::Bool),
            Kind::Choice(words) => {
                words.iter().find(|word| word.eq_ignore_ascii_case(text)).map(|word| Value::Choice(word))
            }
            Kind::Integer { min, max, zero, .. } => {
                if zero.is_some_and(|word| word.eq_ignore_ascii_case(text) || text == "0") {
                    return Some(Value::Integer(0));
                }
                let number: u64 = text.replace('_', "").parse().ok()?;
                (min..=max).contains(&number).then_some(Value::Integer(number))
            }
            Kind::Milliseconds { min, max } => {
                let duration = parse_duration(text)?;
                let range = Duration::from_millis(min)..=Duration::from_millis(max);
                range.contains(&duration).then_some(Value::Duration(duration))
            }
        }
    }

    /// The text of `value`, which [`Knob::parse`] reads back.
    #[must_use]
    pub fn text(self, value: Value) -> String {
        match (self, value) {
            (Kind::Integer { zero: Some(word), .. }, Value::Integer(0)) => word.to_owned(),
            (_, Value::Bool(value)) => value.to_string(),
            (_, Value::Integer(value)) => value.to_string(),
            (_, Value::Choice(word)) => word.to_owned(),
            (_, Value::Duration(value)) => duration_text(value),
        }
    }
}

impl Knob {
    /// Reads a value of this knob.
    ///
    /// # Errors
    /// [`KnobError::Invalid`], which says what is expected.
    pub fn parse(&self, value: &str) -> Result<Value, KnobError> {
        self.kind.parse(value).ok_or_else(|| KnobError::Invalid {
            name: self.name,
            value: value.to_owned(),
            expected: self.kind.expected(),
        })
    }
}

/// The row of that name, or an error that names the nearest ones.
///
/// # Errors
/// [`KnobError::Unknown`].
pub fn look_up(name: &str) -> Result<&'static Knob, KnobError> {
    super::find(name).ok_or_else(|| KnobError::Unknown { name: name.to_owned(), near: near(name) })
}

/// Up to three names that are a few typing errors away, or contain the name, or are contained in it.
fn near(name: &str) -> Vec<&'static str> {
    // A name longer than any knob's is no typing error, and the distance costs the product of the lengths.
    if name.is_empty() || name.len() > 64 {
        return Vec::new();
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    let mut found: Vec<(usize, &'static str)> = KNOBS
        .iter()
        .filter_map(|knob| {
            let contained = name.len() > 2 && (knob.name.contains(&name) || name.contains(knob.name));
            let distance = if contained { 1 } else { edits(&name, knob.name) };
            (distance <= 3 && distance < knob.name.len()).then_some((distance, knob.name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How many characters have to be inserted, removed or replaced to make `b` of `a`: for offering near names. Its cost is
/// the product of the lengths.
#[must_use]
pub fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn parse_bool(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(["true", "1", "on", "yes"]) {
        Some(true)
    } else if is(["false", "0", "off", "no"]) {
        Some(false)
    } else {
        None
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, nanoseconds) = [("us", 1e3), ("ms", 1e6), ("s", 1e9)]
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, *factor)))
        .unwrap_or((text, 1e6));
    let number: f64 = number.trim_end().parse().ok()?;
    let nanoseconds = (number * nanoseconds).round();
    (nanoseconds.is_finite() && (0.0..1e18).contains(&nanoseconds))
        .then(|| Duration::from_nanos(nanoseconds as u64))
}

fn duration_text(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds != 0 && nanoseconds.is_multiple_of(1_000_000_000) {
        format!("{}s", nanoseconds / 1_000_000_000)
    } else if nanoseconds.is_multiple_of(1_000_000) {
        format!("{}ms", nanoseconds / 1_000_000)
    } else {
        format!("{}us", nanoseconds as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_with_and_without_unit_and_print_back() {
        for (text, printed) in [
            ("40", "40ms"),
            ("40ms", "40ms"),
            ("500us", "500us"),
            ("1.5s", "1500ms"),
            ("2 s", "2s"),
            ("0", "0ms"),
        ] {
            assert_eq!(duration_text(parse_duration(text).unwrap()), printed, "{text}");
        }
        for text in ["", "ms", "-1", "nan", "inf", "1e300", "40m", "40 parsecs"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_its_nearest_neighbours() {
        assert_eq!(near("nodleay"), ["nodelay"]);
        assert_eq!(near("initial_window_of_bananas"), Vec::<&str>::new());
        assert!(near("congestion").contains(&"congestion_control"));
        assert!(near("ack-policy").contains(&"ack_policy"));
        let error = look_up("zzzz").unwrap_err().to_string();
        assert!(error.contains("nodelay") && error.contains("`zzzz`"), "{error}");
    }

    #[test]
    fn edits_count_insertions_removals_and_replacements() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
