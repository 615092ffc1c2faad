//! Reading one document: text, variables, overrides and types, with every mistake put back to its line.

use std::cell::OnceCell;

use serde::de::DeserializeOwned;
use serde_saphyr::DuplicateKeyPolicy;

use super::Environment;
use super::decode::{Misread, as_written, decode};
use super::document::{Node, SyntaxError, options};
use super::finding::{Finding, FindingKind, Place, Remark, Severity};
use super::interpolate::interpolate;
use super::merge::{Overridden, Overrides, merge};
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
        let line = self.places.line_of(&remark.path);
        self.findings.push(self.places.finding(line, Remark { path, ..remark }));
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
    /// The document, without what was taken out.
    node: OnceCell<Node>,
    overridden: Overridden,
    taken_out: Vec<KeyPath>,
    spoilt: Vec<KeyPath>,
}

impl Places {
    /// The line of a place in what is left of the document.
    fn line_of(&self, path: &KeyPath) -> u64 {
        let Some(source) = &self.source else { return 0 };
        // The lines of a sound document are only looked up when somebody asks.
        let parsed = || Node::parse(&source.text).unwrap_or_else(|_| Node::empty());
        self.node.get_or_init(parsed).line_of(path)
    }

    fn misread(&self, misread: Misread) -> Finding {
        let Misread { path, line, kind, text } = misread;
        self.finding(line, Remark { severity: Severity::Error, kind, path, text })
    }

    fn finding(&self, line: u64, remark: Remark) -> Finding {
        let Remark { severity, kind, path, text } = remark;
        let in_file = || {
            let name = self.source.as_ref()?.file.clone();
            Some(Place::File { name, line: Some(line).filter(|line| *line > 0) })
        };
        let place = self.overridden.variable_of(&path).or_else(in_file).unwrap_or(Place::Body);
        Finding { severity, kind, place, path, text }
    }
}

/// Reads a document that came as a body: nothing is replaced in it and nothing laid over it.
pub(super) fn read_body<T: DeserializeOwned>(document: &Node) -> Reading<T> {
    let mut node = document.clone();
    let decoded = decode(&mut node);
    let (node, overridden) = (OnceCell::from(node), Overridden::default());
    let (taken_out, spoilt) = (decoded.taken_out, decoded.spoilt);
    let places = Places { source: None, node, overridden, taken_out, spoilt };
    let findings = decoded.mistakes.into_iter().map(|misread| places.misread(misread)).collect();
    Reading { value: decoded.value, findings, places }
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
        Ok(node) => read_node(&source, node, &overrides, environment),
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

/// Reads a document that was parsed already.
pub(super) fn read_node<T: DeserializeOwned>(
    source: &Source,
    mut node: Node,
    overrides: &Overrides,
    environment: &Environment,
) -> Reading<T> {
    let unset = interpolate(&mut node, &source.text, environment);
    let unset: Vec<Misread> = unset
        .into_iter()
        .map(|(path, text)| Misread { line: node.line_of(&path), path, kind: FindingKind::Shape, text })
        .collect();
    let repeated = node.repeated_keys();
    let mut overridden = merge(&mut node, overrides);
    let refused = std::mem::take(&mut overridden.refused);
    let decoded = decode(&mut node);
    // A variable without value leaves its text in place, whose shape means nothing.
    let shapes = decoded.mistakes.into_iter();
    let shapes: Vec<Misread> =
        shapes.filter(|mistake| !unset.iter().any(|variable| variable.path == mistake.path)).collect();
    let places = Places {
        source: Some(source.clone()),
        node: OnceCell::from(node),
        overridden,
        taken_out: decoded.taken_out,
        spoilt: decoded.spoilt,
    };
    let found = |misread: Misread| places.misread(misread);
    let mut findings: Vec<Finding> = unset.into_iter().chain(shapes).map(found).collect();
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
