//! How is the outcome shown? One line per script, what was different below it, and a line that counts.

use crate::error::ScriptError;
use std::fmt;

/// How scripts have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All went as the script says.
    pub passed: usize,
    /// Something went otherwise, or the script cannot be read.
    pub failed: usize,
    /// The script needs what the stack does not have.
    pub not_applicable: usize,
}

impl Summary {
    /// Counts an outcome.
    pub fn count(&mut self, outcome: &Result<(), ScriptError>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(ScriptError::NotApplicable { .. }) => self.not_applicable += 1,
            Err(ScriptError::Syntax { .. } | ScriptError::Mismatch { .. }) => self.failed += 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { passed, failed, not_applicable } = self;
        write!(f, "{passed} passed, {failed} failed, {not_applicable} not applicable")
    }
}

/// The lines for one script.
#[must_use]
pub fn line(path: &str, outcome: &Result<(), ScriptError>) -> String {
    match outcome {
        Ok(()) => format!("pass            {path}"),
        Err(ScriptError::NotApplicable { line, what }) => {
            format!("not applicable  {path}: line {line}: needs {what}")
        }
        Err(error) => format!("FAIL            {path}: {}", error.to_string().replace('\n', "\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_and_shown_as_what_it_is() {
        let outcomes = [
            Ok(()),
            Err(ScriptError::missing(3, "splice")),
            Err(ScriptError::mismatch(4, "expected a\nseen b")),
            Err(ScriptError::syntax(5, "what?")),
        ];
        let mut summary = Summary::default();
        outcomes.iter().for_each(|outcome| summary.count(outcome));
        assert_eq!(summary.to_string(), "1 passed, 2 failed, 1 not applicable");
        assert!(line("a.pkt", &outcomes[1]).contains("a.pkt: line 3: needs splice"));
        assert!(line("a.pkt", &outcomes[2]).starts_with("FAIL"));
    }
}
