//! A finding is one mistake or doubt in the configuration: where it is, and how to mend it.

use std::fmt;

use super::path::KeyPath;

/// Whether the configuration can be used in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration works, but perhaps not as meant.
    Warning,
}

/// Which kind of promise is broken. The API answers 400 for the first and 422 for the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// The text, its keys or its types: found without knowing anything else.
    Shape,
    /// A rule about values that are well formed.
    Rule,
}

/// Where the text stands that is to be mended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A file of the folder, by its name.
    File {
        /// `playbooks.yaml`
        name: String,
        /// 1-based; none when the file as a whole is meant.
        line: Option<u64>,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// The body of a request: the path says where.
    Body,
}

/// A mistake or doubt about a document, before anybody asked where the document came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Error or warning.
    pub severity: Severity,
    /// Shape or rule.
    pub kind: FindingKind,
    /// The place within the document.
    pub path: KeyPath,
    /// What is wrong and what would be right.
    pub text: String,
}

impl Remark {
    /// A mistake of shape.
    pub fn shape(path: KeyPath, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, kind: FindingKind::Shape, path, text: text.into() }
    }

    /// A broken rule.
    pub fn error(path: KeyPath, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, kind: FindingKind::Rule, path, text: text.into() }
    }

    /// A doubt.
    pub fn warning(path: KeyPath, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, kind: FindingKind::Rule, path, text: text.into() }
    }
}

/// One mistake or doubt. Its text is lower case, without full stop, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// Shape or rule.
    pub kind: FindingKind,
    /// The file and line, variable, or body.
    pub place: Place,
    /// The place within the document.
    pub path: KeyPath,
    /// What is wrong and what would be right.
    pub text: String,
}

impl Finding {
    /// True if the configuration is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// What `errors[].pointer` of a problem document holds: `file.yaml:LINE`, a variable, or a JSON pointer.
    pub fn pointer(&self) -> String {
        match &self.place {
            Place::File { name, line: Some(line) } => format!("{name}:{line}"),
            Place::File { name, line: None } | Place::Environment(name) => name.clone(),
            Place::Body => self.path.pointer(),
        }
    }

    /// The line of `--check`, with files named relative to where the command ran.
    pub fn in_folder<'a>(&'a self, folder: &'a std::path::Path) -> impl fmt::Display + 'a {
        InFolder { finding: self, folder }
    }
}

struct InFolder<'a> {
    finding: &'a Finding,
    folder: &'a std::path::Path,
}

impl fmt::Display for InFolder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.finding.severity)?;
        if matches!(self.finding.place, Place::File { .. }) {
            let pointer = self.finding.pointer();
            write!(f, "{}", self.folder.join(pointer).display())?;
        } else {
            f.write_str(&self.finding.pointer())?;
        }
        write!(f, ": {}", self.finding.text)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.pointer(), self.text)
    }
}
