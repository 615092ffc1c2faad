//! Reading one document: text, variables, overrides and types, with every diagnostic put back to its line.

use std::cell::OnceCell;

use prefix_diagnostics::{Checked, Diagnostic, KeyPath, Node, Place, decode};
use serde::de::DeserializeOwned;
use serde_saphyr::DuplicateKeyPolicy;

use super::Environment;
use super::interpolate::{Interpolated, interpolate};
use super::merge::{Overridden, Overrides, merge};
use super::substituted::{self, Substituted};
use super::yaml::{self, SyntaxError, options, syntax_error};

/// A text and what its file is called.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// `playbooks.yaml`
    pub(super) file: String,
    /// The YAML.
    pub(super) text: String,
}

/// A document that was read, good or not.
pub(super) struct Reading<T> {
    /// The typed document. With errors of shape it lacks what they spoilt.
    pub(super) value: Option<T>,
    /// What was reported so far.
    pub(super) diagnostics: Vec<Diagnostic>,
    places: Places,
}

impl<T> Reading<T> {
    /// A document that is not there, with what stands in for it.
    pub(super) fn absent(value: Option<T>) -> Self {
        Self { value, diagnostics: Vec::new(), places: Places::default() }
    }

    /// A text that is no YAML.
    pub(super) fn unreadable(file: &str, error: SyntaxError) -> Self {
        let source = Some(Source { file: file.to_owned(), text: String::new() });
        let places = Places { source, node: OnceCell::from(Node::empty()), ..Places::default() };
        Self { value: None, diagnostics: vec![not_yaml(file, error)], places }
    }

    /// Reads a document that came as a body: nothing is replaced in it and nothing laid over it.
    pub(super) fn of_body(node: Node) -> Self
    where
        T: DeserializeOwned,
    {
        Places::default().decode(node)
    }

