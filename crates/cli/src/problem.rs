//! Errors for people: what was wrong, what was expected, what to do.

use std::fmt;

/// Something a person can do something about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    /// What was wrong.
    pub(crate) wrong: String,
    /// What was expected.
    pub(crate) expected: String,
    /// What to do.
    pub(crate) remedy: String,
}

impl Problem {
    /// As an error of a command.
    pub(crate) fn error(
        wrong: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> anyhow::Error {
        Self {
            wrong: wrong.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
        .into()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  expected: {}\n  to do:    {}",
            self.wrong, self.expected, self.remedy
        )
    }
}

impl std::error::Error for Problem {}
