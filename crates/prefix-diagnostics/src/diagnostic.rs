//! The one shape of a diagnostic: an error or a warning, its place, and a text that says what would be right.

use std::fmt;
use std::path::Path;

use crate::path::KeyPath;

/// Whether the document can be used in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// The document works, but perhaps not as meant.
    Warning,
}

/// What is broken. The API answers 400 for the first and 422 for the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The text, its keys or its types: found without knowing anything else.
    Shape,
    /// A rule about values that are well formed.
    Rule,
}

/// Where the text stands that is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A file of the configuration folder, by its name.
    File {
        /// `playbooks.yaml`
        name: String,
        /// 1-based; none when the file as a whole is meant.
        line: Option<u64>,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// The document that was handed over, such as the body of a request: the path says where in it.
    Document,
    /// A parameter of the query of a URL, by its name.
    Query(String),
    /// A header of a request, by its name.
    Header(String),
}

impl Place {
    /// A line of a file; 0 stands for the file as a whole.
    pub fn line(file: &str, line: u64) -> Self {
        Self::File { name: file.to_owned(), line: Some(line).filter(|line| *line > 0) }
    }
}

/// One error or warning. The text is lower case, without full stop, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Shape or rule.
    pub kind: Kind,
    /// Which text is to be changed.
    pub place: Place,
    /// The place within the document.
    pub path: KeyPath,
    /// What is wrong and what would be right.
    pub text: String,
}

impl Diagnostic {
    fn new(severity: Severity, kind: Kind, path: impl Into<KeyPath>, text: impl Into<String>) -> Self {
        Self { severity, kind, place: Place::Document, path: path.into(), text: text.into() }
    }

    /// An error of shape.
    pub fn shape(path: impl Into<KeyPath>, text: impl Into<String>) -> Self {
        Self::new(Severity::Error, Kind::Shape, path, text)
    }

    /// A broken rule.
    pub fn error(path: impl Into<KeyPath>, text: impl Into<String>) -> Self {
        Self::new(Severity::Error, Kind::Rule, path, text)
    }

    /// A warning.
    pub fn warning(path: impl Into<KeyPath>, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Kind::Rule, path, text)
    }

    /// An error of shape in a parameter of the query.
    pub fn query(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::shape(KeyPath::root(), text).at(Place::Query(name.into()))
    }

    /// The same at another place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// True if the document is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// What `errors[].pointer` of a problem document holds: `file.yaml:LINE`, the name of a variable or header, `?name`,
    /// or a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        match &self.place {
            Place::File { name, line: Some(line) } => format!("{name}:{line}"),
            Place::File { name, line: None } | Place::Environment(name) | Place::Header(name) => name.clone(),
            Place::Query(name) => format!("?{name}"),
            Place::Document => self.path.pointer(),
        }
    }

    /// The line of `--check`, with files named relative to where the command ran.
    pub fn in_folder(&self, folder: &Path) -> String {
        let pointer = match self.place {
            Place::File { .. } => folder.join(self.pointer()).display().to_string(),
            _ => self.pointer(),
        };
        format!("{} {pointer}: {}", self.severity, self.text)
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

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.pointer(), self.text)
    }
}

/// What a document became, with the warnings that do not stop it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked<T> {
    /// The result.
    pub value: T,
    /// Warnings only.
    pub warnings: Vec<Diagnostic>,
}

/// Collects what rules say about a document, in the order in which it is said.
#[derive(Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// A broken rule.
    pub fn error(&mut self, path: impl Into<KeyPath>, text: impl Into<String>) {
        self.0.push(Diagnostic::error(path, text));
    }

    /// A warning.
    pub fn warning(&mut self, path: impl Into<KeyPath>, text: impl Into<String>) {
        self.0.push(Diagnostic::warning(path, text));
    }

    /// A broken rule about a key, which the text begins with.
    pub fn error_of(&mut self, key: &str, text: impl fmt::Display) {
        self.error(key, format!("{key} {text}"));
    }

    /// A warning about a key, which the text begins with.
    pub fn warning_of(&mut self, key: &str, text: impl fmt::Display) {
        self.warning(key, format!("{key} {text}"));
    }

    /// The value must lie within the range, ends included; the text begins with the path.
    pub fn range<T>(&mut self, path: &str, value: T, range: std::ops::RangeInclusive<T>)
    where
        T: PartialOrd + fmt::Display + Copy,
    {
        if !range.contains(&value) {
            self.error_of(path, format!("must be {}..{}, not {value}", range.start(), range.end()));
        }
    }

    /// True if nothing that was said refuses the document.
    pub fn is_sound(&self) -> bool {
        !self.0.iter().any(Diagnostic::is_error)
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }

    /// The value with its warnings, or everything that was said if an error is among it.
    pub fn finish<T>(self, value: T) -> Result<Checked<T>, Vec<Diagnostic>> {
        if self.is_sound() { Ok(Checked { value, warnings: self.0 }) } else { Err(self.0) }
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, more: I) {
        self.0.extend(more);
    }
}
