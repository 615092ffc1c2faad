//! Reading one document: text, variables, overrides and types, with every mistake put back to its line.

use std::cell::OnceCell;

use serde::de::DeserializeOwned;
use serde_saphyr::DuplicateKeyPolicy;

use super::Environment;
use super::decode::{as_written, decode};
use super::document::{Content, Node, SyntaxError, options};
use super::finding::{Finding, FindingKind, Place, Remark, Severity};
use super::interpolate::interpolate;
use super::merge::{Merged, Overrides, merge};
use super::path::KeyPath;

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
    /// The typed document. With mistakes of shape it lacks what they spoilt.
    pub(super) value: Option<T>,
    /// What was found so far.
    pub(super) findings: Vec<Finding>,
    places: Places,
}

impl<T> Reading<T> {
    /// A document that is not there, with what stands in for it.
    pub(super) fn absent(value: Option<T>) -> Self {
        Self { value, findings: Vec::new(), places: Places::default() }
    }

    /// Adds what a rule said about [`Reading::value`], unless it is about what a mistake of shape took out.
    pub(super) fn remark(&mut self, remark: Remark) {
        let path = as_written(&remark.path, &self.places.taken_out);
        if self.places.taken_out.contains(&path) || self.places.spoilt.iter().any(|place| path.holds(place)) {
            return;
        }
        self.findings.push(self.places.finding(Remark { path, ..remark }));
    }

    /// Adds what all rules said.
    pub(super) fn remarks(&mut self, remarks: impl IntoIterator<Item = Remark>) {
        for remark in remarks {
            self.remark(remark);
        }
    }

    /// Whether nothing found so far refuses the document.
    pub(super) fn is_sound(&self) -> bool {
        !self.findings.iter().any(Finding::is_error)
    }
}

/// Where the places of a document are.
#[derive(Default)]
struct Places {
    source: Option<Source>,
    node: OnceCell<Node>,
    /// Where the document begins within the file.
    prefix: KeyPath,
    merged: Option<Merged>,
    taken_out: Vec<KeyPath>,
    spoilt: Vec<KeyPath>,
}

impl Places {
    fn finding(&self, remark: Remark) -> Finding {
        let place = self.merged.as_ref().and_then(|merged| merged.variable_of(&remark.path));
        let place = place.or_else(|| self.in_file(&remark.path)).unwrap_or(Place::Body);
        Finding { severity: remark.severity, kind: remark.kind, place, path: remark.path, text: remark.text }
    }

    fn in_file(&self, path: &KeyPath) -> Option<Place> {
        let source = self.source.as_ref()?;
        // The lines of a sound document are only looked up when somebody asks.
        let node = self.node.get_or_init(|| {
            Node::parse(&source.text)
                .unwrap_or_else(|_| Node::bare(Content::Map(super::document::Map::default())))
        });
        let path =
            path.segments().iter().fold(self.prefix.clone(), |path, segment| path.child(segment.clone()));
        let line = Some(node.line_of(&path)).filter(|line| *line > 0);
        Some(Place::File { name: source.file.clone(), line })
    }
}

/// An override that could not be applied.
fn in_environment(variable: String, text: String) -> Finding {
    Finding {
        severity: Severity::Error,
        kind: FindingKind::Shape,
        place: Place::Environment(variable),
        path: KeyPath::root(),
        text,
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
                return Reading { value: Some(value), findings: Vec::new(), places };
            }
            Err(error) => refused = Some(SyntaxError::from(error)),
        }
    }
    let mut reading = match Node::parse(&source.text) {
        Ok(node) => read_node(&source, &node, KeyPath::root(), &overrides, environment),
        Err(error) => return unreadable(source, error),
    };
    if let Some(error) = refused
        && reading.findings.is_empty()
    {
        // The two ways of reading must agree; if ever they do not, the stricter one is heeded.
        reading.findings.extend(
            unreadable::<T>(reading.places.source.clone().unwrap_or(Source::unknown()), error).findings,
        );
    }
    reading
}

/// Reads the document at `prefix` of a parsed file.
pub(super) fn read_node<T: DeserializeOwned>(
    source: &Source,
    whole: &Node,
    prefix: KeyPath,
    overrides: &Overrides,
    environment: &Environment,
) -> Reading<T> {
    let mut node = whole
        .at(&prefix)
        .cloned()
        .unwrap_or_else(|| Node::bare(Content::Map(super::document::Map::default())));
    let mut remarks: Vec<Remark> = interpolate(&mut node, &source.text, environment)
        .into_iter()
        .map(|(path, text)| Remark::shape(path, text))
        .collect();
    let repeated = node.repeated_keys();
    let merged = merge(&node, overrides);
    let refused = merged.refused.clone();
    let decoded = decode(&merged.value);
    // A variable without value leaves its text in place, whose shape means nothing.
    let unset: Vec<KeyPath> = remarks.iter().map(|remark| remark.path.clone()).collect();
    let shapes = decoded.mistakes.into_iter().filter(|(path, _)| !unset.contains(path));
    remarks.extend(shapes.map(|(path, text)| Remark::shape(path, text)));
    let places = Places {
        source: Some(source.clone()),
        node: OnceCell::from(whole.clone()),
        prefix,
        merged: Some(merged),
        taken_out: decoded.taken_out,
        spoilt: decoded.spoilt,
    };
    let mut findings: Vec<Finding> = remarks.into_iter().map(|remark| places.finding(remark)).collect();
    findings.extend(repeated.into_iter().map(|(path, line, first)| Finding {
        severity: Severity::Error,
        kind: FindingKind::Shape,
        place: Place::File { name: source.file.clone(), line: Some(line) },
        text: format!("{path} is given twice, first in line {first}"),
        path,
    }));
    findings.extend(refused.into_iter().map(|(variable, text)| in_environment(variable, text)));
    Reading { value: decoded.value, findings, places }
}

/// A document that is no YAML.
pub(super) fn unreadable<T>(source: Source, error: SyntaxError) -> Reading<T> {
    let finding = Finding {
        severity: Severity::Error,
        kind: FindingKind::Shape,
        place: Place::File { name: source.file.clone(), line: error.line },
        path: KeyPath::root(),
        text: error.text,
    };
    let places = Places { source: Some(source), ..Places::default() };
    Reading { value: None, findings: vec![finding], places }
}

impl Source {
    fn unknown() -> Self {
        Self { file: String::new(), text: String::new() }
    }
}
