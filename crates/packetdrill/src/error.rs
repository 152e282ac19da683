//! Why can a script not be run, or why did it fail?

/// What ended a script before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The script cannot be read.
    #[error("line {line}: {problem}")]
    Syntax {
        /// Line in the script, from 1.
        line: usize,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The script needs something of Linux that a TCP/IP stack does not have, or that this one does not have yet.
    #[error("line {line}: needs {what}")]
    NotApplicable {
        /// Line in the script, from 1.
        line: usize,
        /// What is missing.
        what: String,
    },
    /// Something else happened than the script says.
    #[error("line {line}: {problem}")]
    Mismatch {
        /// Line in the script, from 1.
        line: usize,
        /// What is different, expected and seen side by side where both are packets.
        problem: String,
    },
}

impl ScriptError {
    pub(crate) fn syntax(line: usize, problem: impl Into<String>) -> ScriptError {
        ScriptError::Syntax { line, problem: problem.into() }
    }

    pub(crate) fn missing(line: usize, what: impl Into<String>) -> ScriptError {
        ScriptError::NotApplicable { line, what: what.into() }
    }

    pub(crate) fn mismatch(line: usize, problem: impl Into<String>) -> ScriptError {
        ScriptError::Mismatch { line, problem: problem.into() }
    }
}
