//! A finding is one broken rule or doubt in a document, with its place: all of them are reported at once.

use std::fmt;

use serde::Serialize;

/// Whether the document can be used in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The document is refused.
    Error,
    /// It works, but perhaps not as meant.
    Warning,
}

/// One broken rule or doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// Where, as a JSON Pointer (RFC 6901) into the document: `/playbooks/0/steps/1/rate_bps`.
    pub pointer: String,
    /// What is wrong and what would be right: lower case, no full stop.
    pub text: String,
}

impl Finding {
    /// True if the document is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word} {}: {}", self.pointer, self.text)
    }
}

/// What a document became, with the doubts that do not stop it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked<T> {
    /// The result.
    pub value: T,
    /// Warnings only.
    pub warnings: Vec<Finding>,
}

/// Collects findings while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn error(&mut self, pointer: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Error, pointer: pointer.into(), text: text.into() });
    }

    pub(crate) fn warning(&mut self, pointer: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, pointer: pointer.into(), text: text.into() });
    }

    /// The value with its warnings, or everything that was found if an error is among it.
    pub(crate) fn finish<T>(self, value: T) -> Result<Checked<T>, Vec<Finding>> {
        if self.0.iter().any(Finding::is_error) {
            Err(self.0)
        } else {
            Ok(Checked { value, warnings: self.0 })
        }
    }
}

/// One token of a JSON Pointer, escaped (RFC 6901 §3).
pub(crate) fn token(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}