    /// Adds what rules said about [`Reading::value`], but for what is about a value that was taken out.
    pub(super) fn add(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.diagnostics.extend(self.places.put_back(diagnostic));
        }
    }

    /// Takes the value and builds from it; what is wrong with it is added.
    pub(super) fn build<U>(
        &mut self,
        build: impl FnOnce(T) -> Result<Checked<U>, Vec<Diagnostic>>,
    ) -> Option<U> {
        match build(self.value.take()?) {
            Ok(Checked { value, warnings }) => {
                self.add(warnings);
                Some(value)
            }
            Err(errors) => {
                self.add(errors);
                None
            }
        }
    }

    /// The reading without its places, and its places for what is found later.
    pub(super) fn split(self) -> (Self, Reading<()>) {
        let Self { value, diagnostics, places } = self;
        let later = Reading { value: None, diagnostics: Vec::new(), places };
        (Self { value, diagnostics, places: Places::default() }, later)
    }

    /// Whether nothing reported so far refuses the document.
    pub(super) fn is_sound(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// What is said about a text that is no YAML.
fn not_yaml(file: &str, (line, text): SyntaxError) -> Diagnostic {
    Diagnostic::shape(KeyPath::root(), text).at(Place::line(file, line))
}

/// Where the places of a document are.
#[derive(Default)]
struct Places {
    source: Option<Source>,
    /// The document, where each value that was taken out has left its place.
    node: OnceCell<Node>,
    overridden: Overridden,
    substituted: Vec<Substituted>,
    spoilt: Vec<KeyPath>,
}

impl Places {
    /// The variable that set a place, else its line in the file, else the document itself.
    fn place(&self, path: &KeyPath, line: u64) -> Place {
        let in_file = || self.source.as_ref().map(|source| Place::line(&source.file, line));
        self.overridden.variable_of(path).or_else(in_file).unwrap_or(Place::Document)
    }

    /// A diagnostic of a rule at the place that is to be changed; none if it is about a value that was taken out.
    fn put_back(&self, diagnostic: Diagnostic) -> Option<Diagnostic> {
        // The lines of a sound document are only looked up when somebody asks.
        let text = self.source.as_ref().map_or("", |source| &source.text);
        let node = self.node.get_or_init(|| yaml::parse(text).unwrap_or_else(|_| Node::empty()));
        let path = node.as_written(&diagnostic.path);
        if self.spoilt.iter().any(|place| path.holds(place)) {
            return None;
        }
        let place = self.place(&path, node.line_of(&path));
        Some(substituted::hide(&self.substituted, Diagnostic { path, ..diagnostic }.at(place)))
    }

    fn decode<T: DeserializeOwned>(mut self, mut node: Node) -> Reading<T> {
        let decoded = decode(&mut node, &|path, line| self.place(path, line));
        (self.node, self.spoilt) = (OnceCell::from(node), decoded.spoilt);
        let hide = |error| substituted::hide(&self.substituted, error);
        let diagnostics = decoded.errors.into_iter().map(hide).collect();
        Reading { value: decoded.value, diagnostics, places: self }
    }
}

/// Reads a file that is one document. `word` is what its overrides begin with.
pub(super) fn read_file<T: DeserializeOwned>(
    source: Source,
    word: &str,
    environment: &Environment,
) -> Reading<T> {
    let overrides = Overrides::of(word, environment);
    let mut refused = None;
    if overrides.is_empty() && !source.text.contains("${") {
        // Nothing to replace and nothing to lay over it: straight into its type, however large it is.
        match serde_saphyr::from_str_with_options(&source.text, options(DuplicateKeyPolicy::Error)) {
            Ok(value) => {
                let places = Places { source: Some(source), ..Places::default() };
                return Reading { value: Some(value), diagnostics: Vec::new(), places };
            }
            // `1e7` is no integer for the parser and one for the reading below, which sees every number once more
            Err(error) if is_number(&error) => {}
            Err(error) => refused = Some(syntax_error(&error)),
        }
    }
    let mut reading = match yaml::parse(&source.text) {
        Ok(node) => read_node(&source, node, &overrides, environment),
        Err(error) => return Reading::unreadable(&source.file, error),
    };
    if let Some(error) = refused.filter(|_| reading.diagnostics.is_empty()) {
        // The two ways of reading must agree; if ever they do not, the stricter one is heeded.
        reading.diagnostics.push(not_yaml(&source.file, error));
    }
    reading
}

/// Whether a plain value did not fit the type of its number.
fn is_number(error: &serde_saphyr::Error) -> bool {
    let types = ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64"];
    matches!(error.without_snippet(), serde_saphyr::Error::InvalidScalar { ty, .. } if types.contains(ty))
}

/// Reads a document that was parsed already.
pub(super) fn read_node<T: DeserializeOwned>(
    source: &Source,
    mut node: Node,
    overrides: &Overrides,
    environment: &Environment,
) -> Reading<T> {
    let file = source.file.as_str();
    let Interpolated { mistakes: unset, substituted } = interpolate(&mut node, &source.text, environment);
    let lines: Vec<u64> = unset.iter().map(|(path, _)| node.line_of(path)).collect();
    let mut given_twice = repeated(file, &node);
    let mut overridden = merge(&mut node, overrides);
    let refused = std::mem::take(&mut overridden.refused);
    let places = Places { source: Some(source.clone()), overridden, substituted, ..Places::default() };
    let mut reading = places.decode(node);
    // A variable without value leaves its text in place, whose shape means nothing.
    reading.diagnostics.retain(|error| !unset.iter().any(|(path, _)| *path == error.path));
    let unset = unset.into_iter().zip(lines).map(|((path, text), line)| {
        let place = reading.places.place(&path, line);
        Diagnostic::shape(path, text).at(place)
    });
    let mut diagnostics: Vec<_> = unset.collect();
    diagnostics.append(&mut reading.diagnostics);
    diagnostics.append(&mut given_twice);
    diagnostics.extend(
        refused.into_iter().map(|(variable, text)| {
            Diagnostic::shape(KeyPath::root(), text).at(Place::Environment(variable))
        }),
    );
    Reading { diagnostics, ..reading }
}

/// Every key of a file that is given twice.
pub(super) fn repeated(file: &str, node: &Node) -> Vec<Diagnostic> {
    let repeated = node.repeated_keys(None).into_iter();
    let error = |(path, line, first)| {
        let text = format!("{path} is given twice, first in line {first}");
        Diagnostic::shape(path, text).at(Place::line(file, line))
    };
    repeated.map(error).collect()
}
