//! The report on content: every error with its file and line, collected before anything is refused. Knows files
//! only by the path that the author sees.

use std::fmt;

/// One thing wrong in `content/`, and what to do about it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ContentError {
    /// Path as the author knows it, for instance `content/ja/01-storage.md`.
    pub path: String,
    /// Line in that file, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Everything wrong in `content/`, in order of file and line. Never empty when it is handed on as an error.
#[derive(Clone, Debug, Default, thiserror::Error)]
pub struct ContentErrors(Vec<ContentError>);

impl ContentErrors {
    /// Notes one error.
    pub fn push(&mut self, path: impl Into<String>, line: usize, message: impl Into<String>) {
        self.0.push(ContentError {
            path: path.into(),
            line: line.max(1),
            message: message.into(),
        });
    }

    /// The errors noted so far.
    pub fn iter(&self) -> impl Iterator<Item = &ContentError> {
        self.0.iter()
    }

    /// How many errors were noted.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value` if nothing is wrong, else the sorted report.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(self)
    }
}

impl fmt::Display for ContentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = if self.len() == 1 { "error" } else { "errors" };
        write!(f, "{} {errors} in content", self.len())?;
        for error in &self.0 {
            write!(f, "\n{error}")?;
        }
        Ok(())
    }
}

/// The report seen from one file, so that a parser need not carry the path around.
pub(super) struct Notes<'a> {
    path: &'a str,
    errors: &'a mut ContentErrors,
}

impl<'a> Notes<'a> {
    pub(super) fn new(path: &'a str, errors: &'a mut ContentErrors) -> Self {
        Self { path, errors }
    }

    pub(super) fn add(&mut self, line: usize, message: impl Into<String>) {
        self.errors.push(self.path, line, message);
    }
}
