//! A document that comes as the body of a request: read like its file, against what runs, and written as a file again.

use prefix_policy::settings::Guardrails;
use prefix_policy::{Inventory, Playbooks, PlaybooksDocument, Vectors};
use prefix_signals::webhook::Adapters;
use serde_json::{Map, Value};

use super::correlation::{self, CorrelationKeys};
use super::document::Node;
use super::finding::{Finding, Remark};
use super::folder::ConfigSource;
use super::path::KeyPath;
use super::policy;
use super::read::{Reading, read_body};

pub mod body;
mod guardrails;
mod obstacle;
pub mod replace;
mod secret;
pub mod text;

pub use self::guardrails::guardrails;
pub use self::secret::{HIDDEN, hide_secrets};

/// A document of its own that can be replaced as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// playbooks.yaml
    Playbooks,
    /// correlation.yaml
    Correlation,
}

impl Document {
    /// The first word of its overrides, and its key in prefixd.yaml.
    pub fn word(self) -> &'static str {
        match self {
            Self::Playbooks => "playbooks",
            Self::Correlation => "correlation",
        }
    }

    /// Its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Playbooks => super::folder::PLAYBOOKS,
            Self::Correlation => super::folder::CORRELATION,
        }
    }
}

/// What came out of a body.
#[derive(Debug)]
pub struct Edited<T> {
    /// Present if no finding is an error.
    pub value: Option<T>,
    /// Everything that was found; the places are JSON pointers into the body.
    pub findings: Vec<Finding>,
}

/// Members that only an answer has. They are no mistake, so that an answer can be sent back.
const OF_ANSWERS: [&str; 2] = ["loaded_at", "total_playbooks"];

/// Reads playbooks. A member that is left out stays as it runs, but the playbooks themselves are required.
pub fn playbooks(
    body: Value,
    running: &PlaybooksDocument,
    guardrails: &Guardrails,
    inventory: &Inventory,
    correlation: &CorrelationKeys,
) -> Edited<Playbooks> {
    let is_without = body.as_object().is_some_and(|members| !members.contains_key("playbooks"));
    let mut reading: Reading<PlaybooksDocument> = read_body(&completed(body, running));
    if is_without {
        let text = "missing key \"playbooks\": the whole list, in its order";
        reading.remark(Remark::shape(KeyPath::root(), text));
        return Edited { value: None, findings: reading.findings };
    }
    let Some(mut document) = reading.value.take() else {
        return Edited { value: None, findings: reading.findings };
    };
    let built_in = Vectors::default();
    // an answer shows the built-in vectors too
    document.vectors.retain(|name, template| built_in.get(name) != Some(template));
    reading.remarks(correlation::check_playbooks(correlation, &document));
    let built = policy::split(document.build(guardrails, Some(inventory)));
    reading.remarks(built.remarks);
    finish(reading, built.value)
}

/// Reads the terms of correlation. A member that is left out stays as it runs, and so does a secret that is `***`.
pub fn correlation(
    mut body: Value,
    running: &CorrelationKeys,
    playbooks: &PlaybooksDocument,
) -> Edited<CorrelationKeys> {
    let unknown = secret::keep(&mut body, running);
    let mut reading: Reading<CorrelationKeys> = read_body(&completed(body, running));
    reading.remarks(unknown);
    let Some(keys) = reading.value.take() else {
        return Edited { value: None, findings: reading.findings };
    };
    reading.remarks(correlation::check(&keys));
    reading.remarks(correlation::contradicted(&keys, playbooks));
    finish(reading, Some(keys))
}

/// The webhook adapters of a correlation document that passed every other check, ready to run. Their secrets come from
/// the environment, so whoever only tries a document does without them.
pub fn adapters(keys: &CorrelationKeys, source: &ConfigSource) -> Edited<Adapters> {
    let body = serde_json::to_value(keys).unwrap_or_default();
    let mut reading: Reading<CorrelationKeys> = read_body(&Node::from_json(&body));
    let (adapters, remarks) = correlation::adapter::build(&keys.webhook_adapters, source.environment());
    reading.remarks(remarks);
    finish(reading, Some(adapters))
}

fn finish<D, T>(reading: Reading<D>, value: Option<T>) -> Edited<T> {
    let sound = reading.is_sound();
    Edited { value: value.filter(|_| sound), findings: reading.findings }
}

/// The body with what runs in place of the members that it leaves out.
fn completed(mut body: Value, running: &impl serde::Serialize) -> Node {
    if let Some(members) = body.as_object_mut() {
        for word in OF_ANSWERS {
            members.remove(word);
        }
        let running = serde_json::to_value(running).unwrap_or_default();
        let running: Map<String, Value> = running.as_object().cloned().unwrap_or_default();
        for (key, value) in running {
            if key != "playbooks" {
                members.entry(key).or_insert(value);
            }
        }
    }
    Node::from_json(&body)
}

#[cfg(test)]
mod tests;
