//! What an adapter is told besides the payload, and what it gives back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prefix_core::confidence::Confidence;
use prefix_core::event::Report;
use prefix_core::name::{ExternalEventId, SourceName, VectorName};
use prefix_diagnostics::value::quoted_to;
use prefix_diagnostics::{Diagnostic, KeyPath};

/// The most items of one payload: some ten times what real alerts fit into the largest body.
pub const MOST_ITEMS: usize = 10_000;

/// The most characters of a foreign value within a message.
const MOST_SHOWN: usize = 80;

/// What an adapter has to know besides the payload.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Under which name the events are stored.
    pub source: &'a SourceName,
    /// `sources.<name>.confidence_mapping`: the detector's words as confidences.
    pub confidence_mapping: &'a BTreeMap<String, Confidence>,
    /// Whether a vector is defined.
    pub is_vector: &'a dyn Fn(&VectorName) -> bool,
    /// For payloads that name no time.
    pub now: DateTime<Utc>,
}

/// A word as vectors are written: in lower case, with `_` for `-` and space.
pub(crate) fn plain(word: &str) -> String {
    word.trim().to_ascii_lowercase().replace(['-', ' '], "_")
}

impl Context<'_> {
    /// The vector that a word names, if it names one: in any case, with `-` or space for `_`.
    pub(crate) fn vector(&self, word: &str) -> Option<VectorName> {
        plain(word).parse().ok().filter(|name| (self.is_vector)(name))
    }

    /// The vector of attacks that consist of fragments.
    pub(crate) fn fragment_flood() -> Option<VectorName> {
        "fragment_flood".parse().ok()
    }

    /// The vector of whatever nobody recognised.
    pub(crate) fn unknown_vector() -> Option<VectorName> {
        "unknown".parse().ok()
    }

    /// What the configuration says of a word.
    pub(crate) fn mapped_confidence(&self, word: &str) -> Option<Confidence> {
        self.confidence_mapping.get(word).copied()
    }
}

/// One item of a payload: a report, or why it is none.
pub type Item = Result<Report, BadItem>;

/// Why an item is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadItem {
    /// The detector's identifier, as far as it could be read.
    pub external_event_id: Option<ExternalEventId>,
    /// What is wrong.
    pub error: String,
}

/// A payload that is no JSON.
pub(crate) fn no_json(error: &serde_json::Error) -> Diagnostic {
    Diagnostic::shape(KeyPath::root(), format!("the body is no JSON: {error}"))
}

/// A payload with more items than are read.
pub(crate) fn too_many(at: &str, count: usize) -> Diagnostic {
    Diagnostic::shape(at, format!("has {count} items, at most {MOST_ITEMS} are read at once"))
}

/// A foreign text for a message: short enough to help.
pub(crate) fn quoted(text: &str) -> String {
    quoted_to(text, MOST_SHOWN)
}

/// A foreign value for a message.
pub(crate) fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => quoted(text),
        other => other.to_string().chars().take(MOST_SHOWN).collect(),
    }
}
